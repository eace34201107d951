"""From failures to findings: grouped by check and cause, each with its smallest case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Literal

from conformance.campaign.ending import ENDING
from conformance.campaign.trying import Team
from conformance.capabilities import HALF_SUMS
from conformance.case import Case, format_sequence, parse_sequence
from conformance.causes import (
    FEW,
    Failing,
    as_well,
    beyond_chance,
    could_be_one,
    grouped,
    made_of,
)
from conformance.checks import CHECKS
from conformance.checks.check import Check
from conformance.checks.shapes import output_shape
from conformance.checks.values import BEYOND, bounded_values, exact_values
from conformance.condition import greatest, parse
from conformance.diagnosis import CASES_FOR_PAIRS, DIAGNOSED_CASES, spread
from conformance.expectations import Expectation
from conformance.faults import explanation, is_of_earlier_calls
from conformance.journals.outcomes import Outcome, outcomes_of
from conformance.journals.tally import PROBE_CHECK, Failure, Failures, Tally, kind_of, size_of
from conformance.mining import find_condition
from conformance.plan import SHRINK_ATTEMPTS, Asked, Example, smallest
from conformance.plan.growing import grown
from conformance.processes.limits import Budget
from conformance.processes.worker import Worker
from conformance.reproducers.reproducer import Shown, script
from conformance.results import Cause, Evidence, Finding, Status
from conformance.sequences import to_be_tried

MOST_SHRUNK = 12
_DOUBTS = {
    "": "",
    "chance": "; not reproduced in a fresh process: it depends on earlier calls, or on chance",
    "time": "; seen once: no time was left to reproduce it",
}
UNEXPECTED = "passes although a strict entry expects it to fail"
OTHER_CASES = 40  # which pass, that a name is held against
ENOUGH_FOR_PART = 2 * FEW  # failures that name a fault which passes elsewhere
MOST_NAMES = 3  # of faults that other findings are held against
FEW_PROCESSES = 3  # that are asked first what depends on earlier calls
# A crash costs a process, a hang its time limit: fewer or no further tries.
ATTEMPTS = {Status.FAILED: SHRINK_ATTEMPTS, Status.CRASHED: 25, Status.TIMED_OUT: 20}

# Where each attempt takes a fresh process.
FRESH_ATTEMPTS, COSTLY_FRESH_ATTEMPTS = 40, 4
APART, COSTLY_APART = 6, 2  # failures that are tried alone in a fresh process


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
    shared = not any(CHECKS[_first(g).outcome.check].compares_calls for g in groups)
    shrinker = _Shrinker(tally, team, confirming, checks, shared)
    shrinker.was_left = team is None
    found = []
    for number, group in enumerate(groups):
        progress(number + 1, len(groups))
        first = _first(group).outcome
        shrinks = number < MOST_SHRUNK and first.check != PROBE_CHECK
        shrinks = shrinks and team is not None and not tally.info.recorded
        attempts = ATTEMPTS.get(first.status, 0) if shrinks else 0
        if not tally.passed.number and first.status in (Status.CRASHED, Status.TIMED_OUT):
            attempts = 0  # it fails everywhere, on the smallest case too
        try:
            with ENDING.may_leave():
                one = shrinker.finding(group, attempts)
        except KeyboardInterrupt:
            shrinker.team, shrinker.was_left = None, True
            one = shrinker.finding(group, 0)
        found.append(one)
    try:
        with ENDING.may_leave():
            found = _agreed(found, groups, shrinker)
    except KeyboardInterrupt:
        shrinker.team = None
    expectations = () if team is None else team.expectations
    told = _with_causes(found, groups, tally, expectations)
    causes = [replace(cause, narrower=shrinker.is_narrower(cause)) for cause in told.causes]
    refuted = {n for c in causes if c.narrower and c.count < ENOUGH_FOR_PART for n in c.findings}
    if refuted:
        found = [
            replace(finding, diagnosis=None, explanation="") if n in refuted else finding
            for n, finding in enumerate(told.findings)
        ]
        told = Found(found, made_of([cause.findings for cause in causes], found))
        causes = [replace(cause, narrower=shrinker.is_narrower(cause)) for cause in told.causes]
    return Found(told.findings, causes, interrupted=shrinker.team is not team)


def _groups(tally: Tally) -> list[Failures]:
    """The failures of each finding, in the order of the plan.

    Sums in 16 bits are no cause where exact data fail as well: that is more than rounding.
    """
    groups = list(tally.failures.values())
    outcomes = [_first(group).outcome for group in groups]
    if any(o.check == exact_values.name and o.status is Status.FAILED for o in outcomes):
        beyond = [
            group
            for group, o in zip(groups, outcomes, strict=True)
            if o.cause in (*HALF_SUMS.values(), BEYOND) and o.status is Status.FAILED
            and o.check == bounded_values.name
        ]  # fmt: skip
        if any(_first(group).outcome.cause in HALF_SUMS.values() for group in beyond):
            rest = [group for group in groups if group not in beyond]
            groups = [*rest, Failures.of_cause(BEYOND, beyond)]
    return sorted(groups, key=lambda group: _first(group).place)


def _agreed(
    found: Sequence[Finding], groups: Sequence[Failures], shrinker: _Shrinker
) -> list[Finding]:
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
        doubtful = shrinker.team is None or finding.doubt
        common = [] if doubtful else [name for name, _ in names.most_common(MOST_NAMES)]
        own = finding.diagnosis
        better = tuple(common[: common.index(own)] if own in common else common)
        cases = parse_sequence(finding.minimal_case)
        name = better and shrinker.diagnosis(cases, group, _first(group).outcome, better)
        if not name and finding.cause.startswith("raises "):
            name = shrinker.raises_of(group, better)
        if name:
            finding = replace(finding, diagnosis=name, explanation=explanation(name))
        agreed.append(finding)
    return beyond_chance(agreed)


def joined(tally: Tally, shards: Sequence[Sequence[Finding]]) -> Found:
    """All findings of `tally`, which adds up what several shards ran, from their findings.

    The smallest case of one is the smallest of its smallest cases.
    """
    groups = _groups(tally)
    unshrunk = _Shrinker(tally, None, None, ())
    found = []
    for group in groups:
        first = unshrunk.finding(group, 0)
        same = [f for findings in shards for f in findings if _what(f) == _what(first)]
        best = min(same, key=_readability, default=first)
        found.append(replace(best, count=first.count, first_at=first.first_at))
    return _with_causes(found, groups, tally, ())


def _what(finding: Finding) -> tuple[str, ...]:
    return finding.check, finding.status, finding.cause, finding.reason


def _readability(finding: Finding) -> tuple[bool, int, tuple[int, int, str]]:
    """Orders findings that are the same: what was shown again comes before what was not."""
    cases = parse_sequence(finding.minimal_case)
    return bool(finding.doubt), len(cases), size_of(cases[-1])


def _first(group: Failures) -> Failure:
    assert group.first is not None
    return group.first


def _with_causes(
    found: list[Finding],
    groups: list[Failures],
    tally: Tally,
    expectations: Sequence[Expectation],
) -> Found:
    """The findings with the conditions of their causes.

    A condition is looked for on each finding first, since it may tell that two have one cause;
    then on all of a cause together, which leaves less to chance.
    """
    met = [_failing(finding, group, tally) for finding, group in zip(found, groups, strict=True)]
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
    cases = {str(f.outcome.case): f.outcome.case for f in group.sample}
    last = parse_sequence(finding.minimal_case)[-1]
    cases[str(last)] = last
    lost = finding.status in (Status.CRASHED, Status.TIMED_OUT)
    passing = {
        str(case): case
        for case, passed in tally.passed
        if (lost or finding.check in passed) and str(case) not in cases
    }
    return Failing(cases, passing)


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
        others = [passing[text] for text in sorted(passing) if text not in failing]
        if _takes_earlier_calls(first):
            when, also_passing = {}, len(others)  # no case alone decides
        else:
            when, also_passing = find_condition([failing[t] for t in sorted(failing)], others)
    return [replace(finding, when=when, also_passing=also_passing) for finding, _ in members]


def _takes_earlier_calls(finding: Finding) -> bool:
    if finding.diagnosis is not None:
        return is_of_earlier_calls(finding.diagnosis)
    return len(parse_sequence(finding.minimal_case)) > 1


def _apart(group: Failures) -> list[Failure]:
    """The first failure, then others; those that have come after most cases before others."""
    first = _first(group)
    others = [f for f in group.sample if f is not first]
    return [first, *sorted(others, key=lambda f: (-len(f.before), f.place))]


@dataclass(slots=True)
class _Shrinker:
    tally: Tally
    team: Team | None
    confirming: Worker | None
    checks: tuple[str, ...]
    shared: bool = True  # whether a process that has shown others is fresh enough
    was_left: bool = False  # before it could shrink what it is given
    names: list[str] = field(default_factory=list)  # what of earlier calls has explained findings

    def finding(self, group: Failures, attempts: int) -> Finding:
        """The finding of `group`, which shares check and cause."""
        first = _first(group)
        assert group.least is not None
        outcome, shown = first.outcome, group.least.outcome
        cases: Example = (shown.case,)
        doubt: Literal["", "chance", "time"] = "time" if self.was_left else ""
        if attempts:
            shrunk = smallest(
                first.before,
                lambda example: not self._budget.over and bool(self._failing(example, outcome)),
                Asked.of(self.tally.info),
                attempts,
            )
            if not self._budget.over:
                cases = self._failing(shrunk, outcome) or cases
            if self._budget.over:
                doubt = "time"
            else:
                cases, again = self._confirmed(cases, outcome)
                if again is None and not self._budget.over:
                    cases, again = self._from_afresh(group) or (cases, again)
                shown = again or shown
                doubt = "" if again else "time" if self._budget.over else "chance"
        shows = self.team is not None and not doubt
        evidence = self._evidence(cases, outcome) if shows else None
        diagnosis = self.diagnosis(cases, group, outcome) if shows else None
        larger_case, larger = self._larger(cases, outcome) if shows and attempts else ("", None)
        return Finding(
            check=outcome.check,
            cause=outcome.reason or outcome.cause,
            status=outcome.status,
            count=group.number,
            first_at=outcome.at,
            minimal_case=format_sequence(cases),
            message=(shown.message or UNEXPECTED) + _DOUBTS[doubt],
            diagnosis=diagnosis,
            explanation=explanation(diagnosis) if diagnosis else "",
            reproducer=script(
                Shown(
                    cases=cases,
                    check=outcome.check,
                    status=outcome.status,
                    message=shown.message,
                    evidence=evidence,
                    exits="raises SystemExit" in shown.message,
                    doubtful=bool(doubt),
                ),
                self.tally.info,
            ),
            reason=outcome.reason,
            link=outcome.link,
            evidence=evidence,
            doubt=doubt,
            larger_case=larger_case,
            larger=larger,
        )

    @property
    def _child(self) -> Worker:
        assert self.team is not None
        return self.team.workers[0]

    @property
    def _budget(self) -> Budget:
        return self._child.budget

    def _failing(self, example: Example, like: Outcome) -> Example:
        """The cases of `example` up to the first that fails `like` the outcome; () if none does."""
        return example[: self._first(example, like)]

    def _first(self, cases: Example, like: Outcome) -> int:
        """How many of `cases` run until one fails `like` the outcome; 0 if none does."""
        matches = enumerate(self._matches(self._child, cases, like), start=1)
        return next((number for number, outcome in matches if outcome is not None), 0)

    def _matches(self, worker: Worker, cases: Example, like: Outcome) -> list[Outcome | None]:
        """For each case, its outcome if that is `like` the given one."""
        assert self.team is not None
        found = []
        replies = worker.run(cases, self.checks, again=False)
        for case, reply in zip(cases, replies, strict=True):
            outcomes = outcomes_of(
                reply, 0, case, self.tally.info, self.team.expectations, self.checks
            )
            found.append(next((o for o in outcomes if kind_of(o) == kind_of(like)), None))
        return found

    def _confirmed(self, cases: Example, like: Outcome) -> tuple[Example, Outcome | None]:
        """As `_alone`, in the process that shows other findings again where that will do.

        Starting an engine costs more than all else. But what disagrees there depends on earlier
        calls: from then on every finding gets a process of its own.
        """
        if self.shared and self.confirming is not None:
            shown = self._matches(self.confirming, cases[-1:], like)[-1]
            if shown is not None:
                return cases[-1:], shown
            self.shared = False
        return self._alone(cases, like)

    def _alone(self, cases: Example, like: Outcome) -> tuple[Example, Outcome | None]:
        """The fewest of `cases` that still fail in a fresh process, and how.

        All of them, and None, if they do not fail there.
        """
        pairs = ((case, cases[-1]) for case in cases[:-1])
        for kept in dict.fromkeys((cases[-1:], *pairs, cases)):
            if self._budget.over:
                break
            self._child.restart()
            shown = self._matches(self._child, kept, like)[-1]
            if shown is not None:
                return kept, shown
        return cases, None

    def _from_afresh(self, group: Failures) -> tuple[Example, Outcome | None] | None:
        """The smallest of what fails in a fresh process, where one that has run on misleads.

        None if what was tried together with the first failure, or with one of some others, does
        not fail there: then it takes earlier examples.
        """
        costly = self.tally.info.costly_calls
        like = _first(group).outcome
        for failure in _apart(group)[: COSTLY_APART if costly else APART]:
            cases, shown = self._alone(failure.before, like)
            if shown is not None:
                break
        else:
            return None

        def fails(example: Example) -> bool:
            if self._budget.over:
                return False
            self._child.restart()
            return self._first(example, like) == len(example)

        attempts = COSTLY_FRESH_ATTEMPTS if costly else FRESH_ATTEMPTS
        shrunk = smallest(cases, fails, Asked.of(self.tally.info), attempts)
        return self._alone(shrunk, like)

    def diagnosis(
        self, cases: Example, group: Failures, like: Outcome, first: tuple[str, ...] = ()
    ) -> str | None:
        """The known fault behind the smallest case and some more of its group.

        Those called `first` are tried before others.
        """
        check = CHECKS[like.check]
        diagnosed = check.diagnosed or check.compares_calls
        if not diagnosed or like.status is not Status.FAILED or self._budget.over:
            return None
        if check.compares_calls or len(cases) > 1:
            return self._diagnosis_of_calls(cases, group, check, first)
        every = {str(f.outcome.case): f.outcome.case for f in group.sample}
        others = sorted(every.values(), key=size_of)
        found = self._child.diagnose((*cases, *spread(others, DIAGNOSED_CASES)), first)
        if found or first:
            return found
        more = spread(others[: len(others) // 2], CASES_FOR_PAIRS)
        return self._child.diagnose((*cases, *more), pairs=True)

    def _diagnosis_of_calls(
        self, cases: Example, group: Failures, check: Check, first: tuple[str, ...]
    ) -> str | None:
        """What of earlier calls shows in the smallest cases and in some more of their group.

        What explains an earlier finding is tried on few of them.
        """
        sample = sorted(group.sample, key=lambda f: size_of(f.outcome.case))
        others = [f.before for f in sample if len(f.before) > 1 or check.compares_calls]
        tried = to_be_tried(cases, spread(others, DIAGNOSED_CASES))
        few = tried[:FEW_PROCESSES]
        asked = (check.name if check.compares_calls else output_shape.name,)
        known = first or tuple(self.names)
        found = self._child.diagnose_calls(few, asked, known) if known else None
        if found is None and not first:
            most = few if self.tally.info.costly_calls else tried
            found = self._child.diagnose_calls(most, asked)
            self.names += [] if found is None else [found]
        return found

    def is_narrower(self, cause: Cause) -> bool:
        """Whether it passes where the fault that names `cause` would fail."""
        name = cause.diagnosis
        if name is None or not cause.when or is_of_earlier_calls(name):
            return False
        if self.team is None or self._budget.over:
            return False
        judged = {exact_values.name, bounded_values.name}
        passing = sorted((case for case, p in self.tally.passed if p & judged), key=size_of)
        tried: list[Case] = []
        for left_out in cause.when:  # where all terms but one hold, the fault is likely to show
            near = parse({word: value for word, value in cause.when.items() if word != left_out})
            term = parse({left_out: cause.when[left_out]})
            others = [case for case in passing if near(case) and not term(case)]
            share = OTHER_CASES // len(cause.when) // 2
            tried += spread(others[: 1 + len(others) // 2], share)
            tried += sorted(others, key=lambda case: greatest(left_out, case))[-share:]
        return self._child.foretold(name, tried).count("wrong") >= FEW

    def raises_of(self, group: Failures, names: Sequence[str]) -> str | None:
        """The one of `names` whose fault leaves no result wherever `group` raises."""
        if self._budget.over:
            return None
        some = spread([f.outcome.case for f in group.sample], DIAGNOSED_CASES)
        given = {name: self._child.foretold(name, some) for name in names}
        return next((name for name in names if {*given[name]} == {"nothing"}), None)

    def _evidence(self, cases: Example, like: Outcome) -> Evidence | None:
        if like.status not in (Status.FAILED, Status.EXPECTED_FAILURE) or self._budget.over:
            return None
        if like.foreign_memory:
            return None  # it is chance
        return self._child.explain(cases, like.check)

    def _larger(self, cases: Example, like: Outcome) -> tuple[str, Evidence | None]:
        """A case like the smallest one on which the same check fails and a pattern shows."""
        check = CHECKS[like.check]
        shown = check.judges_values or check is output_shape
        if not shown or like.status is not Status.FAILED or len(cases) > 1 or self._budget.over:
            return "", None
        may_ask = Asked.of(self.tally.info).may_ask
        candidates = tuple(case for case in grown(cases[0]) if may_ask(case))
        for case, outcome in zip(candidates, self._outcomes(candidates, like.check), strict=True):
            if outcome is not None and outcome.status is Status.FAILED:
                evidence = self._child.explain((case,), like.check)
                if evidence is not None and evidence.shows_what_is_wrong and evidence.input:
                    return str(case), evidence
        return "", None

    def _outcomes(self, cases: Example, check: str) -> Iterator[Outcome | None]:
        """What becomes of `check` on each of the cases, as they are asked for."""
        assert self.team is not None
        for case, reply in zip(
            cases, self._child.run(cases, self.checks, again=False), strict=True
        ):
            outcomes = outcomes_of(
                reply, 0, case, self.tally.info, self.team.expectations, self.checks
            )
            yield next((o for o in outcomes if o.check == check), None)
