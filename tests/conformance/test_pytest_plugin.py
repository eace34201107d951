"""The suite as pytest tests, as somebody who maintains a convolution runs them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import planted
import pytest

from conformance.checks import CHECKS, concerning
from conformance.pytest_plugin import conv2d_implementations
from conformance.targets import resolve

INSTALLED = any(e.value == "conformance.pytest_plugin" for e in entry_points(group="pytest11"))


def pytest_run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """pytest in a folder of its own, with the plugin."""
    plugin = [] if INSTALLED else ["-p", "conformance.pytest_plugin"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, "-p", "no:cacheprovider", *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=300,
    )


def suite(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """``pytest --pyargs conformance.suite`` in a folder of its own."""
    return pytest_run(
        tmp_path, "--pyargs", "conformance.suite", "--conv-examples", "25", *arguments
    )


def test_a_right_function_passes(tmp_path: Path):
    done = suite(tmp_path, "--conv-impl", "planted:right", "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    for check in CHECKS:
        assert f"[planted:right-{check}]" in done.stdout
    made = concerning(resolve("planted:right").info())
    assert f"{len(made)} passed, {len(CHECKS) - len(made)} skipped" in done.stdout


def test_a_wrong_function_fails_with_a_short_message(tmp_path: Path):
    done = suite(tmp_path, "--conv-impl", "planted:off_by_one", "-k", "exact_values")
    assert done.returncode == 1
    assert "Values differ from the exact result.\n  exact_values " in done.stdout
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


KNOWN = """
[[expected_failure]]
check = ["exact_values", "bounded_values"]
when = { batch = "> 0" }
reason = "adds one"
strict = true
"""


def test_expected_failures_are_told_as_such(tmp_path: Path):
    (tmp_path / "known.toml").write_text(KNOWN, "utf-8")
    arguments = ("--conv-xfail", "known.toml", "-k", "exact_values", "-rxX")
    known = suite(tmp_path, "--conv-impl", "planted:off_by_one", *arguments)
    assert known.returncode == 0, known.stdout
    assert "1 xfailed" in known.stdout
    assert "adds one" in known.stdout
    mended = suite(tmp_path, "--conv-impl", "planted:right", *arguments)
    assert mended.returncode == 1
    assert "It passes where a failure is expected: adds one." in mended.stdout
    absent = suite(tmp_path, "--conv-impl", "planted:right", "--conv-xfail", "absent.toml")
    assert absent.returncode != 0
    assert "cannot read absent.toml" in absent.stdout + absent.stderr


def test_several_implementations_are_told_apart(tmp_path: Path):
    done = suite(
        tmp_path, "--conv-impl", "planted:right", "--conv-impl", "reference", "-v", "-k", "shape"
    )
    assert done.returncode == 0
    assert "[planted:right-output_shape] PASSED" in done.stdout
    assert "[reference-output_shape] PASSED" in done.stdout


def test_the_suite_may_run_in_several_processes(tmp_path: Path):
    chosen = "exact_values or bounded_values or shape"
    done = suite(tmp_path, "--conv-impl", "planted:off_by_one", "-k", chosen, "-n", "2")
    assert done.returncode == 1
    assert "2 failed, 1 passed, 2 skipped" in done.stdout
    for check in ("exact_values", "bounded_values"):
        assert f"test_conv2d[planted:off_by_one-{check}] _" in done.stdout
        assert f"\n  {check}: element " in done.stdout


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


# The hook ----------------------------------------------------------------------------------------

CONFTEST = """
import reference_impl
from conformance import Implementation

class MyLib(Implementation):
    name = "mylib"

    def conv2d(self, x, kernel, bias=None, **given):
        return reference_impl.conv2d(x, kernel, bias, **given)

def pytest_conv2d_implementations(config):
    return {returned}
