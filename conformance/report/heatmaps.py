"""Expected, got and difference as coloured grids, and the input behind one element."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from conformance.report.text import number
from conformance.results import Evidence, Report

Grid = list[list[float | None]]

STEPS = 6  # colours on each side of zero; style.css has the classes d0 to d12
CELLS_OF_A_PAGE = 20_000  # keeps a page with hundreds of findings at a few megabytes
LARGEST_SIDE = 24
SMALLEST_SIDE = 3
_SIDE = 216  # of a drawing, in pixels
_LARGEST_CELL = 36


@dataclass(frozen=True, slots=True)
class Map:
    """One grid with its caption."""

    name: str
    svg: Markup
    scale: Markup


@dataclass(frozen=True, slots=True)
class Maps:
    """The grids of one finding and a remark on what they leave out."""

    maps: list[Map]
    remark: str


def side_of_maps(report: Report) -> int:
    """Rows and columns to draw of each grid so that the page stays within its budget."""
    results = [*report.implementations, *report.witnesses]
    grids = [
        grid
        for result in results
        for finding in result.findings
        if finding.evidence is not None
        for grid in (finding.evidence.expected, finding.evidence.got, finding.evidence.got)
        if grid is not None
    ]
    side = LARGEST_SIDE
    while side > SMALLEST_SIDE and sum(_cells(g, side) for g in grids) > CELLS_OF_A_PAGE:
        side -= 1
    return side


def draw(evidence: Evidence, side: int) -> Maps:
    """Expected and got on one scale and, where their shapes agree, the difference on its own."""
    expected, got, worst = evidence.expected, evidence.got, evidence.worst
    grids = {"Expected": expected, "Got": got}
    difference = None
    if expected and got and _shape(expected) == _shape(got):
        difference = [
            [None if a is None or b is None else b - a for a, b in zip(row, other, strict=True)]
            for row, other in zip(expected, got, strict=True)
        ]
    top = _scale([grid for grid in (expected, got) if grid])
    maps = [_map(name, grid, worst, side, top) for name, grid in grids.items() if grid]
    if difference:
        maps.append(_map("Got − expected", difference, worst, side, _scale([difference])))
    return Maps(maps, _remark(evidence, side))


def draw_window(evidence: Evidence) -> Markup | None:
    """The input with the rows and columns that the worst element reads, padding included."""
    if evidence.size is None or evidence.window is None:
        return None
    height, width = evidence.size
    (top, bottom), (left, right) = evidence.window
    first_row, last_row = min(0, top), max(height, bottom) - 1
    first_column, last_column = min(0, left), max(width, right) - 1
    rows, columns = last_row - first_row + 1, last_column - first_column + 1
    cell = min(24.0, 176 / max(rows, columns, 1))

    def box(y: int, x: int, h: int, w: int, name: str) -> str:
        return (
            f'<rect class="{name}" x="{_px((x - first_column) * cell + 2)}" '
            f'y="{_px((y - first_row) * cell + 2)}" '
            f'width="{_px(w * cell)}" height="{_px(h * cell)}"/>'
        )

    parts = [box(0, 0, height, width, "input")]
    if (rows, columns) != (height, width):
        parts.insert(0, box(first_row, first_column, rows, columns, "padding"))
    if cell >= 5:
        parts.append(_lines(rows, columns, cell))
    parts.append(box(top, left, bottom - top, right - left, "window"))
    w, h = _px(columns * cell + 4), _px(rows * cell + 4)
    label = f"Input of {height} by {width}; the worst element reads {window_text(evidence)}"
    return Markup(
        f'<svg class="geometry" role="img" aria-label="{label}" width="{w}" height="{h}" '
        f'viewBox="0 0 {w} {h}"><title>{label}</title>{"".join(parts)}</svg>'
    )


def window_text(evidence: Evidence) -> str:
    """``rows −1 to 1, columns 3 to 5``."""
    if evidence.window is None:
        return ""
    (top, bottom), (left, right) = evidence.window
    return f"{_span('row', top, bottom - 1)}, {_span('column', left, right - 1)}"


def _span(noun: str, first: int, last: int) -> str:
    if first == last:
        return f"{noun} {number(first)}"
    return f"{noun}s {number(first)} to {number(last)}"


def _map(name: str, grid: Grid, worst: tuple[int, int] | None, side: int, top: float) -> Map:
    rows, columns = _window(_shape(grid), worst, side)
    cell = min(_LARGEST_CELL, max(8, _SIDE // max(len(columns), len(rows), 1)))
    shown = [[grid[r][c] for c in columns] for r in rows]
    texts = [[_short(value) for value in row] for row in shown]
    labelled = cell >= 26 and max((len(t) for row in texts for t in row), default=0) * 6 < cell
    parts = list(_rects(shown, rows.start, columns.start, cell, top))
    if labelled:
        parts.extend(_labels(shown, texts, cell, top))
    if worst is not None and worst[0] in rows and worst[1] in columns:
        parts.append(
            f'<rect class="worst" x="{(worst[1] - columns.start) * cell + 1}" '
            f'y="{(worst[0] - rows.start) * cell + 1}" width="{cell}" height="{cell}"/>'
        )
    w, h = len(columns) * cell + 2, len(rows) * cell + 2
    height, width = _shape(grid)
    label = f"{name}, {height} by {width} values"
    if worst is not None and worst[0] < height and worst[1] < width:
        value = grid[worst[0]][worst[1]]
        shown_value = "not finite" if value is None else number(value)
        label += f"; worst at row {worst[0]}, column {worst[1]}: {shown_value}"
    svg = Markup(
        f'<svg class="heat" role="img" aria-label="{label}" width="{w}" height="{h}" '
        f'viewBox="0 0 {w} {h}">{"".join(parts)}</svg>'
    )
    return Map(name, svg, _legend(shown, top))


def _rects(shown: Grid, row0: int, column0: int, cell: int, top: float) -> Iterator[str]:
    for i, row in enumerate(shown):
        for j, value in enumerate(row):
            text = "not finite" if value is None else number(value)
            yield (
                f'<rect class="{_colour(value, top)}" x="{j * cell + 1}" y="{i * cell + 1}" '
                f'width="{cell}" height="{cell}">'
                f"<title>[{row0 + i}, {column0 + j}] {text}</title></rect>"
            )


def _labels(shown: Grid, texts: list[list[str]], cell: int, top: float) -> Iterator[str]:
    for i, row in enumerate(shown):
        for j, value in enumerate(row):
            step = _step(value, top)
            strength = {4: ' class="mid"', 5: ' class="on"', 6: ' class="on"'}
            strong = strength.get(abs(step or 0), "")
            x, y = j * cell + cell // 2 + 1, i * cell + cell // 2 + 1
            yield f'<text{strong} x="{x}" y="{y}">{texts[i][j]}</text>'


def _legend(shown: Grid, top: float) -> Markup:
    values = [value for row in shown for value in row if _finite(value)]
    negative = any(value < 0 for value in values if value is not None)
    positive = any(value > 0 for value in values if value is not None)
    if not (negative or positive):
        return Markup('<span class="scale">all 0</span>')
    # The page holds the three colour bars once; repeating them would double a small card.
    first, last = -STEPS if negative else 0, STEPS if positive else 0
    name = "both" if negative and positive else "down" if negative else "up"
    low, high = number(-top if negative else 0), number(top if positive else 0)
    width = (last - first + 1) * 8
    return Markup(
        f'<span class="scale">{low} <svg role="img" aria-label="colour scale from {low} to {high}" '
        f'width="{width}" height="8"><use href="#scale-{name}"/></svg> {high}</span>'
    )


def _remark(evidence: Evidence, side: int) -> str:
    expected, got, element = evidence.expected, evidence.got, evidence.element
    remarks = []
    if expected and got and _shape(expected) != _shape(got):
        (h, w), (gh, gw) = _shape(expected), _shape(got)
        remarks.append(f"The sizes differ: expected {h} × {w}, got {gh} × {gw}.")
    if any(grid and max(_shape(grid)) > side for grid in (expected, got)):
        remarks.append(f"At most {side} × {side} values around the worst element are drawn.")
    if element is not None and evidence.worst not in (element[1:3], element[2:4]):
        remarks.append("Rows and columns count from the corner of this part of the result.")
    return " ".join(remarks)


def _lines(rows: int, columns: int, cell: float) -> str:
    w, h = _px(columns * cell + 2), _px(rows * cell + 2)
    across = "".join(f"M2 {_px(i * cell + 2)}H{w}" for i in range(1, rows))
    down = "".join(f"M{_px(j * cell + 2)} 2V{h}" for j in range(1, columns))
    return f'<path class="lines" d="{across}{down}"/>' if across or down else ""


def _window(
    shape: tuple[int, int], worst: tuple[int, int] | None, side: int
) -> tuple[range, range]:
    centre = worst or (0, 0)
    starts = [
        max(0, min(c - side // 2, length - side)) for c, length in zip(centre, shape, strict=True)
    ]
    rows, columns = (
        range(start, min(length, start + side)) for start, length in zip(starts, shape, strict=True)
    )
    return rows, columns


def _scale(grids: list[Grid]) -> float:
    """The largest finite size, which gets the strongest colour."""
    return max(
        (abs(v) for grid in grids for row in grid for v in row if v is not None and _finite(v)),
        default=0.0,
    )


def _step(value: float | None, top: float) -> int | None:
    """-STEPS to STEPS; only 0 itself is step 0, so that no difference goes unseen."""
    if value is None or not _finite(value):
        return None
    if value == 0 or top == 0:
        return 0
    return int(math.copysign(max(1, math.ceil(abs(value) / top * STEPS)), value))


def _colour(value: float | None, top: float) -> str:
    step = _step(value, top)
    return "void" if step is None else f"d{step + STEPS}"


def _short(value: float | None) -> str:
    if value is None or not _finite(value):
        return "×"
    return f"{value:.3g}".replace("-", "−")


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _cells(grid: Grid, side: int) -> int:
    height, width = _shape(grid)
    return min(height, side) * min(width, side)


def _shape(grid: Grid) -> tuple[int, int]:
    return len(grid), len(grid[0]) if grid else 0


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
