"""A wheel holds every package; the tests use an editable install, which would not show it."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_folder_of_modules_is_found_as_a_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    find = project["tool"]["setuptools"]["packages"]["find"]
    assert find["namespaces"] is False  # so that a package needs an __init__.py
    for top in ("conformance", "reference_impl"):
        for folder in {file.parent for file in (ROOT / top).rglob("*.py")}:
            assert (folder / "__init__.py").is_file(), folder
            name = str(folder.relative_to(ROOT)).replace("/", ".")
            assert any(fnmatchcase(name, pattern) for pattern in find["include"]), name
