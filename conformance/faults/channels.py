"""Faults of groups, channels, filters and bias."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from conformance.faults.fault import fault
from conformance.faults.makers import (
    biased,
    both,
    changed,
    channels_first,
    channels_last,
    depthwise,
    grouped,
    multiplied,
    of_dtype,
    plain,
    pointwise,
    then,
    three_by_three,
    ungrouped,
    whole_blocks,
)
from conformance.faults.problem import Problem, Reals, Wrong, solve


def _interleaved(problem: Problem) -> Reals:
    """Filter o reads group ``o % groups``."""
    order = np.argsort(np.arange(problem.filters) % problem.groups, kind="stable")
    bias = None if problem.bias is None else problem.bias[order]
    value = solve(replace(problem, kernel=problem.kernel[..., order], bias=bias))
    result = np.empty_like(value)
    result[..., order] = value
    return result


def _first_group_everywhere(problem: Problem) -> Reals:
    depth = problem.kernel.shape[2]
    return np.tile(problem.x[..., :depth], problem.groups)


def _only_filters(keep: Callable[[Problem], int]) -> Wrong:
    """The filters beyond the first ``keep(problem)`` stay zero."""

    def zeroed(value: Reals, problem: Problem) -> Reals:
        value[..., keep(problem) :] = 0
        return value

    return then(zeroed)


def _per_group(problem: Problem) -> int:
    return problem.filters // problem.groups


def _block_diagonal_kernel(problem: Problem) -> Reals:
    """Zeros for the channels of all other groups, which the input then meets."""
    kh, kw, depth, filters = problem.kernel.shape
    kernel = np.zeros((kh, kw, problem.groups, depth, problem.groups, filters // problem.groups))
    parts = problem.kernel.reshape(kh, kw, depth, problem.groups, -1)
    for group in range(problem.groups):
        kernel[:, :, group, :, group] = parts[:, :, :, group]
    whole = kernel.reshape(kh, kw, depth * problem.groups, filters)
    return solve(replace(problem, kernel=whole, groups=1))


def _bias_of_the_first_group(problem: Problem) -> Reals:
    assert problem.bias is not None
    return np.tile(problem.bias[: _per_group(problem)], problem.groups)


def _multiplier_first(problem: Problem) -> Reals:
    """The filters of a channel are taken from the order (multiplier, channel)."""
    order = np.arange(problem.filters).reshape(-1, problem.channels).T.reshape(-1)
    kernel: Reals = problem.kernel[..., order]
    return kernel


def _first_of_each_group(problem: Problem) -> Reals:
    each = _per_group(problem)
    kernel: Reals = problem.kernel[..., np.arange(problem.filters) // each * each]
    return kernel


def _few_taps(most: int) -> Wrong:
    """Taps beyond the first `most` along either axis do not count."""

    def cut(problem: Problem) -> Reals:
        kernel = problem.kernel.copy()
        kernel[most:] = 0
        kernel[:, most:] = 0
        return kernel

    return changed(kernel=cut)


def _first_channel_of_group(problem: Problem) -> Reals:
    kernel = problem.kernel.copy()
    kernel[:, :, 1:] = 0
    return kernel


def _few_weights(problem: Problem) -> Reals:
    """A depthwise kernel beyond its first 1024 weights is zero."""
    flat = problem.kernel.copy().reshape(-1)
    flat[1024:] = 0
    return flat.reshape(problem.kernel.shape)


def _tail_channels(problem: Problem) -> Reals:
    kernel = problem.kernel.copy()
    kernel[:, :, whole_blocks(kernel.shape[2], 16) :] = 0
    return kernel


def _rounded_up(value: Reals, problem: Problem) -> Reals:
    missing = -problem.filters % 32
    return np.pad(value, ((0, 0), (0, 0), (0, 0), (0, missing)))


def _modulo_256(problem: Problem) -> Reals:
    index = np.arange(problem.filters) % 256
    bias = None if problem.bias is None else problem.bias[index]
    return solve(replace(problem, kernel=problem.kernel[..., index], bias=bias))


def _bias_along(axis: int) -> Wrong:
    """The bias added along the height (1) or the width (2)."""

    def wrong(problem: Problem) -> Reals:
        assert problem.bias is not None
        shape = [1, 1, 1, 1]
        shape[axis] = -1
        return solve(replace(problem, bias=None)) + problem.bias.reshape(shape)

    return wrong


def _bias_fits(axis: int) -> Callable[[Problem], bool]:
    return lambda p: p.bias is not None and p.output[axis - 1] == p.filters


def _half_step(p: Problem) -> bool:
    return plain(p) and pointwise(p) and p.channels % 16 > 0 and p.filters >= 128


def _depthwise_tail(p: Problem) -> bool:
    return p.is_depthwise and p.channels > 4 and p.channels % 4 > 0


ROWS = (
    fault("groups_bias_of_first", "bias of groups", "gives every group the biases of the first", "robertknight/rten#1408", changed(bias=_bias_of_the_first_group), when=both(grouped, biased)),
    fault("depthwise_bias_ignored", "bias of groups", "ignores the bias of a depthwise convolution", "microsoft/MMdnn#792", changed(bias=lambda p: None), when=both(depthwise, biased)),
    fault("multiplier_first", "depth multiplier", "takes the filters of a channel from the order (multiplier, channel)", "alibaba/MNN#532", changed(kernel=_multiplier_first), when=multiplied),
    fault("multiplier_repeats_first", "depth multiplier", "repeats the first filter of a channel", "yonghenglh6/DepthwiseConvolution#14", changed(kernel=_first_of_each_group), when=multiplied),
    fault("depthwise_tail_dropped", "depthwise sizes", "skips the channels of a depthwise convolution beyond a multiple of 4", "bhuman/CompiledNN#16", _only_filters(lambda p: p.channels // 4 * 4 * _per_group(p)), when=_depthwise_tail),
    fault("depthwise_few_weights", "depthwise sizes", "loses the weights of a depthwise convolution beyond the 1024th", "tensorflow/tfjs#6775", changed(kernel=_few_weights), when=lambda p: p.is_depthwise and p.kernel.size > 1024),
    fault("depthwise_line_zero", "depthwise sizes", "returns zeros where one channel meets a kernel of one column", "ARM-software/ComputeLibrary#904", _only_filters(lambda p: 0), when=lambda p: p.channels == p.filters == 1 and p.window[1] == 1 < p.window[0]),
    fault("groups_large_kernel", "kernel of groups", "drops the taps of grouped kernels beyond the 8th", "modular/modular#6129", _few_taps(8), when=lambda p: grouped(p) and max(p.window) > 8, first_sight=False),
    fault("groups_float16_first", "groups not computed", "computes the first group of a 3x3 convolution in float16 only", "ROCm/rocm-libraries#4998", _only_filters(_per_group), when=both(grouped, three_by_three, of_dtype("float16"))),
    fault("groups_as_depthwise", "channels of groups", "reads the first channel of every group only", "apache/tvm#3069", changed(kernel=_first_channel_of_group), when=grouped),
    fault("single_channel_as_depthwise", "one channel", "repeats the first filter where the input has one channel", "Xilinx/onnx-mlir#1035", changed(kernel=lambda p: np.repeat(p.kernel[..., :1], p.filters, axis=3)), when=lambda p: p.channels == 1 < p.filters),
    fault("bias_along_height", "axis of the bias", "adds the bias along the height in channels_last where it fits there", "PaddlePaddle/Paddle#63988", _bias_along(1), when=both(channels_last, _bias_fits(1))),
    fault("bias_along_width", "axis of the bias", "adds the bias along the width in channels_first where it fits there", "tensorlayer/TensorLayer#297", _bias_along(2), when=both(channels_first, _bias_fits(2)), first_sight=None),
    fault("filters_rounded_up", "number of filters", "returns a multiple of 32 filters", "tenstorrent/tt-metal#10256", then(_rounded_up), when=lambda p: p.filters % 32 > 0),
    fault("filters_modulo_256", "number of filters", "repeats the filters beyond 256", "pytorch/pytorch#129207", _modulo_256, when=lambda p: p.filters > 256, first_sight=None),
    fault("channels_only_first", "number of channels", "reads the first channel only", "josephjaspers/blackcat_tensors#59", changed(kernel=_first_channel_of_group), when=both(ungrouped, lambda p: p.channels > 1)),
    fault("groups_block_diagonal", "zeros that are multiplied", "computes groups with one block-diagonal kernel, so that 0 times infinity leaks", "openxla/xla:xla/service/convolution_group_converter.cc", _block_diagonal_kernel, when=grouped, first_sight=None),
    fault("groups_kernel_flipped", "kernel of groups", "flips the kernel of grouped convolutions", "ml-explore/mlx#1449", changed(kernel=lambda p: np.flip(p.kernel, (0, 1))), when=grouped, first_sight=None),
    fault("groups_interleaved", "channels of groups", "gives filter o the channels of group o % groups", "tracel-ai/burn#2286", _interleaved, when=grouped, first_sight=None),
    fault("groups_read_first", "channels of groups", "gives every group the channels of the first", "ml-explore/mlx#3800", changed(x=_first_group_everywhere), when=grouped, first_sight=None),
    fault("groups_half_zero", "groups not computed", "leaves the last half of the groups zero", "pytorch/executorch#15863", _only_filters(lambda p: _per_group(p) * (p.groups - p.groups // 2)), when=grouped, first_sight=None),
    fault("groups_only_first", "groups not computed", "computes the first group only", "ROCm/MIOpen#3744", _only_filters(_per_group), when=grouped, first_sight=None),
    fault("depthwise_first_kernel", "kernel of groups", "uses the first filter for all of a grouped convolution", "microsoft/DirectML#234", changed(kernel=lambda p: np.repeat(p.kernel[..., :1], p.filters, axis=3)), when=grouped, first_sight=None),
    fault("pointwise_half_step", "tail of channels and filters", "skips the channels of a 1x1 convolution beyond a multiple of 16 where it has 128 filters or more", "tracel-ai/burn#5626", changed(kernel=_tail_channels), when=_half_step, first_sight=False),
    fault("channels_tail_dropped", "tail of channels and filters", "skips the channels beyond a multiple of 16", "tenstorrent/tt-metal#5087", changed(kernel=_tail_channels), first_sight=None),
    fault("filters_tail_dropped", "tail of channels and filters", "skips the filters beyond a multiple of 8", "tenstorrent/tt-metal#49393", _only_filters(lambda p: whole_blocks(p.filters, 8)), first_sight=None),
    fault("filters_only_first", "number of filters", "computes the first filter only", "google/XNNPACK#883", _only_filters(lambda p: 1)),
    fault("bias_ignored", "amount of the bias", "ignores the bias", "deepakcrk/CNN_ForDummies#9", changed(bias=lambda p: None), when=biased, first_sight=None),
    fault("bias_twice", "amount of the bias", "adds the bias twice", "LeelaChessZero/lc0#130", changed(bias=lambda p: None if p.bias is None else 2 * p.bias), when=biased, first_sight=None),
)  # fmt: skip
