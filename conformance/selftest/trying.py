"""Putting an implementation to the plan in this process, up to its first failure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from conformance.case import Case
from conformance.checks import CHECKS, Judgement, Trial, calls_for, judge, question_for
from conformance.checks.shapes import output_shape
from conformance.diagnosis import diagnose
from conformance.observing.observe import observe
from conformance.plan import Asked, plan
from conformance.results import BAD
from conformance.targets import wrap

FURTHER = 60  # configurations after the first that fails, to name a cause from
ENOUGH = 10  # failing cases
DIAGNOSED = 5  # of them, besides the smallest

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
    configurations = _planned(seed, wrap("tried", target).kind)
    for number, (at, cases) in enumerate(configurations):
        for case in cases:
            failed = next(_failures(case, target), None)
            if failed is None:
                continue
            following = configurations[number + 1 : number + 1 + FURTHER] if named else ()
            diagnosis = _diagnosis(make, target, case, following)
            return Catch(at, failed.check, failed.cause, diagnosis)
    return None


@lru_cache(maxsize=4)
def _planned(seed: int, kind: str) -> list[tuple[int, tuple[Case, ...]]]:
    """The configurations of the default budget."""
    planned = plan(seed, Asked(kind), profile="default")
    return [one for part in planned for one in part.configurations()]


def tried(case: Case, target: Any, checks: tuple[str, ...] = ()) -> Trial:
    """What `target` answers to what `checks` ask."""
    implementation = wrap("tried", target)
    trial = Trial(case, implementation.info())
    calls = calls_for(trial, checks)
    with np.errstate(all="ignore"):
        trial.observed(calls, observe(implementation, question_for(trial, checks)))
    return trial


def judged(case: Case, target: Any) -> list[Judgement]:
    """The judgements on what `target` answers."""
    with np.errstate(all="ignore"):
        return judge(tried(case, target))


def _failures(case: Case, target: Any) -> Iterator[Judgement]:
    return (one for one in judged(case, target) if one.status in BAD)


def _diagnosis(
    make: Make, target: Any, case: Case, following: Iterable[tuple[int, tuple[Case, ...]]]
) -> str | None:
    """As a campaign names a cause: from the smallest case that fails, and from some more.

    What does not fail alone, in a process of its own, depends on earlier calls and is not named.
    """
    failing = [case] if _fails(case, target) else []
    for _, cases in following:
        failing += [one for one in cases if _fails(one, target)]
        if len(failing) >= ENOUGH:
            break
    failing.sort(key=_size)
    chosen = [*failing[:1], *failing[:: max(len(failing) // DIAGNOSED, 1)][:DIAGNOSED]]
    if not all(_fails(one, make()) for one in chosen):
        return None
    with np.errstate(all="ignore"):
        return diagnose([tried(one, make(), (output_shape.name,)) for one in chosen])


def _fails(case: Case, target: Any) -> bool:
    """Whether a check fails whose failures are held against the faults."""
    return any(CHECKS[one.check].diagnosed for one in _failures(case, target))


def _size(case: Case) -> int:
    n, h, w, c = case.input_shape
    return n * h * w * c + int(np.prod(case.kernel_shape))
