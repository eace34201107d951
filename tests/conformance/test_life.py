"""The contract of a layer: the reference keeps it, and each check sees a fault of its own."""

from __future__ import annotations

import inspect
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conformance.capabilities import Capabilities
from conformance.case import Case
from conformance.checks import CHECKS
from conformance.checks.life import RULES
from conformance.contract import page
from conformance.implementations import wrap
from conformance.observing.observation import Raised
from conformance.plan import plan
from conformance.plan.asking import Asked
from conformance.plan.varied import varied_cases
from conformance.results import Status
from conformance.variations import VARIATIONS, Stage
from conformance.variations.life import reference_life
from conformance.variations.table import MODES
from reference_impl import Conv2D
from tests.conformance.tried import judged

ROOT = Path(__file__).parents[2]
LAYER = Asked(kind="layer", contract=True)
KERAS = Asked(kind="layer", contract=True, modes=MODES)
BASE = "in1x7x7x4-f2-k3-"


def failed(case: str, target: Any) -> list[str]:
    return [j.check for j in judged(Case.parse(case), target) if j.status is Status.FAILED]


# Layers with one fault each -----------------------------------------------------------------------


class TakesAnyFilters(Conv2D):
    def __init__(self, filters: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(filters or 2, *args, **kwargs)


class RefusesNumpyStrides(Conv2D):
    def __init__(self, filters: Any, kernel_size: Any, strides: Any = 1, **kwargs: Any) -> None:
        if isinstance(strides, np.integer):
            raise TypeError("strides must be an int")
        super().__init__(filters, kernel_size, strides, **kwargs)


class KeepsCase(Conv2D):
    def __init__(self, *args: Any, padding: str = "valid", **kwargs: Any) -> None:
        super().__init__(*args, padding=padding, **kwargs)
        self.shown = padding

    def __getattribute__(self, name: str) -> Any:
        return super().__getattribute__("shown" if name == "padding" and _shows() else name)


def _shows() -> bool:
    """Whether the attribute is read by the suite, not by the layer itself."""
    return sys._getframe(2).f_code.co_name not in {"call", "compute_output_shape", "get_config"}


class ForgetsDilation(Conv2D):
    def get_config(self) -> dict[str, Any]:
        return {n: v for n, v in super().get_config().items() if n != "dilation_rate"}


class RevivesWithoutBias(Conv2D):
    @classmethod
    def from_config(cls, config: Any) -> Any:
        return super().from_config({**config, "use_bias": False})


class StartsWithOnes(Conv2D):
    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if self.bias is not None:
            self.bias.assign(np.ones(self.bias.shape))


class BiasFirst(Conv2D):
    def get_weights(self) -> Any:
        return super().get_weights()[::-1]

    def set_weights(self, weights: Any) -> None:
        super().set_weights(weights[::-1])


class ThawsAll(Conv2D):
    trainable = property(
        lambda self: self._trainable,
        lambda self, value: setattr(self, "_trainable", True),
    )


class IgnoresActivationObjects(Conv2D):
    def __init__(self, *args: Any, activation: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, activation=activation, **kwargs)
        if activation == "relu6":
            self.call_with = None

    def call(self, inputs: Any) -> Any:
        result = super().call(inputs)
        return result + 1 if hasattr(self, "call_with") else result


class ForgetsRegularizer(Conv2D):
    @property
    def losses(self) -> list[float]:
        return []


class ForgetsBatch(Conv2D):
    def __call__(self, inputs: Any, *, training: Any = None) -> Any:
        result = super().__call__(inputs)
        self._activity_losses = [loss * len(result) for loss in self._activity_losses]
        return result


class ForgetsConstraint(Conv2D):
    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        for weight in self.weights:
            weight.constraint = None


class SwapsUnknownShape(Conv2D):
    def compute_output_shape(self, input_shape: Any) -> Any:
        n, h, w, c = super().compute_output_shape(input_shape)
        return (n, w, h, c) if input_shape[0] is None else (n, h, w, c)


class AssignsOneByOne(Conv2D):
    def set_weights(self, weights: Any) -> None:
        if len(weights) == len(self.weights):
            for variable, value in zip(self.weights, weights, strict=True):
                variable.assign(value)
        super().set_weights(weights)


class ListsAreReversed(Conv2D):
    def __init__(self, filters: Any, kernel_size: Any, strides: Any = 1, **kwargs: Any) -> None:
        super().__init__(filters, kernel_size, strides, **kwargs)
        self.is_list = isinstance(strides, list)

    def call(self, inputs: Any) -> Any:
        result = super().call(inputs)
        return np.flip(result, 1) if self.is_list else result


WRONG = [
    (TakesAnyFilters, "but.filters.zero", ["refusals"]),
    (RefusesNumpyStrides, "but.strides.numpy_int", ["refusals"]),
    (KeepsCase, "but.padding.upper_case", ["attributes", "spellings_agree"]),
    (ForgetsDilation, "but.dilation_rate.uneven", ["configuration"]),
    (RevivesWithoutBias, "but.use_bias.one", ["configuration"]),
    (StartsWithOnes, "but.kernel_initializer.ones", ["weights_contract"]),
    (BiasFirst, "but.trainable.false", ["weights_contract", "varied_output"]),
    (ThawsAll, "but.then.frozen", ["weights_contract"]),
    (IgnoresActivationObjects, "but.activation.relu6", ["varied_output"]),
    (ForgetsRegularizer, "but.kernel_regularizer.l2", ["losses"]),
    (ForgetsBatch, "but.activity_regularizer.l1", ["losses"]),
    (ForgetsConstraint, "but.kernel_constraint.non_neg", ["constraints"]),
    (SwapsUnknownShape, "but.build.unknown_batch", ["shapes_agree"]),
    (AssignsOneByOne, "but.set_weights.last_larger", ["failure_leaves_no_trace"]),
    (ListsAreReversed, "but.strides.list", ["varied_output", "spellings_agree"]),
]


@pytest.mark.parametrize(("layer", "but", "checks"), WRONG, ids=[w[0].__name__ for w in WRONG])
def test_a_wrong_layer_fails_the_check_of_its_fault_alone(layer: Any, but: str, checks: list[str]):
    shape = "in2x7x8x4" if but in ("but.build.unknown_batch", "but.activity_regularizer.l1") else ""
    case = f"{shape or 'in1x7x7x4'}-f2-k3-{but}-integers.1"
    assert failed(case, layer) == checks
    assert failed(case, Conv2D) == []


def test_every_check_but_that_of_modes_has_a_wrong_layer() -> None:
    caught = {check for _, _, checks in WRONG for check in checks}
    assert caught == {rule.name for rule in RULES} - {"modes_agree"}
    assert all(rule.name in CHECKS for rule in RULES)


# The table ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_the_reference_keeps_the_contract(seed: int) -> None:
    wrong = {
        str(case): [(j.check, j.message) for j in judged(case, Conv2D) if j.status != "passed"]
        for case in varied_cases(seed, LAYER)
    }
    assert {case: found for case, found in wrong.items() if found} == {}


def test_there_are_variations_of_every_argument_and_many_outcomes() -> None:
    arguments = set(inspect.signature(Conv2D).parameters) - {"kwargs"}
    assert arguments <= {row.argument for row in VARIATIONS.values()}
    outcomes = set()
    for seed in range(2):
        for case in varied_cases(seed, KERAS):
            row = VARIATIONS[str(case.but)]
            for stage, found in reference_life(case, alike=row.of_keras).items():
                if isinstance(found, Raised):
                    outcomes.add((stage, found.types[0], row.argument))
    assert len(VARIATIONS) >= 300
    assert len(outcomes) >= 100


def test_names_are_tokens_and_differing_rows_say_why() -> None:
    for name, row in VARIATIONS.items():
        assert row.name == name
        assert Case.parse(f"{BASE}but.{name}-integers.0").but == name
        assert bool(row.why) == bool(row.differs)


def test_a_spelling_means_its_plain_value_to_the_reference() -> None:
    for name, row in VARIATIONS.items():
        if row.spells and row.stage is Stage.CONSTRUCT and not row.of_keras:
            case = Case.parse(f"{BASE}but.{name}-integers.0")
            one, other = reference_life(case), reference_life(case, alike=True)
            assert isinstance(one[Stage.CONSTRUCT], list), name
            assert isinstance(one[Stage.CALL], np.ndarray) == isinstance(
                other[Stage.CALL], np.ndarray
            )


# The plan -----------------------------------------------------------------------------------------


def test_every_variation_comes_once_and_is_no_configuration() -> None:
    planned = list(plan(0, KERAS, limit=20))
    varied = [p for p in planned if p.part == "variations"]
    assert Counter(p.example[0].but for p in varied) == Counter(VARIATIONS.keys())
    others = [p for p in planned if p.part != "variations"]
    assert sum(len(p.configurations()) for p in others) == 20
    assert list(plan(0, Asked(kind="layer"), limit=20)) == others


def test_a_variation_that_is_not_claimed_is_not_asked() -> None:
    few = Capabilities(dtypes=("float32",), data_formats=("channels_last",), groups=False)
    asked = {c.but: c for c in varied_cases(0, Asked("layer", few, contract=True))}
    assert asked
    assert not {"dtype.float64", "data_format.channels_first", "groups.numpy_int"} & set(asked)
    assert all(few.covers(case) for case in asked.values())


def test_a_layer_without_a_configuration_is_not_asked_for_its_life() -> None:
    class Small:
        def __init__(self, filters: int, kernel_size: Any) -> None: ...
        def build(self, shape: Any) -> None: ...

    info = wrap("small", Small).info()
    assert not any(p.part == "variations" for p in plan(0, Asked.of(info), limit=3))
    assert any(p.part == "variations" for p in plan(0, Asked.of(wrap("r", Conv2D).info()), limit=3))


# The document -------------------------------------------------------------------------------------


def test_the_page_of_the_contract_is_made_from_the_checks() -> None:
    assert (ROOT / "docs" / "contract.md").read_text("utf-8") == page() + "\n"


def test_every_rule_of_the_page_names_its_source_and_has_a_failing_example() -> None:
    paragraphs = re.split("^### ", page().partition("## Keras' own rules")[0], flags=re.M)[1:]
    backed = {check for _, _, checks in WRONG for check in checks} | {"modes_agree"}
    assert {p.partition("\n")[0] for p in paragraphs} == backed
    assert all("Source: " in p for p in paragraphs)