"""


def test_a_conftest_and_the_ini_file_say_who_is_measured(tmp_path: Path):
    (tmp_path / "conftest.py").write_text(CONFTEST.format(returned="[MyLib()]"), "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nconv_impl = planted:right\n", "utf-8")
    done = suite(tmp_path, "-rA", "-k", "exact_values")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"PASSED \S+\[(\S+)-exact_values\]", done.stdout) == [
        "planted:right",
        "mylib",
    ]


def test_a_conftest_that_names_nonsense_is_told_so_in_one_line(tmp_path: Path):
    (tmp_path / "conftest.py").write_text(CONFTEST.format(returned="[MyLib(), MyLib()]"), "utf-8")
    done = suite(tmp_path, "--collect-only")
    assert done.returncode == 2
    assert "two implementations are called 'mylib'" in done.stdout.splitlines()
    assert "Error: " not in done.stdout


@pytest.mark.parametrize(
    ("options", "ini", "hooked", "names"),
    [
        ([], [], [], ["keras-tensorflow"]),
        ([], [], [[], []], ["keras-tensorflow"]),
        ([], ["reference"], [], ["reference"]),
        ([], ["reference"], [["planted:leaves"], ("jax",)], ["reference", "planted:leaves", "jax"]),
        (["planted:leaves"], ["reference"], [["jax"]], ["planted:leaves"]),
        ([], [], [[planted.leaves, planted.WithFunction()]], ["planted:leaves", "WithFunction"]),
        ([], [], [planted.WithFunction, "reference"], ["WithFunction", "reference"]),
    ],
)
def test_the_ini_file_and_every_conftest_add_up_and_the_command_line_is_for_others(
    options: list[str], ini: list[str], hooked: list[Any], names: list[str]
):
    config: Any = SimpleNamespace(
        getoption=lambda name: options,
        getini=lambda name: ini,
        hook=SimpleNamespace(pytest_conv2d_implementations=lambda config: hooked),
    )
    assert [target.name for target in conv2d_implementations(config)] == names


# A test of one's own -----------------------------------------------------------------------------

OWN = """
import reference_impl
from conformance import Implementation, parametrize_with_checks

class MyLib(Implementation):
    name = "mylib"

    def conv2d(self, x, kernel, bias=None, **given):
        return reference_impl.conv2d(x, kernel, bias, **given)

def adds(number):
    def wrong(x, kernel, bias=None, **given):
        return reference_impl.conv2d(x, kernel, bias, **given) + x.dtype.type(number)
    return wrong

@parametrize_with_checks([MyLib(), adds(1)], examples=3)
def test_conv2d(implementation, check):
    check(implementation)
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A folder with a test file that measures what no other file could import."""
    (tmp_path / "test_mine.py").write_text(OWN, "utf-8")
    return tmp_path


@pytest.mark.parametrize("mode", [(), ("-n", "2"), ("--import-mode=importlib",)], ids=" ".join)
def test_a_test_of_ones_own_runs_in_every_way_that_pytest_has(own: Path, mode: tuple[str, ...]):
    done = pytest_run(own, *mode, "-rA", "-k", "exact_values")
    assert done.returncode == 1
    assert "PASSED test_mine.py::test_conv2d[mylib-exact_values]" in done.stdout
    assert "FAILED test_mine.py::test_conv2d[wrong-exact_values]" in done.stdout
    assert "Values differ from the exact result.\n  exact_values " in done.stdout
    assert "conformance.check(wrong, case='in1x1x1x1-f1-k1-integers.0')" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


# What it costs -----------------------------------------------------------------------------------

LOADED = """
import sys
{first}
before = set(sys.modules)
{then}
new = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(sorted(new - set(sys.stdlib_module_names)))
"""


@pytest.mark.parametrize(
    ("first", "then"),
    [("import pytest", "import conformance.pytest_plugin"), ("", "import conformance")],
)
def test_importing_it_brings_nothing_but_the_standard_library_and_pytest(first: str, then: str):
    """pytest loads the plugin in every project where it is installed."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(first=first, then=then)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "['conformance']"


def test_a_project_that_does_not_use_it_does_not_load_it(tmp_path: Path):
    (tmp_path / "test_other.py").write_text(
        "import sys\n\ndef test_nothing_is_loaded():\n"
        "    heavy = {'numpy', 'psutil', 'cloudpickle', 'ml_dtypes', 'keras', 'reference_impl'}\n"
        "    assert not heavy & set(sys.modules)\n",
        "utf-8",
    )
    done = pytest_run(tmp_path, "-q")
    assert done.returncode == 0, done.stdout
