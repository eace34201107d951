"""Which pairs and triples of levels may occur, and which of them rows have met."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

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

ASIDE = (NUMBER["data_format"], NUMBER["groups"])
Levels = tuple[tuple[int, ...], ...]  # of each factor, those that may occur


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
        known = np.where(levels < 0, -self.size - 1, levels)  # it outweighs the others
        found = self.starts[groups]
        for factors, steps in zip(self.groups[groups].T, self.steps[groups].T, strict=True):
            found = found + known[..., factors] * steps
        return np.where(found < 0, self.size, found)

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
