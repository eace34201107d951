"""Faults of padding and of output sizes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance.faults.fault import fault
from conformance.faults.makers import (
    around,
    both,
    changed,
    fitted,
    is_padded,
    padded,
    plain,
    three_by_three,
    without_padding,
)
from conformance.faults.problem import PadRule, Problem, Reals, Wrong, correlated, solve
from reference_impl.geometry import Pair, effective_size, output_size
from reference_impl.geometry import pads as same_pads


def _padded_by(pad: PadRule, *, cropped: bool = False) -> Wrong:
    """``same`` with the pads of `pad`; `cropped` to the correct output size."""

    def wrong(problem: Problem) -> Reals:
        value = solve(problem, pad)
        return fitted(value, problem.output) if cropped else value

    return wrong


def _total(n: int, e: int, s: int, k: int) -> int:
    return sum(same_pads(n, e, s, "same"))


def _half_kernel(n: int, e: int, s: int, k: int) -> Pair:
    return (e - 1) // 2, (e - 1) // 2


def _extra_before(n: int, e: int, s: int, k: int) -> Pair:
    before, after = same_pads(n, e, s, "same")
    return after, before


def _ceil_both(n: int, e: int, s: int, k: int) -> Pair:
    half = -(-_total(n, e, s, k) // 2)
    return half, half


def _kernel_undilated(n: int, e: int, s: int, k: int) -> Pair:
    return same_pads(n, k, s, "same")


def _half_and_more_if_odd(n: int, e: int, s: int, k: int) -> Pair:
    return k // 2 + k % 2, k // 2


def _mode(mode: str) -> Wrong:
    return lambda problem: solve(problem, mode=mode)


def _with_ones(problem: Problem) -> Reals:
    ones = solve(replace(problem, x=np.ones_like(problem.x), bias=None))
    sums: Reals = problem.kernel.sum(axis=(0, 1, 2))
    return solve(problem) + np.broadcast_to(sums, ones.shape) - ones


def _beside_the_input(problem: Problem) -> Reals:
    return correlated(problem, padded(problem, around))


def _pads_in_another_order(problem: Problem) -> Reals:
    """(top, bottom, left, right) read as (top, left, bottom, right)."""
    (top, bottom), (left, right) = problem.pads
    x = np.pad(problem.x, ((0, 0), (top, left), (bottom, right), (0, 0)))
    return correlated(problem, x)


def _negative(n: int, e: int, s: int) -> int:
    """The total of ``same`` where a negative one is not taken for 0."""
    return (output_size(n, e, s, "same") - 1) * s + e - n


def _negative_totals(problem: Problem) -> Reals:
    """The windows start in the input, by half of what the last one leaves over."""
    skipped = [max(-_negative(n, e, s), 0) // 2 for n, e, s, _ in problem.sizes]
    x = padded(problem)[:, skipped[0] :, skipped[1] :]
    return fitted(correlated(problem, x), problem.output)


def _floored(problem: Problem) -> Reals:
    value = solve(problem)
    height, width = (max(n // s, 1) for n, _, s, _ in problem.sizes)
    return value[:, :height, :width]


def _width_by_the_kernel_height(problem: Problem) -> Reals:
    n, _, s, _ = problem.sizes[1]
    extent = effective_size(problem.window[0], problem.dilation[1])
    width = (n + sum(problem.pads[1]) - extent) // s + 1
    return fitted(solve(problem), (problem.output[0], max(width, 1)))


def _last_windows_skipped(problem: Problem) -> Reals:
    """The loops end one early where more is padded after the input than before it."""
    x, value = solve(replace(problem, bias=None)), solve(problem)
    for axis, ((before, after), (_, _, s, _)) in enumerate(
        zip(problem.pads, problem.sizes, strict=True)
    ):
        lost = -(-(after - before) // s)
        kept = x.shape[1 + axis] - lost
        part = (slice(None),) * (1 + axis) + (slice(kept, None),)
        value[part] = 0 if problem.bias is None else problem.bias
    return value


def _padded_columns_beyond_six(problem: Problem) -> Reals:
    """Columns from the sixth on, and all but the last six, are taken for columns without padding."""
    value, beside = solve(problem), _beside_the_input(problem)
    middle = slice(6, max(value.shape[2] - 6, 6))
    value[:, :, middle] = beside[:, :, middle]
    return value


def _one_pixel_around(problem: Problem) -> Reals:
    x = np.pad(problem.x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return correlated(problem, x)


def _leaks_in_large_batches(problem: Problem) -> Reals:
    return _beside_the_input(problem)


def _has_negative_total(p: Problem) -> bool:
    return p.same and any(_negative(n, e, s) < -1 for n, e, s, _ in p.sizes)


def _uneven_ends(p: Problem) -> bool:
    return any(after > before for before, after in p.pads)


def _is_same(p: Problem) -> bool:
    return p.same


ROWS = (
    fault("pads_beyond_six", "the reach of padding", "takes the sixth column and those after it for columns without padding", "modular/modular#6712", _padded_columns_beyond_six, when=lambda p: max(p.pads[1]) > 6),
    fault("pads_leak_in_large_batches", "the reach of padding", "reads beside the input in batches above 32 samples", "tensorflow/tensorflow#24196", _leaks_in_large_batches, when=lambda p: len(p.x) > 32 and is_padded(p)),
    fault("winograd_pads_one", "padding of 3x3", "pads one pixel around the input of a 3x3 convolution, even without padding", "apache/tvm#4260", _one_pixel_around, when=both(plain, three_by_three, lambda p: not p.same)),
    fault("same_negative_total", "stride above the kernel", "skips input where the stride of same padding exceeds the kernel", "tensorflow/tensorflow#14601", _negative_totals, when=_has_negative_total),
    fault("same_output_floor", "output size", "rounds the output size of same padding down", "tensorflow/tensorflow#46281", _floored, when=lambda p: p.same and any(n % s for n, _, s, _ in p.sizes)),
    fault("width_by_kernel_height", "output size", "computes the output width from the kernel height", "tenstorrent/tt-metal#19542", _width_by_the_kernel_height, when=lambda p: p.window[0] != p.window[1]),
    fault("same_last_windows_skipped", "odd pixel of same", "skips the last row and column where same padding has an odd pixel", "nntrainer/nntrainer#1570", _last_windows_skipped, when=_uneven_ends),
    fault("pads_in_another_order", "order of pads", "reads (top, bottom, left, right) as (top, left, bottom, right)", "rustnn/rustnn#27", _pads_in_another_order, when=is_padded),
    fault("same_extra_before", "odd pixel of same", "puts the odd pixel of same padding before the input, not after it", "keras-team/keras#9473", _padded_by(_extra_before), first_sight=None),
    fault("same_extra_lost", "odd pixel of same", "drops the odd pixel of same padding", "apple/coremltools#2515", _padded_by(lambda n, e, s, k: (_total(n, e, s, k) // 2,) * 2), first_sight=None),
    fault("same_rounded_up", "half of same", "rounds half of the same padding up on both sides", "mil-tokyo/webdnn#660", _padded_by(_ceil_both), first_sight=None),
    fault("same_half_kernel", "half of same", "pads same by (extent - 1) // 2 on both sides", "tensorflow/tfjs#2993", _padded_by(_half_kernel), first_sight=None),
    fault("same_symmetric", "half of same", "pads same by extent // 2 on both sides and crops the result", "keras-team/keras#22054", _padded_by(lambda n, e, s, k: (e // 2, e // 2), cropped=True), first_sight=None),
    fault("same_ignores_dilation", "total of same", "computes same padding from the undilated kernel", "microsoft/onnxscript#3037", _padded_by(_kernel_undilated), first_sight=None),
    fault("same_fixed_half", "total of same", "pads same by kernel // 2 on both sides whatever the stride, and odd kernels by one more before the input", "root-project/root#21737", _padded_by(_half_and_more_if_odd), when=_is_same),
    fault("same_is_valid", "mode of padding", "treats same as valid", "keras-team/keras#18535", changed(same=lambda p: False), first_sight=None),
    fault("valid_is_same", "mode of padding", "treats valid as same", "dotnet/TorchSharp#496", changed(same=lambda p: True), first_sight=None),
    fault("pads_with_edge", "value of padding", "pads with the border pixels instead of zeros", "PaddlePaddle/Paddle#75141", _mode("edge"), first_sight=None),
    fault("pads_with_reflection", "value of padding", "pads with the mirrored input instead of zeros", "speechbrain/speechbrain#125", _mode("reflect"), first_sight=None),
    fault("pads_with_ones", "value of padding", "pads with ones instead of zeros", "tensorflow/tflite-micro#2319", _with_ones, first_sight=None),
    fault("pads_with_neighbours", "memory beside the input", "reads what lies beside the input in memory instead of zeros", "uxlfoundation/oneDNN#5080", without_padding(lambda p: padded(p, around)), when=is_padded),
)  # fmt: skip
