"""A run that was ended goes on where it was: nothing decided is lost, nothing is counted twice."""

from __future__ import annotations

import json
import random
import sqlite3
from pathlib import Path

import pytest
from programs import begun, decided, done, results, wait_until

from conformance import UsageError
from conformance.campaign.run import Settings, run
from conformance.journals import journal
from conformance.journals.journal import Journal
from conformance.targets import Target

PAIR = ("--impl", "planted:off_by_one", "--impl", "planted:without_groups")
QUICK = ("--no-witness", "--out", "out")
ONE = ("run", *PAIR[:2], "--examples", "40", "--jobs", "1", *QUICK)
KILLS = 20


def test_a_run_killed_at_random_moments_ends_with_the_same_report(tmp_path: Path):
    rng, out = random.Random(7), tmp_path / "out"
    for _ in range(KILLS):
        before = decided(out)
        until = before + rng.randrange(12)
        with begun(*ONE, "--resume", cwd=tmp_path) as process:
            wait_until(lambda until=until: decided(out) >= until, process)
            process.kill()
        assert decided(out) >= before
    assert done(*ONE, "--resume", cwd=tmp_path).returncode == 1
    (tmp_path / "undisturbed").mkdir()
    assert done(*ONE, cwd=tmp_path / "undisturbed").returncode == 1
    assert results(out) == results(tmp_path / "undisturbed" / "out")


def test_only_the_examples_in_flight_are_run_again(tmp_path: Path):
    out, two = tmp_path / "out", ("run", *PAIR, "--examples", "20", "--jobs", "2", *QUICK)
    with begun(*two, cwd=tmp_path) as process:
        wait_until(lambda: decided(out) > 30, process)
        process.kill()
    times = {place(e): e.seconds for e in journal.read(out) if e.outcomes is not None}
    whole = {place(e)[:3] for e in journal.read(out)} - {
        place(e)[:3] for e in journal.read(out) if e.outcomes is None
    }
    assert done(*two, "--resume", cwd=tmp_path).returncode == 1
    after = {place(e): e.seconds for e in journal.read(out)}
    again = {p[:3] for p, seconds in times.items() if after[p] != seconds}
    assert len(again) <= 2  # two workers
    assert len(whole - again) >= 5
    for result in results(out)["implementations"]:
        mine = [e for e in journal.read(out) if e.implementation == result["name"]]
        assert sum(entry.part != "probes" for entry in mine) == result["cases"]


def place(entry: journal.Entry) -> tuple[str, str, int, int]:
    return entry.implementation, entry.part, entry.number, entry.position


def test_a_finished_run_makes_its_report_again(tmp_path: Path):
    quick = ("run", *PAIR, "--examples", "5", *QUICK)
    done(*quick, cwd=tmp_path)
    before = results(tmp_path / "out")
    for file in ("results.json", "report.html"):
        (tmp_path / "out" / file).unlink()
    assert done(*quick, "--resume", cwd=tmp_path).returncode == 1
    assert results(tmp_path / "out") == before
    assert (tmp_path / "out" / "report.html").exists()


def test_where_there_is_nothing_to_resume_a_run_begins_and_says_so(tmp_path: Path):
    arguments = ("run", "--impl", "planted:right", "--examples", "2", "--no-witness")
    first = done(*arguments, "--resume", "--out", "out", cwd=tmp_path)
    assert first.returncode == 0
    assert "Nothing to resume in out; starting a new run." in first.stderr


# Another run --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("earlier")
    run(Settings(**SETTINGS), folder=folder)  # type: ignore[arg-type]
    return folder


SETTINGS = {
    "implementations": (Target("planted:right"),), "examples": 2, "witness": False, "jobs": 1,
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seed": 1}, "seed was 0, now 1"),
        ({"examples": 3, "strict": True}, "examples was 2, now 3, strict was False, now True"),
        ({"checks": ("exact_values",)}, "checks was , now exact_values"),
        ({"max_time": 60}, "max time was none, now 60"),
        (
            {"implementations": (Target("planted:off_by_one"),)},
            "implementations was planted:right, now planted:off_by_one",
        ),
    ],
)
def test_another_campaign_is_refused_by_what_differs(
    earlier: Path, changes: dict[str, object], told: str
):
    before = (earlier / journal.NAME).read_bytes()
    with pytest.raises(UsageError) as refused:
        run(Settings(**SETTINGS | changes), folder=earlier, resume=True)  # type: ignore[arg-type]
    assert str(refused.value) == f"cannot resume the run in {earlier}: {told}"
    assert (earlier / journal.NAME).read_bytes() == before


