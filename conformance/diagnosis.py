"""Naming the cause: the known fault that gives what an implementation returned.

What takes several calls is named by `sequences`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Literal, TypeVar

import numpy as np

from conformance.checks.trial import Trial
from conformance.criteria import SumsOf, error_ratio, expected_of
from conformance.data import SPECIAL_KINDS
from conformance.faults import ALONG_ONE, FAULTS, REFUSING, Fault, Pattern, both, named
from conformance.faults.problem import Reals
from conformance.patterns import diagnose_pattern, show
from conformance.special import Sort, sorts
from conformance.sums import kept_sums
from conformance.writes import diagnose_writes

DIAGNOSED_CASES, CASES_FOR_PAIRS = 5, 16  # that a name is held against, the smallest beside them
OTHER_CASES = 40  # which pass, or only raise, that a name is held against
ENOUGH_FOR_AN_AXIS = 3  # failing trials
ENOUGH_REFUSED = 3  # trials
RAISES = "raises "  # how the cause of what raises begins
MOST_IN_PAIRS = 8  # faults
Foretold = Literal["correct", "wrong", "nothing"]
T = TypeVar("T")


def spread(things: Sequence[T], most: int) -> Sequence[T]:
    """At most so many of `things`, evenly from the first on."""
    return things[:: max(len(things) // most, 1)][:most]


def diagnose(
    trials: Sequence[Trial], first: Sequence[str] = (), *, pairs: bool = False
) -> str | None:
    """Name of the fault that explains every failing trial, None if none does.

    Of several, one called `first`, then the first that strikes under a condition; None where only
    unconditional ones are left and more than one of them explains all. If there is none at all, it
    may be a pattern, or a fault along one axis; with `pairs`, two at once.
    A fault explains a trial when the implementation's result lies within the derived bound of the
    fault's result everywhere: by exact equality on exact data. What depends on earlier calls is
    never named here.
    """
    failing = [trial for trial in trials if trial.is_wrong]
    if not failing:
        return diagnose_writes(trials, first)
    for name in first:
        one = named(name)
        if isinstance(one, Pattern):
            explains = show(name, failing)
        else:
            explains = isinstance(one, Fault) and one.is_diagnosis and _explains_all(one, failing)
        if explains:
            return name
    if first:
        return None
    found: list[str] = []
    for fault in FAULTS.values():
        if fault.is_diagnosis and _explains_all(fault, failing):
            if fault.when is not None:
                return fault.name
            found.append(fault.name)
    if not found and (pattern := diagnose_pattern(failing)):
        return pattern
    if not found and len(failing) >= ENOUGH_FOR_AN_AXIS:
        found = [name for name, fault in ALONG_ONE.items() if _explains_all(fault, failing)]
    if not found and pairs:
        found = _pairs(failing)
    return found[0] if len(found) == 1 else None


def diagnose_refusal(raised: Sequence[Trial], passed: Sequence[Trial]) -> str | None:
    """Name of the known refusal of all that `raised` and of nothing that `passed`, None if none is.

    No answers are needed. Some of those that passed should be close to those that raised.
    """
    if len(raised) < ENOUGH_REFUSED or not passed:
        return None
    found = [
        name
        for name in REFUSING
        if all(FAULTS[name].strikes(trial.case, trial.data) for trial in raised)
        and not any(FAULTS[name].strikes(trial.case, trial.data) for trial in passed)
    ]
    return found[0] if len(found) == 1 else None


def _pairs(failing: Sequence[Trial]) -> list[str]:
    """Names of two faults that together explain all, of those that explain some of it alone.

    Some trial must need both: what one or the other explains could be a third.
    """
    parts = {
        fault.name: explained
        for fault in FAULTS.values()
        if fault.is_diagnosis and (explained := _explained(fault, failing))
    }
    names = sorted(parts, key=lambda name: -len(parts[name]))[:MOST_IN_PAIRS]
    found = []
    for one, other in combinations(names, 2):
        if len(parts[one] | parts[other]) == len(failing):
            continue
        orders = both(FAULTS[one], FAULTS[other]), both(FAULTS[other], FAULTS[one])
        found += [pair.name for pair in orders if _explains_all(pair, failing)][:1]
    return found


def _explained(fault: Fault, failing: Sequence[Trial]) -> frozenset[int]:
    """The numbers of the trials that it explains alone."""
    return frozenset(
        n
        for n, trial in enumerate(failing)
        if fault.strikes(trial.case, trial.data) and _explains(fault, trial)
    )


def _explains_all(fault: Fault, failing: Sequence[Trial]) -> bool:
    """Whether it explains some of them and contradicts none."""
    explained = False
    for trial in failing:
        one = fault.strikes(trial.case, trial.data) and _explains(fault, trial)
        if one is False:
            return False
        explained |= one is True
    return explained


def foretold(name: str, trial: Trial) -> Foretold:
    """What the fault of that name gives; special values are taken for correct."""
    fault, case, data = named(name), trial.case, trial.data
    if not isinstance(fault, Fault) or not fault.strikes(case, data):
        return "correct"
    sums = fault.result(case, data)
    if sums is None:
        return "nothing"
    if case.data in SPECIAL_KINDS:
        return "correct"
    want = trial.expected
    if sums.shape != want.value.shape:
        return "wrong"
    given = expected_of(case, data, trial.info.declared, sums, kept_sums).value
    return "wrong" if (error_ratio(given, want) > 1).any() else "correct"


def _explains(fault: Fault, trial: Trial) -> bool | None:
    """Whether the fault gives what was returned.

    None where the correct result is as near to it, or what the fault gives cannot be told.
    """
    if not fault.is_told(trial.case, trial.data):
        return None
    value = fault.result(trial.case, trial.data)
    return False if value is None else agrees(trial, value)


def agrees(trial: Trial, value: Reals, sums_of: SumsOf = kept_sums) -> bool | None:
    """Whether `value` was returned, before rounding and activation.

    None where the correct result is as near to what was.
    """
    got = trial.output
    if got.shape != value.shape:
        return False
    right = trial.expected
    compared = ~(np.isnan(value) & np.isnan(got.astype(np.float64)))
    if trial.case.data in SPECIAL_KINDS:
        same = sorts(value) == sorts(got)
        if got.shape != right.value.shape:
            return bool(same.all())
        sort = trial.special.sort
        if not same[sort != Sort.OPEN].all():
            return False
        compared = (sort != Sort.OPEN) & np.isfinite(value)
    want = expected_of(trial.case, trial.data, trial.info.declared, value, sums_of)
    if np.any(error_ratio(got, want)[compared] > 1):
        return False
    if trial.case.data == "special":
        compared &= trial.special.sort == Sort.FINITE
        if not trial.special.wrong(got)[compared].any():
            return True
    if got.shape != right.value.shape:
        return True
    # The bound is that of the largest sum in the case: the worst element must also be far nearer.
    ratios = np.where(compared, error_ratio(got, right), 0.0)
    worst = np.unravel_index(int(ratios.argmax()), got.shape)
    there, correct = float(got[worst].astype(np.float64)), float(right.value[worst])
    if not np.isfinite(there):
        return True
    error = abs(there - correct)
    if 2 * abs(there - want.value[worst]) <= error:
        return True
    # Within two steps of the format, rounding alone may make it look nearer to either.
    return None if error <= 4 * right.fmt.unit_roundoff * abs(correct) else False
