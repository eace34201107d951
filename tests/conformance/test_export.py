"""The verdicts of a run as a Parquet file."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from conformance import UsageError
from conformance.campaign.run import Settings, run
from conformance.journals import export, journal
from conformance.journals.export import to_parquet
from conformance.targets import Target

parquet = pytest.importorskip("pyarrow.parquet")


def test_it_has_a_row_for_each_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(export, "AT_ONCE", 7)
    targets = (Target("planted:off_by_one"), Target("planted:without_groups"))
    settings = Settings(implementations=targets, examples=6, jobs=1, witness=False)
    results = run(settings, folder=tmp_path).report.implementations
    number = to_parquet(tmp_path, tmp_path / "v.parquet")
    rows = parquet.read_table(tmp_path / "v.parquet").to_pylist()
    assert len(rows) == number
    for result in results:
        mine = [r for r in rows if r["implementation"] == result.name and r["part"] != "probes"]
        counts = Counter((row["check"], row["status"]) for row in mine)
        for check, told in result.checks.items():
            assert {s: n for s, n in told.items() if n} == {
                status: n for (name, status), n in counts.items() if name == check
            }
        assert len({(r["part"], r["example"], r["position"]) for r in mine}) == result.cases
    wrong = next(row for row in rows if row["status"] == "failed")
    assert "values differ from the exact result" in wrong["cause"]
    assert wrong["kernel_size"] == "x".join(map(str, row_case(wrong).geometry.kernel_size))
    assert any(row["ratio"] for row in rows)


def row_case(row: dict[str, str]) -> journal.Case:
    return journal.Case.parse(row["case"])


def test_what_is_missing_is_told_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UsageError, match=r"there is no journal\.sqlite in"):
        to_parquet(tmp_path, tmp_path / "v.parquet")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'conv2d-conformance\[export\]'"):
        to_parquet(tmp_path, tmp_path / "v.parquet")