def test_other_expected_failures_are_another_campaign(tmp_path: Path):
    entry = '[[expected_failure]]\ncheck = "exact_values"\nreason = "known"\n'
    Path(tmp_path, "x.toml").write_text(entry)
    arguments = ("run", "--impl", "planted:right", "--examples", "2", "--no-witness")
    arguments = (*arguments, "--xfail", "x.toml", "--out", "out")
    assert done(*arguments, cwd=tmp_path).returncode == 0
    Path(tmp_path, "x.toml").write_text(entry + 'when = { padding = "same" }\n')
    refused = done(*arguments, "--resume", cwd=tmp_path)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "cannot resume the run in out: expected failures was " in refused.stderr


@pytest.mark.parametrize(
    ("column", "table", "value", "told"),
    [
        ("value", "campaign WHERE name = 'numpy'", '"1.0"', "numpy was 1.0, now "),
        ("value", "campaign WHERE name = 'plan'", "1", "plan was 1, now "),
        ("value", "campaign WHERE name = 'journal'", "1", "is of version 1; this suite reads"),
    ],
)
def test_another_version_is_refused(
    earlier: Path, tmp_path: Path, column: str, table: str, value: str, told: str
):
    (tmp_path / journal.NAME).write_bytes((earlier / journal.NAME).read_bytes())
    name, _, where = table.partition(" ")
    with sqlite3.connect(tmp_path / journal.NAME) as db:
        db.execute(f"UPDATE {name} SET {column} = ? {where}", (value,))
    with pytest.raises(UsageError, match=told):
        run(Settings(**SETTINGS), folder=tmp_path, resume=True)  # type: ignore[arg-type]


def test_another_version_of_an_implementation_is_refused(earlier: Path, tmp_path: Path):
    (tmp_path / journal.NAME).write_bytes((earlier / journal.NAME).read_bytes())
    with sqlite3.connect(tmp_path / journal.NAME) as db:
        ((text,),) = db.execute("SELECT info FROM measured")
        info = json.loads(text) | {"version": "0.9"}
        info["declared"]["groups"] = False
        db.execute("UPDATE measured SET info = ?", (json.dumps(info),))
    with pytest.raises(UsageError) as refused:
        run(Settings(**SETTINGS), folder=tmp_path, resume=True)  # type: ignore[arg-type]
    assert "of planted:right, version was 0.9, now " in str(refused.value)
    assert "capability groups was False, now True" in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough to be one" * 40])
def test_what_is_no_journal_is_refused_in_one_sentence(tmp_path: Path, content: bytes):
    (tmp_path / journal.NAME).write_bytes(content)
    with pytest.raises(UsageError, match="cannot be read: "):
        Journal(tmp_path, resume=True)
    with pytest.raises(UsageError, match="cannot be read: "):
        list(journal.read(tmp_path))


def test_an_earlier_journal_is_replaced_by_the_first_case_and_not_before(earlier: Path):
    before = (earlier / journal.NAME).read_bytes()
    Journal(earlier).close()
    assert (earlier / journal.NAME).read_bytes() == before


def test_the_time_of_the_run_that_is_resumed_counts(tmp_path: Path):
    settings = Settings(**SETTINGS | {"examples": None, "max_time": 4})  # type: ignore[arg-type]
    first = run(settings, folder=tmp_path).report.implementations[0]
    with sqlite3.connect(tmp_path / journal.NAME) as db:
        db.execute("UPDATE measured SET record = NULL")  # as if killed while it made its report
        db.execute("UPDATE tried SET seconds = 4")
    again = run(settings, folder=tmp_path, resume=True).report.implementations[0]
    assert again.cases == first.cases
    assert again.checks == first.checks
