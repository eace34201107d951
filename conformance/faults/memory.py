"""Faults of how arrays lie in memory: layouts, blocks, offsets, and what is written where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.faults.fault import fault
from conformance.faults.makers import (
    both,
    changed,
    channels_first,
    channels_last,
    plain,
    pointwise,
    refuses,
    then,
    three_by_three,
    ungrouped,
)
from conformance.faults.problem import Problem, Reals, solve

Array = NDArray[Any]


def _owner(array: Array) -> Array:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _start(array: Array) -> int:
    """Where `array` starts in its owner, in elements."""
    first, start = (a.__array_interface__["data"][0] for a in (_owner(array), array))
    return int(start - first) // array.itemsize


def _read(array: Array, start: int, strides: tuple[int, ...] | None = None) -> NDArray[np.intp]:
    """Which elements of its owner's memory are taken for those of `array`.

    In C order from `start` on, or with `strides` in bytes.
    """
    if strides is None:
        return start + np.arange(array.size).reshape(array.shape)
    steps = [s // array.itemsize for s in strides]
    return np.asarray(start + np.tensordot(steps, np.indices(array.shape), 1))


def _line(array: Array, read: NDArray[np.intp]) -> Reals:
    """The elements `read` of the memory of `array`; beyond its end, from its start."""
    memory = np.ascontiguousarray(_owner(array)).reshape(-1).view(array.dtype)
    return memory[read % memory.size].astype(np.float64)


def _is_within(array: Array, read: NDArray[np.intp]) -> bool:
    return bool(read.min() >= 0 and read.max() < _owner(array).size)


def _channels_last(values: Reals, problem: Problem) -> Reals:
    return np.moveaxis(values, 1, -1) if problem.channels_first else values


def _is_view(array: Array) -> bool:
    return array.size > 0 and _owner(array).size >= 1 and not array.flags.c_contiguous


def _in_c_order(array: Array) -> NDArray[np.intp]:
    return _read(array, _start(array))


def _from_the_start(array: Array) -> NDArray[np.intp]:
    return _read(array, 0, array.strides)


def _dense_samples(x: Array) -> NDArray[np.intp]:
    return _read(x, _start(x), (x[0].nbytes, *x.strides[1:]))


def _x(read: Callable[[Array], NDArray[np.intp]]) -> dict[str, Any]:
    """How an input is read that is read so."""

    def wrong(problem: Problem) -> Reals:
        x = problem.given[0]
        return _channels_last(_line(x, read(x)), problem)

    return {
        "wrong": changed(x=wrong),
        "within": lambda p: _is_within(p.given[0], read(p.given[0])),
    }


def _kernel(read: Callable[[Array], NDArray[np.intp]]) -> dict[str, Any]:
    """As `_x`, for the kernel."""
    return {
        "wrong": changed(kernel=lambda p: _line(p.given[1], read(p.given[1]))),
        "within": lambda p: _is_within(p.given[1], read(p.given[1])),
    }


def _kernel_offset_kept(problem: Problem) -> Reals:
    """A copy in C order, read from where the kernel starts in its own memory."""
    kernel = problem.given[1]
    return np.roll(problem.kernel.reshape(-1), -_start(kernel)).reshape(problem.kernel.shape)


def _result_channels_last(value: Reals, problem: Problem) -> Reals:
    n, h, w, f = value.shape
    return np.moveaxis(np.ascontiguousarray(value).reshape(n, f, h, w), 1, -1)


def _guessed_layout(problem: Problem) -> Reals:
    """An input whose sides and channels are equal is taken for channels_last."""
    return np.ascontiguousarray(np.moveaxis(problem.x, -1, 1))


def _other_layout(value: Reals, problem: Problem) -> Reals:
    return np.moveaxis(value, -1, 1)


def _rows_as_long_as_columns(problem: Problem) -> Reals:
    """Pixel (r, c) is read at ``r * height + c``."""
    h, w = problem.size
    index = (np.arange(h)[:, None] * h + np.arange(w)) % (h * w)
    flat = problem.x.reshape(len(problem.x), h * w, -1)
    x: Reals = flat[:, index]
    return x


def _rows_of_whole_tiles(problem: Problem) -> Reals:
    """Rows beyond the 32nd are looked for where rows of whole tiles would be."""
    h, w = problem.size
    long = -(-w // 32) * 32
    index = (np.arange(h)[:, None] * long + np.arange(w)) % (h * w)
    index[:32] = np.arange(h * w).reshape(h, w)[:32]
    flat = problem.x.reshape(len(problem.x), h * w, -1)
    x: Reals = flat[:, index]
    return x


def _positions_tail(value: Reals, problem: Problem) -> Reals:
    n, h, w, f = value.shape
    flat = value.reshape(n, h * w, f)
    flat[:, h * w // 4 * 4 :] = 0
    return flat.reshape(value.shape)


def _one_position(value: Reals, problem: Problem) -> Reals:
    """The first position of the last whole block of eight gets the value of the one before."""
    n, h, w, f = value.shape
    flat = value.reshape(n, h * w, f)
    at = h * w // 8 * 8 - 8
    flat[:, at] = flat[:, at - 1]
    return flat.reshape(value.shape)


def _packs_left(value: Reals, problem: Problem) -> Reals:
    """Packs of four filters are not taken apart."""
    n, h, w, f = value.shape
    packed = value.reshape(n, h * w, f // 4, 4).swapaxes(1, 2)
    return np.ascontiguousarray(packed).reshape(value.shape)


def _batch_tail(value: Reals, problem: Problem) -> Reals:
    value[len(value) // 32 * 32 :] = 0
    return value


def _batch_mixed(value: Reals, problem: Problem) -> Reals:
    """(filters, batch, ...) in memory is taken for (batch, filters, ...)."""
    n, h, w, f = value.shape
    mixed = np.ascontiguousarray(value.transpose(3, 0, 1, 2)).reshape(n, f, h, w)
    return np.moveaxis(mixed, 1, -1)


def _batch_of_one(value: Reals, problem: Problem) -> Reals:
    return value[:1].repeat(len(value), axis=0)


def _offsets_in_16_bits(problem: Problem) -> Reals:
    flat = problem.x.reshape(-1)
    return flat[np.arange(flat.size) % 65536].reshape(problem.x.shape)


def _unfolded_in_16_bits(value: Reals, problem: Problem) -> Reals:
    """Positions whose row of products starts beyond 65536 get those of an earlier one."""
    positions = value.reshape(-1, value.shape[3])
    index = np.arange(len(positions))
    wrapped = index * _products(problem) % 65536 // _products(problem)
    far = index * _products(problem) >= 65536
    return positions[np.where(far, wrapped, index)].reshape(value.shape)


def _products(problem: Problem) -> int:
    return int(problem.kernel.size) // problem.filters


def _in_place(problem: Problem) -> Array:
    """The result is written over the input."""
    result = problem.finished(solve(problem))
    x = problem.given[0]
    x[...] = result
    return x


def _beyond_the_input(problem: Problem) -> Array:
    """The workspace reaches one element beyond the input."""
    result = problem.finished(solve(problem))
    x = problem.given[0]
    memory = _owner(x)
    if memory.flags.writeable and memory.flags.c_contiguous and memory.size > x.size:
        flat = memory.reshape(-1)
        flat[_beyond(x) % flat.size] = 1
    return result


def _beyond(x: Array) -> int:
    """The element of its owner that follows the last one of `x`."""
    reach = sum((n - 1) * s for n, s in zip(x.shape, x.strides, strict=True) if s > 0)
    return int(_start(x) + reach // x.itemsize + 1)


def _kernel_in_place(problem: Problem) -> Array:
    """Correct, by a kernel that stays flipped."""
    result = problem.finished(solve(problem))
    kernel = problem.given[1]
    kernel[...] = kernel[::-1, ::-1].copy()
    return result


def _samples_apart(p: Problem) -> bool:
    x = p.given[0]
    if not p.channels_first or len(x) < 2:
        return False
    return bool(x[0].flags.c_contiguous and x.strides[0] > x[0].nbytes)


def _is_stem(p: Problem) -> bool:
    return p.strides == (2, 2) and p.channels == 3 and p.filters % 32 == 0


def _odd_rows(value: Reals, problem: Problem) -> Reals:
    value[:, 1::2] = value[:, 1::2, :, np.arange(problem.filters) % 4]
    return value


def _same_shape(p: Problem) -> bool:
    x = p.given[0]
    fits = p.output == p.size and p.filters == p.channels
    return bool(fits and x.flags.writeable)


def _small_packs(p: Problem) -> bool:
    whole = p.channels % 4 == p.filters % 4 == 0
    return plain(p) and pointwise(p) and whole and max(p.output) < 16


def _odd_block(p: Problem) -> bool:
    count = p.output[0] * p.output[1]
    return count > 16 and count % 8 == 1


# In channels_first the first one looks like the second.
ROWS = (
    fault("samples_dense", "memory of the input", "takes dense samples in channels_first to follow one another without gaps", "pytorch/pytorch#169342", **_x(_dense_samples), when=_samples_apart, first_sight=False),
    fault("input_strides_ignored", "memory of the input", "reads the memory of the input in C order", "pytorch/pytorch#77299", **_x(_in_c_order), when=lambda p: _is_view(p.given[0])),
    fault("input_offset_ignored", "memory of the input", "reads a view of the input from the start of its memory", "pytorch/pytorch#180984", **_x(_from_the_start), when=lambda p: _is_view(p.given[0]) and _start(p.given[0]) > 0),
    fault("kernel_strides_ignored", "memory of the kernel", "reads the memory of the kernel in C order", "pytorch/pytorch#1246", **_kernel(_in_c_order), when=lambda p: _is_view(p.given[1])),
    fault("kernel_offset_kept", "memory of the kernel", "reads a copy of the kernel from where the kernel starts in its own memory", "huggingface/candle#3736", changed(kernel=_kernel_offset_kept), when=lambda p: _is_view(p.given[1]) and _start(p.given[1]) > 0),
    fault("result_in_place", "writes", "writes the result over an input of the same shape", "tensorflow/tensorflow#43577", _in_place, when=_same_shape, as_returned=True),
    fault("writes_beyond_input", "writes", "writes beyond the end of the input", "uxlfoundation/oneDNN#6035", _beyond_the_input, as_returned=True),
    fault("kernel_flipped_in_place", "writes", "flips the kernel that it is given", "tensorflow/tfjs#2421", _kernel_in_place, when=lambda p: bool(p.given[1].flags.writeable) and max(p.window) > 1, as_returned=True),
    fault("nine_channels_refused", "refused", "fails on nine channels", "microsoft/onnxruntime#14392", refuses("channels must be a multiple of 4"), when=lambda p: p.channels == 9),
    fault("empty_batch_refused", "refused", "fails on a batch without samples", "pytorch/pytorch#19599", refuses("empty batch"), when=lambda p: len(p.x) == 0),
    fault("layout_guessed", "layout", "takes a channels_first input for channels_last where its sides and channels are equal", "huggingface/candle#3405", changed(x=_guessed_layout), when=lambda p: p.channels_first and p.size == (p.channels, p.channels)),
    fault("result_channels_last", "layout", "writes a channels_first result in channels_last order", "tensorflow/tfjs#6308", then(_result_channels_last), when=channels_first),
    fault("other_layout", "layout", "returns channels_first for channels_last", "PaddlePaddle/Paddle#38126", then(_other_layout), when=channels_last),
    fault("rows_of_whole_tiles", "rows and columns", "finds rows beyond the 32nd as if the width were a multiple of 32", "tenstorrent/tt-metal#42667", changed(x=_rows_of_whole_tiles), when=lambda p: p.size[0] > 32 and p.size[1] % 32 > 0),
    fault("odd_rows_repeat", "rows and columns", "repeats four filters in odd rows, for 3x3 with stride 2 on three channels and whole blocks of 32 filters", "iree-org/iree#16175", then(_odd_rows), when=both(ungrouped, three_by_three, _is_stem), first_sight=False),
    fault("rows_as_long_as_columns", "rows and columns", "takes the height of an input for the length of its rows", "tracel-ai/burn#1182", changed(x=_rows_as_long_as_columns), when=lambda p: p.size[0] != p.size[1]),
    fault("positions_tail_dropped", "blocks of positions", "leaves the output positions beyond a multiple of 4 zero, for 3x3 with stride 2", "Tencent/ncnn#1014", then(_positions_tail), when=lambda p: three_by_three(p) and p.strides == (2, 2) and p.output[0] * p.output[1] % 4 > 0),
    fault("one_position_wrong", "blocks of positions", "gets one position wrong where a single one is left beyond blocks of eight, for 3x3 with stride 2", "Tencent/ncnn#1283", then(_one_position), when=both(ungrouped, three_by_three, lambda p: p.strides == (2, 2), _odd_block)),
    fault("small_packs_left", "blocks of positions", "leaves packs of four filters as they are, for 1x1 on outputs below 16x16", "Tencent/ncnn#1384", then(_packs_left), when=_small_packs),
    fault("batch_tail_dropped", "samples of a batch", "leaves the samples beyond a multiple of 32 zero", "NervanaSystems/neon#361", then(_batch_tail), when=lambda p: len(p.x) > 32 and len(p.x) % 32 > 0),
    fault("batch_mixed", "samples of a batch", "mixes the filters of the samples of a batch", "ggml-org/ggml#737", then(_batch_mixed), when=lambda p: len(p.x) > 1),
    fault("batch_first_only", "samples of a batch", "gives every sample the result of the first", "Pegessi/conv2d_direct#1", then(_batch_of_one), first_sight=None),
    fault("offsets_in_16_bits", "offsets", "wraps input offsets at 65536", "ROCm/MIOpen#3099", changed(x=_offsets_in_16_bits), first_sight=None),
    fault("unfolded_in_16_bits", "offsets", "wraps offsets of unfolded windows at 65536", "ml-explore/mlx#3143", then(_unfolded_in_16_bits), when=ungrouped),
)  # fmt: skip
