"""What fails beside the smallest case of a finding, so that the condition of few is no guess."""

from __future__ import annotations

from dataclasses import replace

from conformance.campaign.questions import Questions
from conformance.case import Case, parse_sequence
from conformance.causes import Failing
from conformance.checks import CHECKS
from conformance.checks.shapes import output_shape
from conformance.plan.beside import around
from conformance.results import Finding, Status

MOST_FAILING = 12  # cases of a finding; the plan tells enough of more
MOST_PRODUCTS = 2_000_000  # of a case that is tried
MOST_STARTS = 2  # of processes: where cases end them, the rest is not worth it


def nearby(finding: Finding, questions: Questions) -> Failing:
    """The cases around the smallest one that fail as it does, and those on which all checks pass.

    None where there are many without, or where what fails depends on more than the case. Every
    number and word changes in some of them, so that what they have in common is no chance.
    """
    check = CHECKS.get(finding.check)
    if questions.team is None or check is None or finding.count > MOST_FAILING:
        return Failing()
    if finding.doubt or finding.takes_earlier_calls:
        return Failing()
    values = check.judges_values or check is output_shape
    least = parse_sequence(finding.minimal_case)[0]
    if finding.status is not Status.FAILED or not values or least.asks != "values":
        return Failing()
    asked = around(least)
    if questions.tally.info.kind == "layer":
        activations = (None, "relu")
        asked += [replace(least, activation=a) for a in activations if a != least.activation]
    may_ask = questions.asked.may_ask
    cases = tuple(c for c in dict.fromkeys(asked) if may_ask(c) and _products(c) <= MOST_PRODUCTS)
    failing: dict[str, Case] = {}
    passing: dict[str, Case] = {}
    starts = questions.worker.observer.starts
    for case, outcomes in zip(cases, questions.every(questions.worker, cases), strict=True):
        if questions.budget.over or questions.worker.observer.starts > starts + MOST_STARTS:
            break
        if (check.name, finding.cause) in {(o.check, o.cause) for o in outcomes}:
            failing[str(case)] = case
        elif {o.status for o in outcomes} == {Status.PASSED}:
            passing[str(case)] = case
    return Failing(failing, beside=passing)


def known_nearby(finding: Finding) -> Failing:
    """The same of a finding that was made elsewhere."""
    if finding.count > MOST_FAILING:
        return Failing()
    failing, passing = (
        {text: Case.parse(text) for text in texts}
        for texts in (finding.nearby, finding.passing_nearby)
    )
    return Failing(failing, beside=passing)


def _products(case: Case) -> int:
    """How many products a result takes, or how many elements the input has, if those are more."""
    g = case.geometry
    height, width = g.output
    window = g.kernel_size[0] * g.kernel_size[1] * g.channels // g.groups
    of_input = g.batch * g.size[0] * g.size[1] * g.channels
    return max(g.batch * height * width * case.filters * window, of_input)
