"""What wrong results have in common is named where no fault explains them."""

from __future__ import annotations

from typing import Any

import pytest
from planted import right
from tried import tried

from conformance.case import Case
from conformance.diagnosis import diagnose
from conformance.faults import PATTERNS, explanation, is_of_earlier_calls, named
from conformance.faults.pattern import OTHER_SAMPLES

CASES = [
    Case.parse(text)
    for text in (
        "in3x5x6x3-f4-k3x2-same-integers.1",
        "in4x5x6x3-f4-k3x2-s2-normal.2",
        "in3x4x4x2-f2-k2-cf-integers.3",
        "in2x4x4x2-f2-k2-same-special.4",
    )
]


def turns_the_batch(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Each sample has the result of the one before it, the first that of the last."""
    result = right(x, kernel, bias, **given)
    return result[[-1, *range(len(result) - 1)]]


def adds_the_neighbour(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    result = right(x, kernel, bias, **given)
    return result + result[[-1, *range(len(result) - 1)]]


def test_results_of_other_samples_are_named():
    trials = [tried(case, turns_the_batch) for case in CASES]
    assert diagnose(trials) == OTHER_SAMPLES
    assert diagnose(trials[1:2]) is None  # that alone may be chance
    assert diagnose(trials[1:2], (OTHER_SAMPLES,)) == OTHER_SAMPLES


def returns_zeros(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    return right(x, kernel, bias, **given) * 0


@pytest.mark.parametrize("wrong", [adds_the_neighbour, returns_zeros])
def test_other_results_are_not(wrong: Any):
    trials = [tried(case, wrong) for case in CASES]
    assert diagnose(trials) is None
    for trial in trials:
        assert diagnose([trial], (OTHER_SAMPLES,)) is None


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_is_explained_in_one_sentence(name: str):
    assert explanation(name) == f"It {PATTERNS[name].sentence}."
    assert named(name) is PATTERNS[name]
    assert not is_of_earlier_calls(name)
