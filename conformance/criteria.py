"""When a value is correct: exact equality on integers, a derived bound for each element elsewhere.

With ``n`` products (one more for a bias), ``S = sum |x||w| + |b|``, unit roundoffs ``u`` and the
spacing of subnormals ``eta``, a sum in any order and any tree of additions differs from the exact
one by at most ``(n + 1) u_acc S + (n + 1) eta_acc`` (Jeannerod and Rump, SIAM J. Matrix Anal.
Appl. 34, 2013). The reference's own error adds ``(n + 1) u_ref S``. After that come the steps that
round to the output format: Keras rounds a 16-bit convolution, then the bias addition, then the
activation (measured on Keras 3.15). Where the sums are kept in float32 or wider and the output is
narrower, `conformance.roundings` says what rounding to nearest can make of such a sum; elsewhere
every step adds ``u_out`` of what it rounds plus ``eta_out``.

Winograd and FFT convolutions make errors that leak between elements, so no bound by an element's
own ``S`` can hold. Theirs is by ``L = sum_c |x_c| |w_c|_1`` over the channels, where ``|x_c|`` is
the 2-norm (FFT) or the maximum (Winograd) of a sample's channel:

* FFT: three transforms of ``P`` points, each with a relative error of ``7 u log2 P`` in the 2-norm
  (Higham, Accuracy and Stability, theorem 24.2), and one product between them.
* Winograd: F(6, 3) with the points 0, +-1, +-2, +-1/2 and infinity, the largest in wide use. The
  greatest row sum of ``|A^T| |G| |B^T|`` is 39.56 along one axis, so 1565 for both.

On integers, so small that these errors stay far below one half in float32, each element must be
nearer to the exact integer than to any other; sums narrower than that have their bound.

What an activation makes of a sum that is off is said in `conformance.activation_bounds`, with rules
of sign and range that no rounding may break.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.activation_bounds import MIXING, image
from conformance.capabilities import Capabilities
from conformance.case import Case
from conformance.data import INTEGER_KINDS, SPECIAL_KINDS, Arrays, tamed
from conformance.roundings import bound_once_rounded
from reference_impl import activations
from reference_impl.convolution import Accumulated, accumulate
from reference_impl.dtypes import FloatFormat, format_of
from reference_impl.rounding import round_to

Reals = NDArray[np.float64]
SumsOf = Callable[[Case, Arrays, bool], Accumulated]

# Activations that map every integer of the exact data to an integer.
EXACT_ACTIVATIONS = frozenset({None, "linear", "relu", "relu6", "hard_tanh", "hard_shrink"})
# Activations that mix the values along the last axis.
AXIS_ACTIVATIONS = frozenset(MIXING)
WINOGRAD_AMPLIFICATION = 39.56**2
# Additions and products on one path through the three transforms of F(6, 3), both axes.
WINOGRAD_STEPS = 2 * (8 + 3 + 8)
FFT_ROUNDINGS = 3 * 7


@dataclass(frozen=True, slots=True)
class Expected:
    """What a case must give.

    Attributes:
        value: float64, after the activation, before the last rounding.
        bound: float64, the largest error allowed for each element.
        overflow: where an intermediate result may already leave the range of the output format.
        fmt: the output format.
        exact: whether only ``value`` itself is correct.
        least, most: what the activation allows beside the bound, for each element or for all.
    """

    value: Reals
    bound: Reals
    overflow: NDArray[np.bool_]
    fmt: FloatFormat
    exact: bool
    least: Reals | float = -np.inf
    most: Reals | float = np.inf

    @property
    def rounded(self) -> NDArray[Any]:
        """`value` in the output format."""
        return round_to(self.value, self.fmt)


def accumulated(case: Case, data: Arrays, magnitude: bool) -> Accumulated:
    """The reference's sums for `data`, with their magnitudes if asked for."""
    return accumulate(
        data.x, data.kernel, data.bias, magnitude=magnitude, **case.function_arguments()
    )


def expected(
    case: Case, data: Arrays, capabilities: Capabilities, sums_of: SumsOf = accumulated
) -> Expected:
    """Value and bound for `case`, for an implementation of these capabilities.

    Of special values, what the finite ones must give without them.
    """
    data = finite(case, data)
    bounded = not is_exact(case) or capabilities.algorithm != "direct"
    sums = sums_of(case, data, bounded)
    return _expected(case, data, capabilities, sums.value, sums.magnitude, tight=True)


