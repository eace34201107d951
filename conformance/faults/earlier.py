"""What of an earlier call a later one may answer with: said of results, whatever is kept and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from conformance.faults.makers import fitted
from conformance.faults.problem import Problem, Reals, solve

Values = Callable[[Problem, Problem, Reals], Iterator[Reals]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """One way in which an earlier call shows in a later one.

    Attributes:
        name: short, stable name.
        sentence: what a convolution of which this is true does.
        source: a public report of such a fault, as for `Fault`, or empty.
        values: from an earlier problem, the present one and what the earlier call returned (with
            channels last) to what may then be returned.
        takes: which parts of the earlier call are used; empty where it is none of its parts.
        computes: whether values of the earlier call are computed with, not only left or returned.
        activates: whether the activation is that of the earlier call.
        covers: faults of the table that show themselves so.
    """

    name: str
    sentence: str
    values: Values
    source: str = ""
    takes: frozenset[str] = frozenset()
    computes: bool = False
    activates: bool = False
    covers: tuple[str, ...] = ()

    @property
    def explanation(self) -> str:
        """What it does and where it has happened, in one sentence."""
        return f"It {self.sentence}{f', as in {self.source}' if self.source else ''}."


def _with(*names: str) -> Values:
    """The present problem with parts of the earlier one; of its own output size where need be."""

    def values(earlier: Problem, now: Problem, returned: Reals) -> Iterator[Reals]:
        parts: dict[str, Any] = {name: getattr(earlier, name) for name in names}
        if "kernel" in parts and parts["kernel"].size == now.kernel.size:
            parts["kernel"] = parts["kernel"].reshape(now.kernel.shape)
        try:
            value = solve(replace(now, **parts))
        except (ValueError, IndexError):  # they do not fit
            return
        yield value
        if value.shape[1:3] != now.output:
            yield fitted(value, now.output)

    return values


def _result(earlier: Problem, now: Problem, returned: Reals) -> Iterator[Reals]:
    yield returned


def _added(earlier: Problem, now: Problem, returned: Reals) -> Iterator[Reals]:
    value = solve(now)
    if value.shape == returned.shape:
        yield value + returned


def _room_for_as_many(earlier: Problem, now: Problem, returned: Reals) -> Iterator[Reals]:
    value = solve(now)
    if 0 < len(earlier.x) < len(value):
        value[len(earlier.x) :] = 0
        yield value


def _samples_left(earlier: Problem, now: Problem, returned: Reals) -> Iterator[Reals]:
    value = solve(now)
    if value.shape[1:] == returned.shape[1:] and len(returned) > len(value):
        yield np.concatenate([value, returned[len(value) :]])


def _of_parts(name: str, sentence: str, source: str, *parts: str, covers: str = "") -> Carried:
    return Carried(
        name=name,
        sentence=sentence,
        source=source,
        values=_with(*parts),
        takes=frozenset(parts),
        computes=not _ARRAYS.isdisjoint(parts),
        covers=tuple(covers.split()),
    )


_ARRAYS = frozenset({"x", "kernel", "bias"})
_PARTS = ("x", "kernel", "bias", "strides", "dilation", "groups", "same")

ROWS = (
    _of_parts("earlier_weights", "answers with the kernel of an earlier call", "uxlfoundation/oneDNN#1113", "kernel", covers="weights_stale weights_stale_by_count weights_stale_by_address weights_known_by_ends"),
    _of_parts("earlier_bias", "answers with the bias of an earlier call, or without one as there", "tenstorrent/tt-metal#40192", "bias", covers="plan_without_bias"),
    _of_parts("earlier_kernel_and_bias", "answers with kernel and bias of an earlier call", "uxlfoundation/oneDNN#1113", "kernel", "bias"),
    _of_parts("earlier_strides", "answers with the strides of an earlier call", "google/XNNPACK#10791", "strides"),
    _of_parts("earlier_dilation", "answers with the dilation of an earlier call", "apache/tvm#1970", "dilation", covers="plan_without_dilation"),
    _of_parts("earlier_padding", "answers with the padding of an earlier call", "google/XNNPACK#10791", "same"),
    _of_parts("earlier_groups", "answers with the groups of an earlier call", "", "groups"),
    _of_parts("earlier_arguments", "answers with strides, dilation and padding of an earlier call", "google/XNNPACK#10791", "strides", "dilation", "same", covers="address_table_kept"),
    _of_parts("earlier_input", "answers for the input of an earlier call", "", "x"),
    Carried(name="earlier_activation", sentence="answers with the activation of an earlier call", values=_with(), activates=True),
    Carried(name="earlier_result", sentence="returns the result of an earlier call", values=_result, takes=frozenset(_PARTS)),
    Carried(name="earlier_sums", sentence="adds its result to that of an earlier call", source="ggml-org/ggml#591", values=_added, computes=True, covers=("sums_onto_last",)),
    Carried(name="earlier_batch", sentence="has room for as many samples as an earlier call had", source="jolibrain/caffe#81", values=_room_for_as_many, covers=("batch_of_first_call",)),
    Carried(name="earlier_samples", sentence="leaves samples of an earlier result behind its own", values=_samples_left),
)  # fmt: skip

EARLIER: dict[str, Carried] = {row.name: row for row in ROWS}
