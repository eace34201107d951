"""The known fault behind a finding, if there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from conformance.campaign.questions import Questions
from conformance.case import Case
from conformance.causes import FEW
from conformance.checks import CHECKS
from conformance.checks.check import Check
from conformance.checks.shapes import output_shape
from conformance.checks.state import unchanged_inputs
from conformance.checks.values import bounded_values, exact_values
from conformance.condition import greatest, parse
from conformance.diagnosis import CASES_FOR_PAIRS, DIAGNOSED_CASES, OTHER_CASES, RAISES, spread
from conformance.faults import is_of_earlier_calls
from conformance.journals.outcomes import Outcome
from conformance.journals.tally import Failures, kind_of, size_of
from conformance.plan import Example
from conformance.plan.beside import MADE_LIKE, near
from conformance.results import Cause, Status
from conformance.sequences import to_be_tried

FEW_PROCESSES = 3  # that are asked first what depends on earlier calls
ALIKE_PROCESSES = 2  # that are asked it where the calls are like those of an earlier finding


@dataclass(slots=True)
class Naming:
    """Names what fails of one implementation.

    Attributes:
        questions: to its processes.
        names: what of earlier calls has explained findings.
    """

    questions: Questions
    names: list[str] = field(default_factory=list)

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
        if not diagnosed or like.status is not Status.FAILED or self.questions.budget.over:
            return None
        if check.compares_calls or len(cases) > 1:
            return self._diagnosis_of_calls(cases, group, check, first, alike=alike)
        if like.cause.startswith(RAISES):
            return None if first else self._refusal(cases[0], group, like)
        every = {str(f.case): f.case for f in group.sample}
        others = sorted(every.values(), key=size_of)
        some = (*cases, *spread(others, DIAGNOSED_CASES))
        if check is unchanged_inputs:  # any of the calls may have changed them
            return self.questions.worker.diagnose(some, first, checks=self.questions.checks)
        found = self.questions.worker.diagnose(some, first)
        if found or first:
            return found
        more = spread(others[: len(others) // 2], CASES_FOR_PAIRS)
        return self.questions.worker.diagnose((*cases, *more), pairs=True)

    def _refusal(self, least: Case, group: Failures, like: Outcome) -> str | None:
        """The known refusal of what raises: in `group`, and near the smallest case of it."""
        may_ask = self.questions.asked.may_ask
        passing = sorted(
            (c for c, checks in self.questions.tally.passed if like.check in checks), key=size_of
        )
        passing = list(spread(passing, OTHER_CASES))
        asked = tuple(filter(may_ask, near(least, spread(passing, MADE_LIKE))))
        found = []
        for case, outcome in zip(asked, self.questions.outcomes(asked, like.check), strict=True):
            if self.questions.budget.over:
                return None
            found.append((case, outcome))
        raised = [least, *spread([f.case for f in group.sample], OTHER_CASES)]
        raised += [c for c, o in found if o is not None and kind_of(o) == kind_of(like)]
        passed = [c for c, o in found if o is not None and o.status is Status.PASSED]
        return self.questions.worker.diagnose_refusal(raised, [*passed, *passing] if passed else [])

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
        found = self.questions.worker.diagnose_calls(few, asked, known) if known else None
        if found is None and not first and not (known and alike):
            most = few if self.questions.tally.info.costly_calls else tried
            found = self.questions.worker.diagnose_calls(most, asked)
            self.names += [] if found is None else [found]
        return found

    def is_narrower(self, cause: Cause, beside: Sequence[Case] = ()) -> bool:
        """Whether it passes where the fault that names `cause` would fail.

        Those `beside` its smallest cases pass.
        """
        name = cause.diagnosis
        if name is None or not cause.when or is_of_earlier_calls(name):
            return False
        if self.questions.team is None or self.questions.budget.over:
            return False
        judged = {exact_values.name, bounded_values.name}
        passing = sorted(
            (case for case, p in self.questions.tally.passed if p & judged), key=size_of
        )
        tried = [*spread(beside, OTHER_CASES)]
        for left_out in cause.when:  # where all terms but one hold, the fault is likely to show
            near = parse({word: value for word, value in cause.when.items() if word != left_out})
            term = parse({left_out: cause.when[left_out]})
            others = [case for case in passing if near(case) and not term(case)]
            share = OTHER_CASES // len(cause.when) // 2
            tried += spread(others[: 1 + len(others) // 2], share)
            tried += sorted(others, key=lambda case: greatest(left_out, case))[-share:]
        return self.questions.worker.foretold(name, tried).count("wrong") >= FEW

    def raises_of(self, group: Failures, names: Sequence[str]) -> str | None:
        """The one of `names` whose fault leaves no result wherever `group` raises."""
        if not names or self.questions.team is None or self.questions.budget.over:
            return None
        some = spread([f.case for f in group.sample], DIAGNOSED_CASES)
        given = {name: self.questions.worker.foretold(name, some) for name in names}
        return next((name for name in names if {*given[name]} == {"nothing"}), None)
