"""Findings that have one cause: what a person is told, and the order in which it is told.

Findings of one implementation belong together if one fault explains them, if they fail only after
calls that differ from their own in the same arguments, if one condition tells where they fail, or
if they fail on the same of the cases on which both of their checks were made.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from conformance.axes import DATA_FORMATS, PADDINGS
from conformance.capabilities import FLUSHES, INTENDED
from conformance.case import Case, CaseError, parse_sequence
from conformance.condition import in_words, parse
from conformance.differing import differing
from conformance.results import Cause, Finding, ImplementationResult, Status
from reference_impl.dtypes import FLOATS

FEW = 3  # failing cases; the condition of fewer could be another one
SHAPES = ("compute_output_shape", "output_shape", "output_dtype")
VALUES = ("exact_values", "bounded_values", "special_values", "function_values", "gradient_values")
# What comes of what stands before it.
STATES = ("unchanged_inputs", "own_memory", "repeated_call", "batch_independence")
_CHANGED, _FURTHER = STATES[0], STATES[2:]  # whose calls meet what an earlier one has changed
# Whose failures can be named by what an earlier call has left.
_NAMED = (
    *("output_shape", "exact_values", "bounded_values", "special_values"),
    *("own_memory", "repeated_call", "batch_independence", "unchanged_inputs"),
)
# Of values that few people pass, and of how they are refused.
_ODD = ("refusals", "stages_agree", "refused_on_purpose", "documented_values")
_AT_USE = re.compile(r"(a call|a first call|build|set_weights) ")
_LOST = (Status.CRASHED, Status.TIMED_OUT)
_KNOWN = (Status.EXPECTED_FAILURE, Status.UNEXPECTED_PASS)
# How a cause begins that says what is done, not what is so.
_VERB = re.compile(r"(?!values |errors |numbers )[a-z]+s ")


class Ranked(Protocol):
    """A finding, or an outcome that is one."""

    @property
    def status(self) -> Status: ...
    @property
    def check(self) -> str: ...
    @property
    def cause(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Failing:
    """On which cases a finding was met.

    Attributes:
        cases: on which it fails, by case string.
        passing: on which its check passes.
        beside: the same of cases that are none of the plan.
    """

    cases: Mapping[str, Case] = field(default_factory=dict)
    passing: Mapping[str, Case] = field(default_factory=dict)
    beside: Mapping[str, Case] = field(default_factory=dict)


def rank(finding: Ranked) -> tuple[int, int]:
    """Crashes come first, then shapes, values, and what a call leaves behind.

    Last, but for what went wrong in the suite, come odd values; those of the constructor after
    those that a call, build or set_weights takes.
    """
    if finding.status is Status.HARNESS_ERROR:
        return 6, 0
    if finding.status in _LOST:
        return 0, 0
    if finding.check in STATES:
        return 3, STATES.index(finding.check)
    if finding.check in _ODD:
        return 5, _AT_USE.match(finding.cause) is None
    return 1 if finding.check in SHAPES else 2 if finding.check in VALUES else 4, 0


def could_be_one(one: Sequence[Finding], other: Sequence[Finding]) -> bool:
    """Whether two causes are worth a common condition: wrong values, not of two known faults."""
    plain = all(f.status is Status.FAILED for f in (*one, *other))
    faults = {f.diagnosis for f in (*one, *other)} - {None}
    apart = any(f.diagnosis for f in one) and any(f.diagnosis for f in other)
    return (
        plain
        and len(faults) < 2
        and not apart
        and all(any(f.check in VALUES[:3] for f in group) for group in (one, other))
    )


def as_well(together: int, apart: int, failing: int) -> bool:
    """Whether a common condition tells the failing cases as well as one for each cause does.

    Args:
        together: passing cases on which the common condition holds.
        apart: the same of both conditions.
        failing: how many cases fail.
    """
    return together <= apart + failing // 10


def beyond_chance(findings: Sequence[Finding]) -> list[Finding]:
    """The findings, those of few cases without a name where no fault explains most others.

    With so many faults to choose from, one explains a case or two whatever is wrong. What could not
    be shown again was held against no fault, so it speaks against none.
    """
    counts: Counter[str | None] = Counter()
    for finding in findings:
        if finding.diagnosis is None and finding.doubt:
            continue
        if finding.status is Status.FAILED and finding.check in (*SHAPES, *VALUES):
            counts[finding.diagnosis] += finding.count
    return [
        replace(finding, diagnosis=None, explanation="")
        if finding.diagnosis is not None
        and counts[None] >= FEW
        and counts[finding.diagnosis] < max(FEW, counts[None] // 20)
        else finding
        for finding in findings
    ]


def grouped(findings: Sequence[Finding], failing: Sequence[Failing] = ()) -> list[Cause]:
    """The causes of `findings`, expected ones last.

    Args:
        findings: of one implementation.
        failing: where each was met; without it only faults and conditions join them.
    """
    known = list(failing) or [Failing()] * len(findings)
    return made_of(_groups(findings, known), findings)


def made_of(groups: Sequence[Sequence[int]], findings: Sequence[Finding]) -> list[Cause]:
    """A cause for each of `groups`, which hold places of findings; in the order to be told."""
    causes = [_cause(group, findings) for group in groups]
    return sorted(causes, key=lambda cause: _place(cause, findings))


def _groups(findings: Sequence[Finding], known: Sequence[Failing]) -> list[list[int]]:
    groups: list[list[int]] = []
    for number in sorted(range(len(findings)), key=lambda n: _certainty(findings[n], n)):
        home = next((g for g in groups if _belongs(number, g, findings, known)), None)
        if home is None:
            groups.append([number])
        else:
            home.append(number)
    return groups


def causes_of(result: ImplementationResult) -> list[Cause]:
    """Those of its record, or what can be said of the findings in a file that has none."""
    return result.causes or grouped(result.findings)


def sentence(cause: Cause) -> str:
    """What is wrong, and where if no fault says so: the end of ``NAME is wrong: ...``."""
    told = cause.diagnosis is None or cause.narrower
    condition = where(cause)
    return f"{cause.what}, where {condition}" if condition and told else cause.what


def where(one: Cause | Finding) -> str:
    """The condition in words; empty where nothing tells one, or so few cases fail that all do."""
    return in_words(one.when) if one.when and _known(one) >= FEW else ""


def _known(one: Cause | Finding) -> int:
    """How many cases are known to fail, with those around the smallest one."""
    return one.count + (one.nearby if isinstance(one, Cause) else len(one.nearby))


def members(cause: Cause, findings: Sequence[Finding]) -> list[Finding]:
    """The findings of `cause`, in its order."""
    return [findings[n] for n in cause.findings]


def explanation(cause: Cause, findings: Sequence[Finding]) -> str:
    """What the fault does that names `cause`, told by one of its `findings`; else empty."""
    told = (f.explanation for f in findings if f.diagnosis == cause.diagnosis)
    return next(filter(None, told), "")


def shown(findings: Sequence[Finding]) -> Finding:
    """The one of the findings of a cause that tells most: a crash, else the first with values."""
    first = findings[0]
    if first.status in _LOST:
        return first
    told = (f for f in findings if f.check not in SHAPES)
    drawn = (f for f in told if f.evidence is not None and f.evidence.expected)
    return next(drawn, first)


def unexpected(result: ImplementationResult) -> list[Cause]:
    """The causes that decide the verdict."""
    return [c for c in causes_of(result) if not _expected(c, result.findings)]


def expected(result: ImplementationResult) -> list[Cause]:
    """The causes that a list of expected failures names."""
    return [c for c in causes_of(result) if _expected(c, result.findings)]


def _expected(cause: Cause, findings: Sequence[Finding]) -> bool:
    return findings[cause.findings[0]].status is Status.EXPECTED_FAILURE


def _certainty(finding: Finding, number: int) -> tuple[bool, int, int]:
    """Groups begin with what is diagnosed, then with what fails most often."""
    return finding.diagnosis is None or finding.count < FEW, -finding.count, number


def _belongs(
    number: int, group: list[int], findings: Sequence[Finding], failing: Sequence[Failing]
) -> bool:
    one, first = findings[number], findings[group[0]]
    if one.status in _KNOWN or first.status in _KNOWN:
        return (one.status, one.reason, one.link) == (first.status, first.reason, first.link)
    if Status.HARNESS_ERROR in (one.status, first.status):
        return one.status is first.status and one.cause == first.cause
    if one.diagnosis is not None and one.diagnosis == first.diagnosis:
        return True
    if _after_alike(one, [findings[n] for n in group]):
        return True
    if one.diagnosis is not None and (one.count >= FEW or first.count < FEW):
        return False  # a fault that explains a case or two may do so by chance
    return any(
        _same_condition(one, findings[n])
        or _same_cases(failing[number], failing[n])
        or _within(one, failing[number], findings[n], failing[n])
        or _meets_the_change(one, failing[number], findings[n], failing[n])
        for n in group
    )


def _after_alike(one: Finding, group: Sequence[Finding]) -> bool:
    """Whether it fails only after a call that differs from its own in what theirs differ in.

    Those that can be named have the same name, or none has one. All were shown again.
    """
    if not all(f.takes_earlier_calls and not f.doubt for f in (one, *group)):
        return False
    if len({f.diagnosis for f in (one, *group) if f.check in _NAMED}) > 1:
        return False
    try:
        ways = {differing(parse_sequence(f.minimal_case)) for f in (one, *group)}
    except CaseError:  # a file from elsewhere
        return False
    return len(ways) == 1 and frozenset() not in ways


def _same_condition(one: Finding, other: Finding) -> bool:
    return bool(one.when) and one.when == other.when


def _same_cases(one: Failing, other: Failing) -> bool:
    """Whether both fail on the same of the cases on which both checks were made."""
    both = _made(one) & _made(other)
    common = both & one.cases.keys()
    return bool(common) and common == both & other.cases.keys()


def _made(one: Failing) -> set[str]:
    return {*one.cases, *one.passing}


def _within(one: Finding, met: Failing, other: Finding, others: Failing) -> bool:
    """Whether `one` fails only where `other` does, whose condition is a part of its own, or enough.

    What ends the process must do so wherever the condition holds: it could be a fault of its own.
    Checks that are never made on the same case have nothing to do with each other.
    """
    if _made(met) and _made(others) and not _made(met) & _made(others):
        return False
    if other.when and one.when.items() > other.when.items() and one.status not in _LOST:
        return True
    if not met.cases or len(others.cases) < FEW or 2 * other.also_passing > len(others.cases):
        return False
    holds = parse(other.when)
    if not all(map(holds, met.cases.values())):
        return False
    if not other.when:
        return rank(one)[0] == rank(other)[0]
    return one.status not in _LOST or not any(map(holds, met.passing.values()))


def _meets_the_change(one: Finding, met: Failing, other: Finding, others: Failing) -> bool:
    """Whether further calls of `one` differ only where `other` has changed what they are given."""
    if one.check not in _FURTHER or other.check != _CHANGED or not met.cases:
        return False
    return met.cases.keys() <= others.cases.keys()


def _passing(members: Sequence[Finding]) -> dict[str, int]:
    """On how many cases each check of theirs passes as well."""
    found: dict[str, int] = {}
    for finding in members:
        found[finding.check] = max(found.get(finding.check, 0), finding.also_passing)
    return found


def _cause(group: Sequence[int], findings: Sequence[Finding]) -> Cause:
    places = sorted(
        group, key=lambda n: (rank(findings[n]), bool(findings[n].doubt), -findings[n].count, n)
    )
    members = [findings[n] for n in places]
    first = members[0]
    explained = [f for f in members if f.diagnosis is not None]
    could_be = [f for f in members if f.check in _NAMED or not f.takes_earlier_calls]
    most = 2 * sum(f.count for f in explained) >= max(f.count for f in could_be or members)
    diagnosed = explained[0] if explained and most else None
    leading = diagnosed or first
    if diagnosed is None and any(f.when != first.when for f in members):
        leading = replace(first, when={})
    passing = leading.also_passing if leading.when else sum(_passing(members).values())
    return Cause(
        what=_what(diagnosed or first),
        findings=places,
        count=sum(f.count for f in members),
        first_at=min(f.first_at for f in members),
        diagnosis=None if diagnosed is None else diagnosed.diagnosis,
        when=leading.when,
        also_passing=passing,
        nearby=sum(len(f.nearby) for f in members),
        advice=_advice(members),
    )


# What tells that something is not there, by the word of a condition: a field of Capabilities, and
# the condition or what may be claimed.
_ABSENT: dict[str, tuple[str, str | tuple[object, ...]]] = {
    "compute_dtype": ("dtypes", FLOATS),
    "data_format": ("data_formats", tuple(DATA_FORMATS.values())),
    "padding": ("paddings", PADDINGS),
    "groups": ("groups", "> 1"),
    "dilation": ("dilation", "h > 1 or w > 1"),
}


# Words of a condition under which an engine takes another algorithm: no accumulation says so.
_ALGORITHM = {"kernel", "strides", "dilation", "padding", "pads"}


def _advice(members: Sequence[Finding]) -> str:
    """What to declare, where what is wrong may be intended, such as a refusal by an exception."""
    first = members[0]
    if first.diagnosis in INTENDED:
        return f"if intended, declare {INTENDED[first.diagnosis]}"
    of_algorithm = first.cause != FLUSHES and first.when.keys() & _ALGORITHM
    if first.cause in INTENDED and first.status is Status.FAILED and not of_algorithm:
        return f"if intended, declare {INTENDED[first.cause]}"
    plain = all(f.status is Status.FAILED and f.cause.startswith("raises ") for f in members)
    same = len(first.when) == 1 and not any(f.also_passing or f.when != first.when for f in members)
    if not plain or not same:
        return ""
    ((name, value),) = first.when.items()
    field, absent = _ABSENT.get(name, ("", ""))
    if isinstance(absent, tuple):
        refused = value if isinstance(value, list) else [value]
        left = tuple(word for word in absent if word not in refused)
        declared = f"{field}={left!r}" if left else ""
    else:
        declared = f"{field}=False" if value == absent != "" else ""
    if not declared:
        return ""
    return f"if intended, raise conformance.Unsupported, or declare Capabilities({declared})"


def _what(finding: Finding) -> str:
    if finding.diagnosis is not None and finding.explanation:
        said = finding.explanation.partition(", as in ")[0].rstrip(".")
        return said[:1].lower() + said[1:]
    if finding.diagnosis is not None:
        return f"its results are those of {finding.diagnosis.replace('_', ' ')}"
    if finding.status in _KNOWN:
        passes = finding.status is Status.UNEXPECTED_PASS
        said = finding.reason.rstrip(".")
        return f"it passes where a failure is expected: {said}" if passes else said
    after = ", after an earlier call" if finding.takes_earlier_calls else ""
    return f"it {finding.cause}{after}" if _VERB.match(finding.cause) else f"{finding.cause}{after}"


def _place(cause: Cause, findings: Sequence[Finding]) -> tuple[bool, bool, tuple[int, int], int]:
    """Expected causes come last, before them what is simply not there."""
    first = findings[cause.findings[0]]
    is_absent = bool(cause.advice) and INTENDED.keys().isdisjoint((first.cause, cause.diagnosis))
    return _expected(cause, findings), is_absent, rank(first), cause.first_at
