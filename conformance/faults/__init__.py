"""Known ways to get a convolution wrong, as code: used to name a cause and to measure the suite's power.

Each imitates a class of faults that have shipped. Where a fault strikes under a condition only, it
comes before those that strike everywhere: a diagnosis takes the first that explains every case.
"""

from __future__ import annotations

from conformance.faults import between, channels, kernels, memory, numbers, padding, steps
from conformance.faults.fault import Fault, fault
from conformance.faults.problem import Problem, solve

_ROWS = tuple(
    row
    for module in (padding, steps, channels, kernels, memory, numbers, between)
    for row in module.ROWS
)

FAULTS: dict[str, Fault] = {
    row.name: row for row in sorted(_ROWS, key=lambda row: (row.when is None, row.between_calls))
}

__all__ = ["FAULTS", "Fault", "Problem", "fault", "solve"]
