"""Checks of the contract of a layer: what it accepts, shows, saves and returns when it is varied.

Expected is what the reference, made in the same way, shows at the same stage.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.checks.lived import (
    Life,
    compare_outputs,
    given_source,
    given_words,
    is_spelling,
    is_unsupported,
    life_at,
    life_of,
    of_life,
    reached,
    same,
    shown,
    variation_of,
)
from conformance.checks.trial import CheckFailure, Trial
from conformance.observing.observation import NOT_MADE, Answer, Opaque, Raised
from conformance.variations import Stage, Variation
from reference_impl.dtypes import format_of

# What a refusal on purpose raises. Keras itself wraps one in another, as from_config does.
ON_PURPOSE = {"ValueError", "TypeError", "NotImplementedError"}
_EVERY_ERROR = {"Exception", "BaseException", "object"}


# Stages at which only Keras' own code decides what is raised; later an engine may.
TYPED_STAGES = (Stage.CONSTRUCT, Stage.CONFIG, Stage.REVIVE, Stage.BUILD, Stage.ASSIGN)


_WORDS = {
    Stage.CONSTRUCT: "",
    Stage.SHAPE: "compute_output_shape ",
    Stage.CONFIG: "get_config ",
    Stage.REVIVE: "from_config ",
    Stage.BUILD: "build ",
    Stage.FIRST_CALL: "a first call ",
    Stage.WEIGHTS: "get_weights ",
    Stage.ASSIGN: "set_weights ",
    Stage.THEN: "",
    Stage.CALL: "a call ",
    Stage.LOSSES: "reading losses ",
    Stage.CONSTRAIN: "a constraint ",
}


def _reached_plainly(stage: Stage) -> Any:
    """As `reached`, on what `spellings_agree` and `modes_agree` do not compare."""
    is_reached = reached(stage)

    def applies(trial: Trial) -> bool:
        apart = is_spelling(trial) or variation_of(trial).stage is Stage.MODE
        return is_reached(trial) and not apart

    return applies


@of_life()
def refusals(trial: Trial) -> None:
    """A layer accepts and refuses what Keras' Conv2D does, at the same stage, with a like type.

    What is raised on purpose is a ValueError, a TypeError or a NotImplementedError; where Keras
    raises another of these, or something by accident, any of them will do. An engine's own error
    counts as a refusal of a call. The constructor may refuse what Keras refuses later, or what its
    documentation does not have.

    Source: the constructors of Conv2D and BaseConv, and Keras' test_bad_init_args. A size of 0 in
    symbolic shapes is refused since Keras 3.14, a `trainable` that is no bool since 3.15.
    """
    variation, got = variation_of(trial), life_of(trial)
    life_at(got, Stage.CONSTRUCT)
    for stage, wanted in trial.wanted_life.items():
        found = got[stage]
        if stage not in _WORDS or wanted is NOT_MADE or found is NOT_MADE:
            continue
        if stage in variation.differs or is_unsupported(found):
            continue
        if _is_of_keras_alone(variation, stage) or _is_refused_early(trial, stage, found):
            continue
        _compare_refusals(variation, stage, wanted, found)


def _is_of_keras_alone(variation: Variation, stage: Stage) -> bool:
    """Whether the reference has not done to its layer what is done then."""
    return variation.only_keras and stage in (Stage.THEN, Stage.CALL)


def _is_refused_early(trial: Trial, stage: Stage, found: Answer) -> bool:
    return stage is Stage.CONSTRUCT and isinstance(found, Raised) and may_refuse_early(trial)


def may_refuse_early(trial: Trial) -> bool:
    """Whether the constructor may refuse what is varied, although that of Keras does not."""
    wanted = trial.wanted_life
    late = any(isinstance(wanted.get(s), Raised) for s in (Stage.SHAPE, Stage.BUILD, Stage.CALL))
    return variation_of(trial).undocumented or late


def _compare_refusals(variation: Variation, stage: Stage, wanted: Answer, found: Answer) -> None:
    given = given_words(variation)
    subject = f"{_WORDS[stage]}{{}} {given} that Keras {{}}"
    value = given_source(variation)
    if not isinstance(found, Raised):
        if isinstance(wanted, Raised):
            raise CheckFailure(
                subject.format("accepts", "refuses"),
                f"{stage} accepts {value}; Keras raises {wanted.text}",
            )
        return
    if not isinstance(wanted, Raised):
        raise CheckFailure(
            subject.format("refuses", "accepts"), f"{stage} refuses {value}: {found.text}"
        )
    ours, theirs = builtin_types(wanted), builtin_types(found)
    if stage in TYPED_STAGES and theirs and not theirs & (ours | ON_PURPOSE):
        raise CheckFailure(
            f"{_WORDS[stage]}refuses {given} with another type of error than Keras",
            f"{stage} of {value} raises {found.text}; Keras raises {wanted.text}",
        )


def builtin_types(raised: Raised) -> set[str]:
    return {name for name in raised.types if hasattr(builtins, name)} - _EVERY_ERROR


@of_life(after=(refusals,), applies=_reached_plainly(Stage.CONSTRUCT))
def attributes(trial: Trial) -> None:
    """The attributes of a layer are the arguments of Conv2D as Keras normalises them.

    Source: standardize_tuple, standardize_padding and standardize_data_format of Keras.
    """
    wanted, got = trial.wanted_life[Stage.CONSTRUCT], life_of(trial)[Stage.CONSTRUCT]
    found = dict(got) if isinstance(got, list) else {}
    for name, value in wanted:
        if name in found and not same(found[name], value):
            raise CheckFailure(
                f"the attribute {name} is wrong",
                f"{name} should be {shown(value)}, is {shown(found[name])}",
            )


@of_life(
    after=(refusals,), applies=lambda trial: not trial.wanted_life or reached(Stage.CONFIG)(trial)
)
def configuration(trial: Trial) -> None:
    """get_config has every argument as Keras has it, and from_config makes an equal layer of it.

    Modules and registered names of serialised objects are not compared, nor further keys.

    Source: Layer.get_config, and run_layer_test of Keras' own tests.
    """
    got = life_of(trial)
    if not isinstance(got[Stage.CONFIG], str):
        return  # a refusal that is not judged
    own = json.loads(got[Stage.CONFIG])
    if trial.wanted_life and Stage.CONFIG not in variation_of(trial).differs:
        _compare_configs(json.loads(trial.wanted_life[Stage.CONFIG]), own, "get_config")
    if isinstance(got[Stage.REVIVE], list):
        text, *more = got[Stage.REVIVE]
        if isinstance(text, Opaque):
            raise CheckFailure("from_config makes an object of another type", f"it is {text}")
        if more and not more[0]:
            raise CheckFailure("from_config changes the configuration that it is given")
        _compare_configs(own, json.loads(text), "from_config(get_config())")
    _compare_revived(got)


def _compare_revived(got: Life) -> None:
    called, revived = got[Stage.CALL], got[Stage.REVIVED_CALL]
    if isinstance(revived, Raised) and revived.how == "raises":
        raise CheckFailure("a layer made by from_config raises", f"it raises {revived.text}")
    if isinstance(called, np.ndarray) and isinstance(revived, np.ndarray):
        try:
            compare_outputs(revived, called, "the layer itself")
        except CheckFailure as failure:
            cause = f"a layer made by from_config {failure.cause}"
            raise CheckFailure(cause, f"from_config: {failure.message}") from None


def _compare_configs(wanted: Mapping[str, Any], found: Mapping[str, Any], where: str) -> None:
    for name, value in wanted.items():
        if name not in found:
            raise CheckFailure(f"{where} has no {name}")
        if not _same_config(value, found[name]):
            raise CheckFailure(
                f"{where} has another {name}",
                f"{where} has {name}={shown(found[name])}, not {shown(value)}",
            )


def _same_config(wanted: Any, found: Any) -> bool:
    """Equal, where modules and registered names of serialised objects do not count."""
    if isinstance(wanted, dict) and "class_name" in wanted:
        if isinstance(found, str):  # by name
            return found in (wanted["class_name"], (wanted.get("config") or {}).get("name"))
        if not isinstance(found, dict):
            return False
        return all(wanted.get(key) == found.get(key) for key in ("class_name", "config"))
    return same(wanted, found)


@of_life(after=(refusals,), applies=reached(Stage.WEIGHTS))
def weights_contract(trial: Trial) -> None:
    """Weights have Keras' order, names, shapes, dtypes and first values, and hold what is set.

    What an initializer gives is compared where it is not random. LoRA freezes the kernel.

    Source: BaseConv.build, Layer.set_weights, Layer.trainable and enable_lora.
    """
    wanted, got = trial.wanted_life, life_of(trial)
    if got[Stage.WEIGHTS] is NOT_MADE:
        return  # it was refused where it may be
    flags, arrays, twins = wanted[Stage.WEIGHTS]
    own_flags, own, own_twins = got[Stage.WEIGHTS]
    shapes, own_shapes = _forms(arrays), _forms(own)
    if own_shapes != shapes:
        raise CheckFailure("has other weights than Keras", f"should be {shapes}, are {own_shapes}")
    for stage, expected, found in (
        (Stage.WEIGHTS, flags, own_flags),
        (Stage.THEN, wanted[Stage.THEN], got[Stage.THEN]),
    ):
        told = isinstance(expected, list) and isinstance(found, list)
        if told and not same(found, expected):
            raise CheckFailure(
                "has weights of other names, or trained otherwise, than Keras",
                f"after {stage} they should be {shown(expected)}, are {shown(found)}",
            )
    for number in trial.decided_weights:
        if not np.array_equal(own[number], arrays[number]):
            raise CheckFailure(
                "a weight does not begin as its initializer says",
                f"weight {number} begins with {own[number].flat[0]}, not {arrays[number].flat[0]}",
            )
    if own_twins != twins:
        raise CheckFailure(
            "first values are equal in two layers where Keras draws them, or differ",
            f"equal in a second layer: {own_twins}, should be {twins}",
        )
    held, own_held = wanted[Stage.ASSIGN], got[Stage.ASSIGN]
    if isinstance(held, list) and isinstance(own_held, list):
        wrong = [n for n, w in enumerate(held) if not np.array_equal(own_held[n], w)]
        if wrong:
            raise CheckFailure(
                "get_weights does not return what was set", f"weights {wrong} are not as set"
            )


def _forms(arrays: Any) -> list[str]:
    return [f"{a.dtype.name} {a.shape}" for a in arrays]


@of_life(after=(refusals,), applies=_reached_plainly(Stage.CALL))
def varied_output(trial: Trial) -> None:
    """A layer on which something is varied returns what the reference does.

    Weights and inputs are small integers, so that results are exact.

    Source: BaseConv.call, and Layer.__call__ for the cast of inputs (autocast).
    """
    got, variation = life_at(life_of(trial), Stage.CALL), variation_of(trial)
    if isinstance(got, np.ndarray):
        wanted = trial.wanted_life[Stage.CALL]
        try:
            compare_outputs(got, wanted, "the reference", trial.is_exact_life)
        except CheckFailure as failure:
            after = " after a later change" if variation.stage is Stage.THEN else ""
            said = f"with {given_source(variation)}: {failure.message}"
            raise CheckFailure(f"{failure.cause}{after}", said) from None
    first, built = trial.wanted_life[Stage.FIRST_CALL], life_of(trial)[Stage.FIRST_CALL]
    if isinstance(first, list) and isinstance(built, list) and not same(built, first):
        raise CheckFailure(
            "a first call returns a wrong shape or dtype",
            f"{shown(built)}, the reference {shown(first)}",
        )


@of_life(after=(refusals, weights_contract), applies=reached(Stage.LOSSES))
def losses(trial: Trial) -> None:
    """losses holds one penalty for each regularizer, with Keras' value, computed anew at each call.

    The activity penalty is divided by the batch size. Values may differ by the roundings of a sum.

    Source: Layer.losses, and Layer.__call__ for the activity penalty.
    """
    wanted, got = trial.wanted_life[Stage.LOSSES], life_at(life_of(trial), Stage.LOSSES)
    if not isinstance(got, list):
        return
    for found, values, when in zip(
        got, wanted, ("before a", "after a", "after a second"), strict=False
    ):
        _compare_losses(trial, found, values, when)


def _compare_losses(trial: Trial, found: Answer, wanted: Answer, when: str) -> None:
    if isinstance(found, Raised) or len(found) != len(wanted):
        raise CheckFailure(
            "has another number of losses than Keras",
            f"{when} call: losses are {shown(found)}, not {shown(wanted)}",
        )
    room = rounding(trial)
    for own, value in zip(sorted(found), sorted(wanted), strict=True):
        if not abs(own - value) <= room * abs(value):
            raise CheckFailure(
                "a loss has another value than in Keras", f"{when} call: {own}, not {value}"
            )


@of_life(after=(refusals, weights_contract), applies=reached(Stage.CONSTRAIN))
def constraints(trial: Trial) -> None:
    """Each weight carries the constraint it was given, which does what Keras' does.

    An optimizer applies them after a step; a layer that keeps none trains without them.

    Source: Layer.add_weight and Optimizer.apply.
    """
    wanted, got = trial.wanted_life[Stage.CONSTRAIN], life_at(life_of(trial), Stage.CONSTRAIN)
    if not isinstance(got, list):
        return
    if len(got) != len(wanted):
        raise CheckFailure(
            "has another number of weights after a call", f"{len(got)}, should be {len(wanted)}"
        )
    for number, (found, value) in enumerate(zip(got, wanted, strict=True)):
        if (found is None) != (value is None):
            verb = "has no constraint" if found is None else "has a constraint that was not given"
            raise CheckFailure(f"a weight {verb}", f"weight {number} {verb}")
        if value is not None and not _close(found, value, rounding(trial)):
            raise CheckFailure(
                "a constraint gives other values", f"the constraint of weight {number} does"
            )


def _close(found: Any, wanted: NDArray[Any], room: float) -> bool:
    a, b = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    return a.shape == b.shape and bool((np.abs(a - b) <= room * (1 + np.abs(b))).all())


def rounding(trial: Trial) -> float:
    """A bound on the relative error of a penalty or a constraint, in whatever order it is summed.

    It sums the n elements of the largest array of the case, none of them negative. Each element
    meets n - 1 additions and at most nine further roundings: of its square, of the constant, their
    product, a root, the offset before a division, the division, and where two penalties are
    weighted, those of the two products and of their sum. To first order that is n + 8 roundings.
    """
    g = trial.case.geometry
    terms = max(np.prod(trial.case.kernel_shape), np.prod(g.output_shape))
    unit = max(format_of(d).unit_roundoff for d in ("float32", trial.case.compute_dtype))
    return float((terms + 8) * unit)


RULES = (refusals, attributes, configuration, weights_contract, varied_output, losses, constraints)
