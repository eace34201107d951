"""Sizes, pads and index vectors: everything about a Conv2D that does not depend on the values.

Every convolution is ``y[m, f] = b[f] + sum_k x[base[m] + tap[k]] * w[k, f]`` where `x` is the
zero-padded input laid out flat. Strides, dilation, padding and layout live in the two index
vectors, so the loop that uses them knows nothing of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pair = tuple[int, int]


def effective_size(kernel_size: int, dilation_rate: int) -> int:
    """Extent of a dilated kernel along one axis: ``(k - 1) * d + 1``."""
    return (kernel_size - 1) * dilation_rate + 1


def output_size(size: int, extent: int, stride: int, padding: str) -> int:
    """Output length along one axis for an input of `size` and a kernel of `extent`.

    ``valid``: ``floor((size - extent) / stride) + 1``, not positive when the kernel does not fit.
    ``same``: ``ceil(size / stride)``. These are the rules of Keras 3 (`compute_conv_output_shape`).
    """
    if padding == "same":
        return -(-size // stride)
    return (size - extent) // stride + 1


def pads(size: int, extent: int, stride: int, padding: str) -> Pair:
    """Zeros before and after the input along one axis.

    ``same`` pads ``max((ceil(size / stride) - 1) * stride + extent - size, 0)`` in total; an odd
    one goes to the end (bottom, right), as in TensorFlow and every Keras backend.
    """
    if padding == "valid":
        return 0, 0
    total = max((output_size(size, extent, stride, padding) - 1) * stride + extent - size, 0)
    return total // 2, total - total // 2


def spatial_axes(data_format: str) -> Pair:
    """Positions of height and width in a rank-4 shape."""
    return (1, 2) if data_format == "channels_last" else (2, 3)


def channel_axis(data_format: str) -> int:
    """Position of the channels in a rank-4 shape."""
    return 3 if data_format == "channels_last" else 1


def output_shape(
    input_shape: Sequence[int | None],
    filters: int,
    *,
    kernel_size: Pair,
    strides: Pair = (1, 1),
    padding: str = "valid",
    dilation_rate: Pair = (1, 1),
    data_format: str = "channels_last",
) -> tuple[int | None, ...]:
    """Shape that Conv2D returns for an input of `input_shape`; unknown (None) sizes stay unknown.

    Raises:
        ValueError: the input is not of rank 4, `padding` is neither ``valid`` nor ``same``, or a
            ``valid`` output would be empty. Keras 3.15 refuses the same.
    """
    if len(input_shape) != 4:
        raise ValueError(
            "Kernel shape must have the same length as input, but received a Conv2D kernel of "
            f"size {tuple(kernel_size)} and input of shape {tuple(input_shape)}."
        )
    if padding not in ("valid", "same"):
        raise ValueError(f"`padding` must be either `'valid'` or `'same'`. Received {padding}.")
    result = list(input_shape)
    for axis, k, s, d in zip(
        spatial_axes(data_format), kernel_size, strides, dilation_rate, strict=True
    ):
        size = input_shape[axis]
        if size is None:
            continue
        result[axis] = output_size(size, effective_size(k, d), s, padding)
        if padding == "valid" and result[axis] <= 0:  # type: ignore[operator]
            raise ValueError(
                "Computed output size would be zero or negative. Received "
                f"`inputs shape={tuple(input_shape)}`, `kernel_size={tuple(kernel_size)}`, "
                f"`filters={filters}`, `dilation_rate={tuple(dilation_rate)}`, "
                f"`strides={tuple(strides)}`, `padding={padding}`."
            )
    result[channel_axis(data_format)] = filters
    return tuple(result)


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """One Conv2D on one input shape.

    Attributes:
        batch, channels, filters, groups: sizes of the axes that are not spatial.
        size, kernel_size, strides, dilation_rate, output: (height, width) pairs.
        padding: ``valid`` or ``same``.
        pads: ((top, bottom), (left, right)) zeros around the input.
        data_format: ``channels_last`` (NHWC) or ``channels_first`` (NCHW).
    """

    batch: int
    channels: int
    filters: int
    groups: int
    size: Pair
    kernel_size: Pair
    strides: Pair
    dilation_rate: Pair
    output: Pair
    padding: str
    pads: tuple[Pair, Pair]
    data_format: str

    @classmethod
    def of(
        cls,
        input_shape: Sequence[int],
        kernel_shape: Sequence[int],
        *,
        strides: Pair,
        padding: str,
        data_format: str,
        dilation_rate: Pair,
        groups: int,
    ) -> Geometry:
        """Geometry of an input (N, H, W, C) or (N, C, H, W) and a kernel (kh, kw, C/groups, F).

        Raises:
            ValueError: ranks, channels or groups do not fit together, strides or dilation_rate are
                below 1, `padding` or `data_format` is unknown, or the output is empty.
        """
        if data_format not in ("channels_last", "channels_first"):
            raise ValueError(
                f"data_format must be 'channels_last' or 'channels_first', not {data_format!r}"
            )
        for name, pair in (("strides", strides), ("dilation_rate", dilation_rate)):
            if min(pair) < 1:
                raise ValueError(f"{name} must be at least 1, not {tuple(pair)}")
        if len(kernel_shape) != 4:
            raise ValueError(
                f"kernel must have shape (kh, kw, channels // groups, filters), not {kernel_shape}"
            )
        *kernel_size, depth, filters = kernel_shape
        shape = output_shape(
            input_shape,
            filters,
            kernel_size=(kernel_size[0], kernel_size[1]),
            strides=strides,
            padding=padding,
            dilation_rate=dilation_rate,
            data_format=data_format,
        )
        channels = input_shape[channel_axis(data_format)]
        if groups < 1 or filters % groups or channels != depth * groups:
            raise ValueError(
                f"groups={groups} must divide filters={filters} and the input channels, and a "
                f"kernel of depth {depth} then reads {depth * groups} channels, not {channels}"
            )
        axes = spatial_axes(data_format)
        size = (input_shape[axes[0]], input_shape[axes[1]])
        around = [
            pads(n, effective_size(k, d), s, padding)
            for n, k, s, d in zip(size, kernel_size, strides, dilation_rate, strict=True)
        ]
        return cls(
            batch=input_shape[0],
            channels=channels,
            filters=filters,
            groups=groups,
            size=size,
            kernel_size=(kernel_size[0], kernel_size[1]),
            strides=strides,
            dilation_rate=dilation_rate,
            output=(shape[axes[0]], shape[axes[1]]),  # type: ignore[arg-type]
            padding=padding,
            pads=(around[0], around[1]),
            data_format=data_format,
        )

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        """Shape of the result in `data_format`."""
        return self._arrange(self.batch, *self.output, self.filters)

    @property
    def taps(self) -> int:
        """Products summed for one output element, ``kh * kw * channels / groups``."""
        return self.kernel_size[0] * self.kernel_size[1] * (self.channels // self.groups)

    def padded(self, x: NDArray[Any]) -> NDArray[np.float64]:
        """`x` with its zeros around it, in float64, C order and the layout it came in."""
        if self.pads == ((0, 0), (0, 0)):
            return np.ascontiguousarray(x, np.float64)
        (top, bottom), (left, right) = self.pads
        height, width = self.size
        wide = np.zeros(
            self._arrange(self.batch, top + height + bottom, left + width + right, self.channels)
        )
        window = [slice(None)] * 4
        for axis, start, size in zip(
            spatial_axes(self.data_format), (top, left), self.size, strict=True
        ):
            window[axis] = slice(start, start + size)
        wide[tuple(window)] = x
        return wide

    def indices(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """``base`` (batch * output pixels) and ``tap`` (taps): offsets into the flat padded input.

        Pixels run over (n, oh, ow) and taps over (i, j, c) in row-major order; a group starts
        ``group_step()`` further on.
        """
        step_n, step_h, step_w, step_c = self._steps()
        base = outer_sum(
            np.arange(self.batch) * step_n,
            np.arange(self.output[0]) * (step_h * self.strides[0]),
            np.arange(self.output[1]) * (step_w * self.strides[1]),
        )
        tap = outer_sum(
            np.arange(self.kernel_size[0]) * (step_h * self.dilation_rate[0]),
            np.arange(self.kernel_size[1]) * (step_w * self.dilation_rate[1]),
            np.arange(self.channels // self.groups) * step_c,
        )
        return base, tap

    @property
    def is_depthwise(self) -> bool:
        """Whether every channel has one filter of its own."""
        return self.groups == self.channels == self.filters > 1

    def filters_of_groups(self) -> list[slice]:
        """The filters of each group."""
        depth = self.filters // self.groups
        return [slice(group * depth, (group + 1) * depth) for group in range(self.groups)]

    def group_step(self) -> int:
        """Offset from a group's first channel to the next group's."""
        return self._steps()[3] * (self.channels // self.groups)

    def _steps(self) -> tuple[int, int, int, int]:
        """Offsets of one step along n, h, w and c in the flat padded input."""
        height = self.size[0] + sum(self.pads[0])
        width = self.size[1] + sum(self.pads[1])
        volume = height * width * self.channels
        if self.data_format == "channels_last":
            return volume, width * self.channels, self.channels, 1
        return volume, width, 1, height * width

    def _arrange(self, n: int, h: int, w: int, c: int) -> tuple[int, int, int, int]:
        return (n, h, w, c) if self.data_format == "channels_last" else (n, c, h, w)


def outer_sum(*parts: NDArray[np.intp]) -> NDArray[np.intp]:
    """All sums of one entry from each of three vectors, in row-major order."""
    a, b, c = parts
    return (a[:, None, None] + b[:, None] + c).ravel()
