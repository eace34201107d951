"""A covering design: rows in which every pair of levels meets, and of joint factors every triple.

``python -m conformance.plan`` makes the table `design.txt` again (about two minutes), which
is needed after a change of `FACTORS` or `POPULAR`. `rows_for` fits it to what is claimed: a level
that is not becomes another one, no row is dropped, and rows for what is then still missing follow.

The method is the greedy one of AETG (Cohen, Dalal, Fredman and Patton, 1997): several candidates
are filled factor by factor with the level that meets most that is new, and the best one is taken.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from conformance.plan.factors import (
    FACTORS,
    JOINT,
    NUMBER,
    SIZES,
    Constraint,
    Row,
    constraints,
)
from conformance.plan.popular import POPULAR, fixed_levels, repeats

TABLE = "design.txt"
CANDIDATES = 50
FEW_CANDIDATES = 2  # for the rows that are made at run time
MOST_TRIES = 300
OPENING = 6  # rows that stay the first ones
AT_ONCE = 4  # popular layers that are tried for one row, when all have come once
ASIDE = (NUMBER["data_format"], NUMBER["groups"])
Levels = tuple[tuple[int, ...], ...]  # of each factor, those that may occur


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
class Claims:
    """The levels that may occur.

    Attributes:
        levels: of each factor; the first one stands for a factor that is not seen.
        counted: the factors that are seen.
        both: whether strides and dilation may both exceed 1.
    """

    levels: Levels
    counted: frozenset[int]
    both: bool = False

    @property
    def rules(self) -> tuple[Constraint, ...]:
        """What keeps the levels apart that are seen."""
        return _rules(self.counted, self.both)

    def claimed_rules(self) -> tuple[Constraint, ...]:
        """The rules as far as claimed levels go."""
        return tuple(_claimed(rule, self) for rule in self.rules)


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
def _rules(counted: frozenset[int], both: bool) -> tuple[Constraint, ...]:
    return tuple(rule for rule in constraints(both=both) if counted.issuperset(rule.factors))


def _claimed(rule: Constraint, claims: Claims) -> Constraint:
    allowed = rule.allowed.copy()
    for axis, f in enumerate(rule.factors):
        banned = [level for level in range(SIZES[f]) if level not in claims.levels[f]]
        allowed[(slice(None),) * axis + (banned,)] = False
    return Constraint(rule.factors, allowed)


ALL = Claims(tuple(tuple(range(n)) for n in SIZES), frozenset(range(len(SIZES))))


class Tuples:
    """All tuples of levels of so many factors, numbered."""

    def __init__(self, factors: Sequence[int], strength: int) -> None:
        self.groups = np.array(list(combinations(factors, strength)), np.intp)
        sizes = np.array(SIZES)[self.groups]
        steps = np.ones_like(sizes)
        for column in range(strength - 2, -1, -1):
            steps[:, column] = steps[:, column + 1] * sizes[:, column + 1]
        volumes = sizes.prod(axis=1)
        self.steps, self.starts = steps, np.concatenate([[0], np.cumsum(volumes)[:-1]])
        self.size = int(volumes.sum())
        self.of_factor = [np.flatnonzero((self.groups == f).any(axis=1)) for f in range(len(SIZES))]

    def numbers(self, levels: NDArray[np.intp], groups: NDArray[np.intp]) -> NDArray[np.intp]:
        """The tuples of some `groups` of factors in rows of levels; `size` where one is missing."""
        chosen = levels[..., self.groups[groups]]
        found = (chosen * self.steps[groups]).sum(axis=-1) + self.starts[groups]
        return np.where((chosen < 0).any(axis=-1), self.size, found)

    def possible(self, claims: Claims) -> NDArray[np.bool_]:
        """Which of them may occur."""
        found = np.zeros(self.size + 1, np.bool_)
        rules = claims.claimed_rules()
        for group, start in zip(self.groups, self.starts, strict=True):
            factors = tuple(map(int, group))
            names = {FACTORS[f].name for f in factors}
            if not claims.counted.issuperset(factors) or any(
                names.intersection(FACTORS[f].apart) for f in factors
            ):
                continue
            table = np.ones([SIZES[f] for f in factors], np.bool_)
            for axis, f in enumerate(factors):
                allowed = np.zeros(SIZES[f], np.bool_)
                allowed[list(claims.levels[f])] = True
                table &= allowed.reshape([-1 if a == axis else 1 for a in range(len(factors))])
            for rule in rules:
                part = rule.onto(factors)
                if part is not None:
                    table &= part
            found[start : start + table.size] = table.ravel()
        return found

    def kinds(self, homes: Sequence[int]) -> NDArray[np.intp]:
        """The kind of row that meets each of them, see `Cover`."""
        found = np.zeros(self.size + 1, np.intp)
        for group, start in zip(self.groups, self.starts, strict=True):
            shape = [SIZES[f] for f in group]
            table = np.zeros(shape, np.intp)
            for axis, f in enumerate(map(int, group)):
                if f in ASIDE:
                    bit = ASIDE.index(f)
                    levels = np.where(np.arange(SIZES[f]) == homes[bit], 0, 1 << bit)
                    table |= levels.reshape([-1 if a == axis else 1 for a in range(len(shape))])
            found[start : start + table.size] = table.ravel()
        return found


@cache
def pairs() -> Tuples:
    """All pairs of levels."""
    return Tuples(range(len(FACTORS)), 2)


@cache
def triples() -> Tuples:
    """All triples of levels of joint factors."""
    return Tuples(JOINT, 3)


def tuples_of(strength: int) -> Tuples:
    """Pairs or triples."""
    return pairs() if strength == 2 else triples()


@cache
def possible(claims: Claims, strength: int) -> NDArray[np.bool_]:
    """Which pairs or triples may occur."""
    return tuples_of(strength).possible(claims)


@cache
def _kinds(homes: tuple[int, ...], strength: int) -> NDArray[np.intp]:
    return tuples_of(strength).kinds(homes)


class Cover:
    """What rows have met so far, of what is possible.

    Some engines refuse a data_format as a whole or take long for groups. So that nothing else is
    lost by it, rows are of kinds: an ordinary one has the first levels of the factors `ASIDE`, and
    a tuple counts only in a row whose other levels of these are in the tuple itself. The kind of a
    row or tuple is a number with a bit for each factor aside that is not at home.
    """

    def __init__(self, claims: Claims) -> None:
        self.claims = claims
        self.homes = [claims.levels[f][0] for f in ASIDE]
        self.missing = {n: possible(claims, n).copy() for n in (2, 3)}
        self.kinds = {n: _kinds(tuple(self.homes), n) for n in (2, 3)}

    def left(self, strength: int, kind: int | None = None) -> int:
        """How many pairs (2) or triples (3) are not met, of those that a kind of row meets."""
        missing = self.missing[strength]
        return int((missing if kind is None else missing & (self.kinds[strength] == kind)).sum())

    def kind(self, levels: Mapping[int, int]) -> int:
        """The kind of a row; factors aside that are not named are at home."""
        aside = enumerate(zip(ASIDE, self.homes, strict=True))
        return sum(1 << bit for bit, (f, home) in aside if levels.get(f, home) != home)

    def levels_of(self, kind: int) -> dict[int, Sequence[int]]:
        """The levels of the factors aside in rows of a kind."""
        return {
            f: [n for n in self.claims.levels[f] if (n != home) == bool(kind >> number & 1)]
            for number, (f, home) in enumerate(zip(ASIDE, self.homes, strict=True))
        }

    def numbers(self, rows: Sequence[Row], strength: int) -> NDArray[np.intp]:
        """The tuples that each row meets; the number of all of them stands for none."""
        tuples = tuples_of(strength)
        levels = np.array(rows, np.intp).reshape(-1, len(SIZES))
        numbers = tuples.numbers(levels, np.arange(len(tuples.groups)))
        kinds = np.array([self.kind(dict(enumerate(row))) for row in rows])
        return np.where(self.kinds[strength][numbers] == kinds[:, None], numbers, tuples.size)

    def news(self, row: Row) -> tuple[int, int]:
        """How many pairs and triples a row would meet anew."""
        new = [int(self.missing[n][self.numbers([row], n)].sum()) for n in (2, 3)]
        return new[0], new[1]

    def meet(self, *rows: Row) -> None:
        """Count some rows."""
        for strength, missing in self.missing.items():
            missing[self.numbers(rows, strength)] = False

    def gains(
        self, row: NDArray[np.intp], factor: int, strength: int, kind: int
    ) -> NDArray[np.intp]:
        """For each level of `factor`, how many new tuples it would complete in a row of a kind."""
        tuples = tuples_of(strength)
        tried = np.repeat(row[None], SIZES[factor], axis=0)
        tried[:, factor] = np.arange(SIZES[factor])
        numbers = tuples.numbers(tried, tuples.of_factor[factor])
        new = self.missing[strength][numbers] & (self.kinds[strength][numbers] == kind)
        found: NDArray[np.intp] = new.sum(axis=1)
        return found

    def one_missing(self, rng: random.Random, kind: int | None) -> dict[int, int]:
        """A tuple that is not met, as levels by factor; a pair if there is one."""
        strength = 2 if self.left(2, kind) else 3
        missing = self.missing[strength]
        if kind is not None:
            missing = missing & (self.kinds[strength] == kind)
        number = int(rng.choice(np.flatnonzero(missing).tolist()))
        tuples = tuples_of(strength)
        group = int(np.searchsorted(tuples.starts, number, side="right")) - 1
        rest = number - int(tuples.starts[group])
        chosen = {}
        for factor, step in zip(tuples.groups[group], tuples.steps[group], strict=True):
            chosen[int(factor)], rest = divmod(rest, int(step))
        return chosen


def fill(
    fixed: Mapping[int, Sequence[int]], cover: Cover, rng: random.Random, kind: int
) -> Row | None:
    """A row of a kind with levels of `fixed` where that names a factor; None at a dead end.

    Every other level is the one that meets most that is new among those before it.
    """
    claims = cover.claims
    row = np.full(len(SIZES), -1, np.intp)
    given = {**cover.levels_of(kind), **fixed}
    allowed = [list(given.get(f, claims.levels[f])) for f in range(len(SIZES))]
    order = list(range(len(SIZES)))
    rng.shuffle(order)
    order.sort(key=lambda f: len(allowed[f]) > 1)  # what is settled first
    for f in order:
        about = [rule for rule in claims.rules if f in rule.factors]
        left = [n for n in allowed[f] if all(_leaves(rule, row, f, n, allowed) for rule in about)]
        if not left:
            return None
        if len(left) > 1:
            gain = 1000 * cover.gains(row, f, 2, kind)
            if f in JOINT:
                gain += cover.gains(row, f, 3, kind)
            most = max(gain[n] for n in left)
            left = [n for n in left if gain[n] == most]
        row[f] = rng.choice(left)
    return tuple(map(int, row))


def _leaves(
    rule: Constraint, row: NDArray[np.intp], f: int, level: int, allowed: Sequence[Sequence[int]]
) -> bool:
    """Whether `rule` leaves something for a row in which `f` gets `level`."""
    levels = [
        [level] if g == f else [int(row[g])] if row[g] >= 0 else allowed[g] for g in rule.factors
    ]
    return rule.leaves(levels)


def best(
    cover: Cover, rng: random.Random, candidates: int, *, kind: int | None = None
) -> Row | None:
    """The best of so many candidates, each begun with a tuple that is missing."""
    found: list[tuple[tuple[int, int], Row]] = []
    for _ in range(candidates):
        chosen = cover.one_missing(rng, kind)
        fixed = {f: [level] for f, level in chosen.items()}
        row = fill(fixed, cover, rng, cover.kind(chosen))
        if row is not None:
            found.append((cover.news(row), row))
    return max(found, default=((0, 0), None))[1]


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
            fixed = {**_fixed_by(popular), **self._given(popular)}
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
            return _level("data_format", "channels_first")
        return _level("dtype", "float32") if had % 4 == 2 else {}

    def _news(self, popular: int, row: Row) -> int:
        return len(_own(row) - self.met[popular])


def _own(row: Row) -> set[tuple[int, ...]]:
    """What a popular layer should meet: every level, and channels with filters."""
    counts = (row[NUMBER["channels"]], row[NUMBER["filters"]])
    return {(f, row[f]) for f in range(len(SIZES))} | {(-1, *counts)}


def _level(factor: str, *names: str) -> dict[int, Sequence[int]]:
    known = list(FACTORS[NUMBER[factor]].levels)
    return {NUMBER[factor]: [known.index(name) for name in names]}


# What the first rows that are no popular layer must have: the likeliest faults, met first.
_ODD = ("same, odd h", "same, odd w", "same, odd h and w")
_OPENING: dict[int, dict[int, Sequence[int]]] = {
    2: {**_level("strides", "h > w", "h < w"), **_level("padding", *_ODD)},
    4: {**_level("dilation", "h > w", "h < w"), **_level("kernel", "wide", "tall")},
}
# The kinds of rows by turns: at home, channels_first, grouped, both of these.
_TURNS = (2, 0, 1, 2, 0, 0, 3, 0)


def _fixed_by(popular: int) -> dict[int, Sequence[int]]:
    layer = POPULAR[popular]
    fixed = {f: [list(FACTORS[f].levels).index(n)] for f, n in fixed_levels(layer).items()}
    return {**fixed, **_level("padding", *layer.paddings)}


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
        own = _fixed_by(shipped.popular)
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


@cache
def _shipped() -> tuple[Designed, ...]:
    text = resources.files("conformance.plan").joinpath(TABLE).read_text("utf-8")
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return tuple(
        Designed(tuple(map(int, levels)), int(name) if name.isdigit() else None, name == _BOTH)
        for name, levels in lines
    )


_OTHER, _BOTH = "-", "+"


def fingerprint() -> str:
    """Of the tables that a design depends on."""
    text = repr([(f.name, list(f.levels), f.joint) for f in FACTORS]) + repr(
        [(layer, repeats(layer)) for layer in POPULAR]
    )
    return f"{zlib.crc32(text.encode()):08x}"


def write(path: Path) -> None:
    """Make the table again."""
    rows = list(make())
    lines = [f"# {fingerprint()}: popular layer, - or + (strides with dilation), a level a factor"]
    for row in rows:
        name = _BOTH if row.both else _OTHER if row.popular is None else str(row.popular)
        lines.append(f"{name} {''.join(map(str, row.levels))}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
