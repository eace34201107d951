"""What cases have met: pairs and triples of levels, popular layers, the largest sizes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.case import Case
from conformance.plan.asking import Asked
from conformance.plan.cover import Claims, possible, tuples_of
from conformance.plan.factors import FACTORS, SIZES, row_of
from conformance.plan.popular import POPULAR, Popular

MOST_REFUSED = 3  # levels that are named
_AT_ONCE = 1000  # cases that are added together
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

    def __init__(self, cases: Iterable[Case] = ()) -> None:
        self._waiting: list[Case] = []
        self._tuples = {n: np.zeros(tuples_of(n).size + 1, np.bool_) for n in (2, 3)}
        # The last column is for cases without a level.
        self._levels = np.zeros((len(FACTORS), max(SIZES) + 1), np.intp)
        self._popular: set[Popular] = set()
        self._largest = dict.fromkeys(LARGEST, 0)
        for case in cases:
            self.add(case)

    def add(self, case: Case) -> None:
        """Add one."""
        self._waiting.append(case)
        if len(self._waiting) == _AT_ONCE:
            self._settle()

    def tuples(self, claims: Claims, strength: int) -> dict[str, int]:
        """How many pairs or triples were met, of how many that are claimed."""
        self._settle()
        may = possible(claims, strength)
        return {"met": int((self._tuples[strength] & may).sum()), "of": int(may.sum())}

    @property
    def levels(self) -> NDArray[np.intp]:
        """How many cases had each level of each factor."""
        self._settle()
        return self._levels

    @property
    def popular(self) -> set[Popular]:
        """The popular layers among them."""
        self._settle()
        return self._popular

    @property
    def largest(self) -> dict[str, int]:
        """The largest sizes."""
        self._settle()
        return self._largest

    def _settle(self) -> None:
        cases, self._waiting = self._waiting, []
        if not cases:
            return
        rows = _rows(cases)
        for strength, met in self._tuples.items():
            tuples = tuples_of(strength)
            met[tuples.numbers(rows, np.arange(len(tuples.groups)))] = True
        for f in range(len(FACTORS)):
            np.add.at(self._levels[f], rows[:, f], 1)
        new = (layer for layer in POPULAR if layer not in self._popular)
        self._popular |= {layer for layer in new if any(map(layer.met_by, cases))}
        for name, size in LARGEST.items():
            self._largest[name] = max(self._largest[name], *map(size, cases))


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


def _rows(cases: Collection[Case]) -> NDArray[np.intp]:
    """The level of every factor, -1 where a case has none."""
    levels = [[-1 if n is None else n for n in row_of(case)] for case in cases]
    return np.array(levels, np.intp).reshape(-1, len(FACTORS))


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
    left = _rows(sample)
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
