"""Expected failures are conditions on a case; the shipped ones are true of real Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conformance.campaign.measure import outcomes_of
from conformance.campaign.pool import WorkerProcess
from conformance.case import Case
from conformance.errors import UsageError
from conformance.expectations import Expectation, load, shipped
from conformance.results import Outcome, Status

CASE = Case.parse("in2x8x9x6-f4-k3x2-s1x2-same-g2-a.relu-float16-integers.1")  # output 8 x 5


def entries(tmp_path: Path, text: str) -> list[Expectation]:
    path = tmp_path / "xfail.toml"
    path.write_text(text, "utf-8")
    return load(path)


def entry(tmp_path: Path, when: str = "", **more: str) -> Expectation:
    lines = ["[[expected_failure]]", 'check = "exact_values"', 'reason = "known"']
    lines += [f"{key} = {value}" for key, value in more.items()]
    lines += [f"when = {{ {when} }}"] if when else []
    return entries(tmp_path, "\n".join(lines))[0]


def covers(expectation: Expectation, case: Case = CASE, **changes: str) -> bool:
    given = {"check": "exact_values", "implementation": "mylib:conv", "version": "1.2"} | changes
    return expectation.covers(case=case, **given)


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ('padding = "same"', True),
        ('padding = "valid"', False),
        ('padding = ["valid", "same"]', True),
        ('data_format = "channels_last"', True),
        ('dtype = "float16"', True),
        ('compute_dtype = ["float16", "bfloat16"]', True),
        ('activation = "relu"', True),
        ('activation = "linear"', False),
        ('data = "integers"', True),
        ('view = "none"', True),
        ("bias = true", True),
        ("bias = false", False),
        ("batch = 2", True),
        ("batch = 3", False),
        ('channels = "> 5"', True),
        ('channels = "> 6"', False),
        ('filters = ">= 4"', True),
        ('groups = "!= 1"', True),
        ('groups = "< 2"', False),
        ('groups = "groups > 1 and groups < 3"', True),
        ("kernel = [3, 2]", True),
        ("kernel = [2, 3]", False),
        ("kernel = 3", False),
        ('kernel = "h == 3"', True),
        ('kernel = "h > w"', True),
        ('strides = "h != w"', True),
        ('strides = "h == w"', False),
        ('strides = "> 1"', False),
        ('strides = "h > 1 or w > 1"', True),
        ('dilation = "== 1"', True),
        ('input = "1 < h < w"', True),
        ("output = [8, 5]", True),
        ('filters = "== output_w"', False),
        ('filters = "== output_w - 1"', None),
        ('filters = "< output_w"', True),
        ('filters = "filters + 1 == output_w"', None),
        ('batch = "== strides_w"', True),
        ('channels = "channels > filters and channels < kernel_h"', False),
        ('padding = "same", groups = 2', True),
        ('padding = "same", groups = 3', False),
    ],
)
def test_a_condition_holds_or_not(tmp_path: Path, when: str, holds: bool | None):
    if holds is None:  # arithmetic is not part of the language
        with pytest.raises(UsageError, match="cannot read this"):
            entry(tmp_path, when)
    else:
        assert covers(entry(tmp_path, when)) is holds


@pytest.mark.parametrize(
    ("more", "changes", "holds"),
    [
        ({}, {}, True),
        ({}, {"check": "bounded_values"}, False),
        ({"implementation": '"mylib:*"'}, {}, True),
        ({"implementation": '"other:*"'}, {}, False),
        ({"version": '"1.*"'}, {}, True),
        ({"version": '"2.*"'}, {}, False),
    ],
)
def test_an_entry_is_for_a_check_an_implementation_and_a_version(
    tmp_path: Path, more: dict[str, str], changes: dict[str, str], holds: bool
):
    assert covers(entry(tmp_path, **more), **changes) is holds


def test_an_entry_may_name_several_checks(tmp_path: Path):
    text = '[[expected_failure]]\ncheck = ["exact_values", "bounded_values"]\nreason = "known"\n'
    (both,) = entries(tmp_path, text)
    assert [covers(both, check=c) for c in ("exact_values", "bounded_values", "output_dtype")] == [
        True,
        True,
        False,
    ]


def test_an_empty_file_expects_nothing(tmp_path: Path):
    assert entries(tmp_path, "") == []


HEAD = '[[expected_failure]]\ncheck = "exact_values"\nreason = "known"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("check = ", ["is not TOML"]),
        ('[other]\na = "b"\n', ["[[expected_failure]]"]),
        ('[expected_failure]\ncheck = "exact_values"\n', ["[[expected_failure]]"]),
        ("expected_failure = [1]\n", ["entry 1"]),
        ('[[expected_failure]]\nreason = "known"\n', ["entry 1", "check is missing"]),
        ('[[expected_failure]]\ncheck = "exact_values"\n', ["entry 1", "reason is missing"]),
        (
            HEAD + '[[expected_failure]]\ncheck = "x"\nreason = "y"\n',
            ["entry 2", "'x'", "exact_values"],
        ),
        (HEAD + 'cheque = "x"\n', ["entry 1", "'cheque'", "implementation"]),
        (HEAD + "implementation = 3\n", ["entry 1", "implementation"]),
        (HEAD + "version = 3\n", ["entry 1", "version"]),
        (HEAD.replace('"known"', "3"), ["entry 1", "reason"]),
        (HEAD.replace('"exact_values"', "3"), ["entry 1", "check"]),
        (HEAD + 'when = "same"\n', ["entry 1", "when"]),
        (HEAD + "when = { pading = 'same' }\n", ["entry 1", "'pading'", "padding"]),
        (HEAD + "when = { padding = 'sane' }\n", ["entry 1", "'sane'", "same"]),
        (HEAD + "when = { activation = 'rleu' }\n", ["entry 1", "'rleu'"]),
        (HEAD + "when = { bias = 'yes' }\n", ["entry 1", "'yes'"]),
        (HEAD + "when = { dtype = 'float8' }\n", ["entry 1", "'float8'"]),
        (HEAD + "when = { groups = 'many' }\n", ["entry 1", "groups", "'many'"]),
        (HEAD + "when = { groups = '3' }\n", ["entry 1", "groups", "'3'"]),
        (HEAD + "when = { groups = 'groups' }\n", ["entry 1", "groups"]),
        (HEAD + "when = { groups = true }\n", ["entry 1", "groups"]),
        (HEAD + "when = { groups = '> 1; import os' }\n", ["entry 1", "groups"]),
        (HEAD + "when = { groups = '> f()' }\n", ["entry 1", "groups"]),
        (HEAD + "when = { groups = '> x' }\n", ["entry 1", "groups"]),
        (HEAD + "when = { groups = [1, 2] }\n", ["entry 1", "groups"]),
        (HEAD + "when = { kernel = [1, 2, 3] }\n", ["entry 1", "kernel", "h and w"]),
        (HEAD + "when = { kernel = ['a', 'b'] }\n", ["entry 1", "kernel"]),
        (HEAD + "when = { kernel = 1.5 }\n", ["entry 1", "kernel", "1.5"]),
    ],
)
def test_a_bad_file_is_refused_with_the_entry_and_what_is_allowed(
    tmp_path: Path, text: str, words: list[str]
):
    with pytest.raises(UsageError) as caught:
        entries(tmp_path, text)
    message = str(caught.value)
    assert "xfail.toml" in message
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path, name: str):
    with pytest.raises(UsageError) as caught:
        load(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path):
    (tmp_path / "xfail.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"xfail\.toml"):
        load(tmp_path / "xfail.toml")


# The shipped ones, on real Keras ------------------------------------------------------------------

# A case for each shipped entry, found by a word of its reason, with the check that fails.
FAULTS: list[tuple[str, str, str]] = [
    ("channels_first with as many filters", "in1x2x1x4-f4-k1-g2-cf-integers.1", "exact_values"),
    ("channels_first with as many filters", "in1x2x1x4-f4-k1-g2-cf-normal.1", "bounded_values"),
    ("sparsemax", "in1x3x3x2-f4-k2-a.sparsemax-normal.2", "bounded_values"),
    ("squareplus in float16", "in1x3x3x1-f4-k1-a.squareplus-float16-integers.1", "bounded_values"),
    ("gelu and leaky_relu in float64", "in1x3x3x2-f4-k2-a.gelu-float64-normal.1", "bounded_values"),
    (
        "gelu and leaky_relu in float64",
        "in1x3x3x2-f4-k2-a.leaky_relu-float64-normal.1",
        "bounded_values",
    ),
]


def outcomes(keras_worker: WorkerProcess, case: Case) -> dict[str, Outcome]:
    subject = keras_worker.start()
    (reply,) = keras_worker.run((case,))
    return {o.check: o for o in outcomes_of(reply, 1, case, subject, shipped())}


def test_every_shipped_entry_has_a_case():
    starts = [start for start, _, _ in FAULTS]
    for expectation in shipped():
        assert any(expectation.reason.startswith(start) for start in starts), expectation.reason
        assert expectation.implementation == "keras-tensorflow"


@pytest.mark.parametrize(("reason", "text", "check"), FAULTS)
def test_a_shipped_fault_exists_in_real_keras(
    keras_worker: WorkerProcess, reason: str, text: str, check: str
):
    found = outcomes(keras_worker, Case.parse(text))
    assert found[check].status is Status.EXPECTED_FAILURE
    assert found[check].reason.startswith(reason)
    others = {o.status for name, o in found.items() if name != check}
    assert others <= {Status.PASSED, Status.UNEXPECTED_PASS}


@pytest.mark.parametrize(
    "text",
    [
        "in1x2x1x4-f4-k1-g2-cf-nobias-integers.1",
        "in1x2x1x3-f4-k1-g2-cf-integers.1",
        "in1x3x3x3-f3-k1-integers.1",
        "in1x3x3x1-f4-k1-a.squareplus-integers.1",
        "in1x3x3x2-f4-k2-a.gelu-normal.1",
    ],
)
def test_beside_a_shipped_fault_real_keras_passes(keras_worker: WorkerProcess, text: str):
    found = outcomes(keras_worker, Case.parse(text))
    assert {o.status for o in found.values()} == {Status.PASSED}


def test_a_pass_where_a_failure_is_expected_is_told(tmp_path: Path):
    from conformance.campaign.messages import Subject
    from conformance.checks import Judgement

    subject = Subject("mylib:conv", "function", "1.2", "float64", False, 0.0)
    reply = [
        Judgement("exact_values", Status.PASSED),
        Judgement("output_shape", Status.PASSED),
        Judgement("output_dtype", Status.FAILED, "cause"),
    ]
    found: list[Any] = outcomes_of(reply, 1, CASE, subject, [entry(tmp_path)])
    assert [o.status for o in found] == [Status.UNEXPECTED_PASS, Status.PASSED, Status.FAILED]
    assert [o.reason for o in found] == ["known", "", ""]
