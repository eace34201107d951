"""Right Winograd and FFT convolutions pass where they are declared; wrong ones are still caught."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tried
from fast_algorithms import (
    CORRELATE,
    F2,
    F4,
    F6,
    Array,
    DropsAChannel,
    Fast,
    PadsAfterIt,
    TransposesTheKernel,
    direct,
    made,
    winograd,
)

from conformance.axes import DATA_KINDS
from conformance.capabilities import EVERYTHING, FAST_ERRORS, Capabilities
from conformance.case import Case
from conformance.criteria import WINOGRAD_AMPLIFICATION, error_ratio, expected, is_exact
from conformance.data import SPECIAL_KINDS, Arrays, arrays
from conformance.diagnosis import diagnose
from conformance.plan import Asked, plan
from conformance.results import Status
from reference_impl.dtypes import format_of

VALUES = ("exact_values", "bounded_values")

pytestmark = pytest.mark.filterwarnings("ignore:(overflow|invalid|underflow):RuntimeWarning")


def cases(implementation: Fast, configurations: int) -> Iterator[Case]:
    """What a campaign asks; for Winograd's algorithm with a kernel that it applies to."""
    declared = implementation.declared
    for planned in plan(0, Asked("function", declared), limit=configurations):
        for case in (case for case in planned.example if case.but is None):
            yield as_winograd(case) if declared.algorithm == "winograd" else case


def as_winograd(case: Case) -> Case:
    return replace(
        case,
        kernel_size=3,
        strides=None,
        dilation_rate=None,
        padding=case.padding if min(case.geometry.size) >= 3 else "same",
    )


def failures(implementation: Fast, case: Case) -> list[str]:
    made = tried.judged(case, implementation, VALUES)
    return [f"{case}: {j.message}" for j in made if j.status is not Status.PASSED]


@pytest.mark.parametrize("name", CORRELATE)
def test_a_right_fast_convolution_passes_a_thousand_cases(name: str):
    implementation = made(name)
    asked = list(cases(implementation, 500))
    assert len(asked) > 1000
    assert {case.data for case in asked} == {*DATA_KINDS} - {"integers"}
    assert [text for case in asked for text in failures(implementation, case)] == []


@pytest.mark.parametrize("name", CORRELATE)
@pytest.mark.parametrize("fault", [PadsAfterIt, DropsAChannel, TransposesTheKernel])
def test_a_structural_fault_is_caught_wherever_it_shows(name: str, fault: type[Fast]):
    """None hides below a bound that holds for a whole sample, on integers or on other data."""
    right, wrong = made(name), made(name, fault)
    caught: list[tuple[bool, bool]] = []
    for case in cases(right, 100):
        # Special values have a check of their own; transforms may lose whatever is subnormal.
        if case.data in (*SPECIAL_KINDS, "subnormal"):
            continue
        data = arrays(case)
        arguments = (data.x, data.kernel, data.bias)
        one, other = (
            f.conv2d(*arguments, **case.function_arguments()).astype(np.float64)
            for f in (right, wrong)
        )
        # Where the exact result is zero, or below the normal range, both return noise.
        fmt = format_of(case.compute_dtype)
        scale = float(abs(data.x).max(initial=0)) * float(abs(data.kernel).max(initial=0))
        noise = 8 * min(fmt.unit_roundoff, 2.0**-24) * scale
        if abs(one - other).max(initial=0) > max(abs(one).max(initial=0) / 100, noise):
            caught.append((is_exact(case), bool(failures(wrong, case))))
    assert len(caught) >= 5
    assert {exact for exact, _ in caught} == {True, False}
    assert all(found for _, found in caught)


@pytest.mark.parametrize("name", ["winograd F(4, 3)", "fft"])
def test_a_fast_convolution_that_is_not_declared_fails(name: str):
    undeclared = made(name)
    undeclared.capabilities = EVERYTHING
    asked = [as_winograd(case) for case in cases(undeclared, 60)]
    failing = [case for case in asked if failures(undeclared, case)]
    assert {is_exact(case) for case in failing} == {True, False}


