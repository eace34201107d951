"""Lost cases, time, and the journal: what a session keeps and how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import conformance
from conformance.campaign import run
from conformance.campaign.run import Settings
from conformance.case import Case
from conformance.journals import journal
from conformance.journals.journal import Entry, Journal
from conformance.journals.outcomes import Outcome
from conformance.journals.tally import Sample, Tally
from conformance.results import ImplementationResult, Status, Verdict
from conformance.targets import Target, resolve

CASE = Case.parse("in1x4x4x2-f2-k3-integers.0")
GROUPED = Case.parse("in1x4x4x2-f2-k3-g2-integers.0")


def measured(attribute: str, folder: Path | None = None, **given: object) -> ImplementationResult:
    settings = {"examples": 6, "jobs": 1, "witness": False} | given
    target = Target(f"planted:{attribute}")
    done = run.run(Settings(implementations=(target,), **settings), folder=folder)  # type: ignore[arg-type]
    return done.report.implementations[0]


# Lost cases ---------------------------------------------------------------------------------------


@pytest.fixture
def killed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where ``planted:is_killed_once`` leaves a mark."""
    monkeypatch.setenv("KILLED_ONCE", str(tmp_path / "killed"))
    return tmp_path / "killed"


@pytest.mark.usefixtures("killed_once")
def test_a_process_killed_from_outside_is_flaky_and_no_failure():
    result = measured("is_killed_once", given=((CASE,), (GROUPED,)))
    assert result.verdict is Verdict.CONFORMS
    assert result.findings == []
    assert result.notes == [
        "Flaky in 1 case: ends the process: SIGKILL, but not when tried again in a fresh process."
    ]


@pytest.mark.usefixtures("killed_once")
def test_strict_runs_fail_where_a_case_is_flaky():
    assert measured("is_killed_once", given=((GROUPED,),), strict=True).verdict is Verdict.FAILS


def test_a_case_that_is_lost_twice_is_a_failure():
    result = measured("ends_the_process", given=((CASE,), (GROUPED,)))
    assert result.verdict is Verdict.FAILS
    assert [f.status for f in result.findings] == [Status.CRASHED]


@pytest.mark.usefixtures("killed_once")
def test_what_a_process_that_does_not_start_again_was_at_is_gone_on_with_by_another(tmp_path: Path):
    example = (CASE, GROUPED, replace(CASE, seed=1))
    given = (example, *((replace(CASE, seed=seed),) for seed in range(2, 20)))
    result = measured("DoesNotStartAgain", folder=tmp_path, given=given, examples=40, jobs=2)
    assert result.verdict is Verdict.CONFORMS
    assert result.cases == sum(map(len, given))
    assert any(note.startswith("Could not be started in 1 of 2 processes") for note in result.notes)
    tried = [entry.case for entry in journal.read(tmp_path) if entry.part == "given"]
    assert sorted(map(str, tried)) == sorted(str(case) for one in given for case in one)


# Time ---------------------------------------------------------------------------------------------


def test_who_never_returns_is_named_within_the_time():
    began = time.monotonic()
    result = measured("hangs", examples=None, max_time=10)
    assert [f.status for f in result.findings] == [Status.TIMED_OUT]
    assert result.findings[0].message == "does not return within 1 s"
    assert time.monotonic() - began < 60


def test_who_answers_wrongly_is_never_inconclusive():
    """Also where the time ends before the first case."""
    result = measured("slow_and_wrong", examples=None, max_time=2)
    assert result.verdict is Verdict.FAILS


# The journal --------------------------------------------------------------------------------------


def test_the_journal_holds_every_outcome(tmp_path: Path):
    result = measured("off_by_one", folder=tmp_path)
    entries = [e for e in journal.read(tmp_path) if e.part != "probes"]
    assert len(entries) == result.cases
    outcomes = [outcome for entry in entries for outcome in entry.outcomes or ()]
    for check, counts in result.checks.items():
        for status, number in counts.items():
            found = [o for o in outcomes if (o.check, o.status) == (check, status)]
            assert len(found) == number


def test_a_tally_of_the_journal_is_that_of_the_run(tmp_path: Path):
    result = measured("off_by_one", folder=tmp_path)
    tally = Tally(resolve("planted:off_by_one").info("planted:off_by_one"))
    for entry in journal.read(tmp_path):
        tally.add(entry.part, entry.at, (entry.case,), entry.outcomes or [])
    tally.settle()
    assert tally.cases == result.cases
    for (check, status), number in tally.counts.items():
        assert result.checks[check][status] == number


def test_a_killed_run_leaves_a_journal_that_can_be_read(tmp_path: Path):
    out = tmp_path / "out"
    command = [
        *(sys.executable, "-m", "conformance", "run", "--impl", "planted:right"),
        *("--max-time", "600", "--no-witness", "--jobs", "1", "--out", str(out)),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            time.sleep(0.1)
            if (out / journal.NAME).exists() and sum(1 for _ in journal.read(out)) > 20:
                break
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    entries = list(journal.read(out))
    assert len(entries) > 20
    open_ones = [entry for entry in entries if entry.outcomes is None]
    assert len(open_ones) <= 2
    assert all(o.status is Status.PASSED for e in entries for o in e.outcomes or ())


def test_an_entry_comes_back_as_it_was_written(tmp_path: Path):
    outcome = Outcome(check="exact_values", status=Status.FAILED, cause="a \ud800", ratio=2.5)
    book = Journal(tmp_path)
    number = book.started(Entry("it", "rows", 3, 0, CASE, None))
    assert [e.outcomes for e in book.entries()] == [None]
    book.decided(number, [outcome])
    book.close()
    assert list(journal.read(tmp_path)) == [Entry("it", "rows", 3, 0, CASE, [outcome])]


# Samples ------------------------------------------------------------------------------------------


def test_what_was_met_is_told_whatever_is_kept(monkeypatch: pytest.MonkeyPatch):
    whole = measured("right", examples=30)
    monkeypatch.setattr("conformance.journals.tally.MOST_KEPT", 5)
    assert measured("right", examples=30).plan == whole.plan


def test_a_sample_does_not_depend_on_the_order(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("conformance.journals.tally.MOST_KEPT", 50)
    one: Sample[int] = Sample()
    other: Sample[int] = Sample()
    for n in range(1000):
        one.add(str(n), n)
        other.add(str(999 - n), 999 - n)
    assert set(one) == set(other)
    assert len(set(one)) == 50
    assert one.number == 1000


def test_no_limit_looks_at_the_clock_of_the_day():
    """It may jump; only the date of a report comes from it."""
    root = Path(conformance.__file__).parent
    reads = {
        str(path.relative_to(root)): len(
            re.findall(r"time\.time\(|\.now\(", path.read_text("utf-8"))
        )
        for path in root.rglob("*.py")
    }
    assert {name: number for name, number in reads.items() if number} == {"campaign/run.py": 1}
