"""The command line: what it prints, what it writes, and one sentence for what it cannot do."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from conformance import cli, report
from conformance.campaign import run as campaign_run
from conformance.case import Case
from conformance.checks import CHECKS, concerning
from conformance.implementations import adapter
from conformance.results import Status
from conformance.targets import ADAPTERS, known_names, resolve

RIGHT = ("--impl", "planted:right")
WRONG = ("--impl", "planted:off_by_one")


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    errors: str


Command = Callable[..., Done]


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Command:
    """Run the program in an empty folder, without real Keras."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(campaign_run, "keras_is_installed", lambda: False)

    def call(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["conv2d-conformance", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        code = left.value.code
        return Done(int(code or 0) if isinstance(code, int | None) else 1, *capsys.readouterr())

    return call


def in_a_process(*arguments: str, cwd: Path) -> Done:
    done = subprocess.run(
        [sys.executable, "-m", "conformance", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def test_a_fault_of_the_suite_is_trouble_and_no_verdict(
    command: Command, monkeypatch: pytest.MonkeyPatch
):
    def broken(*given: Any, **options: Any) -> None:
        raise ZeroDivisionError("a fault of the suite")

    monkeypatch.setattr(campaign_run, "run", broken)
    done = command("run", "--impl", "reference")
    assert done.code == cli.Exit.TROUBLE
    assert "Traceback" in done.errors
    assert done.errors.endswith("the suite itself failed: a fault of the suite\n")


# What cannot be done ------------------------------------------------------------------------------

BROKEN = {
    "raises.py": "raise RuntimeError('no licence found')",
    "leaves.py": "import sys; sys.exit('bye')",
    "syntax.py": "def conv2d(:\n",
    "needs.py": "import a_module_that_is_not_there",
    "package/__init__.py": "",
}

REFUSED: dict[str, tuple[tuple[str, ...], list[str]]] = {
    "unknown implementation": (
        ("run", "--impl", "refrence"),
        ["'refrence'", ", ".join(known_names()), "did you mean 'reference'?"],
    ),
    "no such module": (("run", "--impl", "no_module:conv2d"), ["'no_module'"]),
    "no such submodule": (("run", "--impl", "package.conv:conv2d"), ["'package.conv'"]),
    "module that raises": (
        ("run", "--impl", "raises:conv2d"),
        ["'raises'", "RuntimeError: no licence found"],
    ),
    "module that leaves": (("run", "--impl", "leaves:conv2d"), ["'leaves'", "SystemExit"]),
    "module with a typing error": (("run", "--impl", "syntax:conv2d"), ["'syntax'", "SyntaxError"]),
    "module that needs another": (
        ("run", "--impl", "needs:conv2d"),
        ["'needs'", "a_module_that_is_not_there"],
    ),
    "no such attribute": (
        ("run", "--impl", "planted:of_by_one"),
        ["'of_by_one'", "did you mean 'off_by_one'?"],
    ),
    "attribute that is no function": (
        ("run", "--impl", "planted:not_callable"),
        ["'planted:not_callable'", "int 3"],
    ),
    "implementation given twice": (("run", *RIGHT, *RIGHT), ["planted:right", "twice"]),
    "no examples": (("run", *RIGHT, "--examples", "0"), ["--examples", "0"]),
    "negative examples": (("run", *RIGHT, "--examples", "-3"), ["--examples", "-3"]),
    "examples that are no number": (("run", *RIGHT, "--examples", "many"), ["--examples", "many"]),
    "negative time": (("run", *RIGHT, "--max-time", "-1"), ["--max-time", "-1"]),
    "time that is no number": (("run", *RIGHT, "--max-time", "nan"), ["--max-time", "nan"]),
    "time without end": (("run", *RIGHT, "--max-time", "inf"), ["--max-time", "inf"]),
    "a thousand million processes": (
        ("run", *RIGHT, "--jobs", "1000000000"),
        ["jobs", "at most 1000", "1000000000"],
    ),
    "more processes than there are numbers": (
        ("selftest", "--jobs", "1" + "0" * 5000),
        ["--jobs", "whole number"],
    ),
    "negative seed": (("run", *RIGHT, "--seed", "-7"), ["--seed", "-7"]),
    "no processes": (("run", *RIGHT, "--jobs", "0"), ["--jobs", "0"]),
    "option that does not exist": (("run", "--example", "3"), ["--example"]),
    "command that does not exist": (("rum",), ["'rum'"]),
    "output below a file": (("run", *RIGHT, "--out", "raises.py/out"), ["raises.py/out"]),
    "output that is a file": (("run", *RIGHT, "--out", "raises.py"), ["raises.py"]),
    "no such file of expected failures": (
        ("run", *RIGHT, "--xfail", "absent.toml"),
        ["absent.toml"],
    ),
    "expected failures that are no TOML": (("run", *RIGHT, "--xfail", "syntax.py"), ["syntax.py"]),
    "case with a typing error": (
        ("replay", "in1x4x4x1-f1-k3-sane-integers.0", *RIGHT),
        ["'sane'", "same"],
    ),
    "case that does not fit": (
        ("replay", "in1x4x4x1-f1-k5-integers.0", *RIGHT),
        ["in1x4x4x1-f1-k5-integers.0", "zero or negative"],
    ),
    "case that the implementation does not claim": (
        ("replay", "in1x6x5x4-f2-k2x3-s2-d1x2-integers.0", *RIGHT),
        ["(2, 2)", "(1, 2)", "Keras refuses", "planted:right does not claim"],
    ),
    "empty case": (("replay", "", *RIGHT), ["''"]),
    "baseline of nothing": (("baseline", "absent"), ["absent"]),
    "baseline of another file": (("baseline", "raises.py"), ["raises.py", "results.json"]),
    "replay with and without": (
        ("replay", "in1x4x4x1-f1-k3-integers.0", *RIGHT, "--xfail", "own.toml", "--no-xfail"),
        ["--xfail", "--no-xfail"],
    ),
    "replay of no check": (
        ("replay", "in1x4x4x1-f1-k3-integers.0", *RIGHT, "--check", "exact"),
        ["exact_values", "'exact'"],
    ),
    "replay on nobody": (
        ("replay", "in1x4x4x1-f1-k3-integers.0", "--impl", "nobody"),
        ["'nobody'"],
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(
    command: Command, tmp_path: Path, what: str
):
    for name, text in BROKEN.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    arguments, words = REFUSED[what]
    done = command(*arguments)
    assert done.code == 2
    assert done.out == ""
    for word in words:
        assert word in done.errors
    assert "Traceback" not in done.errors
    assert done.errors.count("\n") == 1


def test_nothing_is_written_where_nothing_can_be_run(command: Command, tmp_path: Path):
    command("run", "--impl", "nobody", "--out", "new/folder")
    assert not list(tmp_path.rglob("*.html"))
    assert not list(tmp_path.rglob("*.json"))


# What is done -------------------------------------------------------------------------------------


def test_a_right_implementation_gives_exit_code_0_and_its_files(command: Command, tmp_path: Path):
    done = command("run", *RIGHT, "--examples", 5, "--jobs", 1, "--out", "out")
    assert done.code == 0
    assert "planted:right conforms" in done.out
    assert f"Report: {Path('out/report.html')}" in done.out
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "report.html",
        "results.json",
        "junit.xml",
        "summary.md",
        "journal.sqlite",
    }


def test_a_wrong_implementation_gives_exit_code_1_and_its_smallest_case(command: Command):
    done = command("run", *WRONG, "--examples", 5, "--jobs", 1)
    assert done.code == 1
    assert "planted:off_by_one is wrong: values differ from the exact result" in done.out
    assert re.search(r"\n    exact_values \d+", done.out)
    assert "in1x1x1x1-f1-k1-integers.0" in done.out
    assert Path("reports/latest/report.html").is_file()


def test_who_does_nothing_gives_exit_code_3(command: Command):
    done = command("run", "--impl", "planted:does_nothing", "--examples", 3, "--jobs", 1)
    assert done.code == 3
    assert "inconclusive" in done.out


def test_expected_failures_give_exit_code_0(command: Command, tmp_path: Path):
    (tmp_path / "known.toml").write_text(
        "[[expected_failure]]\n"
        'check = ["output_shape", "exact_values", "bounded_values", "special_values"]\n'
        'when = { dilation = "h != w" }\nreason = "swaps the dilation"\n',
        "utf-8",
    )
    arguments = ("run", "--impl", "planted:swapped_dilation", "--examples", 15, "--jobs", 1)
    assert command(*arguments).code == 1
    assert command(*arguments, "--xfail", "known.toml").code == 0


def test_a_baseline_turns_todays_failures_into_expected_ones(command: Command):
    arguments = ("run", "--impl", "planted:swapped_dilation", "--examples", 15, "--jobs", 1)
    assert command(*arguments, "--out", "out").code == 1
    done = command("baseline", "out", "--out", "known.toml")
    assert (done.code, done.errors) == (0, "")
    assert re.search(r"known\.toml: \d+ expected failures?; read it before use", done.out)
    assert command(*arguments, "--xfail", "known.toml").code == 0
    again = command("baseline", "out", "--out", "known.toml")
    assert again.code == 2
    assert "known.toml exists" in again.errors


def test_a_baseline_of_what_conforms_is_no_file(command: Command):
    command("run", *RIGHT, "--examples", 2, "--jobs", 1)
    done = command("baseline")
    assert (done.code, done.errors) == (0, "")
    assert "no file was written" in done.out
    assert not Path("expected_failures.toml").exists()


def test_results_json_has_the_published_form(command: Command, tmp_path: Path):
    command("run", *WRONG, "--impl", "reference", "--examples", 4, "--jobs", 1, "--out", "out")
    content = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
    assert content["schema"] == 1
    assert isinstance(content["environment"], dict)
    assert content["settings"] | {"seed": 0, "examples": 4, "max_time": None} == content["settings"]
    wrong, right = content["implementations"]
    assert (wrong["name"], wrong["verdict"]) == ("planted:off_by_one", "fails")
    assert (right["name"], right["verdict"]) == ("reference", "conforms")
    for result in (wrong, right):
        assert isinstance(result["version"], str)
        assert result["cases"] >= 4
        for counts in result["checks"].values():
            assert set(counts) == {
                "passed", "failed", "unsupported", "expected_failure", "unexpected_pass",
                "crashed", "timed_out", "harness_error", "flaky",
            }  # fmt: skip
            assert all(isinstance(n, int) and n >= 0 for n in counts.values())
    assert set(right["checks"]) == set(concerning(resolve("reference").info()))
    assert set(wrong["checks"]) == set(concerning(resolve("planted:off_by_one").info()))
    assert right["findings"] == []
    assert wrong["findings"]
    for finding in wrong["findings"]:
        types: dict[str, Any] = {
            "check": str, "count": int, "first_at": int, "minimal_case": str, "cause": str,
            "diagnosis": str | None, "message": str, "reproducer": str,
        }  # fmt: skip
        for key, kind in types.items():
            assert isinstance(finding[key], kind)
        assert str(Case.parse(finding["minimal_case"])) == finding["minimal_case"]
        assert finding["check"] in wrong["checks"]
        assert finding["count"] <= wrong["checks"][finding["check"]]["failed"]
        compile(finding["reproducer"], "reproducer.py", "exec")


def test_a_reproducer_runs_without_the_suite_and_shows_the_failure(
    command: Command, tmp_path: Path
):
    command("run", *WRONG, "--examples", 3, "--jobs", 1, "--out", "out")
    content = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
    finding = content["implementations"][0]["findings"][0]
    assert "conformance" not in finding["reproducer"]
    done = subprocess.run(
        [sys.executable, "-c", finding["reproducer"]],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "AssertionError" in done.stderr
    assert re.search(r"element \(.*\): expected .*, got ", done.stdout)


def test_the_same_seed_gives_the_same_results(command: Command, tmp_path: Path):
    contents = []
    for name in ("one", "two"):
        command("run", *WRONG, "--examples", 6, "--seed", 3, "--jobs", 1, "--out", name)
        content = json.loads((tmp_path / name / "results.json").read_text("utf-8"))
        del content["run"]
        contents.append(content)
    assert contents[0] == contents[1]


def test_the_current_folder_is_importable(command: Command, tmp_path: Path):
    (tmp_path / "my_conv.py").write_text("from reference_impl import conv2d\n", "utf-8")
    done = command("run", "--impl", "my_conv:conv2d", "--examples", 2, "--jobs", 1)
    assert done.code == 0


@pytest.mark.parametrize(
    ("attribute", "case", "code", "words"),
    [
        ("right", "in1x4x4x1-f1-k3-integers.0", 0, ["passed", "exact_values"]),
        ("right", "in1x4x4x1-f1-k3-normal.0", 0, ["passed", "bounded_values"]),
        ("off_by_one", "in1x4x4x1-f1-k3-integers.0", 1, ["failed", "exact_values", "expected"]),
        ("ends_the_process", "in1x4x4x2-f2-k3-g2-integers.0", 1, ["crashed", "exit code 5"]),
        ("leaves", "in1x4x4x2-f2-k3-g2-integers.0", 1, ["failed", "SystemExit: 7"]),
        ("without_groups", "in1x4x4x2-f2-k3-g2-integers.0", 3, ["unsupported", "no groups"]),
        (
            "forgets_the_padding",
            "in1x4x4x1-f1-k3-integers.0+in1x4x4x1-f1-k3-same-integers.0",
            1,
            ["failed", "output_shape", "(1, 4, 4, 1)"],
        ),
        ("forgets_the_padding", "in1x4x4x1-f1-k3-same-integers.0", 0, ["passed"]),
        ("StridesWithDilation", "in1x6x5x4-f2-k2x3-s2-d1x2-integers.0", 0, ["passed"]),
    ],
)
def test_replay_says_what_each_check_finds(
    command: Command, attribute: str, case: str, code: int, words: list[str]
):
    done = command("replay", case, "--impl", f"planted:{attribute}")
    assert (done.code, done.errors) == (code, "")
    for word in [*case.split("+"), *words]:
        assert word in done.out


def test_the_last_line_is_the_first_replay_command(command: Command):
    done = command("run", *WRONG, "--examples", 3, "--jobs", 1)
    last = done.out.splitlines()[-1]
    assert last.startswith("Replay: conv2d-conformance replay 'in1x1x1x1-f1-k1-")
    words = shlex.split(last.removeprefix("Replay: "))
    assert command(*words[1:]).code == 1


MENDED = "from reference_impl import conv2d\n"


def test_replay_shows_what_is_printed_when_it_is_called_not_while_it_is_set_up(
    command: Command, tmp_path: Path
):
    (tmp_path / "talks.py").write_text(
        "import os\n"
        "os.write(2, b'I0000 port.cc: custom operations are on\\n')\n"
        "from reference_impl import conv2d as plain\n"
        "def conv2d(*given, **named):\n"
        "    print('now it computes')\n"
        "    return plain(*given, **named)\n",
        "utf-8",
    )
    done = command("replay", "in1x4x4x1-f1-k3-integers.0", "--impl", "talks:conv2d")
    assert "  | now it computes" in done.out
    assert "port.cc" not in done.out + done.errors


def test_a_whole_run_is_replayed_finding_by_finding(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    module = tmp_path / "mine.py"
    module.write_text(
        f"{MENDED}plain = conv2d\ndef conv2d(x, kernel, bias=None, **given):\n"
        "    return plain(x, kernel, bias, **given) + x.dtype.type(1)\n",
        "utf-8",
    )
    command("run", "--impl", "mine:conv2d", "--examples", 5, "--jobs", 1, "--out", "out")
    failed = command("replay", "out")
    assert failed.code == 1
    assert failed.out.startswith("FAILED  mine:conv2d exact_values in1x1x1x1-f1-k1-integers.0\n")
    assert re.search(r"\n\d FAILED\.\n$", failed.out)
    module.write_text(MENDED, "utf-8")
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    fixed = command("replay", "out/results.json", "--impl", "mine:conv2d")
    assert (fixed.code, fixed.errors) == (0, "")
    assert "FAILED" not in fixed.out
    results = tmp_path / "out" / "results.json"
    results.write_text(results.read_text("utf-8").replace('"doubt": ""', '"doubt": "chance"'))
    untold = command("replay", "out")
    assert untold.code == 3
    assert "FIXED" not in untold.out
    assert "was never reproduced" in untold.out
    module.unlink()
    lost = command("replay", "out")
    assert lost.code == 3
    assert "ERROR" in lost.out
    assert "cannot import module 'mine'" in lost.out
    assert command("replay", "out", "--impl", "reference").code == 2
    assert command("replay", "out", "--check", "exact_values").code == 2


def test_two_runs_are_compared(command: Command, tmp_path: Path):
    common = ("run", "--impl", "mine:conv2d", "--examples", 15, "--jobs", 1, "--out")
    (tmp_path / "mine.py").write_text(MENDED, "utf-8")
    command(*common, "good")
    (tmp_path / "mine.py").write_text("from planted import swapped_dilation as conv2d\n", "utf-8")
    command(*common, "bad")
    done = command("diff", "good", "bad", "--out", "page")
    assert done.code == 1
    assert done.out.startswith("new: mine:conv2d: it ")
    assert "1 new, 0 fixed, 0 still failing, 0 newly unsupported\n" in done.out
    content = json.loads((tmp_path / "page" / "diff.json").read_text("utf-8"))
    assert content["schema"] == 1
    (cause,) = content["new"]
    assert cause["implementation"] == "mine:conv2d"
    assert len(cause["checks"]) > 1
    page = (tmp_path / "page" / "diff.html").read_text("utf-8")
    assert page.startswith("<!doctype html>")
    back = command("diff", "bad", "good")
    assert back.code == 0
    assert re.search(r"0 new, [1-9]\d* fixed, 0 still failing", back.out)
    command("baseline", "bad", "--out", "known.toml")
    command(*common, "known", "--xfail", "known.toml")
    listed = command("diff", "bad", "known")
    assert listed.code == 0
    assert re.search(r"0 new, 0 fixed, 0 still failing, .*, [1-9]\d* now expected", listed.out)
    unlisted = command("diff", "known", "bad")
    assert unlisted.code == 1
    assert re.search(r"0 new, .*, [1-9]\d* no longer expected", unlisted.out)
    same = command("diff", "bad", "bad/results.json")
    assert same.code == 0
    assert re.search(r"0 new, 0 fixed, [1-9]\d* still failing", same.out)


def test_a_summary_is_added_to_that_of_the_job(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "job.md").write_text("before\n", "utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "job.md"))
    command("run", *WRONG, "--examples", 3, "--jobs", 1, "--out", "out")
    summary = (tmp_path / "out" / "summary.md").read_text("utf-8")
    assert summary.startswith("## planted:off\\_by\\_one is wrong: values differ")
    assert (tmp_path / "job.md").read_text("utf-8") == f"before\n{summary}\n"


def test_the_version_is_shown(command: Command):
    done = command("--version")
    assert (done.code, done.out) == (0, f"conv2d-conformance {version('conv2d-conformance')}\n")


HOSTILE = """
def conv2d(x, kernel, bias=None, **given):
    if given["groups"] > 1:
        import conformance
        raise conformance.Unsupported("\\x1b[2Jno groups \\ud800" + "x" * 3000)
    raise ValueError("\\x1b[2J\\x1b[32mconforms: no unexpected failure\\x1b[0m \\ud800")
"""


def test_foreign_text_neither_steers_the_terminal_nor_ends_the_program(tmp_path: Path):
    (tmp_path / "hostile.py").write_text(HOSTILE, "utf-8")
    arguments = ("--impl", "hostile:conv2d", "--examples", "8", "--jobs", "1", "--no-witness")
    done = in_a_process("run", *arguments, cwd=tmp_path)
    assert done.code == 1, done.errors
    assert "Report: " in done.out
    assert not {"\x1b", "\ud800"} & {*done.out, *done.errors}
    assert max(map(len, done.out.splitlines())) < 400
    for name in report.FILES:
        text = (tmp_path / "reports" / "latest" / name).read_text("utf-8")
        assert "\x1b" not in text


def test_replay_makes_one_check_on_request(command: Command):
    for check, code in {"output_shape": 0, "exact_values": 1}.items():
        done = command("replay", "in1x4x4x1-f1-k3-integers.0", *WRONG, "--check", check)
        assert (done.code, check in done.out) == (code, True)
        assert "unchanged_inputs" not in done.out


def test_replay_expects_nothing_on_request(command: Command, tmp_path: Path):
    (tmp_path / "own.toml").write_text(
        '[[expected_failure]]\nimplementation = "planted:off_by_one"\n'
        'check = "exact_values"\nreason = "known"\n',
        "utf-8",
    )
    case = ("replay", "in1x4x4x1-f1-k3-integers.0", *WRONG)
    assert command(*case, "--xfail", tmp_path / "own.toml").code == 0
    assert command(*case).code == 1
    known = ("replay", "in1x7x7x4-f2-k3-but.autocast.text-integers.1")
    assert command(*known).code == 0  # real Keras
    assert command(*known, "--no-xfail").code == 1


def test_replay_on_several_implementations_shows_each(command: Command):
    done = command("replay", "in1x4x4x1-f1-k3-integers.0", *RIGHT, *WRONG)
    assert done.code == 1
    assert done.out.index("planted:right") < done.out.index("planted:off_by_one")


def test_list_shows_every_implementation_and_every_check_with_its_rule(command: Command):
    done = command("list")
    assert (done.code, done.errors) == (0, "")
    for word in (*ADAPTERS, "module:attr", *CHECKS, *(c.rule for c in CHECKS.values())):
        assert word in done.out


def lines(done: Done) -> dict[str, str]:
    """What stands after the first word of each line."""
    return dict(line.split(maxsplit=1) for line in done.out.splitlines() if " " in line.strip())


def test_doctor_says_what_installs_each_adapter_that_is_not_ready(
    command: Command, monkeypatch: pytest.MonkeyPatch
):
    there = {"keras", "tensorflow", "scipy"}
    monkeypatch.setattr(adapter, "find_spec", lambda name: name if name in there else None)
    states = lines(command("doctor"))
    of_tensorflow = {name for name in ADAPTERS if name.startswith("keras-tensorflow")}
    ready = {name for name in ADAPTERS if states[name] == "ready"}
    assert ready == {*of_tensorflow, "scipy", "scipy-fft", "reference"}
    assert states["torch"] == "lacks torch: pip install 'conv2d-conformance[torch]'"
    assert states["keras-jax"] == "lacks jax: pip install 'conv2d-conformance[keras-jax]'"


def test_doctor_without_keras_gives_exit_code_3_and_says_who_judges(command: Command):
    done = command("doctor")
    assert (done.code, done.errors) == (3, "")
    assert "implementations are judged by the reference alone" in done.out


def test_doctor_with_keras_shows_versions(command: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(campaign_run, "keras_is_installed", lambda: True)
    done = command("doctor")
    assert (done.code, done.errors) == (0, "")
    shown = lines(done)
    for name in ("python", "numpy", "hypothesis", "tensorflow", "keras", "cores"):
        assert shown[name]
    assert {*ADAPTERS} <= {*shown}
    assert "reference alone" not in done.out


# What installed packages register -----------------------------------------------------------------

GROUP = "conv2d_conformance.implementations"
MYLIB = """
import reference_impl
from conformance import Capabilities, Implementation

conv2d = reference_impl.conv2d

class MyLib(Implementation):
    version = "MyLib 1.0"
    capabilities = Capabilities(dtypes=("float32",), groups=False)

    def conv2d(self, x, kernel, bias=None, **given):
        return conv2d(x, kernel, bias, **given)
"""
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a distribution where Python looks for them, as an installer would."""

    def put(distribution: str, module: str = "", **registered: str) -> None:
        site = tmp_path / f"site-{distribution}"
        info = site / f"{distribution}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n", "utf-8"
        )
        lines = [f"[{GROUP}]", *(f"{n.replace('_', '-')} = {t}" for n, t in registered.items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n", "utf-8")
        (site / f"{distribution}.py").write_text(module or MYLIB, "utf-8")
        monkeypatch.syspath_prepend(site)

    return put


def test_an_installed_package_is_measured_by_the_name_it_registers(
    command: Command, install: Install
):
    install("mylib", mylib="mylib:MyLib")
    done = command("run", "--impl", "mylib", "--examples", 5, "--jobs", 1, "--out", "out")
    assert (done.code, done.errors) == (0, "")
    assert "mylib conforms" in done.out
    (result,) = json.loads(Path("out/results.json").read_text("utf-8"))["implementations"]
    assert (result["name"], result["version"]) == ("mylib", "MyLib 1.0")
    assert result["declared"]["dtypes"] == ["float32"]
    assert result["checks"]["claimed_capability"]["failed"] == 0
    done = command("replay", "in1x4x4x1-f1-k3-integers.0", "--impl", "mylib")
    assert done.code == 0
    assert done.out.startswith("mylib MyLib 1.0\n")


def test_list_and_doctor_show_what_is_registered_without_importing_it(
    command: Command, install: Install
):
    install("mylib", "raise RuntimeError('imported')", mylib="mylib:MyLib", mylib_plain="mylib:f")
    shown = lines(command("list"))
    assert shown["mylib"] == "Registered by an installed package: mylib:MyLib."
    assert shown["mylib-plain"] == "Registered by an installed package: mylib:f."
    assert lines(command("doctor"))["mylib"] == "ready, mylib:MyLib"


def test_a_plain_function_may_be_registered(command: Command, install: Install):
    install("mylib", mylib_plain="mylib:conv2d")
    done = command("run", "--impl", "mylib-plain", "--examples", 2, "--jobs", 1)
    assert done.code == 0
    assert "mylib-plain conforms" in done.out


@pytest.mark.parametrize(
    ("registered", "words"),
    [
        ({"torch": "mylib:MyLib"}, ["'torch'", "torch:Torch", "mylib:MyLib"]),
        ({"other": "mylib:MyLib"}, ["'other'", "other:MyLib", "mylib:MyLib"]),
    ],
)
def test_a_name_that_is_registered_twice_is_refused_in_one_line(
    command: Command, install: Install, registered: dict[str, str], words: list[str]
):
    install("other", other="other:MyLib")
    install("mylib", **registered)
    done = command("run", "--impl", *registered)
    assert done.code == 2
    assert done.errors.count("\n") == 1
    for word in ["2 implementations are called", *words]:
        assert word in done.errors


def test_a_name_that_is_registered_twice_does_not_disturb_other_names(
    command: Command, install: Install
):
    install("other", other="other:MyLib", mine="other:MyLib")
    install("mylib", other="mylib:MyLib")
    assert "  mine " in command("list").out
    assert "  mine " in command("doctor").out
    assert command("run", "--impl", "mine", "--examples", 2, "--jobs", 1).code == 0


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("mylib:MyLob", ["'mylib'", "no attribute 'MyLob'", "did you mean 'MyLib'?"]),
        ("mylob:MyLib", ["'mylob'", "no module"]),
        ("mylib", ["'mylib'", "module:attr"]),
    ],
)
def test_a_registration_that_leads_nowhere_is_told_in_one_line(
    command: Command, install: Install, target: str, words: list[str]
):
    install("mylib", mylib=target)
    done = command("run", "--impl", "mylib")
    assert done.code == 2
    assert done.errors.count("\n") == 1
    for word in words:
        assert word in done.errors


def test_a_typing_error_in_a_registered_name_is_noticed(command: Command, install: Install):
    install("mylib", mylib="mylib:MyLib")
    done = command("run", "--impl", "mylip")
    assert done.code == 2
    assert "did you mean 'mylib'?" in done.errors
    assert "reference, mylib, and anything importable" in done.errors


def test_python_m_conformance_is_the_same_program(tmp_path: Path):
    done = in_a_process("list", cwd=tmp_path)
    assert done.code == 0
    assert "keras-tensorflow" in done.out
    done = in_a_process("run", "--impl", "nobody", cwd=tmp_path)
    assert (done.code, done.out, done.errors.count("\n")) == (2, "", 1)
    assert "'nobody'" in done.errors


def test_every_status_has_a_place_in_the_schema():
    """The schema is published: a new status is a new schema."""
    assert len(Status) == 9


def test_a_full_disk_is_told_after_the_verdict_and_keeps_the_earlier_report(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    assert command("run", *RIGHT, "--examples", 3, "--out", "out").code == 0
    before = {name: (tmp_path / "out" / name).read_bytes() for name in report.FILES}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setitem(report.FILES, "report.html", full)
    done = command("run", *WRONG, "--examples", 3, "--out", "out")
    assert done.code == cli.Exit.TROUBLE == 4
    assert done.out.startswith("planted:off_by_one is wrong: ")
    assert done.errors.splitlines()[-1] == (
        "cannot write the report to out: No space left on device"
    )
    assert {name: (tmp_path / "out" / name).read_bytes() for name in report.FILES} == before
