"""Expected failures: which cases are known to fail, on whom, and why.

An entry says it by a condition on the case, never by a test's name. Expected failures still run and
are shown in every report; they do not fail it. The entries for Keras ship with the package; more
come from a TOML file:

    [[expected_failure]]
    check = "exact_values"                  # or a list of names
    implementation = "mylib"                # shell pattern; default: every implementation
    version = "Keras 3.15*"                 # shell pattern for the version; default: every version
    when = { padding = "same", dilation = "h != w" }
    reason = "pads in the wrong axis order"
    link = "https://example.org/issues/1"
    strict = true                           # a pass where it applies fails the run; default: false

or from the decorator `expected_failure` on a function, a layer class or an `Implementation`.

A condition names a word (`padding`, `data_format`, `dtype`, `compute_dtype`, `activation`, `data`,
`view`, `kernel_view`, `bias_view`, `bias`), a number (`batch`, `channels`, `filters`, `groups`) or
a pair (`input`, `kernel`, `strides`, `dilation`, `output`). A word is compared with a value or a
list of them. A number or pair takes a value or a comparison: ``"> 1"``, ``"h != w"``,
``"h > 1 or w > 1"``; it may name other numbers, and pairs as ``kernel_h`` or ``output_w``, as in
``filters = "== output_w"``, and add, subtract and multiply: ``kernel = "h + 3 <= strides_h"``.
"""

from __future__ import annotations

import ast
import contextlib
import operator
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from conformance.axes import TERMS, Number, Numbers, Word
from conformance.case import Case
from conformance.checks import CHECKS
from conformance.errors import UsageError

Predicate = Callable[[Case], bool]
T = TypeVar("T")

