"""A wheel holds every package and file, which the editable install of the tests would not show."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("conformance", "reference_impl")


def test_every_folder_of_modules_is_found_as_a_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    find = project["tool"]["setuptools"]["packages"]["find"]
    assert find["namespaces"] is False  # so that a package needs an __init__.py
    for top in PACKAGES:
        for folder in {file.parent for file in (ROOT / top).rglob("*.py")}:
            assert (folder / "__init__.py").is_file(), folder
            name = str(folder.relative_to(ROOT)).replace("/", ".")
            assert any(fnmatchcase(name, pattern) for pattern in find["include"]), name


def source_files(root: Path) -> set[str]:
    """What is written by hand in the packages below `root`."""
    found = (path for top in PACKAGES for path in (root / top).rglob("*") if path.is_file())
    made = {".pyc", ".so", ".pyd", ".c"}
    return {str(path.relative_to(root)) for path in found if path.suffix not in made}


def test_a_wheel_holds_every_file_of_the_packages(tmp_path: Path):
    """What setuptools puts into one, without compiling."""
    pytest.importorskip("setuptools", "80")
    source = tmp_path / "source"
    for top in PACKAGES:
        shutil.copytree(ROOT / top, source / top)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path / "built")],
        cwd=source,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        check=True,
    )
    assert source_files(tmp_path / "built") == source_files(ROOT)


def test_the_weekly_job_measures_every_keras_that_tox_knows():
    tox = (ROOT / "tox.ini").read_text("utf-8")
    weekly = (ROOT / ".github/workflows/weekly.yml").read_text("utf-8")
    known = re.findall(r"^    keras(\d+): ", tox, re.MULTILINE)
    (listed,) = re.findall(r"^        keras: \[(.*)\]$", weekly, re.MULTILINE)
    assert known
    assert re.findall(r"\d+", listed) == known
    assert re.search(r"^\[testenv:keras{" + ",".join(known) + r"}\]$", tox, re.MULTILINE)
