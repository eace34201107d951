"""The design for an implementation whose calls are costly: few grouped rows, most of them quick.

`asking.takes_long` says what costs. All popular layers and all pairs stay met; of the triples of a
grouped row only those that are cheap. What is left out of the default profile begins the night.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from conformance.plan.cover import Claims, Cover
from conformance.plan.design import Designed, Rows, ordered, rows_for
from conformance.plan.factors import FACTORS, NUMBER, Row

MOST_QUICK = 100  # grouped rows beyond those that pairs need
_GROUPS, _PADDING = NUMBER["groups"], NUMBER["padding"]
# A call is quick where all of these have their first level.
_PLAIN = ("dtype", "mixed precision", "data_format", "dilation")
# Not seen where it takes long: there is one input.
_ONE_INPUT = tuple(NUMBER[name] for name in ("data", "an empty batch"))


@cache
def sparing_rows(claims: Claims) -> Rows:
    """The rows of `rows_for` with few that take long, and those left out as `late`."""
    designed = rows_for(claims)
    grouped = [row for row in designed.rows if row.levels[_GROUPS]]
    chosen = _quickened(grouped, claims)
    rows = [row for row in designed.rows if not row.levels[_GROUPS]]
    number = {id(row): n for n, row in enumerate(designed.rows)}
    kept = _chosen(chosen, claims)
    late = [row for n, row in enumerate(grouped) if n not in kept or chosen[n] != row]
    rows += [chosen[n] for n in sorted(kept, key=lambda n: number[id(grouped[n])])]
    found = ordered(rows, claims, _seen)
    return replace(found, late=tuple(late))


def _quickened(rows: list[Designed], claims: Claims) -> list[Designed]:
    """Rows with the quick levels wherever no pair is lost by it, the last ones first."""
    cover = Cover(claims)
    found = list(rows)
    numbers = [_pairs(row, cover) for row in rows]
    times = np.zeros(cover.missing[2].size, np.intp)
    for row in numbers:
        times[row] += 1
    for n in reversed(range(len(rows))):
        quick = _quick(rows[n], claims)
        if quick is None or quick == rows[n]:
            continue
        others = _pairs(quick, cover)
        lost = np.setdiff1d(numbers[n], others)
        if not (cover.missing[2][lost] & (times[lost] == 1)).any():
            times[numbers[n]] -= 1
            times[others] += 1
            found[n] = quick
    return found


def _chosen(rows: list[Designed], claims: Claims) -> set[int]:
    """Which rows stay: every popular layer, all that pairs need, then those with most triples."""
    cover = Cover(claims)
    named: dict[int | None, int] = {}
    for n, row in enumerate(rows):
        named.setdefault(row.popular, n)
    kept = {n for popular, n in named.items() if popular is not None}
    long = [n for n, row in enumerate(rows) if _is_long(row)]
    kept |= {n for n in long if rows[n].popular is None}
    for n in kept:
        cover.missing[2][_pairs(rows[n], cover)] = False
        cover.missing[3][cover.numbers([rows[n].levels], 3)] = False
    pairs = np.array([_pairs(row, cover) for row in rows])
    triples = cover.numbers([row.levels for row in rows], 3)
    open_ = np.array([n not in kept and not _is_long(row) for n, row in enumerate(rows)])
    for _ in range(MOST_QUICK):
        gains = 1000 * cover.missing[2][pairs].sum(axis=1) + cover.missing[3][triples].sum(axis=1)
        best = int(np.where(open_, gains, -1).argmax())
        if gains[best] <= 0 or not open_[best]:
            break
        kept.add(best)
        open_[best] = False
        cover.missing[2][pairs[best]] = False
        cover.missing[3][triples[best]] = False
    return kept


def _pairs(row: Designed, cover: Cover) -> NDArray[np.intp]:
    """The pairs that a grouped row meets, numbered as in `Cover.numbers`."""
    found: NDArray[np.intp] = cover.numbers([_seen(row)], 2)[0]
    return found


def _seen(row: Designed) -> Row:
    """The levels that a row shows, -1 for those of a second input that it has not."""
    if not row.levels[_GROUPS] or not _is_long(row):
        return row.levels
    return tuple(-1 if f in _ONE_INPUT else n for f, n in enumerate(row.levels))


def _is_long(row: Designed) -> bool:
    return any(row.levels[NUMBER[name]] for name in _PLAIN)


def _quick(row: Designed, claims: Claims) -> Designed | None:
    """A row of the quick levels, otherwise the same; None where there is none."""
    if any(0 not in claims.levels[NUMBER[name]] for name in _PLAIN):
        return None
    levels = [0 if FACTORS[f].name in _PLAIN else n for f, n in enumerate(row.levels)]
    if row.popular is not None:
        levels[NUMBER["dilation"]] = row.levels[NUMBER["dilation"]]
    paddings = claims.levels[_PADDING] if row.popular is None else ()
    for padding in (row.levels[_PADDING], *paddings):
        levels[_PADDING] = padding
        if _allowed(tuple(levels), claims):
            return replace(row, levels=tuple(levels))
    return None


def _allowed(levels: Row, claims: Claims) -> bool:
    return all(rule.allowed[tuple(levels[f] for f in rule.factors)] for rule in claims.rules)
