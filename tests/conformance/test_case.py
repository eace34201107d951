"""A case string says a configuration in one line, without loss, and the same in every release."""

from __future__ import annotations

import string
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given

from conformance.axes import AsList
from conformance.case import Case, CaseError, format_sequence, parse_sequence
from conformance.plan import Example
from conformance.plan.free import examples

# Published case strings. They stand in bug reports: none of these lines may ever change.
STABLE: dict[str, dict[str, Any]] = {
    "in1x4x4x1-f1-k3-integers.0": {
        "input_shape": (1, 4, 4, 1), "filters": 1, "kernel_size": 3, "data": "integers", "seed": 0,
    },
    "in2x8x9x3-f16-k3x2-s2-same-g1-a.relu-nobias-float16-integers.7": {
        "input_shape": (2, 8, 9, 3), "filters": 16, "kernel_size": (3, 2), "strides": 2,
        "padding": "same", "groups": 1, "activation": "relu", "use_bias": False,
        "dtype": "float16", "data": "integers", "seed": 7,
    },
    "in0x5x6x4-f4-k3,2-s1x2-valid-g2-cl-bias-float64-view.sliced-normal.65535": {
        "input_shape": (0, 5, 6, 4), "filters": 4, "kernel_size": AsList((3, 2)),
        "strides": (1, 2), "padding": "valid", "groups": 2, "data_format": "channels_last",
        "use_bias": True, "dtype": "float64", "view": "sliced", "data": "normal",
        "seed": 65535,
    },
    "in1x2x7x8-f3-k1x1-d2,1-SAME-cf-a.gelu-mixed_bfloat16-view.transposed-cancelling.12": {
        "input_shape": (1, 2, 7, 8), "filters": 3, "kernel_size": (1, 1),
        "dilation_rate": AsList((2, 1)), "padding": "SAME", "data_format": "channels_first",
        "activation": "gelu", "dtype": "mixed_bfloat16", "view": "transposed",
        "data": "cancelling", "seed": 12,
    },
    "in3x4x4x1-f1-k2-d3-Valid-a.linear-bfloat16-view.reversed-wide.1": {
        "input_shape": (3, 4, 4, 1), "filters": 1, "kernel_size": 2, "dilation_rate": 3,
        "padding": "Valid", "activation": "linear", "dtype": "bfloat16", "view": "reversed",
        "data": "wide", "seed": 1,
    },
    "in1x97x113x7-f2-k3x3-s1,1-a.log_softmax-mixed_float16-integers.4294967296": {
        "input_shape": (1, 97, 113, 7), "filters": 2, "kernel_size": (3, 3),
        "strides": AsList((1, 1)), "activation": "log_softmax", "dtype": "mixed_float16",
        "data": "integers", "seed": 4294967296,
    },
    "in1x4x4x1-f1-k1-float32-a.hard_swish-integers.3": {
        "input_shape": (1, 4, 4, 1), "filters": 1, "kernel_size": 1, "dtype": "float32",
        "activation": "hard_swish", "data": "integers", "seed": 3,
    },
    "in1x6x5x4-f2-k2x3-s2-d1x2-valid-cl-float32-small.5": {
        "input_shape": (1, 6, 5, 4), "filters": 2, "kernel_size": (2, 3), "strides": 2,
        "dilation_rate": (1, 2), "padding": "valid", "data_format": "channels_last",
        "dtype": "float32", "data": "small", "seed": 5,
    },
    "in1x4x4x2-f3-k3-bias-float32-view.sliced-kernel.oihw-bias.reversed-integers.6": {
        "input_shape": (1, 4, 4, 2), "filters": 3, "kernel_size": 3, "use_bias": True,
        "dtype": "float32", "view": "sliced", "kernel_view": "oihw", "bias_view": "reversed",
        "data": "integers", "seed": 6,
    },
    "in2x2x4x4-f4-k2-cf-float16-view.split-kernel.split-w.15-uneven.8": {
        "input_shape": (2, 2, 4, 4), "filters": 4, "kernel_size": 2,
        "data_format": "channels_first", "dtype": "float16", "view": "split",
        "kernel_view": "split", "weights": 15, "data": "uneven", "seed": 8,
    },
}  # fmt: skip


