"""Naming what wrong results have in common where no known fault gives them.

*Errors of a fast algorithm*, which an implementation may declare: on integers a direct convolution
is exact, or off by integers. A fast algorithm misses them by small parts of one, to either side;
what is scaled misses them to one side.

*Results of other samples*: each sample that is wrong has the correct result of another one of its
batch, as where threads share a buffer. Which ones they are may differ from call to call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.capabilities import ALGORITHMS, FAST_ERRORS
from conformance.checks.trial import Trial
from conformance.criteria import accumulated, error_ratio, expected, is_exact
from conformance.data import SPECIAL_KINDS
from conformance.faults.pattern import OTHER_SAMPLES

ENOUGH_VALUES = 12  # that are off, of exact data
ENOUGH_OF_A_SIGN = 3  # of these, larger than exact, and smaller


def diagnose_pattern(failing: Sequence[Trial]) -> str | None:
    """The name of the pattern that all of `failing` show, and enough of them for sure."""
    exact = [trial for trial in failing if is_exact(trial.case)]
    return next(
        (name for name, sure in _IS_SURE.items() if sure(exact) and show(name, failing)), None
    )


def show(name: str, failing: Sequence[Trial]) -> bool:
    """Whether none of `failing` contradicts the pattern of that name."""
    return _SHOW[name](failing)


def _are_fast(failing: Sequence[Trial]) -> bool:
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
        signs.append(np.sign(np.where(want == 0, error, error * want))[error != 0])
    every = np.concatenate([*signs, np.zeros(0)])
    larger, smaller = int((every > 0).sum()), int((every < 0).sum())
    return every.size >= ENOUGH_VALUES and min(larger, smaller) >= ENOUGH_OF_A_SIGN


def _are_of_other_samples(failing: Sequence[Trial]) -> bool:
    return all(_wrong_values(trial) is not None for trial in failing)


def _are_many_of_other_samples(exact: Sequence[Trial]) -> bool:
    return sum(_wrong_values(trial) or 0 for trial in exact) >= ENOUGH_VALUES


def _wrong_values(trial: Trial) -> int | None:
    """How many values are wrong; None unless each wrong sample is another one of the batch.

    Nothing but zeros is no such sample: that has other reasons.
    """
    got = trial.output
    if got.shape != trial.expected.value.shape:
        return None
    wrong = _wrong(trial, got)
    for sample in np.flatnonzero(wrong.any(axis=(1, 2, 3))):
        taken = np.broadcast_to(got[sample], got.shape)
        if not (got[sample] != 0).any() or _wrong(trial, taken).any(axis=(1, 2, 3)).all():
            return None
    return int(wrong.sum())


def _wrong(trial: Trial, values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where `values` would be wrong as the result of `trial`."""
    if trial.case.data in SPECIAL_KINDS:
        return trial.special.wrong(values)
    return error_ratio(values, trial.expected) > 1


_Holds = Callable[[Sequence[Trial]], bool]
_SHOW: dict[str, _Holds] = {FAST_ERRORS: _are_fast, OTHER_SAMPLES: _are_of_other_samples}
# On exact data alone.
_IS_SURE: dict[str, _Holds] = {
    FAST_ERRORS: _are_small_and_of_both_signs,
    OTHER_SAMPLES: _are_many_of_other_samples,
}
