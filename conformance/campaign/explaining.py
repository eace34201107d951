"""One finding: its smallest case, shown again in a fresh process, named, and drawn."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from conformance.campaign.trying import Team
from conformance.case import Case, format_sequence
from conformance.causes import FEW
from conformance.checks import CHECKS
from conformance.checks.check import Check
from conformance.checks.shapes import output_shape
from conformance.checks.values import bounded_values, exact_values
from conformance.condition import greatest, parse
from conformance.diagnosis import CASES_FOR_PAIRS, DIAGNOSED_CASES, spread
from conformance.differing import differing
from conformance.faults import explanation, is_of_earlier_calls
from conformance.journals.outcomes import Outcome, outcomes_of
from conformance.journals.tally import Failure, Failures, Tally, kind_of, size_of
from conformance.plan import Asked, Example, smallest
from conformance.plan.beside import beside, with_one_of
from conformance.plan.following import following, nearer, plainer
from conformance.plan.growing import grown
from conformance.plan.shrinking import fewest
from conformance.processes.limits import Budget
from conformance.processes.worker import Worker
from conformance.reproducers.reproducer import Shown, script
from conformance.results import Cause, Evidence, Finding, Status
from conformance.sequences import to_be_tried

_DOUBTS = {
    "": "",
    "chance": "; not reproduced in a fresh process: it depends on earlier calls, or on chance",
    "time": "; seen once: no time was left to reproduce it",
}
UNEXPECTED = "passes although a strict entry expects it to fail"
OTHER_CASES = 40  # which pass, that a name is held against
MADE_LIKE = 12  # of them that a number of one that raises is tried in
RAISES = "raises "  # how the cause of what raises begins
FEW_PROCESSES = 3  # that are asked first what depends on earlier calls
ALIKE_PROCESSES = 2  # that are asked it where the calls are like those of an earlier finding
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


@dataclass(slots=True)
class Explainer:
    """Shrinks, shows again and names what fails of one implementation.

    Attributes:
        tally: what was met.
        team: its processes, of which the first one is asked; None where nothing can be asked.
        confirming: a process that has run nothing yet, or None.
        checks: that are made.
        shared: whether a process that has shown others is fresh enough.
        was_shared: whether the last finding was shown by one that had.
        was_left: whether it was left before it could shrink what it is given.
        names: what of earlier calls has explained findings.
        takes: sequences that fail in a fresh process, and of which the last case alone does not.
        seconds_for_earlier: that are left for what does not fail alone in a fresh process.
    """

    tally: Tally
    team: Team | None
    confirming: Worker | None
    checks: tuple[str, ...]
    shared: bool = True
    was_shared: bool = False
    was_left: bool = False
    names: list[str] = field(default_factory=list)
    takes: list[Example] = field(default_factory=list)
    seconds_for_earlier: float = 90.0

    def finding(self, group: Failures, attempts: int) -> Finding:
        """The finding of `group`, which shares check and cause."""
        self.was_shared = False
        first = first_failure(group)
        assert group.least is not None
        outcome, shown = first.outcome, group.least.outcome
        cases: Example = (group.least.case,)
        doubt: Literal["", "chance", "time"] = "time" if self.was_left else ""
        known = self._after_known(group) if attempts and self.takes else None
        if known is not None:
            cases, shown = known
        elif attempts:
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
                began = time.monotonic()
                until = began + self.seconds_for_earlier
                for other in (self._from_afresh, self._after_others):
                    if again is None and time.monotonic() < until and not self._budget.over:
                        cases, again = other(group, until) or (cases, again)
                self.seconds_for_earlier -= time.monotonic() - began
                self._keep(cases if again else ())
                shown = again or shown
                doubt = "" if again else "time" if self._budget.over else "chance"
        shows = self.team is not None and not doubt
        evidence = self._evidence(cases, outcome) if shows else None
        diagnosis = self.diagnosis(cases, group, outcome, alike=bool(known)) if shows else None
        larger_case, larger = self._larger(cases, outcome) if shows and attempts else ("", None)
        return Finding(
            check=outcome.check,
            cause=outcome.reason or outcome.cause,
            status=outcome.status,
            count=group.number,
            first_at=first.at,
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
                reply, case, self.tally.info, self.team.expectations, self.checks
            )
            found.append(next((o for o in outcomes if kind_of(o) == kind_of(like)), None))
        return found

    def _confirmed(self, cases: Example, like: Outcome) -> tuple[Example, Outcome | None]:
        """As `_alone`, in the process that shows other findings again where that will do.

        Starting an engine costs more than all else. But what disagrees there depends on earlier
        calls: from then on every finding gets a process of its own.
        """
        if self.shared and self.confirming is not None:
            has_shown = bool(self.confirming.asked)
            shown = self._matches(self.confirming, cases[-1:], like)[-1]
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
            if self._budget.over:
                break
            self._child.restart()
            shown = self._matches(self._child, kept, like)[-1]
            if shown is not None:
                return kept, shown
        return cases, None

    def _from_afresh(self, group: Failures, until: float) -> tuple[Example, Outcome | None] | None:
        """The smallest of what fails in a fresh process, where one that has run on misleads.

        None if what was tried together with the first failure, or with one of some others, does
        not fail there: then it takes earlier examples.
        """
        costly = self.tally.info.costly_calls
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
        costly, asked = self.tally.info.costly_calls, Asked.of(self.tally.info)
        tried: dict[Example, Outcome | None] = {}

        def fails(example: Example) -> bool:
            if example not in tried and not self._budget.over:
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
        self._child.restart()
        *before, last = self._matches(self._child, example, like)
        return None if any(before) else last

    def _keep(self, cases: Example) -> None:
        """Keep a sequence that has failed, unless another one shows as much."""
        if len(cases) > 1 and differing(cases) not in map(differing, self.takes):
            self.takes.append(cases)

    def _after_known(self, group: Failures) -> tuple[Example, Outcome] | None:
        """A failure of `group` after calls that differ from it as in a known sequence.

        None if it fails without them, or does not fail after them.
        """
        assert group.least is not None
        for failure in (group.least, first_failure(group)):
            last, like = failure.case, failure.outcome
            if self._budget.over or like.foreign_memory or not self._passes_alone(last, like):
                return None
            shown = self._after_one(last, like)
            if shown is not None or failure is group.first:
                return shown
        return None

    def _passes_alone(self, case: Case, like: Outcome) -> bool:
        """Whether a case passes in the process that has shown others, or else in a fresh one.

        The former was never asked what a finding takes before its own case.
        """
        worker = self.confirming if like.status is Status.FAILED else None
        if worker is not None and self._matches(worker, (case,), like)[-1] is None:
            return True
        return self._fails_afresh((case,), like) is None

    def _after_one(self, last: Case, like: Outcome) -> tuple[Example, Outcome] | None:
        """`last` after calls that differ from it as in one of the known sequences; None if fine."""
        may_ask = Asked.of(self.tally.info).may_ask
        for example in (e for known in self.takes[:MOST_KNOWN] for e in following(known, last)):
            if not all(map(may_ask, example)) or self._budget.over:
                continue
            shown = self._fails_afresh(example, like)
            if shown is not None:
                return example, shown
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
        self._child.restart()
        for case in earlier:
            if self._budget.over or time.monotonic() >= until:
                return False
            self._child.ask((case,), self.checks)
        return self._matches(self._child, last, like)[-1] is not None

    def diagnosis(
        self,
        cases: Example,
        group: Failures,
        like: Outcome,
        first: tuple[str, ...] = (),
        *,
        alike: bool = False,
    ) -> str | None:
        """The known fault behind the smallest case and some more of its group.

        Those called `first` are tried before others. Where the case takes calls `alike` those of
        a known sequence, only what explains earlier findings is tried, on that sequence.
        """
        check = CHECKS[like.check]
        diagnosed = check.diagnosed or check.compares_calls
        if not diagnosed or like.status is not Status.FAILED or self._budget.over:
            return None
        if check.compares_calls or len(cases) > 1:
            return self._diagnosis_of_calls(cases, group, check, first, alike=alike)
        if like.cause.startswith(RAISES):
            return None if first else self._refusal(cases[0], group, like)
        every = {str(f.case): f.case for f in group.sample}
        others = sorted(every.values(), key=size_of)
        found = self._child.diagnose((*cases, *spread(others, DIAGNOSED_CASES)), first)
        if found or first:
            return found
        more = spread(others[: len(others) // 2], CASES_FOR_PAIRS)
        return self._child.diagnose((*cases, *more), pairs=True)

    def _refusal(self, least: Case, group: Failures, like: Outcome) -> str | None:
        """The known refusal of what raises: in `group`, and near the smallest case of it."""
        may_ask = Asked.of(self.tally.info).may_ask
        passing = sorted(
            (c for c, checks in self.tally.passed if like.check in checks), key=size_of
        )
        passing = list(spread(passing, OTHER_CASES))
        asked = (*beside(least), *with_one_of(least, spread(passing, MADE_LIKE)))
        near = tuple(case for case in dict.fromkeys(asked) if may_ask(case))
        found = list(zip(near, self._outcomes(near, like.check), strict=True))
        raised = [least, *spread([f.case for f in group.sample], OTHER_CASES)]
        raised += [c for c, o in found if o is not None and kind_of(o) == kind_of(like)]
        passed = [c for c, o in found if o is not None and o.status is Status.PASSED]
        return self._child.diagnose_refusal(raised, [*passed, *passing] if passed else [])

    def _diagnosis_of_calls(
        self,
        cases: Example,
        group: Failures,
        check: Check,
        first: tuple[str, ...],
        *,
        alike: bool,
    ) -> str | None:
        """What of earlier calls shows in the smallest cases and in some more of their group.

        What explains an earlier finding is tried on few of them.
        """
        sample = sorted(group.sample, key=lambda f: size_of(f.case))
        others = [f.before for f in sample if len(f.before) > 1 or check.compares_calls]
        others = [] if alike else others
        tried = to_be_tried(cases, spread(others, DIAGNOSED_CASES))
        few = tried[: ALIKE_PROCESSES if alike else FEW_PROCESSES]
        asked = (check.name if check.compares_calls else output_shape.name,)
        known = first or tuple(self.names)
        found = self._child.diagnose_calls(few, asked, known) if known else None
        if found is None and not first and not (known and alike):
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
        some = spread([f.case for f in group.sample], DIAGNOSED_CASES)
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
                reply, case, self.tally.info, self.team.expectations, self.checks
            )
            yield next((o for o in outcomes if o.check == check), None)
