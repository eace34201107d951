"""What cases have met: pairs and triples of levels, popular layers, the largest sizes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.case import Case
from conformance.plan.asking import Asked
from conformance.plan.cover import Claims, possible, tuples_of
from conformance.plan.factors import FACTORS, SIZES, rows_of
from conformance.plan.popular import POPULAR, Popular, popular_number

MOST_REFUSED = 3  # levels that are named
_AT_ONCE = 1000  # cases whose tuples are looked up together
LARGEST: dict[str, Callable[[Case], int]] = {
    "batch": lambda c: c.geometry.batch,
    "input": lambda c: max(c.geometry.size),
    "output": lambda c: max(c.geometry.output),
    "output positions": lambda c: c.geometry.output[0] * c.geometry.output[1],
    "channels": lambda c: c.geometry.channels,
    "filters": lambda c: c.filters,
    "groups": lambda c: c.geometry.groups,
    "kernel": lambda c: max(c.geometry.kernel_size),
    "strides": lambda c: max(c.geometry.strides),
    "dilation": lambda c: max(c.geometry.dilation_rate),
    "products": lambda c: c.geometry.taps,
}


class Met:
    """What cases have met so far; it does not grow with their number."""

    def __init__(self, cases: Sequence[Case] = ()) -> None:
        self._tuples = {n: np.zeros(tuples_of(n).size + 1, np.bool_) for n in (2, 3)}
        # How many cases had each level; the last column is for those without one.
        self.levels = np.zeros((len(FACTORS), max(SIZES) + 1), np.intp)
        self.popular: set[Popular] = set()
        self.largest = dict.fromkeys(LARGEST, 0)
        self.add(cases, rows_of(cases), np.ones(len(cases), np.intp))

    def add(self, cases: Sequence[Case], rows: NDArray[np.intp], times: NDArray[np.intp]) -> None:
        """Add cases that have the levels `rows`, each so many times."""
        if not cases:
            return
        for start in range(0, len(cases), _AT_ONCE):
            some = rows[start : start + _AT_ONCE]
            for strength, met in self._tuples.items():
                tuples = tuples_of(strength)
                met[tuples.numbers(some, np.arange(len(tuples.groups)))] = True
        np.add.at(self.levels, (np.arange(len(FACTORS)), rows), times[:, None])
        self.popular |= {POPULAR[number] for number in set(map(popular_number, cases)) - {-1}}
        for name, size in LARGEST.items():
            self.largest[name] = max(self.largest[name], *map(size, cases))

    def tuples(self, claims: Claims, strength: int) -> dict[str, int]:
        """How many pairs or triples were met, of how many that are claimed."""
        may = possible(claims, strength)
        return {"met": int((self._tuples[strength] & may).sum()), "of": int(may.sum())}


def coverage(
    answered: Met, asked: Asked, refused: Met | None = None, sample: Collection[Case] = ()
) -> dict[str, Any]:
    """What was met by the cases that got an answer, of what `asked` claims.

    `sample` is of the cases that were refused.

    Returns:
        ``pairs`` and ``triples`` with ``met`` and ``of``; ``popular`` with these and what is
        ``missing``; ``levels`` that no case has, as ``factor: level``; levels that are ``refused``
        in part, see `_refused`; ``largest`` values.
    """
    claims = asked.claims
    layers = popular_layers(claims)
    missing = [layer for layer in layers if layer not in answered.popular]
    return {
        "pairs": answered.tuples(claims, 2),
        "triples": answered.tuples(claims, 3),
        "popular": {
            "met": len(layers) - len(missing),
            "of": len(layers),
            "missing": list(map(str, missing)),
        },
        "levels": [
            f"{FACTORS[f].name}: {list(FACTORS[f].levels)[n]}"
            for f in sorted(claims.counted)
            for n in claims.levels[f]
            if not answered.levels[f, n]
        ],
        "refused": [] if refused is None else _refused(answered, refused, sample, claims),
        "largest": dict(answered.largest),
    }


def _refused(
    answered: Met, refused: Met, sample: Collection[Case], claims: Claims
) -> list[dict[str, Any]]:
    """The few levels that tell most of the refused cases apart from the others.

    The one that most refused cases have, and fewest others, comes first; then the same is asked of
    the refused cases that do not have it.

    Returns:
        The ``level``, in how many cases it is ``refused``, and ``of`` how many with it.
    """
    known = [(f, n) for f in sorted(claims.counted) for n in claims.levels[f]]
    found: list[dict[str, Any]] = []
    left = rows_of(sample)
    while len(left) and len(found) < MOST_REFUSED:
        tried = []
        for f, n in known:
            here, others = int((left[:, f] == n).sum()), int(answered.levels[f, n])
            if here:
                tried.append((here * here / (here + others), -f, -n))
        f, n = (-number for number in max(tried)[1:])
        total, others = int(refused.levels[f, n]), int(answered.levels[f, n])
        if others:  # one that nobody answers is among the missing levels
            name = f"{FACTORS[f].name}: {list(FACTORS[f].levels)[n]}"
            found.append({"level": name, "refused": total, "of": total + others})
        left = left[left[:, f] != n]
    return found


def popular_layers(claims: Claims) -> list[Popular]:
    """The popular layers within what is claimed."""
    allowed = {
        FACTORS[f].name: {list(FACTORS[f].levels)[n] for n in claims.levels[f]}
        for f in range(len(FACTORS))
    }
    return [
        layer
        for layer in POPULAR
        if layer.groups in allowed["groups"]
        and allowed["padding"].intersection(layer.paddings)
        and (layer.dilation_rate == (1, 1) or len(allowed["dilation"]) > 1)
    ]
