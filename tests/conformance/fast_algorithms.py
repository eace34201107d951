"""Winograd and FFT convolutions in NumPy, as libraries make them, and some with one thing wrong.

They compute in float32, and in float64 for float64 data. Where Winograd's algorithm does not apply
(other kernels than 3 x 3, strides, dilation) they sum the products one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance import Capabilities, Implementation
from reference_impl.geometry import Geometry

Array = NDArray[Any]
Pair = tuple[int, int]
# Of the padded input (N, H, W, C) and kernel (kh, kw, C, filters): the sums of one group.
Correlate = Callable[[Array, Array, Pair, Pair], Array]


@dataclass(frozen=True)
class Tiles:
    """F(m, 3): matrices of input, kernel and output for tiles of m x m results."""

    m: int
    input: Array
    kernel: Array
    output: Array


F2 = Tiles(
    2,
    np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]),
    np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]) / 2,
    np.array([[1, 1, 1, 0], [0, 1, -1, -1]]),
)
F4 = Tiles(
    4,
    np.array(
        [
            [4, 0, -5, 0, 1, 0],
            [0, -4, -4, 1, 1, 0],
            [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0],
            [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1],
        ]
    ),
    np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24,
    np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]),
)
F6 = Tiles(
    6,
    np.array(
        [
            [4, 0, -21, 0, 21, 0, -4, 0],
            [0, 4, 4, -17, -17, 4, 4, 0],
            [0, -4, 4, 17, -17, -4, 4, 0],
            [0, 2, 1, -10, -5, 8, 4, 0],
            [0, -2, 1, 10, -5, -8, 4, 0],
            [0, 8, 16, -10, -20, 2, 4, 0],
            [0, -8, 16, 10, -20, -2, 4, 0],
            [0, -4, 0, 21, 0, -21, 0, 4],
        ]
    )
    / 4,
    np.array(
        [[90, 0, 0], [-20, -20, -20], [-20, 20, -20], [1, 2, 4], [1, -2, 4],
         [64, 32, 16], [64, -32, 16], [0, 0, 90]]
    )
    / 90,
    np.array(
        [
            [1, 1, 1, 1, 1, 1, 1, 0],
            [0, 1, -1, 2, -2, 1 / 2, -1 / 2, 0],
            [0, 1, 1, 4, 4, 1 / 4, 1 / 4, 0],
            [0, 1, -1, 8, -8, 1 / 8, -1 / 8, 0],
            [0, 1, 1, 16, 16, 1 / 16, 1 / 16, 0],
            [0, 1, -1, 32, -32, 1 / 32, -1 / 32, 1],
        ]
    ),
)  # fmt: skip


def direct(x: Array, kernel: Array, strides: Pair, dilation: Pair) -> Array:
    """Tap after tap."""
    h, w = _output(x, kernel, strides, dilation)
    total = np.zeros((len(x), h, w, kernel.shape[3]), x.dtype)
    for i, j in np.ndindex(kernel.shape[:2]):
        rows = slice(i * dilation[0], i * dilation[0] + (h - 1) * strides[0] + 1, strides[0])
        columns = slice(j * dilation[1], j * dilation[1] + (w - 1) * strides[1] + 1, strides[1])
        total += x[:, rows, columns] @ kernel[i, j]
    return total


def winograd(tiles: Tiles) -> Correlate:
    def correlate(x: Array, kernel: Array, strides: Pair, dilation: Pair) -> Array:
        if kernel.shape[:2] != (3, 3) or strides != (1, 1) or dilation != (1, 1):
            return direct(x, kernel, strides, dilation)
        m, size = tiles.m, tiles.m + 2
        h, w = _output(x, kernel, strides, dilation)
        down, across = -(-h // m), -(-w // m)
        x = np.pad(x, ((0, 0), (0, down * m - h), (0, across * m - w), (0, 0)))
        bt, g, at = (a.astype(x.dtype) for a in (tiles.input, tiles.kernel, tiles.output))
        windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
        windows = windows[:, ::m, ::m]  # (N, down, across, C, size, size)
        u = np.moveaxis(g @ np.moveaxis(kernel, (0, 1), (2, 3)) @ g.T, (2, 3), (0, 1))
        v = np.moveaxis(bt @ windows @ bt.T, (4, 5), (0, 1))
        products = v.reshape(size, size, len(x) * down * across, x.shape[3]) @ u
        products = products.reshape(size, size, len(x), down, across, kernel.shape[3])
        y = at @ np.moveaxis(products, (0, 1), (4, 5)) @ at.T  # (N, down, across, filters, m, m)
        y = y.transpose(0, 1, 4, 2, 5, 3)
        return y.reshape(len(x), down * m, across * m, kernel.shape[3])[:, :h, :w]

    return correlate


def fft(x: Array, kernel: Array, strides: Pair, dilation: Pair) -> Array:
    """One transform of the whole input, for every configuration."""
    (kh, kw, depth, filters), (dh, dw) = kernel.shape, dilation
    h, w = _output(x, kernel, strides, dilation)
    size = x.shape[1:3]  # what wraps around falls outside of what is kept
    wide = np.zeros((*size, depth, filters), x.dtype)
    wide[: (kh - 1) * dh + 1 : dh, : (kw - 1) * dw + 1 : dw] = kernel
    spectrum = np.fft.rfft2(x, axes=(1, 2))
    weights = np.fft.rfft2(wide, axes=(0, 1)).conj()
    products = (spectrum[:, :, :, None] @ weights)[:, :, :, 0]
    y = np.fft.irfft2(products, s=size, axes=(1, 2)).astype(x.dtype)
    return y[:, : (h - 1) * strides[0] + 1 : strides[0], : (w - 1) * strides[1] + 1 : strides[1]]


def _output(x: Array, kernel: Array, strides: Pair, dilation: Pair) -> Pair:
    """(height, width) of the result for the padded input."""
    h, w = (
        (n - (k - 1) * d - 1) // s + 1
        for n, k, s, d in zip(x.shape[1:3], kernel.shape[:2], strides, dilation, strict=True)
    )
    return h, w


class Fast(Implementation):
    """A convolution around `correlate`; the other methods are there to be got wrong."""

    def __init__(self, name: str, correlate: Correlate, capabilities: Capabilities) -> None:
        self.name, self.correlate, self.capabilities = name, correlate, capabilities

    def conv2d(self, x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        g = Geometry.of(x.shape, kernel.shape, **given)
        first = given["data_format"] == "channels_first"
        dtype = np.float64 if x.dtype == np.float64 else np.float32
        own = np.moveaxis(x, 1, -1) if first else x
        own = np.pad(own.astype(dtype), ((0, 0), *self.pads(g), (0, 0)))
        parts = [
            self.correlate(a, k, g.strides, g.dilation_rate)
            for a, k in zip(
                np.split(own, g.groups, axis=3),
                np.split(self.weights(kernel.astype(dtype)), g.groups, axis=3),
                strict=True,
            )
        ]
        y = np.concatenate(parts, axis=3)
        y = (y if bias is None else y + bias.astype(dtype)).astype(x.dtype)
        return np.ascontiguousarray(np.moveaxis(y, -1, 1)) if first else y

    def pads(self, g: Geometry) -> Any:
        return g.pads

    def weights(self, kernel: Array) -> Array:
        return kernel


class PadsAfterIt(Fast):
    """All that ``same`` adds lies after the input."""

    def pads(self, g: Geometry) -> Any:
        return tuple((0, sum(pair)) for pair in g.pads)


class DropsAChannel(Fast):
    def weights(self, kernel: Array) -> Array:
        kernel = kernel.copy()
        kernel[:, :, -1] = 0
        return kernel


class TransposesTheKernel(Fast):
    def weights(self, kernel: Array) -> Array:
        square = kernel.shape[0] == kernel.shape[1]
        return kernel.swapaxes(0, 1) if square else kernel


WINOGRAD, FFT = Capabilities(algorithm="winograd"), Capabilities(algorithm="fft")
CORRELATE: dict[str, tuple[Correlate, Capabilities]] = {
    "winograd F(2, 3)": (winograd(F2), WINOGRAD),
    "winograd F(4, 3)": (winograd(F4), WINOGRAD),
    "winograd F(6, 3)": (winograd(F6), WINOGRAD),
    "fft": (fft, FFT),
}


def made(name: str, kind: type[Fast] = Fast) -> Fast:
    return kind(name, *CORRELATE[name])
