"""What fails today can be written down as expected, and tomorrow nothing but that is accepted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import planted
import pytest

import conformance
from conformance import UsageError
from conformance.baseline import described, to_toml
from conformance.campaign import findings, run
from conformance.campaign.unneeded import unneeded_by_all
from conformance.case import Case
from conformance.expectations import load
from conformance.implementations.info import Info
from conformance.results import Finding, Status, Unneeded

SMALL: dict[str, Any] = {"examples": 40, "jobs": 1}
FINDING = Finding(
    check="exact_values",
    cause='differs by "one"\x07',
    status=Status.FAILED,
    count=3,
    first_at=1,
    minimal_case="in1x1x1x1-f1-k1-integers.0",
    message="expected 1, got 2",
    when={"padding": "same", "groups": "> 1", "kernel": [3, 2], "bias": False},
)


@pytest.fixture(scope="module", autouse=True)
def _quickly() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "keras_is_installed", lambda: False)
        patch.setitem(findings.ATTEMPTS, Status.FAILED, 0)
        yield


def baseline(report: conformance.Report, folder: Path) -> Path:
    report.write(folder)
    path = folder / "known.toml"
    path.write_text(to_toml(described(folder), folder), "utf-8")
    return path


def test_with_its_baseline_an_implementation_conforms(tmp_path: Path):
    before = conformance.check(planted.swapped_dilation, **SMALL)
    assert before.verdict == "fails"
    known = baseline(before, tmp_path)
    after = conformance.check(planted.swapped_dilation, xfail=known, **SMALL)
    assert after.verdict == "conforms"
    assert {f.status for f in after.implementations[0].findings} == {Status.EXPECTED_FAILURE}
    after.write(tmp_path / "after")
    assert described(tmp_path / "after") == []


@pytest.mark.parametrize("name", ["swapped_dilation", "ends_the_process", "off_by_one"])
def test_under_another_seed_it_still_conforms(tmp_path: Path, name: str):
    wrong = getattr(planted, name)
    known = baseline(conformance.check(wrong, examples=120, jobs=1), tmp_path)
    after = conformance.check(wrong, xfail=known, seed=1, **SMALL)
    assert after.verdict == "conforms", str(after)
    assert "expected failure" in after.headline[0]


def test_what_no_condition_tells_is_said_and_offered_as_a_comment(tmp_path: Path):
    results(tmp_path, replace(FINDING, when={}, also_passing=7))
    (one,) = described(tmp_path)
    assert one.doubt == "no condition tells where exact_values fails"
    text = to_toml([one], tmp_path)
    (tmp_path / "known.toml").write_text(text, "utf-8")
    assert load(tmp_path / "known.toml") == []
    chosen = [
        line.removeprefix("# ") for line in text.splitlines() if " = " in line or "[[" in line
    ]
    (tmp_path / "known.toml").write_text("\n".join(chosen[1:]), "utf-8")
    (known,) = load(tmp_path / "known.toml")
    info = Info(name=one.name, kind="function")
    assert known.covers("exact_values", info, Case.parse("in1x1x1x1-f1-k1-integers.0"))


@pytest.mark.parametrize(("count", "doubted"), [(1, True), (2, True), (3, False)])
def test_a_condition_of_few_cases_is_doubted(tmp_path: Path, count: int, doubted: bool):
    results(tmp_path, replace(FINDING, count=count))
    (one,) = described(tmp_path)
    assert ("is a guess" in one.doubt) is doubted
    assert len(one.entries) == 1


def test_an_entry_that_matches_nothing_is_told(tmp_path: Path):
    entries = [
        {"implementation": "mylob", "when": ""},
        {"implementation": "*", "when": 'when = { kernel = "h > 90" }'},
    ]
    (tmp_path / "known.toml").write_text(
        "".join(
            f'[[expected_failure]]\ncheck = "exact_values"\nreason = "known"\n'
            f'implementation = "{entry["implementation"]}"\n{entry["when"]}\n'
            for entry in entries
        ),
        "utf-8",
    )
    report = conformance.check(planted.right, xfail=tmp_path / "known.toml", **SMALL)
    told = [line for line in report.headline if "matched nothing" in line]
    assert len(told) == 2
    assert "entry 1 (known)" in told[0]
    assert "no measured implementation matches mylob" in told[0]
    assert "no case of exact_values" in told[1]


@pytest.mark.parametrize(
    ("measured", "strict", "told"),
    [("right", "false", True), ("right", "true", False), ("swapped_dilation", "false", False)],
)
def test_an_entry_whose_cases_all_pass_can_be_deleted(
    tmp_path: Path, measured: str, strict: str, told: bool
):
    (tmp_path / "known.toml").write_text(
        '[[expected_failure]]\ncheck = ["exact_values", "bounded_values"]\n'
        f'reason = "swapped"\nstrict = {strict}\n',
        "utf-8",
    )
    report = conformance.check(getattr(planted, measured), xfail=tmp_path / "known.toml", **SMALL)
    line = (
        f"{tmp_path / 'known.toml'}, entry 1 (swapped) passes wherever it applies: "
        "if that is fixed, the entry can be deleted."
    )
    assert (line in report.headline) is told


def test_an_entry_is_unneeded_if_no_shard_needs_it():
    nothing, passes, other = Unneeded("a (b)", "why"), Unneeded("a (b)"), Unneeded("c (d)")
    assert unneeded_by_all([[nothing], [nothing]]) == [nothing]
    assert unneeded_by_all([[nothing], [other, passes]]) == [passes]
    assert unneeded_by_all([[nothing], [other]]) == []


def test_a_baseline_of_one_fault_does_not_cover_another(tmp_path: Path):
    known = baseline(conformance.check(planted.swapped_dilation, **SMALL), tmp_path)

    def worse(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        y = planted.swapped_dilation(x, kernel, bias, **given)
        return y + y.dtype.type(given["groups"] > 1)

    worse.__name__ = "planted:swapped_dilation"
    report = conformance.check(worse, xfail=known, **SMALL)
    assert report.implementations[0].name == "planted:swapped_dilation"
    assert report.verdict == "fails"
    for finding in report.findings:
        assert Case.parse(finding.minimal_case).geometry.groups > 1


def test_an_entry_says_what_fails_on_whom_where_and_why(tmp_path: Path):
    path = results(tmp_path, FINDING, name="mylib:conv[1]*")
    path = tmp_path / "known.toml"
    path.write_text(to_toml(described(tmp_path), tmp_path), "utf-8")
    (known,) = load(path)
    assert known.checks == ("bounded_values", "exact_values", "special_values")
    assert known.reason.startswith('it differs by "one"')
    assert not known.strict
    for text, name, covered in (
        ("in1x6x6x4-f2-k3x2-same-g2-nobias-integers.0", "mylib:conv[1]*", True),
        ("in1x6x6x4-f2-k3x2-same-g2-nobias-integers.0", "mylib:conv1x", False),
        ("in1x6x6x4-f2-k3x2-same-g2-integers.0", "mylib:conv[1]*", False),
        ("in1x6x6x4-f2-k3x2-g2-nobias-integers.0", "mylib:conv[1]*", False),
        ("in1x6x6x4-f2-k2x3-same-g2-nobias-integers.0", "mylib:conv[1]*", False),
        ("in1x6x6x4-f2-k3x2-same-nobias-integers.0", "mylib:conv[1]*", False),
    ):
        info = Info(name=name, kind="function")
        assert known.covers("exact_values", info, Case.parse(text)) is covered


@pytest.mark.parametrize("status", [Status.EXPECTED_FAILURE, Status.UNEXPECTED_PASS])
def test_what_is_expected_already_is_not_written_again(tmp_path: Path, status: Status):
    path = results(tmp_path, replace(FINDING, status=status))
    assert described(path) == []


def results(folder: Path, *found: Finding, name: str = "planted:does_nothing") -> Path:
    """A results.json with these findings."""
    report = conformance.check(planted.does_nothing, examples=1, jobs=1)
    content = json.loads(json.dumps(report.to_json()))
    content["implementations"][0]["findings"] = [finding_record(f) for f in found]
    content["implementations"][0]["name"] = name
    path = folder / "results.json"
    path.write_text(json.dumps(content), "utf-8")
    return path


def finding_record(finding: Finding) -> dict[str, Any]:
    return {name: getattr(finding, name) for name in finding.__dataclass_fields__}


def test_a_folder_or_its_file_may_be_given(tmp_path: Path):
    path = results(tmp_path, FINDING)
    assert described(path) == described(tmp_path)
    (one,) = described(tmp_path)
    assert one.name == "planted:does_nothing"
    assert one.doubt == ""
    assert len(one.entries) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot read"),
        ("", "is not a results.json"),
        ("[]", "schema 1"),
        ('{"schema": 2}', "schema 1"),
        ("{}", "schema 1"),
    ],
)
def test_what_is_no_results_json_is_refused_by_name(tmp_path: Path, text: str | None, words: str):
    if text is not None:
        (tmp_path / "results.json").write_text(text, "utf-8")
    with pytest.raises(UsageError, match=words) as caught:
        described(tmp_path)
    assert str(tmp_path / "results.json") in str(caught.value)
    assert "\n" not in str(caught.value)
