"""From the findings of a run to a file of expected failures."""

from __future__ import annotations

import glob
import json
from pathlib import Path
from typing import Any

import tomli_w

from conformance.errors import UsageError
from conformance.results import SCHEMA, Status

_HEADER = """\
# Expected failures, written by `conv2d-conformance baseline` from {source}.
# Each `when` was found by comparing failing with passing cases: read it, narrow it, add a link.
# With `strict = true` a pass where an entry applies fails the run.

"""


def read_results(path: Path) -> dict[str, Any]:
    """The content of a results.json, or of the one in a folder.

    Raises:
        UsageError: it cannot be read, or is of another schema.
    """
    file = path / "results.json" if path.is_dir() else path
    try:
        content = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"{file} is not a results.json: {error}") from None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise UsageError(f"{file} is not a results.json of schema {SCHEMA}")
    return content


def entries(results: dict[str, Any]) -> list[dict[str, Any]]:
    """One entry for all findings of an implementation that share their condition."""
    made: dict[str, dict[str, Any]] = {}
    for implementation in results["implementations"]:
        for finding in implementation["findings"]:
            if finding["status"] in (Status.EXPECTED_FAILURE, Status.UNEXPECTED_PASS):
                continue
            name = glob.escape(implementation["name"])
            reason = finding["explanation"] or finding["cause"]
            entry = made.setdefault(
                json.dumps([name, finding["when"]]),
                {"check": [], "implementation": name, "reason": reason, "strict": False},
            )
            if finding["check"] not in entry["check"]:
                entry["check"].append(finding["check"])
            if finding["when"]:
                entry["when"] = finding["when"]
    return list(made.values())


def to_toml(entries: list[dict[str, Any]], source: Path) -> str:
    """The entries as a file for ``--xfail``."""
    return _HEADER.format(source=source) + tomli_w.dumps({"expected_failure": entries})
