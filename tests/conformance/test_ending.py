"""Ctrl-C once and twice, SIGTERM in every phase of a run, others killed, and a full disk."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import report_samples as samples
from programs import PATHS, begun, decided, done, results, wait_until

from conformance.campaign.ending import SAME
from conformance.capabilities import probes
from conformance.plan import Asked, plan
from conformance.report import FILES, write_all

RUN = (
    *("run", "--impl", "phases:conv2d", "--examples", "12", "--no-witness", "--jobs", "1"),
    *("--out", "out"),
)
PLANNED = plan(0, Asked("function"), limit=12)
CASES = sum(len(one.example) for one in PLANNED) + len({p.case for p in probes(None)})
UNDERSTOOD = "Interrupted: writing the report. Press Ctrl-C again to leave at once."


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A folder with an earlier report."""
    write_all(samples.report(samples.conforming("earlier")), tmp_path / "out")
    return tmp_path / "out"


def interrupted(folder: Path, phase: str, *signals: int) -> tuple[int, str]:
    """Exit code and messages of a run in `folder` that gets the signals in a phase."""
    mark = folder / "mark"
    with begun(*RUN, cwd=folder, env={"PHASE": phase, "MARK": str(mark)}) as process:
        if phase == "shrinking":
            wait_until(lambda: decided(folder / "out") >= CASES, process)
        else:
            wait_until(mark.exists, process)
        for number in signals:
            process.send_signal(number)
            time.sleep(2 * SAME)
        try:
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_while_modules_are_imported_it_ends_in_one_line(tmp_path: Path, number: int):
    slow = "import pathlib, time; pathlib.Path(__file__).with_name('mark').touch(); time.sleep(60)"
    (tmp_path / "typer.py").write_text(slow)
    path = f"{tmp_path}{os.pathsep}{PATHS['PYTHONPATH']}"
    with begun(*RUN, cwd=tmp_path, env={"PYTHONPATH": path}) as process:
        wait_until((tmp_path / "mark").exists, process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "Interrupted.\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("phase", ["starting", "probes"])
def test_before_the_first_case_the_earlier_report_is_kept(earlier: Path, phase: str, number: int):
    before = {name: (earlier / name).read_bytes() for name in FILES}
    code, errors = interrupted(earlier.parent, phase, number)
    assert code == 130
    assert errors.splitlines()[-2:] == [
        UNDERSTOOD, "Interrupted before any case was decided; the earlier report in out is kept.",
    ]  # fmt: skip
    assert {name: (earlier / name).read_bytes() for name in FILES} == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("phase", ["cases", "shrinking"])
def test_what_was_decided_is_reported_and_a_resumed_run_does_the_rest(
    earlier: Path, phase: str, number: int
):
    code, errors = interrupted(earlier.parent, phase, number)
    assert code == 130
    assert "Traceback" not in errors
    (result,) = results(earlier)["implementations"]
    assert result["name"] == "phases:conv2d"
    assert (result["configurations"] < 12) == (phase == "cases")
    assert result["interrupted"]
    assert result["stopped"].startswith("interrupted")
    assert {finding["doubt"] for finding in result["findings"]} == {"time"}
    for counts in result["checks"].values():
        assert sum(counts.values()) <= result["cases"]
    known = decided(earlier)
    assert 0 < result["cases"] <= known
    last = done(*RUN, "--resume", cwd=earlier.parent)
    assert last.returncode == 1
    (whole,) = results(earlier)["implementations"]
    assert (whole["configurations"], whole["interrupted"]) == (12, False)


@pytest.mark.parametrize("phase", ["starting", "cases", "shrinking"])
def test_a_second_signal_ends_it_at_once_and_the_journal_stays(earlier: Path, phase: str):
    before = {name: (earlier / name).read_bytes() for name in FILES}
    code, errors = interrupted(earlier.parent, phase, signal.SIGINT, signal.SIGTERM)
    assert code == 130
    assert "Traceback" not in errors
    if "Left at once" in errors:  # else it was done before the second one came
        assert {name: (earlier / name).read_bytes() for name in FILES} == before
    assert done(*RUN, "--resume", cwd=earlier.parent).returncode == 1
    assert results(earlier)["implementations"][0]["configurations"] == 12


def test_timeout_which_signals_twice_at_once_asks_once(tmp_path: Path):
    mark = tmp_path / "mark"
    with begun(*RUN, cwd=tmp_path, env={"PHASE": "cases", "MARK": str(mark)}) as process:
        wait_until(mark.exists, process)
        for _ in range(2):
            process.send_signal(signal.SIGTERM)
            time.sleep(SAME / 5)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Left at once" not in errors
    assert results(tmp_path / "out")["implementations"][0]["interrupted"]


def test_a_report_is_written_although_nobody_reads_the_output(tmp_path: Path):
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "conformance", *RIGHT, "--out", "out"],
            cwd=tmp_path, env=PATHS, stdout=full, stderr=subprocess.PIPE, text=True, timeout=120,
        )  # fmt: skip
    assert ended.returncode == 4
    assert results(tmp_path / "out")["implementations"][0]["verdict"] == "conforms"


