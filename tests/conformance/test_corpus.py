"""Cases that have failed: tried first, added where they are new, left out where they are fixed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import report_samples as samples
from programs import done

from conformance import UsageError
from conformance.campaign.corpus import MOST_BYTES, Corpus
from conformance.campaign.run import Campaign, Settings, run
from conformance.case import Case
from conformance.journals import journal
from conformance.plan import Asked
from conformance.targets import Target

DILATED = "in1x5x5x1-f1-k2-d1x2-integers.0"
PLAIN = "in1x1x1x1-f1-k1-integers.0"
LAYER = "in1x5x5x1-f1-k3-but.strides.zero-integers.0"


def corpus(folder: Path, *lines: str) -> Path:
    path = folder / "conformance-corpus.txt"
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def ran(path: Path, *names: str, folder: Path | None = None, **changes: Any) -> Campaign:
    settings = {"examples": 3, "jobs": 1, "witness": False} | changes
    targets = tuple(Target(f"planted:{name}") for name in names)
    return run(
        Settings(implementations=targets, corpus=Corpus.read(path), **settings), folder=folder
    )  # type: ignore[arg-type]


def test_it_is_tried_first_and_counted_apart(tmp_path: Path):
    path = corpus(tmp_path, "# known", "", DILATED, f"{PLAIN}+{DILATED}  # somebody: why", LAYER)
    campaign = ran(path, "swapped_dilation", folder=tmp_path)
    (result,) = campaign.report.implementations
    (without,) = ran(corpus(tmp_path / "..", "#"), "swapped_dilation").report.implementations
    assert result.configurations == without.configurations == 3
    assert result.cases == without.cases + 3
    assert result.plan["parts"]["corpus"] == 3
    assert result.plan["pairs"] == without.plan["pairs"]
    assert "Of 2 examples of the corpus 2 fail." in result.notes
    assert result.findings[0].minimal_case
    entries = [e for e in journal.read(tmp_path) if e.part != "probes"]
    first = sorted(entries, key=lambda entry: entry.seconds or 0)[:3]
    assert [str(e.case) for e in first] == [DILATED, PLAIN, DILATED]


def test_new_failures_are_added_once_and_stay_in_place(tmp_path: Path):
    path = corpus(tmp_path, "# ours", DILATED)
    for added in (True, False):
        campaign = ran(path, "off_by_one", examples=8)
        settings = Corpus.read(path)
        before = path.read_text("utf-8")
        number, _ = settings.write(campaign.report)
        assert bool(number) == added
        assert path.read_text("utf-8").startswith(before)
    lines = path.read_text("utf-8").splitlines()
    assert lines[:2] == ["# ours", DILATED]
    told = "planted:off_by_one: exact_values: values differ from the exact result"
    assert f"{PLAIN}  # {told}" in lines
    assert len(lines) == len(set(lines))


def test_only_what_is_fixed_on_whom_it_was_added_for_is_left_out(tmp_path: Path):
    path = corpus(
        tmp_path,
        "# a comment stays",
        f"{PLAIN}  # planted:right: fixed",
        f"{DILATED}  # planted:swapped_dilation: still wrong",
        "in1x4x4x1-f1-k2-integers.0  # planted:somebody: was not tried",
        "in1x4x4x2-f2-k2-g2-integers.0  # planted:without_groups: is not done",
        LAYER,
    )
    before = path.read_text("utf-8").splitlines()
    names = ("right", "swapped_dilation", "without_groups")
    settings = Settings(
        implementations=tuple(Target(f"planted:{name}") for name in names),
        corpus=Corpus.read(path), examples=2, jobs=1, witness=False,
    )  # fmt: skip
    run(settings)
    assert settings.corpus is not None
    empty = samples.report(samples.conforming("planted:right"))
    assert settings.corpus.write(empty) == (0, 0)
    assert settings.corpus.write(empty, prune=True) == (0, 1)
    assert path.read_text("utf-8").splitlines() == [before[0], *before[2:]]


def test_what_others_added_meanwhile_stays(tmp_path: Path):
    path = corpus(tmp_path, PLAIN)
    mine = Corpus.read(path)
    path.write_text(f"{PLAIN}\n{DILATED}\n")
    mine.lines[0][1].passes.add("planted:right")  # type: ignore[union-attr]
    assert mine.write(samples.report(samples.conforming()), prune=True) == (0, 1)
    assert path.read_text() == f"{DILATED}\n"


def test_what_cannot_be_asked_is_left_out(tmp_path: Path):
    path = corpus(tmp_path, LAYER, PLAIN, PLAIN, "in1x5x5x1-f1-k3-a.relu-integers.0")
    planned = list(Corpus.read(path).planned(Asked("function")))
    assert [str(p.example[0]) for p in planned] == [PLAIN, "in1x5x5x1-f1-k3-integers.0"]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["# fine", "in1x5x5x1-f1"], "line 2: case 'in1x5x5x1-f1': kernel_size is missing"),
        ([PLAIN, "", "no case"], "line 3: case 'no case': cannot read token"),
        ([f"{PLAIN}+"], "line 1: case '': "),
        ([PLAIN * 200], "line 1: it has more than 4000 characters"),
    ],
)
def test_a_bad_line_is_told_by_file_and_number(tmp_path: Path, lines: list[str], told: str):
    path = corpus(tmp_path, *lines)
    with pytest.raises(UsageError) as refused:
        Corpus.read(path)
    assert str(refused.value).startswith(f"{path}, {told}")


def test_what_is_no_text_file_is_refused(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "latin").write_bytes(b"\xff\xfe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    for name in ("fifo", "latin", "large", "", "none/corpus.txt"):
        with pytest.raises(UsageError):
            Corpus.read(tmp_path / name)
    with pytest.raises(UsageError):
        Corpus.read(Path("/dev/zero"))


def test_the_command_adds_prunes_and_refuses(tmp_path: Path):
    quick = ("--examples", "2", "--no-witness", "--jobs", "1", "--out", "out")
    wrong = done(
        "run", "--impl", "planted:off_by_one", *quick, "--corpus", "corpus.txt", cwd=tmp_path
    )
    assert wrong.returncode == 1
    lines = (tmp_path / "corpus.txt").read_text("utf-8").splitlines()
    assert f"corpus.txt: {len(lines)} added, 0 left out." in wrong.stdout
    assert all(Case.parse(line.partition("#")[0]) for line in lines)
    (tmp_path / "corpus.txt").write_text(f"{PLAIN}\nwhat\n")
    bad = done("run", "--corpus", "corpus.txt", *quick, cwd=tmp_path)
    assert (bad.returncode, len(bad.stderr.splitlines())) == (2, 1)
    assert "corpus.txt, line 2: " in bad.stderr
    bad = done("run", "--prune", cwd=tmp_path)
    assert (bad.returncode, len(bad.stderr.splitlines())) == (2, 1)
