"""From outcomes to findings: grouped by check and cause, each with the smallest case that shows it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import groupby

from conformance.campaign.measure import Measured, outcomes_of
from conformance.campaign.plan import SHRINK_ATTEMPTS, Planned, adapt, smallest
from conformance.campaign.pool import WorkerProcess
from conformance.case import Case, format_sequence
from conformance.expectations import Expectation
from conformance.reproducer import script
from conformance.results import BAD, Evidence, Finding, Outcome, Status
from conformance.strategies import Example, configurations

MOST_SHRUNK = 12
# A crash costs a process, a hang its time limit: fewer or no further tries.
ATTEMPTS = {Status.FAILED: SHRINK_ATTEMPTS, Status.CRASHED: 25}

Key = tuple[str, str, str, str]


def findings(
    measured: Measured,
    seed: int,
    worker: WorkerProcess,
    expectations: list[Expectation],
    checks: tuple[str, ...] = (),
) -> list[Finding]:
    """All findings of `measured`, in the order in which they were met."""
    bad = [o for o in measured.outcomes if o.status in BAD or o.status is Status.EXPECTED_FAILURE]
    groups: dict[Key, list[Outcome]] = {
        key: list(group) for key, group in groupby(sorted(bad, key=_key), key=_key)
    }
    ordered = sorted(groups.values(), key=lambda group: (group[0].at, _key(group[0])))
    shrinker = _Shrinker(measured, seed, worker, expectations, checks)
    result = []
    for number, group in enumerate(ordered):
        attempts = ATTEMPTS.get(group[0].status, 0) if number < MOST_SHRUNK else 0
        result.append(shrinker.finding(group, attempts))
    return result


def _key(outcome: Outcome) -> Key:
    expected = outcome.status is Status.EXPECTED_FAILURE
    return outcome.check, outcome.status, "" if expected else outcome.cause, outcome.reason


@dataclass(frozen=True, slots=True)
class _Shrinker:
    measured: Measured
    seed: int
    worker: WorkerProcess
    expectations: list[Expectation]
    checks: tuple[str, ...]

    def finding(self, group: list[Outcome], attempts: int) -> Finding:
        """The finding of `group`, which shares check and cause."""
        first = group[0]
        target = self._example_of(first)
        cases: Example = (Case.parse(min((o.case for o in group), key=_size)),)
        if attempts:
            shrunk = smallest(
                self.seed, target, lambda example: bool(self._failing(example, first)), attempts
            )
            cases = self._alone(self._failing(shrunk, first) or cases, first)
        shown, note = self._confirmed(cases, target, first, retry=attempts > 0)
        message = first.message if shown is None else shown.message
        evidence = self._evidence(cases, first) if shown is not None else None
        subject = self.measured.subject
        return Finding(
            check=first.check,
            cause=first.reason or first.cause,
            status=first.status,
            count=len(group),
            first_at=min(o.at for o in group),
            minimal_case=format_sequence(cases),
            message=message + note,
            reproducer=script(cases, subject.name, subject.kind, evidence, first.check),
            reason=first.reason,
            link=first.link,
            evidence=evidence,
        )

    def _example_of(self, outcome: Outcome) -> Planned:
        return next(
            p
            for p in self.measured.examples
            if p.at <= outcome.at < p.at + len(configurations(p.example))
        )

    def _failing(self, example: Example, like: Outcome) -> Example:
        """The cases of `example` up to the first that fails `like` the outcome; empty if none does."""
        subject = self.measured.subject
        cases = tuple(c for part in configurations(example) for c in adapt(part, subject))
        return cases[: self._first(cases, like)]

    def _first(self, cases: Example, like: Outcome) -> int:
        """How many of `cases` run until one fails `like` the outcome; 0 if none does."""
        return next((n for n, _ in enumerate(self._matches(cases, like), start=1) if _), 0)

    def _matches(self, cases: Example, like: Outcome) -> list[Outcome | None]:
        """For each case, its outcome if that is `like` the given one."""
        found = []
        for case, reply in zip(cases, self.worker.run(cases, self.checks), strict=True):
            outcomes = outcomes_of(reply, 0, case, self.measured.subject, self.expectations)
            found.append(next((o for o in outcomes if _key(o) == _key(like)), None))
        return found

    def _alone(self, cases: Example, like: Outcome) -> Example:
        """The fewest of `cases` that still fail in a fresh process; all of them if none do."""
        for kept in (cases[-1:], *((case, cases[-1]) for case in cases[:-1])):
            self.worker.restart()
            if self._matches(kept, like)[-1] is not None:
                return kept
        return cases

    def _confirmed(
        self, cases: Example, target: Planned, like: Outcome, *, retry: bool
    ) -> tuple[Outcome | None, str]:
        """The outcome of `cases` in a fresh process, and a note where it is another one there."""
        if like.status is Status.TIMED_OUT or like.status is Status.HARNESS_ERROR:
            return None, ""
        self.worker.restart()
        shown = self._matches(cases, like)[-1]
        if shown is not None or not retry:
            return shown, ""
        return None, "; not met again in a fresh process: it depends on earlier calls, or on chance"

    def _evidence(self, cases: Example, like: Outcome) -> Evidence | None:
        if like.status not in (Status.FAILED, Status.EXPECTED_FAILURE):
            return None
        reply = self.worker.explain(cases, like.check)
        return replace(reply) if isinstance(reply, Evidence) else None


def _size(case: str) -> tuple[int, int, str]:
    parsed = Case.parse(case)
    n, h, w, c = parsed.input_shape
    return n * h * w * c * parsed.filters, len(case), case