def written(case: Case) -> dict[str, Any]:
    """Every field with its type: a list and a tuple of equal numbers are not alike."""
    values = {f.name: getattr(case, f.name) for f in fields(case) if f.compare}
    return {name: (type(value), value) for name, value in values.items()}


@given(examples())
def test_a_case_string_reads_back_as_it_was_written(example: Example):
    for case in example:
        assert written(Case.parse(str(case))) == written(case)
    assert [written(c) for c in parse_sequence(format_sequence(example))] == [
        written(c) for c in example
    ]


@given(examples())
def test_a_case_string_is_one_short_line_without_quoting_trouble(example: Example):
    for case in example:
        assert len(str(case)) < 160
        assert not set(str(case)) - set(string.ascii_letters + string.digits + "-.,_")


@pytest.mark.parametrize("text", STABLE)
def test_published_case_strings_keep_their_meaning(text: str):
    assert written(Case.parse(text)) == written(Case(**STABLE[text]))


REORDERED = "in1x4x4x1-f1-k1-float32-a.hard_swish-integers.3"  # tokens may come in any order


@pytest.mark.parametrize("text", [text for text in STABLE if text != REORDERED])
def test_published_case_strings_are_still_written_so(text: str):
    assert str(Case(**STABLE[text])) == text


@pytest.mark.parametrize(
    ("text", "argument"),
    [
        ("k3", 3),
        ("k3x2", (3, 2)),
        ("k3x3", (3, 3)),
        ("k3,2", [3, 2]),
        ("k3,3", [3, 3]),
    ],
)
def test_an_argument_reaches_the_layer_as_it_is_written(text: str, argument: Any):
    given = Case.parse(f"in1x5x5x1-f1-{text}-integers.0").layer_arguments()["kernel_size"]
    assert (type(given), given) == (type(argument), argument)


def test_what_is_not_written_is_not_passed():
    arguments = Case.parse("in1x5x5x1-f2-k3-integers.0").layer_arguments()
    assert arguments == {"filters": 2, "kernel_size": 3}


def test_a_function_is_given_pairs_and_every_argument():
    case = Case.parse("in1x5x5x2-f2-k3-s2-d1,1-SAME-g2-integers.0")
    assert case.function_arguments() == {
        "strides": (2, 2),
        "padding": "same",
        "data_format": "channels_last",
        "dilation_rate": (1, 1),
        "groups": 2,
    }


def test_sizes_follow_the_layout():
    case = Case.parse("in2x6x7x8-f4-k3x2-g2-cf-integers.0")
    assert (case.geometry.batch, case.geometry.channels, case.geometry.size) == (2, 6, (7, 8))
    assert case.kernel_shape == (3, 2, 3, 4)
    assert case.geometry.output_shape == (2, 4, 5, 7)


@pytest.mark.parametrize(
    ("policy", "computes", "keeps"),
    [
        (None, "float32", "float32"),
        ("float16", "float16", "float16"),
        ("mixed_float16", "float16", "float32"),
        ("mixed_bfloat16", "bfloat16", "float32"),
    ],
)
def test_policies_name_two_dtypes(policy: str | None, computes: str, keeps: str):
    case = Case(input_shape=(1, 4, 4, 1), filters=1, kernel_size=1, dtype=policy)
    assert (case.compute_dtype, case.variable_dtype) == (computes, keeps)


