"""Sums that are kept for one case serve only cases with the same values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.axes import DATA_KINDS, VIEWS
from conformance.case import Case
from conformance.data import arrays
from conformance.plan import Example
from conformance.plan.free import examples
from conformance.sums import key_of

ACTIVATIONS = st.sampled_from([None, "relu", "relu6", "hard_sigmoid", "gelu"])


@pytest.mark.parametrize("data", DATA_KINDS)
@settings(max_examples=30)
@given(example=examples(), activation=ACTIVATIONS, view=st.sampled_from([None, *VIEWS]))
def test_cases_with_one_key_have_equal_values(
    data: str, example: Example, activation: str | None, view: str | None
):
    case = replace(example[0], data=data)
    other = replace(case, activation=activation, view=view)
    same = all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in zip(_values(case), _values(other), strict=True)
    )
    assert same or key_of(case) != key_of(other)


def _values(case: Case) -> list[np.ndarray]:
    data = arrays(case)
    bias = data.bias if data.bias is not None else np.zeros(0)
    return [np.asarray(values, np.float64) for values in (data.x, data.kernel, bias)]