def expected_of(
    case: Case,
    data: Arrays,
    capabilities: Capabilities,
    sums: Reals,
    sums_of: SumsOf = accumulated,
) -> Expected:
    """As `expected`, were `sums` the correct values before the activation.

    The bound is that of the largest magnitude in the case, since `sums` may have any shape.
    """
    data = finite(case, data)
    correct = sums_of(case, data, True)
    assert correct.magnitude is not None
    magnitude = np.full_like(sums, correct.magnitude.max(initial=0.0))
    return _expected(case, data, capabilities, sums, magnitude, tight=False)


def finite(case: Case, data: Arrays) -> Arrays:
    """`data` with zeros in place of special values."""
    return tamed(data) if case.data in SPECIAL_KINDS else data


def is_exact(case: Case) -> bool:
    """Whether only the exact result is correct: integers, and an activation that keeps them."""
    return case.data in INTEGER_KINDS and case.activation in EXACT_ACTIVATIONS


def _expected(
    case: Case,
    data: Arrays,
    capabilities: Capabilities,
    sums: Reals,
    magnitude: Reals | None,
    *,
    tight: bool,
) -> Expected:
    fmt = format_of(case.compute_dtype)
    value, activation = sums, case.activation or "linear"
    if is_exact(case):
        if activation != "linear":
            value = activations.get(activation)(sums)
        bound = np.zeros_like(value)
        if magnitude is not None and capabilities.algorithm != "direct":
            bound += np.nextafter(0.5, 0.0)  # strictly less than half the distance to the next
            if accumulation_format(case, capabilities).precision < 24:
                derived, _ = _convolution_bound(
                    case, data, capabilities, sums, magnitude, tight=tight
                )
                bound = np.maximum(bound, derived)
        return Expected(value, bound, np.zeros(value.shape, bool), fmt, exact=True)
    assert magnitude is not None
    bound, overflow = _convolution_bound(case, data, capabilities, sums, magnitude, tight=tight)
    if activation == "linear":
        return Expected(value, bound, overflow, fmt, exact=False)
    return _after_activation(activation, sums, bound, overflow, fmt)


def accumulation_format(case: Case, capabilities: Capabilities) -> FloatFormat:
    """Format of the sums; see `Capabilities.accumulation`."""
    own = format_of(case.compute_dtype)
    usual = own if own.precision > format_of("float32").precision else format_of("float32")
    if capabilities.accumulation is None:
        return usual
    declared = format_of(capabilities.accumulation)
    if declared.precision >= format_of("float32").precision:
        return declared
    if own.precision >= format_of("float32").precision:
        return usual
    return max(declared, own, key=lambda fmt: fmt.precision)


def error_ratio(got: NDArray[Any], want: Expected) -> Reals:
    """Error over bound for each element: at most 1 where `got` is correct, 0 where it is equal.

    An infinity (or a NaN made from it) is correct where the range of the output format is left on
    the way. Where the bound is 0 an error counts as infinite, and so does leaving the range of an
    activation.
    """
    values = got.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        error = np.abs(values - want.value)
        ratio = np.where((error == 0) | np.isposinf(want.bound), 0.0, error / want.bound)
    outside = (values < want.least) | (values > want.most)
    ratio[outside | np.isnan(values) | np.isnan(ratio)] = np.inf
    ratio[want.overflow & ~np.isfinite(values)] = 0.0
    return ratio


def _convolution_bound(
    case: Case,
    data: Arrays,
    capabilities: Capabilities,
    sums: Reals,
    magnitude: Reals,
    *,
    tight: bool,
) -> tuple[Reals, NDArray[np.bool_]]:
    """The largest error of each element before the activation, and where it may overflow.

    With `tight`, `sums` are the correct ones, and what rounding makes of them is known.
    """
    fmt, acc = format_of(case.compute_dtype), accumulation_format(case, capabilities)
    flushes = capabilities.flushes_subnormals
    spacing_acc, spacing = (
        2.0**f.min_exponent if flushes else f.smallest_subnormal for f in (acc, fmt)
    )
    # Sums narrower than the result also round both factors and the bias to their format first.
    steps = case.geometry.taps + 2 + (3 if acc.precision < fmt.precision else 0)
    reference = 2.0**-53
    size = np.abs(sums)
    error = steps * ((acc.unit_roundoff + reference) * magnitude + spacing_acc)
    overflow = magnitude * (1 + steps * acc.unit_roundoff) >= min(fmt.largest, acc.largest)
    if capabilities.algorithm != "direct":
        leak = _leak(case, data, capabilities.algorithm, acc.unit_roundoff)
        error = error + leak.roundoff + spacing_acc * leak.underflow
        overflow = overflow | (leak.largest >= acc.largest)
    if flushes:  # factors below the normal range may have been taken for 0
        lost = max(
            float(np.abs(a.astype(np.float64)).max(initial=0.0)) for a in (data.x, data.kernel)
        )
        error = error + 2 * case.geometry.taps * spacing * (lost + spacing)
    if tight and acc.precision > fmt.precision and acc.precision >= 24:
        added = None if data.bias is None else _along_filters(data.bias, case)
        narrowed = bound_once_rounded(sums, error, added, fmt)
        if case.activation not in (None, "linear"):  # which may get the sum as it is
            narrowed = np.maximum(narrowed, error)
        return narrowed + (2 * spacing if flushes else 0.0), overflow
    bias = 0.0 if data.bias is None else float(np.abs(data.bias.astype(np.float64)).max())
    roundings = [size] if fmt.precision >= acc.precision else [size + bias, size]
    for rounded in roundings:
        error = error + fmt.unit_roundoff * (rounded + error) + spacing
    return error, overflow


