"""Values come from a kind and a seed; integers sum exactly in whatever order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from patches import in_sequence, is_small, patches

from conformance.axes import DATA_KINDS, POLICIES, VIEWS
from conformance.case import Case
from conformance.data import KNEES, LARGEST_INTEGER, SPECIAL_KINDS, arrays, integer_limit
from conformance.plan import Example
from conformance.plan.free import examples
from reference_impl.convolution import accumulate
from reference_impl.dtypes import FLOATS, FORMATS, as_dtype, format_of

PLAIN = Case.parse("in2x5x6x3-f4-k2x3-integers.1")
MANY_TAPS = Case.parse("in1x20x20x3-f5-k20x20-bfloat16-integers.4")  # 1200 products, 2**8 countable


def wide(values: NDArray[Any]) -> NDArray[np.float64]:
    return values.astype(np.float64)


@given(examples())
def test_integers_contain_no_zeros_unless_there_are_too_many_taps_to_count(example: Example):
    data = arrays(replace(example[0], data="integers"))
    limit = integer_limit(example[0].geometry.taps, example[0].compute_dtype)
    for values in (data.x, data.kernel, data.bias):
        if values is not None:
            assert (values != 0).all() or (limit == 0 and values is data.kernel)
            assert (wide(values) == np.round(wide(values))).all()
            assert (abs(wide(values)) <= max(limit, 1)).all()


@given(examples())
def test_no_partial_sum_of_integers_leaves_what_the_format_counts(example: Example):
    """|x||k| summed and |b| stay below 2**p, so every subset of the sum does."""
    case = replace(example[0], data="integers")
    data = arrays(case)
    sums = accumulate(data.x, data.kernel, data.bias, magnitude=True, **case.function_arguments())
    assert sums.magnitude is not None
    room = 2 ** min(format_of(case.compute_dtype).precision, 24)
    assert (sums.magnitude <= room).all()


@settings(max_examples=25)
@given(examples().map(lambda e: replace(e[0], data="integers")).filter(is_small), st.randoms())
def test_integers_sum_exactly_in_every_order(case: Case, random: Any):
    """Even where the accumulator is no wider than the result."""
    products = patches(case, arrays(case)).products
    taps = list(range(case.geometry.taps))
    exact = products.sum(axis=1)
    dtype = "float32" if case.compute_dtype == "float64" else case.compute_dtype
    for _ in range(3):
        random.shuffle(taps)
        assert np.array_equal(wide(in_sequence(products[:, taps], as_dtype(dtype))), exact)


@given(st.integers(1, 2**26), st.sampled_from(FLOATS))
def test_the_largest_integer_is_as_large_as_it_may_be(taps: int, dtype: str):
    m, room = integer_limit(taps, dtype), 2 ** min(FORMATS[dtype].precision, 24)
    assert m == 0 or taps * m * m + m <= room
    assert m == LARGEST_INTEGER or taps * (m + 1) ** 2 + m + 1 > room


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_more_products_than_the_format_counts_leave_some_weights_out(dtype: str):
    """As many weights stay as can be counted, in every filter, at places of its own."""
    case = replace(MANY_TAPS, dtype=dtype, input_shape=(1, 30, 30, 3), kernel_size=30)
    data = arrays(case)
    weights = wide(data.kernel).reshape(-1, case.filters)
    kept = 2 ** format_of(dtype).precision - 1
    assert integer_limit(case.geometry.taps, dtype) == 0
    assert ((weights != 0).sum(axis=0) == kept).all()
    assert set(np.unique(weights)) == {-1, 0, 1}
    assert len({tuple(np.flatnonzero(column)) for column in weights.T}) == case.filters
    assert (abs(wide(data.x)) == 1).all()


def test_left_out_weights_make_the_sum_exact_in_every_order():
    products = patches(MANY_TAPS, arrays(MANY_TAPS)).products
    rng = np.random.default_rng(0)
    for _ in range(5):
        shuffled = products[:, rng.permutation(products.shape[1])]
        got = in_sequence(shuffled, as_dtype("bfloat16"))
        assert np.array_equal(wide(got), products.sum(axis=1))


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_sparing_begins_exactly_where_counting_ends(dtype: str):
    room = 2 ** min(FORMATS[dtype].precision, 24)
    assert integer_limit(room - 1, dtype) == 1
    assert integer_limit(room, dtype) == 0


@given(examples())
def test_the_same_case_gives_the_same_arrays(example: Example):
    for case in example:
        one, two = arrays(case), arrays(Case.parse(str(case)))
        for a, b in zip(
            (one.x, one.owner, one.kernel), (two.x, two.owner, two.kernel), strict=True
        ):
            assert (a.dtype, a.shape, a.strides) == (b.dtype, b.shape, b.strides)
            assert a.tobytes() == b.tobytes()
            assert not np.shares_memory(a, b)


def test_the_values_are_the_same_in_every_release():
    """A case string in an old bug report must still mean the same numbers."""
    data = arrays(Case.parse("in1x1x4x1-f2-k1-integers.7"))
    assert data.x.ravel().tolist() == [-7, -59, 30, -63]
    assert data.kernel.ravel().tolist() == [-17, 62]
    assert data.bias is not None
    assert data.bias.tolist() == [15, 12]


@pytest.mark.parametrize("kind", sorted({*DATA_KINDS} - SPECIAL_KINDS))
@pytest.mark.parametrize("policy", POLICIES)
def test_values_are_finite_and_in_the_compute_dtype(kind: str, policy: str):
    for seed in range(20):
        case = replace(PLAIN, data=kind, dtype=policy, seed=seed)
        data = arrays(case)
        assert data.bias is not None
        for values, shape in (
            (data.x, case.input_shape), (data.kernel, case.kernel_shape), (data.bias, (4,)),
        ):  # fmt: skip
            assert values.dtype == as_dtype(case.compute_dtype)
            assert values.shape == shape
            assert np.isfinite(wide(values)).all()
            assert wide(values).any()


@given(examples())
def test_every_drawn_value_is_finite_but_special_ones(example: Example):
    for case in example:
        case = replace(case, data="normal") if case.data in SPECIAL_KINDS else case
        data = arrays(case)
        values = [data.x, data.owner, data.kernel, *([] if data.bias is None else [data.bias])]
        assert all(np.isfinite(wide(v)).all() for v in values)
        assert (data.bias is None) == (case.use_bias is False)


@pytest.mark.parametrize("kind", DATA_KINDS)
def test_another_seed_gives_other_values(kind: str):
    one, two = (arrays(replace(PLAIN, data=kind, seed=seed)) for seed in (1, 2))
    assert not np.array_equal(one.x, two.x)
    assert not np.array_equal(one.kernel, two.kernel)


def test_cancelling_data_cancels_and_wide_data_is_wide():
    case = Case.parse("in1x8x8x8-f4-k4-float64-cancelling.3")
    data = arrays(case)
    sums = accumulate(data.x, data.kernel, magnitude=True)
    assert sums.magnitude is not None
    assert np.median(abs(sums.value) / sums.magnitude) < 0.1
    x = arrays(replace(case, data="wide", dtype="float32")).x
    exponents = np.frexp(x)[1]
    assert exponents.max() - exponents.min() > 20


@pytest.mark.parametrize("dtype", FLOATS)
def test_uneven_data_are_far_apart_and_their_products_are_not(dtype: str):
    data = arrays(replace(PLAIN, data="uneven", dtype=dtype))
    x, kernel = (values.astype(np.float64) for values in (data.x, data.kernel))
    assert abs(x).max() > 655
    assert np.isfinite(x).all()
    assert abs(kernel).min() >= 2.0 ** format_of(dtype).min_exponent
    assert 2**-3 < np.median(abs(x)) * np.median(abs(kernel)) < 2**3


def test_weights_of_their_own_do_not_depend_on_the_input():
    small, large = (
        arrays(Case.parse(f"in{size}x2-f3-k2x3-same-w.14-integers.{seed}"))
        for size, seed in (("1x3x3", 1), ("2x7x9", 5))
    )
    assert np.array_equal(small.kernel, large.kernel)
    assert small.bias is not None
    assert large.bias is not None
    assert np.array_equal(small.bias, large.bias)


def test_the_last_bit_of_their_seed_is_the_sign_of_the_weight_in_the_middle():
    one, other = (arrays(replace(PLAIN, weights=n)).kernel.reshape(-1) for n in (6, 7))
    assert np.flatnonzero(one != other).tolist() == [one.size // 2]
    assert one[one.size // 2] == -other[one.size // 2]


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
@pytest.mark.parametrize("view", [None, *VIEWS])
def test_a_view_holds_the_values_of_the_plain_case(view: str | None, layout: str):
    case = replace(PLAIN, input_shape=(2, 3, 5, 6), data_format=layout, kernel_size=2)
    plain, data = arrays(case), arrays(replace(case, view=view))
    if view == "broadcast":
        assert np.array_equal(plain.x[[0, 0]], data.x)
    else:
        assert np.array_equal(plain.x, data.x)
    assert np.array_equal(plain.kernel, data.kernel)
    assert np.shares_memory(data.x, data.owner)
    assert data.owner.flags.owndata or view == "reversed"
    in_one_piece = view in (None, "readonly", "unaligned", "relaxed")
    assert data.x.flags.c_contiguous == in_one_piece


def test_a_sliced_view_has_canaries_between_its_values():
    data = arrays(replace(PLAIN, view="sliced"))
    outside = np.ones(data.owner.shape, bool)
    outside[:, 1::2, 1::2, 1::2] = False
    assert np.shares_memory(data.x, data.owner)
    assert data.owner[~outside].reshape(data.x.shape).tolist() == data.x.tolist()
    assert (data.owner[outside] == 77).all()
    assert (data.owner[:, [0, -1]] == 77).all()
    assert data.x.base is not None


def test_a_transposed_view_has_its_axes_in_reverse_order_in_memory():
    data = arrays(replace(PLAIN, view="transposed"))
    assert data.x.flags.f_contiguous
    assert data.owner.shape == data.x.shape[::-1]


@pytest.mark.parametrize("layout", ["channels_last", "channels_first"])
def test_a_reversed_view_runs_backwards_in_both_spatial_axes(layout: str):
    case = replace(PLAIN, input_shape=(2, 4, 4, 4), data_format=layout, kernel_size=2)
    signs = [stride < 0 for stride in arrays(replace(case, view="reversed")).x.strides]
    last = layout == "channels_last"
    assert signs == ([False, True, True, False] if last else [False, False, True, True])


@pytest.mark.parametrize("bias", ["bias", "nobias"])
@pytest.mark.parametrize("name", ["relu6", "hard_sigmoid", "softplus", "gelu"])
def test_knees_are_met_from_both_sides(name: str, bias: str):
    below, above = set(), set()
    for seed in range(40):
        case = Case.parse(f"in1x4x4x2-f8-k2-a.{name}-{bias}-knees.{seed}")
        data = arrays(case)
        sums = accumulate(data.x, data.kernel, data.bias, magnitude=False).value
        for knee in KNEES[name]:
            near = abs(sums - knee) < 0.25
            below |= {knee} if (near & (sums < knee)).any() else set()
            above |= {knee} if (near & (sums > knee)).any() else set()
    assert below == above == {*KNEES[name]}


def test_masked_values_meet_zeros():
    for seed in range(10):
        data = arrays(replace(PLAIN, data="masked", seed=seed))
        x, kernel = wide(data.x), wide(data.kernel)
        masked = x if not np.isfinite(kernel).all() else kernel
        assert 0.2 < (masked == 0).mean() < 0.8
        assert np.isfinite(masked).all()
