"""Conv2D as a function: the reference that everything else is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reference_impl import _kernel
from reference_impl.certificate import certified
from reference_impl.correlation import SLACK, Correlation, Reals
from reference_impl.dtypes import common_format, format_of
from reference_impl.geometry import Geometry, Pair


def conv2d(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: Pair = (1, 1),
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate: Pair = (1, 1),
    groups: int = 1,
) -> NDArray[Any]:
    """Cross-correlation of `x` with `kernel`, plus `bias`, as Keras' Conv2D defines it.

    Every element is the exact sum of products and bias, rounded once to the dtype of `x`: to
    nearest, ties to even. That is proved for each element (see `certificate`). Overflow gives an
    infinity, underflow a subnormal number or zero, an exact sum of zero is +0. NaN and infinities
    act as in IEEE arithmetic; a padded position contributes ``0 * weight``, so an infinite or NaN
    weight over the padding gives NaN.

    Args:
        x: (N, H, W, C), or (N, C, H, W) with ``data_format="channels_first"``; float16, bfloat16,
            float32 or float64.
        kernel: (kh, kw, C // groups, filters) in the dtype of `x`.
        bias: (filters,) in the dtype of `x`, or None.
        strides, dilation_rate: (vertical, horizontal), at least 1. Keras refuses both above 1 at
            once; here that is defined as it is for any correlation.
        padding: ``valid`` or ``same``; an odd total of ``same`` goes to the bottom and right.
        groups: the channels and the filters are split into this many independent convolutions.

    Returns:
        (N, OH, OW, filters) or (N, filters, OH, OW), in the dtype of `x`.

    Raises:
        ValueError: shapes do not fit, dtypes differ or are not floats named above, an argument is
            none of those allowed, or the output is empty.
    """
    plan = _Plan.of(x, kernel, bias, strides, padding, data_format, dilation_rate, groups)
    fmt = format_of(np.asarray(x).dtype)
    return plan.arranged([certified(c, fmt)[0] for c in plan.correlations])


@dataclass(frozen=True, slots=True)
class Certified:
    """A convolution whose every element is proved to be correctly rounded.

    Attributes:
        value: what `conv2d` returns.
        magnitude: float64, ``sum |x||w| + |b|``, the condition of each sum.
        certificate: uint8, how each element was proved: a `certificate.Certificate`.
    """

    value: NDArray[Any]
    magnitude: Reals
    certificate: NDArray[np.uint8]


def conv2d_certified(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: Pair = (1, 1),
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate: Pair = (1, 1),
    groups: int = 1,
) -> Certified:
    """`conv2d` with the condition of each sum and the proof of its rounding; arguments as there."""
    plan = _Plan.of(x, kernel, bias, strides, padding, data_format, dilation_rate, groups)
    fmt = format_of(np.asarray(x).dtype)
    values, certificates = zip(*(certified(c, fmt) for c in plan.correlations), strict=True)
    with np.errstate(over="ignore", invalid="ignore"):
        magnitudes = [c.magnitudes() for c in plan.correlations]
    return Certified(plan.arranged(values), plan.arranged(magnitudes), plan.arranged(certificates))


@dataclass(frozen=True, slots=True)
class Accumulated:
    """A convolution before its result is rounded, with what bounds its error.

    Attributes:
        value: float64, the sum of products plus bias, in the layout of the result.
        magnitude: float64, ``S = sum |x||w| + |b|``, the condition of each sum; None unless asked.
        taps: products summed for each element.
    """

    value: Reals
    magnitude: Reals | None
    taps: int


def accumulate(
    x: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    strides: Pair = (1, 1),
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate: Pair = (1, 1),
    groups: int = 1,
    magnitude: bool = False,
) -> Accumulated:
    """`conv2d` in float64, not certified; `magnitude` asks for ``sum |x||w| + |b|`` as well.

    Arguments and errors as for `conv2d`. Each element differs from the exact sum by at most
    ``(taps + 1) * 2**-53 * magnitude`` (Jeannerod and Rump, 2013).
    """
    plan = _Plan.of(x, kernel, bias, strides, padding, data_format, dilation_rate, groups)
    with np.errstate(over="ignore", invalid="ignore"):
        value = plan.arranged([c.sums() for c in plan.correlations])
        total = plan.arranged([c.magnitudes() for c in plan.correlations]) if magnitude else None
    return Accumulated(value, total, plan.geometry.taps)


def active_path() -> str:
    """Which build of the loop runs on this processor: ``avx512f``, ``avx2+fma`` or ``portable``."""
    return _kernel.active_path()


@dataclass(frozen=True, slots=True)
class _Plan:
    """One correlation for each group, and where their results go."""

    geometry: Geometry
    correlations: list[Correlation]

    @classmethod
    def of(
        cls,
        x: ArrayLike,
        kernel: ArrayLike,
        bias: ArrayLike | None,
        strides: Pair,
        padding: str,
        data_format: str,
        dilation_rate: Pair,
        groups: int,
    ) -> _Plan:
        x, kernel = np.asarray(x), np.asarray(kernel)
        bias = None if bias is None else np.asarray(bias)
        common_format(x=x, kernel=kernel, bias=bias)
        g = Geometry.of(
            x.shape,
            kernel.shape,
            strides=strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            groups=groups,
        )
        flat = g.padded(x).reshape(-1)
        weights = kernel.reshape(g.taps, g.filters).astype(np.float64)
        offset = None if bias is None else _bias(bias, g.filters)
        base, tap = g.indices()
        if g.is_depthwise and g.data_format == "channels_last":
            flat = np.concatenate([flat, np.zeros(SLACK)])
            return cls(g, [Correlation(flat, base, tap, weights, offset, depthwise=True)])
        correlations = []
        for group, own in enumerate(g.filters_of_groups()):
            correlations.append(
                Correlation(
                    flat,
                    base + group * g.group_step() if group else base,
                    tap,
                    weights[:, own],
                    None if offset is None else offset[own],
                )
            )
        return cls(g, correlations)

    def arranged(self, parts: Any) -> NDArray[Any]:
        """The (pixels, filters) results of all groups in the layout of the convolution."""
        g = self.geometry
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        result = whole.reshape(g.batch, *g.output, g.filters)
        if g.data_format == "channels_first":
            result = result.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(result)


def _bias(values: NDArray[Any], filters: int) -> Reals:
    if values.shape != (filters,):
        raise ValueError(f"bias must have shape ({filters},), not {values.shape}")
    return values.astype(np.float64)
