"""Cases by which a condition on numbers is told from a narrower and from a wider one."""

from __future__ import annotations

from collections.abc import Iterable

from conformance.axes import DATA_FORMATS, PADDINGS
from conformance.case import Case
from conformance.differing import parts, with_parts
from conformance.plan.shrinking import FIELDS, LEAST, NUMBERS, number_of, with_numbers
from reference_impl.dtypes import FLOATS

MADE_LIKE = 12  # passing cases that are tried with one number of the failing one
_LEAST = LEAST | {"batch": 0}
_STEPS = ((1, -1), (1, 1), (1, 2), (2, 0))  # a factor, and what is added


_NUMBERED = (
    "batch", "channels", "filters", "kernel_size", "strides", "dilation_rate", "groups",
)  # fmt: skip


_WORDS: dict[str, tuple[object, ...]] = {
    "dtype": FLOATS,
    "data_format": tuple(DATA_FORMATS.values()),
    "padding": PADDINGS,
    "use_bias": (True, False),
}


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


def around(case: Case) -> list[Case]:
    """What is `beside` a case, and it with another word for one of its arguments, if valid.

    The same around the case with height and width exchanged.
    """
    found = [other for one in (case, _transposed(case)) for other in (one, *_around(one))]
    return [one for one in dict.fromkeys(found) if one != case and _is_valid(one)]


def _around(case: Case) -> list[Case]:
    own = parts(case)
    changes = (
        {name: word} for name, words in _WORDS.items() for word in words if word != own[name]
    )
    return [*beside(case), *(with_parts(case, change) for change in changes)]


def _transposed(case: Case) -> Case:
    own = parts(case)
    pairs = {name: own[name][::-1] for name in ("kernel_size", "strides", "dilation_rate")}
    return with_parts(case, {"height": own["width"], "width": own["height"], **pairs})


def near(case: Case, passing: Iterable[Case]) -> list[Case]:
    """What is `beside` a case, and `passing` ones with one of its numbers, where that is valid."""
    own = parts(case)
    found = (with_parts(one, {name: own[name]}) for one in passing for name in _NUMBERED)
    return list(dict.fromkeys([*beside(case), *filter(_is_valid, found)]))


def _is_valid(case: Case) -> bool:
    try:
        return bool(case.geometry)
    except ValueError:
        return False