def named(implementation: Fast, declared: Fast) -> str | None:
    """The diagnosis of what fails on the cases of `declared`."""
    asked = list(cases(declared, 40))
    integers = [replace(case, data="integers") for case in asked]
    trials = [tried.tried(case, implementation, VALUES) for case in (*asked, *integers)]
    failing = [trial for trial in trials if trial.is_wrong]
    assert {is_exact(trial.case) for trial in failing} == {True, False}
    return diagnose(failing)


@pytest.mark.parametrize("name", ["winograd F(4, 3)", "winograd F(6, 3)", "fft"])
def test_errors_of_a_fast_algorithm_are_named_where_it_is_not_declared(name: str):
    declared, undeclared = made(name), made(name)
    undeclared.capabilities = EVERYTHING
    assert named(undeclared, declared) == FAST_ERRORS


class Scales(Fast):
    """As a batch normalisation folded into the kernel, whose epsilon is forgotten."""

    def weights(self, kernel: Array) -> Array:
        return kernel * kernel.dtype.type(1.0001)


@pytest.mark.parametrize("fault", [Scales, PadsAfterIt, DropsAChannel])
def test_other_errors_are_not_taken_for_those_of_a_fast_algorithm(fault: type[Fast]):
    declared = made("winograd F(4, 3)")
    wrong = fault("wrong", direct, EVERYTHING)
    fast = fault("wrong and fast", winograd(F4), EVERYTHING)
    for one in (wrong, fast):
        assert named(one, declared) != FAST_ERRORS


@pytest.mark.parametrize("name", ["winograd F(4, 3)", "fft"])
def test_errors_that_leak_between_elements_are_within_the_bound_and_beyond_the_direct_one(
    name: str,
):
    """One large value among small ones: the error of every element is that of the large one."""
    case = Case.parse("in1x12x13x2-f3-k3-same-nobias-normal.0")
    rng = np.random.default_rng(0)
    x = rng.standard_normal(case.input_shape).astype(np.float32)
    x[0, 5, 6] = 1e6
    data = Arrays(x, x, rng.standard_normal(case.kernel_shape).astype(np.float32), None)
    got = made(name).conv2d(data.x, data.kernel, **case.function_arguments())
    for capabilities, within in ((made(name).declared, True), (EVERYTHING, False)):
        assert (error_ratio(got, expected(case, data, capabilities)).max() <= 1) == within


def test_nobody_else_is_given_more_room():
    """The bound of a fast algorithm is for who declares it."""
    case = Case.parse("in2x9x8x3-f4-k3-same-normal.0")
    data = arrays(case)
    bounds = {
        algorithm: expected(case, data, Capabilities(algorithm=algorithm)).bound.max()
        for algorithm in ("direct", "winograd", "fft")
    }
    assert bounds["direct"] < bounds["fft"] < bounds["winograd"] < 0.3


def test_the_amplification_of_the_bound_is_that_of_the_matrices():
    def amplification(tiles: Any) -> float:
        """Largest |result| along one axis for |x| <= 1 and weights whose magnitudes sum to 1."""
        window = abs(tiles.input).sum(axis=1)
        # Convex in the weights, so greatest where all of their magnitude is in one.
        return float((abs(tiles.output) @ (window[:, None] * abs(tiles.kernel))).max())

    assert amplification(F2) < amplification(F4) < amplification(F6)
    assert amplification(F6) == pytest.approx(WINOGRAD_AMPLIFICATION**0.5, abs=0.01)


@pytest.mark.parametrize("algorithm", ["winograd", "fft"])
@pytest.mark.parametrize("layout", ["cl", "cf"])
def test_an_empty_batch_has_a_bound_too(algorithm: str, layout: str):
    case = Case.parse(f"in0x4x6x4-f2-k3-same-g2-{layout}-normal.0")
    data = arrays(case)
    want = expected(case, data, Capabilities(algorithm=algorithm))
    assert want.bound.shape == want.value.shape == case.geometry.output_shape


@pytest.mark.parametrize("algorithm", ["winograd", "fft"])
def test_integers_allow_less_than_half_the_distance_to_the_next(algorithm: str):
    case = Case.parse("in1x6x6x2-f2-k3-small.0")
    want = expected(case, arrays(case), Capabilities(algorithm=algorithm))
    assert want.exact
    for error, right in ((0, True), (0.4999, True), (-0.4999, True), (0.5, False), (1, False)):
        assert (error_ratio(want.value + error, want).max() <= 1) == right
