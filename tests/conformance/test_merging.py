"""Reports of several runs become one, and nothing of a run is lost in it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import report_samples as samples
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.merging import merged
from conformance.reading import read
from conformance.report.html import render
from conformance.report.junit import write_junit
from conformance.results import KERAS, Report, Status, Verdict, named_apart, overall

AGREES = "Real Keras and the reference agree on every case."


def merge(*reports: Report) -> Report:
    return merged(reports, command="conv2d-conformance merge a b --out m")


def names(report: Report) -> list[str]:
    return [result.name for result in report.implementations]


def in_environment(report: Report, **versions: str) -> Report:
    return replace(report, environment=report.environment | versions)


def with_settings(report: Report, **values: Any) -> Report:
    return replace(report, settings=report.settings | values)


@pytest.mark.parametrize(
    ("measured", "columns"),
    [
        ([("a", "1"), ("b", "1")], ["a", "b"]),
        ([("a", "1"), ("a", "2"), ("b", "1")], ["a@1", "a@2", "b"]),
        ([("a", "1"), ("a", "2"), ("a", "1")], ["a@1", "a@2", "a@1#2"]),
        ([("a", ""), ("a", ""), ("a", "")], ["a", "a#2", "a#3"]),
        ([("a", "1"), ("a", "2"), ("a@1", "1")], ["a@1#2", "a@2", "a@1"]),
    ],
)
def test_a_column_has_a_version_or_a_number_only_where_names_need_it(
    measured: list[tuple[str, str]], columns: list[str]
):
    results = [samples.conforming(name, version=version) for name, version in measured]
    assert names(merge(*map(samples.report, results))) == columns
    assert [result.given_name for result in named_apart(results)] == [name for name, _ in measured]


def test_what_is_replayed_and_expected_has_the_name_that_impl_takes(tmp_path: Path):
    both = merge(*(samples.report(samples.failing("lib:f", version=v)) for v in "12"))
    page = render(both)
    assert "--impl lib:f<" in page
    assert "implementation = &#34;lib:f&#34;" in page
    write_junit(both, tmp_path / "junit.xml")
    text = (tmp_path / "junit.xml").read_text("utf-8")
    assert '<testsuite name="lib:f@1"' in text
    assert "--impl lib:f\n" in text


def test_the_headline_is_made_of_the_records_again():
    both = merge(samples.report(samples.conforming("a")), samples.report(samples.failing("b")))
    assert [line.partition(":")[0] for line in both.headline[:2]] == ["a conforms", "b is wrong"]
    assert both.headline[-1].startswith("Expected values come from the reference alone: ")


def test_equal_runs_differ_in_nothing():
    report = samples.report(samples.conforming("a"))
    both = merge(report, report)
    assert not any("differ" in line for line in both.headline)
    assert both.environment == report.environment
    assert both.settings == report.settings | {"command": both.settings["command"]}


def test_other_settings_are_told_in_one_line():
    one = samples.report(samples.conforming("a"))
    both = merge(one, with_settings(one, seed=7, profile="quick"))
    assert both.headline[-1] == (
        "The runs differ in seed (0, 7), profile (none, quick): they did not try the same cases."
    )
    assert both.settings["seed"] is None
    assert both.settings["examples"] == 200


def test_other_environments_are_told_by_run():
    one = samples.report(samples.conforming("a"))
    newer = in_environment(one, numpy="2.4.1", jax="0.6")
    both = merge(one, newer, one)
    assert both.headline[-1] == "The runs differ in their environments: numpy, jax."
    assert both.environment["numpy"] == "2.3.1 (runs 1, 3); 2.4.1 (run 2)"
    assert both.environment["jax"] == "not told (runs 1, 3); 0.6 (run 2)"
    assert both.environment["keras"] == "3.15.1"
    assert [run.environment for run in both.runs] == [
        one.environment, newer.environment, one.environment,
    ]  # fmt: skip


def test_the_page_lists_the_runs():
    one = samples.report(samples.conforming("a"))
    page = render(merge(one, with_settings(one, command="conv2d-conformance run --seed 9")))
    assert "Runs in this report" in page
    assert "conv2d-conformance run --seed 9" in page
    assert "conv2d-conformance merge a b --out m" in page
    assert "Runs in this report" not in render(one)


def test_the_witness_of_any_run_is_kept():
    without = samples.report(samples.conforming("a"))
    with_one = samples.report(samples.conforming("b"), witness=samples.conforming())
    both = merge(without, with_one)
    assert both.witness == with_one.witness
    assert both.headline[-1] == AGREES


def test_equal_witnesses_are_one_and_others_are_named_apart(tmp_path: Path):
    witnesses = [samples.conforming(KERAS, version=version) for version in ("1", "1", "2")]
    report = merge(
        *(
            samples.report(samples.conforming(n), witness=w)
            for n, w in zip("abc", witnesses, strict=True)
        )
    )
    assert [witness.name for witness in report.witnesses] == [f"{KERAS}@1", f"{KERAS}@2"]
    assert sum("cross-checked" in line for line in report.headline) == 2
    assert report.headline.count(AGREES) == 1
    page = render(report)
    for version in "12":
        assert f"real Keras, on a sample</span> keras-<wbr>tensorflow@{version}" in page
    write_junit(report, tmp_path / "junit.xml")
    assert (tmp_path / "junit.xml").read_text("utf-8").count('(real Keras, on a sample)"') >= 2


def test_a_second_witness_that_disagrees_fails_the_merge_and_leads_its_report():
    fine = samples.report(samples.conforming("a"), witness=samples.conforming())
    bad = samples.report(samples.conforming("b"), witness=samples.failing(KERAS))
    both = merge(fine, bad)
    assert overall(both) is Verdict.FAILS
    assert both.headline[0].startswith("Keras and the reference disagree where ")


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        (["conforming", "conforming"], Verdict.CONFORMS),
        (["conforming", "inconclusive"], Verdict.INCONCLUSIVE),
        (["inconclusive", "failing"], Verdict.FAILS),
    ],
)
def test_the_verdict_is_that_of_one_run_of_all(results: list[str], verdict: Verdict):
    made = [getattr(samples, name)(name) for name in results]
    assert overall(merge(*map(samples.report, made))) is verdict


def test_why_a_run_stopped_stays_in_the_headline():
    why = "cannot be measured (no engine); the rest was not run."
    cut = samples.conforming("a", interrupted=True, stopped=why)
    whole = [samples.report(samples.conforming(name)) for name in "bc"]
    both = merge(merge(samples.report(cut), whole[0]), whole[1])
    assert f"a: {why}" in both.headline


# Any reports --------------------------------------------------------------------------------------


@st.composite
def reports(draw: Any) -> Report:
    versions = st.sampled_from(["", "1", "2"])
    results = [
        samples.conforming(name, version=draw(versions), interrupted=draw(st.booleans()))
        for name in draw(st.lists(st.sampled_from(["a", "b", "a@1", KERAS]), max_size=2))
    ]
    witness = samples.conforming(version=draw(versions)) if draw(st.booleans()) else None
    report = samples.report(*results, witness=witness)
    report = in_environment(report, numpy=draw(st.sampled_from(["2.3.1", "2.4.1"])))
    return with_settings(report, seed=draw(st.integers(0, 1)))


@settings(max_examples=40)
@given(st.lists(reports(), min_size=1, max_size=4), st.data())
def test_it_does_not_matter_what_is_merged_first(parts: list[Report], data: st.DataObject):
    at = data.draw(st.integers(1, len(parts)))
    once = merge(*parts)
    left = merge(merge(*parts[:at]), *parts[at:])
    right = merge(*parts[: at - 1], merge(*parts[at - 1 :]))
    assert once.to_json() == left.to_json() == right.to_json()
    assert len(set(names(once))) == len(names(once)) == sum(len(r.implementations) for r in parts)


@settings(max_examples=20)
@given(st.lists(reports(), min_size=1, max_size=3))
def test_a_merged_report_can_be_read_and_shown(
    tmp_path_factory: pytest.TempPathFactory, parts: list[Report]
):
    path = tmp_path_factory.mktemp("merged") / "results.json"
    whole = merge(*parts)
    whole.write_json(path)
    assert read(path) == whole
    assert json.loads(path.read_text("utf-8"))["schema"] == 1
    render(whole)
    for result in whole.implementations:
        assert set(result.checks["value"]) == set(map(str, Status))
