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

A condition names a word (`padding`, `data_format`, `dtype`, `compute_dtype`, `activation`, `data`,
`view`, `bias`), a number (`batch`, `channels`, `filters`, `groups`) or a pair (`input`, `kernel`,
`strides`, `dilation`, `output`). A word is compared with a value or a list of them. A number or
pair takes a value or a comparison: ``"> 1"``, ``"h != w"``, ``"h > 1 or w > 1"``; it may name other
numbers, and pairs as ``kernel_h`` or ``output_w``, as in ``filters = "== output_w"``.
"""

from __future__ import annotations

import ast
import contextlib
import operator
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Any

from conformance.case import Case
from conformance.checks import CHECKS
from conformance.errors import UsageError

Predicate = Callable[[Case], bool]

WORDS: dict[str, Callable[[Case], object]] = {
    "padding": lambda c: c.padding_mode,
    "data_format": lambda c: c.layout,
    "dtype": lambda c: c.dtype or "float32",
    "compute_dtype": lambda c: c.compute_dtype,
    "activation": lambda c: c.activation or "linear",
    "data": lambda c: c.data,
    "view": lambda c: c.view or "none",
    "bias": lambda c: c.has_bias,
}
NUMBERS: dict[str, Callable[[Case], int]] = {
    "batch": lambda c: c.batch,
    "channels": lambda c: c.channels,
    "filters": lambda c: c.filters,
    "groups": lambda c: c.group_count,
}
PAIRS: dict[str, Callable[[Case], tuple[int, int]]] = {
    "input": lambda c: c.size,
    "kernel": lambda c: c.kernel,
    "strides": lambda c: c.stride,
    "dilation": lambda c: c.dilation,
    "output": lambda c: c.geometry.output,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
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

    def covers(self, check: str, implementation: str, version: str, case: Case) -> bool:
        """Whether a failure of `check` on `case` is expected."""
        return (
            check in self.checks
            and fnmatchcase(implementation, self.implementation)
            and fnmatchcase(version, self.version)
            and self.predicate(case)
        )


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


def _entry(entry: dict[str, Any], where: str) -> Expectation:
    known = {"check", "implementation", "version", "when", "reason", "link"}
    if set(entry) - known:
        raise UsageError(
            f"{where}: unknown key {sorted(set(entry) - known)[0]!r}; "
            f"allowed are {', '.join(sorted(known))}"
        )
    for key in ("check", "reason"):
        if not entry.get(key):
            raise UsageError(f"{where}: {key} is missing")
    checks = [entry["check"]] if isinstance(entry["check"], str) else list(entry["check"])
    for check in checks:
        if check not in CHECKS:
            raise UsageError(f"{where}: no check {check!r}; checks are {', '.join(CHECKS)}")
    conditions = [_condition(k, v, where) for k, v in entry.get("when", {}).items()]
    return Expectation(
        checks=tuple(checks),
        implementation=entry.get("implementation", "*"),
        version=entry.get("version", "*"),
        predicate=lambda case: all(condition(case) for condition in conditions),
        reason=entry["reason"],
        link=entry.get("link", ""),
    )


def _condition(name: str, value: Any, where: str) -> Predicate:
    if name in WORDS:
        allowed = value if isinstance(value, list) else [value]
        read = WORDS[name]
        return lambda case: read(case) in allowed
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
            _understood(part, names) for part in (node.left, *node.comparators)
        )
    if isinstance(node, ast.Name):
        return node.id in names
    return isinstance(node, ast.Constant) and isinstance(node.value, int)


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
    if isinstance(node, ast.Name):
        return values[node.id]
    assert isinstance(node, ast.Constant)
    return node.value
