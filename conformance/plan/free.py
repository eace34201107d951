"""Free draws: batches of examples from Hypothesis, without end.

Batches are independent, numbered and of fixed size, so that several machines can share them.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st

from conformance.plan.cover import ALL, Claims
from conformance.plan.factors import Constraint, Row
from conformance.plan.rows import SIBLINGS, Example, example

BATCH = 50
_MOST_DRAWN = 4 * BATCH
_SPARE_BITS = 1  # so that all of three values are nearly as likely


@st.composite
def chosen(draw: st.DrawFn, values: Sequence[Any]) -> Any:
    """One of `values`, drawn bit by bit.

    Hypothesis mixes constants of local source files into the integers that it draws; no constant
    reaches a boolean, so that equal seeds give equal cases whatever modules are imported.
    """
    if len(values) == 1:
        return values[0]
    bits = (len(values) - 1).bit_length() + _SPARE_BITS
    number = sum(draw(st.booleans()) << bit for bit in range(bits))
    return values[number * len(values) >> bits]


@st.composite
def examples(draw: st.DrawFn, claims: Claims = ALL) -> Example:
    """Any example within `claims`: a row of any levels that go together, with values of these."""

    def pick(values: Sequence[Any]) -> Any:
        return draw(chosen(values))

    row, sibling = _row(claims, pick), pick(("",) * len(SIBLINGS) + SIBLINGS)
    return example(row, pick, sibling=sibling)


def _row(claims: Claims, pick: Callable[[Sequence[Any]], Any]) -> Row:
    open_ = list(claims.levels)
    for factor, levels in enumerate(claims.levels):
        left = levels
        for rule in claims.rules:
            if factor in rule.factors:
                left = _left(rule, factor, left, tuple(open_[f] for f in rule.factors))
        open_[factor] = (pick(left),)
    return tuple(only for (only,) in open_)


@cache
def _left(
    rule: Constraint, factor: int, levels: tuple[int, ...], around: tuple[tuple[int, ...], ...]
) -> tuple[int, ...]:
    """Those of `levels` that go together with some of the levels around."""
    at = rule.factors.index(factor)
    return tuple(n for n in levels if rule.leaves([*around[:at], (n,), *around[at + 1 :]]))


def batch(seed: int, number: int, claims: Claims) -> list[Example]:
    """The examples of a batch, in order, without copies; equal claims give equal examples.

    Hypothesis begins every batch with the simplest examples: those of batch 0 are in no other.
    """
    had = _texts_of_first(seed, claims) if number else frozenset[str]()
    drawn: dict[str, Example] = {}

    class _Enough(Exception):
        pass

    def keep(example: Example) -> None:
        if len(drawn) == BATCH:
            raise _Enough
        text = "+".join(map(str, example))
        if text not in had:
            drawn.setdefault(text, example)

    run = settings(
        max_examples=_MOST_DRAWN,
        phases=(Phase.generate,),
        database=None,
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
    )(given(examples(claims))(lambda example: keep(example)))
    with contextlib.suppress(_Enough):
        hypothesis_seed(batch_seed(seed, number))(run)()
    return list(drawn.values())


@lru_cache(maxsize=16)
def _texts_of_first(seed: int, claims: Claims) -> frozenset[str]:
    return frozenset("+".join(map(str, example)) for example in batch(seed, 0, claims))


def batch_seed(seed: int, number: int) -> int:
    """What a batch is drawn from."""
    return zlib.crc32(f"{seed}/free/{number}".encode())
