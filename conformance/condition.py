"""The language of conditions on a case, as in expected-failure files and findings.

    { padding = "same", dilation = "h != w" }

A condition names a word (`padding`, `data_format`, `dtype`, `compute_dtype`, `activation`, `data`,
`view`, `kernel_view`, `bias_view`, `bias`), a number (`batch`, `channels`, `filters`, `groups`,
`depth`, the channels of a group, `positions` of the output, `products` that are summed for each of
its elements) or a pair (`input`, `kernel`, `strides`, `dilation`, `output`, and `pads`, the total
padding along each axis). A word is compared with a value or a list of them. A number or pair takes
a value or a comparison: ``"> 1"``, ``"h != w"``, ``"h > 1 or w > 1"``; it may name other numbers,
and pairs as ``kernel_h`` or ``output_w``, as in ``filters = "== output_w"``, and add, subtract and
multiply: ``kernel = "h + 3 <= strides_h"``, or take what is left of a division by a number from 1:
``channels = "channels % 2 == 1"``.

Two words are about where an implementation runs: `onednn`, whether oneDNN computes, and `isa`, the
instruction set of the processor. Where that is unknown, such a condition does not hold.
"""

from __future__ import annotations

import ast
import contextlib
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Protocol

from conformance.axes import TERMS, Number, Numbers, Word
from conformance.case import Case
from conformance.errors import UsageError
from conformance.machine import INSTRUCTION_SETS, WIDER

Surroundings = Mapping[str, object]
NOWHERE: Surroundings = {}


class Predicate(Protocol):
    """What a condition demands of a case, and of where it runs."""

    def __call__(self, case: Case, surroundings: Surroundings = NOWHERE, /) -> bool:
        """Whether the condition holds."""


MOST_CHARACTERS = 500  # of a comparison; Python's parser gives up on thousands of signs

WORDS = {name: (term.read, term.allowed) for name, term in TERMS.items() if isinstance(term, Word)}
# About where an implementation runs, as its `Info` tells.
PLACES: dict[str, tuple[object, ...]] = {"onednn": (True, False), "isa": INSTRUCTION_SETS}
NUMBERS = {name: term.read for name, term in TERMS.items() if isinstance(term, Number)}
PAIRS = {name: term.read for name, term in TERMS.items() if isinstance(term, Numbers)}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Mod: operator.mod,
}


def parse(when: Mapping[str, Any], where: str = "condition") -> Predicate:
    """What all terms ``name = value`` of a condition demand of a case.

    Raises:
        UsageError: one is not understood; the message starts with `where`.
    """
    terms = [parse_term(name, value, where) for name, value in when.items()]
    return lambda case, where=NOWHERE: all(holds(case, where) for holds in terms)


def parse_term(name: str, value: Any, where: str = "condition") -> Predicate:
    """What ``name = value`` demands of a case; errors as for `parse`."""
    if name in WORDS:
        read, allowed = WORDS[name]
        wanted = _wanted(name, value, allowed, where)
        return lambda case, where=NOWHERE: read(case) in wanted
    if name in PLACES:
        wanted = _wanted(name, value, PLACES[name], where)
        places = {*wanted, *(wider for word in wanted for wider in WIDER.get(word, ()))}
        return lambda case, where=NOWHERE: where.get(name) in places
    if name not in NUMBERS and name not in PAIRS:
        raise UsageError(
            f"{where}: unknown condition {name!r:.100}; "
            f"allowed are {', '.join((*WORDS, *NUMBERS, *PAIRS, *PLACES))}"
        )
    names = _short(name)
    tree = _comparison(value, names, f"{where}: {name} = {value!r:.100}")

    def holds(case: Case, where: Surroundings = NOWHERE, /) -> bool:
        values = _numbers(case)
        return bool(_evaluate(tree, values | {short: values[n] for short, n in names.items()}))

    return holds


def _short(name: str) -> dict[str, str]:
    """What a comparison of that number or pair may call its own numbers, and their full names."""
    return {"h": f"{name}_h", "w": f"{name}_w"} if name in PAIRS else {name: name}


def _wanted(name: str, value: Any, allowed: tuple[object, ...], where: str) -> list[Any]:
    """The words of a term, each one of `allowed`."""
    wanted = value if isinstance(value, list) else [value]
    for word in wanted:
        if word not in allowed or isinstance(word, bool) != isinstance(allowed[0], bool):
            raise UsageError(
                f"{where}: {name} = {word!r:.100}; allowed are {', '.join(map(_word, allowed))}"
            )
    return wanted


