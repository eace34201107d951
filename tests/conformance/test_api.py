"""conformance.check measures whatever it is given, and its report can be looked at in many ways."""

from __future__ import annotations

import functools
import html
import json
import math
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import planted
import pytest

import conformance
import reference_impl
from conformance import ConformanceError, Implementation, Report, UsageError, expected_failure
from conformance.api import checkings
from conformance.campaign import findings, run
from conformance.case import Case
from conformance.causes import members, shown, unexpected
from conformance.checks import CHECKS
from conformance.report import FILES
from conformance.results import Status
from conformance.targets import target_of

SMALL: dict[str, Any] = {"examples": 3, "jobs": 1}


@pytest.fixture(scope="module", autouse=True)
def _quickly() -> Iterator[None]:
    """Without real Keras, and findings are shown as they were met."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "keras_is_installed", lambda: False)
        patch.setitem(findings.ATTEMPTS, Status.FAILED, 0)
        yield


@pytest.fixture(scope="module")
def failing() -> Report:
    return conformance.check(planted.off_by_one, **SMALL)


# Who is measured ---------------------------------------------------------------------------------


def adds(number: int) -> Callable[..., Any]:
    def conv2d(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        return reference_impl.conv2d(x, kernel, bias, **given) + x.dtype.type(number)

    return conv2d


class Scaled(Implementation):
    """Its state decides whether it is right."""

    name = "scaled"

    def __init__(self, factor: float = 1) -> None:
        self.factor = factor

    def conv2d(self, x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        return reference_impl.conv2d(x, kernel, bias, **given) * x.dtype.type(self.factor)


class Opened(Scaled):
    """Makes in setup() what no other process could be sent."""

    lock: Any = None

    def setup(self) -> None:
        self.lock = threading.Lock()

    def conv2d(self, x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        with self.lock:
            return super().conv2d(x, kernel, bias, **given)


class Callable_:  # noqa: N801
    """An object that is called like a function."""

    def __call__(self, x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        return reference_impl.conv2d(x, kernel, bias, **given)


MEASURED: dict[str, tuple[Any, str, str, str]] = {
    "a function": (reference_impl.conv2d, "reference_impl.convolution:conv2d", "function",
                   "conforms"),
    "a function of a module": (planted.off_by_one, "planted:off_by_one", "function", "fails"),
    "a lambda": (lambda x, k, b=None, **given: reference_impl.conv2d(x, k, b, **given), "lambda",
                 "function", "conforms"),
    "a right closure": (adds(0), "conv2d", "function", "conforms"),
    "a wrong closure": (adds(1), "conv2d", "function", "fails"),
    "a partial function": (functools.partial(reference_impl.conv2d), "partial", "function",
                           "conforms"),
    "a callable object": (Callable_(), "Callable_", "function", "conforms"),
    "a bound method": (Scaled(1).conv2d, "conv2d", "function", "conforms"),
    "a layer class": (reference_impl.Conv2D, "reference_impl.layer:Conv2D", "layer", "conforms"),
    "an implementation with the right state": (Scaled(1), "scaled", "function", "conforms"),
    "an implementation with a wrong state": (Scaled(2), "scaled", "function", "fails"),
    "an implementation class": (Scaled, "scaled", "function", "conforms"),
    "an implementation that opens something": (Opened(), "scaled", "function", "conforms"),
    "an implementation of a module": (planted.WithFunction, "WithFunction", "layer", "conforms"),
    "a name": ("reference", "reference", "layer", "conforms"),
    "a name in a module": ("planted:right", "planted:right", "function", "conforms"),
}  # fmt: skip


@pytest.mark.parametrize("what", MEASURED)
def test_many_things_can_be_measured(what: str):
    thing, name, kind, verdict = MEASURED[what]
    report = conformance.check(thing, **SMALL)
    (result,) = report.implementations
    assert (result.name, result.kind, report.verdict) == (name, kind, verdict)
    assert result.configurations == 3


def test_what_another_process_can_import_is_named_and_the_rest_is_sent():
    assert target_of(reference_impl.conv2d).payload is None
    assert target_of("reference").payload is None
    for thing in (adds(0), Scaled(3), Scaled, Callable_()):
        assert target_of(thing).payload


def test_a_shadowed_function_is_not_taken_for_the_one_that_shadows_it():
    """Its module has another object of that name by now."""
    original = adds(5)
    original.__module__, original.__qualname__ = "planted", "right"
    assert target_of(original).payload


class Unsendable(Scaled):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


LOCK = threading.Lock()


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (Unsendable(), ["'scaled' cannot be sent", "pickle", "setup()"]),
        (lambda x, k, b=None, lock=LOCK, **g: x, ["'lambda' cannot be sent", "module:attr"]),
        (3, ["int 3", "not a function or a layer class"]),
        (None, ["NoneType None"]),
        (np.zeros((9, 9)), ["ndarray array([[0.,", "not a function"]),
        (math, ["module <module 'math'", "not a function"]),
        (Implementation, ["'Implementation' defines neither conv2d nor layer"]),
        ("nobody", ["unknown implementation 'nobody'"]),
        ("planted:of_by_one", ["did you mean 'off_by_one'?"]),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(thing: Any, words: list[str]):
    with pytest.raises(UsageError) as caught:
        conformance.check(thing, **SMALL)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"examples": 0}, ["examples", "at least 1", "not 0"]),
        ({"examples": -3}, ["examples", "not -3"]),
        ({"examples": 2.5}, ["examples", "whole number", "2.5"]),
        ({"examples": True}, ["examples", "True"]),
        ({"examples": "many"}, ["examples", "'many'"]),
        ({"seed": -1}, ["seed", "at least 0", "not -1"]),
        ({"seed": None}, ["seed", "None"]),
        ({"jobs": 0}, ["jobs", "at least 1", "not 0"]),
        ({"max_time": 0}, ["max_time", "above 0", "not 0"]),
        ({"max_time": -2.5}, ["max_time", "-2.5"]),
        ({"max_time": math.nan}, ["max_time", "nan"]),
        ({"max_time": "10"}, ["max_time", "'10'"]),
        ({"xfail": "absent.toml"}, ["absent.toml"]),
        ({"case": "in1x4x4x1-f1-k3-sane-integers.0"}, ["'sane'", "same"]),
        ({"case": 3}, ["case", "3"]),
    ],
)
def test_an_argument_out_of_range_is_refused_in_one_sentence(
    given: dict[str, Any], words: list[str]
):
    with pytest.raises(UsageError) as caught:
        conformance.check(planted.right, **given)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


# What is asked of it -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "budget"),
    [
        ({}, (None, None)),
        ({"examples": 7}, (7, None)),
        ({"max_time": 2.5}, (None, 2.5)),
        ({"examples": 7, "max_time": 2}, (7, 2)),
    ],
)
def test_a_time_limit_takes_the_place_of_the_usual_number_of_examples(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], budget: tuple[Any, Any]
):
    class Asked(Exception):
        pass

    def ask(settings: run.Settings) -> None:
        assert (settings.examples, settings.max_time) == budget
        raise Asked

    monkeypatch.setattr(run, "run", ask)
    with pytest.raises(Asked):
        conformance.check(planted.right, **given)


def test_one_case_can_be_run_again(failing: Report):
    (finding,) = (f for f in failing.findings if f.check == "exact_values")
    again = conformance.check(planted.off_by_one, case=finding.minimal_case, jobs=1)
    assert again.implementations[0].cases == 1
    assert [f.message for f in again.findings] == [finding.message]


def test_expected_failures_come_from_a_file(tmp_path: Path):
    (tmp_path / "known.toml").write_text(
        '[[expected_failure]]\ncheck = ["exact_values", "bounded_values", "special_values"]\n'
        'reason = "adds one"\n',
        "utf-8",
    )
    report = conformance.check(planted.off_by_one, xfail=tmp_path / "known.toml", **SMALL)
    assert report.verdict == "conforms"
    assert report.findings == []
    assert {f.status for f in report.implementations[0].findings} == {Status.EXPECTED_FAILURE}


@pytest.mark.parametrize(
    "thing",
    [planted.off_by_one, adds(1), Scaled(2)],
    ids=["an imported function", "a closure", "an instance"],
)
def test_expected_failures_come_with_what_is_measured(monkeypatch: pytest.MonkeyPatch, thing: Any):
    """Also where it is marked here, so that an import elsewhere would not show the mark."""
    monkeypatch.setattr(thing, "expected_failures", (), raising=False)
    mark = expected_failure(
        check=["exact_values", "bounded_values", "special_values"], reason="adds one"
    )
    assert conformance.check(mark(thing), **SMALL).verdict == "conforms"


class WrongEverywhere(planted.Declared):
    """Its failures without groups are known; those with groups are not."""

    expected_failures = (
        {"check": "exact_values", "reason": "known", "when": {"groups": 1}},
        {"check": ["bounded_values", "special_values"], "reason": "known as well"},
    )

    def conv2d(self, x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        return planted.off_by_one(x, kernel, bias, **given)


def test_the_smallest_case_of_a_finding_is_none_that_is_expected(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(findings.ATTEMPTS, Status.FAILED, 60)
    (finding,) = conformance.check(WrongEverywhere, examples=20, jobs=1).findings
    assert finding.check == "exact_values"
    assert Case.parse(finding.minimal_case).geometry.groups == 2


# The report --------------------------------------------------------------------------------------


def test_a_report_says_how_to_repeat_it(failing: Report):
    """By a command where there is a name for it, else by a call."""
    assert failing.settings["command"] == (
        "conv2d-conformance run --impl planted:off_by_one --examples 3 --seed 0"
    )
    report = conformance.check(Scaled(1), **SMALL)
    assert report.settings["command"] == "conformance.check(scaled, examples=3, seed=0)"


def test_a_report_says_what_was_found_as_text(failing: Report):
    first, *rest = str(failing).splitlines()
    assert first == failing.headline[0]
    assert first.startswith("planted:off_by_one is wrong: values differ from the exact result (")
    (cause,) = unexpected(failing.implementations[0])
    one = shown(members(cause, failing.implementations[0].findings))
    told = rest.index("  Values differ from the exact result.")
    assert f"    {one.minimal_case}" in rest
    assert f"    {one.check}: {one.message}" in rest
    for finding in failing.findings:
        assert f"{finding.check} {finding.count}" in rest[told + 1]


def test_who_does_not_conform_can_raise(failing: Report):
    with pytest.raises(ConformanceError) as caught:
        failing.raise_for_status()
    assert str(caught.value) == str(failing)
    assert isinstance(caught.value, AssertionError)


def test_who_conforms_raises_nothing_and_who_does_nothing_does():
    conformance.check(planted.right, **SMALL).raise_for_status()
    report = conformance.check(planted.does_nothing, **SMALL)
    assert report.verdict == "inconclusive"
    with pytest.raises(ConformanceError, match="is inconclusive"):
        report.raise_for_status()


def test_a_notebook_shows_the_page_in_a_frame_of_its_own(failing: Report):
    shown = failing._repr_html_()
    (page,) = re.findall(r'^<iframe srcdoc="([^"]*)"[^<>]*></iframe>$', shown)
    assert "<" not in page
    assert html.unescape(page) == failing.to_html()
    assert html.unescape(page).lstrip().lower().startswith("<!doctype html>")


def test_a_report_is_a_table_of_checks_and_statuses(failing: Report):
    pytest.importorskip("pandas")
    frame = failing.to_frame()
    assert list(frame.index) == [c for c in CHECKS if c in failing.implementations[0].checks]
    assert list(frame.columns) == [str(status) for status in Status]
    assert frame.index.name == "check"
    assert frame.loc["exact_values", "failed"] > 0
    assert frame.loc["output_shape", "passed"] == failing.implementations[0].cases


def test_without_pandas_there_is_one_sentence(failing: Report, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError) as caught:
        failing.to_frame()
    assert str(caught.value) == (
        "to_frame needs pandas; install it with pip install 'conv2d-conformance[notebook]'"
    )


@pytest.mark.parametrize("as_text", [True, False])
def test_a_report_is_written_as_files(failing: Report, tmp_path: Path, as_text: bool):
    folder = tmp_path / "new" / "folder"
    page = failing.write(str(folder) if as_text else folder)
    assert page == folder / "report.html"
    assert {p.name for p in folder.iterdir()} == {*FILES}
    content = json.loads((folder / "results.json").read_text("utf-8"))
    assert content == json.loads(json.dumps(failing.to_json()))
    assert page.read_text("utf-8") == failing.to_html()


def test_the_same_seed_gives_the_same_report():
    one, two = (conformance.check(planted.off_by_one, seed=4, **SMALL).to_json() for _ in range(2))
    del one["run"], two["run"]
    assert one == two


def test_the_public_names_are_the_documented_ones():
    assert dir(conformance) == sorted(conformance.__all__)
    for name in conformance.__all__:
        assert getattr(conformance, name).__doc__
    with pytest.raises(AttributeError, match="has no attribute 'chek'"):
        conformance.chek  # noqa: B018


# Parameters of a test ----------------------------------------------------------------------------


def test_there_is_one_test_for_each_implementation_and_check():
    mark = conformance.parametrize_with_checks([Scaled(1), planted.leaves], examples=7, seed=3)
    assert mark.name == "parametrize"
    assert mark.args[0] == ("implementation", "check")
    assert mark.kwargs["ids"] == [f"{n}-{c}" for n in ("scaled", "planted:leaves") for c in CHECKS]
    made = [check for _, check in mark.args[1]]
    assert {(check.examples, check.seed) for check in made} == {(7, 3)}


@pytest.mark.parametrize(
    ("implementations", "given", "words"),
    [
        ([planted.leaves, planted.leaves], {}, "two implementations are called 'planted:leaves'"),
        ([Scaled(1), Scaled(2)], {}, "two implementations are called 'scaled'"),
        (["reference", "reference"], {}, "two implementations are called 'reference'"),
        ([3], {}, "int 3"),
        ("reference", {}, "must be a list, not 'reference'"),
        (planted.right, {}, "must be a list, not <function"),
        ([planted.right], {"examples": 0}, "examples must be"),
        ([planted.right], {"examples": -1}, "examples must be"),
        ([planted.right], {"seed": -1}, "seed must be"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_where_they_are_written(
    implementations: Any, given: dict[str, Any], words: str
):
    with pytest.raises(UsageError, match=re.escape(words)) as caught:
        conformance.parametrize_with_checks(implementations, **given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("thing", "check", "outcome", "words"),
    [
        (planted.right, "exact_values", None, ""),
        (planted.off_by_one, "exact_values", pytest.fail.Exception, "Values differ from the"),
        (planted.off_by_one, "output_shape", None, ""),
        (planted.right, "compute_output_shape", pytest.skip.Exception, "does not apply"),
        (planted.right, "claimed_capability", pytest.skip.Exception, "does not apply"),
        (planted.does_nothing, "exact_values", pytest.skip.Exception, "unsupported: this library"),
        (planted.swapped_as_expected, "exact_values", pytest.xfail.Exception, "swaps the two"),
        (
            planted.mended,
            "exact_values",
            pytest.fail.Exception,
            "a strict entry expects it to fail",
        ),
        (planted.ClaimsGroups, "claimed_capability", pytest.fail.Exception, "claims groups but"),
    ],
)
def test_a_check_passes_fails_or_skips_the_test_that_calls_it(
    thing: Any, check: str, outcome: Any, words: str
):
    made = checkings([thing], examples=10, seed=0)
    one = next(checking for checking in made if checking.name == check)
    if outcome is None:
        one(thing)
    else:
        with pytest.raises(outcome) as caught:
            one(thing)
        assert words in str(caught.value)


def test_a_test_may_measure_something_else_than_its_parameter():
    (check,) = (
        c for c in checkings([planted.right], examples=3, seed=0) if c.name == "output_dtype"
    )
    check("reference")
    with pytest.raises(pytest.fail.Exception, match="unknown implementation 'nobody'"):
        check("nobody")
