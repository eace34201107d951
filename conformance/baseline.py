"""From the causes of a run to a file of expected failures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from conformance import condition
from conformance.causes import FEW, members, sentence, unexpected
from conformance.printable import in_a_line
from conformance.reading import read
from conformance.report.text import entries, untold
from conformance.results import BAD, Cause, Finding

_HEADER = """\
# Expected failures, written by `conv2d-conformance baseline` from {source}.
# Each `when` was found by comparing failing with passing cases: read it, narrow it, add a link.
# With `strict = true` a pass where an entry applies fails the run.
"""
_NOT_DESCRIBED = (
    "# No condition tells where this fails, so each line expects its check to fail anywhere.\n"
)


@dataclass(frozen=True, slots=True)
class Described:
    """A cause as entries.

    Attributes:
        name: the implementation.
        what: what is wrong.
        entries: what covers it, as TOML.
        wide: entries without a condition for what no condition tells, to be chosen by hand.
        doubt: why another seed may show what is not covered, or empty.
    """

    name: str
    what: str
    entries: list[str]
    wide: list[str]
    doubt: str


def described(path: Path) -> list[Described]:
    """What fails in a results.json, or in the one of a folder; expected failures are left out.

    Raises:
        UsageError: it cannot be read, is of another schema, or a condition in it is none.
    """
    found = []
    for result in read(path).implementations:
        for cause in unexpected(result):
            findings = [f for f in members(cause, result.findings) if f.status in BAD]
            for finding in findings:
                condition.parse(finding.when, f"{path}: {result.name!a}, {finding.check!a}")
            if findings:
                found.append(_described(result.given_name, cause, findings))
    return found


def _described(name: str, cause: Cause, findings: Sequence[Finding]) -> Described:
    left = untold(cause, findings)
    doubt = ""
    if left:
        checks = ", ".join(dict.fromkeys(finding.check for finding in left))
        doubt = f"no condition tells where {checks} fails"
    elif cause.count + cause.nearby < FEW and cause.when:
        times = "once" if cause.count == 1 else f"in {cause.count} cases"
        doubt = f"it was seen only {times}, so its condition is a guess"
    wide = [] if not left else _wide(name, cause, left)
    return Described(name, sentence(cause), entries(cause, findings, name), wide, doubt)


def _wide(name: str, cause: Cause, findings: Sequence[Finding]) -> list[str]:
    anywhere = [replace(finding, when={}, also_passing=0) for finding in findings]
    return entries(replace(cause, when={}, also_passing=0), anywhere, name)


def to_toml(found: Sequence[Described], source: Path) -> str:
    """A file for ``--xfail``; equal entries of merged runs once.

    What no condition tells is written as comments.
    """
    words = in_a_line(str(source))
    told = dict.fromkeys(entry for one in found for entry in one.entries)
    commented = dict.fromkeys(
        _NOT_DESCRIBED + "".join(f"# {line}\n" for line in entry.splitlines())
        for one in found
        for entry in one.wide
    )
    return "\n".join([_HEADER.format(source=words), *told, *commented])
