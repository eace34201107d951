"""Faults of precision, rounding and special values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from conformance.faults.fault import fault
from conformance.faults.makers import (
    both,
    changed,
    of_dtype,
    padded,
    plain,
    then,
    three_by_three,
    ungrouped,
)
from conformance.faults.problem import Problem, Reals, Wrong, correlated
from reference_impl.dtypes import format_of
from reference_impl.rounding import round_to


def significand(values: Reals, bits: int) -> Reals:
    """`values` rounded to `bits` bits of significand."""
    fraction, exponent = np.frexp(values)
    rounded: Reals = np.ldexp(np.round(np.ldexp(fraction, bits)), exponent - bits)
    return rounded


def _inputs_rounded(bits: int) -> Wrong:
    return changed(x=lambda p: significand(p.x, bits), kernel=lambda p: significand(p.kernel, bits))


def _term_by_term(problem: Problem, name: str, *, sums: bool) -> Reals:
    """Products, and with `sums` the sums of all so far, rounded to the dtype `name`."""
    fmt = format_of(name)
    x = padded(problem)
    bare = replace(problem, bias=None, same=False)
    total = np.zeros((len(x), *problem.output, problem.filters))
    kernel = problem.kernel
    for row, column, depth in np.ndindex(*kernel.shape[:3]):
        one = np.zeros_like(kernel)
        one[row, column, depth] = kernel[row, column, depth]
        product = round_to(correlated(replace(bare, kernel=one), x), fmt).astype(np.float64)
        total = total + product
        if sums:
            total = round_to(total, fmt).astype(np.float64)
    return total if problem.bias is None else total + problem.bias


def _truncated(value: Reals, problem: Problem) -> Reals:
    """Bits beyond the 8 of bfloat16 are cut off."""
    fraction, exponent = np.frexp(value)
    cut: Reals = np.ldexp(np.trunc(np.ldexp(fraction, 8)), exponent - 8)
    return np.where(np.isfinite(value), cut, value)


def _weights_without_nan(problem: Problem) -> Reals:
    return np.nan_to_num(problem.kernel, nan=0.0, posinf=np.inf, neginf=-np.inf)


def _infinity_is_nan(value: Reals, problem: Problem) -> Reals:
    return np.where(np.isinf(value), np.nan, value)


def _far_above_one(p: Problem) -> bool:
    """A transform for tiles of 4x4 takes up to a hundred times the largest value."""
    largest = float(np.abs(p.x).max(initial=0))
    return format_of("float16").largest / 100 < largest < np.inf


def _few_products(p: Problem) -> bool:
    """So few that a model that adds them up one by one stays cheap."""
    return ungrouped(p) and p.kernel.size // p.filters <= 64 and p.x.size < 20000


ROWS = (
    fault("sums_in_float16", "narrow sums", "keeps the sums of float16 in float16", "ARM-software/ComputeLibrary#1287", lambda p: _term_by_term(p, "float16", sums=True), when=both(of_dtype("float16"), _few_products)),
    fault("products_in_bfloat16", "narrow sums", "rounds every product of bfloat16 to bfloat16", "vllm-project/vllm#52905", lambda p: _term_by_term(p, "bfloat16", sums=False), when=both(of_dtype("bfloat16"), _few_products)),
    fault("results_truncated", "rounding", "truncates results to bfloat16", "uxlfoundation/oneDNN#5653", then(_truncated), when=of_dtype("bfloat16")),
    fault("nan_weights_lost", "special values", "takes weights that are NaN for 0", "pytorch/pytorch#12484", changed(kernel=_weights_without_nan), when=lambda p: bool(np.isnan(p.kernel).any())),
    fault("transform_overflows", "range", "overflows in 3x3 convolutions of float16 where the input is far above 1", "ARM-software/ComputeLibrary#1154", then(lambda value, p: np.full_like(value, np.nan)), when=both(plain, three_by_three, of_dtype("float16"), _far_above_one), first_sight=False),
    fault("infinity_is_nan", "special values", "makes NaN of infinity in 3x3 convolutions", "tensorflow/tensorflow#60315", then(_infinity_is_nan), when=both(plain, three_by_three, lambda p: bool(np.isinf(p.x).any()))),
    fault("tf32_from_eight_channels", "precision of factors", "rounds input and kernel to 11 bits from eight channels on", "modular/modular#6248", _inputs_rounded(11), when=both(ungrouped, lambda p: p.channels >= 8)),
    fault("inputs_tf32", "precision of factors", "rounds input and kernel to 11 bits (TF32) before multiplying", "sonots/cumo#501", _inputs_rounded(11), first_sight=None),
    fault("inputs_bfloat16", "precision of factors", "rounds input and kernel to 8 bits (bfloat16) before multiplying", "uxlfoundation/oneDNN#1150", _inputs_rounded(8), first_sight=None),
)  # fmt: skip
