"""From the findings of a run to a file of expected failures."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from conformance.errors import UsageError
from conformance.report.text import expectation
from conformance.results import BAD, SCHEMA, Finding

_HEADER = """\
# Expected failures, written by `conv2d-conformance baseline` from {source}.
# Each `when` was found by comparing failing with passing cases: read it, narrow it, add a link.
# With `strict = true` a pass where an entry applies fails the run.
"""


def read_findings(path: Path) -> list[tuple[str, Finding]]:
    """What fails in a results.json, or in the one of a folder, with the implementation's name.

    Expected failures are left out.

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
    return [
        (implementation["name"], _finding(finding))
        for implementation in content["implementations"]
        for finding in implementation["findings"]
        if finding["status"] in BAD
    ]


def to_toml(findings: list[tuple[str, Finding]], source: Path) -> str:
    """An entry for each finding, as a file for ``--xfail``."""
    entries = [expectation(finding, name) for name, finding in findings]
    return "\n".join([_HEADER.format(source=source), *entries])


def _finding(content: dict[str, Any]) -> Finding:
    known = {field.name for field in fields(Finding)} - {"evidence"}
    return Finding(**{name: value for name, value in content.items() if name in known})
