"""The reference's sums for a case, computed once for all who are judged by them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from conformance.case import Case
from conformance.criteria import accumulated
from conformance.data import Arrays
from reference_impl.convolution import Accumulated

MOST_BYTES = 256 * 2**20

Key = tuple[Any, ...]


class _Kept:
    """What was computed last, the oldest dropped beyond `MOST_BYTES`."""

    def __init__(self) -> None:
        self.found: OrderedDict[Key, Accumulated] = OrderedDict()
        self.size = 0

    def get(self, key: Key) -> Accumulated | None:
        if key in self.found:
            self.found.move_to_end(key)
        return self.found.get(key)

    def put(self, key: Key, sums: Accumulated) -> None:
        if key in self.found:
            self.size -= _size(self.found.pop(key))
        self.found[key] = sums
        self.size += _size(sums)
        while self.size > MOST_BYTES:
            _, old = self.found.popitem(last=False)
            self.size -= _size(old)


_kept = _Kept()


def kept_sums(case: Case, data: Arrays, magnitude: bool) -> Accumulated:
    """The sums of `case` for its arrays `data`; nobody may change either."""
    key = key_of(case)
    kept = _kept.get(key)
    if kept is not None and (kept.magnitude is not None or not magnitude):
        return kept
    sums = accumulated(case, data, magnitude)
    _kept.put(key, sums)
    return sums


def key_of(case: Case) -> Key:
    """What the sums of a case depend on.

    The arguments, the kind of data, the seeds and the compute dtype: not memory layout (unless it
    repeats values), spelling or activation (unless its knees make the values).
    """
    repeated = tuple(v == "broadcast" for v in (case.view, case.kernel_view, case.bias_view))
    bent = case.activation if case.data == "knees" else None
    seeds = (case.seed, case.weights)
    return case.geometry, case.compute_dtype, case.data, seeds, case.has_bias, repeated, bent


def _size(sums: Accumulated) -> int:
    return sums.value.nbytes + (0 if sums.magnitude is None else sums.magnitude.nbytes)
