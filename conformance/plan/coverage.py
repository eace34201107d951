"""What cases have met: pairs and triples of levels, popular layers, the largest sizes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.case import Case
from conformance.plan.asking import Asked
from conformance.plan.design import Claims, Tuples, pairs, triples
from conformance.plan.factors import FACTORS, row_of
from conformance.plan.popular import POPULAR, Popular

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


def coverage(answered: Collection[Case], asked: Asked) -> dict[str, Any]:
    """What was met by the cases that got an answer, of what `asked` claims.

    Returns:
        ``pairs`` and ``triples`` with ``met`` and ``of``; ``popular`` with these and what is
        ``missing``; ``levels`` that no case has, as ``factor: level``; ``largest`` values.
    """
    claims = asked.claims
    levels = [[-1 if n is None else n for n in row_of(case)] for case in answered]
    rows = np.array(levels, np.intp).reshape(-1, len(FACTORS))
    layers = popular_layers(claims)
    missing = [layer for layer in layers if not any(map(layer.met_by, answered))]
    return {
        "pairs": _met(rows, pairs(), claims, 2),
        "triples": _met(rows, triples(), claims, 3),
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
        "largest": {name: max(map(size, answered), default=0) for name, size in LARGEST.items()},
    }


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


def _met(rows: NDArray[np.intp], tuples: Tuples, claims: Claims, strength: int) -> dict[str, int]:
    possible = _possible(claims, strength)
    numbers = np.unique(tuples.numbers(rows, np.arange(len(tuples.groups))))
    return {"met": int(possible[numbers].sum()), "of": int(possible.sum())}


@cache
def _possible(claims: Claims, strength: int) -> NDArray[np.bool_]:
    return (pairs() if strength == 2 else triples()).possible(claims)
