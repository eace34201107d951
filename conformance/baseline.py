"""From the findings of a run to a file of expected failures."""

from __future__ import annotations

from pathlib import Path

from conformance import condition
from conformance.reading import read
from conformance.report.text import clean, expectation
from conformance.results import BAD, Finding

_HEADER = """\
# Expected failures, written by `conv2d-conformance baseline` from {source}.
# Each `when` was found by comparing failing with passing cases: read it, narrow it, add a link.
# With `strict = true` a pass where an entry applies fails the run.
"""


def read_findings(path: Path) -> list[tuple[str, Finding]]:
    """What fails in a results.json, or in the one of a folder, with the implementation's name.

    Expected failures are left out.

    Raises:
        UsageError: it cannot be read, is of another schema, or a condition in it is none.
    """
    found = [
        (result.given_name, finding)
        for result in read(path).implementations
        for finding in result.findings
        if finding.status in BAD
    ]
    for name, finding in found:
        condition.parse(finding.when, f"{path}: {name!a}, {finding.check!a}")
    return found


def to_toml(findings: list[tuple[str, Finding]], source: Path) -> str:
    """An entry for each finding, as a file for ``--xfail``; equal ones of merged runs once."""
    entries = dict.fromkeys(expectation(finding, name) for name, finding in findings)
    words = " ".join(clean(str(source)).split())
    return "\n".join([_HEADER.format(source=words), *entries])
