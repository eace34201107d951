"""The suite as pytest tests, as somebody who maintains a convolution runs them."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from conformance.checks import CHECKS

INSTALLED = any(e.value == "conformance.pytest_plugin" for e in entry_points(group="pytest11"))


def suite(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``pytest --pyargs conformance.suite`` in an empty folder."""
    plugin = [] if INSTALLED else ["-p", "conformance.pytest_plugin"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, "-p", "no:cacheprovider", "--pyargs",
         "conformance.suite", "--conv-examples", "5", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=300,
    )  # fmt: skip


def test_a_right_function_passes(tmp_path: Path):
    done = suite(tmp_path, "--conv-impl", "planted:right", "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    for check in CHECKS:
        assert f"[planted:right-{check}]" in done.stdout
    assert f"{len(CHECKS) - 1} passed, 1 skipped" in done.stdout


def test_a_wrong_function_fails_with_a_short_message(tmp_path: Path):
    done = suite(tmp_path, "--conv-impl", "planted:off_by_one", "-k", "exact_values")
    assert done.returncode == 1
    assert "exact_values: values differ from the exact result (" in done.stdout
    assert "conv2d-conformance replay 'in1x1x1x1-f1-k1-integers.0' --impl" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "def test_conv2d" not in done.stdout
    failures = done.stdout.partition("= FAILURES =")[2].partition("short test summary")[0]
    assert len(failures.splitlines()) <= 8


def test_a_check_that_could_not_be_made_is_no_pass(tmp_path: Path):
    (tmp_path / "broken.py").write_text("def conv2d(x, kernel, bias=None, **given): return None\n")
    done = suite(tmp_path, "--conv-impl", "broken:conv2d", "-k", "exact_values")
    assert done.returncode == 1
    assert "exact_values: no case could be judged, since output_shape fails" in done.stdout


def test_several_implementations_are_told_apart(tmp_path: Path):
    done = suite(
        tmp_path, "--conv-impl", "planted:right", "--conv-impl", "reference", "-v", "-k", "shape"
    )
    assert done.returncode == 0
    assert "[planted:right-output_shape] PASSED" in done.stdout
    assert "[reference-output_shape] PASSED" in done.stdout


def test_the_suite_may_run_in_several_processes(tmp_path: Path):
    done = suite(tmp_path, "--conv-impl", "planted:off_by_one", "-k", "values or shape", "-n", "2")
    assert done.returncode == 1
    assert "2 failed, 1 passed, 1 skipped" in done.stdout
    for check in ("exact_values", "bounded_values"):
        assert f"test_conv2d[planted:off_by_one-{check}] _" in done.stdout
        assert f"\n{check}: " in done.stdout


@pytest.mark.parametrize("processes", [(), ("-n", "2")])
def test_an_unknown_name_is_a_usage_error_of_one_line(tmp_path: Path, processes: tuple[str, ...]):
    done = suite(tmp_path, "--conv-impl", "refrence", *processes)
    assert done.returncode == 4
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    assert len(lines) == 1
    assert "unknown implementation 'refrence'" in lines[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("--conv-impl", "planted:right", "--conv-impl", "planted:right"),
            "planted:right is given",
        ),
        (("--conv-impl", "planted:nothing"), "'nothing'"),
        (("--conv-impl", "planted:right", "--conv-examples", "0"), "--conv-examples"),
    ],
)
def test_other_wrong_options_are_usage_errors_too(
    tmp_path: Path, arguments: tuple[str, ...], words: str
):
    done = suite(tmp_path, *arguments)
    assert done.returncode == 4
    assert words in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_the_ini_file_may_name_the_implementation(tmp_path: Path):
    (tmp_path / "pytest.ini").write_text("[pytest]\nconv_impl = planted:right\n", "utf-8")
    done = suite(tmp_path, "-v", "-k", "output_dtype")
    assert done.returncode == 0
    assert "[planted:right-output_dtype] PASSED" in done.stdout


def test_the_plugin_costs_other_projects_nothing():
    """pytest loads it in every project where it is installed."""
    script = (
        "import sys, conformance.pytest_plugin\n"
        "heavy = {'numpy', 'hypothesis', 'keras', 'tensorflow', 'ml_dtypes', 'typer', 'jinja2'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
