"""What has one cause is told once, and what has two is told twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from conformance import causes
from conformance.capabilities import FLUSHES, HALF_SUMS
from conformance.case import Case
from conformance.causes import (
    Failing,
    beyond_chance,
    causes_of,
    explanation,
    grouped,
    sentence,
    shown,
)
from conformance.checks import CHECKS
from conformance.results import Evidence, Finding, Status


def case(number: int, groups: int = 1) -> Case:
    return Case.parse(f"in1x4x4x2-f2-k1-g{groups}-integers.{number}")


ODD = [case(n, 2) for n in range(1, 12, 2)]
EVEN = [case(n) for n in range(0, 12, 2)]


def finding(check: str = "exact_values", **changes: Any) -> Finding:
    plain = Finding(
        check=check,
        cause="values differ from the exact result",
        status=Status.FAILED,
        count=6,
        first_at=3,
        minimal_case=str(ODD[0]),
        message="expected 1, got 2",
        also_passing=1,
    )
    return replace(plain, **changes)


def failing(cases: Sequence[Case], passing: Sequence[Case] = ()) -> Failing:
    return Failing({str(c): c for c in cases}, {str(c): c for c in passing})


def parts(findings: Sequence[Finding], met: Sequence[Failing] = ()) -> list[list[int]]:
    return [cause.findings for cause in grouped(findings, met)]


def test_one_fault_is_one_cause():
    found = [finding(diagnosis="bias_twice"), finding("bounded_values", diagnosis="bias_twice")]
    assert parts(found) == [[0, 1]]


def test_two_faults_are_two_whatever_else_they_share():
    found = [
        finding(diagnosis="bias_twice", when={"groups": "> 1"}),
        finding("bounded_values", diagnosis="bias_ignored", when={"groups": "> 1"}),
    ]
    assert parts(found) == [[0], [1]]


def test_what_is_never_checked_on_the_same_case_has_causes_of_its_own():
    half = finding("bounded_values", when={"compute_dtype": "float16"})
    computes = finding("refused_call", when={"compute_dtype": "float16", "groups": "> 1"})
    assert parts([half, computes], [failing(EVEN, ODD[:2]), failing(ODD[2:])]) == [[0], [1]]
    assert parts([half, computes], [failing(EVEN, ODD), failing(ODD[2:])]) == [[0, 1]]


def test_the_condition_of_few_failures_is_no_part_of_the_verdict():
    (cause,) = grouped([finding(when={"groups": "> 1"}, count=2)])
    assert sentence(cause) == "values differ from the exact result"


def test_what_may_be_intended_says_what_to_declare():
    (cause,) = grouped([finding("bounded_values", cause=FLUSHES)])
    assert sentence(cause) == FLUSHES
    assert cause.advice == "if intended, declare Capabilities(flushes_subnormals=True)"
    for when, advice in (
        ({"groups": "== 1"}, "if intended, declare Capabilities(accumulation='float16')"),
        ({"kernel": [3, 3]}, ""),  # no declaration says so
    ):
        (cause,) = grouped([finding("bounded_values", cause=HALF_SUMS["float16"], when=when)])
        assert cause.advice == advice


def test_one_condition_is_one_cause_and_none_is_no_condition():
    where = {"when": {"groups": "> 1"}}
    assert parts([finding(**where), finding("own_memory", **where)]) == [[0, 1]]
    assert parts([finding(), finding("own_memory")]) == [[0], [1]]


def test_the_same_cases_are_one_cause_where_both_checks_were_made():
    met = [failing(ODD, EVEN), failing(ODD[:3], EVEN[:3])]
    assert parts([finding(), finding("own_memory")], met) == [[0, 1]]
    met = [failing(ODD, EVEN), failing(ODD[:3], [*EVEN[:3], ODD[4]])]
    assert parts([finding(), finding("own_memory")], met) == [[0], [1]]


def test_further_calls_that_meet_a_changed_input_belong_to_the_change():
    found = [
        finding("unchanged_inputs", cause="changes the input", when={"batch": "> 1"}),
        finding("batch_independence", when={"batch": "== 2"}),
    ]
    assert parts(found, [failing(ODD, EVEN), failing(ODD[:3], EVEN)]) == [[0, 1]]
    assert parts(found, [failing(ODD, EVEN), failing([*ODD[:3], EVEN[0]], EVEN)]) == [[0], [1]]


def test_what_raises_where_all_else_is_wrong_belongs_to_it():
    found = [
        finding(diagnosis="groups_interleaved", when={"groups": "> 1"}, also_passing=0),
        finding("output_shape", cause="raises ValueError: no", count=2),
    ]
    met = [failing(ODD[:4], EVEN), failing(ODD[4:], [*EVEN, *ODD[:4]])]
    (cause,) = grouped(found, met)
    assert cause.findings == [1, 0]
    assert (cause.diagnosis, cause.when) == ("groups_interleaved", {"groups": "> 1"})
    assert (cause.count, cause.first_at) == (8, 3)


def test_a_crash_on_some_of_the_cases_may_be_a_fault_of_its_own():
    found = [
        finding(when={"groups": "> 1"}, also_passing=0),
        finding("output_shape", cause="ends the process", status=Status.CRASHED),
    ]
    met = [failing(ODD[:4], EVEN), failing(ODD[4:], [*EVEN, *ODD[:4]])]
    assert parts(found, met) == [[1], [0]]


def test_a_fault_that_explains_one_case_by_chance_does_not_name_the_cause():
    found = [
        finding(when={"groups": "> 1"}, also_passing=0),
        finding(cause="returns nothing but zeros", diagnosis="bias_ignored", count=1),
    ]
    met = [failing(ODD[:5], EVEN), failing(ODD[5:], EVEN)]
    (cause,) = grouped(found, met)
    assert (cause.diagnosis, cause.what) == (None, "values differ from the exact result")


def test_a_fault_that_does_not_name_the_cause_does_not_explain_it():
    told = {"diagnosis": "bias_ignored", "explanation": "It ignores the bias."}
    found = [
        finding(count=7, when={"groups": "> 1"}),
        finding(count=3, when={"groups": "> 1"}, **told),
    ]
    (cause,) = grouped(found)
    assert explanation(cause, found) == ""
    (cause,) = grouped(found[1:])
    assert explanation(cause, found[1:]) == "It ignores the bias."


@pytest.mark.parametrize(
    ("others", "name"), [((), "bias_ignored"), ((2,), "bias_ignored"), ((2, 2), None)]
)
def test_a_case_or_two_are_not_named_where_no_fault_explains_many_others(
    others: tuple[int, ...], name: str | None
):
    few = finding(diagnosis="bias_ignored", explanation="It ignores the bias.", count=2)
    *_, last = beyond_chance([*(finding(count=n) for n in others), few])
    assert last.diagnosis == name


def test_a_name_of_a_twentieth_of_the_unnamed_failures_is_chance_as_well():
    named = finding(diagnosis="bias_ignored", explanation="It ignores the bias.", count=9)
    for others, name in ((100, "bias_ignored"), (600, None)):
        *_, last = beyond_chance([finding(count=others), named])
        assert last.diagnosis == name


def test_what_was_not_shown_again_speaks_against_no_name():
    named = finding(diagnosis="bias_ignored", explanation="It ignores the bias.", count=2)
    *_, last = beyond_chance([finding("bounded_values", doubt="chance"), named])
    assert last.diagnosis == "bias_ignored"


def test_what_was_shown_again_leads_what_was_not():
    found = [finding("bounded_values", doubt="chance"), finding("exact_values", count=1)]
    (cause,) = grouped([replace(f, when={"groups": "> 1"}) for f in found])
    assert cause.findings == [1, 0]


def test_a_cause_without_a_condition_passes_where_any_of_its_checks_does():
    found = [
        finding("bounded_values", diagnosis="earlier_kernel", also_passing=3),
        finding("exact_values", diagnosis="earlier_kernel", also_passing=200),
    ]
    (cause,) = grouped(found)
    assert cause.also_passing == 203


def after(check: str, part: str, **changes: Any) -> Finding:
    """What fails after a call that differs from its own in `part`, as in a case string."""
    last = "in1x6x6x2-f2-k2{}-integers.0"
    sequence = f"{last.format(part)}+{last.format('')}"
    return finding(check, minimal_case=sequence, **({"cause": check} | changes))


DILATED = "earlier_dilation"


def test_what_takes_calls_that_differ_in_the_same_has_one_cause_and_its_name():
    found = [
        after("exact_values", "-d2", diagnosis=DILATED, count=1, explanation="It keeps it."),
        after("shapes_agree", "-d2x3", count=21),
        after("varied_output", "-d1x2", count=15),
    ]
    (cause,) = grouped(found)
    assert cause.findings == [0, 1, 2]
    assert (cause.diagnosis, cause.what) == (DILATED, "it keeps it")


@pytest.mark.parametrize(
    "other",
    [
        after("varied_output", "-s2"),
        after("varied_output", "-d2-s2"),
        after("varied_output", "-d2", doubt="chance"),
        finding("varied_output", cause="on its own"),
        # Its values could have told the same, and did not.
        after("bounded_values", "-d2"),
        after("bounded_values", "-d2", diagnosis="earlier_strides"),
    ],
)
def test_what_was_not_shown_to_take_the_same_calls_has_a_cause_of_its_own(other: Finding):
    first = after("exact_values", "-d2", diagnosis=DILATED)
    assert sorted(map(sorted, parts([first, other]))) == [[0], [1]]


def test_calls_that_differ_in_nothing_are_no_common_cause():
    case = "in1x9x9x4-f2-k3-integers.1"
    found = [
        finding(check, minimal_case=f"{case}+{case}", cause=check)
        for check in ("repeated_call", "varied_output")
    ]
    assert sorted(map(sorted, parts(found))) == [[0], [1]]


def test_the_checks_that_can_be_named_by_earlier_calls_are_those_that_are_diagnosed():
    assert {*causes._NAMED} == {c.name for c in CHECKS.values() if c.diagnosed or c.compares_calls}


def test_two_names_are_not_joined_by_what_takes_the_calls_of_both():
    found = [
        after("exact_values", "-d2", diagnosis=DILATED),
        after("special_values", "-d2", diagnosis="earlier_sums"),
        after("varied_output", "-d2", count=2),
    ]
    assert not any({0, 1} <= {*cause} for cause in parts(found))


def test_expected_failures_are_grouped_by_their_reason_and_stand_last():
    known = {"status": Status.EXPECTED_FAILURE, "reason": "known.", "when": {"groups": "> 1"}}
    found = [
        finding("output_dtype", **known),
        finding("exact_values", **known),
        finding("output_dtype", **(known | {"reason": "another"})),
        finding("own_memory", when={"groups": "> 1"}),
    ]
    assert parts(found) == [[3], [0, 1], [2]]


def test_crashes_come_before_shapes_values_and_what_is_left_behind():
    checks = ["own_memory", "unchanged_inputs", "bounded_values", "output_dtype", "output_shape"]
    found = [finding(check, diagnosis="one") for check in checks]
    found[-1] = replace(found[-1], status=Status.TIMED_OUT)
    (cause,) = grouped(found)
    assert cause.findings == [4, 3, 2, 1, 0]
    apart = [replace(f, diagnosis=f"fault{n}") for n, f in enumerate(found)]
    assert parts(apart) == [[4], [3], [2], [1], [0]]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"diagnosis": "x", "explanation": "It swaps two axes, as in MLX #1."},
            "it swaps two axes",
        ),
        ({"cause": "raises ValueError: no"}, "it raises ValueError: no"),
        ({"when": {"groups": "> 1"}}, "values differ from the exact result, where groups > 1"),
        ({"minimal_case": "a+b"}, "values differ from the exact result, after an earlier call"),
        ({"cause": "the next call changes it"}, "the next call changes it"),
        (
            {"status": Status.UNEXPECTED_PASS, "reason": "adds one."},
            "it passes where a failure is expected: adds one",
        ),
    ],
)
def test_a_cause_is_a_sentence(changes: dict[str, Any], told: str):
    (cause,) = grouped([finding(**changes)])
    assert sentence(cause) == told


def test_the_finding_that_leads_has_values_to_show():
    drawn = finding(evidence=Evidence(expected=[[1.0]], got=[[2.0]]))
    assert shown([finding("output_shape"), drawn]) is drawn
    crash = finding("output_shape", status=Status.CRASHED)
    assert shown([crash, drawn]) is crash


def test_a_file_without_causes_has_those_of_its_findings():
    import report_samples as samples

    assert samples.failing().causes == []
    assert len(causes_of(samples.failing())) == 9


@pytest.mark.parametrize(
    ("when", "declared"),
    [
        ({"compute_dtype": "bfloat16"}, "dtypes=('float16', 'float32', 'float64')"),
        ({"compute_dtype": ["bfloat16", "float16"]}, "dtypes=('float32', 'float64')"),
        ({"data_format": "channels_first"}, "data_formats=('channels_last',)"),
        ({"padding": "same"}, "paddings=('valid',)"),
        ({"groups": "> 1"}, "groups=False"),
        ({"dilation": "h > 1 or w > 1"}, "dilation=False"),
    ],
)
def test_what_is_not_there_is_told_last_with_what_to_declare(when: dict[str, Any], declared: str):
    absent = finding("output_shape", cause="raises TypeError: no", when=when, also_passing=0)
    wrong = finding(when={"kernel": "h != w"}, first_at=90)
    told = grouped([absent, wrong])
    assert [cause.findings for cause in told] == [[1], [0]]
    assert [cause.advice for cause in told] == [
        "",
        f"if intended, raise conformance.Unsupported, or declare Capabilities({declared})",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"also_passing": 1},
        {"cause": "returns a wrong output shape"},
        {"when": {"groups": "> 1", "padding": "same"}},
        {"when": {"kernel": "h != w"}},
        {"when": {}},
        {"status": Status.CRASHED, "cause": "ends the process"},
    ],
)
def test_what_fails_otherwise_has_no_advice(changes: dict[str, Any]):
    plain = {"cause": "raises TypeError: no", "when": {"groups": "> 1"}, "also_passing": 0}
    (cause,) = grouped([finding("output_shape", **{**plain, **changes})])
    assert cause.advice == ""
