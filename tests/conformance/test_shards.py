"""A plan shared out: the shards of a run, merged, are that run."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from programs import done, results

from conformance import UsageError
from conformance.campaign.findings import joined as joined_findings
from conformance.campaign.joining import joined
from conformance.campaign.run import Settings, run
from conformance.case import Case
from conformance.implementations.info import Info
from conformance.journals import journal
from conformance.journals.tally import Tally, size_of
from conformance.plan import Asked, Planned, Shard, plan
from conformance.reading import read
from conformance.report import write_all
from conformance.results import Report
from conformance.targets import Target

NAMES = ("off_by_one", "without_groups", "ends_the_process")
N = 3
SETTINGS: dict[str, Any] = {
    "implementations": tuple(Target(f"planted:{name}") for name in NAMES),
    "examples": 30, "jobs": 1, "witness": False,
}  # fmt: skip


def ran(folder: Path, **changes: Any) -> Path:
    """The folder with the report of a run."""
    folder.mkdir()
    write_all(run(Settings(**SETTINGS | changes), folder=folder).report, folder)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ran(tmp_path_factory.mktemp("whole") / "out")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    parent = tmp_path_factory.mktemp("shards")
    return [ran(parent / str(index), shard=Shard(index, N)) for index in range(1, N + 1)]


def merge(*folders: Path) -> list[Report]:
    return joined([(folder, read(folder)) for folder in folders])


def test_the_shards_of_a_run_are_that_run(whole: Path, shards: list[Path], tmp_path: Path):
    (report,) = merge(shards[1], shards[2], shards[0])
    write_all(report, tmp_path)
    got, wanted = results(tmp_path), results(whole)
    for content in (got, wanted):
        del content["settings"]["command"]
    assert got == wanted


def test_the_command_joins_them_too(whole: Path, shards: list[Path], tmp_path: Path):
    made = done("merge", *map(str, shards), "--out", "out", cwd=tmp_path)
    assert (made.returncode, made.stderr) == (1, "")
    got, wanted = results(tmp_path / "out"), results(whole)
    assert got["implementations"] == wanted["implementations"]
    assert got["settings"]["command"].startswith("conv2d-conformance merge ")


def test_a_missing_shard_is_told(shards: list[Path]):
    with pytest.raises(UsageError) as refused:
        merge(shards[0], shards[2])
    assert str(refused.value) == f"shard 2/3 of the run in {shards[0]} is missing"


def test_a_doubled_shard_is_told(shards: list[Path], tmp_path: Path):
    again = shutil.copytree(shards[0], tmp_path / "again")
    with pytest.raises(UsageError) as refused:
        merge(*shards, again)
    assert str(refused.value) == f"shard 1/3 is there twice: {shards[0]} and {again}"


def test_a_shard_of_another_run_is_told_by_what_differs(shards: list[Path], tmp_path: Path):
    other = ran(tmp_path / "other", seed=1, examples=6, shard=Shard(2, N))
    with pytest.raises(UsageError) as refused:
        merge(shards[0], other, shards[2])
    assert str(refused.value) == (
        f"shard 2/3 of the run in {shards[0]} is missing; "
        f"in {other}, examples was 30, now 6, seed was 0, now 1"
    )


def test_a_shard_without_its_journal_is_told(shards: list[Path], tmp_path: Path):
    copies = [shutil.copytree(one, tmp_path / one.name) for one in shards]
    (copies[1] / journal.NAME).unlink()
    with pytest.raises(UsageError) as refused:
        merge(*copies)
    assert str(refused.value) == f"there is no {journal.NAME} in {copies[1]}"


def test_another_version_of_an_implementation_is_told(shards: list[Path], tmp_path: Path):
    copies = [shutil.copytree(one, tmp_path / one.name) for one in shards]
    with closing(sqlite3.connect(copies[1] / journal.NAME)) as db, db:
        db.execute('UPDATE measured SET info = replace(info, \'"version": "\', \'"version": "9\')')
    with pytest.raises(UsageError, match="not shards of one run: for planted:off_by_one, version"):
        merge(*copies)


def test_a_shard_that_was_not_finished_leaves_the_whole_unfinished(
    shards: list[Path], tmp_path: Path
):
    copies = [shutil.copytree(one, tmp_path / one.name) for one in shards]
    with closing(sqlite3.connect(copies[1] / journal.NAME)) as db, db:
        db.execute("UPDATE measured SET record = NULL")
    (report,) = merge(*copies)
    assert all(result.interrupted for result in report.implementations)
    told = "planted:off_by_one: shard 2/3 was not finished; the rest was not run."
    assert told in report.headline


def test_shards_and_other_runs_become_columns(whole: Path, shards: list[Path], tmp_path: Path):
    made = done("merge", str(whole), *map(str, shards), "--out", "out", cwd=tmp_path)
    assert made.returncode == 1
    assert len(results(tmp_path / "out")["implementations"]) == 2 * len(NAMES)


def test_the_smallest_case_is_the_smallest_of_the_shards(shards: list[Path]):
    found = [read(folder).implementations[0].findings for folder in shards]
    large = [replace(f, minimal_case="in9x9x9x9-f9-k1-integers.0") for f in found[0]]
    tally = Tally(Info(name="planted:off_by_one", kind="function"))
    with closing(journal.Journal(shards[0], resume=True)) as book:
        for one in book.examples("planted:off_by_one"):
            tally.add_example(one)
    tally.settle()
    smallest = {f.check: f.minimal_case for f in joined_findings(tally, [large, *found]).findings}
    for check, case in smallest.items():
        known = [f.minimal_case for findings in found for f in findings if f.check == check]
        assert case == min(known, key=lambda text: size_of(Case.parse(text)))
    assert "in9x9x9x9-f9-k1-integers.0" not in smallest.values()


# The plan -----------------------------------------------------------------------------------------


def placed(planned: list[Planned]) -> list[tuple[str, int, int, str]]:
    return sorted((p.part, p.number, p.at, "+".join(map(str, p.example))) for p in planned)


@pytest.mark.parametrize("kind", ["layer", "function"])
def test_shards_have_every_example_once(kind: str):
    asked, limit = Asked(kind), 2200  # with some free draws
    parts = [list(plan(3, asked, limit=limit, shard=Shard(i, 2))) for i in (1, 2)]
    every = list(plan(3, asked, limit=limit))
    assert placed([*parts[0], *parts[1]]) == placed(every)
    assert any(p.part == "free" for p in parts[0])
    assert all(any(p.part == part for p in one) for one in parts for part in ("rows", "ladders"))
    assert sum(len(p.configurations()) for p in every if p.at) == limit


def test_batches_that_are_known_are_not_drawn():
    asked, seen = Asked("function"), []

    def known(at: range) -> bool:
        seen.append(at)
        return len(seen) == 1

    free = (p for p in plan(3, asked, known=known) if p.part == "free")
    first = next(free)
    assert first.at == seen[1].start == seen[0].stop
    again = (p for p in plan(3, asked) if p.part == "free" and p.at >= first.at)
    assert list(islice(again, 3)) == [first, *islice(free, 2)]


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "-1/2", "1/2/3", "a/b", "²/3", " 1/2"])
def test_what_is_no_shard_is_refused(text: str):
    with pytest.raises(UsageError, match="I/N with I from 1 to N"):
        Shard.read(text)


def test_a_shard_reads_as_it_is_written():
    assert Shard.read("2/8") == Shard(2, 8)
    assert str(Shard(2, 8)) == "2/8"
