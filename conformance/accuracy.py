"""Naming errors that are those of a fast algorithm, which an implementation may declare.

On integers a direct convolution is exact, or off by integers. A fast algorithm misses them by small
parts of one, to either side; what is scaled misses them to one side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from conformance.capabilities import ALGORITHMS, FAST_ERRORS
from conformance.checks.trial import Trial
from conformance.criteria import accumulated, expected, is_exact

ENOUGH_VALUES = 12  # that are off, of exact data
ENOUGH_OF_A_SIGN = 3  # of these, larger than exact, and smaller


def diagnose_accuracy(failing: Sequence[Trial]) -> str | None:
    """The name of errors of a fast algorithm where all are; None if not, or if that is not sure."""
    exact = [trial for trial in failing if is_exact(trial.case)]
    return FAST_ERRORS if _are_small_and_of_both_signs(exact) and are_fast(failing) else None


def are_fast(failing: Sequence[Trial]) -> bool:
    """Whether all would be correct if the same fast algorithm were declared."""
    fast = (name for name in ALGORITHMS if name != "direct")
    return any(all(_is_correct(trial, algorithm) for trial in failing) for algorithm in fast)


def _is_correct(trial: Trial, algorithm: str) -> bool:
    declared = replace(trial.info.declared, algorithm=algorithm)
    other = Trial(trial.case, replace(trial.info, declared=declared))
    other.answers, other.data = trial.answers, trial.data
    other.expected = expected(trial.case, trial.data, declared, accumulated)
    return not other.is_wrong


def _are_small_and_of_both_signs(exact: Sequence[Trial]) -> bool:
    """Whether results are near the exact integers, and some on either side of them."""
    signs: list[NDArray[np.float64]] = []
    for trial in exact:
        want = trial.expected.value
        if trial.output.shape != want.shape:
            return False
        error = trial.output.astype(np.float64) - want
        if not (np.abs(error) < 0.5).all():
            return False
        signs.append(np.sign(error * want)[error != 0])
    every = np.concatenate([*signs, np.zeros(0)])
    larger, smaller = int((every > 0).sum()), int((every < 0).sum())
    return every.size >= ENOUGH_VALUES and min(larger, smaller) >= ENOUGH_OF_A_SIGN
