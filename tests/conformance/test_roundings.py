"""What rounding to nearest can make of a sum is allowed, and no more."""

from __future__ import annotations

import numpy as np
import pytest

from conformance.roundings import bound_once_rounded
from reference_impl.dtypes import format_of
from reference_impl.rounding import round_to


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_sum_in_float64_may_become_float32_on_the_way(dtype: str):
    """Just above the middle of two numbers: float32 rounds to the middle, and ties go to even."""
    fmt = format_of(dtype)
    middle = 1 + fmt.unit_roundoff
    exact = np.array([middle + 2.0**-40, middle - 2.0**-40])
    allowed = bound_once_rounded(exact, np.zeros(2), None, fmt)
    twice = round_to(exact.astype(np.float32).astype(np.float64), fmt).astype(np.float64)
    assert (np.abs(twice - exact) <= allowed).all()
    assert (np.abs(round_to(exact, fmt).astype(np.float64) - exact) <= allowed).all()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_away_from_the_middle_one_number_is_right(dtype: str):
    fmt = format_of(dtype)
    exact = np.array([1 + 0.9 * fmt.unit_roundoff])
    assert bound_once_rounded(exact, np.zeros(1), None, fmt) == exact - 1
