"""Faults of strides and dilation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance.faults.fault import fault
from conformance.faults.makers import (
    both,
    changed,
    depthwise,
    dilated,
    fitted,
    refuses,
    strided,
    swap,
)
from conformance.faults.problem import Problem, Reals, solve
from reference_impl.geometry import Pair, effective_size


def _strides_in_shape_only(problem: Problem) -> Reals:
    """The loops step over the output; the window moves by one pixel."""
    (top, bottom), (left, right) = problem.pads
    x = np.pad(problem.x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    value = solve(replace(problem, x=x, strides=(1, 1), same=False))
    return fitted(value, problem.output)


def _dilated_values_only(problem: Problem) -> Reals:
    return fitted(solve(replace(problem, dilation=(1, 1))), problem.output)


def _clamped(problem: Problem) -> Pair:
    h, w = problem.dilation
    return min(h, 2), min(w, 2)


def _bias_only(problem: Problem) -> Reals:
    value = np.zeros((len(problem.x), *problem.output, problem.filters))
    return value if problem.bias is None else value + problem.bias


def _channels_shifted_by_tap(problem: Problem) -> Reals:
    """Each tap reads one channel further than the one before, as rows of a wrong length do."""
    kernel = problem.kernel.copy()
    for tap in range(kernel.shape[0] * kernel.shape[1]):
        row, column = divmod(tap, kernel.shape[1])
        kernel[row, column] = np.roll(kernel[row, column], -tap, axis=0)
    return solve(replace(problem, kernel=kernel))


def _inflated_kernel(problem: Problem) -> Reals:
    """Zeros between the taps of the kernel, which the input then meets."""
    kh, kw, *rest = problem.kernel.shape
    (dh, dw) = problem.dilation
    kernel = np.zeros((effective_size(kh, dh), effective_size(kw, dw), *rest))
    kernel[::dh, ::dw] = problem.kernel
    return solve(replace(problem, kernel=kernel, dilation=(1, 1)))


PIECE = 1024


def _long_dilated_row(p: Problem) -> bool:
    (height, width), (rows, columns) = p.size, p.window
    return height == rows == 1 < columns and width > PIECE and p.dilation[1] > 1 == p.strides[1]


def _pieces(problem: Problem) -> Reals:
    """Each piece of the output sees as much of the input as an undilated kernel would read."""
    beside = problem.window[1] - 1
    before = beside // 2 if problem.same else 0
    parts = []
    for start in range(0, problem.output[1], PIECE):
        x = np.zeros_like(problem.x)
        seen = slice(max(start - before, 0), start + PIECE - before + beside)
        x[:, :, seen] = problem.x[:, :, seen]
        parts.append(solve(replace(problem, x=x))[:, :, start : start + PIECE])
    return np.concatenate(parts, axis=2)


ROWS = (
    fault("stride_above_kernel_refused", "refused", "refuses strides above the kernel size", "tensorflow/tensorflow#889", refuses("stride must be less than or equal to filter size"), when=lambda p: any(s > k for _, _, s, k in p.sizes)),
    fault("depthwise_dilation_ignored", "dilation of depthwise", "ignores dilation_rate where every channel has a group", "tensorflow/tensorflow#56498", changed(dilation=lambda p: (1, 1)), when=both(depthwise, dilated)),
    fault("depthwise_dilation_bias_only", "dilation of depthwise", "returns nothing but the bias for a dilated depthwise convolution", "Tencent/ncnn#315", _bias_only, when=both(depthwise, dilated)),
    fault("dilation_of_few_channels", "dilation of few channels", "reads shifted channels where a dilated convolution has no multiple of 32 of them", "tenstorrent/tt-metal#20404", _channels_shifted_by_tap, when=lambda p: dilated(p) and p.channels % 32 > 0),
    fault("pieces_without_dilation", "large dilation", "loads pieces of a long row for an undilated kernel", "tenstorrent/tt-metal#21680", _pieces, when=_long_dilated_row, first_sight=False),
    fault("dilation_inflated", "zeros that are multiplied", "dilates by zeros between the taps of the kernel, so that 0 times infinity leaks", "apache/tvm#1970", _inflated_kernel, first_sight=None),
    fault("strides_in_shape_only", "shape without values", "has the shape of a strided convolution, and windows that move by one pixel", "rasbt/machine-learning-book#168", _strides_in_shape_only, when=strided),
    fault("strides_swapped", "order of axes", "swaps vertical and horizontal strides", "kornia/kornia#4240", changed(strides=lambda p: swap(p.strides)), first_sight=None),
    fault("strides_ignored", "argument ignored", "ignores strides", "tf-encrypted/tf-encrypted#384", changed(strides=lambda p: (1, 1)), first_sight=None),
    fault("strides_vertical_twice", "one stride for both", "uses the vertical stride for both axes", "FluxML/Flux.jl#700", changed(strides=lambda p: (p.strides[0],) * 2), first_sight=None),
    fault("strides_horizontal_twice", "one stride for both", "uses the horizontal stride for both axes", "FluxML/Flux.jl#700", changed(strides=lambda p: (p.strides[1],) * 2), first_sight=None),
    fault("dilation_ignored", "argument ignored", "ignores dilation_rate", "fastmachinelearning/hls4ml#1508", changed(dilation=lambda p: (1, 1)), first_sight=None),
    fault("dilation_swapped", "order of axes", "swaps vertical and horizontal dilation", "tinygrad/tinygrad#17805", changed(dilation=lambda p: swap(p.dilation)), first_sight=None),
    fault("dilation_shifted", "order of axes", "reads dilation (1, dh) for (dh, dw)", "tensorflow/tfjs-converter#363", changed(dilation=lambda p: (1, p.dilation[0])), first_sight=None),
    fault("dilation_vertical_twice", "one dilation for both", "uses the vertical dilation for both axes", "Theano/Theano#5267", changed(dilation=lambda p: (p.dilation[0],) * 2), first_sight=None),
    fault("dilation_horizontal_twice", "one dilation for both", "uses the horizontal dilation for both axes", "Theano/Theano#5267", changed(dilation=lambda p: (p.dilation[1],) * 2), first_sight=None),
    fault("dilation_at_most_two", "large dilation", "treats any dilation above 2 as 2", "tensorflow/tfjs#6264", changed(dilation=_clamped), first_sight=None),
    fault("dilation_in_shape_only", "shape without values", "has the shape of a dilated convolution and the values of an undilated one", "tensorflow/tfjs#2846", _dilated_values_only, first_sight=None),
)  # fmt: skip
