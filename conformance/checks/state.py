"""Checks that compare several calls, or look at what a call leaves behind."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.calls import AGAIN, OTHER, OUTPUT, STILL, WEIGHTS, Call, Kind
from conformance.checks.check import check
from conformance.checks.shapes import TYPED, output_shape
from conformance.checks.trial import CheckFailure, Trial
from conformance.criteria import is_exact
from conformance.data import OVERWRITTEN
from conformance.implementations.info import Info
from reference_impl.dtypes import as_dtype

KEEPS_GIVEN = "keeps the arrays that set_weights was given"
NAMED = {"x": "input", "kernel": "kernel", "bias": "bias"}


@check(
    observes=lambda trial: (OUTPUT, OTHER, STILL),
    applies=lambda trial: trial.one_in(10),
    after=TYPED,
    only=lambda info: Kind.STILL in info.answers,
    compares_calls=True,
)
def own_memory(trial: Trial) -> None:
    """A result keeps its values during the next call, and shares no memory with what was given."""
    first = trial.output
    still, shared = trial.answer(STILL)
    for name in shared:
        raise CheckFailure(f"the result shares memory with the {NAMED[name]}")
    if not _same_bits(first, still):
        raise CheckFailure(
            "the next call changes an earlier result",
            f"{_count_different(first, still)} of {first.size} elements of the first result are "
            "others after a further call",
        )


def _repeats(trial: Trial) -> tuple[Call, ...]:
    return (OUTPUT, AGAIN) if trial.info.costly_calls else (OUTPUT, OTHER, AGAIN)


def _deterministic(info: Info) -> bool:
    return Kind.AGAIN in info.answers and info.declared.deterministic


@check(
    observes=_repeats,
    applies=lambda trial: trial.one_in(5),
    after=TYPED,
    only=_deterministic,
    compares_calls=True,
)
def repeated_call(trial: Trial) -> None:
    """The same input gives the same bits again, even after another input of the same shape."""
    first = trial.output
    for call in _repeats(trial)[1:]:
        again = trial.array(call)
    if not (_same_bits(first, again) or _same_special(first, again)):
        raise CheckFailure(
            "a repeated call gives another result",
            f"{_count_different(first, again)} of {first.size} elements differ between two calls",
        )


def _samples(trial: Trial) -> tuple[Call, ...]:
    last = trial.case.geometry.batch - 1
    indices = (0,) if trial.info.costly_calls else (0, last)
    return (OUTPUT, *(Call(Kind.SAMPLE, (index,)) for index in indices))


def _may_split(trial: Trial) -> bool:
    return trial.case.geometry.batch > 1 and is_exact(trial.case) and trial.one_in(3)


def _direct(info: Info) -> bool:
    return Kind.SAMPLE in info.answers and info.declared.algorithm == "direct"


@check(observes=_samples, applies=_may_split, after=TYPED, only=_direct, compares_calls=True)
def batch_independence(trial: Trial) -> None:
    """A sample gives the same values alone as in a batch; checked on exact data."""
    whole = trial.output
    for call in _samples(trial)[1:]:
        (index,) = call.of
        assert index is not None
        if not _same_values(whole[index : index + 1], trial.array(call)):
            raise CheckFailure(
                "a sample depends on the rest of its batch",
                f"sample {index} of {trial.case.geometry.batch} differs from the same sample alone",
            )


@check(
    observes=lambda trial: (OUTPUT, WEIGHTS),
    after=(output_shape,),
    only=lambda info: Kind.WEIGHTS in info.answers,
    diagnosed=True,
)
def unchanged_inputs(trial: Trial) -> None:
    """A call does not change its input, the memory around it, or the weights."""
    data = trial.data
    if (now := trial.changed_view("x", data.x)) is not None:
        where = "memory around the input" if _same_bits(data.x, now) else "input"
        raise CheckFailure(f"changes the {where}")
    want = [w for w in (data.kernel, data.bias) if w is not None]
    dtype = want[0].dtype
    if trial.info.kind == "layer":
        dtype = as_dtype(trial.case.variable_dtype)
    held = trial.answer(WEIGHTS)
    if len(held) != len(want):
        raise CheckFailure(
            "holds another number of weights", f"expected {len(want)} weights, got {len(held)}"
        )
    for name, before, after in zip(("kernel", "bias"), want, held, strict=False):
        if after.shape == before.shape and after.dtype != dtype:
            cause = f"holds the {name} in another dtype"
            raise CheckFailure(cause, f"expected {dtype.name}, is {after.dtype.name}")
        if not _same_special(before.astype(dtype), after):
            kept = after.size > 0 and (after == OVERWRITTEN).all()
            raise CheckFailure(KEEPS_GIVEN if kept else f"changes the {name}")


def _same_values(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Equal by value: -0 equals 0, and NaN equals NaN."""
    return np.array_equal(a.astype(np.float64), b.astype(np.float64), equal_nan=True)


def _same_special(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """The same but for the bits of NaN, which nobody promises."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    nan = np.isnan(a.astype(np.float64))
    same = np.array_equal(nan, np.isnan(b.astype(np.float64)))
    return same and _same_bits(a[~nan], b[~nan])


def _same_bits(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def _count_different(a: NDArray[Any], b: NDArray[Any]) -> int:
    if a.shape != b.shape or a.dtype != b.dtype:
        return a.size
    unsigned = np.dtype(f"u{a.dtype.itemsize}")
    return int((a.view(unsigned) != b.view(unsigned)).sum())
