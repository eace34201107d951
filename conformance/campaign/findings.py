"""From outcomes to findings: grouped by check and cause, each with its smallest case."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby

from conformance.campaign.measure import PROBE_CHECK, Measured, outcomes_of
from conformance.campaign.reproducer import script
from conformance.campaign.worker import Worker
from conformance.case import Case, format_sequence, parse_sequence
from conformance.checks import CHECKS
from conformance.faults import FAULTS
from conformance.mining import find_condition
from conformance.plan import SHRINK_ATTEMPTS, Asked, Example, smallest
from conformance.results import BAD, Evidence, Finding, Outcome, Status

MOST_SHRUNK = 12
NOT_AGAIN = "; not met again in a fresh process: it depends on earlier calls, or on chance"
UNEXPECTED = "passes, where a strict entry expects a failure"
DIAGNOSED_CASES = 5
# A crash costs a process, a hang its time limit: fewer or no further tries.
ATTEMPTS = {Status.FAILED: SHRINK_ATTEMPTS, Status.CRASHED: 25, Status.TIMED_OUT: 20}

# Where each attempt takes a fresh process.
FRESH_ATTEMPTS, COSTLY_FRESH_ATTEMPTS = 40, 4

Key = tuple[str, str, str, str]


def findings(
    measured: Measured,
    worker: Worker | None,
    checks: tuple[str, ...] = (),
) -> list[Finding]:
    """All findings of `measured`, in the order in which they were met.

    Without a `worker` they are neither shrunk nor explained.
    """
    bad = [
        o
        for o in measured.outcomes
        if o.status in BAD or o.status is Status.EXPECTED_FAILURE or o.strict
    ]
    groups: dict[Key, list[Outcome]] = {
        key: list(group) for key, group in groupby(sorted(bad, key=_key), key=_key)
    }
    ordered = sorted(groups.values(), key=lambda group: (group[0].at, _key(group[0])))
    shrinker = _Shrinker(measured, worker, checks)
    found = []
    for number, group in enumerate(ordered):
        shrinks = number < MOST_SHRUNK and group[0].check != PROBE_CHECK
        shrinks = shrinks and worker is not None and not measured.info.recorded
        attempts = ATTEMPTS.get(group[0].status, 0) if shrinks else 0
        found.append((shrinker.finding(group, attempts), group))
    return [_with_condition(finding, group, found, measured) for finding, group in found]


def _with_condition(
    finding: Finding,
    group: list[Outcome],
    found: list[tuple[Finding, list[Outcome]]],
    measured: Measured,
) -> Finding:
    """`finding` with the condition on the cases that fail; those of one fault share theirs."""
    if finding.message.endswith(NOT_AGAIN):
        return finding  # it does not depend on the case
    alike = [(finding, group)]
    if finding.diagnosis is not None:
        alike = [pair for pair in found if pair[0].diagnosis == finding.diagnosis]
    failing = {o.case for _, outcomes in alike for o in outcomes}
    failing |= {str(parse_sequence(f.minimal_case)[-1]) for f, _ in alike}
    checks = {f.check for f, _ in alike}
    lost = finding.status in (Status.CRASHED, Status.TIMED_OUT)
    passing = {
        o.case
        for o in measured.outcomes
        if o.status is Status.PASSED and (lost or o.check in checks)
    }
    when, also_passing = find_condition(
        *(list(map(Case.parse, sorted(cases))) for cases in (failing, passing - failing))
    )
    return replace(finding, when=when, also_passing=also_passing)


def _key(outcome: Outcome) -> Key:
    expected = outcome.status is Status.EXPECTED_FAILURE
    return outcome.check, outcome.status, "" if expected else outcome.cause, outcome.reason


@dataclass(frozen=True, slots=True)
class _Shrinker:
    measured: Measured
    worker: Worker | None
    checks: tuple[str, ...]

    def finding(self, group: list[Outcome], attempts: int) -> Finding:
        """The finding of `group`, which shares check and cause."""
        first = group[0]
        shown = min(group, key=lambda o: _size(o.case))
        cases: Example = (Case.parse(shown.case),)
        note = ""
        if attempts:
            shrunk = smallest(
                self._example_of(first),
                lambda example: bool(self._failing(example, first)),
                Asked.of(self.measured.info),
                attempts,
            )
            cases, again = self._alone(self._failing(shrunk, first) or cases, first)
            if again is None:
                cases, again = self._from_afresh(first) or (cases, again)
            shown = again or shown
            note = "" if again else NOT_AGAIN
        shows = self.worker is not None and not note
        evidence = self._evidence(cases, first) if shows else None
        diagnosis = self._diagnosis(cases, group, first) if shows else None
        return Finding(
            check=first.check,
            cause=first.reason or first.cause,
            status=first.status,
            count=len(group),
            first_at=min(o.at for o in group),
            minimal_case=format_sequence(cases),
            message=(shown.message or UNEXPECTED) + note,
            diagnosis=diagnosis,
            explanation=FAULTS[diagnosis].explanation if diagnosis else "",
            reproducer=script(cases, self.measured.info, evidence, first.check),
            reason=first.reason,
            link=first.link,
            evidence=evidence,
        )

    @property
    def _child(self) -> Worker:
        assert self.worker is not None
        return self.worker

    def _example_of(self, outcome: Outcome) -> Example:
        """The cases up to the one that failed, of those that were tried together."""
        planned = next(
            p for p in self.measured.examples if p.at <= outcome.at < p.at + len(p.configurations())
        )
        cases = list(map(str, planned.example))
        return planned.example[: cases.index(outcome.case) + 1]

    def _failing(self, example: Example, like: Outcome) -> Example:
        """The cases of `example` up to the first that fails `like` the outcome; () if none does."""
        return example[: self._first(example, like)]

    def _first(self, cases: Example, like: Outcome) -> int:
        """How many of `cases` run until one fails `like` the outcome; 0 if none does."""
        matches = enumerate(self._matches(cases, like), start=1)
        return next((number for number, outcome in matches if outcome is not None), 0)

    def _matches(self, cases: Example, like: Outcome) -> list[Outcome | None]:
        """For each case, its outcome if that is `like` the given one."""
        found = []
        for case, reply in zip(cases, self._child.run(cases, self.checks), strict=True):
            measured = self.measured
            outcomes = outcomes_of(
                reply, 0, case, measured.info, measured.expectations, self.checks
            )
            found.append(next((o for o in outcomes if _key(o) == _key(like)), None))
        return found

    def _alone(self, cases: Example, like: Outcome) -> tuple[Example, Outcome | None]:
        """The fewest of `cases` that still fail in a fresh process, and how.

        All of them, and None, if they do not fail there.
        """
        pairs = ((case, cases[-1]) for case in cases[:-1])
        for kept in dict.fromkeys((cases[-1:], *pairs, cases)):
            self._child.restart()
            shown = self._matches(kept, like)[-1]
            if shown is not None:
                return kept, shown
        return cases, None

    def _from_afresh(self, like: Outcome) -> tuple[Example, Outcome | None] | None:
        """The smallest of what fails in a fresh process, where one that has run on misleads.

        None if not even all that was tried together fails there.
        """
        cases, shown = self._alone(self._example_of(like), like)
        if shown is None:
            return None

        def fails(example: Example) -> bool:
            self._child.restart()
            return self._first(example, like) == len(example)

        costly = self.measured.info.costly_calls
        attempts = COSTLY_FRESH_ATTEMPTS if costly else FRESH_ATTEMPTS
        shrunk = smallest(cases, fails, Asked.of(self.measured.info), attempts)
        return self._alone(shrunk, like)

    def _diagnosis(self, cases: Example, group: list[Outcome], like: Outcome) -> str | None:
        """The known fault behind the smallest case and some more of its group."""
        diagnosed = CHECKS[like.check].diagnosed and like.status is Status.FAILED
        if not diagnosed or len(cases) > 1:
            return None
        others = sorted({o.case for o in group}, key=_size)
        spread = others[:: max(len(others) // DIAGNOSED_CASES, 1)][:DIAGNOSED_CASES]
        return self._child.diagnose((*cases, *map(Case.parse, spread)))

    def _evidence(self, cases: Example, like: Outcome) -> Evidence | None:
        if like.status not in (Status.FAILED, Status.EXPECTED_FAILURE):
            return None
        return self._child.explain(cases, like.check)


def _size(case: str) -> tuple[int, int, str]:
    parsed = Case.parse(case)
    n, h, w, c = parsed.input_shape
    return n * h * w * c * parsed.filters, len(case), case
