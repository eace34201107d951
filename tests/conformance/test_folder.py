"""The folder of a report: one maker at a time, whole files only, trouble in one sentence."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import report_samples as samples

from conformance import UsageError, cli
from conformance.campaign import run as campaign_run
from conformance.campaign.run import Campaign
from conformance.folder import claimed
from conformance.journals import journal
from conformance.report import FILES, write_all

QUICK = ("--examples", "3", "--no-witness", "--jobs", "1")
RIGHT = ("run", "--impl", "planted:right", *QUICK)
WRONG = ("run", "--impl", "planted:off_by_one", *QUICK)
HOLD = """
import sys, time
from pathlib import Path
from conformance.folder import claimed
with claimed(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""
PATHS = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def program(
    *arguments: str, cwd: Path, limit: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "conformance", *arguments],
        cwd=cwd,
        env=PATHS,
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=limit,
    )


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.iterdir() if not path.name.startswith(journal.NAME))
    return {path.name: path.read_bytes() for path in files}


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A folder with an earlier report."""
    write_all(samples.report(samples.conforming("earlier")), tmp_path / "out")
    return tmp_path / "out"


# One at a time ------------------------------------------------------------------------------------


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], env=PATHS, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("arguments", [RIGHT, ("merge", "other")])
def test_a_second_maker_is_refused_before_any_work(earlier: Path, arguments: tuple[str, ...]):
    write_all(samples.report(samples.conforming("other")), earlier.parent / "other")
    before = content(earlier)
    with holder(earlier):
        done = program(*arguments, "--out", "out", cwd=earlier.parent)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "conv2d-conformance: another process is making a report in out; "
        "wait for it, or name another --out\n"
    )
    assert {name: content(earlier)[name] for name in before} == before


def test_the_lock_of_a_dead_process_does_not_block(tmp_path: Path):
    with holder(tmp_path) as process:
        process.kill()
        process.wait()
        assert (tmp_path / ".lock").exists()
        with claimed(tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []


def test_only_one_of_many_threads_makes_a_report(tmp_path: Path):
    inside: list[int] = []
    most: list[int] = []
    refused: list[UsageError] = []

    def make() -> None:
        for _ in range(50):
            try:
                with claimed(tmp_path):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
            except UsageError as error:
                refused.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}
    assert len(most) + len(refused) == 200


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path):
    (tmp_path / "file").touch()
    (tmp_path / "locked" / ".lock").mkdir(parents=True)
    for folder in (tmp_path / "file", tmp_path / "locked", Path("/proc/out")):
        with pytest.raises(UsageError, match="cannot write to --out"), claimed(folder):
            pass


# An interrupted run -------------------------------------------------------------------------------


@pytest.fixture
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["conv2d-conformance", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        return (int(left.value.code or 0), *capsys.readouterr())

    return call


def interrupted(*_: Any, **__: Any) -> Campaign:
    empty = samples.conforming("a", cases=0, configurations=0, interrupted=True)
    return Campaign(samples.report(empty), True, {}, decided=False)


def interrupt(*_: Any, **__: Any) -> Campaign:
    raise KeyboardInterrupt


@pytest.mark.parametrize("run", [interrupted, interrupt])
def test_an_empty_run_keeps_the_earlier_report_and_says_so(
    earlier: Path, command: Any, monkeypatch: pytest.MonkeyPatch, run: Any
):
    before = content(earlier)
    monkeypatch.setattr(campaign_run, "run", run)
    assert command(*RIGHT, "--out", "out") == (
        130, "", "Interrupted before any case was decided; the earlier report in out is kept.\n",
    )  # fmt: skip
    assert content(earlier) == before


def test_an_interrupted_run_that_decided_something_is_written(
    earlier: Path, command: Any, monkeypatch: pytest.MonkeyPatch
):
    cut = samples.report(samples.conforming("a", cases=1, interrupted=True))
    monkeypatch.setattr(campaign_run, "run", lambda *_, **__: Campaign(cut, True, {}))
    code, out, _ = command(*RIGHT, "--out", "out")
    assert code == 130
    assert "Report: " in out
    assert json.loads((earlier / "results.json").read_text("utf-8"))["implementations"][0]["cases"]


# Trouble of the suite's own -----------------------------------------------------------------------


def test_files_are_on_the_disk_before_they_are_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    done: list[str] = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append("sync"), sync(fd))[1])
    monkeypatch.setattr(
        Path, "replace", lambda path, to: (done.append("move"), replace(path, to))[1]
    )
    write_all(samples.report(), tmp_path)
    assert done == ["sync"] * len(FILES) + ["move"] * len(FILES)


@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_a_full_disk_leaves_the_earlier_report(
    earlier: Path, monkeypatch: pytest.MonkeyPatch, where: str
):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = content(earlier)
    monkeypatch.setattr(*{"fsync": (os, "fsync"), "replace": (Path, "replace")}[where], full)
    with pytest.raises(OSError, match="No space left"):
        write_all(samples.report(samples.failing()), earlier)
    assert content(earlier) == before


def small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


def test_no_room_is_told_after_the_verdict_with_exit_code_4(earlier: Path):
    before = content(earlier)
    done = program(*WRONG, "--out", "out", cwd=earlier.parent, limit=small_files)
    assert done.returncode == 4
    assert done.stdout.startswith("planted:off_by_one is wrong: ")
    assert done.stderr.splitlines()[-1] == "cannot write the report to out: File too large"
    assert content(earlier) == before


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_place_of_a_file_is_told_with_exit_code_4(tmp_path: Path, name: str):
    (tmp_path / "out" / name).mkdir(parents=True)
    write_all(samples.report(samples.conforming("a")), tmp_path / "a")
    done = program("merge", "a", "--out", "out", cwd=tmp_path)
    assert done.returncode == 4
    assert done.stdout.startswith("a conforms")
    assert done.stderr == f"cannot write the report to out: {name} is a folder\n"
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]


@pytest.mark.parametrize("descriptors", [7, 10, 12])
def test_no_free_descriptors_are_told_in_one_sentence(tmp_path: Path, descriptors: int):
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

    done = program(*RIGHT, "--out", "out", cwd=tmp_path, limit=few)
    assert (done.returncode, done.stdout) == (4, "")
    assert len(done.stderr.splitlines()) == 1
    assert "Too many open files" in done.stderr
    assert content(tmp_path / "out") == {}


def test_a_full_output_is_told_in_one_sentence(tmp_path: Path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "conformance", "list"],
            cwd=tmp_path, env=PATHS, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == 4
    assert done.stderr.splitlines() == [
        "conv2d-conformance: the suite itself failed: [Errno 28] No space left on device"
    ]


# Two runs, end to end -----------------------------------------------------------------------------


def test_two_runs_become_one_report(tmp_path: Path):
    assert program(*RIGHT, "--out", "a", cwd=tmp_path).returncode == 0
    assert program(*WRONG, "--seed", "1", "--out", "b", cwd=tmp_path).returncode == 1
    done = program("merge", "a", "b", "--out", "both", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "planted:right conforms" in done.stdout
    assert "The runs differ in seed (0, 1)" in done.stdout
    assert set(content(tmp_path / "both")) == {*FILES}
    both = json.loads((tmp_path / "both" / "results.json").read_text("utf-8"))
    assert [r["name"] for r in both["implementations"]] == ["planted:right", "planted:off_by_one"]
    assert both["settings"]["command"] == "conv2d-conformance merge a b --out both"
    for run, result in zip("ab", both["implementations"], strict=True):
        alone = json.loads((tmp_path / run / "results.json").read_text("utf-8"))
        assert result == alone["implementations"][0]
    done = program("merge", "a", "b", "--out", "a", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--out a holds one of the reports to merge" in done.stderr
    done = program("merge", "a", "none", "--out", "both", cwd=tmp_path)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert "none/results.json" in done.stderr or "cannot read none" in done.stderr
