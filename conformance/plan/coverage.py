"""What cases have met: pairs and triples of levels, popular layers, the largest sizes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.case import Case
from conformance.plan.asking import Asked
from conformance.plan.design import Claims, possible, tuples_of
from conformance.plan.factors import FACTORS, row_of
from conformance.plan.popular import POPULAR, Popular

MOST_REFUSED = 3  # levels that are named
_AT_ONCE = 1000  # rows whose tuples are held in memory
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


def coverage(
    answered: Collection[Case], asked: Asked, refused: Collection[Case] = ()
) -> dict[str, Any]:
    """What was met by the cases that got an answer, of what `asked` claims.

    Returns:
        ``pairs`` and ``triples`` with ``met`` and ``of``; ``popular`` with these and what is
        ``missing``; ``levels`` that no case has, as ``factor: level``; levels that are ``refused``
        in part, see `_refused`; ``largest`` values.
    """
    claims = asked.claims
    rows = _rows(answered)
    layers = popular_layers(claims)
    missing = [layer for layer in layers if not any(map(layer.met_by, answered))]
    return {
        "pairs": _met(rows, claims, 2),
        "triples": _met(rows, claims, 3),
        "popular": {
            "met": len(layers) - len(missing),
            "of": len(layers),
            "missing": list(map(str, missing)),
        },
        "levels": [
            f"{FACTORS[f].name}: {list(FACTORS[f].levels)[n]}"
            for f in sorted(claims.counted)
            for n in claims.levels[f]
            if not (rows[:, f] == n).any()
        ],
        "refused": _refused(rows, _rows(refused), claims),
        "largest": {name: max(map(size, answered), default=0) for name, size in LARGEST.items()},
    }


def _rows(cases: Collection[Case]) -> NDArray[np.intp]:
    """The level of every factor, -1 where a case has none."""
    levels = [[-1 if n is None else n for n in row_of(case)] for case in cases]
    return np.array(levels, np.intp).reshape(-1, len(FACTORS))


def _refused(
    answered: NDArray[np.intp], refused: NDArray[np.intp], claims: Claims
) -> list[dict[str, Any]]:
    """The few levels that tell most of the refused cases apart from the others.

    The one that most refused cases have, and fewest others, comes first; then the same is asked of
    the refused cases that do not have it.

    Returns:
        The ``level``, in how many cases it is ``refused``, and ``of`` how many with it.
    """
    known = [(f, n) for f in sorted(claims.counted) for n in claims.levels[f]]
    found: list[dict[str, Any]] = []
    left = refused
    while len(left) and len(found) < MOST_REFUSED:
        tried = []
        for f, n in known:
            here, others = int((left[:, f] == n).sum()), int((answered[:, f] == n).sum())
            if here:
                tried.append((here * here / (here + others), -f, -n))
        f, n = (-number for number in max(tried)[1:])
        total = int((refused[:, f] == n).sum())
        others = int((answered[:, f] == n).sum())
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


def _met(rows: NDArray[np.intp], claims: Claims, strength: int) -> dict[str, int]:
    tuples, may = tuples_of(strength), possible(claims, strength)
    met = np.zeros_like(may)
    for first in range(0, len(rows), _AT_ONCE):
        some = rows[first : first + _AT_ONCE]
        met[tuples.numbers(some, np.arange(len(tuples.groups)))] = True
    return {"met": int((met & may).sum()), "of": int(may.sum())}
