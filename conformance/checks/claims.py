"""Checks of what else an implementation claims: its capabilities, a function, gradients."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.calls import FUNCTION, GRADIENTS, OUTPUT, Kind
from conformance.capabilities import is_probe, probes, wording
from conformance.case import Case
from conformance.checks.check import Found, check
from conformance.checks.shapes import TYPED
from conformance.checks.trial import CheckFailure, Trial
from conformance.criteria import Expected, error_ratio, expected, is_exact
from conformance.data import SPECIAL_KINDS, Arrays
from conformance.errors import Unsupported
from conformance.implementations.info import Info
from conformance.observing.observation import Raised
from conformance.refusals import REFUSALS
from conformance.sums import kept_sums
from reference_impl import bias_gradient, input_gradient, kernel_gradient
from reference_impl.convolution import Accumulated
from reference_impl.dtypes import as_dtype, format_of


def _is_claimed_probe(trial: Trial) -> bool:
    return is_probe(trial.case, trial.info.capabilities)


def _claiming(info: Info) -> bool:
    return info.capabilities is not None and not info.recorded


@check(applies=_is_claimed_probe, only=_claiming)
def claimed_capability(trial: Trial) -> None:
    """Every claimed capability accepts its smallest case."""
    try:
        trial.output  # noqa: B018 - it must have been called
    except Unsupported as refusal:
        claimed = probes(trial.info.capabilities)
        names = [wording(p.need) for p in claimed if p.claimed and p.case == trial.case]
        raise CheckFailure(
            f"claims {', '.join(names)} but refuses it", f"refuses {trial.case}: {refusal}"
        ) from None
    except CheckFailure:
        return  # another check tells


def _can_refuse(info: Info) -> bool:
    own = info.recorded or info.runs_own_process  # the records of a program hold convolutions only
    return info.kind == "function" and not own


@check(only=_can_refuse, applies=lambda trial: is_impossible(trial.case), of="refusal")
def refused_call(trial: Trial) -> None:
    """A call that is no Conv2D raises, or returns an array without elements."""
    assert trial.case.but is not None
    answer = trial.answers[OUTPUT]
    if isinstance(answer, Raised) and answer.how in ("raises", "unsupported"):
        return
    if trial.output.size:
        words = REFUSALS[trial.case.but].words
        raise CheckFailure(
            f"computes something for {words}", f"returns {trial.output.shape} for {words}"
        )


def is_impossible(case: Case) -> bool:
    """Whether `case` is no Conv2D."""
    return case.but in REFUSALS and REFUSALS[case.but].applies(case.geometry)


def _has_function_values(trial: Trial) -> bool:
    mixed = (trial.case.dtype or "").startswith("mixed_")
    return not mixed and trial.case.data not in SPECIAL_KINDS


@check(
    observes=lambda trial: (FUNCTION,),
    applies=_has_function_values,
    only=lambda info: Kind.FUNCTION in info.answers,
)
def function_values(trial: Trial) -> Found:
    """If an implementation has both a layer and a function, the function is correct too."""
    want = expected_of_function(trial)
    got = trial.array(FUNCTION)
    if got.shape != want.value.shape or got.dtype != as_dtype(trial.case.compute_dtype):
        wanted = f"{trial.case.compute_dtype} {want.value.shape}"
        raise CheckFailure(
            "the function returns a wrong shape or dtype",
            f"expected {wanted}, got {got.dtype.name} {got.shape}",
        )
    ratio = float(error_ratio(got, want).max(initial=0.0))
    if ratio > 1:
        wrong = int((error_ratio(got, want) > 1).sum())
        raise CheckFailure(
            "values of the function are wrong", f"{wrong} of {got.size} elements are wrong", ratio
        )
    return Found(ratio)


def expected_of_function(trial: Trial) -> Expected:
    """What the function must return: the layer's result before its activation."""

    def sums_of(_: Case, data: Arrays, magnitude: bool) -> Accumulated:
        return kept_sums(trial.case, data, magnitude)  # whose activation decides some data

    linear = replace(trial.case, activation=None)
    return expected(linear, trial.data, trial.info.declared, sums_of)


def _has_exact_gradients(trial: Trial) -> bool:
    if trial.case.activation not in (None, "linear") or not is_exact(trial.case):
        return False
    return trial.one_in(3) and gradients_are_exact(trial)


@check(
    observes=lambda trial: (OUTPUT, GRADIENTS),
    applies=_has_exact_gradients,
    after=TYPED,
    only=lambda info: Kind.GRADIENTS in info.answers,
)
def gradient_values(trial: Trial) -> None:
    """On integers, the gradients with respect to input, kernel and bias are exact."""
    case, data = trial.case, trial.data
    arguments = case.function_arguments()
    dtype = as_dtype(case.compute_dtype)
    upstream = upstream_gradient(trial)
    got = trial.answer(GRADIENTS)
    x, kernel, bias = (
        None if a is None else a.astype(np.float64) for a in (data.x, data.kernel, data.bias)
    )
    assert x is not None
    assert kernel is not None
    wanted: list[tuple[str, NDArray[Any] | None]] = [
        ("input", input_gradient(upstream, kernel, x.shape, **arguments)),
        ("kernel", kernel_gradient(upstream, x, case.geometry.kernel_size, **arguments)),
        (
            "bias",
            None
            if bias is None
            else bias_gradient(upstream, data_format=case.geometry.data_format),
        ),
    ]
    for (name, want), found in zip(wanted, got, strict=True):
        if want is None:
            continue
        if found is None:
            raise CheckFailure(f"returns no gradient of the {name}")
        if found.shape != want.shape or found.dtype != dtype:
            raise CheckFailure(
                f"the gradient of the {name} has a wrong shape or dtype",
                f"expected {dtype.name} {want.shape}, got {found.dtype.name} {found.shape}",
            )
        # A fast algorithm is correct if each element is nearer to the exact integer than to others.
        room = 0.0 if trial.info.declared.algorithm == "direct" else np.nextafter(0.5, 0)
        wrong = int((~(np.abs(found.astype(np.float64) - want) <= room)).sum())
        if wrong:
            raise CheckFailure(
                f"the gradient of the {name} is wrong",
                f"{wrong} of {want.size} elements of the gradient of the {name} are wrong",
            )


def upstream_gradient(trial: Trial) -> NDArray[np.float64]:
    """Ones of either sign, shaped as the result."""
    rng = np.random.Generator(np.random.SFC64(trial.case.seed))
    return rng.choice([-1.0, 1.0], trial.case.geometry.output_shape)


def gradients_are_exact(trial: Trial) -> bool:
    """Whether every partial sum of every gradient is an integer that the dtype holds exactly."""
    case = trial.case
    g = case.geometry
    largest = max(
        float(np.abs(a.astype(np.float64)).max(initial=0.0))
        for a in (trial.data.x, trial.data.kernel)
    )
    summed = max(
        g.batch * g.output[0] * g.output[1], g.kernel_size[0] * g.kernel_size[1] * g.filters
    )
    return summed * largest <= 2.0 ** min(format_of(case.compute_dtype).precision, 24)
