"""Known faults: a complete table, and causes that are named correctly or not at all."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

import numpy as np
import pytest
import tried

from conformance.capabilities import EVERYTHING
from conformance.case import Case
from conformance.checks import judge
from conformance.diagnosis import diagnose
from conformance.faults import FAULTS, Problem, explanation, fault, solve
from conformance.faults.numbers import significand
from conformance.implementations.base import FunctionImplementation
from conformance.plan import Asked, plan
from conformance.results import Status
from reference_impl import conv2d

AT_LEAST = 120
MOST_OF_A_KIND = 3


def planned_cases(number: int) -> list[Case]:
    """The first cases of a plan."""
    cases = (case for one in plan(1, Asked("function")) for case in one.example)
    return list(islice((case for case in cases if case.but is None), number))


def test_the_table_is_long_and_of_many_kinds():
    assert len(FAULTS) >= AT_LEAST
    assert max(Counter(row.kind for row in FAULTS.values()).values()) <= MOST_OF_A_KIND


def test_every_fault_says_another_thing():
    assert len({row.sentence for row in FAULTS.values()}) == len(FAULTS)


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_has_the_address_of_a_report(name: str):
    assert FAULTS[name].address.startswith("https://github.com/")


def test_a_source_that_is_no_address_is_refused():
    row = fault("none", "none", "does nothing wrong", "somewhere", solve)
    with pytest.raises(ValueError, match="somewhere"):
        row.address  # noqa: B018 - computed for its refusal


def test_a_quarter_was_written_before_the_plan_was_run_on_it():
    first = [row for row in FAULTS.values() if row.first_sight is not None]
    assert len(first) >= len(FAULTS) / 4


@pytest.mark.parametrize("name", [n for n, row in FAULTS.items() if not row.is_diagnosis])
def test_what_a_single_call_does_not_tell_is_never_named(name: str):
    row = FAULTS[name]
    assert row.between_calls or not row.determinate or row.as_returned


def test_no_fault_explains_a_correct_implementation():
    implementation = FunctionImplementation("correct", conv2d)
    cases = planned_cases(50)
    assert diagnose([tried.tried(case, implementation) for case in cases]) is None


def test_faults_that_explain_the_same_are_not_named():
    """With strides (2, 1) the horizontal stride for both axes is no stride at all."""
    case = Case.parse("in1x9x9x2-f2-k1-s2x1-integers.0")
    other = Case.parse("in1x9x9x2-f2-k1-s2-integers.0")
    found = [tried.tried(one, FAULTS["strides_ignored"].function()) for one in (case, other)]
    assert diagnose(found[:1]) is None
    assert diagnose(found) == "strides_ignored"


@pytest.mark.parametrize(
    "text", ["in2x5x7x4-f6-k3x2-s2-same-g2-integers.0", "in1x4x6x7-f2-k2-cf-integers.1"]
)
def test_without_a_fault_a_problem_has_the_solution_of_the_reference(text: str):
    trial = tried.tried(Case.parse(text), FunctionImplementation("correct", conv2d))
    problem = Problem.of(trial.case, trial.data)
    found = fault("none", "none", "does nothing wrong", "no/where#1", solve)
    assert problem.output == trial.case.geometry.output
    assert np.array_equal(found.result(trial.case, trial.data), trial.expected.value)


@pytest.mark.parametrize(
    "view", ["transposed", "permuted", "sliced", "cropped", "split", "reversed"]
)
def test_memory_that_is_misread_is_named_where_it_is_that_of_the_array(view: str):
    """A reversed view starts at its last element: what follows that is not its memory."""
    case = Case.parse(f"in2x4x5x3-f2-k2-view.{view}-integers.0")
    trial = tried.tried(case, FAULTS["input_strides_ignored"].function())
    named = diagnose([trial])
    assert named == (None if view == "reversed" else "input_strides_ignored")
    assert FAULTS["input_strides_ignored"].is_told(trial.case, trial.data) == (view != "reversed")


def test_of_two_ways_to_misread_memory_the_narrower_one_is_named():
    """In channels_first dense samples are what C order is."""
    case = Case.parse("in2x3x4x5-f2-k2-cf-view.split-integers.0")
    for name in ("samples_dense", "input_strides_ignored"):
        assert diagnose([tried.tried(case, FAULTS[name].function())]) == "samples_dense"
    other = Case.parse("in2x3x4x5-f2-k2-view.split-integers.0")
    function = FAULTS["input_strides_ignored"].function()
    both = [tried.tried(one, function) for one in (case, other)]
    assert diagnose(both) == "input_strides_ignored"


def test_a_fault_outside_its_condition_is_correct():
    case = Case.parse("in1x9x9x2-f2-k3-integers.0")
    row = FAULTS["groups_only_first"]
    trial = tried.tried(case, row.function())
    assert not row.strikes(case, trial.data)
    assert {judgement.status for judgement in judge(trial)} == {Status.PASSED}


def test_a_fault_between_calls_begins_anew_in_a_new_process():
    cases = [Case.parse(f"in1x6x6x2-f2-k3-integers.{seed}") for seed in (1, 2)]
    function = FAULTS["weights_stale"].function()
    statuses = [
        {j.status for j in judge(tried.tried(case, one))}
        for case, one in (
            (cases[0], function),
            (cases[1], function),
            (cases[1], FAULTS["weights_stale"].function()),
        )
    ]
    assert [Status.FAILED in found for found in statuses] == [False, True, False]


def test_a_fault_that_comes_no_nearer_explains_nothing():
    """Tiny weights dropped, beside sums so large that the bound of the case hides them."""

    def drops_tiny_weights(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        return conv2d(x, np.where(np.abs(kernel) < 2e-16, 0, kernel), bias, **given)

    case = Case.parse("in1x1x1x5-f8-k1-float64-wide.1")
    implementation = FunctionImplementation("drops tiny weights", drops_tiny_weights)
    implementation.capabilities = EVERYTHING
    trial = tried.tried(case, implementation)
    assert Status.FAILED in {judgement.status for judgement in judge(trial)}
    assert diagnose([trial]) is None


def test_a_significand_is_rounded_to_nearest():
    assert significand(np.array([1 + 2**-3, 1 + 2**-2 + 2**-3]), 3).tolist() == [1.0, 1.5]


def wrong(**changes: Any) -> Any:
    """The reference, given other arguments."""

    def conv2d_of(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        return conv2d(
            x, kernel, bias, **{n: changes.get(n, lambda v: v)(v) for n, v in given.items()}
        )

    return conv2d_of


def trials(function: Any, *cases: str) -> list[Any]:
    return [
        tried.tried(Case.parse(case), FunctionImplementation("wrong", function)) for case in cases
    ]


def test_a_fault_along_one_axis_is_named_so():
    function = wrong(strides=lambda s: (1, s[1]))
    cases = [f"in1x9x9x2-f2-k2-s{s}-integers.{s[0]}" for s in ("2x3", "3x2", "4x2")]
    assert diagnose(trials(function, *cases)) == "strides_ignored_along_height"
    assert diagnose(trials(function, *cases[:1])) is None


SWAPPED = {"strides": lambda v: v[::-1], "dilation_rate": lambda v: v[::-1]}


def test_two_faults_are_named_where_some_case_needs_both():
    without = wrong(strides=SWAPPED["strides"])

    def both_at_once(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        return without(x, kernel, None, **given)

    plain, strided, unbiased = "", "-s2x3", "-s3x1-nobias"
    cases = [f"in1x9x9x2-f2-k2{one}-integers.7" for one in (plain, strided, unbiased)]
    found = trials(both_at_once, *cases)
    assert diagnose(found) is None
    assert diagnose(found, pairs=True) == "bias_ignored + strides_swapped"


def test_two_faults_are_not_named_where_one_of_them_is_enough_for_each_case():
    cases = [f"in1x9x9x2-f2-k2-{one}-integers.1" for one in ("s2x3", "s3x1", "d2x3", "d3x1")]
    assert diagnose(trials(wrong(**SWAPPED), *cases), pairs=True) is None


def test_a_pair_is_explained_by_both():
    name = "bias_ignored + strides_swapped"
    assert explanation(name) == (
        f"It {FAULTS['bias_ignored'].sentence}; and {FAULTS['strides_swapped'].sentence}, as in "
        f"{FAULTS['bias_ignored'].source} and {FAULTS['strides_swapped'].source}."
    )
