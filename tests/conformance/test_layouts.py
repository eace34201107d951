"""Arrays lie in memory as people pass them, here and in the process that runs an implementation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tried
from numpy.typing import NDArray

import reference_impl
from conformance.axes import BIAS_VIEWS, KERNEL_VIEWS, VIEWS
from conformance.case import Case
from conformance.data import arrays
from conformance.layouts import CANARY
from conformance.observing.memory import Memory
from conformance.results import Status
from reference_impl.dtypes import FLOATS

PLAIN = Case.parse("in2x5x6x3-f4-k2x3-integers.1")
OF = {
    "x": ("view", VIEWS),
    "kernel": ("kernel_view", KERNEL_VIEWS),
    "bias": ("bias_view", BIAS_VIEWS),
}
EVERY = [(name, view) for name, (_, views) in OF.items() for view in views]
right = reference_impl.conv2d


def given(name: str, view: str, case: Case = PLAIN) -> NDArray[Any]:
    """The array called `name` as an implementation is given it."""
    array = getattr(arrays(replace(case, **{OF[name][0]: view})), name)
    return Memory.of(array).rebuilt().view


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("name", "view"), EVERY)
def test_what_an_implementation_is_given_lies_as_the_case_says(name: str, view: str, dtype: str):
    case = replace(PLAIN, dtype=dtype)
    there = getattr(arrays(replace(case, **{OF[name][0]: view})), name)
    here = given(name, view, case)
    assert (here.dtype, here.shape, here.strides) == (there.dtype, there.shape, there.strides)
    assert here.flags.writeable == there.flags.writeable == (view not in ("readonly", "broadcast"))
    assert here.tobytes() == there.tobytes()
    assert here.ctypes.data % here.itemsize == 0


@pytest.mark.parametrize(("name", "view"), EVERY)
def test_a_layout_keeps_the_values_and_a_broadcast_those_of_its_first_part(name: str, view: str):
    plain, there = getattr(arrays(PLAIN), name), given(name, view)
    if view == "broadcast":
        axis = 0 if name == "x" else plain.ndim - 1
        plain = plain.take(np.zeros(plain.shape[axis], int), axis)
        assert there.strides[axis] == 0
    assert np.array_equal(plain, there)


def test_the_samples_of_one_case_are_broadcast_by_rows():
    x = given("x", "broadcast", replace(PLAIN, input_shape=(1, 5, 6, 3)))
    assert x.strides[1] == 0
    assert (x == x[:, :1]).all()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", OF)
def test_unaligned_is_one_element_behind_a_multiple_of_16(name: str, dtype: str):
    array = given(name, "unaligned", replace(PLAIN, dtype=dtype))
    assert array.ctypes.data % 16 == array.itemsize
    assert array.flags.c_contiguous
    assert array.base is not None
    assert array.base.view(array.dtype)[[0, -1]].tolist() == [CANARY, CANARY]


def test_only_axes_of_size_1_are_relaxed():
    case = Case.parse("in1x5x1x3-f4-k2x1-same-integers.1")
    x, plain = given("x", "relaxed", case), arrays(case).x
    assert [a == b for a, b in zip(x.strides, plain.strides, strict=True)] == [
        False,
        True,
        False,
        True,
    ]
    assert x.flags.c_contiguous


@pytest.mark.parametrize("name", ["x", "kernel"])
def test_pixels_of_a_crop_are_in_one_piece_with_canaries_between(name: str):
    array = given(name, "cropped")
    assert array.strides[-1] == array.itemsize
    assert array.strides[-2] == (array.shape[-1] + 2) * array.itemsize
    between = np.lib.stride_tricks.as_strided(array[0, 0, 0], (array.shape[-1] + 2,))
    assert between[-2:].tolist() == [CANARY, CANARY]


@pytest.mark.parametrize(
    ("name", "case", "axis"),
    [
        ("x", "in2x5x6x3-f4-k2x3-integers.1", 3),
        ("x", "in2x3x5x6-f4-k2x3-cf-integers.1", 1),
        ("kernel", "in2x5x6x3-f4-k2x3-integers.1", 3),
    ],
)
def test_a_split_is_the_second_half_of_an_axis(name: str, case: str, axis: int):
    array = given(name, "split", Case.parse(case))
    assert array.strides[axis:] == np.zeros(array.shape[axis:], array.dtype).strides
    assert array.strides[axis - 1] == 2 * array.shape[axis] * array.strides[axis]


def test_memory_in_another_order():
    assert given("kernel", "fortran").flags.f_contiguous
    assert given("kernel", "oihw").transpose(3, 2, 0, 1).flags.c_contiguous
    assert given("x", "permuted").transpose(0, 3, 1, 2).flags.c_contiguous
    first = replace(PLAIN, data_format="channels_first", input_shape=(2, 3, 5, 6))
    assert given("x", "permuted", first).transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize("view", VIEWS)
def test_an_empty_batch_lies_anywhere(view: str):
    assert given("x", view, replace(PLAIN, input_shape=(0, 5, 6, 3))).shape == (0, 5, 6, 3)


# Functions that rely on more than they are promised -----------------------------------------------


def pads_in_place(x: Any, kernel: Any, bias: Any = None, **how: Any) -> Any:
    """Writes its input, and puts back what was there."""
    before = x[:1, :1].copy()
    x[:1, :1] = 0
    x[:1, :1] = before
    return right(x, kernel, bias, **how)


def loads_sixteen_bytes_at_once(x: Any, kernel: Any, bias: Any = None, **how: Any) -> Any:
    """What a load of a vector register does where the address is no multiple of 16."""
    start = [a.ctypes.data // 16 * 16 for a in (x, kernel, bias)]
    shift = [
        (a.ctypes.data - s) // a.itemsize for a, s in zip((x, kernel, bias), start, strict=True)
    ]
    x, kernel, bias = (np.roll(a, n) for a, n in zip((x, kernel, bias), shift, strict=True))
    return right(x, kernel, bias, **how)


def reads_bias_by_address(x: Any, kernel: Any, bias: Any = None, **how: Any) -> Any:
    """Takes for granted that a bias has the stride of its item size."""
    step = bias.itemsize
    bias = (
        np.lib.stride_tricks.as_strided(bias, strides=(step,)) if bias.strides[0] < step else bias
    )
    return right(x, kernel, bias[:1].repeat(len(bias)) if bias.strides[0] > step else bias, **how)


def takes_the_width_from_strides(x: Any, kernel: Any, bias: Any = None, **how: Any) -> Any:
    """Computes the height of its input as a quotient of strides."""
    rows = x.strides[0] // x.strides[1]
    return right(x[:, :rows], kernel, bias, **how)


CAUGHT: list[tuple[Callable[..., Any], str]] = [
    (pads_in_place, "view.readonly"),
    (loads_sixteen_bytes_at_once, "view.unaligned"),
    (loads_sixteen_bytes_at_once, "kernel.unaligned"),
    (loads_sixteen_bytes_at_once, "bias.unaligned"),
    (reads_bias_by_address, "bias.sliced"),
    (takes_the_width_from_strides, "view.broadcast"),
    (takes_the_width_from_strides, "view.relaxed"),
]


@pytest.mark.parametrize(("function", "token"), CAUGHT)
def test_who_relies_on_more_is_met(function: Callable[..., Any], token: str):
    plain, met = (
        Case.parse(f"in1x5x6x3-f4-k2x3-same-{view}integers.1") for view in ("", f"{token}-")
    )
    for case, failed in ((plain, False), (met, True)):
        made = tried.judged(case, function)
        assert (Status.FAILED in {j.status for j in made}) == failed
    assert {j.status for j in tried.judged(met, right)} == {Status.PASSED}
