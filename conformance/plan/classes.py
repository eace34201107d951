"""Classes of cases that reports tell apart: popular layers, levels of factors, what is varied."""

from __future__ import annotations

from functools import cache

from conformance.axes import VARIED
from conformance.case import Case
from conformance.plan.asking import Asked
from conformance.plan.coverage import popular_layers
from conformance.plan.factors import FACTORS, groups_level
from conformance.plan.popular import POPULAR
from conformance.refusals import REFUSALS
from conformance.variations import VARIATIONS

POPULAR_LAYER = "popular layer"
REFUSED_CALL = "call to refuse"

# Kind of class -> its classes, in the order in which reports show them.
CLASSES: dict[str, tuple[str, ...]] = {
    POPULAR_LAYER: tuple(map(str, POPULAR)),
    **{factor.name: tuple(factor.levels) for factor in FACTORS},
    REFUSED_CALL: tuple(REFUSALS),
    VARIED: tuple(dict.fromkeys(row.argument for row in VARIATIONS.values())),
}


def classes_of(case: Case) -> dict[str, str]:
    """The class of `case` of each kind of which it has one.

    A case with something varied, or that must be refused, is told by that alone.
    """
    if case.asks == "life":
        return {VARIED: (case.but or "").partition(".")[0]}
    if case.asks == "refusal":
        return {REFUSED_CALL: case.but or ""}
    g = case.geometry
    layer = g.kernel_size, g.strides, g.dilation_rate, g.padding, groups_level(case)
    found = {POPULAR_LAYER: _popular()[layer]} if layer in _popular() else {}
    levels = ((factor.name, factor.of(case)) for factor in FACTORS)
    return found | {name: level for name, level in levels if level is not None}


def classes_for(asked: Asked) -> dict[str, tuple[str, ...]]:
    """The classes that `asked` can be asked for, by kind."""
    claims = asked.claims
    levels = {
        FACTORS[f].name: tuple(list(FACTORS[f].levels)[n] for n in claims.levels[f])
        for f in sorted(claims.counted)
    }
    return {POPULAR_LAYER: tuple(map(str, popular_layers(claims))), **levels}


@cache
def _popular() -> dict[tuple[object, ...], str]:
    return {
        (one.kernel_size, one.strides, one.dilation_rate, one.padding, one.groups): str(one)
        for one in POPULAR
    }