def conjunction(terms: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The condition that all `terms` hold: two comparisons of one name are joined by ``and``."""
    when: dict[str, Any] = {}
    for name, value in terms:
        if name in when:
            value = " and ".join(f"({_spelled(name, v)})" for v in (when[name], value))
        when[name] = value
    return when


def in_words(when: Mapping[str, Any]) -> str:
    """A condition in one line: ``padding = same, dilation height != dilation width``."""
    return ", ".join(_term_in_words(name, value) for name, value in when.items())


_PHRASES = {
    ("pads", "h % 2 == 1"): "odd total padding along the height",
    ("pads", "w % 2 == 1"): "odd total padding along the width",
    ("pads", "h % 2 == 1 or w % 2 == 1"): "odd total padding",
    ("pads", "h % 2 != w % 2"): "odd total padding along one axis alone",
    ("kernel", "h == strides_h and w == strides_w"): "kernel_size = strides",
}
_SIDES = {"h": "height", "w": "width"}
_SIGNS = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}


def _term_in_words(name: str, value: Any) -> str:
    if isinstance(value, str) and re.search("[<>=!]", value):
        return _said(_comparison(value, _short(name), name), name)
    if isinstance(value, list | tuple):
        pair = all(isinstance(v, int) and not isinstance(v, bool) for v in value)
        value = f"({', '.join(map(str, value))})" if pair else " or ".join(map(_word, value))
    if name == "padding_letters":
        return f"padding in {value} case"
    return f"{name} = {_word(value)}"


def _said(node: ast.AST, name: str) -> str:
    """A comparison of the number or pair of that name in words."""
    if (phrase := _PHRASES.get((name, ast.unparse(node)))) is not None:
        return phrase
    if isinstance(node, ast.BoolOp):
        parts = [_said(part, name) for part in node.values]
        if isinstance(node.op, ast.Or):
            return " or ".join(parts)
        return " and ".join(f"({part})" if " or " in part else part for part in parts)
    assert isinstance(node, ast.Compare)
    left, right = node.left, node.comparators[0]
    multiple = len(node.ops) == 1 and isinstance(left, ast.BinOp) and isinstance(left.op, ast.Mod)
    if multiple and isinstance(right, ast.Constant) and right.value == 0:
        assert isinstance(left, ast.BinOp)
        if isinstance(node.ops[0], ast.Eq | ast.NotEq):
            no = "" if isinstance(node.ops[0], ast.Eq) else "not "
            return f"{_named(left.left, name)} {no}a multiple of {ast.unparse(left.right)}"
    words = [_named(left, name)]
    for sign, part in zip(node.ops, node.comparators, strict=True):
        words += [_SIGNS[type(sign)], _named(part, name)]
    return " ".join(words)


def _named(node: ast.AST, name: str) -> str:
    """A number of a comparison, as ``kernel height``."""

    def spelled(found: re.Match[str]) -> str:
        pair, _, side = found[0].rpartition("_")
        return f"{pair or name} {_SIDES[side]}" if side in _SIDES else found[0]

    return re.sub(r"[a-z]\w*", spelled, ast.unparse(node))


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _spelled(name: str, value: Any) -> str:
    """The value of a number or pair as a whole expression."""
    if isinstance(value, list):
        return f"h == {value[0]} and w == {value[1]}"
    if value[0] in "<>=!":
        return " and ".join(f"{n} {value}" for n in (("h", "w") if name in PAIRS else (name,)))
    return str(value)


def greatest(name: str, case: Case) -> int:
    """The greatest number that a term of that name is about; 0 for a word."""
    if name in NUMBERS:
        return NUMBERS[name](case)
    return max(PAIRS[name](case)) if name in PAIRS else 0


@lru_cache(maxsize=8192)
def _numbers(case: Case) -> dict[str, int]:
    """Every number that a comparison may name."""
    values = {name: read(case) for name, read in NUMBERS.items()}
    for name, pair in PAIRS.items():
        values[f"{name}_h"], values[f"{name}_w"] = pair(case)
    return values


def _comparison(value: Any, names: Mapping[str, str], where: str) -> ast.expr:
    """The expression of an int, a pair, or a comparison such as ``h != w`` or ``> 1``."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = f"== {value}"
    if isinstance(value, list) and len(value) == len(names) == 2:
        value = f"h == {value[0]} and w == {value[1]}"
    if isinstance(value, str) and len(value) <= MOST_CHARACTERS:
        text = value.strip()
        if text[:1] in ("<", ">", "=", "!"):
            text = " and ".join(f"{name} {text}" for name in names)
        with contextlib.suppress(SyntaxError, ValueError):
            tree = ast.parse(text, mode="eval").body
            if _understood(tree, {*names, *NUMBERS, *(f"{p}_{a}" for p in PAIRS for a in "hw")}):
                return tree
    raise UsageError(
        f"{where}: cannot read this; compare {' and '.join(names)} with numbers, "
        "as in '> 1' or 'h != w'"
    )


def _understood(node: ast.AST, names: set[str]) -> bool:
    if isinstance(node, ast.BoolOp):
        return all(_understood(value, names) for value in node.values)
    if isinstance(node, ast.Compare):
        return all(type(op) in _COMPARISONS for op in node.ops) and all(
            _is_number(part, names) for part in (node.left, *node.comparators)
        )
    return False


def _is_number(node: ast.AST, names: set[str]) -> bool:
    if isinstance(node, ast.BinOp):
        if isinstance(node.op, ast.Mod) and not _is_divisor(node.right):
            return False
        return type(node.op) in _ARITHMETIC and all(
            _is_number(part, names) for part in (node.left, node.right)
        )
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub) and _is_number(node.operand, names)
    return (isinstance(node, ast.Name) and node.id in names) or (
        isinstance(node, ast.Constant) and type(node.value) is int
    )


def _is_divisor(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value > 0


def _evaluate(node: ast.AST, values: dict[str, int]) -> Any:
    if isinstance(node, ast.BoolOp):
        results = [_evaluate(value, values) for value in node.values]
        return all(results) if isinstance(node.op, ast.And) else any(results)
    if isinstance(node, ast.Compare):
        parts = [_evaluate(part, values) for part in (node.left, *node.comparators)]
        return all(
            _COMPARISONS[type(op)](a, b)
            for op, a, b in zip(node.ops, parts, parts[1:], strict=False)
        )
    if isinstance(node, ast.BinOp):
        left, right = _evaluate(node.left, values), _evaluate(node.right, values)
        return _ARITHMETIC[type(node.op)](left, right)
    if isinstance(node, ast.UnaryOp):
        return -_evaluate(node.operand, values)
    if isinstance(node, ast.Name):
        return values[node.id]
    assert isinstance(node, ast.Constant)
    return node.value
