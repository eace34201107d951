"""No file imports, directly or through others, one that imports it; nor does a room."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("conformance", "reference_impl")
# The names of the files, by the names under which they are imported.
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in sorted(ROOT.glob(f"{package}/**/*.py*"))
    if path.suffix in (".py", ".pyi")
}


def imported(name: str) -> set[str]:
    """The files that a file imports, also within functions; not those for type checkers alone."""
    tree = ast.parse(FILES[name].read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            parts = {f"{node.module}.{alias.name}" for alias in node.names}
            # A package that is asked for one of its files does not count.
            found |= parts & FILES.keys() or {node.module}
    return (found & FILES.keys()) - {name}


def room(name: str) -> str:
    """The folder in which a file is; a file beside the folders is a room of its own."""
    package, _, rest = name.partition(".")
    return f"{package}.{rest.partition('.')[0] or '__init__'}"


IMPORTS = {name: imported(name) for name in FILES}


def test_there_are_files_that_import_others():
    assert "conformance.processes.worker" in IMPORTS["conformance.campaign.session"]


def test_no_two_files_import_each_other():
    refuse_circles(IMPORTS)


def test_no_two_rooms_import_each_other():
    rooms: dict[str, set[str]] = {}
    for name, found in IMPORTS.items():
        rooms.setdefault(room(name), set()).update(map(room, found))
    refuse_circles({name: found - {name} for name, found in rooms.items()})


def test_the_reference_does_not_know_the_suite():
    assert not [
        (name, other)
        for name, found in IMPORTS.items()
        for other in found
        if name.startswith("reference_impl") and other.startswith("conformance")
    ]


def refuse_circles(graph: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
