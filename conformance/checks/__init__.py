"""What is correct: one check, one function, one row of the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from conformance.calls import GRADIENTS, Call
from conformance.checks import claims, consistency, life, shapes, state, values
from conformance.checks.check import Check, Found, Seen
from conformance.checks.trial import CheckFailure, Trial, generic
from conformance.errors import PRINTED, Crashed, Unsupported
from conformance.implementations.info import Info
from conformance.observing.memory import Memory
from conformance.observing.question import Question, asked
from conformance.pickling import pickled_by_arguments
from conformance.results import Status
from reference_impl.dtypes import as_dtype

# The rules of a layer's contract.
RULES = (*life.RULES, *consistency.RULES)
# In the order in which they are made and shown.
CHECKS: dict[str, Check] = {
    check.name: check
    for check in (
        claims.claimed_capability,
        shapes.compute_output_shape,
        shapes.output_shape,
        shapes.output_dtype,
        values.exact_values,
        values.bounded_values,
        values.special_values,
        state.own_memory,
        state.repeated_call,
        state.batch_independence,
        state.unchanged_inputs,
        claims.function_values,
        claims.gradient_values,
        claims.refused_call,
        *RULES,
    )
}


def concerning(info: Info) -> tuple[str, ...]:
    """The checks that are made on the implementation that `info` tells of."""
    return tuple(name for name, check in CHECKS.items() if check.only(info))


@pickled_by_arguments
@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict of one check on one trial; the fields are those of an `Outcome`."""

    check: str
    status: Status
    cause: str = ""
    message: str = ""
    ratio: float | None = None
    seen: Seen = field(default_factory=dict)


def calls_for(trial: Trial, names: tuple[str, ...] = ()) -> tuple[Call, ...]:
    """The calls that `judge` reads on `trial`, in the order in which they are made."""
    made = _applying(trial, names)
    return tuple(dict.fromkeys(call for check in made for call in check.observes(trial)))


def question_for(trial: Trial, calls: tuple[Call, ...]) -> Question:
    """What an implementation is asked, so that `calls` are made on it."""
    upstream = None
    if GRADIENTS in calls:
        dtype = as_dtype(trial.case.compute_dtype)
        upstream = Memory.of(claims.upstream_gradient(trial).astype(dtype))
    return asked(trial.case, trial.data, calls, upstream)


def judge(trial: Trial, names: tuple[str, ...] = ()) -> list[Judgement]:
    """Make the checks called `names`, and those they come after, on `trial`; all by default.

    A check that comes after a failed one is not made: it would only repeat it. One that comes after
    an unsupported one is unsupported itself.
    """
    judgements: dict[str, Judgement] = {}
    for check in _applying(trial, names):
        blockers = [judgements[c.name] for c in check.after if c.name in judgements]
        missing = len(blockers) < len(check.after)
        if missing or any(b.status in (Status.FAILED, Status.CRASHED) for b in blockers):
            continue
        lacking = [b for b in blockers if b.status is Status.UNSUPPORTED]
        judgements[check.name] = (
            Judgement(check.name, Status.UNSUPPORTED, lacking[0].cause)
            if lacking
            else _make(check, trial)
        )
    return list(judgements.values())


def _applying(trial: Trial, names: tuple[str, ...]) -> tuple[Check, ...]:
    """The checks called `names`, and those they come after, that are made on `trial`."""
    if names not in trial.applying:
        wanted = _wanted(trial.info, names, trial.case.asks)
        trial.applying[names] = tuple(check for check in wanted if check.applies(trial))
    applying: tuple[Check, ...] = trial.applying[names]
    return applying


@lru_cache(maxsize=256)
def _wanted(info: Info, names: tuple[str, ...], of: str) -> tuple[Check, ...]:
    wanted = {c.name for name in names or CHECKS for c in (CHECKS[name], *CHECKS[name].after)}
    return tuple(c for c in CHECKS.values() if c.name in wanted and c.of == of and c.only(info))


def _make(check: Check, trial: Trial) -> Judgement:
    try:
        found = check.function(trial) or Found()
        return Judgement(check.name, Status.PASSED, ratio=found.ratio, seen=found.seen)
    except CheckFailure as failure:
        return Judgement(check.name, Status.FAILED, failure.cause, failure.message, failure.ratio)
    except Unsupported as unsupported:
        reason = str(unsupported) or "no reason given"
        return Judgement(check.name, Status.UNSUPPORTED, reason, reason)
    except Crashed as end:
        cause = generic(str(end).partition(PRINTED)[0])  # what it printed belongs to the message
        return Judgement(check.name, Status.CRASHED, cause, str(end))


__all__ = [
    "CHECKS",
    "RULES",
    "Check",
    "CheckFailure",
    "Judgement",
    "Trial",
    "calls_for",
    "concerning",
    "judge",
    "question_for",
]
