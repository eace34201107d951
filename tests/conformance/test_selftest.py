"""The suite's power: what is caught and named, that nothing correct fails, and docs/power.md."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from conformance.case import Case
from conformance.cli import app
from conformance.faults import COVERED, FAULTS, Fault, Problem, fault, solve
from conformance.faults.makers import refuses as refuse
from conformance.plan import Asked, plan
from conformance.selftest import Outcome, Row, document, line, running, summary
from conformance.selftest.apart import alike
from conformance.selftest.correct import CORRECT
from conformance.selftest.elsewhere import SUITES
from conformance.selftest.trying import Catch, first_catch, judged

POWER = Path(__file__).parents[2] / "docs" / "power.md"
SAMPLE = (
    "same_last_windows_skipped",
    "pads_with_neighbours",
    "strides_in_shape_only",
    "strides_ignored",
    "groups_bias_of_first",
    "filters_rounded_up",
    "kernel_flipped",
    "one_row_one_by_n",
    "rows_as_long_as_columns",
    "inputs_bfloat16",
)


def gives_nan(problem: Problem) -> Any:
    return np.full_like(solve(problem), np.nan)


BETWEEN = [name for name, row in FAULTS.items() if row.between_calls]


@pytest.mark.parametrize("name", SAMPLE)
def test_a_fault_is_caught_early_and_named(name: str):
    caught = first_catch(FAULTS[name].function, seed=1)
    assert caught is not None
    assert caught.at <= 60
    assert caught.diagnosis == name


def refuses(when: Callable[[Problem], bool]) -> Fault:
    """A fault that raises where `when` holds."""
    return fault("refuses", "refused", "refuses", "no/where#1", refuse("no"), when=when)


@pytest.mark.parametrize(
    "name",
    [
        "stride_above_kernel_refused",
        "nine_channels_refused",
        "empty_batch_refused",
        "transform_overflows",
    ],
)
def test_what_leaves_no_number_is_named_by_where_it_does(name: str):
    caught = first_catch(FAULTS[name].function, seed=1)
    assert caught is not None
    assert caught.diagnosis == name


def test_what_raises_in_some_cases_only_is_named_by_the_others():
    caught = first_catch(FAULTS["same_ignores_dilation"].function, seed=1)
    assert caught is not None
    assert caught.cause.startswith("raises ")
    assert caught.diagnosis == "same_ignores_dilation"


@pytest.mark.parametrize(
    "when",
    [
        lambda p: p.channels >= 9,
        lambda p: p.channels in (9, 11, 13),
        lambda p: p.channels == 9 and p.groups == 1 and p.window != (1, 1),
        lambda p: any(s > k for _, _, s, k in p.sizes) and p.filters > 1,
        lambda p: any(s > 1 for _, _, s, _ in p.sizes),
        lambda p: any(s >= k for _, _, s, k in p.sizes),
        lambda p: len(p.x) < 2,
        lambda p: len(p.x) == 0 and p.bias is None,
    ],
)
def test_a_refusal_of_more_or_less_than_a_known_one_is_not_named(when: Callable[[Problem], bool]):
    caught = first_catch(refuses(when).function, seed=1)
    assert caught is not None
    assert caught.cause == "raises ValueError: no"
    assert caught.diagnosis is None


@pytest.mark.parametrize(
    "when",
    [
        lambda p: p.dtype == "float16" and p.window == (3, 3),
        lambda p: float(np.abs(p.x).max(initial=0)) > 655,
    ],
)
def test_nan_where_a_known_overflow_would_not_be_is_not_named(when: Callable[[Problem], bool]):
    row = fault("nan", "range", "gives NaN", "no/where#1", gives_nan, when=when)
    caught = first_catch(row.function, seed=1)
    assert caught is not None
    assert caught.diagnosis is None


@pytest.mark.parametrize("name", BETWEEN)
def test_a_fault_between_calls_is_caught_and_never_taken_for_another(name: str):
    caught = first_catch(FAULTS[name].function, seed=1)
    assert caught is not None
    assert caught.diagnosis in (None, COVERED.get(name, name))


@pytest.mark.parametrize("name", CORRECT)
def test_a_correct_implementation_passes(name: str):
    kind = "layer" if "layer" in name else "function"
    for case in islice((case for one in plan(1, Asked(kind)) for case in one.example), 200):
        statuses = {judgement.status for judgement in judged(case, CORRECT[name])}
        assert statuses <= {"passed"}, str(case)


def test_no_two_faults_are_alike_on_the_default_plan():
    planned = plan(0, Asked("function"), profile="default")
    assert alike(case for one in planned for case in one.example) == []


def test_faults_that_no_case_tells_apart_are_alike():
    case = Case.parse("in1x5x5x2-f2-k3-nobias-integers.0")
    (correct, *_) = [group for group in alike([case]) if "groups_only_first" in group]
    assert "bias_twice" in correct


def test_other_suites_see_some_faults_and_not_all():
    for suite in SUITES:
        assert suite.sees(FAULTS["same_is_valid"])
        assert not suite.sees(FAULTS["kernel_axis_256"])


def test_the_page_lists_exactly_the_faults():
    shown = re.compile(r"^\| `(\w+)`: (.*?) \| (.*?) \| \[(.*?)\]\((.*?)\) \|", re.MULTILINE)
    rows = shown.findall(POWER.read_text("utf-8"))
    wanted = [(f.name, f.sentence, f.kind, f.source, f.address) for f in FAULTS.values()]
    assert rows == wanted


def outcome(*, survives: bool = False) -> Outcome:
    """A small one, as if it had been run."""
    row = FAULTS["kernel_flipped"]
    catch = Catch(3, "exact_values", "values differ from the exact result", row.name)
    other = Catch(5, "output_shape", "returns a wrong output shape", "kernel_transposed")
    rows = (
        Row(row, (catch,), frozenset({"Keras"})),
        Row(FAULTS["weights_stale"], (None if survives else other,), frozenset()),
    )
    return Outcome(rows, {"the reference": ()}, 1, 61.0)


def test_what_is_misnamed_and_what_survives_is_told():
    told = " ".join(summary(outcome()))
    assert "2 of 2 faults are caught" in told
    assert "weights_stale is taken for kernel_transposed." in told
    survived = outcome(survives=True)
    assert "weights_stale survives." in summary(survived)
    assert not survived.is_good
    assert "survives" in line(survived.rows[1])
    assert "| survives |" in document(survived)


def test_a_correct_implementation_that_fails_is_told():
    failing = Outcome((), {"the reference": ("exact_values at 1: wrong",)}, 1, 0.0)
    assert not failing.is_good
    assert "Correct, and fails: the reference, exact_values" in " ".join(summary(failing))


def test_the_command_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    few = {"kernel_flipped": FAULTS["kernel_flipped"]}
    monkeypatch.setattr(running, "FAULTS", few)
    monkeypatch.setattr(running, "CORRECT", {})
    page = tmp_path / "power.md"
    ran = CliRunner().invoke(app, ["selftest", "--seeds", "1", "--jobs", "1", "--out", str(page)])
    assert ran.exit_code == 0, ran.output
    assert "1 of 1 faults are caught" in ran.output
    assert "`kernel_flipped`: flips the kernel" in page.read_text("utf-8")
