"""Known ways to get a convolution wrong, as code: used to name a cause and to measure the suite's power.

Each imitates a class of bugs that have shipped. A fault is a `Problem` changed on its way to the
solution, so it can be held against what an implementation returned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.case import Case
from conformance.data import Arrays
from reference_impl import conv2d
from reference_impl.geometry import Pair, effective_size, output_size
from reference_impl.geometry import pads as right_pads

Reals = NDArray[np.float64]
Pads = tuple[Pair, Pair]
PadRule = Callable[[int, int, int, int], Pair]  # (size, extent, stride, kernel size) -> pads


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A convolution to solve: channels last, float64, arguments as pairs."""

    x: Reals
    kernel: Reals
    bias: Reals | None
    strides: Pair
    dilation: Pair
    groups: int
    same: bool
    channels_first: bool

    @classmethod
    def of(cls, case: Case, data: Arrays) -> Problem:
        """The problem of a case."""
        first = case.geometry.data_format == "channels_first"
        x = data.x.astype(np.float64)
        return cls(
            x=np.moveaxis(x, 1, -1) if first else x,
            kernel=data.kernel.astype(np.float64),
            bias=None if data.bias is None else data.bias.astype(np.float64),
            strides=case.geometry.strides,
            dilation=case.geometry.dilation_rate,
            groups=case.geometry.groups,
            same=case.geometry.padding == "same",
            channels_first=first,
        )

    @property
    def sizes(self) -> list[tuple[int, int, int, int]]:
        """(input size, kernel extent, stride, kernel size) for height and width."""
        return [
            (n, effective_size(k, d), s, k)
            for n, k, d, s in zip(
                self.x.shape[1:3],
                self.kernel.shape[:2],
                self.dilation,
                self.strides,
                strict=True,
            )
        ]

    @property
    def output(self) -> Pair:
        """(height, width) of the right result."""
        padding = "same" if self.same else "valid"
        h, w = (output_size(n, e, s, padding) for n, e, s, _ in self.sizes)
        return h, w