@given(examples())
def test_one_layer_serves_the_cases_that_share_arguments_and_channels(example: Example):
    for a in example:
        for b in example:
            same = repr(a.layer_arguments()) == repr(b.layer_arguments())
            assert (a.layer_key() == b.layer_key()) == (
                same and a.geometry.channels == b.geometry.channels
            )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "''"),
        ("nonsense", "'nonsense'"),
        ("in1x4x4x1-f1-k3-sane-integers.0", "'sane'"),
        ("in1x4x4x1-f1-k3-integer.0", "'integer.0'"),
        ("in1x4x4x1-f1-k3-integers", "'integers'"),
        ("in1x4x4x1-f1-k3-integers.", "'integers.'"),
        ("in1x4x4x1-f1-k3-integers.-1", "'integers.'"),
        ("in1x4x4-f1-k3-integers.0", "'in1x4x4'"),
        ("in1x4x4x1x1-f1-k3-integers.0", "'in1x4x4x1x1'"),
        ("in1x4x4x1-f0-k3-integers.0", "'f0'"),
        ("in1x4x4x1-f1-k0-integers.0", "'k0'"),
        ("in1x4x4x1-f1-k3x0-integers.0", "'k3x0'"),
        ("in1x4x4x1-f1-k3x3x3-integers.0", "'k3x3x3'"),
        ("in1x4x4x1-f1-k3-s0-integers.0", "'s0'"),
        ("in1x4x4x1-f1-k3-d0-integers.0", "'d0'"),
        ("in1x4x4x1-f1-k3-g0-integers.0", "'g0'"),
        ("in1x4x4x1-f1-k3-k3-integers.0", "'k3'"),
        ("in1x4x4x1-f1-k3-integers.0-normal.1", "'normal.1'"),
        ("in1x4x4x1-f1-k3-w.1-w.2-integers.0", "'w.2'"),
        ("w.1-in1x4x4x1-f1-k3-w.2-integers.0", "'w.2'"),
        ("in1x4x4x1-f1-k3-a.rleu-integers.0", "'a.rleu'"),
        ("in1x4x4x1-f1-k3-int8-integers.0", "'int8'"),
        ("in1x4x4x1-f1-k3-view.strange-integers.0", "'view.strange'"),
        ("in1x4x4x1-f1-k3-cx-integers.0", "'cx'"),
        ("in1x4x4x1--f1-k3-integers.0", "''"),
        ("in1x4x4x1-f1-k3-integers.0+", "''"),
        ("f1-k3-integers.0", "input_shape is missing"),
        ("in1x4x4x1-k3-integers.0", "filters is missing"),
        ("in1x4x4x1-f1-integers.0", "kernel_size is missing"),
        ("in1x4x4x1-f1-k3", "data is missing"),
        ("in1x4x4x1-f1-k5-integers.0", "zero or negative"),
        ("in1x4x4x3-f4-k3-g2-integers.0", "groups=2 must divide the 3 channels"),
        ("in1x4x4x3-f5-k3-a.glu-integers.0", "glu halves the last axis of the output, which has 5"),
        ("in1x2x3x3-f4-k1-cf-a.glu-integers.0", "last axis of the output, which has 3 elements"),
        ("in1x4x4x4-f3-k3-g2-integers.0", "and the 3 filters"),
        ("in1x4x4x0-f1-k2-integers.0", "in1x4x4x0"),
        ("in1x0x4x1-f1-k2-same-integers.0", "in1x0x4x1"),
        ("in1x４x4x1-f1-k2-integers.0", "in1x４x4x1"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_sentence_that_names_it(text: str, named: str):
    with pytest.raises(CaseError) as caught:
        parse_sequence(text)
    message = str(caught.value)
    assert "\n" not in message
    assert named in message


def test_cases_that_begin_alike_differ_in_their_data_alone():
    plain = {"input_shape": (1, 4, 4, 1), "filters": 1, "kernel_size": 3}
    for text, other in {
        "w.2-integers.0": {"weights": 2},
        "integers.0": {},
        "special.7": {"data": "special", "seed": 7},
    }.items():
        case = Case.parse(f"in1x4x4x1-f1-k3-{text}")
        assert case == Case(**plain, **other)
        assert str(case) == f"in1x4x4x1-f1-k3-{text}"
        assert case.alike == ("in1x4x4x1-f1-k3", case.data)
    assert Case.parse("w.3-in1x4x4x1-f1-k3-integers.0") == Case(**plain, weights=3)


def test_what_is_refused_is_shown_with_its_own_data():
    for text in ("in1x4x4x1-f1-k5-integers.0", "in1x4x4x1-f1-k5-w.4-special.77"):
        with pytest.raises(CaseError, match=f"case '{text}'"):
            Case.parse(text)
