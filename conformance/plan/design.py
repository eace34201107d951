"""A covering design: rows in which every pair of levels meets, and of joint factors every triple.

The table `design.txt` has the rows for everything that can be claimed. `rows_for` fits it to what
is claimed: a level that is not becomes another one, no row is dropped, and rows for what is then
still missing follow.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

import numpy as np

from conformance.plan.cover import Claims, Cover
from conformance.plan.factors import FACTORS, NUMBER, Row
from conformance.plan.filling import best, fill
from conformance.plan.popular import POPULAR, fixed_levels, repeats

TABLE = "design.txt"
FEW_CANDIDATES = 2  # for the rows that are made at run time
MOST_TRIES = 300
OPENING = 6  # rows that stay the first ones


@dataclass(frozen=True, slots=True)
class Designed:
    """A row of the design.

    Attributes:
        levels: the number of a level for each factor.
        popular: number of the popular layer that it is, or None.
        both: whether it is there for strides and dilation both above 1.
    """

    levels: Row
    popular: int | None = None
    both: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows for some claims.

    Attributes:
        rows: in order.
        paired: with so many of them all pairs and popular layers are met.
        late: further ones, which are not worth their cost before everything else is met.
    """

    rows: tuple[Designed, ...]
    paired: int
    late: tuple[Designed, ...] = ()


@cache
def rows_for(claims: Claims) -> Rows:
    """The rows of the design as they fit `claims`: every pair and triple of these is met."""
    cover = Cover(claims)
    rng = random.Random(0)
    wanted = [_as_seen(row, claims) for row in _shipped() if claims.both or not row.both]
    cover.meet(*(row.levels for row in wanted if _is_claimed(row, claims)))
    rows: list[Designed] = []
    for row in wanted:
        levels = row.levels if _is_claimed(row, claims) else _fitted(row, cover, rng)
        if levels is not None:
            rows.append(replace(row, levels=levels))
            if levels != row.levels:
                cover.meet(levels)
    for _ in range(MOST_TRIES):
        if not cover.left(2) and not cover.left(3):
            break
        found = best(cover, rng, FEW_CANDIDATES)
        if found is not None:
            rows.append(Designed(found))
            cover.meet(found)
    return ordered(rows, claims)


def ordered(
    rows: list[Designed], claims: Claims, seen: Callable[[Designed], Row] = lambda row: row.levels
) -> Rows:
    """Popular layers and other rows by turns, always the one that meets most new pairs.

    When all pairs are met and no popular layer is left, the others follow as they are. `seen` are
    the levels that a row shows, -1 for none.
    """
    cover = Cover(claims)
    numbers = cover.numbers([seen(row) for row in rows], 2)
    named = [row.popular for row in rows]
    popular = np.array([n is not None and n not in named[:at] for at, n in enumerate(named)])
    left = np.ones(len(rows), np.bool_)
    order: list[int] = []
    while popular[left].any() or cover.left(2):
        wanted = left & (popular if len(order) % 2 == 0 else ~popular)
        if not wanted.any() or (len(order) % 2 == 0 and not popular[left].any()):
            wanted = left
        news = np.where(wanted, cover.missing[2][numbers].sum(axis=1), -1)
        if news.max() <= 0 and not popular[left].any():
            break
        chosen = int(np.flatnonzero(left)[0] if len(order) < OPENING else news.argmax())
        order.append(chosen)
        left[chosen] = False
        cover.missing[2][numbers[chosen]] = False
    rest = np.flatnonzero(left).tolist()
    return Rows(tuple(rows[n] for n in [*order, *rest]), len(order))


def _as_seen(row: Designed, claims: Claims) -> Designed:
    """With the first level of every factor that is not seen."""
    levels = (n if f in claims.counted else 0 for f, n in enumerate(row.levels))
    return replace(row, levels=tuple(levels))


def _is_claimed(row: Designed, claims: Claims) -> bool:
    return all(n in claims.levels[f] for f, n in enumerate(row.levels))


def _fitted(shipped: Designed, cover: Cover, rng: random.Random) -> Row | None:
    """The levels of a row, those that are not claimed replaced; None for an unclaimed layer."""
    claims = cover.claims
    keep = {f: [n] for f, n in enumerate(shipped.levels) if n in claims.levels[f]}
    fixed: dict[int, Sequence[int]] = dict(keep)
    kind = cover.kind({f: n for f, (n,) in keep.items()})
    if shipped.popular is not None:
        own = fixed_by(shipped.popular)
        if any(not set(levels) & set(claims.levels[f]) for f, levels in own.items()):
            return None
        return fill(fixed | {f: n for f, n in own.items() if f not in keep}, cover, rng, kind)
    # Where what is left cannot go together any more, padding is the first to give way.
    for freed in ((), ("padding",), ("padding", "strides"), ("padding", "strides", "kernel")):
        some = {f: levels for f, levels in fixed.items() if FACTORS[f].name not in freed}
        row = fill(some, cover, rng, kind)
        if row is not None:
            return row
    return None


def fixed_by(popular: int) -> dict[int, Sequence[int]]:
    """The levels of the factors that a popular layer fixes."""
    layer = POPULAR[popular]
    fixed = {f: [list(FACTORS[f].levels).index(n)] for f, n in fixed_levels(layer).items()}
    return {**fixed, **levels_named("padding", *layer.paddings)}


def levels_named(factor: str, *names: str) -> dict[int, Sequence[int]]:
    """The named levels of a factor, as numbers."""
    known = list(FACTORS[NUMBER[factor]].levels)
    return {NUMBER[factor]: [known.index(name) for name in names]}


@cache
def _shipped() -> tuple[Designed, ...]:
    text = resources.files("conformance.plan").joinpath(TABLE).read_text("utf-8")
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return tuple(
        Designed(tuple(map(int, levels)), int(name) if name.isdigit() else None, name == BOTH)
        for name, levels in lines
    )


OTHER, BOTH = "-", "+"


def fingerprint() -> str:
    """Of the tables that a design depends on."""
    text = repr([(f.name, list(f.levels), f.joint) for f in FACTORS]) + repr(
        [(layer, repeats(layer)) for layer in POPULAR]
    )
    return f"{zlib.crc32(text.encode()):08x}"
