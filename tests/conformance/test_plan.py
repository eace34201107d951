"""The plan meets what it says it meets, and the seed alone decides it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import islice, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from triggers import SEQUENCES, TRIGGERS, frequency

from conformance.axes import BIAS_VIEWS, DATA_KINDS, KERNEL_VIEWS, POLICIES, VIEWS, AsList
from conformance.capabilities import Capabilities
from conformance.case import Case
from conformance.data import arrays
from conformance.errors import UsageError
from conformance.plan import (
    PARTS,
    Asked,
    Example,
    Planned,
    adapt,
    configurations,
    plan,
    smallest,
)
from conformance.plan.asking import identity, takes_long
from conformance.plan.coverage import Met, coverage
from conformance.plan.design import fingerprint, rows_for
from conformance.plan.factors import FACTORS, NUMBER, row_of
from conformance.plan.free import BATCH, examples
from conformance.plan.ladders import MODES
from conformance.plan.popular import POPULAR
from conformance.plan.rungs import rungs
from conformance.plan.shrinking import MOST_EARLIER, fewest
from conformance.plan.varied import varied_cases
from reference_impl.activations import ACTIVATIONS, ALIASES
from reference_impl.arguments import check_strides_and_dilation
from reference_impl.dtypes import FLOATS
from reference_impl.geometry import Geometry

FUNCTION = Asked("function")
PEOPLE = {
    "layer": Asked(),
    "costly layer": Asked(costly_calls=True),
    "function": FUNCTION,
    "strides with dilation": Asked("function", Capabilities(strides_with_dilation=True)),
    "float32 only": Asked("function", Capabilities(dtypes=["float32"])),
    "no dilation, channels_first": Asked(
        "function", Capabilities(dilation=False, data_formats="channels_first")
    ),
    "valid, no groups": Asked("layer", Capabilities(paddings="valid", groups=False)),
    "half precision": Asked("layer", Capabilities(dtypes=["float16"])),
}


def cases_of(planned: list[Planned]) -> list[Case]:
    return [case for one in planned for case in one.example]


@pytest.fixture(scope="module", params=PEOPLE)
def asked(request: pytest.FixtureRequest) -> Asked:
    return PEOPLE[request.param]


@pytest.fixture(scope="module")
def default(asked: Asked) -> list[Planned]:
    return list(plan(0, asked, profile="default"))


@pytest.fixture(scope="module")
def everything() -> list[Case]:
    return cases_of(list(plan(0, profile="default")))


# What it meets ------------------------------------------------------------------------------------


COSTLY = PEOPLE["costly layer"]


@pytest.mark.parametrize("name", [name for name in PEOPLE if name != "costly layer"])
def test_all_pairs_triples_and_popular_layers_are_met_by_default(name: str):
    asked = PEOPLE[name]
    met = coverage(Met(cases_of(list(plan(0, asked, profile="default")))), asked)
    assert met["pairs"]["met"] == met["pairs"]["of"]
    assert met["triples"]["met"] == met["triples"]["of"]
    assert met["popular"]["missing"] == []


def test_where_calls_are_costly_all_pairs_and_most_triples_are_met():
    cases = cases_of(list(plan(0, COSTLY, profile="default")))
    met = coverage(Met(cases), COSTLY)
    assert met["pairs"]["met"] == met["pairs"]["of"]
    assert met["triples"]["met"] >= 0.94 * met["triples"]["of"]
    assert met["popular"]["missing"] == []
    assert sum(map(takes_long, cases)) <= 40
    assert sum(case.geometry.groups > 1 for case in cases) <= 400


def test_where_calls_are_costly_the_night_begins_with_what_was_left_out():
    length = sum(1 for _ in plan(0, COSTLY, profile="default"))
    night = list(islice(plan(0, COSTLY), length + 500))
    met = coverage(Met(cases_of(night)), COSTLY)
    assert {planned.part for planned in night[length : length + 100]} <= {"rows", "popular"}
    assert met["triples"]["met"] == met["triples"]["of"]


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", ["layer", "costly layer", "function"])
def test_pairs_and_popular_layers_are_met_within_160_configurations(name: str, seed: int):
    asked = PEOPLE[name]
    quick = list(plan(seed, asked, profile="quick"))
    met = coverage(Met(cases_of(quick)), asked)
    assert met["pairs"]["met"] == met["pairs"]["of"]
    assert met["popular"]["missing"] == []
    assert sum(len(planned.configurations()) for planned in quick) <= 160


@pytest.mark.parametrize("seed", range(5))
def test_likely_faults_are_met_in_the_first_ten(seed: int):
    first = [case.geometry for case in cases_of(list(plan(seed, limit=10)))]
    assert any(g.strides[0] != g.strides[1] for g in first)
    assert any(g.dilation_rate[0] != g.dilation_rate[1] for g in first)
    assert any(sum(pads) % 2 for g in first for pads in g.pads)
    assert any((g.kernel_size, g.strides, g.padding) == ((3, 3), (2, 2), "same") for g in first)


def test_no_three_joint_factors_have_more_than_300_combinations():
    sizes = sorted(len(factor.levels) for factor in FACTORS if factor.joint)
    assert sizes[-1] * sizes[-2] * sizes[-3] <= 300


ENDS = {
    "batch": (lambda c: c.geometry.batch, 65),
    "output height": (lambda c: c.geometry.output[0], 257),
    "output width": (lambda c: c.geometry.output[1], 257),
    "positions": (lambda c: c.geometry.output[0] * c.geometry.output[1], 65537),
    "channels": (lambda c: c.geometry.channels, 257),
    "filters": (lambda c: c.filters, 1025),
    "groups": (lambda c: c.geometry.groups, 257),
    "products": (lambda c: c.geometry.taps, 4097),
    "kernel height": (lambda c: c.geometry.kernel_size[0], 300),
    "kernel width": (lambda c: c.geometry.kernel_size[1], 300),
    "square kernel": (lambda c: min(c.geometry.kernel_size), 31),
    "strides": (lambda c: min(c.geometry.strides), 16),
    "dilation": (lambda c: min(c.geometry.dilation_rate), 18),
    "patches": (lambda c: min(c.geometry.strides) if c.kernel_size == c.strides else 0, 16),
}


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_ladders_reach_their_ends_early(name: str, seed: int):
    size, end = ENDS[name]
    assert max(map(size, cases_of(list(plan(seed, FUNCTION, limit=200))))) >= end


def form(value: object) -> str:
    if value is None:
        return "not passed"
    return "list" if isinstance(value, AsList) else type(value).__name__


VALUES = {
    "dtype": (lambda c: c.dtype, {None, *POLICIES}),
    "padding": (lambda c: c.padding, {None, *["valid", "same", "VALID", "SAME", "Valid", "Same"]}),
    "data_format": (lambda c: c.data_format, {None, "channels_last", "channels_first"}),
    "use_bias": (lambda c: c.use_bias, {None, True, False}),
    "data": (lambda c: c.data, {*DATA_KINDS} - {"small"}),
    "view": (lambda c: c.view, {None, *VIEWS}),
    "kernel_size": (lambda c: form(c.kernel_size), {"int", "tuple", "list"}),
    "strides": (lambda c: form(c.strides), {"not passed", "int", "tuple", "list"}),
    "dilation_rate": (lambda c: form(c.dilation_rate), {"not passed", "int", "tuple", "list"}),
}


@pytest.mark.parametrize("name", VALUES)
def test_every_value_and_spelling_of_an_argument_occurs(name: str, everything: list[Case]):
    read, wanted = VALUES[name]
    assert {read(case) for case in everything} == wanted


def test_every_activation_occurs_in_the_long_run():
    # `threshold` needs two more arguments.
    wanted = {None, *ACTIVATIONS, *ALIASES} - {"threshold"}
    assert {case.activation for case in cases_of(list(plan(0, limit=2000)))} == wanted


def test_a_function_gets_weights_in_every_memory_layout():
    cases = cases_of(list(plan(0, FUNCTION, profile="quick")))
    assert {case.kernel_view for case in cases} == {None, *KERNEL_VIEWS}
    assert {case.bias_view for case in cases} == {None, *BIAS_VIEWS}


def test_what_is_remembered_under_too_few_arguments_is_met(everything: list[Case]):
    changes = set()
    for planned in plan(0, profile="default"):
        parts = planned.configurations()
        if len(parts) == 2:
            (_, one), (_, two) = parts
            fields = ("strides", "padding", "dilation_rate", "kernel_size", "use_bias", "dtype")
            changes |= {f for f in fields if getattr(one[0], f) != getattr(two[0], f)}
    assert changes >= {"strides", "padding", "dilation_rate", "kernel_size", "use_bias", "dtype"}


# Sizes beyond those of a row come on the ladders alone.
ON_LADDERS = ("more than 256 filters", "more than 65536 input elements")
LEAST = 0.05


@pytest.fixture(scope="module", params=[0, 1, 2])
def layers(request: pytest.FixtureRequest) -> list[Planned]:
    return list(plan(request.param, profile="default"))


@pytest.mark.parametrize("name", TRIGGERS)
def test_a_condition_that_met_real_bugs_is_met_often_and_early(name: str, layers: list[Planned]):
    trigger = TRIGGERS[name]
    parts = [part for planned in layers for _, part in planned.configurations()]
    relevant = [part for part in parts if any(map(trigger.given, part))]
    first = next(
        at
        for at, part in enumerate(parts, 1)
        if any(trigger.given(c) and trigger.met(c) for c in part)
    )
    share = frequency(trigger, parts)
    if name in ON_LADDERS:
        assert first <= 200
        assert share * len(relevant) >= 10
    else:
        assert first <= 60
        assert share >= LEAST


@pytest.mark.parametrize("name", SEQUENCES)
def test_a_sequence_that_met_real_bugs_is_met_often_and_early(name: str, layers: list[Planned]):
    met = [SEQUENCES[name](planned.example) for planned in layers]
    assert any(met[:10])
    assert sum(met) >= LEAST * len(met)


def test_every_rung_comes_as_valid_as_same_and_with_a_remainder():
    modes: dict[tuple[str, object], set[str]] = {}
    for rung in rungs():
        if rung.ladder.modes == MODES:
            modes.setdefault((rung.ladder.name, rung.value), set()).update(rung.mode.split(", "))
    assert len(modes) > 130
    assert {frozenset(found) for found in modes.values()} == {
        frozenset({"valid", "same", "remainder"})
    }


def test_every_size_comes_with_a_kernel_of_3x3_and_with_another():
    kernels: dict[tuple[str, object], list[tuple[int, int]]] = {}
    for rung in rungs():
        if rung.ladder.name in ("batch", "output width", "channels", "filters", "groups"):
            kernels.setdefault((rung.ladder.name, rung.value), []).append(rung.kernel_size)
    assert len(kernels) > 80
    assert all(
        found.count((3, 3)) == len(found) // 2 == 1 or len(found) > 2 for found in kernels.values()
    )


@pytest.mark.parametrize("size", [32769, 65537])
def test_every_axis_is_once_longer_than_15_and_16_bits_count(size: int):
    cases = cases_of(list(plan(0, FUNCTION, profile="default")))
    axes = [(*c.geometry.output, c.geometry.batch, c.geometry.channels, c.filters) for c in cases]
    assert all(size in along for along in zip(*axes, strict=True))


def test_strides_of_axes_of_size_1_vary_on_the_smallest_inputs():
    cases = cases_of(list(plan(0, FUNCTION, profile="default")))
    relaxed = [c for c in cases if c.view == "relaxed" and min(c.geometry.size) == 1]
    assert sum(c.geometry.size == (1, 1) for c in relaxed) > 10
    assert any(c.geometry.padding == "same" and min(c.geometry.kernel_size) > 1 for c in relaxed)


def test_a_kernel_above_the_strides_meets_inputs_of_whole_strides():
    met = {
        (g.kernel_size[0], g.strides[0])
        for case in cases_of(list(plan(0, FUNCTION, profile="default")))
        if (g := case.geometry).padding == "valid"
        and min(g.kernel_size) == max(g.kernel_size) > min(g.strides) == max(g.strides) > 2
        and not any(n % s for n, s in zip(g.size, g.strides, strict=True))
    }
    assert met >= {(4, 3), (5, 3), (7, 3), (5, 4), (9, 4), (6, 5), (11, 5)}


def test_what_a_convolution_computes_with_is_varied_on_a_depthwise_one():
    depthwise = {
        case.but.partition(".")[0]
        for case in varied_cases(0, Asked("layer", contract=True))
        if case.but and case.geometry.groups == case.geometry.channels > 1
    }
    assert depthwise >= {
        *("kernel_size", "strides", "dilation_rate", "padding", "data_format", "activation"),
        *("use_bias", "dtype", "kernel_initializer", "kernel_regularizer", "kernel_constraint"),
        *("activity_regularizer", "arguments", "build", "input", "set_weights", "then"),
    }


def test_a_level_that_is_refused_in_part_is_named():
    cases = cases_of(list(plan(0, profile="quick")))
    refused = [
        c for c in cases if c.geometry.data_format == "channels_first" and c.filters % 2 == 0
    ]
    answered = Met([case for case in cases if case not in refused])
    met = coverage(answered, Asked(), Met(refused), refused)
    first = sum(c.geometry.data_format == "channels_first" and c.geometry.batch > 0 for c in cases)
    (named,) = met["refused"]
    assert named["level"] == "data_format: channels_first"
    assert named["refused"] == len(refused)
    assert named["of"] >= first
    assert coverage(Met(cases), Asked())["refused"] == []


def test_a_sibling_for_which_glu_would_halve_an_odd_axis_is_left_out():
    first = Case.parse("in8x4x6x11-f16-k3x4-s1x2-same-cf-a.glu-integers.0")
    sibling = replace(first, strides=(2, 1))
    assert Asked().may_ask(first)
    assert not Asked().may_ask(sibling)
    assert Asked("function").may_ask(sibling)


# How it is made -----------------------------------------------------------------------------------


def test_everything_planned_is_asked_as_claimed(asked: Asked, default: list[Planned]):
    for planned in default:
        for _, cases in planned.configurations():
            assert all(map(asked.may_ask, cases))
            assert adapt(cases, replace(asked, costly_calls=False)) == cases


def test_no_configuration_is_a_copy(asked: Asked, default: list[Planned]):
    first = [identity(planned.example[0], asked) for planned in default]
    assert len(first) - len(set(first)) <= 0.01 * len(first)


def test_parts_come_in_the_profiles_that_have_them():
    parts = {
        profile: {one.part for one in islice(plan(0, profile=profile), 2000)}
        for profile in ("quick", "default", "night")
    }
    assert parts == {
        "quick": set(PARTS[:2]),
        "default": set(PARTS[:3]),
        "night": set(PARTS),
    }
    with pytest.raises(UsageError, match="profile 'fast': allowed are quick, default, night"):
        next(plan(0, profile="fast"))


def test_the_shipped_design_is_that_of_the_tables():
    table = Path(__file__).parents[2] / "conformance" / "plan" / "design.txt"
    made_for = table.read_text("utf-8").splitlines()[0].split()[1].rstrip(":")
    assert made_for == fingerprint(), "run python -m conformance.plan"


def test_a_row_becomes_a_case_of_its_levels():
    design = rows_for(Asked().claims)
    for number, planned in zip(range(100), plan(0), strict=False):
        levels = design.rows[number].levels
        row = row_of(planned.example[0])
        different = [
            factor.name
            for factor, wanted, got in zip(FACTORS, levels, row, strict=True)
            if got >= 0 and got != wanted
        ]
        # The empty batch is a further input.
        assert set(different) <= {"an empty batch"}, planned.example[0]


def test_popular_layers_have_names_of_their_own():
    assert len({str(layer) for layer in POPULAR}) == len(POPULAR)
    assert NUMBER.keys() >= {"kernel", "strides", "dilation", "padding", "groups"}


# The seed alone decides ---------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_cases(asked: Asked):
    one, two = ([p.example for p in plan(5, asked, limit=60)] for _ in range(2))
    assert one == two
    assert one != [p.example for p in plan(6, asked, limit=60)]


LISTING = """
import hashlib, itertools
{before}
import conformance
assert conformance.__file__.startswith({where!r}), conformance.__file__
from conformance.plan import Asked, plan
planned = itertools.chain(plan(3, profile="default"), itertools.islice(plan(3), 2000, 2040))
print(hashlib.sha256(repr(["+".join(map(str, p.example)) for p in planned]).encode()).hexdigest())
"""


CHECKOUT = Path(__file__).parents[2]


def listing(folder: Path, packages: Path, before: str = "") -> str:
    """What a process in `folder` plans with the packages in another."""
    return subprocess.run(
        [sys.executable, "-c", LISTING.format(before=before, where=str(packages))],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(packages)},
    ).stdout


def test_neither_modules_imported_beforehand_nor_the_place_of_the_packages_change_anything(
    tmp_path: Path,
):
    """As from a wheel: the packages alone, without tests, beside nothing of the checkout."""
    packages, folder = tmp_path / "site-packages", tmp_path / "work"
    folder.mkdir()
    for name in ("conformance", "reference_impl"):
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(CHECKOUT / name, packages / name, ignore=unwanted)
    constants = "\n".join(f"N{n} = {n * 37}; S{n} = 's{n}'; F{n} = {n}.25" for n in range(400))
    (folder / "of_a_user.py").write_text(constants)
    found = {
        listing(folder, CHECKOUT),
        listing(folder, CHECKOUT, "import random; random.seed(1); import decimal"),
        listing(folder, packages),
        listing(folder, packages, "import of_a_user"),
    }
    assert len(found) == 1


def test_a_short_campaign_is_the_beginning_of_a_long_one():
    long = [case for p in plan(0, limit=300) for case in p.configurations()]
    for limit in (1, 2, 37, 201):
        assert [case for p in plan(0, limit=limit) for case in p.configurations()] == long[:limit]


@pytest.mark.parametrize("limit", [1, 2, 3, 50, 199, 200, 201])
def test_as_many_configurations_are_planned_as_are_asked_for(limit: int):
    planned = list(plan(0, limit=limit))
    numbers = [at for p in planned for at, _ in p.configurations()]
    assert numbers == list(range(1, limit + 1))
    assert all(p.example for p in planned)


def test_without_a_limit_the_plan_goes_on():
    length = sum(1 for _ in plan(0, profile="default"))
    beyond = list(islice(plan(0), length, length + 2 * BATCH))
    assert {planned.part for planned in beyond} == {"free"}
    assert len({planned.example for planned in beyond}) >= 1.8 * BATCH


# Asking -------------------------------------------------------------------------------------------


def test_a_function_is_asked_without_activation_and_policy():
    case = Case.parse("in1x4x4x1-f2-k2-a.relu-mixed_float16-integers.0")
    assert list(map(str, adapt((case,), FUNCTION))) == ["in1x4x4x1-f2-k2-float16-integers.0"]
    assert adapt((case,), Asked()) == (case,)


def test_a_layer_is_asked_with_ordinary_weights():
    case = Case.parse("in1x4x4x1-f2-k2-kernel.oihw-bias.sliced-integers.0")
    assert list(map(str, adapt((case,), Asked()))) == ["in1x4x4x1-f2-k2-integers.0"]
    assert adapt((case,), FUNCTION) == (case,)


def test_where_calls_take_long_a_configuration_has_one_input():
    for planned in plan(0, COSTLY, limit=150):
        for _, part in planned.configurations():
            assert len(part) == 1 or not takes_long(part[0])


@settings(max_examples=100)
@given(examples())
def test_everything_drawn_is_valid(example: Example):
    for case in example:
        g = case.geometry
        assert min(g.output_shape[1:]) >= 1
        assert g.channels % g.groups == case.filters % g.groups == 0
        check_strides_and_dilation(g.strides, g.dilation_rate)
        assert Case.parse(str(case)) == case
        if case.activation == "glu":  # halves the last axis
            assert g.output_shape[-1] % 2 == 0


@given(examples())
@settings(max_examples=50)
def test_an_example_is_one_configuration_and_at_most_one_sibling(example: Example):
    parts = configurations(example)
    assert tuple(case for part in parts for case in part) == example
    assert 1 <= len(parts) <= 2
    first, *others = parts[0]
    assert first.data == "integers"
    again = [case for case in others if case.weights is not None]
    assert others[: len(again)] == again
    assert len(again) == (first.weights is not None)
    second = others[len(again)]
    assert replace(second, data=first.data, seed=first.seed, weights=first.weights) == first
    assert len({case.seed for case in parts[0]}) == len(parts[0])


def test_weights_come_again_with_another_size_and_with_one_of_them_changed():
    met: dict[bool, int] = {}
    for planned in plan(0, FUNCTION, profile="default"):
        first, *others = planned.example
        for case in others:
            if case.weights is None or case.but:
                continue
            assert first.weights is not None
            one, other = arrays(first), arrays(case)
            resized = case.weights == first.weights
            met[resized] = met.get(resized, 0) + 1
            if first.kernel_view is None:
                changed = np.argwhere(one.kernel != other.kernel)
                assert len(changed) == (not resized)
            assert resized or case.input_shape == first.input_shape
    assert met[True] > 2 * met[False] > 200


def test_sizes_meet_that_engines_have_failed_on_together():
    cases = [c for c in cases_of(list(plan(0, FUNCTION, profile="default"))) if not c.but]

    def met(condition: Callable[[Case, Geometry], bool]) -> int:
        return sum(condition(case, case.geometry) for case in cases)

    # Channels beyond whole packs, many filters.
    assert met(lambda c, g: g.taps == g.channels > 64 and g.channels % 16 == 8 and c.filters > 127)
    # The first layer of a network.
    assert met(lambda c, g: g.channels == 3 and g.strides == (2, 2) and c.filters % 32 == 0) > 5
    # One row, `same`, a stride of 4.
    assert met(lambda c, g: g.size[0] == 1 and g.strides == (1, 4) and g.padding == "same")
    # Rows and columns longer than a piece, with a dilation and with a stride.
    for axis, name in product((0, 1), ("strides", "dilation_rate")):
        assert met(lambda c, g, a=axis, n=name: g.output[a] > 4096 and getattr(g, n)[a] == 3) > 2
    # Sums of many terms at many positions, in every dtype.
    for dtype in FLOATS:
        assert met(
            lambda c, g, d=dtype: (
                c.compute_dtype == d and g.taps >= 256 and g.output[0] * g.output[1] > 190
            )
        )
    # A single pixel whose strides lead nowhere, and windows that take steps.
    assert met(lambda c, g: g.size == (1, 1) and max(g.strides) > 1 and c.view == "relaxed") > 10
    # A range that transforms of a 3x3 do not have.
    for dtype in FLOATS:
        assert met(
            lambda c, g, d=dtype: (
                c.compute_dtype == d and c.data == "uneven" and g.kernel_size == (3, 3)
            )
        )


# Shrinking ----------------------------------------------------------------------------------------


def shrunk_where(condition: str) -> str:
    """What the first case in the plan that meets a condition shrinks to."""

    def fails(example: Example) -> bool:
        case = example[-1]
        return bool(eval(condition, {"g": case.geometry, "c": case}))

    example = next(p.example for p in plan(0, FUNCTION) if any(fails((c,)) for c in p.example))
    failing = [fails((case,)) for case in example]
    found = example[: failing.index(True) + 1]
    return "+".join(map(str, smallest(found, fails, FUNCTION)))


@pytest.mark.parametrize(
    ("condition", "smallest_case"),
    [
        ("g.output[1] > 32", "in1x1x33x1-f1-k1-integers.0"),
        ("g.batch > 32", "in33x1x1x1-f1-k1-integers.0"),
        ("c.filters > 256", "in1x1x1x1-f257-k1-integers.0"),
        ("g.channels % 16 and g.channels > 16", "in1x1x1x17-f1-k1-integers.0"),
        ("g.groups == g.channels > 8", "in1x1x1x9-f9-k1-g9-integers.0"),
        ("g.strides[0] != g.strides[1]", "in1x1x1x1-f1-k1-s1x2-integers.0"),
        ("g.dilation_rate[0] > 4", "in1x1x1x1-f1-k1-d5x1-integers.0"),
        ("c.compute_dtype == 'bfloat16'", "in1x1x1x1-f1-k1-bfloat16-integers.0"),
        ("g.kernel_size == (3, 3) and g.strides == (1, 1)", "in1x3x3x1-f1-k3-integers.0"),
        ("g.data_format == 'channels_first'", "in1x1x1x1-f1-k1-cf-integers.0"),
        ("c.view == 'sliced'", "in1x1x1x1-f1-k1-view.sliced-integers.0"),
    ],
)
def test_a_fault_ends_at_its_boundary(condition: str, smallest_case: str):
    found = Case.parse(shrunk_where(condition))
    wanted = Case.parse(smallest_case)
    sizes = [
        (
            c.input_shape,
            c.filters,
            c.geometry.kernel_size,
            c.compute_dtype,
            c.view,
            c.geometry.padding,
        )
        for c in (found, wanted)
    ]
    swapped = replace(wanted, strides=wanted.geometry.strides[::-1]).geometry
    assert sizes[0] == sizes[1]
    assert found.geometry in (wanted.geometry, swapped)


def test_a_fault_between_calls_keeps_what_it_needs():
    def fails(example: Example) -> bool:
        return len(example) > 1 and example[0].geometry.batch > example[-1].geometry.batch

    found = smallest(
        tuple(map(Case.parse, ["in7x5x5x3-f2-k3-integers.4", "in3x5x5x3-f2-k3-integers.5"])), fails
    )
    assert [case.geometry.batch for case in found] == [2, 1]
    assert {case.geometry.size for case in found} == {(1, 1)}


def test_earlier_cases_of_a_sequence_become_plain_too():
    earlier = "in1x1x8x1-f1-k1x2-same-bfloat16-view.transposed-bias.sliced-w.76-integers.0"
    example = tuple(map(Case.parse, [earlier, "in1x1x8x1-f1-k1x2-d1x3-integers.0"]))

    def fails(tried: Example) -> bool:
        paddings = [case.geometry.padding for case in tried]
        return paddings == ["same", "valid"] and all(
            c.geometry.kernel_size == (1, 2) for c in tried
        )

    first, _ = smallest(example, fails, FUNCTION)
    assert (first.dtype, first.view, first.bias_view, first.weights) == (None, None, None, None)


def test_shrinking_gives_up_after_so_many_attempts():
    seen: list[Example] = []

    def fails(example: Example) -> bool:
        seen.append(example)
        return True

    smallest(next(plan(0)).example, fails, attempts=5)
    assert len(seen) == 5


def test_what_cannot_be_shrunk_stays_as_it_is():
    target = next(plan(0)).example
    assert smallest(target, lambda example: example == target) == target


@given(st.integers(1, 300), st.data())
def test_the_fewest_cases_are_those_that_it_takes(number: int, data: st.DataObject):
    needed = data.draw(st.sets(st.integers(0, number - 1), min_size=1, max_size=6))
    found = fewest(tuple(range(number)), lambda kept: needed <= set(kept))  # type: ignore[arg-type]
    assert found == (tuple(sorted(needed)) if len(needed) <= MOST_EARLIER else ())