SIGNALLED = """
import os, signal, sys, time
from conformance import cli, report
*sys.argv, signals = sys.argv
write = report.FILES["junit.xml"]
def signalled(*given):
    for name in signals.split("+"):
        os.kill(os.getpid(), getattr(signal, name))
        time.sleep(0.2)
    write(*given)
report.FILES["junit.xml"] = signalled
cli.main()
"""


@pytest.mark.parametrize("signals", ["SIGINT", "SIGTERM", "SIGINT+SIGINT"])
def test_a_report_that_is_being_written_is_written_whole_or_not_at_all(earlier: Path, signals: str):
    before = {name: (earlier / name).read_bytes() for name in FILES}
    ended = subprocess.run(
        [sys.executable, "-c", SIGNALLED, *RUN, signals],
        cwd=earlier.parent, env=PATHS, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert ended.returncode == 130
    after = {name: (earlier / name).read_bytes() for name in FILES}
    if "+" in signals:
        assert after == before
    else:
        assert not any(after[name] == before[name] for name in FILES)
        assert json.loads(after["results.json"])["implementations"][0]["configurations"] == 12
    assert done(*RUN, "--resume", cwd=earlier.parent).returncode == 1
    assert not list(earlier.glob(".*unfinished"))


# Others are killed, and there is no room ----------------------------------------------------------

RIGHT = ("run", "--impl", "planted:right", "--examples", "30", "--no-witness", "--jobs", "2")


def child_of(process: subprocess.Popen[str], module: str) -> psutil.Process:
    """A child that runs `module`, as soon as there is one; some may be ending just now."""
    while process.poll() is None:
        for child in psutil.Process(process.pid).children():
            with contextlib.suppress(psutil.Error):
                if module in child.cmdline():
                    return child
        time.sleep(0.02)
    raise AssertionError(f"the run ended without {module}")


def test_killed_observers_and_judges_cost_nothing(tmp_path: Path):
    """One of each: what kills a case and its second try is told as a crash."""
    out = tmp_path / "out"
    with begun(*RIGHT, "--out", "out", cwd=tmp_path) as process:
        for more, name in ((10, "observer"), (40, "judge")):
            wait_until(lambda more=more: decided(out) >= more, process)
            child_of(process, f"conformance.processes.{name}").kill()
        assert process.wait(120) == 0
    (result,) = results(out)["implementations"]
    planned = plan(0, Asked("function"), limit=30)
    assert result["cases"] == sum(len(one.example) for one in planned)
    assert (result["verdict"], result["findings"]) == ("conforms", [])
    assert all(note.startswith("Flaky in ") for note in result["notes"])


def test_a_disk_that_fills_up_is_told_and_what_was_decided_goes_on(tmp_path: Path):
    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000))

    full = done(*RIGHT, "--out", "out", cwd=tmp_path, preexec_fn=little_room)
    assert full.returncode == 4
    assert "planted:right conforms" in full.stdout
    assert full.stderr.splitlines()[-1].startswith("cannot write the ")
    assert "Traceback" not in full.stderr
    known = decided(tmp_path / "out")
    assert known > 0
    assert done(*RIGHT, "--out", "out", "--resume", cwd=tmp_path).returncode == 0
    assert results(tmp_path / "out")["implementations"][0]["configurations"] == 30
