"""Expected failures are conditions on a case; the shipped ones are true of real Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import planted
import pytest

from conformance.campaign import run
from conformance.campaign.run import Settings
from conformance.case import Case
from conformance.checks import CHECKS, Judgement
from conformance.errors import UsageError
from conformance.expectations import (
    Expectation,
    expected_failure,
    load,
    own_expectations,
    shipped,
)
from conformance.implementations.info import Info
from conformance.journals.outcomes import Outcome, outcomes_of
from conformance.processes.limits import Limits
from conformance.processes.worker import Worker
from conformance.results import ImplementationResult, Status, Verdict
from conformance.targets import Target, wrap

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
    info = Info(name=given["implementation"], kind="function", version=given["version"])
    return expectation.covers(given["check"], info, case)


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
        ('filters = "== output_w - 1"', True),
        ('filters = "< output_w"', True),
        ('filters = "filters + 1 == output_w"', True),
        ('kernel = "(output_h - 1) * strides_h + h - input_h <= -3"', False),
        ('kernel = "h >= -strides_h * 2"', True),
        ('kernel = "h / 2 == 1"', None),
        ('channels = "channels % 4 == 2"', True),
        ('channels = "channels % 2 == 1"', False),
        ('channels = "channels % 0 == 1"', None),
        ('channels = "channels % groups == 1"', None),
        ('batch = "== strides_w"', True),
        ('channels = "channels > filters and channels < kernel_h"', False),
        ('padding = "same", groups = 2', True),
        ('padding = "same", groups = 3', False),
    ],
)
def test_a_condition_holds_or_not(tmp_path: Path, when: str, holds: bool | None):
    if holds is None:  # division is not part of the language, nor a remainder by anything
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
        (HEAD + "strict = 1\n", ["entry 1", "strict", "true or false"]),
        (HEAD + 'strict = "yes"\n', ["entry 1", "strict", "'yes'"]),
        (HEAD + "foreign_memory = 1\n", ["entry 1", "foreign_memory", "true or false"]),
        (HEAD + "foreign_memory = true\nstrict = true\n", ["entry 1", "exclude each other"]),
        (HEAD + "leaves_traces = 1\n", ["entry 1", "leaves_traces", "true or false"]),
        (HEAD + "when = { onednn = 'on' }\n", ["entry 1", "'on'", "true, false"]),
        (HEAD + "when = { isa = 'avx1' }\n", ["entry 1", "'avx1'", "amx, avx512, avx2"]),
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


# On what is measured itself -----------------------------------------------------------------------


def campaign(attribute: str, examples: int = 30, **settings: Any) -> ImplementationResult:
    """A campaign on an implementation of ``planted``, without real Keras."""
    given = {"examples": examples, "jobs": 1, "witness": False} | settings
    target = Target(f"planted:{attribute}")
    (result,) = run.run(Settings(implementations=(target,), **given)).report.implementations
    return result


def marked(target: Any) -> list[Expectation]:
    return own_expectations("planted", wrap("planted", target).expected_failures)


@pytest.mark.parametrize(
    "target",
    [
        planted.swapped_as_expected,
        planted.OffByOne,
        planted.OffByOne(),
        planted.WithoutShapes,
    ],
)
def test_a_function_a_layer_class_and_an_implementation_carry_what_is_expected_of_them(target: Any):
    assert marked(target)


def test_what_is_marked_is_what_was_written():
    (known,) = marked(planted.swapped_as_expected)
    assert known.checks == ("output_shape", "exact_values", "bounded_values", "special_values")
    assert (known.reason, known.link) == ("swaps the two dilations", "https://example.org/1")
    assert not known.strict
    anybody = Info(name="any name", kind="function", version="any version")
    assert known.covers("exact_values", anybody, Case.parse("in1x9x9x1-f1-k3-d1x2-integers.0"))
    assert not known.covers("exact_values", anybody, CASE)


def test_marks_add_up_and_a_mark_is_not_passed_up_to_the_parent():
    class Child(planted.OffByOne):
        pass

    expected_failure(check="repeated_call", reason="throws dice")(Child)
    assert [entry.reason for entry in marked(Child)] == [
        *(entry.reason for entry in marked(planted.OffByOne)),
        "throws dice",
    ]
    assert len(marked(planted.OffByOne)) == 3
    assert marked(planted.Declared) == []


def test_marking_changes_nothing_else():
    def conv2d(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        return x

    assert expected_failure(check="exact_values", reason="returns its input")(conv2d) is conv2d
    assert conv2d(1, 2) == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"check": "exact_value"}, ["'exact_value'", "exact_values"]),
        ({"check": []}, ["check is missing"]),
        ({"reason": ""}, ["reason is missing"]),
        ({"reason": None}, ["reason must be text"]),
        ({"when": {"pading": "same"}}, ["'pading'", "padding"]),
        ({"when": {"dilation": "h <> w"}}, ["dilation", "cannot read this"]),
        ({"strict": 1}, ["strict", "true or false"]),
    ],
)
def test_a_mark_that_is_not_understood_is_refused_where_it_is_written(
    given: dict[str, Any], words: list[str]
):
    with pytest.raises(UsageError) as caught:
        expected_failure(**({"check": "exact_values", "reason": "known"} | given))
    assert "\n" not in str(caught.value)
    for word in ["expected_failure", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize("attribute", ["swapped_as_expected", "OffByOne", "WithoutShapes"])
def test_who_fails_as_it_says_conforms(attribute: str):
    result = campaign(attribute)
    assert result.verdict is Verdict.CONFORMS
    assert result.findings
    assert {finding.status for finding in result.findings} == {Status.EXPECTED_FAILURE}
    carried_reasons = {entry.reason for entry in marked(getattr(planted, attribute))}
    assert {finding.reason for finding in result.findings} <= carried_reasons


def test_a_pass_where_a_strict_failure_is_expected_is_a_finding():
    result = campaign("mended")
    assert result.verdict is Verdict.FAILS
    assert {(f.status, f.reason) for f in result.findings} == {
        (Status.UNEXPECTED_PASS, "swaps the two dilations")
    }
    passes = {name: counts["unexpected_pass"] for name, counts in result.checks.items()}
    for finding in result.findings:
        dilation = Case.parse(finding.minimal_case).geometry.dilation_rate
        assert dilation[0] != dilation[1]
        assert finding.count == passes[finding.check] > 0
        assert finding.message == "passes although a strict entry expects it to fail"


def test_an_expected_failure_that_only_passes_is_kept_for_the_report():
    result = campaign("mended_quietly")
    assert result.verdict is Verdict.CONFORMS
    assert result.findings == []
    assert result.notes == []
    passes = sum(counts["unexpected_pass"] for counts in result.checks.values())
    assert result.passing == {"swaps the two dilations": passes}


def test_an_expected_failure_that_also_fails_may_pass_unsaid(tmp_path: Path):
    (known,) = entries(
        tmp_path,
        '[[expected_failure]]\ncheck = ["exact_values", "bounded_values"]\nreason = "swapped"\n',
    )
    result = campaign("swapped_dilation", expectations=(known,))
    assert sum(counts["unexpected_pass"] for counts in result.checks.values()) > 0
    assert result.passing == {}


def test_a_crash_may_be_expected_like_any_other_failure(tmp_path: Path):
    (known,) = entries(
        tmp_path,
        '[[expected_failure]]\ncheck = "output_shape"\nreason = "ends the process"\n'
        "when = { groups = 2 }\n",
    )
    result = campaign("ends_the_process", 120, expectations=(known,))
    assert result.verdict is Verdict.CONFORMS
    assert result.checks["output_shape"]["expected_failure"] > 0
    assert result.checks["output_shape"]["crashed"] == 0


@pytest.mark.parametrize("strict", ["true", "false"])
def test_a_file_may_be_strict_as_well(tmp_path: Path, strict: str):
    known = entry(tmp_path, 'padding = "same"', strict=strict)
    assert known.strict is (strict == "true")
    result = campaign("right", 8, expectations=(known,))
    assert result.checks["exact_values"]["unexpected_pass"] > 0
    assert result.verdict is (Verdict.FAILS if known.strict else Verdict.CONFORMS)


# Where it runs, and what it is --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "info", "holds"),
    [
        ("onednn = true", {"onednn": True}, True),
        ("onednn = true", {"onednn": False}, False),
        ("onednn = true", {}, False),
        ("onednn = false", {}, False),
        ('isa = "avx512"', {"isa": "avx512"}, True),
        ('isa = "avx512"', {"isa": "amx"}, True),
        ('isa = "amx"', {"isa": "avx512"}, False),
        ('isa = ["avx512", "avx2"]', {"isa": "avx2"}, True),
        ('isa = "avx512", padding = "valid"', {"isa": "avx512"}, False),
    ],
)
def test_a_condition_may_say_where_it_runs(
    tmp_path: Path, when: str, info: dict[str, Any], holds: bool
):
    who = Info(name="mylib:conv", kind="function", **info)
    assert entry(tmp_path, when).covers("exact_values", who, CASE) is holds


def test_an_entry_finds_an_implementation_by_what_it_is_known_as(tmp_path: Path):
    known = entry(tmp_path, implementation='"keras-tensorflow*"')
    who = Info(name="mylib:Layer", kind="layer", known_as=("keras-tensorflow-graph",))
    assert known.covers("exact_values", who, CASE)
    assert not known.covers("exact_values", Info(name="mylib:Layer", kind="layer"), CASE)


# Memory that is not its own -----------------------------------------------------------------------

READS = '[[expected_failure]]\nforeign_memory = true\nreason = "known"\nwhen = { groups = 2 }\n'
MYLIB = Info(name="mylib:conv", kind="function")


def test_what_reads_foreign_memory_may_fail_every_check_of_values_and_state(tmp_path: Path):
    (known,) = entries(tmp_path, READS)
    covered = {check for check in CHECKS if known.covers(check, MYLIB, CASE)}
    assert covered == {
        "exact_values", "bounded_values", "special_values", "own_memory", "repeated_call",
        "batch_independence", "unchanged_inputs", "function_values", "gradient_values",
    }  # fmt: skip


def test_what_comes_of_foreign_memory_is_told_without_its_values(tmp_path: Path):
    known = entries(tmp_path, READS)
    reply = [
        Judgement("output_shape", Status.PASSED),
        Judgement("exact_values", Status.FAILED, "wrong", "got 1.2e17", 3.0),
        Judgement("repeated_call", Status.PASSED),
        Judgement("output_dtype", Status.FAILED, "returns float64 for float16"),
    ]
    found = outcomes_of(reply, CASE, MYLIB, known)
    expected = Status.EXPECTED_FAILURE
    assert [o.status for o in found] == [Status.PASSED, expected, expected, Status.FAILED]
    assert found[1].message == found[2].message
    assert found[1].ratio is None


@pytest.mark.parametrize("status", [Status.CRASHED, Status.FLAKY])
def test_a_crash_by_foreign_memory_is_expected(tmp_path: Path, status: Status):
    known = entries(tmp_path, READS)
    reply = [Judgement("output_shape", status, "ends the process")]
    (found,) = outcomes_of(reply, CASE, MYLIB, known)
    assert found.status is Status.EXPECTED_FAILURE
    elsewhere = Case.parse("in1x3x3x1-f1-k3-integers.0")
    assert outcomes_of(reply, elsewhere, MYLIB, known)[0].status is status


def test_equal_runs_give_equal_records_though_memory_differs(tmp_path: Path):
    text = READS.replace("groups = 2", 'padding = "same"')
    known = tuple(entries(tmp_path, text))
    first, second = (campaign("throws_dice", 12, expectations=known) for _ in range(2))
    assert first.verdict is Verdict.CONFORMS
    assert {f.status for f in first.findings} == {Status.EXPECTED_FAILURE}
    assert first == second


def test_what_leaves_traces_fails_nothing_else():
    """Such a case has a process of its own, so that what failed elsewhere for it passes."""
    unknown = campaign("leaves_one_to_add", 60)
    assert unknown.verdict is Verdict.FAILS
    known = campaign("leaves_one_to_add_as_known", 60)
    assert known.verdict is Verdict.CONFORMS
    assert {f.status for f in known.findings} == {Status.EXPECTED_FAILURE}
    assert known == campaign("leaves_one_to_add_as_known", 60, jobs=2)


# The shipped ones, on real Keras ------------------------------------------------------------------

# A case for each shipped entry, found by a word of its reason, with the check that fails.
FAULTS: list[tuple[str, str, str]] = [
    ("channels_first with as many filters", "in1x2x1x4-f4-k1-g2-cf-integers.1", "exact_values"),
    ("channels_first with as many filters", "in1x2x1x4-f4-k1-g2-cf-normal.1", "bounded_values"),
    ("sparsemax", "in1x3x3x2-f4-k2-a.sparsemax-normal.2", "bounded_values"),
    ("squareplus in float16", "in1x3x3x1-f4-k1-a.squareplus-float16-integers.1", "bounded_values"),
    ("gelu and leaky_relu in float64", "in1x3x3x2-f4-k2-a.gelu-float64-normal.1", "bounded_values"),
    (
        "squareplus squares its argument",
        "in1x2x2x3-f4-k1-a.squareplus-nobias-huge.1",
        "bounded_values",
    ),
    (
        "gelu and leaky_relu in float64",
        "in1x3x3x2-f4-k2-a.leaky_relu-float64-normal.1",
        "bounded_values",
    ),
]

FAULTS += [
    (
        "XLA on the CPU computes a float64",
        "in1x2x2x2-f2-k1-g2-nobias-float64-special.1",
        "special_values",
    ),
    (
        "set_weights assigns one weight",
        "in2x9x8x4-f6-k2-s2-same-but.set_weights.last_larger-integers.98",
        "failure_leaves_no_trace",
    ),
    (
        "a layer as activation",
        "in2x7x7x4-f4-k2-s2x1-valid-bfloat16-but.activation.leaky_layer-integers.92",
        "shapes_agree",
    ),
    (
        "a layer that is built returns an empty result",
        "in2x8x7x4-f2-k1-valid-float64-but.input.no_rows-integers.47",
        "refusals",
    ),
    (
        "the constructor looks at the sign",
        "in1x7x7x4-f2-k3-but.filters.float-integers.1",
        "stages_agree",
    ),
    (
        "a dtype policy that Conv2D",
        "in1x7x7x4-f2-k3-but.dtype.int8_policy-integers.1",
        "stages_agree",
    ),
    (
        "Orthogonal decomposes a matrix in the dtype of the weight, which TensorFlow",
        "in1x7x7x4-f2-k3-bfloat16-but.kernel_initializer.orthogonal-integers.1",
        "refusals",
    ),
    (
        "stateless_call of a layer calls",
        "in1x7x7x4-f2-k3-mixed_bfloat16-but.mode.stateless-integers.1",
        "refusals",
    ),
    (
        "OrthogonalRegularizer takes",
        "in1x7x7x4-f2-k3-but.activity_regularizer.orthogonal-integers.1",
        "stages_agree",
    ),
    (
        "without autocast inputs",
        "in1x7x7x4-f2-k3-but.arguments.autocast_off_mixed-integers.1",
        "stages_agree",
    ),
    (
        "compute_output_shape looks at",
        "in1x7x7x4-f2-k3-but.build.unknown_channels-integers.1",
        "stages_agree",
    ),
    (
        "a symbolic call tells the compute",
        "in1x7x7x4-f2-k3-but.input.int32-integers.1",
        "stages_agree",
    ),
    (
        "get_config writes an array",
        "in1x7x7x4-f2-k3-but.activation.numpy_function-integers.1",
        "stages_agree",
    ),
    (
        "enable_lora accepts",
        "in1x7x7x4-f2-k3-but.then.lora_of_rank_zero-integers.1",
        "stages_agree",
    ),
    (
        '"layer attributes cannot',
        "in1x7x7x4-f2-k3-but.then.strides_changed-integers.1",
        "varied_output",
    ),
    (
        "build sets input_spec",
        "in1x7x7x4-f2-k3-but.build.rank_5-integers.1",
        "failure_leaves_no_trace",
    ),
    (
        "build and enable_lora add",
        "in1x7x7x4-f2-k3-but.bias_initializer.orthogonal-integers.1",
        "failure_leaves_no_trace",
    ),
    (
        "the setter of dtype_policy",
        "in1x7x7x4-f2-k3-but.then.policy_of_integers-integers.1",
        "failure_leaves_no_trace",
    ),
    (
        "load_own_variables assigns",
        "in1x7x7x4-f2-k3-but.then.loaded_in_part-integers.1",
        "failure_leaves_no_trace",
    ),
    (
        "what is refused for a missing",
        "in1x7x7x4-f2-k3-but.padding.none-integers.1",
        "refused_on_purpose",
    ),
    (
        "nothing looks at these before",
        "in1x7x7x4-f2-k2-but.dtype.int32-integers.1",
        "refused_on_purpose",
    ),
    (
        "values are accepted that",
        "in1x7x7x4-f2-k3-but.use_bias.text-integers.1",
        "documented_values",
    ),
    (
        "get_config has no autocast",
        "in1x7x7x4-f2-k3-but.autocast.false-integers.1",
        "revived_attributes",
    ),
    (
        "integers of NumPy",
        "in1x7x7x4-f2-k3-but.filters.numpy_int-integers.1",
        "revived_attributes",
    ),
    (
        "trainable = True after",
        "in1x7x7x4-f2-k3-but.then.lora_frozen_and_thawed-integers.1",
        "weights_contract",
    ),
    (
        "compute_output_spec tells",
        "in1x7x7x4-f2-k3-but.activation.glu-integers.1",
        "shapes_agree",
    ),
    (
        "save_own_variables writes",
        "in1x7x7x4-f2-k3-but.mode.loaded_lora-integers.1",
        "modes_agree",
    ),
    (
        "stateless_call of a layer",
        "in1x7x7x4-f2-k3-but.mode.stateless_losses-integers.1",
        "modes_agree",
    ),
    (
        "traced for unknown sizes",
        "in1x7x7x4-f2-k2-but.mode.any_channels-integers.1",
        "modes_agree",
    ),
    ("the threads of TensorFlow flush", "in1x3x3x1-f2-k2-nobias-subnormal.0", "bounded_values"),
    ("the threads of TensorFlow flush", "in1x3x3x1-f2-k2-bfloat16-subnormal.3", "bounded_values"),
]


def outcomes(keras_worker: Worker, case: Case) -> dict[str, Outcome]:
    subject = keras_worker.start()
    (reply,) = keras_worker.run((case,))
    return {o.check: o for o in outcomes_of(reply, case, subject, shipped())}


# The same for other implementations and versions: name, version, reason, case, check.
KERAS = "Keras 3.15.1"
CONVERTED = "a converted layer with channels_first"
ON_AMX = "oneDNN's convolution in bfloat16 for processors with AMX"
TAKES_PAIRS = "oneDNN's convolution in bfloat16 for processors with AVX-512 takes"
OF_ENGINES: list[tuple[str, str, str, str, str]] = [
    (name, f"{KERAS}, {engine}", reason, case, check)
    for name, engine, reason, case, check in (
        ("keras-tensorflow-graph", "TensorFlow 2.21.0", "channels_first with as many filters",
         "in1x4x6x6-f6-k1-g2-cf-a.hard_sigmoid-integers.0", "bounded_values"),
        ("keras-tensorflow-xla", "TensorFlow 2.21.0", "channels_first with as many filters",
         "in1x1x1x2-f2-k1-cf-integers.0", "exact_values"),
        ("keras-tensorflow-xla", "TensorFlow 2.21.0", "sparsemax in float16 cannot be traced",
         "in1x1x1x1-f1-k1-a.sparsemax-mixed_float16-integers.0", "output_shape"),
        ("keras-tensorflow", "TensorFlow 2.21.0", "oneDNN's convolution in bfloat16",
         "in2x6x4x3-f3-k1x4-s1x4-bfloat16-integers.0", "exact_values"),
        ("keras-tensorflow", "TensorFlow 2.21.0", "oneDNN's convolution of a single channel",
         "in8x11x3x1-f1-k5x2-s1x4-nobias-integers.1", "exact_values"),
        ("keras-tensorflow", "TensorFlow 2.21.0", "with oneDNN an empty batch",
         "in0x4x11x5-f17-k4x5-nobias-integers.0", "output_shape"),
        ("keras-tensorflow", "TensorFlow 2.21.0", "with oneDNN an empty batch",
         "in0x4x11x5-f17-k4x5-nobias-bfloat16-integers.0", "output_shape"),
        ("keras-tensorflow-predict", "TensorFlow 2.21.0", "predict of an empty batch",
         "in0x1x1x1-f1-k1-integers.0", "output_shape"),
        ("keras-tensorflow-predict", "TensorFlow 2.21.0", "predict rounds arrays",
         "in1x1x1x1-f1-k1-float64-normal.0", "bounded_values"),
        ("keras-tensorflow-sequential", "TensorFlow 2.21.0", "the first call of a Sequential",
         "in1x1x1x1-f1-k1-float64-normal.0", "bounded_values"),
        ("keras-jax", "JAX 0.10.2", "sparsemax: the threshold",
         "in1x1x1x1-f8-k1-a.sparsemax-cancelling.1", "bounded_values"),
        ("keras-torch", "PyTorch 2.13.0+cpu", "softplus in float64",
         "in2x2x3x3-f9-k1x3-s1x1-d1x1-g3-a.softplus-nobias-float64-wide.15", "bounded_values"),
        ("keras-torch", "PyTorch 2.13.0+cpu", "hard_silu is torch.nn",
         "in2x4x5x8-f4-k1-same-a.hard_silu-float32-huge.37036", "bounded_values"),
        ("keras-jax", "JAX 0.10.2", "tanh in float64",
         "in1x1x1x1-f1-k1-a.tanh-float64-integers.0", "output_dtype"),
        ("keras-torch", "PyTorch 2.13.0+cpu", "oneDNN's convolution",
         "in1x5x5x1-f1-k4x5-s1x2-integers.2", "exact_values"),
        ("keras-openvino", "OpenVINO 2026.4.1", "oneDNN's convolution",
         "in1x4x3x1-f1-k4x2-s1x4-d1x1-same-integers.0", "exact_values"),
        ("keras-openvino", "OpenVINO 2026.4.1", "a float64 layer with a bias",
         "in1x1x1x1-f1-k1-float64-integers.0", "output_dtype"),
        ("keras-openvino", "OpenVINO 2026.4.1", "a float16 input that is not contiguous",
         "in1x1x2x1-f1-k1x2-float16-view.sliced-integers.0", "output_shape"),
        ("keras-tensorflow", "TensorFlow 2.21.0", "with oneDNN an empty batch",
         "in1x1x1x1-f2-k1-nobias-but.input.no_samples-integers.0", "varied_output"),
        ("keras-tensorflow", "TensorFlow 2.21.0", "with oneDNN an empty batch",
         "in1x1x1x1-f2-k1-nobias-bfloat16-but.input.no_samples-integers.0", "varied_output"),
        ("keras-tensorflow", "TensorFlow 2.21.0", "with oneDNN an empty batch",
         "in1x7x7x4-f2-k3-but.input.no_samples-integers.1", "stages_agree"),
        ("keras-tensorflow", "TensorFlow 2.21.0", "with oneDNN an output that would",
         "in1x7x7x4-f4-k2-but.input.one_row-integers.1", "refusals"),
        ("keras-tensorflow", "TensorFlow 2.21.0", "oneDNN's convolution in float16",
         "in6x5x1x33-f1-k5x1-nobias-float16-integers.1", "exact_values"),
        ("keras-tensorflow", "TensorFlow 2.21.0", f"{ON_AMX} multiplies",
         "in1x3x4x12-f1-k1x3-bfloat16-special.1", "special_values"),
        ("keras-tensorflow", "TensorFlow 2.21.0", TAKES_PAIRS,
         "in1x3x4x3-f2-k1x2-nobias-bfloat16-special.1", "special_values"),
        ("keras-jax", "JAX 0.10.2", "an input of another dtype",
         "in1x1x1x1-f1-k1-but.input.objects-integers.0", "refusals"),
        ("keras-jax", "JAX 0.10.2", "an input that the kernel does not fit gives",
         "in1x2x1x1-f1-k2x1-but.input.no_rows-integers.0", "refusals"),
        ("keras-jax", "JAX 0.10.2", "a dilation of (2.0, 2.0)",
         "in1x1x1x1-f1-k1-but.dilation_rate.floats-integers.0", "refusals"),
        ("keras-jax", "JAX 0.10.2", "strides of (2.0, 2.0) are refused by JAX",
         "in1x1x1x1-f1-k1-but.strides.floats-integers.0", "refusals"),
        ("keras-torch", "PyTorch 2.13.0+cpu", "strides and dilations that are floats or booleans",
         "in1x1x1x1-f1-k1-but.dilation_rate.true-integers.0", "refusals"),
        ("keras-openvino", "OpenVINO 2026.4.1", "strides and dilations that are floats are",
         "in1x1x1x1-f1-k1-but.strides.floats-integers.0", "refusals"),
        ("keras-torch", "PyTorch 2.13.0+cpu", "what happens to a dtype",
         "in1x1x1x1-f1-k1-but.dtype.complex64-integers.0", "refusals"),
        ("keras-torch", "PyTorch 2.13.0+cpu", "PyTorch refuses an array in",
         "in1x2x2x1-f1-k1-but.input.big_endian-integers.0", "refusals"),
        ("keras-torch", "PyTorch 2.13.0+cpu",
         "Orthogonal decomposes a matrix in the dtype of the weight, which PyTorch",
         "in1x7x7x4-f2-k3-float16-but.kernel_initializer.orthogonal-integers.1", "refusals"),
        ("keras-torch", "PyTorch 2.13.0+cpu", "an input without rows",
         "in1x1x1x1-f1-k2-same-but.input.no_rows-integers.0", "refusals"),
        ("keras-openvino", "OpenVINO 2026.4.1", "an input without rows",
         "in1x1x1x1-f1-k2-same-but.input.no_rows-integers.0", "refusals"),
        ("keras-jax", "JAX 0.10.2",
         "Orthogonal decomposes a matrix in the dtype of the weight, which JAX",
         "in1x7x7x4-f2-k3-float16-but.kernel_initializer.orthogonal-integers.1", "refusals"),
        ("keras-jax", "JAX 0.10.2", "JAX refuses an array in",
         "in1x2x2x1-f1-k1-bfloat16-but.input.big_endian-integers.0", "refusals"),
        ("keras-jax", "JAX 0.10.2", "XLA on the CPU reads memory that is not its own",
         "in1x1x1x1-f65537-k1x1-integers.59681", "exact_values"),
        ("keras-jax", "JAX 0.10.2", "get_config of an L1",
         "in1x1x1x1-f1-k1-but.kernel_regularizer.l1-integers.0", "configuration"),
        ("keras-jax", "JAX 0.10.2", "trainable = True thaws",
         "in1x1x1x1-f1-k1-but.then.lora_and_thawed-integers.0", "weights_contract"),
        ("keras-torch", "PyTorch 2.13.0+cpu", "trainable = True thaws",
         "in1x1x1x1-f1-k1-but.then.lora_and_thawed-integers.0", "weights_contract"),
        ("keras-openvino", "OpenVINO 2026.4.1", "a float64 layer with a bias",
         "in1x1x1x1-f1-k1-float64-but.data_format.channels_first-integers.0", "varied_output"),
        ("keras-openvino", "OpenVINO 2026.4.1", "a float64 layer with a bias",
         "in1x1x1x1-f1-k1-but.dtype.float64-integers.0", "varied_output"),
        ("keras-openvino", "OpenVINO 2026.4.1", "the orthogonal initializer",
         "in1x1x1x1-f1-k1-float64-but.kernel_initializer.orthogonal-integers.0",
         "weights_contract"),
        ("keras-openvino", "OpenVINO 2026.4.1", "predict under mixed_bfloat16",
         "in2x8x9x4-f6-k2-a.linear-nobias-mixed_bfloat16-but.mode.predict-integers.72",
         "modes_agree"),
    )
] + [
    ("torch", "PyTorch 2.13.0+cpu", "oneDNN's convolution",
     "in2x7x4x1-f1-k2x4-s1x5-nobias-integers.23", "exact_values"),
    ("torch", "PyTorch 2.13.0+cpu", "the kernel gradient of oneDNN's 1x1 convolution",
     "in1x514x512x1-f1-k1x1-s2x2-nobias-integers.51147", "gradient_values"),
    ("torch", "PyTorch 2.13.0+cpu", TAKES_PAIRS,
     "in1x3x4x3-f2-k1x2-nobias-bfloat16-special.1", "special_values"),
    ("torch", "PyTorch 2.13.0+cpu", f"{ON_AMX} multiplies",
     "in1x3x8x6-f1-k2x6-bfloat16-special.1", "special_values"),
    ("torch", "PyTorch 2.13.0+cpu", f"{ON_AMX} gives",
     "in1x6x2x10-f21-k5-s1x2-same-bfloat16-integers.0", "exact_values"),
    ("torch", "PyTorch 2.13.0+cpu", f"{ON_AMX} reads",
     "in2x2x5x3-f32-k2x5-d5x1-same-nobias-bfloat16-integers.0", "exact_values"),
    ("torch", "PyTorch 2.13.0+cpu", f"{ON_AMX} reads",
     "in1x1x5x1-f8-k2x2-d2x3-same-bfloat16-integers.0", "exact_values"),
    ("openvino", "OpenVINO 2026.4.1", f"{ON_AMX} gives",
     "in1x20x21x1-f10-k4x2-s1x3-same-g2-cf-bfloat16-integers.1", "exact_values"),
    ("openvino", "OpenVINO 2026.4.1", f"{ON_AMX} reads",
     "in1x8x1x5-f1-k2x1-d3x1-same-cf-bfloat16-integers.0", "exact_values"),
    ("openvino", "OpenVINO 2026.4.1", f"{ON_AMX} reads",
     "in1x1x1x5-f9-k4-d2x3-same-cf-bfloat16-integers.0", "exact_values"),
    ("openvino", "OpenVINO 2026.4.1", f"{ON_AMX} multiplies",
     "in1x8x2x7-f1-k1x5-cf-bfloat16-special.1", "special_values"),
    ("openvino", "OpenVINO 2026.4.1", TAKES_PAIRS,
     "in1x9x1x3-f9-k1x2-g3-cf-bfloat16-special.2", "special_values"),
    ("openvino", "OpenVINO 2026.4.1", "oneDNN's convolution",
     "in1x1x8x3-f6-k1x7-s1x3-same-cf-integers.0", "exact_values"),
    ("onnxruntime", "ONNX Runtime 1.32.0, ONNX 1.23.2", "auto_pad SAME_UPPER",
     "in1x1x4x3-f1-k1-s4x1-same-cf-integers.0", "exact_values"),
    ("scipy", "SciPy 1.18.0", "correlate2d has no dilation",
     "in2x8x9x2-f3-k2-d2-special.0", "special_values"),
    ("litert", f"LiteRT 2.3.0, {KERAS}, TensorFlow 2.21.0", f"{CONVERTED} and as",
     "in1x1x1x5-f5-k1-cf-integers.0", "exact_values"),
    ("litert", f"LiteRT 2.3.0, {KERAS}, TensorFlow 2.21.0", f"{CONVERTED} and dil",
     "in1x1x1x1-f1-k1-d1x2-cf-integers.0", "output_shape"),
    ("litert", f"LiteRT 2.3.0, {KERAS}, TensorFlow 2.21.0", "an empty batch with dilation",
     "in0x3x3x1-f1-k2-d2-nobias-integers.0", "output_shape"),
]  # fmt: skip


def test_every_shipped_entry_has_a_case():
    starts = [reason for reason, _, _ in FAULTS] + [reason for _, _, reason, _, _ in OF_ENGINES]
    for expectation in shipped():
        known = any(expectation.reason.startswith(start) for start in starts)
        assert known or "257" in expectation.reason, expectation.reason


@pytest.mark.parametrize(("name", "version", "reason", "text", "check"), OF_ENGINES)
def test_a_shipped_entry_covers_the_case_it_was_found_on(
    name: str, version: str, reason: str, text: str, check: str
):
    info = Info(name=name, kind="layer", version=version, onednn=True, isa="amx")
    covering = [e for e in shipped() if e.covers(check, info, Case.parse(text))]
    assert any(e.reason.startswith(reason) for e in covering)


def test_the_document_of_findings_has_every_entry_with_a_case_that_it_covers():
    """A row for each entry, and none without one; issues are the links of entries."""
    text = (Path(__file__).parents[2] / "docs" / "findings.md").read_text("utf-8")
    rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in text.partition("| implementation |")[2].partition("\n\n")[0].splitlines()[2:]
    ]
    engines = ("keras-tensorflow", "TensorFlow 2.21.0"), ("keras-torch", "PyTorch 2.13.0+cpu")
    versions = {name: version for name, version, *_ in OF_ENGINES} | {
        name: f"{KERAS}, {engine}" for name, engine in engines
    }
    named = set()
    for name, case, check, _, issue in rows:
        info = Info(name=name, kind="layer", version=versions[name], onednn=True, isa="amx")
        covering = [e for e in shipped() if e.covers(check, info, Case.parse(case))]
        assert covering, case
        named |= {e.where for e in covering}
        links = {e.link for e in covering} - {""}
        assert {issue} == {"none known"} if not links else any(link in issue for link in links)
    missing = {e.where: e.reason for e in shipped() if e.where not in named}
    assert all(reason.startswith("correlate2d") for reason in missing.values()), missing


def test_windows_of_onnxruntime_are_shifted_where_the_padding_is_negative():
    worker = Worker("onnxruntime", Limits(case=60))
    try:
        for text, status in (
            ("in1x1x4x3-f1-k1-s4x1-same-cf-integers.0", Status.EXPECTED_FAILURE),
            ("in1x1x3x3-f1-k1-s3x1-same-cf-integers.0", Status.PASSED),
        ):
            found = outcomes(worker, Case.parse(text))
            assert found["exact_values"].status is status
    finally:
        worker.stop()


def test_an_empty_batch_has_the_shape_of_the_input_with_onednn(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    worker = Worker("keras-tensorflow", Limits(case=60))
    try:
        if not worker.start().onednn:
            pytest.skip("this TensorFlow has no oneDNN")
        for text in ("in0x4x11x5-f17-k4x5-nobias-integers.0", "in0x4x11x5-f17-k4x5-integers.0"):
            found = outcomes(worker, Case.parse(text))
            assert found["output_shape"].status is Status.EXPECTED_FAILURE
        for text in ("in0x4x12x6-f6-k3x2-g2-integers.0", "in2x4x11x5-f17-k4x5-integers.0"):
            found = outcomes(worker, Case.parse(text))
            assert found["output_shape"].status is Status.PASSED
    finally:
        worker.stop()


@pytest.mark.parametrize(("reason", "text", "check"), FAULTS)
def test_a_shipped_fault_exists_in_real_keras(
    keras_worker: Worker, reason: str, text: str, check: str
):
    found = outcomes(keras_worker, Case.parse(text))
    assert found[check].status is Status.EXPECTED_FAILURE
    assert found[check].reason.startswith(reason)
    others = {o.status for name, o in found.items() if name != check}
    assert others <= {Status.PASSED, Status.UNEXPECTED_PASS, Status.EXPECTED_FAILURE}


@pytest.mark.parametrize(
    "text",
    [
        "in2x4x8x7-f4-k3x2-valid-g4-cf-but.global.channels_last-integers.55",
        "in1x9x8x4-f6-k2x3-d1x2-valid-a.relu-but.data_format.channels_first-integers.70",
    ],
)
def test_another_layout_may_leave_a_shape_that_real_keras_refuses(keras_worker: Worker, text: str):
    found = outcomes(keras_worker, Case.parse(text))
    assert found["stages_agree"].status is Status.PASSED


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
def test_beside_a_shipped_fault_real_keras_passes(keras_worker: Worker, text: str):
    found = outcomes(keras_worker, Case.parse(text))
    assert {o.status for o in found.values()} == {Status.PASSED}


def test_a_pass_where_a_failure_is_expected_is_told(tmp_path: Path):
    subject = Info(name="mylib:conv", kind="function", version="1.2")
    reply = [
        Judgement("exact_values", Status.PASSED),
        Judgement("output_shape", Status.PASSED),
        Judgement("output_dtype", Status.FAILED, "cause"),
    ]
    found: list[Any] = outcomes_of(reply, CASE, subject, [entry(tmp_path)])
    assert [o.status for o in found] == [Status.UNEXPECTED_PASS, Status.PASSED, Status.FAILED]
    assert [o.reason for o in found] == ["known", "", ""]
