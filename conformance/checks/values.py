"""Checks of the values of one call."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance.capabilities import FLOAT32_SUMS, FLUSHES, HALF_SUMS, INTENDED, Capabilities
from conformance.checks.check import Found, Seen, check
from conformance.checks.shapes import TYPED
from conformance.checks.trial import CheckFailure, Trial
from conformance.criteria import accumulation_format, error_ratio, expected, is_exact
from conformance.data import SPECIAL_KINDS
from conformance.special import SHOWN, Sort, sorts
from conformance.sums import kept_sums
from reference_impl.dtypes import format_of

BEYOND = "errors exceed the derived bound"
ORDINARY = ("normal", "cancelling")  # data whose products are far from both ends of the range
MANY = 32  # products, and results, that tell how precise the sums were


@check(applies=lambda trial: is_exact(trial.case), after=TYPED, judges_values=True, diagnosed=True)
def exact_values(trial: Trial) -> None:
    """On integers with exact partial sums, the result is exact."""
    if (error_ratio(trial.output, trial.expected) > 1).any():
        raise _difference(trial, "values differ from the exact result")


def _is_bounded(trial: Trial) -> bool:
    return not is_exact(trial.case) and trial.case.data not in SPECIAL_KINDS


@check(applies=_is_bounded, after=TYPED, judges_values=True, diagnosed=True)
def bounded_values(trial: Trial) -> Found:
    """On all other data, every element is within its derived bound of the exact result."""
    ratio = float(error_ratio(trial.output, trial.expected).max(initial=0.0))
    if ratio > 1:
        cause = BEYOND
        if _is_flushed(trial):
            cause = FLUSHES
        elif _is_float32_sum(trial):
            cause = FLOAT32_SUMS
        elif _is_half_sum(trial):
            cause = HALF_SUMS[trial.case.compute_dtype]
        raise _difference(trial, cause, ratio)
    return Found(ratio, _precision_of_sums(trial))


@check(applies=lambda trial: trial.case.data in SPECIAL_KINDS, after=TYPED, diagnosed=True)
def special_values(trial: Trial) -> Found:
    """NaN and infinity reach the elements whose terms hold them, by IEEE 754, and no others."""
    got = trial.output
    wrong = trial.special.wrong(got)
    if not wrong.any():
        return Found(seen=trial.special.seen(got))
    want, found = trial.special.sort[wrong], sorts(got)[wrong]
    if (want == Sort.FINITE).all():
        cause = "special values reach elements that do not read them"
        if (found == Sort.FINITE).any():
            cause = "errors beside special values exceed the derived bound"
    elif (found == Sort.FINITE).all():
        cause = "special values are lost"
    else:
        cause = "special values give other ones than IEEE 754 says"
    index = tuple(map(int, np.argwhere(wrong)[0]))
    expected_there = SHOWN[Sort(int(want[0]))]
    raise CheckFailure(
        cause,
        f"element {index}: expected {expected_there}, got {float(got[index]):.9g}; "
        f"{int(wrong.sum())} of {got.size} elements are wrong",
    )


def _precision_of_sums(trial: Trial) -> Seen:
    """How precise the sums must have been, where there are enough products and results to tell.

    Where sums in the usual precision would hardly give so many results that are all rounded
    correctly, they had more of it.
    """
    case, declared, want = trial.case, trial.info.declared, trial.expected
    is_plain = case.activation in (None, "linear") and not case.has_bias
    is_whole = case.geometry.pads == ((0, 0), (0, 0))  # every window has all its products
    is_telling = case.data in ORDINARY and min(case.geometry.taps, want.value.size) >= MANY
    if not (is_plain and is_whole and is_telling) or declared.algorithm != "direct":
        return {}
    usual = accumulation_format(case, replace(declared, accumulation=None))
    if want.fmt.precision < usual.precision:
        as_usual = f"as in {usual.name} or more"
    else:
        rounded = np.array_equal(trial.output, want.rounded)
        as_usual = f"as in more than {usual.name}" if rounded else f"as in {usual.name}"
    fits = declared.accumulation is None or _would_pass(trial, replace(declared, accumulation=None))
    return {f"sums of {case.compute_dtype}": as_usual if fits else f"as in {declared.accumulation}"}


def _is_flushed(trial: Trial) -> bool:
    """Whether what is wrong is 0, and would be correct if subnormals counted as 0."""
    wrong = error_ratio(trial.output, trial.expected) > 1
    if trial.output[wrong].astype(np.float64).any():
        return False
    got = np.abs(trial.output.astype(np.float64))
    if ((got > 0) & (got < 2.0**trial.expected.fmt.min_exponent)).any():
        return False  # it knows such numbers
    return _would_pass(trial, replace(trial.info.declared, flushes_subnormals=True))


def _is_float32_sum(trial: Trial) -> bool:
    """Whether float64 data give what sums in float32 could have given, within its range."""
    case = trial.case
    if case.compute_dtype != "float64" or case.activation not in (None, "linear"):
        return False
    narrow = replace(trial.info.declared, accumulation="float32", algorithm="direct")
    if np.abs(trial.expected.value).max(initial=0.0) < 2.0 ** format_of("float32").min_exponent:
        return False  # below it float32 can give anything
    return _would_pass(trial, narrow)


def _is_half_sum(trial: Trial) -> bool:
    """Whether 16-bit data give what sums in their own format could have given.

    Errors of a single rounding are those of another way to round. Roundings of n terms mostly
    cancel: beyond some square roots of n of them, a structural fault is likelier.
    """
    case, fmt = trial.case, trial.expected.fmt
    if fmt.precision > 11 or case.activation not in (None, "linear") or case.geometry.taps < 2:
        return False
    narrow = replace(trial.info.declared, accumulation=fmt.name, algorithm="direct")
    want = expected(case, trial.data, narrow, kept_sums)
    worst = error_ratio(trial.output, want).max(initial=0.0)
    if not worst <= min(1.0, 4 / np.sqrt(case.geometry.taps + 2)):
        return False
    error = np.abs(trial.output.astype(np.float64) - want.value)
    return bool((error > 4 * fmt.unit_roundoff * np.abs(want.value)).any())


def _would_pass(trial: Trial, declared: Capabilities) -> bool:
    want = expected(trial.case, trial.data, declared, kept_sums)
    return not (error_ratio(trial.output, want) > 1).any()


def _difference(trial: Trial, cause: str, ratio: float | None = None) -> CheckFailure:
    want = trial.expected
    got = trial.output.astype(np.float64)
    ratios = error_ratio(trial.output, want)
    wrong = int((ratios > 1).sum())
    with np.errstate(invalid="ignore"):
        error = np.abs(got - want.value)
    severity = np.where(np.isnan(error), np.inf, error) if want.exact else ratios
    worst = np.unravel_index(int(severity.argmax()), got.shape)
    finite = np.isfinite(got)
    if cause in INTENDED:
        pass
    elif not finite.any():
        cause = "returns nothing but NaN or infinity"
    elif not finite[ratios > 1].all():
        cause = "returns NaN or infinity where the exact result is finite"
    elif not got.any():
        cause = "returns nothing but zeros"
    limit = "" if want.exact else f" (allowed error {want.bound[worst]:.3g})"
    message = (
        f"element {tuple(map(int, worst))}: expected {want.value[worst]:.9g}, got "
        f"{got[worst]:.9g}{limit}; {wrong} of {got.size} elements are wrong"
    )
    return CheckFailure(cause, message, ratio)
