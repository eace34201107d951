"""Rows that meet much that is new.

The method is the greedy one of AETG (Cohen, Dalal, Fredman and Patton, 1997): several candidates
are filled factor by factor with the level that meets most that is new, and the best one is taken.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from conformance.plan.cover import Cover
from conformance.plan.factors import JOINT, SIZES, Constraint, Row


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