def _along_filters(bias: NDArray[Any], case: Case) -> Reals:
    """`bias` shaped to broadcast over the result."""
    first = case.geometry.data_format == "channels_first"
    values: Reals = bias.astype(np.float64)
    return values[:, None, None] if first else values


@dataclass(frozen=True, slots=True)
class _Leak:
    """What a fast algorithm adds to errors, shaped to broadcast over the result.

    Attributes:
        roundoff: in unit roundoffs.
        underflow: in spacings of subnormals, since each operation may also be off by one of them
            (Higham, Accuracy and Stability, 2.8), which the other factor then multiplies.
        largest: what no intermediate result exceeds.
    """

    roundoff: Reals
    underflow: Reals
    largest: Reals


def _leak(case: Case, data: Arrays, algorithm: str, unit: float) -> _Leak:
    first = case.geometry.data_format == "channels_first"
    x = np.abs(data.x.astype(np.float64))
    x = np.moveaxis(x, 1, -1) if first else x
    kernel = np.abs(data.kernel.astype(np.float64)).sum(axis=(0, 1))  # (C // groups, filters)
    g = case.geometry
    if algorithm == "fft":
        peak = x.max(axis=(1, 2), initial=2.0**-1000, keepdims=True)
        size = peak[:, 0, 0] * np.sqrt(np.square(x / peak).sum(axis=(1, 2)))
        # Transforms are of the padded input and the extent of the kernel, at most doubled.
        points = np.prod([2.0 * (n + sum(p) + k * d) for n, p, k, d in zip(
            g.size, g.pads, g.kernel_size, g.dilation_rate, strict=True)])  # fmt: skip
        factor = FFT_ROUNDINGS * np.log2(points) + 4 + g.channels
        # A spectrum exceeds the 2-norm by sqrt(P); the last transform adds P of them up.
        growth, spread = float(points) ** 1.5, float(points)
    else:
        size = x.max(axis=(1, 2), initial=0.0)
        factor = WINOGRAD_AMPLIFICATION * (WINOGRAD_STEPS + g.channels)
        growth, spread = factor, 1.0
    grouped = size.reshape(g.batch, g.groups, kernel.shape[0])
    weights = kernel.reshape(kernel.shape[0], g.groups, -1)
    length = np.einsum("ngc,cgf->ngf", grouped, weights)
    both = 1 + grouped.sum(axis=2)[:, :, None] + weights.sum(axis=0)[None] + kernel.shape[0]

    def shaped(values: Reals) -> Reals:
        flat = values.reshape(g.batch, g.filters)
        return flat[:, :, None, None] if first else flat[:, None, None, :]

    roundoff = (unit * factor) * length  # in this order it stays finite near overflow
    return _Leak(shaped(roundoff), shaped(factor * spread * both), shaped(growth * length))


def _after_activation(
    name: str, z: Reals, error: Reals, overflow: NDArray[np.bool_], fmt: FloatFormat
) -> Expected:
    error = np.where(overflow, np.inf, error)  # of an infinity it may make any of its values
    found = image(name, z, error, fmt)
    if name in AXIS_ACTIVATIONS:
        overflow = np.broadcast_to(overflow.any(axis=-1, keepdims=True), found.value.shape)
    overflow = overflow | (np.abs(found.value) + found.bound >= fmt.largest)
    return Expected(
        found.value,
        found.bound,
        overflow,
        fmt,
        exact=False,
        least=found.least,
        most=found.most,
    )
