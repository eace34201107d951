"""What is no convolution is refused: any element that comes back is a finding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tried

import reference_impl
from conformance import Unsupported
from conformance.case import Case, CaseError
from conformance.checks import calls_for
from conformance.checks.trial import Trial
from conformance.data import arrays
from conformance.refusals import REFUSALS
from conformance.results import Status
from conformance.targets import wrap

TALL = Case.parse("in2x6x6x4-f2-k3x2-d2x1-g2-but.kernel_exceeds_input-integers.1")
UNEVEN = Case.parse("in2x4x6x6-f2-k3x2-same-g2-cf-but.channels_uneven-normal.1")
right = reference_impl.conv2d


def status(function: Callable[..., Any], case: Case) -> tuple[Status, str]:
    (judgement,) = tried.judged(case, function)
    assert judgement.check == "refused_call"
    return judgement.status, judgement.cause


def returning(value: Callable[[Any], Any]) -> Callable[..., Any]:
    def conv2d(x: Any, kernel: Any, bias: Any = None, **how: Any) -> Any:
        return value(x)

    return conv2d


def refuses(x: Any, kernel: Any, bias: Any = None, **how: Any) -> Any:
    raise Unsupported("no such thing")


def test_the_input_is_one_row_or_one_channel_off():
    assert arrays(TALL).x.shape == (2, 4, 6, 4)
    assert arrays(UNEVEN).x.shape == (2, 5, 6, 6)
    assert str(Case.parse(str(TALL))) == str(TALL)


@pytest.mark.parametrize("case", [TALL, UNEVEN], ids=[str(c.but) for c in (TALL, UNEVEN)])
def test_who_raises_or_returns_no_elements_passes(case: Case):
    for function in (right, refuses, returning(lambda x: np.zeros((len(x), 0, 3, 2), x.dtype))):
        assert status(function, case) == (Status.PASSED, "")


@pytest.mark.parametrize("case", [TALL, UNEVEN], ids=[str(c.but) for c in (TALL, UNEVEN)])
def test_whoever_returns_elements_or_no_array_fails(case: Case):
    words = REFUSALS[str(case.but)].words
    found = status(returning(lambda x: x[:1, :1]), case)
    assert found == (Status.FAILED, f"computes something for {words}")
    found = status(returning(lambda x: None), case)
    assert found == (Status.FAILED, "returns None instead of an array")


def test_a_layer_is_not_asked_for_it():
    assert tried.judged(TALL, reference_impl.Conv2D) == []
    assert calls_for(Trial(TALL, wrap("layer", reference_impl.Conv2D).info())) == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("in2x6x6x4-f2-k3-same-but.kernel_exceeds_input-integers.1", "needs padding valid"),
        ("in2x6x6x4-f2-k1x2-but.kernel_exceeds_input-integers.1", "more than one row"),
        ("in2x6x6x4-f2-k3-but.channels_uneven-integers.1", "needs more than one group"),
        ("in2x6x6x4-f2-k3-but.nothing-integers.1", "cannot read token"),
    ],
)
def test_a_case_that_would_be_a_convolution_after_all_is_no_case(text: str, words: str):
    with pytest.raises(CaseError, match=words):
        Case.parse(text)
