"""What is drawn: always valid, often a condition that met real bugs, sometimes every value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from conformance import strategies
from conformance.campaign.plan import plan
from conformance.case import POLICIES, VIEWS, AsList, Case
from conformance.strategies import KINDS, Example, configurations, examples
from conformance.triggers import SEQUENCE_TRIGGERS, TRIGGERS, frequency
from reference_impl.activations import ACTIVATIONS, ALIASES
from reference_impl.arguments import check_strides_and_dilation

EXAMPLES = 3000
LEAST = 0.05


@pytest.fixture(scope="module")
def drawn() -> list[Example]:
    """A fixed campaign, as everybody runs it."""
    return [planned.example for planned in islice(plan(0, None), EXAMPLES)]


@pytest.fixture(scope="module")
def layers(drawn: list[Example]) -> list[Example]:
    """Its configurations, each with its cases."""
    return [part for example in drawn for part in configurations(example)]


@pytest.mark.parametrize("name", TRIGGERS)
def test_a_condition_that_met_real_bugs_is_drawn_often(name: str, layers: list[Example]):
    assert frequency(TRIGGERS[name], layers) >= LEAST


@pytest.mark.parametrize("name", SEQUENCE_TRIGGERS)
def test_a_sequence_that_met_real_bugs_is_drawn_often(name: str, drawn: list[Example]):
    assert sum(map(SEQUENCE_TRIGGERS[name], drawn)) / len(drawn) >= LEAST


def form(value: object) -> str:
    if value is None:
        return "not passed"
    return "list" if isinstance(value, AsList) else type(value).__name__


VALUES: dict[str, tuple[Callable[[Case], object], set[object]]] = {
    "activation": (
        lambda c: c.activation,
        {None, *ACTIVATIONS, *ALIASES} - {"threshold"},  # needs two more arguments
    ),
    "dtype": (lambda c: c.dtype, {None, *POLICIES}),
    "padding": (lambda c: c.padding, {None, "valid", "same", "SAME", "Valid"}),
    "data_format": (lambda c: c.data_format, {None, "channels_last", "channels_first"}),
    "use_bias": (lambda c: c.use_bias, {None, True, False}),
    "data": (lambda c: c.data, set(KINDS)),
    "view": (lambda c: c.view, {None, *VIEWS}),
    "groups": (lambda c: c.groups, {None, 1, 2, 3, 4, 5}),
    "batch": (lambda c: c.batch, {0, 1, 2, 3, 5}),
    "kernel_size as written": (lambda c: form(c.kernel_size), {"int", "tuple", "list"}),
    "strides as written": (lambda c: form(c.strides), {"not passed", "int", "tuple", "list"}),
    "dilation_rate as written": (
        lambda c: form(c.dilation_rate), {"not passed", "int", "tuple", "list"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_every_value_of_an_argument_occurs(name: str, drawn: list[Example]):
    read, wanted = VALUES[name]
    assert {read(case) for example in drawn for case in example} == wanted


@settings(max_examples=300)
@given(examples())
def test_everything_drawn_is_valid(example: Example):
    for case in example:
        assert min(case.geometry.output_shape[1:]) >= 1
        assert case.channels % case.group_count == case.filters % case.group_count == 0
        check_strides_and_dilation(case.stride, case.dilation)
        assert Case.parse(str(case)) == case
        if case.activation == "glu":  # halves the last axis
            assert case.geometry.output_shape[-1] % 2 == 0


def test_nothing_drawn_is_thrown_away():
    """As many examples arrive as are asked for, and Hypothesis is told to reject none of them."""
    arrived = 0

    @settings(max_examples=300, database=None)
    @given(st.data())
    def draw(data: st.DataObject) -> None:
        nonlocal arrived
        data.draw(examples())
        arrived += 1

    draw()
    assert arrived == 300
    assert assume.__name__ not in vars(strategies)


@given(examples())
def test_an_example_is_one_configuration_and_at_most_one_sibling(example: Example):
    parts = configurations(example)
    assert tuple(case for part in parts for case in part) == example
    assert 1 <= len(parts) <= 2
    first, second = parts[0][:2]
    assert first.data == "integers"
    assert replace(second, data=first.data, seed=first.seed) == first
    assert first.seed != second.seed
    for part in parts:
        assert len({case.layer_key() for case in part}) == 1


def test_the_simplest_example_is_simple():
    simplest: list[Example] = []

    @settings(max_examples=1, database=None)
    @given(examples())
    def draw(example: Example) -> None:
        simplest.append(example)

    draw()
    first = str(simplest[0][0])
    assert first == "in1x1x1x1-f1-k1-integers.0"
