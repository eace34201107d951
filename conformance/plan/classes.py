"""Classes of cases that reports tell apart: popular layers, levels of factors, what is varied."""

from __future__ import annotations

from conformance.axes import VARIED
from conformance.case import Case
from conformance.plan.asking import Asked
from conformance.plan.coverage import popular_layers
from conformance.plan.factors import FACTORS, Row
from conformance.plan.popular import POPULAR, popular_number
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
_NEITHER = (-1,) * (1 + len(FACTORS))  # what is no popular layer, and of no level


def classes_of(case: Case, row: Row) -> tuple[int, ...]:
    """The number of the class of `case`, which has the levels `row`, of each kind; -1 for none.

    A case with something varied, or that must be refused, is told by that alone.
    """
    if case.asks == "values":
        return popular_number(case), *row, -1, -1
    name = (case.but or "").partition(".")[0]
    refused, varied = CLASSES[REFUSED_CALL], CLASSES[VARIED]
    if case.asks == "life":
        return *_NEITHER, -1, varied.index(name)
    return *_NEITHER, refused.index(name), -1


def classes_for(asked: Asked) -> dict[str, tuple[str, ...]]:
    """The classes that `asked` can be asked for, by kind."""
    claims = asked.claims
    levels = {
        FACTORS[f].name: tuple(list(FACTORS[f].levels)[n] for n in claims.levels[f])
        for f in sorted(claims.counted)
    }
    return {POPULAR_LAYER: tuple(map(str, popular_layers(claims))), **levels}
