"""Nothing that an implementation starts, prints or slows down outlives or outgrows its run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import foreign
import psutil
import pytest

from conformance.campaign import run
from conformance.campaign.run import Settings
from conformance.case import Case
from conformance.processes import keeper
from conformance.processes.limits import Limits, Pace
from conformance.processes.process import Lost
from conformance.processes.worker import Worker
from conformance.results import ImplementationResult, Status, Verdict
from conformance.tail import KEPT, Tail
from conformance.targets import Target

CASE = Case.parse("in1x4x4x2-f2-k3-integers.0")
GROUPED = Case.parse("in1x4x4x2-f2-k3-g2-integers.0")


@pytest.fixture
def stray(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where processes note their numbers; whoever is left is ended after the test."""
    path = tmp_path / "stray"
    monkeypatch.setenv("STRAY", str(path))
    yield path
    for pid in alive(path):
        os.kill(pid, signal.SIGKILL)


def noted(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def alive(path: Path) -> list[int]:
    """Those of the noted processes that still run."""
    found = []
    for pid in noted(path):
        try:
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except psutil.NoSuchProcess:
            continue
    return found


def gone(path: Path) -> bool:
    """Whether all noted processes end before long."""
    for _ in range(400):
        if not alive(path):
            return True
        time.sleep(0.05)
    return False


def measured(attribute: str, *cases: Case, **given: object) -> ImplementationResult:
    settings = {"jobs": 1, "witness": False, "given": tuple((case,) for case in cases)} | given
    target = Target(f"stray:{attribute}")
    done = run.run(Settings(implementations=(target,), **settings))  # type: ignore[arg-type]
    return done.report.implementations[0]


# Processes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("attribute", ["leaves_sessions", "crashes_after_leaving_sessions"])
def test_what_left_its_group_ends_with_the_run(stray: Path, attribute: str):
    worker = Worker(f"stray:{attribute}")
    try:
        passed, reply = worker.run((CASE, GROUPED), again=False)
    finally:
        worker.stop()
    assert isinstance(passed, list)
    assert len(noted(stray)) >= 3
    if isinstance(reply, Lost):  # an orphan without any environment is nobody's by then
        with_environment = [pid for n, pid in enumerate(noted(stray)) if n % 3 != 1]
        assert not set(with_environment) & set(alive(stray))
    else:
        assert alive(stray) == []


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_a_mark_is_found_by_its_words_alone(monkeypatch: pytest.MonkeyPatch, platform: str):
    """With /proc, and as on other systems."""
    command = [sys.executable, "-S", "-c", "input()"]
    started = {
        mark: subprocess.Popen(
            command, env={keeper.VARIABLE: mark}, stdin=subprocess.PIPE, start_new_session=True
        )
        for mark in ("a", "a.1", "ab.1")
    }
    monkeypatch.setattr("sys.platform", platform)
    keeper.end_marked("a")
    monkeypatch.undo()
    for process in started.values():
        process.communicate(b"\n")
    codes = {mark: process.returncode for mark, process in started.items()}
    assert codes == {"a": -9, "a.1": -9, "ab.1": 0}


ENDLESS = """
if __name__ == "__main__":
    print(os.getpid(), file=open(os.environ["STRAY"], "a"), flush=True)
    while True: pass
"""


@pytest.mark.parametrize(
    ("what", "number"),
    [
        ("a worker in C code", signal.SIGKILL),
        ("a worker in C code", signal.SIGTERM),
        ("a program that does not read", signal.SIGKILL),
    ],
)
def test_nothing_survives_the_death_of_the_suite(
    stray: Path, tmp_path: Path, what: str, number: signal.Signals
):
    name = "stray:keeps_the_interpreter"
    if what.startswith("a program"):
        name = f"cmd:{foreign.python_program(tmp_path, ENDLESS.strip())}"
    command = [sys.executable, "-m", "conformance", "run", "--impl", name, "--no-witness"]
    process = subprocess.Popen(
        [*command, "--jobs", "1", "--out", str(tmp_path / "out")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while len(noted(stray)) < (1 if what.startswith("a program") else 2):
            assert process.poll() is None
            time.sleep(0.05)
        assert alive(stray)
        below = psutil.Process(process.pid).children(recursive=True)
        assert below
    finally:
        process.send_signal(number)
        process.wait()
    assert gone(stray)
    _, left = psutil.wait_procs(below, timeout=20)
    assert left == []


# Time ---------------------------------------------------------------------------------------------


def test_who_becomes_slower_and_slower_is_started_anew():
    pace = Pace(Limits(slow=0.2, slower=10))
    asked = [pace.returned(0.01 * number) for number in range(1, 200)]
    assert asked.index(True) == 48  # the median of its last eight is ten times that of the first
    pace.restarted()
    assert not any(pace.returned(0.01) for _ in range(20))
    assert pace.restarts == 1


def test_a_restart_that_does_not_help_is_the_last_and_is_not_told():
    pace = Pace(Limits(slow=0.2, slower=10))
    for number in range(1, 50):
        pace.returned(0.01 * number)
    pace.restarted()
    assert not any(pace.returned(0.3 * number) for number in range(1, 100))
    assert pace.restarts == 0


def test_who_is_slow_from_the_beginning_is_left_alone():
    pace = Pace(Limits())
    assert not any(pace.returned(3.0) for _ in range(100))


def test_who_is_kept_busy_by_its_threads_is_started_anew_and_told():
    result = measured("leaves_threads", CASE, GROUPED)
    assert result.verdict is Verdict.CONFORMS
    (note,) = result.notes
    assert note.startswith("Its process was restarted ")
    assert note.endswith(" because it had become slow.")


def test_who_waits_between_slow_calls_is_left_alone():
    worker = Worker("stray:is_slow")
    try:
        replies = list(worker.run((CASE, CASE)))
    finally:
        worker.stop()
    assert all(isinstance(reply, list) for reply in replies)
    assert worker.observer.pace.restarts == 0


# What is printed ----------------------------------------------------------------------------------


def test_of_what_is_printed_the_end_is_kept():
    reading, writing = os.pipe()
    tail = Tail(os.fdopen(reading, "rb", buffering=0))
    for number in range(200):
        os.write(writing, f"{number:06d}".encode() * 5000)
    assert tail.last()[-6:] == b"000199"
    assert len(tail.last()) <= 2 * KEPT
    before = tail.size
    os.write(writing, b"last words")
    assert tail.last(before) == b"last words"
    os.close(writing)
    tail.close()
    assert tail.last(before) == b"last words"
    assert tail.size == 200 * 30000 + 10


def test_a_flood_costs_nothing_and_the_last_words_are_told():
    worker = Worker("stray:floods")
    try:
        passed, lost = worker.run((CASE, GROUPED), again=False)
    finally:
        worker.stop()
    assert {judgement.status for judgement in passed} == {Status.PASSED}  # type: ignore[union-attr]
    assert lost.cause == "ends the process: exit code 7"  # type: ignore[union-attr]
    assert lost.message.endswith("out of shared memory")  # type: ignore[union-attr]
    assert len(worker.printed()) <= 200


def test_a_program_may_flood_stderr(tmp_path: Path):
    body = "sys.stderr.write('x' * 2**23 + '\\n')\nsys.stderr.write('no licence\\n'); sys.exit(4)"
    worker = Worker(f"cmd:{foreign.python_program(tmp_path, body)}")
    try:
        (judgements,) = worker.run((CASE,), again=False)
    finally:
        worker.stop()
    texts = {judgement.message for judgement in judgements}  # type: ignore[union-attr]
    told = "ends with exit code 4; the last line it printed: no licence"
    assert any(told in text for text in texts)