def solve(problem: Problem, pad: PadRule | None = None, mode: Any = "constant") -> Reals:
    """The solution, channels last; with `pad`, ``same`` pads by that rule instead."""
    x = problem.x
    if problem.same:
        rule = pad or (lambda n, e, s, _: right_pads(n, e, s, "same"))
        (top, bottom), (left, right) = (rule(*axis) for axis in problem.sizes)
        x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), mode)
    return conv2d(
        x,
        problem.kernel,
        problem.bias,
        strides=problem.strides,
        dilation_rate=problem.dilation,
        groups=problem.groups,
    )


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to be wrong.

    Attributes:
        name: short, stable name.
        sentence: what a convolution with this fault does.
        source: where it has happened.
        wrong: the wrong solution of a problem, channels last.
    """

    name: str
    sentence: str
    source: str
    wrong: Callable[[Problem], Reals]

    @property
    def explanation(self) -> str:
        """What it does and where it has happened, in one sentence."""
        return f"It {self.sentence}, as in {self.source}."

    def result(self, case: Case, data: Arrays) -> Reals | None:
        """The wrong result before rounding and activation, in the layout of the case.

        None where the fault leaves no result at all.
        """
        problem = Problem.of(case, data)
        try:
            value = self.wrong(problem)
        except (ValueError, IndexError):
            return None
        if problem.channels_first:
            value = np.ascontiguousarray(np.moveaxis(value, -1, 1))
        return value


def _padded_by(pad: PadRule, *, cropped: bool = False) -> Callable[[Problem], Reals]:
    """``same`` with the pads of `pad`; `cropped` to the right output size."""

    def wrong(problem: Problem) -> Reals:
        value = solve(problem, pad)
        height, width = problem.output
        return value[:, :height, :width] if cropped else value

    return wrong


def _total(n: int, e: int, s: int, k: int) -> int:
    return sum(right_pads(n, e, s, "same"))


def _half_kernel(n: int, e: int, s: int, k: int) -> Pair:
    return (e - 1) // 2, (e - 1) // 2


def _extra_before(n: int, e: int, s: int, k: int) -> Pair:
    before, after = right_pads(n, e, s, "same")
    return after, before


def _ceil_both(n: int, e: int, s: int, k: int) -> Pair:
    half = -(-_total(n, e, s, k) // 2)
    return half, half


def _kernel_undilated(n: int, e: int, s: int, k: int) -> Pair:
    return right_pads(n, k, s, "same")


def _nearly_even(n: int, e: int, s: int, k: int) -> Pair:
    before, after = right_pads(n, e, s, "same")
    return (0, before + after) if before > 1 else (before, after)


def _with(**changes: Callable[[Problem], Any]) -> Callable[[Problem], Reals]:
    """The solution of the problem with some of its parts changed."""
    return lambda p: solve(replace(p, **{name: change(p) for name, change in changes.items()}))


def _padding_mode(mode: str) -> Callable[[Problem], Reals]:
    return lambda problem: solve(problem, mode=mode)


def _padded_with_ones(problem: Problem) -> Reals:
    ones = solve(replace(problem, x=np.ones_like(problem.x), bias=None))
    everywhere = np.broadcast_to(_kernel_sums(problem), ones.shape)
    return solve(problem) + everywhere - ones


def _kernel_sums(problem: Problem) -> Reals:
    sums: Reals = problem.kernel.sum(axis=(0, 1, 2))
    return sums


def _same_extra_row_lost(problem: Problem) -> Reals:
    return _padded_by(lambda n, e, s, _: (_total(n, e, s, 0) // 2,) * 2)(problem)


def _clamped_dilation(problem: Problem) -> Pair:
    h, w = problem.dilation
    return min(h, 2), min(w, 2)


def _dilated_values_only(problem: Problem) -> Reals:
    """The right shape, the values of dilation 1."""
    value = solve(replace(problem, dilation=(1, 1)))
    height, width = problem.output
    return value[:, :height, :width]


def _groups_interleaved(problem: Problem) -> Reals:
    """Filter o reads group ``o % groups``."""
    filters, groups = problem.kernel.shape[3], problem.groups
    order = np.argsort(np.arange(filters) % groups, kind="stable")
    bias = None if problem.bias is None else problem.bias[order]
    value = solve(replace(problem, kernel=problem.kernel[..., order], bias=bias))
    result = np.empty_like(value)
    result[..., order] = value
    return result


def _first_group_everywhere(problem: Problem) -> Reals:
    depth = problem.kernel.shape[2]
    return np.tile(problem.x[..., :depth], problem.groups)


def _group_outputs_zero(keep: Callable[[int, int], int]) -> Callable[[Problem], Reals]:
    """Only the first ``keep(filters, groups)`` filters are computed."""

    def wrong(problem: Problem) -> Reals:
        value = solve(problem)
        value[..., keep(value.shape[-1], problem.groups) :] = 0
        return value

    return wrong


def _grouped_only(change: Callable[[Problem], Reals]) -> Callable[[Problem], Reals]:
    return lambda problem: change(problem) if problem.groups > 1 else solve(problem)


def _flipped(*axes: int) -> Callable[[Problem], Reals]:
    return _with(kernel=lambda p: np.flip(p.kernel, axes))


def _transposed_kernel(problem: Problem) -> Reals:
    """The spatial axes of the kernel swapped, without regard for its shape."""
    kh, kw, depth, filters = problem.kernel.shape
    swapped = problem.kernel.transpose(1, 0, 2, 3).reshape(kh, kw, depth, filters)
    return solve(replace(problem, kernel=swapped))


def _whole_blocks(count: int, block: int) -> int:
    return count // block * block or count


def _tail_channels_dropped(problem: Problem) -> Reals:
    kernel = problem.kernel.copy()
    kernel[:, :, _whole_blocks(kernel.shape[2], 16) :] = 0
    return solve(replace(problem, kernel=kernel))


def _tail_filters_dropped(problem: Problem) -> Reals:
    value = solve(problem)
    value[..., _whole_blocks(value.shape[-1], 8) :] = 0
    return value


def _bias_along_width(problem: Problem) -> Reals:
    value = solve(replace(problem, bias=None))
    if problem.bias is None or not problem.channels_first:
        return solve(problem)
    if value.shape[2] != problem.bias.size:
        return solve(problem)
    return value + problem.bias[:, None]


def _filters_modulo_256(problem: Problem) -> Reals:
    index = np.arange(problem.kernel.shape[3]) % 256
    bias = None if problem.bias is None else problem.bias[index]
    return solve(replace(problem, kernel=problem.kernel[..., index], bias=bias))


def _offsets_in_16_bits(problem: Problem) -> Reals:
    """Input offsets wrap at 65536."""
    flat = problem.x.reshape(-1)
    wrapped = flat[np.arange(flat.size) % 65536].reshape(problem.x.shape)
    return solve(replace(problem, x=wrapped))


def _batch_of_one(problem: Problem) -> Reals:
    value = solve(problem)
    return value[:1].repeat(len(value), axis=0)


def _significand(values: Reals, bits: int) -> Reals:
    """`values` rounded to `bits` bits of significand."""
    fraction, exponent = np.frexp(values)
    rounded: Reals = np.ldexp(np.round(np.ldexp(fraction, bits)), exponent - bits)
    return rounded


def _inputs_rounded(bits: int) -> Callable[[Problem], Reals]:
    return _with(x=lambda p: _significand(p.x, bits), kernel=lambda p: _significand(p.kernel, bits))


def _inflated_kernel(problem: Problem) -> Reals:
    """Zeros between the taps of the kernel, which the input then meets."""
    kh, kw, *rest = problem.kernel.shape
    (dh, dw) = problem.dilation
    kernel = np.zeros((effective_size(kh, dh), effective_size(kw, dw), *rest))
    kernel[::dh, ::dw] = problem.kernel
    return solve(replace(problem, kernel=kernel, dilation=(1, 1)))


def _block_diagonal_kernel(problem: Problem) -> Reals:
    """Zeros for the channels of all other groups, which the input then meets."""
    kh, kw, depth, filters = problem.kernel.shape
    kernel = np.zeros((kh, kw, problem.groups, depth, problem.groups, filters // problem.groups))
    parts = problem.kernel.reshape(kh, kw, depth, problem.groups, -1)
    for group in range(problem.groups):
        kernel[:, :, group, :, group] = parts[:, :, :, group]
    whole = kernel.reshape(kh, kw, depth * problem.groups, filters)
    return solve(replace(problem, kernel=whole, groups=1))


def _swap(pair: Pair) -> Pair:
    return pair[1], pair[0]


# The specific before the general: a diagnosis takes the first that explains every case.
_TABLE = (
    ("dilation_inflated", "dilates by zeros between the taps of the kernel, so that 0 times infinity leaks", "SciPy, which has no dilation", _inflated_kernel),
    ("groups_block_diagonal", "computes groups with one block-diagonal kernel, so that 0 times infinity leaks", "XLA on the CPU, float64", _block_diagonal_kernel),
    ("groups_kernel_flipped", "flips the kernel of grouped convolutions", "MLX #1449", _grouped_only(_flipped(0, 1))),
    ("kernel_flipped", "flips the kernel: it convolves where Conv2D correlates", "pytorch #117534", _flipped(0, 1)),
    ("kernel_flipped_vertically", "flips the kernel vertically", "mlpack #3146", _flipped(0)),
    ("kernel_flipped_horizontally", "flips the kernel horizontally", "mlpack #3376", _flipped(1)),
    ("kernel_transposed", "swaps height and width of the kernel", "kornia #4240", _transposed_kernel),
    ("strides_swapped", "swaps vertical and horizontal strides", "kornia #4240", _with(strides=lambda p: _swap(p.strides))),
    ("strides_ignored", "ignores strides", "hls4ml #1508", _with(strides=lambda p: (1, 1))),
    ("strides_vertical_twice", "uses the vertical stride for both axes", "Theano #4874", _with(strides=lambda p: (p.strides[0],) * 2)),
    ("strides_horizontal_twice", "uses the horizontal stride for both axes", "Theano #4874", _with(strides=lambda p: (p.strides[1],) * 2)),
    ("dilation_ignored", "ignores dilation_rate", "hls4ml #1508", _with(dilation=lambda p: (1, 1))),
    ("dilation_swapped", "swaps vertical and horizontal dilation", "tinygrad #17805", _with(dilation=lambda p: _swap(p.dilation))),
    ("dilation_shifted", "reads dilation (1, dh) for (dh, dw)", "tfjs #363", _with(dilation=lambda p: (1, p.dilation[0]))),
    ("dilation_vertical_twice", "uses the vertical dilation for both axes", "Theano #5267", _with(dilation=lambda p: (p.dilation[0],) * 2)),
    ("dilation_horizontal_twice", "uses the horizontal dilation for both axes", "Theano #5267", _with(dilation=lambda p: (p.dilation[1],) * 2)),
    ("dilation_at_most_two", "treats any dilation above 2 as 2", "tfjs #6264", _with(dilation=_clamped_dilation)),
    ("dilation_in_shape_only", "has the shape of a dilated convolution and the values of an undilated one", "tfjs #2846", _dilated_values_only),
    ("same_extra_before", "puts the odd pixel of same padding before the input, not after it", "Keras #9473", _padded_by(_extra_before)),
    ("same_half_kernel", "pads same by (extent - 1) // 2 on both sides", "tfjs #2993", _padded_by(_half_kernel)),
    ("same_symmetric", "pads same by extent // 2 on both sides and crops the result", "Keras #22054", _padded_by(lambda n, e, s, k: (e // 2, e // 2), cropped=True)),
    ("same_rounded_up", "rounds half of the same padding up on both sides", "webdnn #660", _padded_by(_ceil_both)),
    ("same_ignores_dilation", "computes same padding from the undilated kernel", "onnxscript #3037", _padded_by(_kernel_undilated)),
    ("same_large_pad_after", "puts same padding of more than one pixel after the input", "oneDNN DNNL-796", _padded_by(_nearly_even)),
    ("same_all_after", "puts all same padding after the input", "ROOT #21793", _padded_by(lambda n, e, s, k: (0, _total(n, e, s, k)))),
    ("same_all_before", "puts all same padding before the input", "ROOT #21793", _padded_by(lambda n, e, s, k: (_total(n, e, s, k), 0))),
    ("same_extra_lost", "drops the odd pixel of same padding", "coremltools #2515", _same_extra_row_lost),
    ("same_is_valid", "treats same as valid", "Keras #19057", _with(same=lambda p: False)),
    ("valid_is_same", "treats valid as same", "Keras #19057", _with(same=lambda p: True)),
    ("pads_with_edge", "pads with the border pixels instead of zeros", "Keras torch backend", _padding_mode("edge")),
    ("pads_with_reflection", "pads with the mirrored input instead of zeros", "Keras torch backend", _padding_mode("reflect")),
    ("pads_with_ones", "pads with ones instead of zeros", "tflite-micro #2319", _padded_with_ones),
    ("groups_interleaved", "gives filter o the channels of group o % groups", "Burn #2286", _groups_interleaved),
    ("groups_read_first", "gives every group the channels of the first", "MLX #3800", _with(x=_first_group_everywhere)),
    ("groups_half_zero", "leaves the last half of the groups zero", "executorch #15863", _group_outputs_zero(lambda f, g: f // g * (g - g // 2))),
    ("groups_only_first", "computes the first group only", "MIOpen #3744", _group_outputs_zero(lambda f, g: f // g)),
    ("depthwise_first_kernel", "uses the first filter for all of a grouped convolution", "DirectML #234", _grouped_only(_with(kernel=lambda p: np.repeat(p.kernel[..., :1], p.kernel.shape[3], axis=3)))),
    ("channels_tail_dropped", "skips the channels beyond a multiple of 16", "oneDNN DNNL-1184", _tail_channels_dropped),
    ("filters_tail_dropped", "skips the filters beyond a multiple of 8", "oneDNN DNNL-1184", _tail_filters_dropped),
    ("filters_modulo_256", "repeats the filters beyond 256", "PyTorch #129207", _filters_modulo_256),
    ("offsets_in_16_bits", "wraps input offsets at 65536", "TheRock #2458", _offsets_in_16_bits),
    ("batch_first_only", "gives every sample the result of the first", "JAX a49224b6fc", _batch_of_one),
    ("bias_ignored", "ignores the bias", "TF #58149", _with(bias=lambda p: None)),
    ("bias_twice", "adds the bias twice", "TF #58149", _with(bias=lambda p: None if p.bias is None else 2 * p.bias)),
    ("bias_first_everywhere", "adds the first bias to every filter", "Paddle #63988", _with(bias=lambda p: None if p.bias is None else np.full_like(p.bias, p.bias[0]))),
    ("bias_along_width", "adds the bias along the width in channels_first when it fits there", "Keras 3.15 on TensorFlow", _bias_along_width),
    ("inputs_tf32", "rounds input and kernel to 11 bits (TF32) before multiplying", "TF32 by default", _inputs_rounded(11)),
    ("inputs_bfloat16", "rounds input and kernel to 8 bits (bfloat16) before multiplying", "oneDNN fpmath mode", _inputs_rounded(8)),
)  # fmt: skip

FAULTS: dict[str, Fault] = {row[0]: Fault(*row) for row in _TABLE}
