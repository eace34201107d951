"""Faults between calls: what an implementation keeps of one call and uses in another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.faults.fault import Fault
from conformance.faults.makers import fitted, is_padded, padded, plain, three_by_three
from conformance.faults.problem import Problem, Reals, Wrong, correlated, solve

Key = tuple[Any, ...]
Array = NDArray[Any]


def _between(
    name: str,
    kind: str,
    sentence: str,
    source: str,
    start: Callable[[], Wrong],
    *,
    determinate: bool = True,
    as_returned: bool = False,
    first_sight: bool = True,
) -> Fault:
    """A fault that depends on earlier calls."""
    return Fault(
        name=name,
        kind=kind,
        sentence=sentence,
        source=source,
        start=start,
        between_calls=True,
        determinate=determinate,
        as_returned=as_returned,
        first_sight=first_sight,
    )


def _arguments(p: Problem) -> Key:
    shape = p.x.shape, p.kernel.shape, p.bias is None, p.dtype
    return (*shape, p.strides, p.dilation, p.groups, p.same, p.channels_first)


def _keeps(
    key: Callable[[Problem], Key],
    kept: Callable[[Problem], dict[str, Any]],
) -> Callable[[], Wrong]:
    """What ``kept`` gives for the first call with a key stays for later calls with that key."""

    def start() -> Wrong:
        table: dict[Key, dict[str, Any]] = {}

        def call(problem: Problem) -> Reals:
            parts = table.setdefault(key(problem), kept(problem))
            try:
                value = solve(replace(problem, **parts))
            except ValueError:  # the plan is none for this call, so another one is made
                value = solve(problem)
            return value

        return call

    return start


def _weights(p: Problem) -> dict[str, Any]:
    return {"kernel": p.kernel.copy()}


def _ends(p: Problem) -> Key:
    flat = p.kernel.reshape(-1)
    return (*_arguments(p), float(flat[0]), float(flat[-1]))


def _ready_for_the_first() -> Wrong:
    """Weights are flipped for outputs of 64 positions or more, and read as the output is now."""
    table: dict[Key, bool] = {}

    def call(problem: Problem) -> Reals:
        large = problem.output[0] * problem.output[1] >= 64
        ready = table.setdefault((problem.kernel.shape, problem.kernel.tobytes()), large)
        if not (plain(problem) and three_by_three(problem)) or ready == large:
            return solve(problem)
        return solve(replace(problem, kernel=problem.kernel[::-1, ::-1]))

    return call


def _moved_zeros() -> Wrong:
    """Zeros for 256 channels or more move when there are more; who knew them reads what is left."""
    table: dict[Key, int] = {}
    room = [0]

    def call(problem: Problem) -> Reals:
        if not is_padded(problem):
            return solve(problem)
        room[0] = max(room[0], 256, problem.channels)
        sizes = problem.x.shape[1:], problem.kernel.shape[:2], problem.strides, problem.dilation
        known = table.setdefault(sizes, room[0])
        return solve(problem) if known == room[0] else correlated(problem, padded(problem, _ones))

    return call


def _ones(problem: Problem) -> Reals:
    return np.ones_like(padded(problem))


def _by_count() -> Wrong:
    """Weights are kept by their number alone."""
    table: dict[int, Reals] = {}

    def call(problem: Problem) -> Reals:
        kernel = table.setdefault(problem.kernel.size, problem.kernel.copy())
        return solve(replace(problem, kernel=kernel.reshape(problem.kernel.shape)))

    return call


def _address(p: Problem) -> Key:
    kernel = p.given[1]
    return kernel.__array_interface__["data"][0], kernel.shape, kernel.dtype.name


def _bias_or_none() -> Wrong:
    """Whether there is a bias is kept by shape; a missing one is that of the last call."""
    table: dict[Key, Reals | None] = {}

    def call(problem: Problem) -> Reals:
        key = _arguments(replace(problem, bias=None))
        first = table.setdefault(key, problem.bias)
        if (first is None) != (problem.bias is None):
            problem = replace(problem, bias=first)
        return solve(problem)

    return call


def _address_table() -> Wrong:
    """Where windows start is kept by the size of the input, however many windows there are."""
    table: dict[Key, dict[str, Any]] = {}

    def call(problem: Problem) -> Reals:
        key = problem.size, problem.window, problem.channels, problem.groups
        own = {name: getattr(problem, name) for name in ("strides", "dilation", "same")}
        kept = table.setdefault(key, own)
        if kept == own:
            return solve(problem)
        return fitted(solve(replace(problem, **kept)), problem.output)

    return call


def _batch_of_the_first() -> Wrong:
    """Room for as many samples as the first call with these shapes had."""
    table: dict[Key, int] = {}

    def call(problem: Problem) -> Reals:
        value = solve(problem)
        key = problem.x.shape[1:], problem.kernel.shape, problem.strides, problem.same
        most = table.setdefault(key, len(value))
        value[max(most, 1) :] = 0
        return value

    return call


def _onto_the_last() -> Wrong:
    """A result is added to what its buffer holds."""
    buffers: dict[Key, Reals] = {}

    def call(problem: Problem) -> Reals:
        value = solve(problem)
        before = buffers.get(value.shape)
        if before is not None:
            value = value + before
        buffers[value.shape] = value
        return value

    return call


def _second_time() -> Wrong:
    """The second call of 1x1 with the same input, whose width is odd, lacks the last two values."""
    seen: set[bytes] = set()

    def call(problem: Problem) -> Reals:
        if problem.window != (1, 1) or problem.size[1] % 2 == 0:
            return solve(problem)
        content = problem.given[0].tobytes()
        if content not in seen:
            seen.add(content)
            return solve(problem)
        x = problem.x.copy()
        x.reshape(-1)[-2:] = 0
        return solve(replace(problem, x=x))

    return call


def _same_memory() -> Callable[[Problem], Array]:
    """Results of a shape and dtype are views of one buffer."""
    buffers: dict[Key, Array] = {}

    def call(problem: Problem) -> Array:
        result = problem.finished(solve(problem))
        buffer = buffers.setdefault((result.shape, result.dtype.name), np.empty_like(result))
        buffer[...] = result
        return buffer[...]

    return call


def _pad_buffer() -> Wrong:
    """Padded inputs lie in one buffer that is zero at the start only."""
    buffer = np.zeros(0)

    def call(problem: Problem) -> Reals:
        nonlocal buffer
        x = padded(problem)
        if x.size == problem.x.size:
            return correlated(problem, x)
        if x.size > buffer.size:
            buffer = np.zeros(x.size)
        kept = buffer[: x.size].reshape(x.shape)
        (top, _), (left, _) = problem.pads
        h, w = problem.size
        kept[:, top : top + h, left : left + w] = problem.x
        return correlated(problem, kept.copy())

    return call


def _uncleared() -> Wrong:
    """Depthwise results in float16 are added to whatever the memory held."""
    rng = np.random.default_rng()

    def call(problem: Problem) -> Reals:
        value = solve(problem)
        if problem.is_depthwise and problem.dtype == "float16":
            value = value + rng.integers(1, 9, value.shape)
        return value

    return call


def _race() -> Wrong:
    """Two threads share a workspace: a sample now and then is that of its neighbour."""
    rng = np.random.default_rng()

    def call(problem: Problem) -> Reals:
        value = solve(problem)
        if len(value) > 1 and rng.random() < 0.3:
            at = int(rng.integers(1, len(value)))
            value[at] = value[at - 1]
        return value

    return call


ROWS = (
    _between("weights_stale", "stale weights", "keeps the first weights of a configuration", "uxlfoundation/oneDNN#1113", _keeps(_arguments, _weights)),
    _between("weights_stale_by_count", "stale weights", "keeps weights by their number", "ooples/AiDotNet#1219", _by_count),
    _between("weights_stale_by_address", "stale weights", "keeps weights by their address", "tensorflow/tensorflow#56150", _keeps(_address, _weights), determinate=False),
    _between("plan_without_bias", "plans with too small a key", "keeps by shape whether there is a bias", "tenstorrent/tt-metal#40192", _bias_or_none),
    _between("plan_without_dilation", "plans with too small a key", "keeps the first dilation of a shape", "apache/tvm#1970", _keeps(lambda p: (p.x.shape, p.kernel.shape, p.strides, p.same), lambda p: {"dilation": p.dilation})),
    _between("address_table_kept", "plans with too small a key", "keeps where windows start by the size of the input, whatever strides, padding and dilation are", "google/XNNPACK#10791", _address_table),
    _between("batch_of_first_call", "buffers", "has room for as many samples as the first call had", "jolibrain/caffe#81", _batch_of_the_first),
    _between("weights_for_first_size", "weights made ready", "makes weights ready for a large or a small input, whichever comes first", "PaddlePaddle/Paddle-Lite#6377", _ready_for_the_first, first_sight=False),
    _between("weights_known_by_ends", "weights made ready", "knows weights again by the first and the last of them", "tensorflow/tensorflow#56218", _keeps(_ends, _weights), first_sight=False),
    _between("zeros_moved", "memory that moves", "keeps where the zeros of its padding lay, and moves them for more channels", "microsoft/onnxruntime#27215", _moved_zeros),
    _between("sums_onto_last", "buffers", "adds a result to the last one of its shape", "ggml-org/ggml#591", _onto_the_last),
    _between("pad_buffer_kept", "buffers", "leaves an earlier input where padding should be", "mlpack/mlpack#1554", _pad_buffer),
    _between("second_call_loses_values", "the same input again", "loses the last two values of an input of odd width when it comes again", "tensorflow/tfjs#4844", _second_time),
    _between("result_overwritten", "results that change", "returns the same memory for every result of a shape", "shimat/opencvsharp#1162", _same_memory, as_returned=True),
    _between("memory_not_cleared", "chance", "adds depthwise sums of float16 to what the memory held", "tensorflow/tensorflow#24430", _uncleared, determinate=False),
    _between("threads_share_workspace", "chance", "gives a sample now and then the result of its neighbour", "FluxML/NNlib.jl#158", _race, determinate=False),
)  # fmt: skip