WORDS = {name: (term.read, term.allowed) for name, term in TERMS.items() if isinstance(term, Word)}
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
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One entry of an expected-failure file."""

    checks: tuple[str, ...]
    implementation: str
    version: str
    predicate: Predicate
    reason: str
    link: str
    strict: bool = False

    def covers(self, check: str, implementation: str, version: str, case: Case) -> bool:
        """Whether a failure of `check` on `case` is expected."""
        return (
            check in self.checks
            and fnmatchcase(implementation, self.implementation)
            and fnmatchcase(version, self.version)
            and self.predicate(case)
        )


def expected_failure(
    *,
    check: str | list[str],
    reason: str,
    when: Mapping[str, Any] | None = None,
    link: str = "",
    strict: bool = False,
) -> Callable[[T], T]:
    """Decorator that gives a function, layer class or `Implementation` an expected failure.

    Args:
        check: the check that fails, or several.
        reason: why, in one sentence.
        when: a condition on the case, as in an expected-failure file; default: every case.
        link: where it is tracked.
        strict: whether a pass where a failure is expected fails the run.

    Raises:
        UsageError: something is not understood; the message names it and what is allowed.
    """
    entry = {
        "check": check, "reason": reason, "when": dict(when or {}), "link": link, "strict": strict,
    }  # fmt: skip
    _entry(entry, "expected_failure")

    def mark(target: T) -> T:
        known = getattr(target, "expected_failures", ())
        target.expected_failures = (*known, entry)  # type: ignore[attr-defined]
        return target

    return mark


def carried(name: str, entries: Sequence[Mapping[str, Any]]) -> list[Expectation]:
    """The expected failures that the implementation called `name` carries itself.

    Raises:
        UsageError: an entry is not understood.
    """
    return [_entry(e, f"expected failure {i} of {name!r}") for i, e in enumerate(entries, start=1)]


def shipped() -> list[Expectation]:
    """What is known of Keras, with evidence."""
    text = resources.files("conformance").joinpath("expected_failures.toml").read_text("utf-8")
    return _read(text, "expected_failures.toml")


def load(path: Path) -> list[Expectation]:
    """The entries of a TOML file.

    Raises:
        UsageError: the file cannot be read, or an entry is not understood.
    """
    try:
        return _read(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None


def _read(text: str, source: str) -> list[Expectation]:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{source} is not TOML: {error}") from None
    entries = document.get("expected_failure", [])
    if set(document) - {"expected_failure"} or not isinstance(entries, list):
        raise UsageError(f"{source} may only have [[expected_failure]] entries")
    return [_entry(entry, f"{source}, entry {i}") for i, entry in enumerate(entries, start=1)]


def _entry(entry: Any, where: str) -> Expectation:
    if not isinstance(entry, dict):
        raise UsageError(f"{where}: {entry!r} is not a table; write [[expected_failure]]")
    known = {"check", "implementation", "version", "when", "reason", "link", "strict"}
    if set(entry) - known:
        raise UsageError(
            f"{where}: unknown key {sorted(set(entry) - known)[0]!r}; "
            f"allowed are {', '.join(sorted(known))}"
        )
    checks = entry.get("check", "")
    checks = checks if isinstance(checks, list) else [checks]
    texts = {key: entry.get(key, "") for key in ("reason", "link")}
    texts |= {key: entry.get(key, "*") for key in ("implementation", "version")}
    for key, text in [*texts.items(), *(("check", check) for check in checks)]:
        if not isinstance(text, str):
            raise UsageError(f"{where}: {key} must be text, not {text!r}")
    for key, given in (("check", all(checks) and checks), ("reason", texts["reason"])):
        if not given:
            raise UsageError(f"{where}: {key} is missing")
    for check in checks:
        if check not in CHECKS:
            raise UsageError(f"{where}: no check {check!r}; checks are {', '.join(CHECKS)}")
    strict = entry.get("strict", False)
    if not isinstance(strict, bool):
        raise UsageError(f"{where}: strict must be true or false, not {strict!r}")
    when = entry.get("when", {})
    if not isinstance(when, dict):
        raise UsageError(f"{where}: when must be a table such as {{ padding = 'same' }}")
    conditions = [condition(name, value, where) for name, value in when.items()]
    return Expectation(
        checks=tuple(checks),
        predicate=lambda case: all(condition(case) for condition in conditions),
        strict=strict,
        **texts,
    )


def condition(name: str, value: Any, where: str = "condition") -> Predicate:
    """What ``name = value`` demands of a case.

    Raises:
        UsageError: it is not understood; the message starts with `where`.
    """
    if name in WORDS:
        wanted = value if isinstance(value, list) else [value]
        read, allowed = WORDS[name]
        for word in wanted:
            if word not in allowed or isinstance(word, bool) != (name == "bias"):
                raise UsageError(
                    f"{where}: {name} = {word!r}; allowed are {', '.join(map(str, allowed))}"
                )
        return lambda case: read(case) in wanted
    if name not in NUMBERS and name not in PAIRS:
        raise UsageError(
            f"{where}: unknown condition {name!r}; "
            f"allowed are {', '.join((*WORDS, *NUMBERS, *PAIRS))}"
        )
    names = {"h": f"{name}_h", "w": f"{name}_w"} if name in PAIRS else {name: name}
    tree = _comparison(value, names, f"{where}: {name} = {value!r}")

    def holds(case: Case) -> bool:
        values = _numbers(case)
        return bool(_evaluate(tree, values | {short: values[n] for short, n in names.items()}))

    return holds


def _numbers(case: Case) -> dict[str, int]:
    """Every number that a comparison may name."""
    values = {name: read(case) for name, read in NUMBERS.items()}
    for name, pair in PAIRS.items():
        values[f"{name}_h"], values[f"{name}_w"] = pair(case)
    return values


def _comparison(value: Any, names: dict[str, str], where: str) -> ast.expr:
    """The expression of an int, a pair, or a comparison such as ``h != w`` or ``> 1``."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = f"== {value}"
    if isinstance(value, list) and len(value) == len(names) == 2:
        value = f"h == {value[0]} and w == {value[1]}"
    if isinstance(value, str):
        text = value.strip()
        if text[:1] in ("<", ">", "=", "!"):
            text = " and ".join(f"{name} {text}" for name in names)
        with contextlib.suppress(SyntaxError):
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
        return type(node.op) in _ARITHMETIC and all(
            _is_number(part, names) for part in (node.left, node.right)
        )
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub) and _is_number(node.operand, names)
    return (isinstance(node, ast.Name) and node.id in names) or (
        isinstance(node, ast.Constant) and type(node.value) is int
    )


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
