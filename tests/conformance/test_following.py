"""Sequences like a known one, and cases beside one: what differs is what was to differ."""

from __future__ import annotations

import pytest

from conformance.case import Case, format_sequence, parse_sequence
from conformance.differing import differing, parts, with_parts
from conformance.plan.beside import around, beside, near
from conformance.plan.following import following, nearer, plainer

DILATION = "in1x6x6x2-f2-k2-d3x1-integers.4+in1x6x6x2-f2-k2-integers.4"
VALUES = "in1x6x6x2-f2-k2-integers.4+in1x6x6x2-f2-k2-normal.5"
SMALLER, LARGER = "in3x6x6x2-f2-k2", "in4x6x6x2-f2-k2"
EXCEEDS = "in1x3x3x1-f1-k3x1-but.kernel_exceeds_input"
PADDED = "in1x9x9x1-f1-k3x1"
SEVERAL = "in1x6x6x2-f2-k2-float64-integers.1+in1x6x6x2-f2-k2-same-integers.2"


def test_the_way_an_argument_is_written_is_no_difference():
    same = "in1x6x6x2-f2-k2-s1-d1-valid-cl-a.linear-integers.0+in1x6x6x2-f2-k2,2-bias-integers.0"
    assert not differing(parse_sequence(same))


@pytest.mark.parametrize(
    ("known", "names"),
    [
        (DILATION, {"dilation_rate"}),
        (VALUES, {"data", "seed"}),
        (SEVERAL, {"dtype", "padding", "seed"}),
        (f"{DILATION.split('+')[0]}+{VALUES}", {"dilation_rate", "data", "seed"}),
    ],
)
def test_calls_differ_in_what_was_given(known: str, names: set[str]):
    assert differing(parse_sequence(known)) == names


def test_a_case_with_no_part_changed_is_the_same():
    case = Case.parse("in2x3x5x6-f4-k2x3-s2-cf-float16-normal.3")
    assert parts(with_parts(case, parts(case))) == parts(case)


@pytest.mark.parametrize(
    ("known", "case", "earlier"),
    [
        (DILATION, "in1x9x9x4-f2-k3-s2-integers.9", "in1x9x9x4-f2-k3-s2-d2x1-integers.9"),
        (DILATION, "in1x9x9x4-f2-k3-d3x1-integers.9", "in1x9x9x4-f2-k3-d4x1-integers.9"),
        (
            f"{SMALLER}-float16-integers.0+{LARGER}-integers.0",
            f"{LARGER}-integers.9",
            f"{SMALLER}-float16-integers.9",
        ),
        (VALUES, "in1x9x9x4-f2-k3-w.6-special.9", "in1x9x9x4-f2-k3-integers.10"),
    ],
)
def test_a_case_follows_one_that_differs_in_the_same(known: str, case: str, earlier: str):
    first, *others = following(parse_sequence(known), Case.parse(case))
    assert format_sequence(first) == f"{earlier}+{case}"
    assert not others


@pytest.mark.parametrize(
    ("known", "case"),
    [
        (DILATION, "in1x3x3x4-f2-k3-integers.9"),  # a dilated kernel would need a larger input
        (f"{LARGER}-integers.0+{LARGER}-integers.0", f"{LARGER}-integers.9"),  # the same call twice
        (f"{PADDED}-same-integers.0+{PADDED}-integers.0", f"{EXCEEDS}-integers.1"),  # no such call
    ],
)
def test_no_call_is_put_before_a_case_that_does_not_differ_as_the_known_one(known: str, case: str):
    for example in following(parse_sequence(known), Case.parse(case)):
        assert differing(example) == differing(parse_sequence(known)) != frozenset()
        assert parse_sequence(format_sequence(example)) == example


def test_the_life_of_a_layer_follows_a_plain_call_or_else_a_life():
    case = "in1x9x9x4-f2-k3-but.input.float16-integers.9"
    found = following(parse_sequence(DILATION), Case.parse(case))
    earlier = "in1x9x9x4-f2-k3-d2x1{}-integers.9"
    assert list(map(format_sequence, found)) == [
        f"{earlier.format('')}+{case}",
        f"{earlier.format('-but.input.float16')}+{case}",
    ]


def test_a_varied_argument_may_have_the_value_of_a_call_that_differs_by_one():
    case = "in1x9x9x4-f2-k3-but.dilation_rate.uneven-integers.9"  # (2, 1)
    found = following(parse_sequence(DILATION), Case.parse(case))
    earlier = [format_sequence(example[:-1]) for example in found[:2]]
    assert earlier == ["in1x9x9x4-f2-k3-d2x1-integers.9", "in1x9x9x4-f2-k3-d3x1-integers.9"]


def test_the_plainest_sequence_comes_first_and_differs_in_the_same():
    known = parse_sequence(
        "in2x9x9x6-f4-k3x2-s2-d2-same-a.relu-float16-normal.4"
        "+in2x9x9x6-f4-k3x2-s2-same-a.relu-float16-normal.4"
    )
    plainest, *_ = plainer(known)
    assert format_sequence(plainest) == "in1x6x6x1-f1-k2-d2-normal.4+in1x6x6x1-f1-k2-normal.4"
    assert differing(plainest) == differing(known)


def test_one_difference_after_the_other_is_tried_alone():
    known = parse_sequence(SEVERAL)
    assert [differing(one) for one in nearer(known)] == [{"dtype"}, {"padding"}, {"seed"}]
    assert {one[-1] for one in nearer(known)} == {known[-1]}
    assert not nearer(parse_sequence(DILATION))


def test_beside_a_case_stand_those_with_a_number_more_or_less():
    found = list(map(str, beside(Case.parse("in1x1x1x9-f1-k1-integers.0"))))
    for channels in (8, 10, 11, 18):
        assert f"in1x1x1x{channels}-f1-k1-integers.0" in found
    assert "in0x1x1x9-f1-k1-integers.0" in found
    assert "in1x1x1x9-f1-k1-integers.0" not in found


def test_a_case_is_tried_with_each_number_of_another():
    one, other = (Case.parse(f"in{n}-integers.0") for n in ("0x4x4x9-f1-k1", "2x6x6x3-f4-k2-s2"))
    found = list(map(str, near(one, [other])))
    assert "in0x6x6x3-f4-k2-s2-integers.0" in found
    assert "in2x6x6x9-f4-k2-s2-integers.0" in found
    assert "in2x6x6x3-f4-k1-s2-integers.0" in found
    assert {*map(str, beside(one))} < {*found}


def test_around_a_case_stand_those_with_another_word():
    found = list(map(str, around(Case.parse("in1x4x5x2-f3-k3-integers.0"))))
    for other in (
        *("in1x2x4x5-f3-k3-cf-integers.0", "in1x4x5x2-f3-k3-same-integers.0"),
        *("in1x4x5x2-f3-k3-float16-integers.0", "in1x4x5x2-f3-k3-nobias-integers.0"),
    ):
        assert other in found
    assert all(Case.parse(text) for text in found)


def test_a_case_is_tried_with_valid_numbers_only():
    one, other = (Case.parse(f"in{n}-integers.0") for n in ("1x4x4x9-f3-k1-g3", "2x6x6x4-f4-k2"))
    assert all(Case.parse(str(found)) for found in near(one, [other]))


def test_beside_a_case_both_axes_are_changed_together_too():
    found = list(map(str, beside(Case.parse("in1x5x5x1-f1-k1-s2-integers.0"))))
    assert "in1x6x6x1-f1-k2-s2-integers.0" in found
    assert "in1x3x3x1-f1-k1-s1-integers.0" in found
