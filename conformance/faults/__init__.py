"""Known ways to get a convolution wrong, as code: used to name a cause and to measure the suite's power.

Each imitates a class of faults that have shipped. Where a fault strikes under a condition only, it
comes before those that strike everywhere: a diagnosis takes the first that explains every case.
"""

from __future__ import annotations

from conformance.faults import between, channels, kernels, memory, numbers, padding, steps
from conformance.faults.derived import AND, along_one, both
from conformance.faults.earlier import EARLIER, Carried
from conformance.faults.fault import Fault, fault
from conformance.faults.pattern import PATTERNS, Pattern
from conformance.faults.problem import Problem, solve

_ROWS = tuple(
    row
    for module in (padding, steps, channels, kernels, memory, numbers, between)
    for row in module.ROWS
)

FAULTS: dict[str, Fault] = {
    row.name: row for row in sorted(_ROWS, key=lambda row: (row.when is None, row.between_calls))
}

# Faults that show themselves in another way, and the name of that.
_SHOWN: tuple[Carried | Pattern, ...] = (*EARLIER.values(), *PATTERNS.values())
COVERED: dict[str, str] = {name: row.name for row in _SHOWN for name in row.covers}

REFUSING = tuple(name for name, row in FAULTS.items() if row.kind == "refused")

ALONG_ONE: dict[str, Fault] = {
    row.name: row
    for row in along_one(FAULTS[row.name] for row in (*padding.ROWS, *steps.ROWS))
    if row.is_diagnosis
}

__all__ = [
    "ALONG_ONE", "COVERED", "EARLIER", "FAULTS", "PATTERNS", "REFUSING", "Carried", "Fault", "Pattern",
    "Problem", "both", "explanation", "fault", "is_of_earlier_calls", "named", "solve",
]  # fmt: skip


def named(name: str) -> Fault | Carried | Pattern:
    """What has this name as a diagnosis, two faults at once included."""
    if name in PATTERNS:
        return PATTERNS[name]
    outer, _, inner = name.partition(AND)
    one = EARLIER.get(outer) or ALONG_ONE.get(outer) or FAULTS[outer]
    return both(one, FAULTS[inner]) if inner and isinstance(one, Fault) else one


def explanation(name: str) -> str:
    """What a diagnosis of that name says, in one sentence."""
    return named(name).explanation


def is_of_earlier_calls(name: str) -> bool:
    """Whether what a diagnosis of that name says depends on earlier calls."""
    one = named(name)
    return isinstance(one, Carried) or (isinstance(one, Fault) and one.between_calls)
