"""What is claimed is checked: a capability, a function beside a layer, gradients, determinism."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import planted
import pytest
import tried
from fast_algorithms import CORRELATE, Fast, direct

import reference_impl
from conformance import Capabilities, Implementation, Unsupported, sums
from conformance.capabilities import probes
from conformance.case import Case
from conformance.checks import CHECKS, RULES, Judgement, Trial, concerning
from conformance.checks.claims import gradients_are_exact
from conformance.checks.consistency import OF_KERAS
from conformance.plan import Asked, plan
from conformance.results import Status
from conformance.targets import wrap

EXACT = Case.parse("in2x5x6x4-f3-k3x2-s2x1-same-integers.1")
BOUNDED = Case.parse("in1x5x6x4-f3-k3x2-normal.1")


def judged(target: Any, case: Case = EXACT) -> dict[str, Judgement]:
    return {j.check: j for j in tried.judged(case, target)}


def failing(target: Any, case: Case = EXACT) -> dict[str, str]:
    """Cause by check."""
    return {n: j.cause for n, j in judged(target, case).items() if j.status is Status.FAILED}


def drawn(implementation: Implementation, configurations: int) -> list[Case]:
    asked = Asked(implementation.kind, implementation.declared)
    return [case for p in plan(0, asked, limit=configurations) for case in p.example]


# Capabilities ------------------------------------------------------------------------------------


def refused(target: type[Implementation]) -> list[str]:
    """The causes with which claimed capabilities turn out to be refused."""
    cases = {p.case for p in probes(target.capabilities)}
    causes = {failing(target, case).get("claimed_capability") for case in cases}
    return sorted(cause for cause in causes if cause)


def test_who_claims_groups_and_refuses_them_fails_on_that_alone():
    assert refused(planted.ClaimsGroups) == ["claims groups but refuses it"]
    grouped = next(p.case for p in probes(Capabilities()) if p.need == ("groups", ""))
    found = judged(planted.ClaimsGroups, grouped)
    assert found["claimed_capability"].message == f"refuses {grouped}: this library has no groups"
    assert {j.status for n, j in found.items() if n != "claimed_capability"} == {Status.UNSUPPORTED}


@pytest.mark.parametrize(
    "target", [planted.Declared, planted.WithoutGroups, planted.Modest, planted.StridesWithDilation]
)
def test_who_claims_what_it_does_or_less_passes(target: type[Implementation]):
    assert refused(target) == []


class RefusesOneDtype(planted.Declared):
    """Refuses by an exception of its engine, which it has declared to mean that."""

    unsupported_errors = (NotImplementedError,)

    def conv2d(self, x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        if x.dtype.name == "bfloat16":
            raise NotImplementedError("no kernel for bfloat16 on this device")
        return super().conv2d(x, kernel, bias, **given)


class RefusesEverything(planted.Declared):
    def conv2d(self, x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        raise Unsupported("nothing today")


def test_a_refusal_by_an_exception_of_the_engine_counts_too():
    assert refused(RefusesOneDtype) == ["claims dtype bfloat16 but refuses it"]


def test_who_refuses_everything_it_claims_is_told_so_capability_by_capability():
    told = " ".join(refused(RefusesEverything))
    for word in ("dtype float64", "padding same", "data_format channels_first", "groups"):
        assert word in told


def test_a_wrong_value_on_a_probe_is_told_by_another_check():
    probe = probes(Capabilities())[0].case

    class Wrong(planted.Declared):
        def conv2d(self, x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
            return planted.off_by_one(x, kernel, bias, **given)

    assert judged(Wrong, probe)["claimed_capability"].status is Status.PASSED
    assert list(failing(Wrong, probe)) == ["exact_values"]


def test_a_case_that_is_no_probe_says_nothing_about_claims():
    assert "claimed_capability" not in judged(planted.ClaimsGroups, EXACT)
    grouped = Case.parse("in1x5x6x4-f2-k3-g2-integers.1")
    assert {j.status for j in judged(planted.ClaimsGroups, grouped).values()} == {
        Status.UNSUPPORTED
    }


# A function beside a layer -----------------------------------------------------------------------


@pytest.mark.parametrize("case", [EXACT, BOUNDED])
def test_a_right_function_beside_a_layer_passes(case: Case):
    found = judged(planted.WithFunction, case)
    assert {j.status for j in found.values()} == {Status.PASSED}
    assert "function_values" in found
    assert "compute_output_shape" in found


@pytest.mark.parametrize("case", [EXACT, BOUNDED])
def test_a_wrong_function_beside_a_right_layer_fails_on_that_alone(case: Case):
    assert failing(planted.WithWrongFunction, case) == {
        "function_values": "values of the function are wrong"
    }


def test_the_function_is_judged_without_the_activation_of_the_layer():
    case = Case.parse("in2x5x6x4-f3-k3x2-a.softmax-integers.1")
    assert failing(planted.WithFunction, case) == {}
    assert list(failing(planted.WithWrongFunction, case)) == ["function_values"]


@pytest.mark.parametrize("activation", ["hard_sigmoid", "relu6", "gelu"])
def test_its_sums_are_not_those_of_a_case_without_activation(activation: str):
    """Data about the knees of an activation are others where there is none."""
    case = Case.parse(f"in2x5x6x4-f3-k3x2-a.{activation}-knees.1")
    linear = replace(case, activation=None)
    for first, second in ((case, linear), (linear, case)):
        sums._kept.found.clear()
        assert failing(planted.WithFunction, first) == {}
        assert failing(planted.WithFunction, second) == {}


def test_other_troubles_of_the_function_are_told_as_its_own():
    assert failing(planted.WithFunctionOfAnotherDtype) == {
        "function_values": "the function returns a wrong shape or dtype"
    }
    found = judged(planted.WithFunctionThatRefuses)
    assert found.pop("function_values").status is Status.UNSUPPORTED
    assert {j.status for j in found.values()} == {Status.PASSED}


def test_a_mixed_policy_is_for_the_layer_only():
    case = Case.parse("in2x5x6x4-f3-k3x2-mixed_float16-integers.1")
    assert "function_values" not in judged(planted.WithWrongFunction, case)


# Gradients ---------------------------------------------------------------------------------------


def test_right_gradients_pass_on_what_is_drawn():
    implementation = wrap("planted", planted.WithGradients)
    found = []
    for case in drawn(implementation, 120):
        made = tried.judged(case, implementation, ("gradient_values",))
        found += [j for j in made if j.check == "gradient_values"]
    assert len(found) > 80
    assert {j.status for j in found} == {Status.PASSED}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("layout", ["cl", "cf"])
@pytest.mark.parametrize("bias", ["bias", "nobias"])
def test_right_gradients_pass_in_every_dtype_and_layout(dtype: str, layout: str, bias: str):
    case = Case.parse(f"in2x4x6x4-f2-k2x3-s2x1-same-g2-{layout}-{bias}-{dtype}-integers.3")
    assert gradients_are_exact(Trial(case, wrap("planted", planted.WithGradients).info()))
    assert judged(planted.WithGradients, case)["gradient_values"].status is Status.PASSED


@pytest.mark.parametrize(
    ("target", "cause"),
    [
        (planted.WithWrongInputGradient, "the gradient of the input is wrong"),
        (planted.WithWrongKernelGradient, "the gradient of the kernel is wrong"),
        (planted.WithWrongBiasGradient, "the gradient of the bias is wrong"),
        (planted.WithWideGradients, "the gradient of the input has a wrong shape or dtype"),
        (planted.WithoutBiasGradient, "returns no gradient of the bias"),
        (planted.WithTwoGradients, "gradients does not return three gradients"),
        (planted.WithGradientsThatRaise, "raises ValueError: no gradient of stride #"),
    ],
)
def test_a_wrong_gradient_fails_on_that_alone(target: type[Implementation], cause: str):
    assert failing(target) == {"gradient_values": cause}


def test_no_gradient_of_a_bias_is_asked_for_where_there_is_none():
    case = Case.parse("in2x5x6x4-f3-k3x2-nobias-integers.1")
    assert failing(planted.WithoutBiasGradient, case) == {}
    assert list(failing(planted.WithWrongInputGradient, case)) == ["gradient_values"]


def test_the_message_counts_the_wrong_elements():
    message = judged(planted.WithWrongBiasGradient)["gradient_values"].message
    assert message.endswith("of 3 elements of the gradient of the bias are wrong")


def test_gradients_are_not_asked_for_unless_they_are_claimed():
    class Silent(planted.WithWrongInputGradient):
        capabilities = Capabilities()

    assert "gradient_values" not in judged(Silent)
    assert "gradient_values" not in concerning(wrap("planted", Silent))


@pytest.mark.parametrize(
    "text",
    [
        "in2x5x6x4-f3-k3x2-normal.1",
        "in2x5x6x4-f3-k3x2-a.tanh-integers.1",
        "in3x97x113x7-f2-k3-float16-integers.1",  # too many pixels to count in float16
    ],
)
def test_gradients_that_could_not_be_exact_are_not_judged(text: str):
    implementation = wrap("planted", planted.WithWrongInputGradient)
    trial = Trial(Case.parse(text), implementation.info())
    assert not CHECKS["gradient_values"].applies(trial)


@pytest.mark.parametrize("name", ["winograd F(4, 3)", "fft"])
def test_gradients_by_a_fast_algorithm_may_be_as_far_off_as_its_results(name: str):
    correlate, declared = CORRELATE[name]

    class Backpropagates(Fast):
        error = 0.01

        def gradients(self, x: Any, kernel: Any, bias: Any, upstream: Any, **given: Any) -> Any:
            found = planted.WithGradients().gradients(x, kernel, bias, upstream, **given)
            return tuple(one + one.dtype.type(self.error) for one in found)

    class Drops(Backpropagates):
        error = 1

    case = Case.parse("in1x6x6x2-f2-k3-small.1")
    gradients = Capabilities(algorithm=declared.algorithm, gradients=True)
    assert failing(Backpropagates(name, correlate, gradients), case) == {}
    assert list(failing(Drops(name, correlate, gradients), case)) == ["gradient_values"]
    exact = Backpropagates(name, direct, Capabilities(gradients=True))
    assert list(failing(exact, case)) == ["gradient_values"]


# Determinism and shapes --------------------------------------------------------------------------


def in_any_order(x: Any, kernel: Any, strides: Any, dilation: Any) -> Any:
    """Channels summed in an order that nobody chose."""
    order = np.random.default_rng().permutation(x.shape[3])
    return sum(direct(x[..., [c]], kernel[:, :, [c]], strides, dilation) for c in order)


def test_who_sums_in_any_order_passes_if_it_is_declared():
    case = Case.parse("in2x8x9x33-f9-k3-normal.1")
    honest = Fast("planted", in_any_order, Capabilities(deterministic=False))
    assert failing(honest, case) == {}
    assert "repeated_call" not in concerning(honest)
    assert failing(honest, Case.parse("in2x8x9x33-f9-k3-integers.1")) == {}
    silent = Fast("planted", in_any_order, Capabilities())
    assert failing(silent, case) == {"repeated_call": "a repeated call gives another result"}


class KnownShapesOnly(Implementation):
    capabilities = Capabilities(symbolic_shapes=False)

    class layer(reference_impl.Conv2D):  # noqa: N801
        def compute_output_shape(self, input_shape: Any) -> Any:
            if None in input_shape:
                raise TypeError("sizes must be numbers")
            return super().compute_output_shape(input_shape)


class EveryShape(KnownShapesOnly):
    capabilities = Capabilities()


def test_unknown_sizes_are_asked_for_unless_the_layer_says_it_takes_none():
    assert failing(KnownShapesOnly) == {}
    assert "compute_output_shape" in judged(KnownShapesOnly)
    assert failing(EveryShape) == {
        "compute_output_shape": "raises TypeError: sizes must be numbers"
    }


def test_a_layer_that_takes_no_unknown_sizes_still_has_to_know_the_others():
    class Wrong(KnownShapesOnly):
        class layer(reference_impl.Conv2D):  # noqa: N801
            def compute_output_shape(self, input_shape: Any) -> Any:
                return (*super().compute_output_shape(input_shape)[:3], 1)

    assert failing(Wrong) == {"compute_output_shape": "compute_output_shape is wrong"}


@pytest.mark.parametrize(
    ("target", "absent"),
    [
        (reference_impl.conv2d, {"claimed_capability", "compute_output_shape", "function_values",
                                 "gradient_values"}),
        (reference_impl.Conv2D, {"claimed_capability", "function_values", "gradient_values",
                                 "refused_call"}),
        (planted.Declared, {"compute_output_shape", "function_values", "gradient_values"}),
        (planted.WithFunction, {"claimed_capability", "gradient_values", "refused_call"}),
        (planted.WithGradients, {"compute_output_shape", "function_values"}),
        (
            Fast("fft", direct, Capabilities(algorithm="fft")),
            {"compute_output_shape", "function_values", "gradient_values", "batch_independence"},
        ),
    ],
)  # fmt: skip
def test_only_the_checks_that_concern_an_implementation_are_made(target: Any, absent: set[str]):
    lives = target in (reference_impl.Conv2D, planted.WithFunction)  # with that layer
    contract = {rule.name for rule in (OF_KERAS if lives else RULES)}
    assert set(CHECKS) - set(concerning(wrap("planted", target))) == absent | contract
