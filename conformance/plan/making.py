"""The table `design.txt`, made by ``python -m conformance.plan`` in about two minutes.

It has to be made again after a change of `FACTORS` or `POPULAR`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from conformance.plan.cover import ALL, Cover
from conformance.plan.design import BOTH, OTHER, Designed, fingerprint, fixed_by, levels_named
from conformance.plan.factors import NUMBER, SIZES, Row
from conformance.plan.filling import best, fill
from conformance.plan.popular import POPULAR, repeats

CANDIDATES = 50
AT_ONCE = 4  # popular layers that are tried for one row, when all have come once


def make(seed: int = 0) -> Iterator[Designed]:
    """The rows of the design, for everything that can be claimed."""
    rng = random.Random(seed)
    made = list(_made(Cover(ALL), rng))
    yield from made
    cover = Cover(replace(ALL, both=True))
    for row in made:
        cover.meet(row.levels)
    while cover.left(2) or cover.left(3):
        found = best(cover, rng, CANDIDATES)
        if found is not None:
            cover.meet(found)
            yield Designed(found, both=True)


def _made(cover: Cover, rng: random.Random) -> Iterator[Designed]:
    layers = _Layers()
    number = 0
    while cover.left(2) or cover.left(3) or layers.left:
        number += 1
        if layers.left and number % 2:
            made = layers.best(cover, rng, first=number == 1)
        elif number in _OPENING:
            rows = [fill(_OPENING[number], cover, rng, 0) for _ in range(CANDIDATES)]
            made = Designed(max((cover.news(row), row) for row in rows if row is not None)[1])
        else:
            strength = 2 if cover.left(2) else 3
            kinds = [kind for kind in _TURNS if cover.left(strength, kind)]
            if not kinds:
                continue
            found = best(cover, rng, CANDIDATES, kind=kinds[number // 2 % len(kinds)])
            if found is None:
                continue
            made = Designed(found)
        cover.meet(made.levels)
        yield made


class _Layers:
    """The popular layers that are left, and what each of them has not met yet.

    All come once before any comes again. A layer that comes again meets other levels, and an
    everyday one other pairs of channels and filters.
    """

    def __init__(self) -> None:
        self.left = {n: repeats(layer) for n, layer in enumerate(POPULAR)}
        self.met: dict[int, set[tuple[int, ...]]] = {n: set() for n in self.left}

    def best(self, cover: Cover, rng: random.Random, *, first: bool) -> Designed:
        """The row of the layer that meets most that is new."""
        fresh = [n for n in self.left if not self.met[n]]
        again = list(self.left) if len(self.left) <= AT_ONCE else rng.sample([*self.left], AT_ONCE)
        tried = []
        for popular in [0] if first else fresh or again:
            fixed = {**fixed_by(popular), **self._given(popular)}
            kind = cover.kind({f: levels[0] for f, levels in fixed.items()})
            rows = [fill(fixed, cover, rng, kind) for _ in range(4 if fresh else 12)]
            tried += [
                ((cover.news(row)[0], self._news(popular, row), cover.news(row)[1]), popular, row)
                for row in rows
                if row is not None
            ]
        _, chosen, levels = max(tried)
        self.met[chosen] |= _own(levels)
        self.left[chosen] -= 1
        if not self.left[chosen]:
            del self.left[chosen]
        return Designed(levels, chosen)

    def _given(self, popular: int) -> dict[int, Sequence[int]]:
        """Every fourth time, from the second on, channels_first; float32 the time after that.

        Some engines have no other dtype, and refuse what they do not have.
        """
        had = repeats(POPULAR[popular]) - self.left[popular]
        if had % 4 == 1:
            return levels_named("data_format", "channels_first")
        return levels_named("dtype", "float32") if had % 4 == 2 else {}

    def _news(self, popular: int, row: Row) -> int:
        return len(_own(row) - self.met[popular])


def _own(row: Row) -> set[tuple[int, ...]]:
    """What a popular layer should meet: every level, and channels with filters."""
    counts = (row[NUMBER["channels"]], row[NUMBER["filters"]])
    return {(f, row[f]) for f in range(len(SIZES))} | {(-1, *counts)}


# What the first rows that are no popular layer must have: the likeliest faults, met first.
_ODD = ("same, odd h", "same, odd w", "same, odd h and w")
_OPENING: dict[int, dict[int, Sequence[int]]] = {
    2: {**levels_named("strides", "h > w", "h < w"), **levels_named("padding", *_ODD)},
    4: {**levels_named("dilation", "h > w", "h < w"), **levels_named("kernel", "wide", "tall")},
}
# The kinds of rows by turns: at home, channels_first, grouped, both of these.
_TURNS = (2, 0, 1, 2, 0, 0, 3, 0)


def write(path: Path) -> None:
    """Make the table again."""
    rows = list(make())
    lines = [f"# {fingerprint()}: popular layer, - or + (strides with dilation), a level a factor"]
    for row in rows:
        name = BOTH if row.both else OTHER if row.popular is None else str(row.popular)
        lines.append(f"{name} {''.join(map(str, row.levels))}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
