"""Putting an implementation to the plan in this process, up to its first failure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, islice
from typing import Any

import numpy as np

from conformance.case import Case
from conformance.checks import CHECKS, Judgement, Trial, calls_for, judge, question_for
from conformance.checks.shapes import output_shape
from conformance.checks.state import unchanged_inputs
from conformance.diagnosis import (
    CASES_FOR_PAIRS,
    DIAGNOSED_CASES,
    OTHER_CASES,
    RAISES,
    diagnose,
    diagnose_refusal,
    spread,
)
from conformance.observing.observe import observe
from conformance.plan import Asked, Example, plan
from conformance.plan.beside import MADE_LIKE, near
from conformance.plan.shrinking import fewest
from conformance.results import BAD, Status
from conformance.sequences import diagnose_calls, to_be_tried
from conformance.targets import wrap

FURTHER = 60  # configurations after the first that fails, to name a cause from
ENOUGH = 20  # failing cases

Make = Callable[[], Any]  # a function or a layer class, as if in a new process


@dataclass(frozen=True, slots=True)
class Catch:
    """The first failure of an implementation on a plan.

    Attributes:
        at: number of the configuration.
        check, cause: as in a finding.
        diagnosis: name of the fault that explains the failures, if one does.
    """

    at: int
    check: str
    cause: str
    diagnosis: str | None


def first_catch(make: Make, seed: int, *, named: bool = True) -> Catch | None:
    """How the default budget catches what `make` makes; None where it does not."""
    target = make()
    planned = _planned(seed, wrap("tried", target).kind)
    for number, one in enumerate(planned):
        failed = list(_failures(one.case, target))
        if not failed:
            continue
        earlier = tuple(before.case for before in planned[:number])
        # Where calls are compared, another check that fails may tell what happens.
        telling = failed if CHECKS[failed[0].check].compares_calls else failed[:1]
        names = (
            _diagnosis(make, target, one, each, islice(planned, number + 1, None), earlier)
            for each in (telling if named else ())
        )
        diagnosis = next(filter(None, names), None)
        return Catch(one.at, failed[0].check, failed[0].cause, diagnosis)
    return None


@dataclass(frozen=True, slots=True)
class _Planned:
    """A case of a plan: the number of its configuration, and its example up to it."""

    at: int
    before: Example

    @property
    def case(self) -> Case:
        return self.before[-1]


@lru_cache(maxsize=4)
def _planned(seed: int, kind: str) -> list[_Planned]:
    """The cases of the default budget."""
    found = []
    for part in plan(seed, Asked(kind), profile="default"):
        numbers = [at for at, cases in part.configurations() for _ in cases]
        found += [_Planned(at, part.example[:n]) for n, at in enumerate(numbers, start=1)]
    return found


def tried(case: Case, target: Any, checks: tuple[str, ...] = ()) -> Trial:
    """What `target` answers to what `checks` ask."""
    implementation = wrap("tried", target)
    trial = Trial(case, implementation.info())
    calls = calls_for(trial, checks)
    with np.errstate(all="ignore"):
        trial.observed(calls, observe(implementation, question_for(trial, calls)))
    return trial


def judged(case: Case, target: Any) -> list[Judgement]:
    """The judgements on what `target` answers."""
    with np.errstate(all="ignore"):
        return judge(tried(case, target))


def _failures(case: Case, target: Any) -> Iterator[Judgement]:
    return (one for one in judged(case, target) if one.status in BAD)


def _diagnosis(
    make: Make,
    target: Any,
    first: _Planned,
    failed: Judgement,
    following: Iterable[_Planned],
    earlier: Example,
) -> str | None:
    """As a campaign names a cause: from the smallest case that fails, and from some more.

    Where they do not all fail alone, in a process of their own, or where a check compares calls,
    it is named by several calls: those of an example, or if they do not fail either, by the few
    that it takes of all `earlier` ones.
    """
    check = failed.check
    failing = [first] if _fails(first.case, target, check) else []
    passing = list(earlier)
    for number, (_, some) in enumerate(groupby(following, lambda one: one.at)):
        for one in some:
            if _fails(one.case, target, check):
                failing.append(one)
            else:
                passing.append(one.case)
        if len(failing) >= ENOUGH or number >= FURTHER:
            break
    failing.sort(key=lambda one: _size(one.case))
    chosen = [*failing[:1], *spread(failing, DIAGNOSED_CASES)]
    compares = CHECKS[check].compares_calls
    if compares or not all(_fails(one.case, make(), check) for one in chosen):
        asked = (check if compares else output_shape.name,)
        sequences = [one.before for one in failing]
        if not any(_fails_after(make, cases[:-1], cases[-1], check) for cases in sequences):
            few = fewest(earlier, lambda cases: _fails_after(make, cases, first.case, check))
            sequences = [(*few, first.case), *sequences]
        return _diagnosis_of_calls(make, sequences, asked)
    if failed.cause.startswith(RAISES):
        name = _refusal(make(), [one.case for one in failing], passing, failed)
        if name is not None:
            return name  # else what does not raise may tell
    needed: tuple[str, ...] = () if check == unchanged_inputs.name else (output_shape.name,)
    with np.errstate(all="ignore"):
        trials = [tried(one.case, make(), needed) for one in chosen]
        more = [tried(one.case, make(), needed) for one in failing[:CASES_FOR_PAIRS]]
        return diagnose(trials) or diagnose(more, pairs=True)


def _refusal(
    target: Any, failing: Sequence[Case], passing: Sequence[Case], like: Judgement
) -> str | None:
    """By what raises and what passes, near the smallest case of all that fail too."""
    info = wrap("tried", target).info()
    plain = sorted((case for case in passing if case.asks == "values"), key=_size)
    passing = list(spread(plain, OTHER_CASES))
    asked = near(failing[0], spread(passing, MADE_LIKE))
    found = [(case, judged(case, target)) for case in filter(Asked.of(info).may_ask, asked)]
    raised = [failing[0], *spread(failing, OTHER_CASES)]
    raised += [case for case, judgements in found if _is_among(like, judgements)]
    passed = [
        case
        for case, judgements in found
        if any(one.check == like.check and one.status is Status.PASSED for one in judgements)
    ]
    some, others = (
        [Trial(case, info) for case in cases] for cases in (raised, [*passed, *passing])
    )
    return diagnose_refusal(some, others) if passed else None


def _is_among(like: Judgement, judgements: Iterable[Judgement]) -> bool:
    return any((one.check, one.cause) == (like.check, like.cause) for one in judgements)


def _diagnosis_of_calls(
    make: Make, failing: Sequence[Example], asked: tuple[str, ...]
) -> str | None:
    several = [cases for cases in failing if len(cases) > 1] or failing
    if not several:
        return None
    processes = []
    with np.errstate(all="ignore"):
        for cases in to_be_tried(several[0], several[1:]):
            target = make()
            processes.append([tried(case, target, asked) for case in cases])
        return diagnose_calls(processes)


def _fails_after(make: Make, earlier: Example, case: Case, like: str) -> bool:
    """As `_fails` in a process that has been asked `earlier`."""
    target = make()
    for one in earlier:
        tried(one, target)
    return _fails(case, target, like)


def _fails(case: Case, target: Any, like: str) -> bool:
    """Whether a check fails whose failures are held against the faults as those of `like` are."""
    compares = CHECKS[like].compares_calls
    checks = [CHECKS[one.check] for one in _failures(case, target)]
    return any(check.compares_calls if compares else check.diagnosed for check in checks)


def _size(case: Case) -> int:
    n, h, w, c = case.input_shape
    return n * h * w * c + int(np.prod(case.kernel_shape))
