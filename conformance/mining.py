"""Where an implementation fails: the condition on the case that tells failing from passing cases.

It is written as in an expected-failure file, so that a finding can be turned into an entry of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from conformance.case import Case
from conformance.condition import NUMBERS, PAIRS, WORDS, Predicate, conjunction, parse_term

MOST_TERMS = 3
CHANCE = 0.05
FEW = 3
MOST_WORDS = 2  # a longer list would often fit a few failing cases by chance
_PAIR_TERMS = ("h != w", "h > 1 or w > 1", "h > 1", "w > 1", "h > w", "h < w", "== 1")
_TERMS: tuple[tuple[str, str], ...] = (
    ("groups", "> 1"),
    *((name, term) for name in ("strides", "dilation", "kernel") for term in _PAIR_TERMS),
    ("groups", "== 1"),
    ("batch", "> 1"),
    ("batch", "== 0"),
    ("channels", "> 1"),
    ("filters", "> 1"),
    ("groups", "groups == channels"),
    ("groups", "groups > 1 and groups < channels"),
    ("filters", "filters > groups"),
    ("filters", "filters > channels"),
    ("filters", "filters == output_w"),
    ("input", "h != w"),
    ("output", "h != w"),
    ("kernel", "h > input_h or w > input_w"),
    ("kernel", "h < strides_h or w < strides_w"),
)


def find_condition(failing: Sequence[Case], passing: Sequence[Case]) -> tuple[dict[str, Any], int]:
    """A condition that holds on all `failing` cases and on few `passing` ones.

    A term that as many cases as fail would share by chance is not used; one or two failing cases
    share so much that all of it is.

    Returns:
        The condition as a table ``name = value``, empty where nothing tells them apart, and on how
        many of the `passing` cases it holds as well.
    """
    terms = [
        term
        for term in _terms(failing)
        if all(map(term[2], failing)) and not _by_chance(term[2], failing, passing)
    ]
    chosen: list[tuple[str, Any]] = []
    left = list(passing)
    while left and len(chosen) < MOST_TERMS:
        kept = [(sum(map(holds, left)), n) for n, (_, _, holds) in enumerate(terms)]
        fewest, number = min(kept, default=(len(left), -1))
        if fewest == len(left):
            break
        name, value, holds = terms[number]
        chosen.append((name, value))
        left = [case for case in left if holds(case)]
    return conjunction(chosen), len(left)


def _by_chance(holds: Predicate, failing: Sequence[Case], passing: Sequence[Case]) -> bool:
    share = (1 + sum(map(holds, passing))) / (1 + len(passing))
    return len(failing) >= FEW and share ** len(failing) > CHANCE


def _terms(failing: Sequence[Case]) -> Iterator[tuple[str, Any, Predicate]]:
    """Everything that could be said of the failing cases, the plainest first."""
    lists: list[tuple[str, Any]] = []
    for name, (read, allowed) in WORDS.items():
        if name == "dtype" or name.endswith("view"):
            continue  # compute_dtype says it; a view seldom matters, and would often fit by chance
        values = sorted({read(case) for case in failing}, key=str)
        if len(values) == 1:
            yield name, values[0], parse_term(name, values[0])
        elif 1 < len(values) <= min(MOST_WORDS, len(allowed) // 2):
            lists.append((name, values))
    for name, value in (*_TERMS, *lists):
        yield name, value, parse_term(name, value)
    for name, read_number in NUMBERS.items():
        least = min(map(read_number, failing), default=0)
        if least > 1:
            yield name, f">= {least}", parse_term(name, f">= {least}")
    for name, read_pair in PAIRS.items():
        pairs = {read_pair(case) for case in failing}
        for axis, sizes in zip("hw", zip(*pairs, strict=True), strict=False):
            if min(sizes) > 2:
                value = f"{axis} >= {min(sizes)}"
                yield name, value, parse_term(name, value)
        if len(pairs) == 1:
            value = list(pairs.pop())
            yield name, value, parse_term(name, value)
