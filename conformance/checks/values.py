"""Checks of the values of one call."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance.checks.check import check
from conformance.checks.shapes import TYPED
from conformance.checks.trial import CheckFailure, Trial
from conformance.criteria import error_ratio, expected, is_exact
from conformance.sums import kept_sums

FLOAT32_SUMS = (
    "float64 data give the accuracy of float32; if that is meant, declare "
    "Capabilities(accumulation='float32')"
)


@check(applies=lambda trial: is_exact(trial.case), after=TYPED, judges_values=True, diagnosed=True)
def exact_values(trial: Trial) -> None:
    """On integers with exact partial sums, the result is exact."""
    if (error_ratio(trial.output, trial.expected) > 1).any():
        raise _difference(trial, "values differ from the exact result")


@check(
    applies=lambda trial: not is_exact(trial.case), after=TYPED, judges_values=True, diagnosed=True
)
def bounded_values(trial: Trial) -> float:
    """On all other data, every element is within its derived bound of the exact result."""
    ratio = float(error_ratio(trial.output, trial.expected).max(initial=0.0))
    if ratio > 1:
        cause = FLOAT32_SUMS if _is_float32_sum(trial) else "errors exceed the derived bound"
        raise _difference(trial, cause, ratio)
    return ratio


def _is_float32_sum(trial: Trial) -> bool:
    """Whether float64 data give what sums in float32 could have given."""
    case = trial.case
    if case.compute_dtype != "float64" or case.activation not in (None, "linear"):
        return False
    narrow = replace(trial.info.declared, accumulation="float32", algorithm="direct")
    want = expected(case, trial.data, narrow, kept_sums)
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
    if not finite.any():
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
