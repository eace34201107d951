"""What an implementation declares: refused when misspelt, and it steers every case it is asked."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.capabilities import (
    ALGORITHMS,
    CHOICES,
    EVERYTHING,
    FEATURES,
    Capabilities,
    area,
    every_need,
    is_probe,
    needs,
    probes,
    wording,
)
from conformance.case import Case
from conformance.criteria import expected, is_exact
from conformance.data import arrays
from conformance.errors import UsageError
from conformance.plan import Asked, Example, configurations, plan
from conformance.plan.free import examples
from reference_impl.dtypes import FLOATS

FLAGS = [f.name for f in fields(Capabilities) if isinstance(f.default, bool)]


def subsets(values: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, unique=True)


@st.composite
def declared(draw: st.DrawFn) -> Capabilities:
    """Any capabilities at all."""
    given: dict[str, Any] = {name: draw(subsets(values)) for name, values in CHOICES.items()}
    given |= {name: draw(st.booleans()) for name in FLAGS}
    given["strides_with_dilation"] &= given["dilation"]
    given["accumulation"] = draw(st.sampled_from([None, *FLOATS]))
    given["algorithm"] = draw(st.sampled_from(ALGORITHMS))
    return Capabilities(**given)


# What is declared --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"dtypes": ("float32", "int8")}, ["dtypes = 'int8'", "float16, bfloat16"]),
        ({"dtypes": ("flaot32",)}, ["dtypes = 'flaot32'", "did you mean 'float32'?"]),
        ({"dtypes": ()}, ["dtypes is empty", "float32"]),
        ({"dtypes": 32}, ["dtypes = 32", "float32"]),
        ({"dtypes": None}, ["dtypes = None", "float32"]),
        ({"dtypes": (np.dtype("float32").type,)}, ["dtypes", "float32"]),
        ({"data_formats": "NHWC"}, ["data_formats = 'NHWC'", "channels_last, channels_first"]),
        ({"data_formats": []}, ["data_formats is empty", "channels_last"]),
        ({"paddings": ["valid", "Same"]}, ["paddings = 'Same'", "did you mean 'same'?"]),
        ({"paddings": {"full"}}, ["paddings = 'full'", "valid, same"]),
        ({"groups": 1}, ["groups = 1", "True, False"]),
        ({"gradients": "yes"}, ["gradients = 'yes'", "True, False"]),
        ({"deterministic": None}, ["deterministic = None", "True, False"]),
        ({"accumulation": "float23"}, ["accumulation = 'float23'", "did you mean 'float"]),
        ({"algorithm": "winogard"}, ["algorithm = 'winogard'", "did you mean 'winograd'?"]),
        ({"algorithm": None}, ["algorithm = None", "direct, winograd, fft"]),
        (
            {"strides_with_dilation": True, "dilation": False},
            ["strides_with_dilation", "needs dilation = True"],
        ),
    ],
)
def test_what_is_no_capability_is_refused_in_one_sentence(given: dict[str, Any], words: list[str]):
    with pytest.raises(UsageError) as caught:
        Capabilities(**given)
    assert "\n" not in str(caught.value)
    for word in ["capability", *words]:
        assert word in str(caught.value)


def test_the_order_in_which_values_are_given_does_not_matter():
    one = Capabilities(dtypes=["float16", "float32"], paddings={"same", "valid"})
    two = Capabilities(dtypes=("float32", "float16", "float16"), paddings=("valid", "same"))
    assert one == two
    assert hash(one) == hash(two)
    assert one.dtypes == ("float32", "float16")
    assert repr(one) == repr(two)


def test_one_value_may_be_given_as_it_is():
    assert Capabilities(dtypes="float64") == Capabilities(dtypes=("float64",))


@pytest.mark.parametrize("name", [*CHOICES, *FLAGS, "accumulation", "algorithm"])
def test_every_field_tells_capabilities_apart(name: str):
    other: Any = {"accumulation": "float32", "algorithm": "fft"}.get(name)
    other = CHOICES[name][1:] if name in CHOICES else other or not getattr(EVERYTHING, name)
    assert replace(EVERYTHING, **{name: other}) != EVERYTHING


# What a case needs -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "needed"),
    [
        (
            "in1x6x5x4-f2-k2-integers.0",
            ["dtype float32", "data_format channels_last", "padding valid"],
        ),
        (
            "in1x4x6x5-f2-k2-SAME-g2-cf-mixed_float16-integers.0",
            ["dtype float16", "data_format channels_first", "padding same", "groups"],
        ),
        (
            "in1x6x5x4-f2-k2-s1x2-d1-g1-bfloat16-integers.0",
            ["dtype bfloat16", "data_format channels_last", "padding valid"],
        ),
        (
            "in1x6x5x4-f2-k2-s2x1-d1x2-float64-integers.0",
            [
                "dtype float64", "data_format channels_last", "padding valid", "dilation",
                "strides with dilation",
            ],
        ),
    ],
)  # fmt: skip
def test_a_case_needs_what_it_names(text: str, needed: list[str]):
    assert [wording(need) for need in needs(Case.parse(text))] == needed


def lacking(need: tuple[str, str]) -> Capabilities:
    """All capabilities but this one."""
    name, value = need
    full = Capabilities(strides_with_dilation=True)
    left: Any = [v for v in getattr(full, name) if v != value] if value else False
    changes = {name: left}
    if name == "dilation":
        changes["strides_with_dilation"] = False
    return replace(full, **changes)


@pytest.mark.parametrize("need", every_need(), ids=wording)
def test_a_case_is_covered_unless_something_it_needs_is_not_claimed(need: tuple[str, str]):
    probe = next(p for p in probes(Capabilities(strides_with_dilation=True)) if p.need == need)
    assert Capabilities(strides_with_dilation=True).covers(probe.case)
    assert not lacking(need).covers(probe.case)
    assert not lacking(need).has(need)


# Probes ------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(declared())
def test_there_is_one_probe_for_each_need_and_it_says_what_is_claimed(capabilities: Capabilities):
    made = probes(capabilities)
    assert [probe.need for probe in made] == every_need()
    for probe in made:
        assert probe.need in needs(probe.case)
        assert probe.claimed == capabilities.has(probe.need)
        assert is_probe(probe.case, capabilities) or not probe.claimed
    assert probes(replace(capabilities)) is made


@settings(max_examples=60)
@given(declared())
def test_a_probe_of_something_claimed_needs_nothing_that_is_not(capabilities: Capabilities):
    for probe in probes(capabilities):
        others = {need for need in needs(probe.case) if not capabilities.has(need)} - {probe.need}
        assert not others or probe.need == ("strides_with_dilation", "")  # which needs dilation too
        assert capabilities.covers(probe.case) == bool(probe.claimed)


def test_who_declares_nothing_has_probes_that_are_neither_claimed_nor_not():
    assert [p.need for p in probes(None)] == every_need()
    assert {p.claimed for p in probes(None)} == {None}
    assert not any(is_probe(p.case, None) for p in probes(None))


@settings(max_examples=60)
@given(declared())
def test_a_probe_is_a_small_case_that_can_be_written_down_and_is_decided_exactly(
    capabilities: Capabilities,
):
    for probe in probes(capabilities):
        assert Case.parse(str(probe.case)) == probe.case
        assert is_exact(probe.case)
        assert expected(probe.case, arrays(probe.case), EVERYTHING).exact
        assert min(probe.case.geometry.output_shape) >= 1
        assert np.prod(probe.case.input_shape) <= 120


# The area ----------------------------------------------------------------------------------------


def test_the_area_counts_each_combination_of_needs_once():
    combinations = list(area())
    assert combinations == list(area())
    assert len(combinations) == len(set(combinations)) == 96
    assert {need for needs in combinations for need in needs} == set(every_need())


def test_the_combination_of_every_drawn_case_is_in_the_area():
    full = Capabilities(strides_with_dilation=True)
    combinations = {frozenset(needs) for needs in area()}
    assert {frozenset(needs(case)) for case in drawn(full, 400)} <= combinations


# What is drawn -----------------------------------------------------------------------------------


@settings(max_examples=200)
@given(st.data())
def test_nothing_is_drawn_that_is_not_claimed(data: st.DataObject):
    capabilities = data.draw(declared())
    example: Example = data.draw(examples(Asked(capabilities=capabilities).claims))
    assert len(example) >= 2
    for case in configurations(example)[0]:  # the plan drops a sibling that is not claimed
        assert capabilities.covers(case)
        assert min(case.geometry.output_shape[1:]) >= 1
        assert Case.parse(str(case)) == case


def test_equal_capabilities_give_equal_plans():
    one = Capabilities(dtypes=["float16", "float32"], paddings=("same", "valid"), groups=False)
    two = Capabilities(dtypes=("float32", "float16"), groups=False)
    other = Capabilities(dtypes=("float32", "float64"), groups=False)
    assert list(plan(3, Asked(capabilities=one), limit=60)) == list(
        plan(3, Asked(capabilities=two), limit=60)
    )
    assert list(plan(3, Asked(capabilities=one), limit=60)) != list(
        plan(3, Asked(capabilities=other), limit=60)
    )


@pytest.mark.parametrize("capabilities", [Capabilities(), EVERYTHING])
def test_who_claims_everything_is_asked_what_everybody_is_asked(capabilities: Capabilities):
    assert list(plan(0, Asked(capabilities=capabilities), limit=120)) == list(plan(0, limit=120))


@pytest.mark.parametrize(
    "changes",
    [
        {"accumulation": "float16"}, {"deterministic": False}, {"flushes_subnormals": True},
        {"gradients": True}, {"symbolic_shapes": False},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_need_does_not_change_the_cases(changes: dict[str, Any]):
    assert list(plan(0, Asked(capabilities=Capabilities(**changes)), limit=120)) == list(
        plan(0, limit=120)
    )


def drawn(capabilities: Capabilities, configurations: int = 150) -> list[Case]:
    return [
        case
        for p in plan(0, Asked(capabilities=capabilities), limit=configurations)
        for case in p.example
    ]


def test_strides_with_dilation_are_drawn_where_they_are_claimed_and_nowhere_else():
    def has_both(case: Case) -> bool:
        return max(case.geometry.strides) > 1 and max(case.geometry.dilation_rate) > 1

    claimed = drawn(Capabilities(strides_with_dilation=True))
    assert sum(map(has_both, claimed)) > len(claimed) / 20
    assert not any(map(has_both, drawn(EVERYTHING)))


@pytest.mark.parametrize("need", every_need()[:-1], ids=wording)
def test_the_whole_budget_goes_to_what_is_claimed(need: tuple[str, str]):
    capabilities = lacking(need)
    planned = list(plan(0, Asked(capabilities=capabilities), limit=60))
    assert sum(len(p.configurations()) for p in planned) == 60
    assert all(capabilities.covers(case) for p in planned for case in p.example)


def test_one_dtype_one_layout_one_padding_and_nothing_else_can_be_asked_for():
    bare = Capabilities(
        dtypes="bfloat16",
        data_formats="channels_first",
        paddings="same",
        groups=False,
        dilation=False,
    )
    cases = [case for p in islice(plan(0, Asked(capabilities=bare)), 100) for case in p.example]
    assert {needs(case) for case in cases} == {
        (("dtypes", "bfloat16"), ("data_formats", "channels_first"), ("paddings", "same"))
    }
    assert {case.dtype for case in cases} == {"bfloat16", "mixed_bfloat16"}
    assert len({case.geometry.kernel_size for case in cases}) > 10


def test_features_are_all_the_needs_without_a_value():
    assert [name for name, value in every_need() if not value] == list(FEATURES)
