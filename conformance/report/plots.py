"""Histograms and bars as inline SVG. Colours come from the style sheet."""

from __future__ import annotations

import math
from itertools import pairwise

from markupsafe import Markup, escape

from conformance.report.text import plural
from conformance.results import Ratios

_WIDTH, _HEIGHT = 440, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 8, 22, 34
_BASE = _HEIGHT - _BOTTOM
_EXACT = 34  # width of the bar for ratios of 0, which have no place on a logarithmic axis
_GAP = 24


def histogram(dtype: str, ratios: Ratios, *, expected: bool = False) -> Markup:
    """Error over bound on a logarithmic axis, counts on a square-root one, the limit at 1.

    Args:
        dtype: of the cases.
        ratios: what is drawn.
        expected: whether what is above the limit was expected to be.
    """
    exact, binned = ratios.counts[0], ratios.counts[1:]
    top = max(ratios.counts)
    above = "warn" if expected else "fail"
    start = _LEFT + _EXACT + _GAP
    width = (_WIDTH - _RIGHT - start) / len(binned)
    # The last bin is open; so is the first one where there is a bin below the first edge.
    lows = [0.0, *ratios.edges][-len(binned) :]
    parts = [_grid(top), _bar(_LEFT, _EXACT, exact, top, "pass", f"exact: {exact:,}")]
    for i, number in enumerate(binned):
        low, high = lows[i], lows[i + 1] if i + 1 < len(lows) else None
        kind = above if low >= 1 else "pass"
        span = f"above {_power(low)}" if high is None else f"{_power(low)} to {_power(high)}"
        left = start + i * width
        parts.append(_bar(left, width, number, top, kind, f"{span}: {number:,}"))
    parts.append(f'<text class="middle" x="{_LEFT + _EXACT / 2}" y="{_BASE + 15}">exact</text>')
    parts.extend(_ticks(lows, start, width))
    limit = _position(1.0, lows, start, width)
    parts.append(
        f'<path class="limit" d="M{limit:.1f} {_TOP - 6}V{_BASE}"/>'
        f'<text class="limit-text" x="{limit - 5:.1f}" y="{_TOP - 8}">limit</text>'
        f'<text class="middle axis" x="{(start + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 3}">'
        "error ÷ bound</text>"
    )
    label = (
        f"Error over bound of {escape(dtype)}: {plural(sum(ratios.counts), 'case')}, "
        f"{exact:,} exact, {ratios.failing:,} above the limit"
        f"{', as expected' if expected and ratios.failing else ''}"
    )
    return Markup(
        f'<svg class="histogram" role="img" aria-label="{label}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}">{"".join(parts)}</svg>'
    )


def _height(number: int, top: int) -> float:
    return math.sqrt(number / top) * (_BASE - _TOP) if top else 0.0


def _bar(left: float, width: float, number: int, top: int, kind: str, title: str) -> str:
    if not number:
        return ""
    height = max(2.0, _height(number, top))
    inset = min(1.0, width / 8)
    return (
        f'<rect class="{kind}" x="{left + inset:.1f}" y="{_BASE - height:.1f}" '
        f'width="{width - 2 * inset:.1f}" height="{height:.1f}"><title>{title}</title></rect>'
    )


def _grid(top: int) -> str:
    """Lines at up to five round counts, none closer than a line of text to the next one."""
    parts = [f'<path class="base" d="M{_LEFT} {_BASE}H{_WIDTH - _RIGHT}"/>']
    last = 0.0
    for number in (n * 10**e for e in range(10) for n in (1, 2, 5)):
        if number > top:
            break
        height = _height(number, top)
        if height - last < 20:
            continue
        last = height
        y = _BASE - height
        parts.append(
            f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
            f'<text class="end" x="{_LEFT - 6}" y="{y + 3.5:.1f}">{number:,}</text>'
        )
    return "".join(parts)


def _ticks(edges: list[float], start: float, width: float) -> list[str]:
    """Powers of two below the axis: 1 always, and others as far apart as their text needs."""
    every = max(1, math.ceil(40 / width))
    origin = edges.index(1.0) if 1.0 in edges else 0
    return [
        f'<text class="middle" x="{start + i * width:.1f}" y="{_BASE + 15}">{_power(edge)}</text>'
        for i, edge in enumerate(edges)
        if (i - origin) % every == 0 and edge > 0
    ]


def _position(value: float, edges: list[float], start: float, width: float) -> float:
    """Where `value` lies on the axis, whose bins are equally wide."""
    for i, (low, high) in enumerate(pairwise(edges)):
        if 0 < low <= value <= high:
            return start + (i + math.log(value / low) / math.log(high / low)) * width
    return start + (len(edges) - 1) * width


def _power(value: float) -> str:
    mantissa, exponent = math.frexp(value)
    if mantissa != 0.5 or -3 < exponent < 4:
        return f"{value:g}"
    superscript = str(exponent - 1).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"2{superscript}"
