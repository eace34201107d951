"""Cases by which a condition on numbers is told from a narrower and from a wider one."""

from __future__ import annotations

from collections.abc import Iterable

from conformance.case import Case
from conformance.differing import parts, with_parts
from conformance.plan.shrinking import FIELDS, NUMBERS, number_of, with_numbers

_LEAST = {"batch": 0, "rest_h": 0, "rest_w": 0}
_STEPS = ((1, -1), (1, 1), (1, 2), (2, 0))  # a factor, and what is added


_OF_NUMBERS = (
    "batch", "channels", "filters", "kernel_size", "strides", "dilation_rate", "groups",
)  # fmt: skip


def beside(case: Case) -> list[Case]:
    """`case` with each of its numbers by one smaller, by one or two larger, and twice as large.

    Numbers of both axes are changed together, too: a condition may hold for either.
    """
    numbers = {name: number_of(case, name) for name in FIELDS}
    changes = (
        {name: factor * numbers[name] + added for name in names}
        for names in NUMBERS
        for factor, added in _STEPS
    )
    found = (
        with_numbers(case, numbers | change)
        for change in changes
        if all(value >= _LEAST.get(name, 1) for name, value in change.items())
    )
    return [one for one in dict.fromkeys(found) if one != case]


def with_one_of(case: Case, others: Iterable[Case]) -> list[Case]:
    """Each of `others` with one of the numbers of `case`; some may be no valid ones."""
    own = parts(case)
    found = (with_parts(one, {name: own[name]}) for one in others for name in _OF_NUMBERS)
    return list(dict.fromkeys(found))
