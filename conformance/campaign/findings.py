"""From failures to findings: grouped by check and cause, each with its smallest case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from conformance.campaign.ending import ENDING
from conformance.campaign.explaining import Explainer
from conformance.campaign.naming import Naming
from conformance.campaign.nearby import known_nearby, nearby
from conformance.campaign.questions import Questions
from conformance.campaign.showing import Showing, first_failure
from conformance.campaign.trying import Team
from conformance.capabilities import HALF_SUMS
from conformance.case import parse_sequence
from conformance.causes import (
    FEW,
    VALUES,
    Failing,
    as_well,
    beyond_chance,
    could_be_one,
    grouped,
    made_of,
    rank,
)
from conformance.checks import CHECKS
from conformance.checks.values import BEYOND, bounded_values, exact_values
from conformance.condition import parse
from conformance.diagnosis import RAISES
from conformance.expectations import Expectation
from conformance.faults import explanation, is_of_earlier_calls
from conformance.journals.tally import PROBE_CHECK, Failures, Tally, size_of
from conformance.mining import find_condition
from conformance.plan import SHRINK_ATTEMPTS
from conformance.processes.worker import Worker
from conformance.results import Cause, Finding, Status

MOST_SHRUNK = 12
ENOUGH_FOR_PART = 2 * FEW  # failures, at least, that name a fault which passes elsewhere
MOST_NAMES = 3  # of faults that other findings are held against
# A crash costs a process, a hang its time limit: fewer or no further tries.
ATTEMPTS = {Status.FAILED: SHRINK_ATTEMPTS, Status.CRASHED: 25, Status.TIMED_OUT: 20}


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a tally: the findings in the order in which they were met, and their causes.

    `interrupted` where Ctrl-C left some of them as they were met.
    """

    findings: list[Finding]
    causes: list[Cause]
    interrupted: bool = False


def findings(
    tally: Tally,
    team: Team | None,
    *,
    confirming: Worker | None = None,
    checks: tuple[str, ...] = (),
    progress: Callable[[int, int], None] = lambda number, of: None,
) -> Found:
    """All findings of `tally`.

    Without a `team` they are neither shrunk nor explained. Otherwise its first process shrinks
    them, and `confirming`, which has run nothing yet, shows them again. `progress` is told the
    number of each, and how many there are.
    """
    groups = _groups(tally)
    # What calls leave behind in one process shows in what comes after it.
    shared = not any(CHECKS[first_failure(g).outcome.check].compares_calls for g in groups)
    questions = Questions(tally, team, checks)
    showing, naming = Showing(questions, confirming, shared), Naming(questions)
    explainer = Explainer(questions, showing, naming, was_left=team is None)
    outcomes = [first_failure(group).outcome for group in groups]
    order = sorted(range(len(groups)), key=lambda number: rank(outcomes[number]))
    shrinks = [o.status in ATTEMPTS and o.check != PROBE_CHECK for o in outcomes]
    chosen = [number for number in order if shrinks[number]][:MOST_SHRUNK]

    def explain(number: int) -> Finding:
        group, first = groups[number], outcomes[number]
        may_ask = team is not None and not tally.info.recorded
        attempts = ATTEMPTS[first.status] if number in chosen and may_ask else 0
        if not tally.passed.number and first.status in (Status.CRASHED, Status.TIMED_OUT):
            attempts = 0  # it fails everywhere, on the smallest case too
        try:
            with ENDING.may_leave():
                return explainer.finding(group, attempts)
        except KeyboardInterrupt:
            explainer.leave()
            return explainer.finding(group, 0)

    each: dict[int, Finding] = {}
    borrowed = []
    for number in order:
        progress(len(each) + 1, len(groups))
        each[number] = explain(number)
        borrowed += [number] if showing.was_shared and showing.shared else []
    for number in borrowed if not showing.shared else []:
        if questions.team is not None:  # what calls leave behind may have shown these, too
            each[number] = explain(number)
    found = [each[number] for number in range(len(groups))]
    try:
        with ENDING.may_leave():
            found = _agreed(found, groups, naming)
    except KeyboardInterrupt:
        explainer.leave()
    expectations = () if team is None else team.expectations
    try:
        with ENDING.may_leave():
            # What was not shrunk has too much in common with what is around it.
            shrunk = [
                number in chosen and ATTEMPTS[o.status] > 0 for number, o in enumerate(outcomes)
            ]
            beside = [
                nearby(finding, questions) if small else Failing()
                for finding, small in zip(found, shrunk, strict=True)
            ]
    except KeyboardInterrupt:
        explainer.leave()
        beside = []
    told = _with_causes(found, groups, tally, expectations, beside)
    causes = _narrowed(told.causes, naming, beside)
    unnamed = max((c.count for c in causes if _is_unnamed(c, told.findings)), default=0)
    enough = max(ENOUGH_FOR_PART, unnamed)
    refuted = {n for c in causes if c.narrower and c.count < enough for n in c.findings}
    if refuted:
        found = [
            replace(finding, diagnosis=None, explanation="") if n in refuted else finding
            for n, finding in enumerate(told.findings)
        ]
        told = Found(found, made_of([cause.findings for cause in causes], found))
        causes = _narrowed(told.causes, naming, beside)
    return Found(told.findings, causes, interrupted=questions.team is not team)


