"""Naming the cause: the known fault that gives what an implementation returned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from conformance.checks.trial import CheckFailure, Trial
from conformance.criteria import error_ratio, expected_of
from conformance.errors import Crashed, Unsupported
from conformance.faults import FAULTS, Fault
from conformance.special import Sort, sorts
from conformance.sums import kept_sums


def diagnose(trials: Sequence[Trial]) -> str | None:
    """Name of the fault that explains every failing trial, None if none does.

    A fault explains a trial when the implementation's result lies within the derived bound of the
    fault's result everywhere: by exact equality on exact data.
    """
    failing = [trial for trial in trials if _is_wrong(trial)]
    if not failing:
        return None
    for fault in FAULTS.values():
        if all(_explains(fault, trial) for trial in failing):
            return fault.name
    return None


def _same_sorts(trial: Trial, value: NDArray[np.float64]) -> bool:
    """Whether `value` has the special values of the result, and is near where it is wrong."""
    got, judged = trial.output.astype(np.float64), trial.special.sort != Sort.OPEN
    if not np.array_equal(sorts(value)[judged], sorts(got)[judged]):
        return False
    finite = trial.special.wrong(trial.output) & np.isfinite(got)
    right = trial.expected.value
    near = 2 * np.abs(got[finite] - value[finite]) <= np.abs(got[finite] - right[finite])
    return bool(near.all())


def _is_wrong(trial: Trial) -> bool:
    try:
        got = trial.output
    except (CheckFailure, Unsupported, Crashed):
        return False
    want = trial.expected
    if got.shape != want.value.shape:
        return True
    if trial.case.data == "special":
        return bool(trial.special.wrong(got).any())
    return bool((error_ratio(got, want) > 1).any())


def _explains(fault: Fault, trial: Trial) -> bool:
    value = fault.result(trial.case, trial.data)
    got = trial.output
    if value is None:
        return False
    if trial.case.data == "special":
        return value.shape == got.shape and _same_sorts(trial, value)
    want = expected_of(trial.case, trial.data, trial.info.declared, value, kept_sums)
    if got.shape != want.value.shape or np.any(error_ratio(got, want) > 1):
        return False
    right = trial.expected
    if got.shape != right.value.shape:
        return True
    # The bound is that of the largest sum in the case: the worst element must also be far nearer.
    worst = np.unravel_index(int(error_ratio(got, right).argmax()), got.shape)
    value_there = float(got[worst].astype(np.float64))
    if not np.isfinite(value_there):
        return True
    return bool(2 * abs(value_there - want.value[worst]) <= abs(value_there - right.value[worst]))
