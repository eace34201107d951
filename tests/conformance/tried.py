"""A case tried on an implementation in this process, its answers sent as they are between two."""

from __future__ import annotations

from typing import Any

from conformance.case import Case
from conformance.checks import Judgement, Trial, calls_for, judge, question_for
from conformance.observing.observation import envelope, read, written
from conformance.observing.observe import observe
from conformance.reproducers.reproducer import Shown
from conformance.targets import wrap


def tried(case: Case, target: Any, checks: tuple[str, ...] = ()) -> Trial:
    """What `target` (an implementation, or what can be wrapped as one) answers."""
    implementation = wrap("planted", target)
    trial = Trial(case, implementation.info())
    question = question_for(trial, calls_for(trial, checks))
    tree, arrays = written(observe(implementation, question), question.most)
    trial.observed(calls_for(trial, checks), read(envelope(0, 0, tree, arrays)))
    return trial


def judged(case: Case, target: Any, checks: tuple[str, ...] = ()) -> list[Judgement]:
    """The judgements on it."""
    return judge(tried(case, target, checks), checks)


def shown(case: Case, failed: Judgement) -> Shown:
    """What a script is to show of a judgement."""
    return Shown(
        cases=(case,),
        check=failed.check,
        status=failed.status,
        cause=failed.cause,
        message=failed.message,
    )
