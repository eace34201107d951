"""Naming what depends on earlier calls: by what of them shows in the results of later ones.

Each process that was asked is a sequence of calls. A hypothesis says what a wrong result is made
of, not when it comes: correct results say nothing, one that is wrong otherwise refutes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.calls import OTHER, OUTPUT, STILL, Call, Kind
from conformance.case import Case
from conformance.checks.trial import Trial
from conformance.criteria import accumulated, error_ratio, expected_of, is_exact
from conformance.data import SPECIAL_KINDS
from conformance.diagnosis import agrees
from conformance.faults import (
    COVERED,
    EARLIER,
    FAULTS,
    Carried,
    Fault,
    Pattern,
    Problem,
    named,
    solve,
)
from conformance.faults.problem import Reals
from conformance.patterns import diagnose_pattern, show
from conformance.sums import kept_sums

# What must agree before a name is given: less could be chance.
ENOUGH_VALUES, ENOUGH_CALLS = 12, 2
PROCESSES = 8  # that are asked
ENOUGH_OF_A_PROCESS = 3  # wrong calls; it says of the others that they are correct, too
OVERWRITTEN = "result_overwritten"
INPUT, RESULT = "earlier_input", "earlier_result"

# Tried as processes: what they keep may be more than an earlier call and its result.
_WHOLE = [
    name
    for name, fault in FAULTS.items()
    if fault.between_calls and fault.determinate and not fault.as_returned
]


def to_be_tried(
    smallest: tuple[Case, ...], others: Sequence[tuple[Case, ...]], most: int = PROCESSES
) -> list[tuple[Case, ...]]:
    """Sequences of cases to be tried in a fresh process each.

    Some have other seeds: cases with one seed have equal values, so that what is kept of an earlier
    one does not show. Some have integers: only they are decided exactly.
    """
    first = [smallest, *others[:1]]
    varied = [
        tuple(_varied(case, kind, 1000 * n + place) for place, case in enumerate(cases))
        for n, kind in enumerate(("integers", ""), start=1)
        for cases in first
    ]
    return list(dict.fromkeys([*first, *varied, *others[1:]]))[:most]


def _varied(case: Case, kind: str, seed: int) -> Case:
    return replace(case, data=kind if kind and case.but is None else case.data, seed=seed)


def diagnose_calls(processes: Sequence[Sequence[Trial]], first: Sequence[str] = ()) -> str | None:
    """Name of what explains every wrong result in `processes`, None if nothing does.

    One called `first` needs no more evidence than that; it may be a fault of single calls, of which
    the others are what comes of it. Else the name is the only one that explains all, but for those
    that take more of the earlier call than is needed; where there is none, that of a pattern.
    """
    asked = [[call for trial in trials for call in _calls(trial)] for trials in processes]
    wrong = [call for calls in asked for call in calls if call.is_wrong]
    if not wrong:
        return None
    for name in first:
        one = named(name)
        if isinstance(one, Pattern):
            explains = show(name, [call.trial for call in wrong])
        elif isinstance(one, Fault):
            explains = _is_process(one, asked, 1)
        else:
            explains = bool(_explained(one, asked))
        if explains:
            return name
    if first:
        return None
    found = {name: _explained(carried, asked) for name, carried in EARLIER.items()}
    enough = {
        name: calls for name, calls in found.items() if calls is not None and calls.are_enough
    }
    names = [name for name in enough if not any(_says_more(o, name, enough) for o in enough)]
    whole = [COVERED.get(name, name) for name in _WHOLE if _is_process(FAULTS[name], asked)]
    ruled_out = enough.keys() - set(names)
    names = list(dict.fromkeys([*names, *(name for name in whole if name not in ruled_out)]))
    if not names:
        return diagnose_pattern([call.trial for call in wrong])
    if len(names) > 1:
        return None
    # With the weights of the earlier call both are true.
    name = RESULT if names == [INPUT] and enough.get(RESULT) == enough[INPUT] else names[0]
    return OVERWRITTEN if name == RESULT and all(call.is_reread for call in wrong) else name


@dataclass(frozen=True, slots=True)
class _Asked:
    """One call: `trial` has its result as that of a first call.

    `is_reread` where the result is an earlier one, read once more.
    """

    trial: Trial
    problem: Problem
    is_first: bool
    is_reread: bool = False

    @property
    def is_wrong(self) -> bool:
        return self.trial.is_wrong

    @property
    def returned(self) -> Reals:
        """What came, channels last."""
        value = self.trial.output.astype(np.float64)
        return np.moveaxis(value, 1, -1) if self.problem.channels_first else value

    @property
    def wrong_values(self) -> int:
        got, want = self.trial.output, self.trial.expected
        if got.shape != want.value.shape:
            return got.size
        return int((error_ratio(got, want) > 1).sum())

    def agrees(self, given: Reals, activation: str | None) -> bool | None:
        """As `diagnosis.agrees`, which need not be asked where the rounded values are the same.

        Kept sums are those of the input of the case.
        """
        value = self.problem.laid_out(given)
        case = self.trial.case
        if activation != case.activation:
            one = Trial(replace(case, activation=activation), self.trial.info)
            one.answers, one.data = self.trial.answers, self.trial.data
            one.expected = self.trial.expected
            return agrees(one, value, accumulated) if case.data not in SPECIAL_KINDS else None
        rounded = self.problem.finished(given).astype(np.float64)
        if np.array_equal(rounded, self.trial.output.astype(np.float64), equal_nan=True):
            return True
        return agrees(self.trial, value, kept_sums if self.is_first else accumulated)


def _calls(trial: Trial) -> Iterator[_Asked]:
    """The calls that returned an array; further ones where their values are exact."""
    case, data = trial.case, trial.data
    for call, answer in trial.answers.items():
        if call == STILL and isinstance(answer, list):
            answer = answer[0]
        if not isinstance(answer, np.ndarray):
            continue
        if call == OUTPUT:
            yield _Asked(trial, Problem.of(case, data), is_first=True)
        elif call.kind in (Kind.OTHER, Kind.STILL, Kind.AGAIN, Kind.SAMPLE) and is_exact(case):
            yield _further(trial, call, answer)


def _further(trial: Trial, call: Call, answer: NDArray[Any]) -> _Asked:
    case, x = trial.case, trial.data.x
    if call == OTHER:
        x = np.negative(x)
    elif call.kind is Kind.SAMPLE:
        index = call.of[0]
        assert index is not None
        x = x[index : index + 1]
        case = replace(case, input_shape=x.shape)
    data = replace(trial.data, x=x)
    problem = Problem.of(case, data)
    one = Trial(case, trial.info)
    one.answers, one.data = {OUTPUT: answer}, data
    right = problem.laid_out(solve(problem))
    one.expected = expected_of(case, data, trial.info.declared, right, accumulated)
    return _Asked(one, problem, is_first=False, is_reread=call == STILL)


@dataclass(frozen=True, slots=True)
class _Explained:
    """The wrong calls that are explained, by process and place, and their wrong values."""

    calls: frozenset[tuple[int, int]]
    values: int

    def __bool__(self) -> bool:
        return bool(self.calls)

    @property
    def are_enough(self) -> bool:
        return self.values >= ENOUGH_VALUES and len(self.calls) >= ENOUGH_CALLS


def _explained(carried: Carried, asked: Sequence[Sequence[_Asked]]) -> _Explained | None:
    """What `carried` gives of some earlier call; None where a wrong result is another one."""
    calls: set[tuple[int, int]] = set()
    values = 0
    for number, process in enumerate(asked):
        for place, now in enumerate(process):
            if not now.is_wrong:
                continue
            shown = _shown(carried, process[:place], now)
            if shown is False:
                return None
            if shown:
                values += now.wrong_values
                calls.add((number, place))
    return _Explained(frozenset(calls), values)


def _says_more(one: str, other: str, explained: Mapping[str, _Explained]) -> bool:
    """Whether `one` explains more calls than `other`, or as many by less of the earlier call."""
    if explained[one].calls != explained[other].calls:
        return explained[one].calls > explained[other].calls
    takes = EARLIER[one].takes
    return bool(takes) and takes < EARLIER[other].takes


def _shown(carried: Carried, before: Sequence[_Asked], now: _Asked) -> bool | None:
    """Whether `carried` gives what came; None where that cannot be told.

    The bound of a case is that of its own kind of data: with arrays of another kind it is no bound.
    """
    found = [
        now.agrees(value, (earlier if carried.activates else now).trial.case.activation)
        for earlier in reversed(before)
        for value in carried.values(earlier.problem, now.problem, earlier.returned)
    ]
    if True in found:
        return True
    other = any(earlier.trial.case.data != now.trial.case.data for earlier in before)
    return None if None in found or (other and carried.computes) else False


def _is_process(
    fault: Fault, asked: Sequence[Sequence[_Asked]], enough: int = ENOUGH_OF_A_PROCESS
) -> bool:
    """Whether a process with `fault` gives all these results, the correct ones too."""
    calls = 0
    for process in asked:
        start = fault.start()
        for now in process:
            try:
                value = start(now.problem)
            except (ValueError, IndexError):
                return False
            if not now.is_wrong:
                if is_exact(now.trial.case) and not np.array_equal(value, solve(now.problem)):
                    return False
                continue
            agreed = now.agrees(value, now.trial.case.activation)
            if agreed is False:
                return False
            calls += agreed is True
    return calls >= enough
