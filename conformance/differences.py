"""What changed from one run to another: new failures, fixed ones, and what is not done any more.

A finding is known from the other run if an implementation of the same name has the same known
fault there, or fails the same check by the same cause, for the same reason, or where the same
condition holds. What changed is told by cause.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from conformance.causes import causes_of, members, sentence, shown
from conformance.results import BAD, SCHEMA, Cause, Finding, ImplementationResult, Report, Status

_FAILS = BAD | {Status.EXPECTED_FAILURE}
_DECIDING = BAD | {Status.UNEXPECTED_PASS}
_SETTINGS = ("seed", "examples", "profile", "max_time")


@dataclass(frozen=True, slots=True)
class Change:
    """A cause that is new, gone or still there, or those of its findings that are.

    Attributes:
        implementation: whose it is.
        cause: in words, and where if that is known.
        check, status, diagnosis, message: of the finding that tells most.
        case: the smallest failing case of that.
        checks: of all its findings.
    """

    implementation: str
    cause: str
    check: str
    status: str
    diagnosis: str | None
    message: str
    case: str
    checks: list[str]


@dataclass(frozen=True, slots=True)
class Refusal:
    """What an implementation says that it does not do, and did not say before."""

    implementation: str
    reason: str
    count: int
    case: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Differences:
    """What changed.

    Attributes:
        new, fixed, still: causes; expected failures are no new ones.
        expected: what failed before and is expected to fail now.
        unlisted: what was expected to fail before and is not any more.
        unsupported: what is newly refused.
        gone, added: implementations that only the old, or only the new run measured.
        environment, settings: name to the value before and now, where they differ.
    """

    new: list[Change] = field(default_factory=list)
    fixed: list[Change] = field(default_factory=list)
    still: list[Change] = field(default_factory=list)
    expected: list[Change] = field(default_factory=list)
    unlisted: list[Change] = field(default_factory=list)
    unsupported: list[Refusal] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    environment: dict[str, tuple[str, str]] = field(default_factory=dict)
    settings: dict[str, tuple[str, str]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The content of diff.json."""
        return {"schema": SCHEMA, **asdict(self)}

    def write_json(self, path: Path) -> None:
        path.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")

    @property
    def summary(self) -> str:
        """How many of each, in one line."""
        counts = [
            f"{len(self.new)} new",
            f"{len(self.fixed)} fixed",
            f"{len(self.still)} still failing",
            f"{len(self.unsupported)} newly unsupported",
        ]
        counts += [f"{len(self.expected)} now expected"] if self.expected else []
        counts += [f"{len(self.unlisted)} no longer expected"] if self.unlisted else []
        return ", ".join(counts)

    @property
    def fails(self) -> bool:
        """Whether something fails the new run that did not fail the old one."""
        return bool(self.new or self.unlisted)


def differences(old: Report, new: Report) -> Differences:
    """What changed from `old` to `new`."""
    before = {result.name: result for result in old.implementations}
    now = {result.name: result for result in new.implementations}
    found = Differences(
        gone=[name for name in before if name not in now],
        added=[name for name in now if name not in before],
        environment=_changed(old.environment, new.environment),
        settings=_changed(
            {name: old.settings.get(name) for name in _SETTINGS},
            {name: new.settings.get(name) for name in _SETTINGS},
        ),
    )
    for name, result in now.items():
        earlier = before.get(name)
        known = [] if earlier is None else [f for f in earlier.findings if f.status in _FAILS]
        decided = [f for f in known if f.status is not Status.EXPECTED_FAILURE]
        for cause in causes_of(result):
            kinds: dict[int, tuple[list[Change], list[Finding]]] = {}
            for finding in members(cause, result.findings):
                there = _kind(finding, known, decided, found)
                if there is not None:
                    kinds.setdefault(id(there), (there, []))[1].append(finding)
            for there, findings in kinds.values():
                there.append(_change(name, cause, findings))
        if earlier is not None:
            found.fixed.extend(_fixed(earlier, result))
            found.unsupported.extend(_refusals(earlier, result))
    return found


def _kind(
    finding: Finding, known: Sequence[Finding], decided: Sequence[Finding], found: Differences
) -> list[Change] | None:
    """Which of the lists of `found` a finding of the new run belongs to."""
    if finding.status is Status.EXPECTED_FAILURE:
        return found.expected if _has(decided, finding) else None
    if finding.status not in _DECIDING:
        return None
    if _has(decided, finding):
        return found.still
    return found.unlisted if _has(known, finding) else found.new


def _has(findings: Sequence[Finding], one: Finding) -> bool:
    return any(_is_same(one, other) for other in findings)


def _is_same(one: Finding, other: Finding) -> bool:
    if one.diagnosis is not None and one.diagnosis == other.diagnosis:
        return True
    if one.check != other.check:
        return False
    return (
        one.cause == other.cause
        or bool(one.reason and one.reason == other.reason)
        or bool(one.when and one.when == other.when)
    )


def _fixed(earlier: ImplementationResult, result: ImplementationResult) -> Iterator[Change]:
    """What failed before, and does not where its check still passes."""
    failing = [f for f in result.findings if f.status in _FAILS]
    for cause in causes_of(earlier):
        gone = [
            finding
            for finding in members(cause, earlier.findings)
            if finding.status in _FAILS
            and result.checks.get(finding.check, {}).get(Status.PASSED, 0)
            and not _has(failing, finding)
        ]
        if gone:
            yield _change(result.name, cause, gone)


def _refusals(old: ImplementationResult, new: ImplementationResult) -> Iterator[Refusal]:
    known = {item.reason for item in old.unsupported}
    for item in new.unsupported:
        if item.reason not in known:
            yield Refusal(new.name, item.reason, item.count, item.example)


def _change(name: str, cause: Cause, findings: Sequence[Finding]) -> Change:
    one = shown(findings)
    return Change(
        implementation=name,
        cause=sentence(cause),
        check=one.check,
        status=one.status,
        diagnosis=one.diagnosis,
        message=one.message,
        case=one.minimal_case,
        checks=list(dict.fromkeys(finding.check for finding in findings)),
    )


def _changed(old: dict[str, Any], new: dict[str, Any]) -> dict[str, tuple[str, str]]:
    names = dict.fromkeys([*old, *new])
    return {
        name: (_text(old.get(name)), _text(new.get(name)))
        for name in names
        if old.get(name) != new.get(name)
    }


def _text(value: Any) -> str:
    return "none" if value is None else str(value)
