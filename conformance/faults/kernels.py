"""Faults of the kernel and of fast algorithms."""

from __future__ import annotations

import numpy as np

from conformance.faults.fault import fault
from conformance.faults.makers import both, changed, padded, plain, three_by_three, ungrouped
from conformance.faults.problem import Problem, Reals, Wrong, solve

TILE = 4  # rows and columns of a tile of Winograd's F(4, 3)


def _flipped(*axes: int) -> Wrong:
    return changed(kernel=lambda p: np.flip(p.kernel, axes))


def _transposed(problem: Problem) -> Reals:
    """The spatial axes swapped, without regard for the shape."""
    kernel: Reals = problem.kernel.transpose(1, 0, 2, 3).reshape(problem.kernel.shape)
    return kernel


def _read_as_hwoi(problem: Problem) -> Reals:
    kh, kw, depth, filters = problem.kernel.shape
    return problem.kernel.reshape(kh, kw, filters, depth).swapaxes(2, 3)


def _products_reordered(problem: Problem) -> Reals:
    """Weights in the order (depth, kh, kw) meet pixels in the order (kh, kw, depth)."""
    kernel: Reals = problem.kernel.transpose(2, 0, 1, 3).reshape(problem.kernel.shape)
    return kernel


def _first_row_of(problem: Problem) -> Reals:
    """The kernel of ``1 x n``, where the only row of the input lies."""
    kernel = np.zeros_like(problem.kernel)
    kernel[problem.pads[0][0]] = problem.kernel[0]
    return kernel


def _no_larger_than_the_input(problem: Problem) -> Reals:
    """Taps that reach further than the input is large are left out."""
    (h, w), (dh, dw) = problem.size, problem.dilation
    return problem.kernel[: (h - 1) // dh + 1, : (w - 1) // dw + 1]


def _corner(problem: Problem) -> Reals:
    kernel = problem.kernel.copy()
    kernel[3:] = 0
    kernel[:, 3:] = 0
    return kernel


def _below_256(problem: Problem) -> Reals:
    kernel = problem.kernel.copy()
    kernel[255:] = 0
    kernel[:, 255:] = 0
    return kernel


def _first_tap(problem: Problem) -> Reals:
    kernel = np.zeros_like(problem.kernel)
    kernel[0, 0] = problem.kernel[0, 0]
    return kernel


def _tiles_two_apart(problem: Problem) -> Reals:
    """Tiles of four outputs, read from inputs that are two apart."""
    value = solve(problem)
    rows, columns = (np.arange(n) // TILE * 2 + np.arange(n) % TILE for n in value.shape[1:3])
    return value[:, rows][:, :, columns]


def _by_fft(problem: Problem) -> Reals:
    """The transforms in the precision of float32."""
    x = padded(problem).astype(np.float32)
    kernel = problem.kernel.astype(np.float32)
    size = x.shape[1:3]
    x_spectrum = np.fft.rfft2(x, axes=(1, 2)).astype(np.complex64)
    spectrum = np.fft.rfft2(kernel, s=size, axes=(0, 1)).astype(np.complex64)
    product = np.einsum("nhwc,hwcf->nhwf", x_spectrum, spectrum.conj())
    whole = np.fft.irfft2(product, s=size, axes=(1, 2)).astype(np.float32)
    height, width = problem.output
    value: Reals = whole[:, :height, :width].astype(np.float64)
    return value if problem.bias is None else value + problem.bias


def _one_row(p: Problem) -> bool:
    return p.size[0] == 1 < p.window[0] and p.dilation == (1, 1)


def _large_square(p: Problem) -> bool:
    return p.window[0] == p.window[1] > 3


def _is_finite(p: Problem) -> bool:
    return bool(np.isfinite(p.x).all() and np.isfinite(p.kernel).all())


def _single_channel(p: Problem) -> bool:
    return p.dtype == "bfloat16" and p.channels == 1


ROWS = (
    fault("winograd_tiles_two_apart", "Winograd", "reads the tiles of a 3x3 convolution two pixels apart instead of four", "adam-dziedzic/winograd#1", _tiles_two_apart, when=both(plain, three_by_three, lambda p: max(p.output) > TILE)),
    fault("winograd_three_by_three", "Winograd", "takes larger kernels without strides for 3x3", "apache/tvm#4276", changed(kernel=_corner), when=both(plain, _large_square)),
    fault("fft_in_float32", "Fourier transform", "transforms inputs of kernels from 5x5 in float32, so that small sums drown", "tensorflow/tensorflow#1299", _by_fft, when=both(plain, lambda p: min(p.window) >= 5, _is_finite), determinate=False),
    fault("one_row_one_by_n", "input of one row", "takes a kernel for 1 x n where the input has one row", "ARM-software/CMSIS_5#1542", changed(kernel=_first_row_of), when=_one_row),
    fault("kernel_at_most_the_input", "kernel above the input", "leaves out the taps of same padding that reach further than the input is large", "xmos/ai_tools#88", changed(kernel=_no_larger_than_the_input), when=lambda p: p.same and any(e > n for n, e, _, _ in p.sizes), first_sight=None),
    fault("kernel_axis_256", "large kernels", "loses the taps of a kernel from the 256th on", "pytorch/pytorch#188335", changed(kernel=_below_256), when=lambda p: max(p.window) > 255),
    fault("single_channel_first_tap", "one channel", "counts the first tap only where bfloat16 has one channel", "pytorch/pytorch#163347", changed(kernel=_first_tap), when=_single_channel),
    fault("kernel_flipped", "orientation of the kernel", "flips the kernel: it convolves where Conv2D correlates", "astrorama/SourceXtractorPlusPlus#72", _flipped(0, 1), first_sight=None),
    fault("kernel_flipped_vertically", "orientation of the kernel", "flips the kernel vertically", "mlpack/mlpack#3146", _flipped(0), first_sight=None),
    fault("kernel_flipped_horizontally", "orientation of the kernel", "flips the kernel horizontally", "astrorama/SourceXtractorPlusPlus#72", _flipped(1), first_sight=None),
    fault("kernel_transposed", "axes of the kernel", "swaps height and width of the kernel", "kornia/kornia#4240", changed(kernel=_transposed), first_sight=None),
    fault("kernel_read_as_hwoi", "axes of the kernel", "reads the kernel as (height, width, filters, channels)", "apache/tvm#14546", changed(kernel=_read_as_hwoi), when=ungrouped),
    fault("kernel_products_reordered", "axes of the kernel", "multiplies weights in the order (channel, row, column) with pixels in the order (row, column, channel)", "ravin-d-27/PyDeepFlow#84", changed(kernel=_products_reordered)),
)  # fmt: skip
