"""A condition is found where there is one, and it can be used as an expected failure as it is."""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.case import Case
from conformance.condition import parse
from conformance.expectations import expected_failure, load
from conformance.implementations.info import Info
from conformance.mining import MOST_TERMS, find_condition
from conformance.plan import plan
from conformance.report.text import expectation
from conformance.results import Finding, Status

CASES = [case for planned in plan(0, limit=300) for case in planned.example]

# What is planted, and the condition that has to be found for it.
PLANTED: dict[str, tuple[Callable[[Case], bool], dict[str, Any]]] = {
    "dilations differ": (lambda c: len({*c.geometry.dilation_rate}) == 2, {"dilation": "h != w"}),
    "strided under same": (
        lambda c: c.geometry.padding == "same" and max(c.geometry.strides) > 1,
        {"padding": "same", "strides": "h > 1 or w > 1"},
    ),
    "several groups": (lambda c: c.geometry.groups > 1, {"groups": "> 1"}),
    "float16": (lambda c: c.compute_dtype == "float16", {"compute_dtype": "float16"}),
    "16 bits": (
        lambda c: c.compute_dtype in ("float16", "bfloat16"),
        {"compute_dtype": ["bfloat16", "float16"]},
    ),
    "as many filters as the output is wide": (
        lambda c: c.filters == c.geometry.output[1],
        {"filters": "filters == output_w"},
    ),
    "channels_first": (
        lambda c: c.geometry.data_format == "channels_first", {"data_format": "channels_first"},
    ),
    "no bias": (lambda c: not c.has_bias, {"bias": False}),
    "depthwise": (
        lambda c: c.geometry.groups == c.geometry.channels > 1,
        {"groups": "(groups > 1) and (groups == channels)"},
    ),
    "one channel": (lambda c: c.geometry.channels == 1, {"channels": "== 1"}),
    "kernel beyond the input": (
        lambda c: any(map(operator.gt, c.geometry.kernel_size, c.geometry.size)),
        {"kernel": "h > input_h or w > input_w"},
    ),
    "one activation": (lambda c: c.activation == "relu", {"activation": "relu"}),
    "no samples": (lambda c: c.geometry.batch == 0, {"batch": "== 0"}),
    "odd total padding along the width": (
        lambda c: sum(c.geometry.pads[1]) % 2 == 1, {"pads": "w % 2 == 1"},
    ),
    "odd total padding along one axis alone": (
        lambda c: len({sum(around) % 2 for around in c.geometry.pads}) == 2,
        {"pads": "h % 2 != w % 2"},
    ),
    "kernel_size = strides": (
        lambda c: c.geometry.kernel_size == c.geometry.strides,
        {"kernel": "h == strides_h and w == strides_w"},
    ),
    "depthwise with a tail": (
        lambda c: c.geometry.groups == c.geometry.channels > 1 and c.geometry.channels % 4 > 0,
        {"groups": "(groups > 1) and (groups == channels)", "channels": "channels % 4 != 0"},
    ),
    "reversed inputs": (lambda c: c.view == "reversed", {"view": "reversed"}),
    "inputs with gaps": (
        lambda c: c.view in ("sliced", "cropped", "split"),
        {"view": ["cropped", "sliced", "split"]},
    ),
    "one row": (lambda c: c.geometry.size[0] == 1, {"input": "h == 1"}),
    "one column under a column": (
        lambda c: c.geometry.size[1] == c.geometry.kernel_size[1] == 1 < c.geometry.kernel_size[0],
        {"input": "w == 1", "kernel": "(h > w) and (w == 1)"},
    ),
    "wide outputs": (lambda c: c.geometry.output[1] > 32, {"output": "w >= 33"}),
    "narrow outputs": (lambda c: c.geometry.output[1] < 4, {"output": "w <= 3"}),
    "few channels": (lambda c: c.geometry.channels <= 3, {"channels": "<= 3"}),
    "many output positions": (
        lambda c: c.geometry.output[0] * c.geometry.output[1] >= 68, {"positions": ">= 68"},
    ),
    "padding in capitals": (
        lambda c: (c.padding or "").isupper(), {"padding_letters": "upper"},
    ),
    "long sums": (lambda c: c.geometry.taps >= 36, {"products": ">= 36"}),
}  # fmt: skip


