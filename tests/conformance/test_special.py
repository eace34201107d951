"""NaN and infinity reach the elements whose terms hold them, and no others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tried
from fast_algorithms import CORRELATE, Fast, made
from hypothesis import given, settings
from numpy.typing import NDArray
from patches import in_pairs, in_sequence, is_small, patches
from test_criteria import cases

import reference_impl
from conformance import Capabilities
from conformance.capabilities import EVERYTHING
from conformance.case import Case
from conformance.criteria import expected
from conformance.data import Arrays, arrays
from conformance.diagnosis import diagnose
from conformance.results import Status
from conformance.special import Sort, Special, special
from reference_impl.dtypes import as_dtype

pytestmark = pytest.mark.filterwarnings("ignore:(overflow|invalid|divide):RuntimeWarning")

PLAIN = Case.parse("in2x4x5x2-f2-k2x3-special.0")
right = reference_impl.conv2d


def given_values(case: Case, **changed: tuple[tuple[int, ...], float]) -> Arrays:
    """Ones, but for one element of each array that is named."""
    plain = arrays(replace(case, data="integers"))
    found: dict[str, NDArray[Any]] = {}
    for name in ("x", "kernel", "bias"):
        array = getattr(plain, name)
        if array is None:
            continue
        found[name] = np.ones_like(array)
        if name in changed:
            index, value = changed[name]
            found[name][index] = value
    return Arrays(found["x"], found["x"], found["kernel"], found.get("bias"))


def judged(case: Case, data: Arrays, declared: Capabilities = EVERYTHING) -> Special:
    return special(case, data, declared, expected(case, data, declared))


def count(sort: NDArray[np.uint8]) -> dict[Sort, int]:
    return {s: int((sort == s).sum()) for s in Sort if (sort == s).any()}


@pytest.mark.parametrize(
    ("value", "sort"), [(np.nan, Sort.NAN), (np.inf, Sort.PLUS), (-np.inf, Sort.MINUS)]
)
def test_a_special_value_of_the_input_reaches_its_windows(value: float, sort: Sort):
    found = judged(PLAIN, given_values(PLAIN, x=((1, 0, 0, 1), value))).sort
    assert count(found) == {Sort.FINITE: 2 * 3 * 3 * 2 - 2, sort: 2}
    assert (found[1, 0, 0] == sort).all()


def test_a_special_weight_reaches_its_filter_and_is_open_over_the_padding():
    same = replace(PLAIN, padding="same")
    for case, beside in ((PLAIN, 0), (same, 2 * (5 + 4 - 1))):
        found = judged(case, given_values(case, kernel=((1, 2, 0, 1), -np.inf))).sort
        assert count(found[..., 0]) == {Sort.FINITE: found[..., 0].size}
        assert (found[..., 1] == Sort.OPEN).sum() == beside
        assert (found[..., 1] == Sort.MINUS).sum() == found[..., 1].size - beside


def test_a_special_bias_reaches_its_filter():
    found = judged(PLAIN, given_values(PLAIN, bias=((1,), np.inf))).sort
    assert (found[..., 1] == Sort.PLUS).all()
    assert (found[..., 0] == Sort.FINITE).all()


def test_infinities_of_both_signs_are_nan_whatever_else_there_is():
    data = given_values(PLAIN, x=((0, 0, 0, 0), np.inf), bias=((0,), -np.inf))
    assert judged(PLAIN, data).sort[0, 0, 0].tolist() == [Sort.NAN, Sort.PLUS]


def test_infinity_times_zero_is_open_unless_there_is_nan_anyway():
    data = given_values(PLAIN, x=((0, 0, 0, 0), np.inf), kernel=((0, 0, 0, 0), 0.0))
    assert judged(PLAIN, data).sort[0, 0, 0].tolist() == [Sort.OPEN, Sort.PLUS]
    data.x[0, 0, 1, 0] = np.nan
    assert judged(PLAIN, data).sort[0, 0, 0].tolist() == [Sort.NAN, Sort.NAN]


def test_behind_an_activation_only_finite_elements_of_an_exact_one_are_judged():
    data = given_values(PLAIN, x=((1, 0, 0, 1), np.nan))
    relu, tanh = (judged(replace(PLAIN, activation=a), data).sort for a in ("relu", "tanh"))
    assert count(relu) == {Sort.FINITE: 34, Sort.OPEN: 2}
    assert count(tanh) == {Sort.OPEN: 36}


@pytest.mark.parametrize("name", ["winograd F(4, 3)", "fft"])
def test_a_fast_algorithm_is_judged_on_the_other_samples(name: str):
    case = Case.parse("in3x7x8x2-f2-k3-special.0")
    data = given_values(case, x=((1, 3, 3, 0), np.nan))
    found = judged(case, data, CORRELATE[name][1]).sort
    assert (found[1] == Sort.OPEN).all()
    assert (found[[0, 2]] == Sort.FINITE).all()


@settings(max_examples=150)
@given(case=cases(data="special").filter(lambda c: is_small(c)))
def test_a_right_sum_in_any_order_is_right(case: Case):
    data = arrays(case)
    p = patches(case, data)
    dtype = np.float64 if case.compute_dtype == "float64" else np.float32
    with np.errstate(all="ignore"):
        products = p.read.astype(dtype) * p.weights.astype(dtype)
        for sums in (in_sequence(products, dtype), in_pairs(products, dtype)):
            for bias_first in (True, False):
                middle = sums if bias_first else sums.astype(as_dtype(case.compute_dtype))
                got = p.arranged(
                    (middle + p.bias.astype(middle.dtype)).astype(as_dtype(case.compute_dtype))
                )
                assert not judged(case, data).wrong(got).any()


@pytest.mark.parametrize("name", CORRELATE)
def test_a_right_fast_algorithm_is_right(name: str):
    for seed in range(30):
        case = Case.parse(f"in3x9x8x2-f3-k3-same-special.{seed}")
        made_on = tried.judged(case, made(name), ("special_values",))
        assert {j.status for j in made_on} == {Status.PASSED}


# Wrong ones ---------------------------------------------------------------------------------------


def replaces_nan(x: Any, kernel: Any, bias: Any = None, **how: Any) -> Any:
    return right(np.nan_to_num(x), kernel, bias, **how)


def spreads_over_the_sample(x: Any, kernel: Any, bias: Any = None, **how: Any) -> Any:
    y = right(x, kernel, bias, **how)
    y[~np.isfinite(y).all(axis=(1, 2, 3))] = np.nan
    return y


def forgets_the_sign(x: Any, kernel: Any, bias: Any = None, **how: Any) -> Any:
    y = right(x, kernel, bias, **how)
    return np.where(np.isinf(y), np.float32(np.inf), y)


def inflates_its_kernel(x: Any, kernel: Any, bias: Any = None, **how: Any) -> Any:
    (kh, kw, *rest), (dh, dw) = kernel.shape, how["dilation_rate"]
    wide = np.zeros(((kh - 1) * dh + 1, (kw - 1) * dw + 1, *rest), kernel.dtype)
    wide[::dh, ::dw] = kernel
    return right(x, wide, bias, **(how | {"dilation_rate": (1, 1)}))


@pytest.mark.parametrize(
    ("function", "cause"),
    [
        (replaces_nan, "special values are lost"),
        (spreads_over_the_sample, "special values reach elements that do not read them"),
        (forgets_the_sign, "special values give other ones than IEEE 754 says"),
        (inflates_its_kernel, "special values reach elements that do not read them"),
    ],
)
def test_what_goes_wrong_is_named(function: Any, cause: str):
    causes = set()
    for seed in range(12):
        case = Case.parse(f"in2x8x9x2-f3-k2-d2-special.{seed}")
        for j in tried.judged(case, function):
            if j.status is Status.FAILED:
                causes.add((j.check, j.cause))
    assert ("special_values", cause) in causes
    assert {check for check, _ in causes} == {"special_values"}


def test_a_kernel_with_zeros_between_its_taps_is_named():
    case = Case.parse("in2x8x9x2-f3-k2-d2-special.0")
    assert diagnose([tried.tried(case, inflates_its_kernel)]) == "dilation_inflated"


def test_a_result_of_nothing_but_nan_is_no_dependence_on_the_batch():
    class Nothing(Fast):
        def conv2d(self, x: Any, kernel: Any, bias: Any = None, **how: Any) -> Any:
            return right(x, kernel, bias, **how) * np.float32(np.nan)

    case = Case.parse("in3x5x6x4-f3-k3x2-integers.1")
    found = {j.check: j.status for j in tried.judged(case, made("fft", Nothing).conv2d)}
    assert found["batch_independence"] is Status.PASSED
    assert found["repeated_call"] is Status.PASSED
    assert found["exact_values"] is Status.FAILED


# What is open -------------------------------------------------------------------------------------


def skips_zeros(x: Any, kernel: Any, bias: Any = None, **how: Any) -> Any:
    """A special value that meets a zero weight, or a zero that meets a special weight, is skipped.

    Right for a 1x1 kernel and one channel, where that is the only term.
    """
    y = right(x, kernel, bias, **how)
    zero = (x == 0) | (kernel.reshape(1, 1, 1, -1) == 0)
    skipped = np.zeros(1, x.dtype) if bias is None else bias
    return np.where(np.broadcast_to(zero, y.shape), skipped, y).astype(y.dtype)


@pytest.mark.parametrize(("function", "told"), [(right, "NaN"), (skips_zeros, "a number")])
def test_what_becomes_of_infinity_and_nan_times_zero_is_told(function: Any, told: str):
    seen: set[tuple[str, str]] = set()
    for seed in range(40):
        case = Case.parse(f"in2x4x4x1-f3-k1-masked.{seed}")
        for j in tried.judged(case, function, ("special_values",)):
            assert j.status is Status.PASSED
            seen |= set(j.seen.items())
    assert seen == {("NaN times zero", told), ("infinity times zero", told)}


@pytest.mark.parametrize("name", ["NaN", "infinity"])
def test_a_special_weight_over_the_padding_is_told(name: str):
    case = replace(PLAIN, padding="same")
    data = given_values(case, kernel=((1, 2, 0, 1), np.nan if name == "NaN" else np.inf))
    made_of = judged(case, data)
    for outside, told in ((np.nan, "NaN"), (6.0, "a number"), (np.inf, "infinity")):
        got = np.full(case.geometry.output_shape, outside, np.float32)
        assert made_of.seen(got) == {f"weight of {name} over padding": told}
    got[0, 0, -1, 1] = 6.0
    assert made_of.seen(got) == {f"weight of {name} over padding": "mixed"}


def test_nan_through_an_activation_is_told():
    data = given_values(PLAIN, x=((1, 0, 0, 1), np.nan))
    found = judged(replace(PLAIN, activation="relu"), data)
    assert found.seen(np.zeros(found.sort.shape, np.float32)) == {"NaN through relu": "a number"}


def test_what_other_terms_decide_is_not_open():
    data = given_values(PLAIN, x=((0, 0, 0, 0), np.inf), kernel=((0, 0, 0, 0), 0.0))
    assert judged(PLAIN, data).open.keys() == {"infinity times zero"}
    data.x[0, 0, 1, 0] = np.nan
    assert "infinity times zero" not in judged(PLAIN, data).open
