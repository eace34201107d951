"""What depends on earlier calls is named by what of them shows, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from conformance.case import Case
from conformance.checks.shapes import output_shape
from conformance.faults import EARLIER, FAULTS, Fault, explanation, named
from conformance.selftest.trying import first_catch, tried
from conformance.sequences import diagnose_calls, to_be_tried
from reference_impl import Conv2D, conv2d

Function = Callable[..., Any]


def last_kernel() -> Function:
    """Answers with the kernel of the call before, where it fits."""
    kept: list[Any] = []

    def wrong(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        before = kept.pop() if kept else kernel
        kept.append(kernel.copy())
        alike = before.shape == kernel.shape and before.dtype == kernel.dtype
        return conv2d(x, before if alike else kernel, bias, **given)

    return wrong


def first_by_shape(part: str) -> Callable[[], Function]:
    """Keeps one argument by the shapes of input and kernel."""

    def make() -> Function:
        kept: dict[Any, Any] = {}

        def wrong(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
            found = kept.setdefault((x.shape, kernel.shape), given[part])
            return conv2d(x, kernel, bias, **{**given, part: found})

        return wrong

    return make


def result_by_shape() -> Function:
    kept: dict[Any, Any] = {}

    def wrong(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        key = x.shape, kernel.shape, bias is None, x.dtype.name, str(given)
        if key not in kept:
            kept[key] = conv2d(x, kernel, bias, **given)
        return kept[key].copy()

    return wrong


def first_input() -> Function:
    kept: dict[Any, Any] = {}

    def wrong(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        return conv2d(kept.setdefault((x.shape, x.dtype.name), x.copy()), kernel, bias, **given)

    return wrong


def first_bias() -> Function:
    kept: dict[Any, Any] = {}

    def wrong(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        if bias is not None:
            bias = kept.setdefault((bias.shape, bias.dtype.name), bias.copy())
        return conv2d(x, kernel, bias, **given)

    return wrong


def larger_batch_left() -> Function:
    kept: dict[Any, Any] = {}

    def wrong(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        result = conv2d(x, kernel, bias, **given)
        before = kept.get((result.shape[1:], result.dtype.name), result)
        if len(before) > len(result):
            result = np.concatenate([result, before[len(result) :]])
        kept[result.shape[1:], result.dtype.name] = result.copy()
        return result

    return wrong


def last_kernel_and_bias() -> Function:
    kept: dict[Any, Any] = {}

    def wrong(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        key = kernel.shape, kernel.dtype.name, bias is None
        before = kept.get(key, (kernel, bias))
        kept[key] = kernel.copy(), None if bias is None else bias.copy()
        return conv2d(x, *before, **given)

    return wrong


def first_activation() -> type[Conv2D]:
    kept: dict[Any, Any] = {}

    class Wrong(Conv2D):
        def __call__(self, x: Any, *given: Any, **named: Any) -> Any:
            own = self.activation
            self.activation = kept.setdefault((tuple(x.shape), self.filters), own)
            try:
                return super().__call__(x, *given, **named)
            finally:
                self.activation = own

    return Wrong


def one_more_each_time() -> Function:
    """What no row tells: every result is larger by the number of calls before."""
    calls = iter(range(10**9))

    def wrong(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
        result = conv2d(x, kernel, bias, **given)
        return result + result.dtype.type(next(calls))

    return wrong


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (last_kernel, "earlier_weights"),
        (first_by_shape("strides"), "earlier_strides"),
        (first_by_shape("padding"), "earlier_padding"),
        (first_bias, "earlier_bias"),
        (result_by_shape, "earlier_result"),
        (first_input, "earlier_input"),
        (larger_batch_left, "earlier_samples"),
        (last_kernel_and_bias, "earlier_kernel_and_bias"),
        (first_activation, "earlier_activation"),
        (one_more_each_time, None),
    ],
)
def test_what_shows_of_an_earlier_call_is_named(make: Callable[[], Function], name: str | None):
    caught = first_catch(make, seed=2)
    assert caught is not None
    assert caught.diagnosis == name


def processes(fault: Fault, *sequences: str) -> list[list[Any]]:
    """What a fresh process answers to each sequence of cases."""
    made = []
    for cases in sequences:
        function = fault.function()
        made.append([tried(Case.parse(c), function, (output_shape.name,)) for c in cases.split()])
    return made


TWO = "in1x6x6x2-f2-k3-integers.{} in1x6x6x2-f2-k3-integers.{}"


def test_one_wrong_call_is_not_enough_unless_it_is_asked_for():
    few = processes(FAULTS["weights_stale"], TWO.format(1, 2))
    assert diagnose_calls(few) is None
    assert diagnose_calls(few, ("earlier_weights",)) == "earlier_weights"
    assert diagnose_calls(few, ("earlier_bias",)) is None
    more = processes(FAULTS["weights_stale"], TWO.format(1, 2), TWO.format(3, 4))
    assert diagnose_calls(more) == "earlier_weights"


def test_what_is_wrong_from_the_first_call_on_is_none_of_it():
    assert diagnose_calls(processes(FAULTS["kernel_flipped"], TWO.format(1, 2))) is None


def test_what_is_right_has_no_name():
    assert diagnose_calls(processes(FAULTS["weights_stale"], TWO.format(1, 1))) is None


def test_some_sequences_have_other_seeds():
    cases = tuple(map(Case.parse, TWO.format(1, 1).split()))
    first, *others = to_be_tried(cases, (), 8)
    assert first == cases
    assert others
    assert all(one.seed != other.seed for one, other in others)
    assert len(to_be_tried(cases, (), 2)) == 2


@pytest.mark.parametrize("name", EARLIER)
def test_what_shows_is_explained_in_one_sentence(name: str):
    assert explanation(name).startswith(f"It {EARLIER[name].sentence}")
    assert ("#" in explanation(name)) is bool(EARLIER[name].source)
    assert named(name) is EARLIER[name]


def test_what_shows_stands_for_faults_between_calls():
    covered = [name for row in EARLIER.values() for name in row.covers]
    assert all(FAULTS[name].between_calls for name in covered)


def test_a_fault_of_single_calls_explains_what_comes_of_it():
    fault = FAULTS["pads_leak_in_large_batches"]
    case = Case.parse("in33x5x5x2-f2-k3-same-integers.0")
    found = [[tried(case, fault.function(), ("batch_independence",))]]
    assert diagnose_calls(found) is None
    assert diagnose_calls(found, (fault.name,)) == fault.name
    assert diagnose_calls(found, ("pads_with_edge",)) is None
