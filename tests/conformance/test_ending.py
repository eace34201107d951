"""Ctrl-C once and twice, and SIGTERM, in every phase of a run."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import report_samples as samples
from programs import PATHS, begun, decided, done, results, wait_until

from conformance.capabilities import probes
from conformance.plan import Asked, plan
from conformance.report import FILES, write_all

RUN = (
    *("run", "--impl", "phases:conv2d", "--examples", "12", "--no-witness", "--jobs", "1"),
    *("--out", "out"),
)
PLANNED = plan(0, Asked("function"), limit=12)
CASES = sum(len(one.example) for one in PLANNED) + len({p.case for p in probes(None)})
UNDERSTOOD = "Interrupted: writing what was decided. Again to leave at once."


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
        try:
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, errors


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
    assert (result["configurations"] < 12) == (phase == "cases") == result["interrupted"]
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


SIGNALLED = """
import os, signal, sys
from conformance import cli, report
*sys.argv, signals = sys.argv
write = report.FILES["junit.xml"]
def signalled(*given):
    for name in signals.split("+"):
        os.kill(os.getpid(), getattr(signal, name))
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
    assert not list(earlier.glob(".*.*.[0-9]*"))
