"""What is right: one check, one function, one row of the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from conformance.checks import shapes, state, values
from conformance.checks.trial import CheckFailure, Trial
from conformance.criteria import is_exact
from conformance.errors import Unsupported
from conformance.results import Status


def _always(trial: Trial) -> bool:
    return True


def _is_layer(trial: Trial) -> bool:
    return trial.implementation.kind == "layer"


def _is_exact(trial: Trial) -> bool:
    return is_exact(trial.case)


def _is_bounded(trial: Trial) -> bool:
    return not is_exact(trial.case)


def _may_repeat(trial: Trial) -> bool:
    return trial.one_in(_ration(trial, 5))


def _may_split(trial: Trial) -> bool:
    return trial.case.batch > 1 and is_exact(trial.case) and trial.one_in(_ration(trial, 3))


def _ration(trial: Trial, number: int) -> int:
    """One case in how many gets a further call. TensorFlow recompiles a grouped one every time."""
    if not trial.implementation.costly_calls:
        return 1
    return number if trial.case.group_count == 1 else 8 * number


@dataclass(frozen=True, slots=True)
class Check:
    """One rule of the Conv2D contract.

    Attributes:
        function: raises `CheckFailure` where the rule is broken, may return an error ratio; its
            name is the name of the check and its docstring the rule.
        applies: on which trials it is made.
        needs: checks that must have passed for this one to mean anything.
    """

    function: Callable[[Trial], float | None]
    applies: Callable[[Trial], bool] = _always
    needs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def rule(self) -> str:
        """The rule in one sentence."""
        return (self.function.__doc__ or "").strip().splitlines()[0]


_SHAPED = ("output_shape",)
_TYPED = ("output_shape", "output_dtype")

CHECKS: dict[str, Check] = {
    check.name: check
    for check in (
        Check(shapes.compute_output_shape, _is_layer),
        Check(shapes.output_shape),
        Check(shapes.output_dtype, needs=_SHAPED),
        Check(values.exact_values, _is_exact, needs=_TYPED),
        Check(values.bounded_values, _is_bounded, needs=_TYPED),
        Check(state.repeated_call, _may_repeat, needs=_TYPED),
        Check(state.batch_independence, _may_split, needs=_TYPED),
        Check(state.unchanged_inputs, needs=_SHAPED),
    )
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict of one check on one trial; `cause` and `message` as in `results.Outcome`."""

    check: str
    status: Status
    cause: str = ""
    message: str = ""
    ratio: float | None = None


def judge(trial: Trial, names: tuple[str, ...] = ()) -> list[Judgement]:
    """Make the checks called `names` (all by default, always with those they need) on `trial`.

    A check whose needs failed is not made: it would only repeat them. One whose needs are
    unsupported is unsupported itself.
    """
    wanted = {n for name in names or CHECKS for n in (name, *CHECKS[name].needs)}
    judgements: dict[str, Judgement] = {}
    for name, check in CHECKS.items():
        if name not in wanted:
            continue
        blockers = [judgements[n] for n in check.needs if n in judgements]
        missing = [n for n in check.needs if n not in judgements]
        if missing or any(b.status is Status.FAILED for b in blockers):
            continue
        lacking = [b for b in blockers if b.status is Status.UNSUPPORTED]
        if lacking:
            if check.applies(trial):
                judgements[name] = Judgement(name, Status.UNSUPPORTED, lacking[0].cause)
            continue
        if check.applies(trial):
            judgements[name] = _make(check, trial)
    return list(judgements.values())


def _make(check: Check, trial: Trial) -> Judgement:
    try:
        return Judgement(check.name, Status.PASSED, ratio=check.function(trial))
    except CheckFailure as failure:
        return Judgement(check.name, Status.FAILED, failure.cause, failure.message, failure.ratio)
    except Unsupported as unsupported:
        reason = str(unsupported) or "no reason given"
        return Judgement(check.name, Status.UNSUPPORTED, reason, reason)


__all__ = ["CHECKS", "Check", "CheckFailure", "Judgement", "Trial", "judge"]
