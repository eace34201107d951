"""The contract of a layer: the reference keeps it, and each check sees a fault of its own."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tried import judged
from wrong_layers import RIGHT, WRONG, KeepsWhatItIsGiven, WrongInGraphs

from conformance.capabilities import Capabilities
from conformance.case import Case
from conformance.checks import CHECKS, RULES
from conformance.checks.consistency import HOW, SHOWN
from conformance.contract import page
from conformance.observing.life import reference_life
from conformance.observing.observation import Raised
from conformance.plan import plan
from conformance.plan.asking import Asked
from conformance.plan.varied import varied_cases
from conformance.results import Status
from conformance.targets import wrap
from conformance.variations import VARIATIONS, Stage
from conformance.variations.table import MODES
from reference_impl import Conv2D

ROOT = Path(__file__).parents[2]
LAYER = Asked(kind="layer", contract=True)
KERAS = Asked(kind="layer", contract=True, modes=MODES)
BASE = "in1x7x7x4-f2-k3-"


def failed(case: str, target: Any) -> list[str]:
    return [j.check for j in judged(Case.parse(case), target) if j.status is Status.FAILED]


@pytest.mark.parametrize(("check", "case", "layer"), WRONG, ids=[w[2].__name__ for w in WRONG])
def test_a_wrong_layer_fails_the_check_of_its_fault_alone(check: str, case: str, layer: Any):
    assert failed(case, layer) == [check]
    right = RIGHT.get(check, Conv2D)
    assert failed(case, right) == []
    assert check in {j.check for j in judged(Case.parse(case), right)}


def test_every_rule_has_a_wrong_layer() -> None:
    assert {check for check, _, _ in WRONG} == {rule.name for rule in RULES}
    assert all(rule.name in CHECKS for rule in RULES)


# The table ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_the_reference_keeps_the_contract(seed: int) -> None:
    wrong = {
        str(case): [(j.check, j.message) for j in judged(case, Conv2D) if j.status != "passed"]
        for case in varied_cases(seed, LAYER)
    }
    assert {case: found for case, found in wrong.items() if found} == {}


def test_values_that_name_axes_or_change_the_output_are_drawn_in_channels_last() -> None:
    """So that they mean what they say, and conditions on the size of the output hold."""
    for case in (case for seed in range(5) for case in varied_cases(seed, KERAS)):
        row = VARIATIONS[str(case.but)]
        if row.stage in (Stage.BUILD, Stage.CALL, Stage.THEN) or row.argument in (
            "strides",
            "filters",
        ):
            assert case.data_format != "channels_first", case


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
    assert len(outcomes) >= 90


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
    backed = {check for check, _, _ in WRONG}
    assert {p.partition("\n")[0] for p in paragraphs} == backed
    assert all("Source: " in p for p in paragraphs)


def test_a_cause_says_how_the_layer_was_called():
    assert {*HOW, *SHOWN} == {*MODES}
    found = {
        j.check: j for j in judged(Case.parse(f"{BASE}but.mode.graph-integers.1"), WrongInGraphs)
    }
    assert found["modes_agree"].cause == "traced by tf.function, it returns other values"


@pytest.mark.parametrize("text", ["in2x5x5x1-f2-k2-integers.0", f"{BASE}but.name.plain-integers.0"])
def test_weights_that_were_set_may_be_overwritten(text: str) -> None:
    found = {j.status for j in judged(Case.parse(text), KeepsWhatItIsGiven)}
    assert Status.FAILED in found
    assert {j.status for j in judged(Case.parse(text), Conv2D)} == {Status.PASSED}
