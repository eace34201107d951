"""Checks that compare several calls, or look at what a call leaves behind."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.checks.check import check
from conformance.checks.shapes import TYPED, output_shape
from conformance.checks.trial import CheckFailure, Trial
from conformance.criteria import is_exact
from conformance.implementations.base import Implementation
from reference_impl.dtypes import as_dtype


def _deterministic(implementation: Implementation) -> bool:
    return not implementation.recorded and implementation.declared.deterministic


@check(applies=lambda trial: trial.one_in(5), after=TYPED, only=_deterministic)
def repeated_call(trial: Trial) -> None:
    """The same input gives the same bits again, even after another input of the same shape."""
    first = trial.output
    if not trial.implementation.costly_calls:
        trial.call(-trial.given.x)
    again = trial.call(trial.given.x)
    if not _same_bits(first, again):
        raise CheckFailure(
            "a repeated call gives another result",
            f"{_count_different(first, again)} of {first.size} elements differ between two calls",
        )


def _may_split(trial: Trial) -> bool:
    return trial.case.geometry.batch > 1 and is_exact(trial.case) and trial.one_in(3)


def _direct(implementation: Implementation) -> bool:
    return not implementation.recorded and implementation.declared.algorithm == "direct"


@check(applies=_may_split, after=TYPED, only=_direct)
def batch_independence(trial: Trial) -> None:
    """A sample gives the same values alone as in a batch; checked on exact data."""
    whole = trial.output
    for index in (
        {0, trial.case.geometry.batch - 1} if not trial.implementation.costly_calls else {0}
    ):
        alone = trial.call(trial.given.x[index : index + 1])
        if not np.array_equal(whole[index : index + 1], alone):  # -0 equals 0
            raise CheckFailure(
                "a sample depends on the rest of its batch",
                f"sample {index} of {trial.case.geometry.batch} differs from the same sample alone",
            )


@check(after=(output_shape,), only=lambda implementation: not implementation.recorded)
def unchanged_inputs(trial: Trial) -> None:
    """A call does not change its input, the memory around it, or the weights."""
    trial.output  # noqa: B018 - it must have been called
    data, given = trial.data, trial.given
    if not _same_bits(data.owner, given.owner):
        where = "input" if not _same_bits(data.x, given.x) else "memory around the input"
        raise CheckFailure(f"changes the {where}")
    want = [w for w in (data.kernel, data.bias) if w is not None]
    dtype = want[0].dtype
    if trial.implementation.kind == "layer":
        dtype = as_dtype(trial.case.variable_dtype)
    held = trial.weights()
    if len(held) != len(want):
        raise CheckFailure(
            "holds another number of weights", f"expected {len(want)} weights, got {len(held)}"
        )
    for name, before, after in zip(("kernel", "bias"), want, held, strict=False):
        if not _same_bits(before.astype(dtype), np.asarray(after)):
            raise CheckFailure(f"changes the {name}")


def _same_bits(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def _count_different(a: NDArray[Any], b: NDArray[Any]) -> int:
    if a.shape != b.shape or a.dtype != b.dtype:
        return a.size
    unsigned = np.dtype(f"u{a.dtype.itemsize}")
    return int((a.view(unsigned) != b.view(unsigned)).sum())
