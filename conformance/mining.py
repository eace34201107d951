"""Where an implementation fails: the condition on the case that tells failing from passing cases.

It is written as in an expected-failure file, so that a finding can be turned into an entry of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.case import Case
from conformance.condition import NUMBERS, PAIRS, WORDS, Predicate, conjunction, parse_term

MOST_TERMS = 3
CHANCE, FINE_CHANCE = 0.05, 0.001  # of a term; of each of many that are seldom what it is
FEW = 3
MOST_WORDS = 2  # a longer list would often fit a few failing cases by chance
_SAID = {name: read for name, read in NUMBERS.items() if name != "depth"}  # a word for entries
_PAIR_TERMS = ("h != w", "h > 1 or w > 1", "h > 1", "w > 1", "h > w", "h < w", "== 1")
_TERMS: tuple[tuple[str, str], ...] = (
    ("groups", "> 1"),
    *((name, term) for name in ("strides", "dilation", "kernel") for term in _PAIR_TERMS),
    ("groups", "== 1"),
    ("batch", "> 1"),
    ("batch", "== 0"),
    *((name, term) for name in ("channels", "filters") for term in ("> 1", "== 1")),
    ("groups", "groups == channels"),
    ("groups", "groups > 1 and groups < channels"),
    ("filters", "filters > groups"),
    ("filters", "filters > channels"),
    ("filters", "filters == output_w"),
    ("input", "h != w"),
    ("output", "h != w"),
    ("kernel", "h > input_h or w > input_w"),
    ("kernel", "h < strides_h or w < strides_w"),
    ("kernel", "h < strides_h and w < strides_w"),
)
_FINE: tuple[tuple[str, str], ...] = (
    ("pads", "h % 2 == 1 or w % 2 == 1"),
    ("pads", "h % 2 != w % 2"),
    ("pads", "h % 2 == 1"),
    ("pads", "w % 2 == 1"),
    ("kernel", "h == strides_h and w == strides_w"),
    *((name, f"{axis} == 1") for name in ("input", "kernel") for axis in "hw"),
    *(
        (name, f"{part} % {n} {sign} 0")
        for name, part in (
            ("channels", "channels"), ("filters", "filters"), ("output", "h"), ("output", "w"),
        )
        for sign in ("!=", "==")
        for n in (2, 3, 4, 8, 16, 32)
    ),
)  # fmt: skip


def find_condition(failing: Sequence[Case], passing: Sequence[Case]) -> tuple[dict[str, Any], int]:
    """A condition that holds on all `failing` cases and on few `passing` ones.

    A term that as many layers as fail would share by chance is not used; one or two failing cases
    share so much that all of it is, but for terms that hold on many others.

    Returns:
        The condition as a table ``name = value``, empty where nothing tells them apart, and on how
        many of the `passing` cases it holds as well.
    """
    layers = len(set(map(_layer, failing)))
    terms = [
        term
        for term in _terms(failing)
        if all(map(term.holds, failing)) and not _by_chance(term, failing, layers, passing)
    ]
    chosen: list[tuple[str, Any]] = []
    left = list(passing)
    while left and len(chosen) < MOST_TERMS:
        kept = [(sum(map(term.holds, left)), n) for n, term in enumerate(terms)]
        fewest, number = min(kept, default=(len(left), -1))
        if fewest == len(left):
            break
        chosen.append((terms[number].name, terms[number].value))
        left = [case for case in left if terms[number].holds(case)]
    return conjunction(chosen), len(left)


@dataclass(frozen=True, slots=True)
class _Term:
    """A term of a condition; a fine one is one of many like it."""

    name: str
    value: Any
    holds: Predicate
    fine: bool = False


def _layer(case: Case) -> tuple[object, ...]:
    """Equal for the calls of one layer."""
    arguments = case.layer_arguments().items()
    return case.geometry.channels, *((name, repr(value)) for name, value in arguments)


def _by_chance(term: _Term, failing: Sequence[Case], layers: int, passing: Sequence[Case]) -> bool:
    share = (1 + sum(map(term.holds, passing))) / (1 + len(passing))
    if term.fine:
        return bool(share**layers > FINE_CHANCE)
    return bool(len(failing) >= FEW and share**layers > CHANCE)


def _terms(failing: Sequence[Case]) -> Iterator[_Term]:
    """Everything that could be said of the failing cases, the plainest first."""
    for name, value, fine in _said(failing):
        yield _Term(name, value, parse_term(name, value), fine)


def _said(failing: Sequence[Case]) -> Iterator[tuple[str, Any, bool]]:
    lists: list[tuple[str, Any]] = []
    for name, (read, allowed) in WORDS.items():
        if name == "dtype":
            continue  # compute_dtype says it
        values = sorted({read(case) for case in failing}, key=str)
        if name.endswith("view"):
            if values and "none" not in values:  # a view seldom matters, and often fits by chance
                yield name, values[0] if len(values) == 1 else values, True
            continue
        if name == "padding_letters":
            if "lower" not in values:
                yield name, values[0] if len(values) == 1 else values, True
            continue
        if name == "data" and {*values} <= {"integers", "normal"}:
            continue  # all that ladders, further inputs and repeated calls come with
        if len(values) == 1:
            yield name, values[0], False
        elif 1 < len(values) <= min(MOST_WORDS, len(allowed) // 2):
            lists.append((name, values))
    for name, value in (*_TERMS, *lists):
        yield name, value, False
    for name, read_number in _SAID.items():
        least = min(map(read_number, failing), default=0)
        if least > 1:
            yield name, f">= {least}", False
    for name, read_pair in PAIRS.items():
        if name == "pads":
            continue  # follows from the others, but for its parity
        pairs = {read_pair(case) for case in failing}
        for axis, sizes in zip("hw", zip(*pairs, strict=True), strict=False):
            if min(sizes) > 2:
                yield name, f"{axis} >= {min(sizes)}", False
        if len(pairs) == 1:
            yield name, list(pairs.pop()), False
    for name, value in _FINE:
        yield name, value, True
    if failing:
        yield from _of_size(failing)


def _of_size(failing: Sequence[Case]) -> Iterator[tuple[str, str, bool]]:
    """Up to which sizes, or with which numbers they fail."""
    for name, read in _SAID.items():
        if len(numbers := {*map(read, failing)}) == 1:
            yield name, f"== {min(numbers)}", True
    for name in ("channels", "filters"):
        yield name, f"<= {max(map(NUMBERS[name], failing))}", True
    for axis, sizes in zip("hw", zip(*map(PAIRS["output"], failing), strict=True), strict=True):
        yield "output", f"{axis} <= {max(sizes)}", True
