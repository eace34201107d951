"""A results.json is read back whole, or refused in one sentence that says what is wrong."""

from __future__ import annotations

import copy
import json
import os
import time
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import report_samples as samples
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance import UsageError
from conformance.baseline import described, to_toml
from conformance.expectations import load
from conformance.merging import merged
from conformance.reading import MOST_BYTES, read
from conformance.report.html import render
from conformance.report.junit import write_junit
from conformance.results import Report

PLAN = {
    "parts": {"popular": 44, "rows": 100},
    "pairs": {"met": 90, "of": 100},
    "triples": {"met": 5, "of": 10},
    "popular": {"met": 44, "of": 44, "missing": []},
    "levels": [],
    "largest": {"batch": 3},
}
REPORT = samples.report(
    samples.conforming("a", plan=PLAN), samples.failing(), witness=samples.conforming()
)
SINCE_THE_FIRST = (
    "declared", "capabilities", "area", "notes", "named", "plan", "impl", "stopped",
)  # fmt: skip
CONTENT: dict[str, Any] = json.loads(json.dumps(REPORT.to_json()))
MERGED: dict[str, Any] = json.loads(
    json.dumps(merged([REPORT, replace(REPORT, witness=None)], command="again").to_json())
)


def written(folder: Path, content: Any) -> Path:
    path = folder / "results.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


@pytest.mark.parametrize("report", [REPORT, merged([REPORT, REPORT], command="again")])
def test_what_was_written_is_what_is_read(tmp_path: Path, report: Report):
    report.write_json(tmp_path / "results.json")
    assert read(tmp_path) == read(tmp_path / "results.json") == report


def test_keys_of_a_later_version_are_ignored(tmp_path: Path):
    later = copy.deepcopy(CONTENT) | {"new": [1]}
    later["implementations"][0]["new"] = later["implementations"][1]["findings"][0]["new"] = {}
    assert read(written(tmp_path, later)) == REPORT


def test_the_first_files_of_schema_1_are_readable(tmp_path: Path):
    """They have only the keys of the first version, and no count of ratios below the first edge."""
    first = copy.deepcopy(CONTENT)
    del first["plan"], first["runs"], first["run"]
    for result in (*first["implementations"], first["witness"]):
        for key in SINCE_THE_FIRST:
            del result[key]
        for ratios in result["ratios"].values():
            ratios["counts"] = ratios["counts"][:1] + ratios["counts"][2:]
        for finding in result["findings"]:
            del finding["explanation"], finding["when"], finding["also_passing"]
    report = read(written(tmp_path, first))
    assert [r.name for r in report.implementations] == ["a", "mylib:conv2d"]
    assert "a conforms" in render(merged([report], command="again"))


def changed(change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    content = copy.deepcopy(CONTENT)
    change(content)
    return content


def implementation(**values: Any) -> dict[str, Any]:
    return changed(lambda content: content["implementations"][1].update(values))


def finding(**values: Any) -> dict[str, Any]:
    return changed(lambda content: content["implementations"][1]["findings"][0].update(values))


def without(*path: Any) -> dict[str, Any]:
    def remove(content: Any) -> None:
        for step in path[:-1]:
            content = content[step]
        del content[path[-1]]

    return changed(remove)


MALFORMED: dict[str, tuple[Any, str]] = {
    "nothing": ("", "Expecting value"),
    "no JSON": ("{", "Expecting property name"),
    "no object": ([], "schema 1"),
    "another schema": ({"schema": 2}, "schema 1"),
    "nested deeply": ("[" * 100_000, "nested too deeply"),
    "a huge number": ('{"schema": 1, "environment": ' + "9" * 100_000, "100000 digits"),
    "no implementations": (without("implementations"), "implementations: Field required"),
    "null for implementations": (CONTENT | {"implementations": None}, "implementations: "),
    "no findings": (without("implementations", 1, "findings"), "implementations.1.findings: "),
    "no status": (without("implementations", 1, "findings", 0, "status"), "findings.0.status: "),
    "no check": (without("implementations", 1, "findings", 0, "check"), "findings.0.check: "),
    "a number for a name": (implementation(name=3), "implementations.1.name: "),
    "text for a number": (implementation(cases="3"), "implementations.1.cases: "),
    "true for a number": (implementation(cases=True), "implementations.1.cases: "),
    "a negative count": (implementation(cases=-1), "implementations.1.cases: "),
    "an unknown verdict": (implementation(verdict="fine"), "implementations.1.verdict: "),
    "an unknown status": (finding(status="odd"), "findings.0.status: "),
    "a list for a condition": (finding(when=["padding"]), "findings.0.when: "),
    "half a plan": (implementation(plan={"parts": {}}), "'mylib:conv2d': popular: "),
    "more than all": (
        implementation(plan=PLAN | {"pairs": {"met": 5, "of": 0}}),
        "'mylib:conv2d': plan: more was met than there is",
    ),
    "an area without numbers": (implementation(area={"claimed": 1}), "'mylib:conv2d': total: "),
    "a list for an algorithm": (implementation(declared={"algorithm": []}), "algorithm: "),
    "a ragged drawing": (finding(evidence={"expected": [[1], [1, 2]]}), "cannot be drawn"),
    "an element before the first": (finding(evidence={"worst": [-9, 0]}), "cannot be drawn"),
    "edges that are equal": (
        implementation(ratios={"float32": {"edges": [1.0, 1.0], "counts": [1, 1, 1, 1]}}),
        "do not fit together",
    ),
    "counts without edges": (
        implementation(ratios={"float32": {"edges": [], "counts": [1]}}),
        "do not fit together",
    ),
    "time without end": (changed(lambda c: c["run"].update(seconds=float("inf"))), "seconds: "),
    "columns of others": (MERGED | {"implementations": []}, "runs: "),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_file_is_refused_in_one_sentence(tmp_path: Path, what: str):
    content, words = MALFORMED[what]
    path = written(tmp_path, content)
    began = time.process_time()
    with pytest.raises(UsageError) as caught:
        read(tmp_path)
    assert time.process_time() - began < 1
    assert str(caught.value).startswith(f"{path} is not a results.json")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "cannot read"),
        (Path.mkdir, "Is a directory"),
        (make_fifo, "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (lambda path: path.symlink_to(path.name), "cannot read"),
        (make_sparse, "is larger than 16 MiB"),
        (lambda path: path.write_bytes(b"\xff"), "can't decode"),
    ],
)
def test_what_is_no_file_of_text_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], Any], words: str
):
    make(tmp_path / "results.json")
    began = time.process_time()
    with pytest.raises(UsageError, match=words) as caught:
        read(tmp_path)
    assert time.process_time() - began < 1
    assert str(tmp_path / "results.json") in str(caught.value)


