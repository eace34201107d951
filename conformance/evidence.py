"""What a failing case shows: the disputed element in exact arithmetic, and values to draw."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.case import Case
from conformance.checks import CHECKS, CheckFailure, Trial
from conformance.checks.shapes import output_shape
from conformance.criteria import AXIS_ACTIVATIONS, Reals, error_ratio
from conformance.data import Arrays
from conformance.errors import Crashed, Unsupported
from conformance.results import Evidence
from reference_impl import activations
from reference_impl.exact import Index, exact_sum, terms

LARGEST_PICTURE = 24
MOST_DRAWN = 24  # rows or columns of an input, padding included, and of a kernel


def explain(trial: Trial, check: str) -> Evidence:
    """Evidence for a failure of `check`; empty where there are no values to show."""
    try:
        got = trial.output.astype(np.float64)
    except (CheckFailure, Unsupported, Crashed):
        return Evidence()
    want = trial.expected
    if check == output_shape.name and got.ndim == want.value.ndim == 4:
        return _of_two_shapes(trial, want.value, got)
    if not CHECKS[check].judges_values or got.shape != want.value.shape or not got.size:
        return Evidence()
    with np.errstate(invalid="ignore"):
        severity = np.abs(got - want.value) if want.exact else error_ratio(got, want)
    severity[np.isnan(severity)] = np.inf
    a, b, c, d = map(int, np.unravel_index(int(severity.argmax()), got.shape))
    worst = (a, b, c, d)
    first = trial.case.geometry.data_format == "channels_first"
    n, f = worst[0], worst[1] if first else worst[3]
    row, column = worst[2:4] if first else worst[1:3]
    plane = (n, f) if first else (n, slice(None), slice(None), f)
    rows, columns = _crop(row, got[plane].shape[0]), _crop(column, got[plane].shape[1])
    ratio = error_ratio(got, want)[plane][rows, columns]
    wrong = [(int(r), int(col)) for r, col in np.argwhere(ratio > 1)]
    text: dict[str, Any] = _exact_text(
        trial.case, trial.data, worst, float(want.value[worst]), float(got[worst])
    )
    return Evidence(
        expected=_nested(want.value[plane][rows, columns]),
        got=_nested(got[plane][rows, columns]),
        worst=(row - rows.start, column - columns.start),
        element=worst,
        reference_value=f"{want.value[worst]:.17g}",
        got_value=f"{got[worst]:.17g}",
        bound="0 (exact data)" if want.exact else f"{want.bound[worst]:.3g}",
        size=trial.case.geometry.size,
        window=_window(trial.case, row, column),
        wrong=wrong,
        **_source(trial, n, f, [(r + rows.start, col + columns.start) for r, col in wrong[:1]]),
        **text,
    )


def _of_two_shapes(trial: Trial, want: Reals, got: Reals) -> Evidence:
    """The first plane of either, and what they come of; empty where one has none."""
    first = trial.case.geometry.data_format == "channels_first"
    planes = [value[0, 0] if first else value[0, ..., 0] for value in (want, got) if value.size]
    if len(planes) < 2:
        return Evidence()
    expected, returned = (_nested(p[:LARGEST_PICTURE, :LARGEST_PICTURE]) for p in planes)
    size = trial.case.geometry.size
    return Evidence(expected=expected, got=returned, size=size, **_source(trial, 0, 0, []))


def _source(trial: Trial, n: int, f: int, first: list[tuple[int, int]]) -> dict[str, Any]:
    """Input and weights of the first channel behind filter `f` of sample `n`, if both are small.

    `first` is the first wrong element of that plane, if there is one.
    """
    g = trial.case.geometry
    padded = [size + sum(around) for size, around in zip(g.size, g.pads, strict=True)]
    if max(*padded, *g.kernel_size) > MOST_DRAWN:
        return {}
    depth = g.channels // g.groups
    channel = f // (trial.case.filters // g.groups) * depth
    image, bias = trial.data.x[n], trial.data.bias
    x = image[channel] if g.data_format == "channels_first" else image[..., channel]
    found: dict[str, Any] = {
        "input": _nested(x.astype(np.float64)),
        "kernel": _nested(trial.data.kernel[..., 0, f].astype(np.float64)),
        "bias": None if bias is None else _nested(bias[None, f : f + 1].astype(np.float64))[0][0],
        "channel": (0, depth),
        "pads": g.pads,
    }
    for element in first:
        found["reads"] = tuple(
            [o * s - before + tap * d for tap in range(k)]
            for o, s, k, d, (before, _) in zip(
                element, g.strides, g.kernel_size, g.dilation_rate, g.pads, strict=True
            )
        )
    return found


def _exact_text(
    case: Case, data: Arrays, element: Index, reference: float, got: float
) -> dict[str, str]:
    if case.activation in AXIS_ACTIVATIONS:
        return {"judgement": f"{case.activation} mixes elements; no single sum decides this one."}
    products = terms(data.x, data.kernel, data.bias, element, **case.function_arguments())
    total = exact_sum(products)
    exact = float(total)
    if case.activation not in (None, "linear"):
        exact = float(activations.get(case.activation)(np.array([exact]))[0])
    fraction = ""
    if total.denominator != 1 and len(str(total)) <= 60:
        fraction = str(total)
    error = {"the reference": abs(reference - exact), "the implementation": abs(got - exact)}
    if not np.isfinite(got) or error["the reference"] < error["the implementation"]:
        judgement = (
            f"Exact rational arithmetic sides with the reference: it is off by "
            f"{error['the reference']:.3g}, the implementation by "
            f"{error['the implementation']:.3g}."
        )
    elif error["the reference"] > error["the implementation"]:
        judgement = (
            f"Exact rational arithmetic sides with the implementation: it is off by "
            f"{error['the implementation']:.3g}, the reference by {error['the reference']:.3g}."
        )
    else:
        judgement = "Exact rational arithmetic puts both at the same distance."
    return {"exact": f"{exact:.17g}", "exact_fraction": fraction, "judgement": judgement}


def _window(case: Case, row: int, column: int) -> tuple[tuple[int, int], tuple[int, int]]:
    spans = [
        (o * s - before, o * s - before + (k - 1) * d + 1)
        for o, s, k, d, (before, _) in zip(
            (row, column),
            case.geometry.strides,
            case.geometry.kernel_size,
            case.geometry.dilation_rate,
            case.geometry.pads,
            strict=True,
        )
    ]
    return spans[0], spans[1]


def _crop(center: int, size: int) -> slice:
    start = max(0, min(center - LARGEST_PICTURE // 2, size - LARGEST_PICTURE))
    return slice(start, min(start + LARGEST_PICTURE, size))


def _nested(values: NDArray[Any]) -> list[list[float | None]]:
    return [[float(v) if np.isfinite(v) else None for v in row] for row in values]