def split(fails: Callable[[Case], bool]) -> tuple[list[Case], list[Case]]:
    return [c for c in CASES if fails(c)], [c for c in CASES if not fails(c)]


@pytest.mark.parametrize("name", PLANTED)
def test_the_condition_that_was_planted_is_found(name: str):
    fails, when = PLANTED[name]
    failing, passing = split(fails)
    assert len(failing) >= 5
    assert find_condition(failing, passing) == (when, 0)


@pytest.mark.parametrize("name", PLANTED)
def test_a_condition_holds_on_the_failing_cases_and_on_no_other(name: str):
    failing, passing = split(PLANTED[name][0])
    when, also = find_condition(failing, passing)
    assert all(map(parse(when), failing))
    assert sum(map(parse(when), passing)) == also == 0


@pytest.mark.parametrize("name", PLANTED)
def test_a_condition_is_an_expected_failure_as_it_is(tmp_path: Path, name: str):
    failing, passing = split(PLANTED[name][0])
    when, _ = find_condition(failing, passing)
    finding = Finding(
        check="exact_values",
        cause="planted",
        status=Status.FAILED,
        count=len(failing),
        first_at=1,
        minimal_case=str(failing[0]),
        message="planted",
        when=when,
    )
    (tmp_path / "known.toml").write_text(expectation(finding, "mylib"), "utf-8")
    (known,) = load(tmp_path / "known.toml")
    mylib = Info(name="mylib", kind="function")
    covered = [case for case in CASES if known.covers("exact_values", mylib, case)]
    assert covered == [case for case in CASES if case in failing]
    expected_failure(check="exact_values", reason="planted", when=when)


@pytest.mark.parametrize("kinds", [("integers",), ("normal",), ("integers", "normal")])
def test_that_data_are_ordinary_is_no_condition(kinds: tuple[str, ...]):
    """Ladders, further inputs and repeated calls come with nothing else, whatever the fault."""
    failing, passing = split(lambda c: c.geometry.padding == "same" and c.data in kinds)
    when, also = find_condition(failing, passing)
    assert "data" not in when
    assert also == sum(map(parse(when), passing)) > 0


def test_what_cannot_be_told_apart_has_no_condition():
    failing, passing = (
        [Case.parse(f"in1x4x4x1-f2-k2-integers.{first + k}") for k in range(5)]
        for first in (0, 100)
    )
    assert find_condition(failing, passing) == ({}, 5)


def test_what_always_fails_has_no_condition():
    assert find_condition(CASES, []) == ({}, 0)


def test_without_failing_cases_nothing_is_claimed_of_them():
    when, also = find_condition([], CASES)
    assert sum(map(parse(when), CASES)) == also


def test_many_calls_of_one_layer_are_one_thing_to_go_by():
    failing = [Case.parse(f"in{n}x4x4x2-f3-k2-d2-integers.{n}") for n in range(1, 9)]
    passing = [case for case in CASES if max(case.geometry.dilation_rate) == 1][:200]
    passing += [Case.parse(f"in1x4x4x{c}-f{f}-k1-integers.1") for c in (1, 2) for f in range(1, 9)]
    assert "channels" not in find_condition(failing, passing)[0]


FEW = CASES[:120]


@settings(max_examples=40)
@given(st.sets(st.sampled_from(FEW), min_size=1, max_size=40))
def test_a_condition_of_any_failures_holds_on_all_of_them_and_counts_the_others(chosen: set[Case]):
    failing = [case for case in FEW if case in chosen]
    passing = [case for case in FEW if case not in chosen]
    when, also = find_condition(failing, passing)
    assert all(map(parse(when), failing))
    assert sum(map(parse(when), passing)) == also
    assert len(when) <= MOST_TERMS


def test_a_chance_failure_among_many_is_not_dressed_up_as_a_rule():
    """What holds on the failures holds on many others, and their number says so."""
    failing = CASES[::7]
    passing = [case for case in CASES if case not in failing]
    _, also = find_condition(failing, passing)
    assert also > len(passing) / 2
