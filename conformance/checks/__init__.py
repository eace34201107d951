"""What is right: one check, one function, one row of the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from conformance.capabilities import is_probe
from conformance.checks import claims, shapes, state, values
from conformance.checks.trial import CheckFailure, Trial, generic
from conformance.criteria import is_exact
from conformance.errors import Crashed, Unsupported
from conformance.implementations.base import Implementation
from conformance.results import Status


def _always(trial: Trial) -> bool:
    return True


def _everybody(implementation: Implementation) -> bool:
    return True


def _layers(implementation: Implementation) -> bool:
    return implementation.kind == "layer"


def _callable_again(implementation: Implementation) -> bool:
    return not implementation.recorded


def _deterministic(implementation: Implementation) -> bool:
    return not implementation.recorded and implementation.declared.deterministic


def _direct(implementation: Implementation) -> bool:
    return not implementation.recorded and implementation.declared.algorithm == "direct"


def _claiming(implementation: Implementation) -> bool:
    return implementation.capabilities is not None and not implementation.recorded


def _with_both(implementation: Implementation) -> bool:
    return implementation.layer is not None and implementation.conv2d is not None


def _with_gradients(implementation: Implementation) -> bool:
    return implementation.declared.gradients and implementation.gradients is not None


def _is_exact(trial: Trial) -> bool:
    return is_exact(trial.case)


def _is_bounded(trial: Trial) -> bool:
    return not is_exact(trial.case)


def _may_repeat(trial: Trial) -> bool:
    return trial.one_in(_ration(trial, 5))


def _may_split(trial: Trial) -> bool:
    return (
        trial.case.geometry.batch > 1 and is_exact(trial.case) and trial.one_in(_ration(trial, 3))
    )


def _is_claimed_probe(trial: Trial) -> bool:
    return is_probe(trial.case, trial.implementation.capabilities)


def _is_not_mixed(trial: Trial) -> bool:
    return not (trial.case.dtype or "").startswith("mixed_")


def _has_exact_gradients(trial: Trial) -> bool:
    if trial.case.activation not in (None, "linear") or not is_exact(trial.case):
        return False
    return trial.one_in(_ration(trial, 3)) and claims.gradients_are_exact(trial)


def _ration(trial: Trial, number: int) -> int:
    """One case in how many gets a further call. TensorFlow recompiles a grouped one every time."""
    if not trial.implementation.costly_calls:
        return 1
    return number if trial.case.geometry.groups == 1 else 8 * number


@dataclass(frozen=True, slots=True)
class Check:
    """One rule of the Conv2D contract.

    Attributes:
        function: raises `CheckFailure` where the rule is broken, may return an error ratio; its
            name is the name of the check and its docstring the rule.
        applies: on which trials it is made.
        needs: checks that must have passed for this one to mean anything.
        concerns: on which implementations it is made at all.
    """

    function: Callable[[Trial], float | None]
    applies: Callable[[Trial], bool] = _always
    needs: tuple[str, ...] = ()
    concerns: Callable[[Implementation], bool] = _everybody

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
        Check(claims.claimed_capability, _is_claimed_probe, concerns=_claiming),
        Check(shapes.compute_output_shape, concerns=_layers),
        Check(shapes.output_shape),
        Check(shapes.output_dtype, needs=_SHAPED),
        Check(values.exact_values, _is_exact, needs=_TYPED),
        Check(values.bounded_values, _is_bounded, needs=_TYPED),
        Check(state.repeated_call, _may_repeat, needs=_TYPED, concerns=_deterministic),
        Check(state.batch_independence, _may_split, needs=_TYPED, concerns=_direct),
        Check(state.unchanged_inputs, needs=_SHAPED, concerns=_callable_again),
        Check(claims.function_values, _is_not_mixed, concerns=_with_both),
        Check(claims.gradient_values, _has_exact_gradients, needs=_TYPED, concerns=_with_gradients),
    )
}


def concerning(implementation: Implementation) -> tuple[str, ...]:
    """The checks that are made on `implementation`."""
    return tuple(name for name, check in CHECKS.items() if check.concerns(implementation))


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
        if name not in wanted or not check.concerns(trial.implementation):
            continue
        blockers = [judgements[n] for n in check.needs if n in judgements]
        missing = [n for n in check.needs if n not in judgements]
        if missing or any(b.status in (Status.FAILED, Status.CRASHED) for b in blockers):
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
    except Crashed as end:
        cause = generic(str(end).partition(" (")[0])  # what it printed belongs to the message
        return Judgement(check.name, Status.CRASHED, cause, str(end))


__all__ = ["CHECKS", "Check", "CheckFailure", "Judgement", "Trial", "concerning", "judge"]
