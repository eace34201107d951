"""One finding: shown again on its smallest case, named, and drawn."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.campaign.naming import Naming
from conformance.campaign.questions import Questions
from conformance.campaign.showing import Again, Showing, first_failure
from conformance.case import format_sequence
from conformance.checks import CHECKS
from conformance.checks.shapes import output_shape
from conformance.faults import explanation
from conformance.journals.outcomes import Outcome
from conformance.journals.tally import Failures
from conformance.plan import Example
from conformance.plan.growing import grown
from conformance.reproducers.reproducer import Shown, script
from conformance.results import Doubt, Evidence, Finding, Status

_DOUBTS: dict[Doubt, str] = {
    "": "",
    "chance": "; not reproduced in a fresh process: it depends on earlier calls, or on chance",
    "time": "; seen once: no time was left to reproduce it",
}
UNEXPECTED = "passes although a strict entry expects it to fail"


@dataclass(slots=True)
class Explainer:
    """Explains what fails of one implementation.

    Attributes:
        questions: to its processes.
        showing: shows failures again.
        naming: names them.
        was_left: whether it was left before it could shrink what it is given.
    """

    questions: Questions
    showing: Showing
    naming: Naming
    was_left: bool = False

    def leave(self) -> None:
        """Ask nothing more."""
        self.questions.team, self.was_left = None, True

    def finding(self, group: Failures, attempts: int) -> Finding:
        """The finding of `group`, which shares check and cause; shown again in `attempts`."""
        first = first_failure(group)
        assert group.least is not None
        outcome, self.showing.was_shared = first.outcome, False
        again = Again((group.least.case,), group.least.outcome, "time" if self.was_left else "")
        if attempts:
            again = self.showing.again(group, attempts)
        cases, shown, doubt = again.cases, again.outcome, again.doubt
        diagnosis, evidence, larger_case, larger = None, None, "", None
        if self.questions.team is not None and not doubt:
            evidence = self._evidence(cases, outcome)
            diagnosis = self.naming.diagnosis(cases, group, outcome, alike=again.is_alike)
            larger_case, larger = self._larger(cases, outcome) if attempts else ("", None)
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
                    cause=shown.cause,
                    evidence=evidence,
                    exits="SystemExit" in shown.message,
                    doubtful=bool(doubt),
                    untried=not attempts and self.showing.is_misled,
                    by_chance=outcome.foreign_memory,
                ),
                self.questions.tally.info,
            ),
            reason=outcome.reason,
            link=outcome.link,
            evidence=evidence,
            doubt=doubt,
            larger_case=larger_case,
            larger=larger,
        )

    def _evidence(self, cases: Example, like: Outcome) -> Evidence | None:
        if (
            like.status not in (Status.FAILED, Status.EXPECTED_FAILURE)
            or self.questions.budget.over
        ):
            return None
        if like.foreign_memory:
            return None  # it is chance
        return self.questions.worker.explain(cases, like.check)

    def _larger(self, cases: Example, like: Outcome) -> tuple[str, Evidence | None]:
        """A case like the smallest one on which the same check fails and a pattern shows."""
        check = CHECKS[like.check]
        shown = check.judges_values or check is output_shape
        if (
            not shown
            or like.status is not Status.FAILED
            or len(cases) > 1
            or self.questions.budget.over
        ):
            return "", None
        may_ask = self.questions.asked.may_ask
        candidates = tuple(case for case in grown(cases[0]) if may_ask(case))
        for case, outcome in zip(
            candidates, self.questions.outcomes(candidates, like.check), strict=True
        ):
            if outcome is not None and outcome.status is Status.FAILED:
                evidence = self.questions.worker.explain((case,), like.check)
                if evidence is not None and evidence.shows_what_is_wrong and evidence.input:
                    return str(case), evidence
        return "", None