def _narrowed(causes: Sequence[Cause], naming: Naming, beside: Sequence[Failing]) -> list[Cause]:
    """The causes, with whether the fault that names each would fail elsewhere, too."""
    found = []
    for cause in causes:
        passing = [c for n in cause.findings if beside for c in beside[n].beside.values()]
        found.append(replace(cause, narrower=naming.is_narrower(cause, passing)))
    return found


def _is_unnamed(cause: Cause, found: Sequence[Finding]) -> bool:
    """Whether it is of wrong values that no known fault explains.

    What explains a smaller part of what is wrong, and not all of that, may do so by chance.
    """
    wrong = (found[n] for n in cause.findings if found[n].status is Status.FAILED)
    return cause.diagnosis is None and any(f.check in VALUES and not f.doubt for f in wrong)


def _groups(tally: Tally) -> list[Failures]:
    """The failures of each finding, in the order of the plan.

    Sums in 16 bits are no cause where exact data fail as well: that is more than rounding.
    """
    groups = list(tally.failures.values())
    outcomes = [first_failure(group).outcome for group in groups]
    if any(o.check == exact_values.name and o.status is Status.FAILED for o in outcomes):
        beyond = [
            group
            for group, o in zip(groups, outcomes, strict=True)
            if o.cause in (*HALF_SUMS.values(), BEYOND) and o.status is Status.FAILED
            and o.check == bounded_values.name
        ]  # fmt: skip
        if any(first_failure(group).outcome.cause in HALF_SUMS.values() for group in beyond):
            rest = [group for group in groups if group not in beyond]
            groups = [*rest, Failures.of_cause(BEYOND, beyond)]
    return sorted(groups, key=lambda group: first_failure(group).place)


def _agreed(found: Sequence[Finding], groups: Sequence[Failures], naming: Naming) -> list[Finding]:
    """The findings, those of one fault named alike.

    Few cases may be explained by several faults. Where one of those that explain most others
    explains them too, it is that one. So it is where it raises and that fault leaves no result.
    """
    names: Counter[str] = Counter()
    for finding in found:
        if finding.diagnosis is not None:
            names[finding.diagnosis] += finding.count
    agreed = []
    for finding, group in zip(found, groups, strict=True):
        doubtful = naming.questions.team is None or finding.doubt
        common = [] if doubtful else [name for name, _ in names.most_common(MOST_NAMES)]
        own = finding.diagnosis
        better = tuple(common[: common.index(own)] if own in common else common)
        cases = parse_sequence(finding.minimal_case)
        name = better and naming.diagnosis(cases, group, first_failure(group).outcome, better)
        if not name and finding.cause.startswith(RAISES):
            name = naming.raises_of(group, better)
        if name:
            finding = replace(finding, diagnosis=name, explanation=explanation(name))
        agreed.append(finding)
    return beyond_chance(agreed)


def joined(tally: Tally, shards: Sequence[Sequence[Finding]]) -> Found:
    """All findings of `tally`, which adds up what several shards ran, from their findings.

    The smallest case of one is the smallest of its smallest cases.
    """
    groups = _groups(tally)
    questions = Questions(tally, None, ())
    unshrunk = Explainer(questions, Showing(questions, None), Naming(questions))
    found = []
    for group in groups:
        first = unshrunk.finding(group, 0)
        same = [f for findings in shards for f in findings if _what(f) == _what(first)]
        best = min(same, key=_readability, default=first)
        found.append(replace(best, count=first.count, first_at=first.first_at))
    return _with_causes(found, groups, tally, (), list(map(known_nearby, found)))


def _what(finding: Finding) -> tuple[str, ...]:
    return finding.check, finding.status, finding.cause, finding.reason


def _readability(finding: Finding) -> tuple[bool, int, tuple[int, int, str]]:
    """Orders findings that are the same: what was shown again comes before what was not."""
    cases = parse_sequence(finding.minimal_case)
    return bool(finding.doubt), len(cases), size_of(cases[-1])


