"""Naming the cause: the known fault that gives what an implementation returned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from conformance.checks.trial import CheckFailure, Trial
from conformance.criteria import error_ratio, expected_of
from conformance.data import SPECIAL_KINDS
from conformance.errors import Crashed, Unsupported
from conformance.faults import FAULTS, Fault
from conformance.special import Sort, sorts
from conformance.sums import kept_sums


def diagnose(trials: Sequence[Trial], first: Sequence[str] = ()) -> str | None:
    """Name of the fault that explains every failing trial, None if none does.

    Of several, one called `first`, then the first that strikes under a condition; None where only
    unconditional ones are left and more than one of them explains all.
    A fault explains a trial when the implementation's result lies within the derived bound of the
    fault's result everywhere: by exact equality on exact data. What depends on earlier calls or on
    chance is never named.
    """
    failing = [trial for trial in trials if _is_wrong(trial)]
    if not failing:
        return None
    for name in first:
        if FAULTS[name].is_diagnosis and _explains_all(FAULTS[name], failing):
            return name
    found: list[str] = []
    for fault in FAULTS.values():
        if fault.is_diagnosis and _explains_all(fault, failing):
            if fault.when is not None:
                return fault.name
            found.append(fault.name)
    return found[0] if len(found) == 1 else None


def _explains_all(fault: Fault, failing: Sequence[Trial]) -> bool:
    """Whether it explains some of them and contradicts none."""
    explained = False
    for trial in failing:
        one = fault.strikes(trial.case, trial.data) and _explains(fault, trial)
        if one is False:
            return False
        explained |= one is True
    return explained


def _is_wrong(trial: Trial) -> bool:
    try:
        got = trial.output
    except (CheckFailure, Unsupported, Crashed):
        return False
    want = trial.expected
    if got.shape != want.value.shape:
        return True
    if trial.case.data in SPECIAL_KINDS:
        return bool(trial.special.wrong(got).any())
    return bool((error_ratio(got, want) > 1).any())


def _explains(fault: Fault, trial: Trial) -> bool | None:
    """Whether the fault gives what was returned; None where the right result is as near to it."""
    value = fault.result(trial.case, trial.data)
    got = trial.output
    if value is None or got.shape != value.shape:
        return False
    right = trial.expected
    compared = np.ones(got.shape, bool)
    if trial.case.data in SPECIAL_KINDS:
        same = sorts(value) == sorts(got)
        if got.shape != right.value.shape:
            return bool(same.all())
        sort = trial.special.sort
        if not same[sort != Sort.OPEN].all():
            return False
        compared = (sort != Sort.OPEN) & np.isfinite(value)
    want = expected_of(trial.case, trial.data, trial.info.declared, value, kept_sums)
    if np.any(error_ratio(got, want)[compared] > 1):
        return False
    if trial.case.data == "special":
        compared &= trial.special.sort == Sort.FINITE
        if not trial.special.wrong(got)[compared].any():
            return True
    if got.shape != right.value.shape:
        return True
    # The bound is that of the largest sum in the case: the worst element must also be far nearer.
    ratios = np.where(compared, error_ratio(got, right), 0.0)
    worst = np.unravel_index(int(ratios.argmax()), got.shape)
    there, correct = float(got[worst].astype(np.float64)), float(right.value[worst])
    if not np.isfinite(there):
        return True
    error = abs(there - correct)
    if 2 * abs(there - want.value[worst]) <= error:
        return True
    # Within two steps of the format, rounding alone may make it look nearer to either.
    return None if error <= 4 * right.fmt.unit_roundoff * abs(correct) else False
