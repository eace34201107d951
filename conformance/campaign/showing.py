"""A failure shown again: its smallest case, in a fresh process, after the calls that it takes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from conformance.campaign.questions import Questions
from conformance.case import Case
from conformance.differing import differing
from conformance.journals.outcomes import Outcome
from conformance.journals.tally import Failure, Failures
from conformance.plan import Example, smallest
from conformance.plan.following import following, nearer, plainer
from conformance.plan.shrinking import fewest
from conformance.processes.worker import Worker
from conformance.results import Doubt, Status

MOST_KNOWN = 2  # sequences that a finding is tried after

# Where each attempt takes a fresh process.
FRESH_ATTEMPTS, COSTLY_FRESH_ATTEMPTS = 40, 4
APART, COSTLY_APART = 6, 2  # failures that are tried alone in a fresh process


def first_failure(group: Failures) -> Failure:
    """The first one of a group, which has one."""
    assert group.first is not None
    return group.first


def _apart(group: Failures) -> list[Failure]:
    """The first failure, then others; those that have come after most cases before others."""
    first = first_failure(group)
    others = [f for f in group.sample if f is not first]
    return [first, *sorted(others, key=lambda f: (-len(f.before), f.place))]


@dataclass(frozen=True, slots=True)
class Again:
    """A failure that was shown again, or not.

    Attributes:
        cases: the smallest ones, of which the last fails.
        outcome: what came of that.
        doubt: why it was not shown again in a fresh process, or empty.
        is_alike: whether it takes calls that differ from it as in an earlier finding.
    """

    cases: Example
    outcome: Outcome
    doubt: Doubt = ""
    is_alike: bool = False


@dataclass(slots=True)
class Showing:
    """Shows failures of one implementation again, one after the other.

    Attributes:
        questions: to its processes.
        confirming: a process that has run nothing yet, or None.
        shared: whether a process that has shown others is fresh enough.
        was_shared: whether the last failure was shown by one that had.
        takes: sequences that fail in a fresh process, and of which the last case alone does not.
        seconds_for_known: that are left for trying what follows known sequences.
        seconds_for_earlier: that are left for what does not fail alone in a fresh process.
    """

    questions: Questions
    confirming: Worker | None
    shared: bool = True
    was_shared: bool = False
    takes: list[Example] = field(default_factory=list)
    seconds_for_known: float = 90.0
    seconds_for_earlier: float = 90.0

    @property
    def is_misled(self) -> bool:
        """Whether something fails, or may fail, for what earlier calls have left behind."""
        return bool(self.takes) or not self.shared

    def again(self, group: Failures, attempts: int) -> Again:
        """The first failure of `group` on its smallest case, found in so many attempts."""
        assert group.least is not None
        like, shown = first_failure(group).outcome, group.least.outcome
        cases: Example = (group.least.case,)
        began = time.monotonic()
        known = self._after_known(group, began + self.seconds_for_known) if self.takes else None
        self.seconds_for_known -= time.monotonic() - began
        if known is not None:
            return Again(*known, is_alike=True)
        shrunk = smallest(
            first_failure(group).before,
            lambda example: not self.questions.budget.over and bool(self._failing(example, like)),
            self.questions.asked,
            attempts,
        )
        if self.questions.budget.over:
            return Again(cases, shown, "time")
        cases, found = self._confirmed(self._failing(shrunk, like) or cases, like)
        began = time.monotonic()
        until = began + self.seconds_for_earlier
        for other in (self._from_afresh, self._after_others):
            if found is None and time.monotonic() < until and not self.questions.budget.over:
                cases, found = other(group, until) or (cases, found)
        self.seconds_for_earlier -= time.monotonic() - began
        if found is None:
            return Again(cases, shown, "time" if self.questions.budget.over else "chance")
        self._keep(cases)
        return Again(cases, found)

    def _failing(self, example: Example, like: Outcome) -> Example:
        """The cases of `example` up to the first that fails `like` the outcome; () if none does."""
        return example[: self._first(example, like)]

    def _first(self, cases: Example, like: Outcome) -> int:
        """How many of `cases` run until one fails `like` the outcome; 0 if none does."""
        matches = enumerate(self.questions.matches(self.questions.worker, cases, like), start=1)
        return next((number for number, outcome in matches if outcome is not None), 0)

    def _confirmed(self, cases: Example, like: Outcome) -> tuple[Example, Outcome | None]:
        """As `_alone`, in the process that shows other findings again where that will do.

        Starting an engine costs more than all else. But what disagrees there depends on earlier
        calls: from then on every finding gets a process of its own.
        """
        if self.shared and self.confirming is not None:
            has_shown = bool(self.confirming.asked)
            shown = self.questions.matches(self.confirming, cases[-1:], like)[-1]
            if shown is not None:
                self.was_shared = has_shown
                return cases[-1:], shown
            self.shared = False
        return self._alone(cases, like)

    def _alone(self, cases: Example, like: Outcome) -> tuple[Example, Outcome | None]:
        """The fewest of `cases` that still fail in a fresh process, and how.

        All of them, and None, if they do not fail there.
        """
        pairs = ((case, cases[-1]) for case in cases[:-1])
        for kept in dict.fromkeys((cases[-1:], *pairs, cases)):
            if self.questions.budget.over:
                break
            self.questions.worker.restart()
            shown = self.questions.matches(self.questions.worker, kept, like)[-1]
            if shown is not None:
                return kept, shown
        return cases, None

    def _from_afresh(self, group: Failures, until: float) -> tuple[Example, Outcome | None] | None:
        """The smallest of what fails in a fresh process, where one that has run on misleads.

        None if what was tried together with the first failure, or with one of some others, does
        not fail there: then it takes earlier examples.
        """
        costly = self.questions.tally.info.costly_calls
        like = first_failure(group).outcome
        for failure in _apart(group)[: COSTLY_APART if costly else APART]:
            if time.monotonic() >= until:
                return None
            cases, shown = self._alone(failure.before, like)
            if shown is not None:
                break
        else:
            return None

        return self._least_afresh(cases, like)

    def _least_afresh(self, cases: Example, like: Outcome) -> tuple[Example, Outcome | None]:
        """The smallest of what fails as `cases` do, each tried in a fresh process, and how."""
        costly, asked = self.questions.tally.info.costly_calls, self.questions.asked
        tried: dict[Example, Outcome | None] = {}

        def fails(example: Example) -> bool:
            if example not in tried and not self.questions.budget.over:
                tried[example] = self._fails_afresh(example, like)
            return tried.get(example) is not None

        def first(examples: list[Example]) -> Example:
            return next((e for e in examples if all(map(asked.may_ask, e)) and fails(e)), ())

        small: Example = ()
        if len(cases) > 1:
            cases = first(nearer(cases)) or cases
            small = first(plainer(cases))
        if not small or not costly:
            attempts = COSTLY_FRESH_ATTEMPTS if costly else FRESH_ATTEMPTS
            small = smallest(small or cases, fails, asked, attempts)
        least = small[-1:] if fails(small[-1:]) else small
        return least, tried[least] if fails(least) else None

    def _fails_afresh(self, example: Example, like: Outcome) -> Outcome | None:
        """How the last case of `example`, and none before, fails `like` the outcome, afresh."""
        self.questions.worker.restart()
        *before, last = self.questions.matches(self.questions.worker, example, like)
        return None if any(before) else last

    def _keep(self, cases: Example) -> None:
        """Keep a sequence that has failed, unless its calls are equal or one shows as much."""
        if len(cases) > 1 and differing(cases) not in [frozenset(), *map(differing, self.takes)]:
            self.takes.append(cases)

    def _after_known(self, group: Failures, until: float) -> tuple[Example, Outcome] | None:
        """A failure of `group` after calls that differ from it as in a known sequence.

        None if it fails without them, or does not fail after them.
        """
        assert group.least is not None
        for failure in (group.least, first_failure(group)):
            last, like = failure.case, failure.outcome
            if self.questions.budget.over or time.monotonic() >= until or like.foreign_memory:
                return None
            if not self._passes_alone(last, like):
                return None
            shown = self._after_one(last, like, until)
            if shown is not None or failure is group.first:
                return shown
        return None

    def _passes_alone(self, case: Case, like: Outcome) -> bool:
        """Whether a case passes in the process that has shown others, or else in a fresh one.

        The former has run only the last cases of other findings.
        """
        worker = self.confirming if like.status is Status.FAILED else None
        if worker is not None and self.questions.matches(worker, (case,), like)[-1] is None:
            return True
        return self._fails_afresh((case,), like) is None

    def _after_one(self, last: Case, like: Outcome, until: float) -> tuple[Example, Outcome] | None:
        """`last` after calls that differ from it as in one of the known sequences.

        None if it passes after them, or fails once and not again.
        """
        may_ask = self.questions.asked.may_ask
        for example in (e for known in self.takes[:MOST_KNOWN] for e in following(known, last)):
            if self.questions.budget.over or time.monotonic() >= until:
                return None
            if not all(map(may_ask, example)) or self._fails_afresh(example, like) is None:
                continue
            shown = self._fails_afresh(example, like)
            return None if shown is None else (example, shown)
        return None

    def _after_others(self, group: Failures, until: float) -> tuple[Example, Outcome | None] | None:
        """The smallest of what fails in a fresh process after few of the cases before the first
        failure there was; None if it does not fail after all of them either, which is chance.
        """
        failure = first_failure(group)
        last, like = (failure.case,), failure.outcome

        def fails(earlier: Example) -> bool:
            return self._fails_after(earlier, last, like, until)

        few: Example = ()
        if group.earlier and not like.foreign_memory and fails(group.earlier):
            few = fewest(group.earlier, fails)
        if not few:
            return None
        return self._least_afresh((*few, *last), like)

    def _fails_after(self, earlier: Example, last: Example, like: Outcome, until: float) -> bool:
        """Whether `last` fails in a fresh process that was asked `earlier` in time."""
        self.questions.worker.restart()
        for case in earlier:
            if self.questions.budget.over or time.monotonic() >= until:
                return False
            self.questions.worker.ask((case,), self.questions.checks)
        return self.questions.matches(self.questions.worker, last, like)[-1] is not None