# Mutated files ------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 10**17, 10**400])
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["failed", "h != w", "> 1", "\x1b[31m", "\ud800", "a\nb", ']\n[["x']),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


CONDITIONS = [
    "padding",
    "kernel",
    "batch",
    "groups",
    "bias",
    'padding = "same" }\n[[expected_failure]]',
]
VALUES = st.sampled_from(["same", "valid", "h != w", "> 1", "== h - 1", [3, 3], 2, False])


@st.composite
def mutated(draw: Callable[[Any], Any]) -> Any:
    """A results.json with up to three values replaced, removed or added."""
    content = copy.deepcopy(draw(st.sampled_from([CONTENT, MERGED])))
    for _ in range(draw(st.integers(1, 3))):
        where: Any = content
        while True:
            key = draw(
                st.sampled_from(range(len(where)) if isinstance(where, list) else list(where))
            )
            inner = where[key]
            if not inner or not isinstance(inner, list | dict) or draw(st.integers(0, 5)) == 0:
                break
            where = inner
        match draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                where[key] = draw(JSON)
            case "remove" if len(where) > 1:
                del where[key]
            case _ if isinstance(where, dict):
                where[draw(st.text(max_size=3))] = draw(JSON)
    return content


def attempt(reader: Callable[[Path], Any], folder: Path) -> tuple[Any, str]:
    """What `reader` returns, or the one sentence of its refusal; anything else is an error."""
    refusal = ""
    try:
        return reader(folder), refusal
    except UsageError as error:
        refusal = str(error)
    assert len(refusal.splitlines()) == 1
    return None, refusal


@settings(max_examples=60)
@given(content=mutated())
def test_a_mutated_file_is_refused_or_becomes_reports(
    tmp_path_factory: pytest.TempPathFactory, content: Any
):
    folder = tmp_path_factory.mktemp("mutated")
    written(folder, content)
    report, refusal = attempt(read, folder)
    if refusal:
        return
    both = merged([report, REPORT], command="again")
    render(both)
    write_junit(both, folder / "junit.xml")
    both.write_json(folder / "merged.json")
    assert read(folder / "merged.json").to_json() == both.to_json() or "NaN" in json.dumps(content)


@settings(max_examples=100)
@given(when=st.dictionaries(st.sampled_from(CONDITIONS) | st.text(max_size=5), VALUES | JSON))
def test_a_baseline_is_refused_or_one_entry_with_that_condition(
    tmp_path_factory: pytest.TempPathFactory, when: dict[str, Any]
):
    folder = tmp_path_factory.mktemp("baseline")
    content = finding(check="exact_values", when=when, also_passing=0)
    del content["implementations"][1]["findings"][1:]
    written(folder, content)
    found, refusal = attempt(described, folder)
    if refusal:
        return
    text = to_toml(found, folder)
    (entry,) = tomllib.loads(text)["expected_failure"]
    assert entry.get("when", {}) == json.loads(json.dumps(when))
    (folder / "known.toml").write_text(text, "utf-8")
    assert len(load(folder / "known.toml")) == 1
