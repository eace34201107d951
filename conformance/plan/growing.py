"""A case like a small one, with an output of about 5 x 5: large enough for a pattern to show."""

from __future__ import annotations

from dataclasses import replace

from conformance.case import Case
from reference_impl.geometry import effective_size

OUTPUT = 5
MOST_INPUT, MOST_KERNEL = 18, 9  # rows and columns; larger ones are no picture
# Rows and columns of output that are tried beside 5 x 5: a fault may need an even or an odd number.
_BESIDE = ((0, 0), (1, 1), (0, 1), (1, 0), (-1, -1))


def grown(case: Case) -> list[Case]:
    """What to try in place of `case`, the best first; none where a picture would not be larger.

    Values are small integers where they may be. Last, one axis alone is grown.
    """
    g = case.geometry
    if max(g.kernel_size) > MOST_KERNEL or min(g.output) >= OUTPUT - 1 or not g.batch:
        return []
    plain = replace(case, data="small") if case.data == "integers" else case
    square, *others = [(_size(case, 0, OUTPUT + h), _size(case, 1, OUTPUT + w)) for h, w in _BESIDE]
    sizes = (*others, (square[0], g.size[1]), (g.size[0], square[1]))
    found = [_resized(plain, *square), _resized(case, *square)]
    found += [_resized(plain, *size) for size in sizes]
    return [one for one in dict.fromkeys(found) if one.geometry.size != g.size]


def _size(case: Case, axis: int, output: int) -> int:
    """The input of `output` rows or columns, or of fewer that a picture holds.

    What is left beyond the last whole stride stays as in `case`: with ``same`` it decides on which
    side there is more padding.
    """
    g = case.geometry
    stride, size = g.strides[axis], g.size[axis]
    extent = effective_size(g.kernel_size[axis], g.dilation_rate[axis])
    while True:
        if g.padding == "same":
            found = output * stride - (-size % stride)
        else:
            found = (output - 1) * stride + extent + (size - extent) % stride
        if found <= MOST_INPUT or output <= g.output[axis]:
            return max(found, size)
        output -= 1


def _resized(case: Case, height: int, width: int) -> Case:
    batch, channels = case.geometry.batch, case.geometry.channels
    first = case.geometry.data_format == "channels_first"
    shape = (batch, channels, height, width) if first else (batch, height, width, channels)
    return replace(case, input_shape=shape)