def _with_causes(
    found: list[Finding],
    groups: list[Failures],
    tally: Tally,
    expectations: Sequence[Expectation],
    beside: Sequence[Failing] = (),
) -> Found:
    """The findings with the conditions of their causes.

    A condition is looked for on each finding first, since it may tell that two have one cause;
    then on all of a cause together, which leaves less to chance.
    """
    met = [_failing(finding, group, tally) for finding, group in zip(found, groups, strict=True)]
    if beside:
        met = [_both(*some) for some in zip(met, beside, strict=True)]
        found = [
            replace(f, nearby=[*b.cases], passing_nearby=[*b.beside])
            for f, b in zip(found, beside, strict=True)
        ]
    alone = [
        _with_condition([(finding, cases)], tally, expectations)[0]
        for finding, cases in zip(found, met, strict=True)
    ]
    places = [cause.findings for cause in grouped(alone, met)]
    while True:
        for together in places:
            _share_condition(together, alone, met, tally, expectations)
        joined = _joined(places, alone, met, tally)
        if joined is None:
            return Found(alone, made_of(places, alone))
        places = joined


def _share_condition(
    places: Sequence[int],
    found: list[Finding],
    met: Sequence[Failing],
    tally: Tally,
    expectations: Sequence[Expectation],
) -> None:
    """Give the findings of one cause the condition of all of them, where there is one."""
    if len(places) < 2:
        return
    shared = _with_condition([(found[n], met[n]) for n in places], tally, expectations)
    for n, finding in zip(places, shared, strict=True):
        if finding.when or not finding.also_passing:
            found[n] = finding


def _joined(
    groups: list[list[int]], found: Sequence[Finding], met: Sequence[Failing], tally: Tally
) -> list[list[int]] | None:
    """`groups` with two of them as one that one condition tells as well; None where none can be."""
    for one, other in combinations(groups, 2):
        both = [*one, *other]
        if not could_be_one([found[n] for n in one], [found[n] for n in other]):
            continue
        first = _with_condition([(found[n], met[n]) for n in both], tally, ())[0]
        apart = max(found[n].also_passing for n in one) + max(found[n].also_passing for n in other)
        if as_well(first.also_passing, apart, sum(len(met[n].cases) for n in both)):
            return [both, *(g for g in groups if g is not one and g is not other)]
    return None


def _failing(finding: Finding, group: Failures, tally: Tally) -> Failing:
    cases = {str(f.case): f.case for f in group.sample}
    last = parse_sequence(finding.minimal_case)[-1]
    cases[str(last)] = last
    lost = finding.status in (Status.CRASHED, Status.TIMED_OUT)
    passing = {
        str(case): case
        for case, passed in tally.passed
        if (lost or finding.check in passed) and str(case) not in cases
    }
    return Failing(cases, passing)


def _both(one: Failing, other: Failing) -> Failing:
    return replace(one, cases={**one.cases, **other.cases}, beside=other.beside)


def _with_condition(
    members: list[tuple[Finding, Failing]], tally: Tally, expectations: Sequence[Expectation]
) -> list[Finding]:
    """The findings of one cause with the condition on the cases that fail.

    That of an expected failure is the one of its entry.
    """
    first = members[0][0]
    if first.status is Status.EXPECTED_FAILURE:
        known = (e for e in expectations if (e.reason, e.link) == (first.reason, first.link))
        when = next((dict(e.when) for e in known if first.check in e.checks), first.when)
        also_passing = tally.passes[first.reason]
    else:
        again = [met for finding, met in members if finding.doubt != "chance"]
        if not again:
            return [finding for finding, _ in members]  # it does not depend on the case
        failing = {text: case for met in again for text, case in met.cases.items()}
        passing = {text: case for met in again for text, case in met.passing.items()}
        beside = {text: case for met in again for text, case in met.beside.items()}
        others, more = (
            [some[text] for text in sorted(some) if text not in failing]
            for some in (passing, beside)
        )
        if _takes_earlier_calls(first):
            when, also_passing = {}, len(others)  # no case alone decides
        else:
            when, _ = find_condition([failing[t] for t in sorted(failing)], [*others, *more])
            also_passing = sum(map(parse(when), others))
    return [replace(finding, when=when, also_passing=also_passing) for finding, _ in members]


def _takes_earlier_calls(finding: Finding) -> bool:
    if finding.diagnosis is not None:
        return is_of_earlier_calls(finding.diagnosis)
    return finding.takes_earlier_calls
