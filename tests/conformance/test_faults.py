"""The suite's power: every known way to get a convolution wrong is caught early, and named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tried

from conformance.capabilities import EVERYTHING
from conformance.case import Case
from conformance.checks import judge
from conformance.diagnosis import diagnose
from conformance.faults import FAULTS, Fault, Problem, solve
from conformance.implementations.base import FunctionImplementation
from conformance.plan import Asked, plan
from conformance.results import Status
from reference_impl import conv2d
from reference_impl.dtypes import format_of
from reference_impl.rounding import round_to

CONFIGURATIONS = 200
ENOUGH = 25  # failing cases to name a cause from
# Needs as many filters as the output is wide, in channels_first: not met in every campaign.
RARE = {
    "bias_along_width": Case.parse("in1x2x3x4-f3-k1x2-cf-integers.0"),
    # Wrong only where zeros meet special values.
    "dilation_inflated": Case.parse("in2x8x9x2-f3-k2-d2-special.0"),
    "groups_block_diagonal": Case.parse("in2x8x9x4-f4-k2-g2-special.0"),
}
# Wrong in the same way wherever they fail.
ALIKE = {
    "strides_horizontal_twice": {"strides_ignored"},
    "same_all_after": {"same_large_pad_after"},
}


def planned_cases() -> Iterator[tuple[int, Case]]:
    for planned in plan(1, Asked("function"), limit=CONFIGURATIONS):
        for at, cases in planned.configurations():
            yield from ((at, case) for case in cases)


def as_function(fault: Fault) -> Callable[..., Any]:
    """The fault as an implementation that people could have written."""

    def wrong(x: Any, kernel: Any, bias: Any = None, **arguments: Any) -> Any:
        first = arguments["data_format"] == "channels_first"
        wide = x.astype(np.float64)
        problem = Problem(
            x=np.moveaxis(wide, 1, -1) if first else wide,
            kernel=kernel.astype(np.float64),
            bias=None if bias is None else bias.astype(np.float64),
            strides=arguments["strides"],
            dilation=arguments["dilation_rate"],
            groups=arguments["groups"],
            same=arguments["padding"] == "same",
            channels_first=first,
        )
        value = fault.wrong(problem)
        value = np.moveaxis(value, -1, 1) if first else value
        return round_to(np.ascontiguousarray(value), format_of(x.dtype))

    return wrong


@pytest.fixture(scope="module")
def cases() -> list[tuple[int, Case]]:
    return list(planned_cases())


@pytest.mark.parametrize("name", FAULTS)
def test_a_known_fault_is_caught_and_named(name: str, cases: list[tuple[int, Case]]):
    implementation = FunctionImplementation(name, as_function(FAULTS[name]))
    failing: list[Case] = []
    for _, case in [*cases, *([(0, RARE[name])] if name in RARE else [])]:
        made = tried.judged(
            case,
            implementation,
            ("output_shape", "exact_values", "bounded_values", "special_values"),
        )
        if any(judgement.status is Status.FAILED for judgement in made):
            failing.append(case)
        if len(failing) == ENOUGH:
            break
    assert failing
    named = diagnose([tried.tried(case, implementation) for case in failing])
    assert named == name or named in ALIKE.get(name, set())


def test_no_fault_explains_a_right_implementation(cases: list[tuple[int, Case]]):
    implementation = FunctionImplementation("right", conv2d)
    assert diagnose([tried.tried(case, implementation) for _, case in cases[:50]]) is None


@pytest.mark.parametrize(
    "text", ["in2x5x7x4-f6-k3x2-s2-same-g2-integers.0", "in1x4x6x7-f2-k2-cf-integers.1"]
)
def test_without_a_fault_a_problem_has_the_solution_of_the_reference(text: str):
    trial = tried.tried(Case.parse(text), FunctionImplementation("right", conv2d))
    problem = Problem.of(trial.case, trial.data)
    right = Fault("none", "does nothing wrong", "", solve).result(trial.case, trial.data)
    assert problem.output == trial.case.geometry.output
    assert np.array_equal(right, trial.expected.value)


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
