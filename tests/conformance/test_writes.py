"""What is written into the given arrays is named by what a fault leaves in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from planted import right
from tried import tried

from conformance.case import Case
from conformance.diagnosis import diagnose
from conformance.faults import FAULTS
from conformance.writes import WRITING

CASES = [
    Case.parse(text)
    for text in (
        "in2x5x6x3-f3-k3x2-same-integers.1",
        "in2x5x6x3-f3-k3x2-same-view.sliced-normal.2",
        "in3x4x4x2-f2-k2-same-view.split-integers.3",
    )
]


@pytest.mark.parametrize("name", WRITING)
def test_a_fault_that_writes_is_named(name: str):
    trials = [tried(case, FAULTS[name].function()) for case in CASES]
    assert diagnose(trials) == name
    assert diagnose(trials, (name,)) == name
    assert [diagnose(trials, (other,)) for other in WRITING if other != name] == [None, None]


def reverses_filters(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Returns the correct result, and leaves the filters of the kernel in reverse."""
    result = right(x, kernel, bias, **given)
    kernel[...] = np.flip(kernel, 3)
    return result


def test_what_no_fault_leaves_has_no_name():
    assert diagnose([tried(case, reverses_filters) for case in CASES]) is None


def test_what_changes_nothing_has_no_name():
    assert diagnose([tried(case, right) for case in CASES]) is None
