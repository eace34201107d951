"""Expected, got and difference as coloured grids, and the input behind one element."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from markupsafe import Markup

from conformance.report.text import number
from conformance.results import Evidence, Report

Grid = list[list[float | None]]

STEPS = 6  # colours on each side of zero; report.css has the classes d0 to d12
CELLS_OF_A_PAGE = 20_000  # keeps a page with hundreds of findings at a few megabytes
LARGEST_SIDE = 12
SMALLEST_SIDE = 3
_SIDE = 252  # of a drawing, in pixels, where cells need not be smaller than a number
_SMALLEST_CELL, _LARGEST_CELL = 30, 36
_STRENGTH = {4: "mid", 5: "on", 6: "on"}
_DIGIT, _OTHERS = 7.0, {".": 3.5, "e": 6.8, "−": 9.2}  # pixels of a character of DejaVu Sans
_SMALL = 8 / 11  # the small text by the usual one


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
        for shown in (finding.evidence, finding.larger)
        if shown is not None
        for grid in (shown.expected, shown.got, shown.got)
        if grid is not None
    ]
    side = LARGEST_SIDE
    while side > SMALLEST_SIDE and sum(_cells(g, side) for g in grids) > CELLS_OF_A_PAGE:
        side -= 1
    return side


def draw(evidence: Evidence, side: int) -> Maps:
    """Input and kernel, expected and got, and the difference, the middle two on one scale."""
    expected, got, worst = evidence.expected, evidence.got, evidence.worst
    difference = None
    if expected and got and _shape(expected) == _shape(got):
        difference = [
            [None if a is None or b is None else b - a for a, b in zip(row, other, strict=True)]
            for row, other in zip(expected, got, strict=True)
        ]
    top = _scale([grid for grid in (expected, got) if grid])
    wrong = {*evidence.wrong}
    maps = list(_source(evidence))
    if expected:
        maps.append(_map("Expected", expected, worst, side, top))
    if got:
        maps.append(_map("Got", got, worst, side, top, wrong))
    if difference:
        top = _scale([difference])
        maps.append(_map("Got − expected", difference, worst, side, top, wrong, zeros=False))
    return Maps(maps, _remark(evidence, side))


def _source(evidence: Evidence) -> Iterator[Map]:
    """The padded input, with what the first wrong value reads, and the kernel."""
    if evidence.input and evidence.kernel:
        channel, depth = evidence.channel
        of = f", channel {channel} of {depth}" if depth > 1 else ""
        (top, bottom), (left, right) = evidence.pads
        width = left + _shape(evidence.input)[1] + right
        padded: Grid = [[None] * width for _ in range(top)]
        padded += [[*[None] * left, *row, *[None] * right] for row in evidence.input]
        padded += [[None] * width for _ in range(bottom)]
        rows, columns = evidence.reads or ([], [])
        read = {(row + top, column + left) for row in rows for column in columns}
        # Hatched is what is padding; within the input, what is not finite.
        inner = {
            (row + top, column + left)
            for row in range(_shape(evidence.input)[0])
            for column in range(_shape(evidence.input)[1])
        }
        scale = _scale([evidence.input])
        yield _map(f"Input{of}", padded, None, len(padded) + width, scale, read=read, inner=inner)
        kernel = evidence.kernel
        bias = "" if evidence.bias is None else f", bias {number(evidence.bias)}"
        yield _map(f"Kernel{of}{bias}", kernel, None, sum(_shape(kernel)), _scale([kernel]))


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
        f'viewBox="0 0 {w} {h}">{"".join(parts)}</svg>'
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


def _map(
    name: str,
    grid: Grid,
    worst: tuple[int, int] | None,
    side: int,
    top: float,
    wrong: Collection[tuple[int, int]] = (),
    *,
    read: Collection[tuple[int, int]] = (),
    inner: Collection[tuple[int, int]] | None = None,
    zeros: bool = True,
) -> Map:
    """One grid.

    Args:
        name: its caption.
        grid: values; None where there is none, or one that is not finite.
        worst: the place of the worst value, which is outlined and stays in sight.
        side: rows and columns that are drawn at most.
        top: the value of the strongest colour.
        wrong: places that are outlined as wrong.
        read: places that are outlined as read.
        inner: places of the input, where there is padding around it.
        zeros: whether a 0 is written into its cell.
    """
    rows, columns = _window(_shape(grid), worst, side)
    cell = min(_LARGEST_CELL, max(_SMALLEST_CELL, _SIDE // max(len(columns), len(rows), 1)))
    parts = []
    outlines = []
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            place, value = (row, column), grid[row][column]
            x, y = j * cell + 1, i * cell + 1
            box = f'x="{x}" y="{y}" width="{cell}" height="{cell}"'
            outside = inner is not None and place not in inner
            text = "padding" if outside else "not finite" if value is None else number(value)
            parts.append(
                f'<rect class="{_colour(value, top)}" {box}>'
                f"<title>[{row}, {column}] {text}</title></rect>"
            )
            if not outside and (zeros or value != 0):
                strong = _STRENGTH.get(abs(_step(value, top) or 0), "")
                parts.append(_written(value, cell, x + cell // 2, y + cell // 2, strong))
            kind = "worst" if place == worst else "wrong" if place in wrong else ""
            kind = "read" if place in read else kind
            if kind:
                outlines.append(f'<rect class="{kind}" {box}/>')
    w, h = len(columns) * cell + 2, len(rows) * cell + 2
    height, width = _shape(grid)
    label = f"{name}, {height} by {width} values"
    if worst is not None and worst[0] < height and worst[1] < width:
        value = grid[worst[0]][worst[1]]
        shown_value = "not finite" if value is None else number(value)
        label += f"; worst at row {worst[0]}, column {worst[1]}: {shown_value}"
    if inner is not None:
        label += ", padding included" if len(inner) < height * width else ""
        label += "; the first wrong value reads the outlined ones" if read else ""
    svg = Markup(
        f'<svg class="heat" role="img" aria-label="{label}" width="{w}" height="{h}" '
        f'viewBox="0 0 {w} {h}">{"".join((*parts, *outlines))}</svg>'
    )
    shown = [[grid[r][c] for c in columns] for r in rows]
    return Map(name, svg, _legend(shown, top))


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


def _written(value: float | None, cell: int, x: int, y: int, strong: str) -> str:
    """`value` in the middle of its cell; nothing where no form of it fits."""
    text, small = _fitting(value, cell)
    names = " ".join(name for name in (strong, "s" if small else "") if name)
    style = f' class="{names}"' if names else ""
    return f'<text{style} x="{x}" y="{y}">{text}</text>' if text else ""


def _fitting(value: float | None, cell: int) -> tuple[str, bool]:
    """`value` in as many digits as a cell holds, and whether they must be small; else nothing."""
    if value is None or not _finite(value):
        return "×", False
    for forms, scale in (
        ((".4g", ".3g"), 1.0),
        ((".4g", ".3g"), _SMALL),
        ((".2g",), 1.0),
        ((".2g", ".1g"), _SMALL),
    ):
        for form in forms:
            text = _short(value, form)
            if scale * sum(_OTHERS.get(letter, _DIGIT) for letter in text) < cell - 2:
                return text, scale < 1
    return "", False


def _short(value: float, form: str) -> str:
    text = re.sub(r"e([+-])0*", lambda e: "e" + e[1].strip("+"), format(value, form))
    return re.sub(r"^(-?)0\.", r"\1.", text).replace("-", "−")


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _cells(grid: Grid, side: int) -> int:
    height, width = _shape(grid)
    return min(height, side) * min(width, side)


def _shape(grid: Grid) -> tuple[int, int]:
    return len(grid), len(grid[0]) if grid else 0


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
