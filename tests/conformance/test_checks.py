"""Each check finds what it is for, alone; what comes back wrong is said in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import planted
import pytest
import tried
from wrong_layers import RIGHT as OF_KERAS
from wrong_layers import WRONG

import reference_impl
from conformance import Capabilities, Unsupported
from conformance.capabilities import EVERYTHING, FLOAT32_SUMS, FLUSHES, HALF_SUMS, INTENDED, probes
from conformance.case import Case
from conformance.checks import CHECKS, RULES, Judgement
from conformance.faults import FAULTS
from conformance.results import Status
from conformance.selftest.correct import CORRECT
from conformance.targets import wrap

EXACT = Case.parse("in2x5x6x4-f3-k3x2-integers.1")
BOUNDED = Case.parse("in1x5x6x4-f3-k3x2-normal.1")
IMPOSSIBLE = Case.parse("in1x5x6x4-f2-k3x2-g2-but.channels_uneven-integers.1")
SPECIAL = Case.parse("in1x5x6x4-f3-k3x2-special.0")
SLICED = Case.parse("in1x5x6x4-f3-k3x2-view.sliced-integers.1")
SINGLE = Case.parse("in1x5x6x4-f3-k3x2-integers.1")
NOT_MADE = {
    "bounded_values",
    "special_values",
    "refused_call",
    *(rule.name for rule in RULES),
}  # on EXACT
GROUPED = next(p.case for p in probes(EVERYTHING) if p.need == ("groups", ""))
right = reference_impl.conv2d


def judged(target: Any, case: Case = EXACT, checks: tuple[str, ...] = ()) -> dict[str, Judgement]:
    return {judgement.check: judgement for judgement in tried.judged(case, target, checks)}


def failing(target: Any, case: Case = EXACT) -> list[str]:
    return [name for name, j in judged(target, case).items() if j.status is Status.FAILED]


def function(change: Callable[[Any], Any]) -> Callable[..., Any]:
    """The reference with `change` made to its result."""

    def conv2d(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        return change(right(x, kernel, bias, **given))

    return conv2d


# One planted fault a check ------------------------------------------------------------------------


class WrongForUnknownSizes(reference_impl.Conv2D):
    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = super().compute_output_shape(input_shape)
        return (*shape[:3], None) if None in input_shape else shape


def writes_around_its_input(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    if x.base is not None:
        x.base.reshape(-1)[0] = 1
    return right(x, kernel, bias, **given)


def computes_whatever_it_is_given(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    return right(x[..., : kernel.shape[2] * given["groups"]], kernel, bias, **given)


def knows_no_single_samples(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    return right(x, kernel, bias, **given) + np.float32(len(x) == 1)


def changes_at_the_third_call() -> Callable[..., Any]:
    calls = count(1)
    return function(lambda y: y + y.dtype.type(next(calls) == 3))


PLANTED: dict[str, tuple[Callable[[], Any], Case]] = {
    "compute_output_shape": (lambda: WrongForUnknownSizes, EXACT),
    "output_shape": (lambda: function(lambda y: y[:, 1:]), EXACT),
    "output_dtype": (lambda: function(lambda y: y.astype(np.float64)), EXACT),
    "exact_values": (lambda: function(lambda y: y + np.float32(1)), EXACT),
    "bounded_values": (lambda: function(lambda y: y + np.float32(0.01)), BOUNDED),
    "special_values": (lambda: function(np.nan_to_num), SPECIAL),
    "own_memory": (lambda: planted.recycles_its_buffer, EXACT),
    "repeated_call": (changes_at_the_third_call, SINGLE),
    "batch_independence": (lambda: knows_no_single_samples, EXACT),
    "unchanged_inputs": (lambda: writes_around_its_input, SLICED),
    "refused_call": (lambda: computes_whatever_it_is_given, IMPOSSIBLE),
    "claimed_capability": (lambda: planted.ClaimsGroups, GROUPED),
    "function_values": (lambda: planted.WithWrongFunction, EXACT),
    "gradient_values": (lambda: planted.WithWrongKernelGradient, EXACT),
    **{check: (lambda layer=layer: layer, Case.parse(case)) for check, case, layer in WRONG},
}
# Who passes where the planted one fails, if that is not the reference layer.
RIGHT = {
    "claimed_capability": planted.Declared,
    "refused_call": right,
    "function_values": planted.WithFunction,
    "gradient_values": planted.WithGradients,
    **OF_KERAS,
}


def test_every_check_has_a_planted_fault():
    assert set(PLANTED) == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_a_planted_fault_fails_its_check_and_no_other(check: str):
    plant, case = PLANTED[check]
    assert failing(plant(), case) == [check]


@pytest.mark.parametrize("check", CHECKS)
def test_the_right_one_passes_where_the_planted_one_fails(check: str):
    _, case = PLANTED[check]
    judgement = judged(RIGHT.get(check, reference_impl.Conv2D), case)[check]
    assert (judgement.status, judgement.cause, judgement.message) == (Status.PASSED, "", "")


@pytest.mark.parametrize("check", CHECKS.values(), ids=list(CHECKS))
def test_a_check_states_its_rule_in_one_sentence(check: Any):
    assert check.rule.endswith(".")
    assert len(check.rule) <= 110


def test_only_the_checks_asked_for_are_made_with_those_they_need():
    made = judged(right, EXACT, ("exact_values",))
    assert list(made) == ["output_shape", "output_dtype", "exact_values"]


def test_each_case_is_judged_by_one_of_the_value_checks():
    assert "bounded_values" not in judged(right, EXACT)
    assert "exact_values" not in judged(right, BOUNDED)
    assert judged(right, BOUNDED)["bounded_values"].ratio is not None


def test_a_function_is_not_asked_what_only_a_layer_knows():
    assert "compute_output_shape" not in judged(right)
    assert "compute_output_shape" in judged(reference_impl.Conv2D)


# What blocks, what passes on ----------------------------------------------------------------------


def test_what_needs_a_right_shape_is_not_judged_without_one():
    assert list(judged(function(lambda y: y[..., :1]))) == ["output_shape"]


def test_nothing_further_is_judged_in_a_wrong_dtype():
    made = judged(function(lambda y: y.astype(np.float16)))
    assert made["output_dtype"].cause == "returns float16 for float32"
    assert not {"exact_values", "repeated_call", "batch_independence"} & set(made)


def test_unsupported_is_passed_on_to_every_check():
    def refuses(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        raise Unsupported("no such thing here")

    made = judged(refuses)
    assert {j.status for j in made.values()} == {Status.UNSUPPORTED}
    assert {j.cause for j in made.values()} == {"no such thing here"}
    concerned = [name for name, check in CHECKS.items() if check.only(wrap("it", refuses).info())]
    assert list(made) == [name for name in concerned if name not in NOT_MADE]


def test_unsupported_without_a_reason_says_so():
    def refuses(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        raise Unsupported

    assert judged(refuses)["output_shape"].cause == "no reason given"


def test_a_layer_that_refuses_while_building_is_unsupported():
    class Refuses(reference_impl.Conv2D):
        def build(self, input_shape: Any) -> None:
            raise Unsupported("cannot be built")

    assert {j.status for j in judged(Refuses).values()} == {Status.UNSUPPORTED}


# What comes back ----------------------------------------------------------------------------------


def raising(error: BaseException) -> Callable[..., Any]:
    def conv2d(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        raise error

    return conv2d


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no message")


class OnADevice:
    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError("cannot convert a tensor on gpu:0 to an array\ncopy it first")


CAUSES: list[tuple[Callable[..., Any], str]] = [
    (function(lambda y: None), "returns None instead of an array"),
    (function(lambda y: y.tolist()), "returns a list instead of an array"),
    (function(lambda y: 3), "returns an int instead of an array"),
    (
        planted.cannot_be_read,
        "returns something that does not convert to an array: RuntimeError: device # was lost",
    ),
    (
        function(lambda y: OnADevice()),
        "returns something that does not convert to an array: "
        "TypeError: cannot convert a tensor on gpu:# to an array",
    ),
    (function(lambda y: y[0]), "returns a wrong output shape"),
    (function(lambda y: y[:, :-1]), "returns a wrong output shape"),
    (function(lambda y: y.transpose(0, 3, 1, 2)), "returns the layout of the other data_format"),
    (function(lambda y: y.astype(complex)), "returns complex128 for float32"),
    (function(lambda y: y.astype(np.int64)), "returns int64 for float32"),
    (function(lambda y: y.astype(object)), "returns object for float32"),
    (function(lambda y: y.astype(">f4")), "returns >f4 for float32"),
    (function(lambda y: y * 0), "returns nothing but zeros"),
    (function(lambda y: y * np.float32(np.nan)), "returns nothing but NaN or infinity"),
    (
        function(lambda y: np.where(np.arange(y.size).reshape(y.shape) == 5, np.float32("inf"), y)),
        "returns NaN or infinity where the exact result is finite",
    ),
    (function(lambda y: -y), "values differ from the exact result"),
    (raising(SystemExit(3)), "raises SystemExit: #"),
    (raising(SystemExit()), "raises SystemExit"),
    (raising(ValueError("no stride 2 at 0x7ffe12 here\nsecond line")),
     "raises ValueError: no stride # at # here"),
    (raising(Mute()), "raises Mute"),
    (raising(NotImplementedError()), "raises NotImplementedError"),
    (raising(RecursionError("deep")), "raises RecursionError: deep"),
    (lambda x, kernel: None, "raises TypeError: "),
]  # fmt: skip


@pytest.mark.parametrize(("target", "cause"), CAUSES, ids=[cause for _, cause in CAUSES])
def test_the_cause_is_one_sentence(target: Any, cause: str):
    failures = [j for j in judged(target).values() if j.status is Status.FAILED]
    assert failures[0].cause.startswith(cause)
    assert len(failures[0].cause) == len(cause) or cause.endswith(": ")
    for failure in failures:
        assert "\n" not in failure.cause + failure.message
        assert failure.message


def test_running_out_of_memory_is_told_of_the_implementation():
    """An allocation of the size of the whole address space is the caller's own doing."""

    def conv2d(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        raise MemoryError("Unable to allocate 1.00 EiB")

    try:
        made = judged(conv2d)
    except MemoryError:
        made = {}
    assert made
    assert made["output_shape"].cause.startswith("raises MemoryError")


def test_errors_beyond_the_bound_give_their_ratio():
    made = judged(function(lambda y: y + np.float32(0.01)), BOUNDED)["bounded_values"]
    assert made.cause == "errors exceed the derived bound"
    assert made.ratio is not None
    assert made.ratio > 1
    assert "allowed error" in made.message


def test_a_message_names_the_element_and_both_values():
    def conv2d(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        y = right(x, kernel, bias, **given)
        y[1, 2, 3, 0] += 1000
        return y

    value = tried.tried(EXACT, right).output
    message = judged(conv2d)["exact_values"].message
    assert message == (
        f"element (1, 2, 3, 0): expected {value[1, 2, 3, 0]:.9g}, got "
        f"{value[1, 2, 3, 0] + 1000:.9g}; 1 of {value.size} elements are wrong"
    )


def test_a_result_that_is_a_view_of_a_reused_buffer_fails_on_that_alone():
    """It is read at once, and once more after the next call."""
    made = judged(planted.recycles_its_buffer)
    assert [n for n, j in made.items() if j.status is Status.FAILED] == ["own_memory"]
    assert made["own_memory"].cause == "the next call changes an earlier result"
    assert "elements of the first result" in made["own_memory"].message


def takes_a_shortcut(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Gives the input back where a 1x1 kernel of one leaves nothing to do."""
    plain = bias is None and kernel.shape == (1, 1, 1, 1) and kernel[0, 0, 0, 0] == 1
    return x if plain else right(x, kernel, bias, **given)


@pytest.mark.parametrize("view", ["", "view.sliced-", "view.reversed-"])
def test_a_result_in_the_memory_of_the_input_fails_on_that_alone(view: str):
    made = judged(takes_a_shortcut, Case.parse(f"in2x3x4x1-f1-k1-nobias-{view}small.26"))
    assert [n for n, j in made.items() if j.status is Status.FAILED] == ["own_memory"]
    assert made["own_memory"].cause == "the result shares memory with the input"


def test_the_dtype_that_counts_is_that_of_the_array_and_not_what_is_said_of_it():
    wide = replace(EXACT, dtype="float64")
    assert failing(planted.wraps_its_result, wide) == []
    assert failing(planted.lies_about_its_dtype, wide) == ["output_dtype"]
    lie = judged(planted.lies_about_its_dtype, wide)["output_dtype"]
    assert lie.message == "expected dtype float64, got float32"
    assert failing(planted.lies_about_its_dtype, EXACT) == []


def test_minus_zero_is_zero():
    class Negative(reference_impl.Conv2D):
        def __call__(self, inputs: Any, *, training: Any = None) -> Any:
            y = super().__call__(inputs)
            assert (y == 0).any()
            return np.where(y == 0, np.float32(-0.0), y)

    assert failing(Negative, replace(EXACT, activation="relu")) == []


def test_an_empty_batch_has_a_shape_and_a_dtype_to_be_right_about():
    empty = Case.parse("in0x5x6x4-f3-k3x2-integers.1")
    assert failing(right, empty) == []
    assert failing(function(lambda y: y.astype(np.float64)), empty) == ["output_dtype"]
    assert failing(raising(ValueError("empty")), empty) == ["output_shape"]


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda x, kernel, bias: x.__setitem__((0, 0, 0, 0), 99), "changes the input"),
        (lambda x, kernel, bias: kernel.__imul__(2), "changes the kernel"),
        (lambda x, kernel, bias: bias.__iadd__(1), "changes the bias"),
    ],
)
def test_what_a_call_changes_is_named(change: Callable[..., Any], cause: str):
    def conv2d(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        y = right(x, kernel, bias, **given)
        change(x, kernel, bias)
        return y

    assert judged(conv2d)["unchanged_inputs"].cause == cause


def test_a_layer_that_loses_its_bias_is_told_apart_from_one_that_changes_it():
    class Loses(reference_impl.Conv2D):
        def get_weights(self) -> Any:
            return super().get_weights()[:1]

    made = judged(Loses)["unchanged_inputs"]
    assert made.cause == "holds another number of weights"
    assert made.message == "expected 2 weights, got 1"


def test_a_factory_is_judged_as_the_layer_it_makes():
    def factory(filters: int, kernel_size: Any, **kwargs: Any) -> reference_impl.Conv2D:
        return reference_impl.Conv2D(filters, kernel_size, **kwargs)

    assert failing(factory) == []


def test_float64_summed_in_float32_is_named_with_what_to_declare():
    def conv2d(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        narrow = (None if a is None else a.astype(np.float32) for a in (x, kernel, bias))
        return right(*narrow, **given).astype(x.dtype)

    class Declares(planted.Declared):
        capabilities = Capabilities(accumulation="float32")

        def conv2d(self, x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
            return conv2d(x, kernel, bias, **given)

    wide = replace(BOUNDED, dtype="float64")
    made = judged(conv2d, wide)
    assert [n for n, j in made.items() if j.status is Status.FAILED] == ["bounded_values"]
    assert made["bounded_values"].cause == FLOAT32_SUMS
    assert INTENDED[FLOAT32_SUMS] == "Capabilities(accumulation='float32')"
    assert failing(conv2d, BOUNDED) == failing(Declares, wide) == []


def test_float64_that_is_worse_than_float32_has_another_cause():
    def conv2d(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        return right(x, kernel, bias, **given) + np.float64(0.01)

    made = judged(conv2d, replace(BOUNDED, dtype="float64"))["bounded_values"]
    assert made.cause == "errors exceed the derived bound"


@pytest.mark.parametrize(
    ("fault", "case", "named"),
    [
        ("sums_in_float16", "in1x5x6x8-f3-k3x2-float16-normal.1", True),
        ("results_truncated", "in1x5x6x8-f3-k3x2-bfloat16-normal.1", False),
        ("groups_interleaved", "in2x5x6x4-f4-k3x2-g2-float16-normal.1", False),
    ],
)
def test_16_bits_summed_in_16_bits_are_named_with_what_to_declare(
    fault: str, case: str, named: bool
):
    made = judged(FAULTS[fault].function(), Case.parse(case))["bounded_values"]
    assert made.status is Status.FAILED
    assert (made.cause == HALF_SUMS["float16"]) is named
    assert INTENDED[HALF_SUMS["float16"]] == "Capabilities(accumulation='float16')"


class HalfSums(planted.Declared):
    """Sums in float16, as it declares."""

    capabilities = Capabilities(accumulation="float16")

    def conv2d(self, x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        return FAULTS["sums_in_float16"].function()(x, kernel, bias, **given)


@pytest.mark.parametrize(
    ("target", "case", "seen"),
    [
        (right, "in1x8x8x8-f4-k3-nobias-normal.0", "as in more than float32"),
        (CORRECT["matrix products in float32"], "in1x8x8x8-f4-k3-nobias-normal.0", "as in float32"),
        (right, "in1x8x8x8-f4-k3-nobias-float16-normal.0", "as in float32 or more"),
        (HalfSums, "in1x8x8x8-f4-k2-nobias-float16-normal.0", "as in float16"),
        (right, "in1x8x8x8-f4-k3-nobias-same-normal.0", None),  # padding leaves out products
        (right, "in1x8x8x8-f4-k3-bias-normal.0", None),  # one more rounding
        (right, "in1x3x3x8-f1-k3-nobias-normal.0", None),  # a single result
    ],
)
def test_how_precise_sums_are_is_inferred_where_results_tell(
    target: Any, case: str, seen: str | None
):
    (judgement,) = (
        j for j in tried.judged(Case.parse(case), target) if j.check == "bounded_values"
    )
    dtype = Case.parse(case).compute_dtype
    assert judgement.status is Status.PASSED
    assert judgement.seen == ({} if seen is None else {f"sums of {dtype}": seen})


def test_who_returns_a_subnormal_number_is_not_told_that_it_flushes_them():
    def conv2d(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        result = right(x, kernel, bias, **given)
        result.reshape(-1)[-1] = 0
        return result

    case = Case.parse("in1x3x3x1-f2-k2-nobias-subnormal.0")
    assert judged(conv2d, case)["bounded_values"].cause != FLUSHES
