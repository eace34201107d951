"""Functions of this suite as source, for scripts that do without it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import Any

# What such functions use beside each other, and what brings it into a script.
_IMPORTS = {
    "Path": "from pathlib import Path",
    "Unsupported": "Unsupported = NotImplementedError",
    "copy": "import copy",
    "np": "import numpy as np",
    "pickle": "import pickle",
    "tempfile": "import tempfile",
}


def source_of(function: Any) -> list[str] | None:
    """Lines that define `function` and what it calls; None where that needs something else."""
    functions = _functions(function)
    taken = {name for f in functions.values() for name in _globals(f)} - functions.keys()
    if not taken <= _IMPORTS.keys():
        return None
    lines = [_IMPORTS[name] for name in sorted(taken - {"np"})]  # which every script imports
    for one in reversed(functions.values()):
        lines += ["", "", *ast.unparse(_tree(one)).splitlines()]
    return lines


def _functions(function: Any) -> dict[str, Any]:
    """A function and those of this suite that it calls, by name; who calls comes first."""
    found: dict[str, Any] = {}
    waiting = [function]
    while waiting:
        one = waiting.pop()
        if one.__name__ not in found:
            found[one.__name__] = one
            waiting += filter(_is_of_suite, _globals(one).values())
    return found


def _is_of_suite(thing: Any) -> bool:
    return inspect.isfunction(thing) and thing.__module__.startswith("conformance.")


def _globals(function: Any) -> dict[str, Any]:
    """What a function uses of its module."""
    used = {node.id for node in ast.walk(_tree(function)) if isinstance(node, ast.Name)}
    return {name: function.__globals__[name] for name in used & function.__globals__.keys()}


def _tree(function: Any) -> ast.AST:
    """A function without its annotations."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    found: ast.AST = ast.fix_missing_locations(_WithoutAnnotations().visit(tree))
    return found


class _WithoutAnnotations(ast.NodeTransformer):
    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        return ast.Assign([node.target], node.value or ast.Constant(None))
