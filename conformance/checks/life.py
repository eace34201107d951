"""Checks of the contract of a layer: what it accepts, shows, saves and returns when it is varied.

Expected is what the reference, made in the same way, shows at the same stage. Rows without an
oracle, and the checks called ``..._agree``, hold an implementation against itself.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.calls import LIFE, PLAIN_LIFE, Kind
from conformance.checks.check import check
from conformance.checks.trial import CheckFailure, Trial
from conformance.errors import Unsupported
from conformance.implementations.info import Info
from conformance.observing.observation import NOT_MADE, Answer, Opaque, Raised
from conformance.variations import VARIATIONS, Stage, Variation
from conformance.variations.variation import LIVED
from reference_impl.dtypes import format_of

Life = Mapping[Stage, Answer]

# How a layer is called in each mode, or what was done with it before.
HOW = {
    "graph": "traced by tf.function",
    "xla": "compiled by XLA",
    "predict": "called by predict",
    "sequential": "in a Sequential model",
    "functional": "in a functional model",
    "stateless": "called by stateless_call",
    "revived": "made again by from_config",
    "serialized": "serialized and made again",
    "copied": "copied",
    "copied_apart": "when a copy is given other weights",
    "pickled": "pickled and unpickled",
    "saved": "saved and loaded in a model",
    "saved_lora": "tuned by LoRA, saved and loaded in a model",
    "reloaded": "with weights loaded from a file",
    "stored_lora": "when a like layer tuned by LoRA in mixed precision stores another kernel",
    "loaded_lora": "when LoRA is loaded with nothing left to tune",
    "stateless_losses": "when stateless_call tells another number of losses",
    "any_size": "when a trace for any size accepts an input that the kernel does not fit",
    "any_channels": "when a trace for any number of channels accepts twice as many",
}

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
# What is varied, where it is no argument of the constructor.
_GIVEN = {
    "build": "a shape",
    "input": "an input",
    "set_weights": "weights",
    "then": "a later change",
    "global": "a global setting",
    "mode": "a way of calling it",
}


def _lives(info: Info) -> bool:
    return Kind.LIFE in info.answers


_of_life = partial(check, of="life", only=_lives, observes=lambda trial: (LIFE,))


def variation_of(trial: Trial) -> Variation:
    """What is varied."""
    assert trial.case.but is not None
    return VARIATIONS[trial.case.but]


def _lived(answer: Answer) -> Life:
    return dict(zip(LIVED, answer, strict=True))


def _life(trial: Trial) -> Life:
    return _lived(trial.answer(LIFE))


def _is_spelling(trial: Trial) -> bool:
    variation = variation_of(trial)
    used = isinstance(trial.wanted_life.get(Stage.CALL), np.ndarray)
    return bool(variation.spells) and variation.stage is Stage.CONSTRUCT and used


def _reached_plainly(stage: Stage) -> Any:
    """As `_reached`, on what `spellings_agree` and `modes_agree` do not compare."""
    reached = _reached(stage)

    def applies(trial: Trial) -> bool:
        apart = _is_spelling(trial) or variation_of(trial).stage is Stage.MODE
        return reached(trial) and not apart

    return applies


def _reached(stage: Stage) -> Any:
    """Whether the reference comes to `stage` and passes it."""

    def applies(trial: Trial) -> bool:
        found = trial.wanted_life.get(stage, NOT_MADE)
        return found is not NOT_MADE and not isinstance(found, Raised)

    return applies


@_of_life()
def refusals(trial: Trial) -> None:
    """A layer accepts and refuses what Keras' Conv2D does, at the same stage, with the same type.

    An engine's own error counts as a refusal of a call. The constructor may refuse what Keras
    refuses later, or what its documentation does not have.

    Source: the constructors of Conv2D and BaseConv, and Keras' test_bad_init_args. A size of 0 in
    symbolic shapes is refused since Keras 3.14, a `trainable` that is no bool since 3.15.
    """
    variation, got = variation_of(trial), _life(trial)
    for stage, wanted in trial.wanted_life.items():
        found = got[stage]
        if stage not in _WORDS or wanted is NOT_MADE or found is NOT_MADE:
            continue
        if stage in variation.differs or _is_unsupported(found):
            continue
        if _is_of_keras_alone(variation, stage) or _is_refused_early(trial, stage, found):
            continue
        _compare_refusals(variation, stage, wanted, found)


def _is_of_keras_alone(variation: Variation, stage: Stage) -> bool:
    """Whether the reference has not done to its layer what is done then."""
    return variation.only_keras and stage in (Stage.THEN, Stage.CALL)


def _is_refused_early(trial: Trial, stage: Stage, found: Answer) -> bool:
    if stage is not Stage.CONSTRUCT or not isinstance(found, Raised):
        return False
    wanted = trial.wanted_life
    late = any(isinstance(wanted[s], Raised) for s in (Stage.SHAPE, Stage.BUILD, Stage.CALL))
    return variation_of(trial).undocumented or late


def _is_unsupported(found: Answer) -> bool:
    return isinstance(found, Raised) and found.how == "unsupported"


def _at(life: Life, stage: Stage) -> Answer:
    """What was found at `stage`.

    Raises:
        Unsupported: the implementation does not come so far.
    """
    for earlier in LIVED[: LIVED.index(stage) + 1]:
        if _is_unsupported(life[earlier]) and earlier is not Stage.FIRST_CALL:
            raise Unsupported(life[earlier].text)
    return life[stage]


def _compare_refusals(variation: Variation, stage: Stage, wanted: Answer, found: Answer) -> None:
    given = _GIVEN.get(variation.argument, f"a value of {variation.argument}")
    subject = f"{_WORDS[stage]}{{}} {given} that Keras {{}}"
    value = f"{variation.argument}={variation.source}"
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
    if stage in TYPED_STAGES and theirs and not ours & theirs:
        raise CheckFailure(
            f"{_WORDS[stage]}refuses {given} with another type of error than Keras",
            f"{stage} of {value} raises {found.text}; Keras raises {wanted.text}",
        )


def builtin_types(raised: Raised) -> set[str]:
    return {name for name in raised.types if hasattr(builtins, name)} - _EVERY_ERROR


@_of_life(after=(refusals,), applies=_reached_plainly(Stage.CONSTRUCT))
def attributes(trial: Trial) -> None:
    """The attributes of a layer are the arguments of Conv2D as Keras normalises them.

    Source: standardize_tuple, standardize_padding and standardize_data_format of Keras.
    """
    wanted, got = trial.wanted_life[Stage.CONSTRUCT], _life(trial)[Stage.CONSTRUCT]
    found = dict(got) if isinstance(got, list) else {}
    for name, value in wanted:
        if name in found and not _same(found[name], value):
            raise CheckFailure(
                f"the attribute {name} is wrong",
                f"{name} should be {_shown(value)}, is {_shown(found[name])}",
            )


@_of_life(
    after=(refusals,), applies=lambda trial: not trial.wanted_life or _reached(Stage.CONFIG)(trial)
)
def configuration(trial: Trial) -> None:
    """get_config has every argument as Keras has it, and from_config makes an equal layer of it.

    Modules and registered names of serialised objects are not compared, nor further keys.

    Source: Layer.get_config, and run_layer_test of Keras' own tests.
    """
    got = _life(trial)
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
            _compare_outputs(revived, called, "the layer itself")
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
                f"{where} has {name}={_shown(found[name])}, not {_shown(value)}",
            )


def _same_config(wanted: Any, found: Any) -> bool:
    """Equal, where modules and registered names of serialised objects do not count."""
    if isinstance(wanted, dict) and "class_name" in wanted:
        if isinstance(found, str):  # by name
            return found in (wanted["class_name"], (wanted.get("config") or {}).get("name"))
        if not isinstance(found, dict):
            return False
        return all(wanted.get(key) == found.get(key) for key in ("class_name", "config"))
    return _same(wanted, found)


@_of_life(after=(refusals,), applies=_reached(Stage.WEIGHTS))
def weights_contract(trial: Trial) -> None:
    """Weights have Keras' order, names, shapes, dtypes and first values, and hold what is set.

    What an initializer gives is compared where it is not random. LoRA freezes the kernel.

    Source: BaseConv.build, Layer.set_weights, Layer.trainable and enable_lora.
    """
    wanted, got = trial.wanted_life, _life(trial)
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
        if told and not _same(found, expected):
            raise CheckFailure(
                "names or trainable of the weights differ from Keras",
                f"after {stage} they should be {_shown(expected)}, are {_shown(found)}",
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


@_of_life(after=(refusals,), applies=_reached_plainly(Stage.CALL))
def varied_output(trial: Trial) -> None:
    """A layer on which something is varied returns what the reference does.

    Weights and inputs are small integers, so that results are exact.

    Source: BaseConv.call, and Layer.__call__ for the cast of inputs (autocast).
    """
    got = _at(_life(trial), Stage.CALL)
    if isinstance(got, np.ndarray):
        _compare_outputs(got, trial.wanted_life[Stage.CALL], "the reference", trial.is_exact_life)
    first, built = trial.wanted_life[Stage.FIRST_CALL], _life(trial)[Stage.FIRST_CALL]
    if isinstance(first, list) and isinstance(built, list) and not _same(built, first):
        raise CheckFailure(
            "a first call returns a wrong shape or dtype",
            f"{_shown(built)}, the reference {_shown(first)}",
        )


def _compare_outputs(
    found: NDArray[Any], wanted: NDArray[Any], who: str, is_exact: bool = True
) -> None:
    if found.shape != wanted.shape:
        raise CheckFailure("returns a wrong shape", f"{found.shape}, {who} {wanted.shape}")
    if found.dtype != wanted.dtype:
        name, other = found.dtype.name, wanted.dtype.name
        raise CheckFailure("returns a wrong dtype", f"{name}, {who} {other}")
    wrong = int((found != wanted).sum()) if is_exact else 0
    if wrong:
        raise CheckFailure("returns other values", f"{wrong} of {found.size} differ from {who}")


@_of_life(after=(refusals, weights_contract), applies=_reached(Stage.LOSSES))
def losses(trial: Trial) -> None:
    """losses holds one penalty for each regularizer, with Keras' value, computed anew at each call.

    The activity penalty is divided by the batch size. Values may differ by the roundings of a sum.

    Source: Layer.losses, and Layer.__call__ for the activity penalty.
    """
    wanted, got = trial.wanted_life[Stage.LOSSES], _at(_life(trial), Stage.LOSSES)
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
            f"{when} call: losses are {_shown(found)}, not {_shown(wanted)}",
        )
    room = rounding(trial)
    for own, value in zip(sorted(found), sorted(wanted), strict=True):
        if not abs(own - value) <= room * abs(value):
            raise CheckFailure(
                "a loss has another value than in Keras", f"{when} call: {own}, not {value}"
            )


@_of_life(after=(refusals, weights_contract), applies=_reached(Stage.CONSTRAIN))
def constraints(trial: Trial) -> None:
    """Each weight carries the constraint it was given, which does what Keras' does.

    An optimizer applies them after a step; a layer that keeps none trains without them.

    Source: Layer.add_weight and Optimizer.apply.
    """
    wanted, got = trial.wanted_life[Stage.CONSTRAIN], _at(_life(trial), Stage.CONSTRAIN)
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


@_of_life(
    after=(refusals,), applies=lambda trial: not trial.wanted_life or _reached(Stage.SHAPE)(trial)
)
def shapes_agree(trial: Trial) -> None:
    """compute_output_shape, a call on a symbolic tensor, and a call agree on shape and dtype.

    Source: Layer.compute_output_spec, and run_layer_test of Keras' own tests.
    """
    got, variation = _life(trial), variation_of(trial)
    wanted, shape = trial.wanted_life.get(Stage.SHAPE), got[Stage.SHAPE]
    if got[Stage.CONSTRUCT] is NOT_MADE or isinstance(got[Stage.CONSTRUCT], Raised):
        return  # it was refused where it may be
    if wanted is not None and not _same(shape, wanted):
        raise CheckFailure(
            "compute_output_shape is wrong", f"should be {_shown(wanted)}, is {_shown(shape)}"
        )
    called, symbolic = got[Stage.CALL], got[Stage.SYMBOLIC]
    if variation.stage is Stage.CALL:
        symbolic = NOT_MADE  # of the varied input, which stages_agree compares
    plain = variation.stage not in (Stage.BUILD, Stage.CALL)
    if plain and isinstance(called, np.ndarray) and list(called.shape) != shape:
        raise CheckFailure(
            "a call returns another shape than compute_output_shape says",
            f"{called.shape}, not {tuple(shape)}",
        )
    is_built = _reached(Stage.BUILD)(trial)
    if is_built and isinstance(symbolic, Raised) and symbolic.how == "raises":
        raise CheckFailure("a call on a symbolic tensor raises", f"raises {symbolic.text}")
    if not isinstance(symbolic, list):
        return
    sizes, dtype = symbolic
    if sizes[1:] != shape[1:] or sizes[0] is not None:
        raise CheckFailure(
            "a call on a symbolic tensor gives another shape",
            f"{_shown(sizes)}, not {_shown([None, *shape[1:]])}",
        )
    if plain and isinstance(called, np.ndarray) and called.dtype.name != dtype:
        raise CheckFailure(
            "a call on a symbolic tensor gives another dtype", f"{dtype}, not {called.dtype.name}"
        )


def _is_refused(trial: Trial) -> bool:
    variation = variation_of(trial)
    if variation.only_keras:
        return True  # who knows what it refuses
    stages = (Stage.BUILD, Stage.ASSIGN, Stage.THEN, Stage.CALL)
    if any(stage in variation.differs for stage in stages):
        return False
    retried = isinstance(trial.wanted_life.get(Stage.RETRY), list)
    return retried and any(isinstance(trial.wanted_life[stage], Raised) for stage in stages)


@_of_life(after=(refusals,), applies=_is_refused)
def failure_leaves_no_trace(trial: Trial) -> None:
    """After a refused build, set_weights, call or change, the layer is as before and can be used.

    Source: none in Keras, which breaks it where known faults say so; people retry in notebooks.
    """
    found = _life(trial)[Stage.RETRY]
    if variation_of(trial).only_keras and not isinstance(_life(trial)[Stage.THEN], Raised):
        return  # nothing was refused
    if _is_unsupported(found):
        raise Unsupported(found.text)
    what = variation_of(trial).argument
    if isinstance(found, Raised):
        raise CheckFailure(
            f"cannot be used after a refused value of {what}", f"then raises {found.text}"
        )
    if found is NOT_MADE:
        return
    result, untouched, left = found
    changing = "then" if variation_of(trial).stage is Stage.THEN else "set_weights"
    if untouched is False:
        raise CheckFailure(f"{_CHANGES[changing]} that is refused changes weights")
    wanted = trial.wanted_life
    again = wanted[Stage.RETRY]
    if isinstance(again, list) and left is not None and not _same(left, again[2]):
        raise CheckFailure(
            f"a refused value of {what} leaves other weights than there were",
            f"the layer has {_shown(left)}, should have {_shown(again[2])}",
        )
    if result is None:
        return
    right = again[0] if isinstance(again, list) else wanted[Stage.CALL]
    _compare_outputs(result, right, "a layer that refused nothing")


_CHANGES = {"then": "what is done to a layer and", "set_weights": "set_weights"}


@_of_life(after=(refusals,), observes=lambda trial: (LIFE, PLAIN_LIFE), applies=_is_spelling)
def spellings_agree(trial: Trial) -> None:
    """Two spellings of one value make layers with the same attributes and the same results.

    Source: the documentation of Conv2D: "int or tuple/list of 2 integer".
    """
    one, other = _life(trial), _lived(trial.answer(PLAIN_LIFE))
    made, plain = one[Stage.CONSTRUCT], other[Stage.CONSTRUCT]
    if isinstance(made, list) and isinstance(plain, list):
        known = dict(plain)
        for name, value in made:
            if not _same(known.get(name), value):
                raise CheckFailure(
                    f"the attribute {name} depends on the spelling",
                    f"{name} is {_shown(value)}, and {_shown(known.get(name))} if written plainly",
                )
    if isinstance(one[Stage.CALL], np.ndarray) and isinstance(other[Stage.CALL], np.ndarray):
        _compare_outputs(one[Stage.CALL], other[Stage.CALL], "the plain spelling")


@_of_life(
    after=(refusals,),
    observes=lambda trial: (LIFE, PLAIN_LIFE),
    applies=lambda trial: variation_of(trial).stage is Stage.MODE,
)
def modes_agree(trial: Trial) -> None:
    """A layer gives the same however it is called: eagerly, traced, in a model, or loaded.

    Source: the documentation of Sequential, Model, predict, save and load_model.
    """
    one = _at(_life(trial), Stage.CALL)
    other = _at(_lived(trial.answer(PLAIN_LIFE)), Stage.CALL)
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        try:
            _compare_outputs(one, other, "a plain call")
        except CheckFailure as failure:
            how = HOW[variation_of(trial).value()]
            raise CheckFailure(f"{how}, it {failure.cause}", failure.message) from None


# Keras against itself -----------------------------------------------------------------------------


def _is_of_keras(info: Info) -> bool:
    """Whether it is a layer of Keras, which promises what the reference need not repeat."""
    return _lives(info) and bool(info.modes)


_of_keras = partial(check, of="life", only=_is_of_keras, observes=lambda trial: (LIFE,))
_OWN_ERRORS = {"ValueError", "TypeError", "NotImplementedError"}
_LATER = (Stage.SHAPE, Stage.SYMBOLIC, Stage.CONFIG, Stage.REVIVE, Stage.BUILD, Stage.CALL)


def _raised(answer: Answer) -> Raised | None:
    return answer if isinstance(answer, Raised) and answer.how == "raises" else None


@_of_keras()
def stages_agree(trial: Trial) -> None:
    """What a layer has accepted at one stage it does not refuse at a later one.

    An argument that the constructor takes can be built with, called, saved and read back. A shape
    for which compute_output_shape has an answer can be built for. An input that can be called
    symbolically can be called, and gives that shape and dtype.

    Source: Layer.compute_output_spec, whose answer is that of a call; and the documentation of
    Conv2D, which has no condition on when an argument is looked at.
    """
    got, variation = _life(trial), variation_of(trial)
    if variation.stage in (Stage.CONSTRUCT, Stage.GLOBAL, Stage.THEN):
        start = Stage.THEN if variation.stage is Stage.THEN else Stage.CONSTRUCT
        for stage in _judged_later(variation):
            if isinstance(got[start], list) and (error := _raised(got[stage])):
                raise CheckFailure(
                    f"{_SAID[stage]} refuses a value of {variation.argument} that was accepted",
                    f"{stage} of {variation.argument}={variation.source} raises {error.text}",
                )
    elif variation.stage is Stage.BUILD:
        _compare_accepted(got, Stage.SHAPE, Stage.BUILD, variation)
    elif variation.stage is Stage.CALL and isinstance(got[Stage.SYMBOLIC], list | Raised):
        _compare_accepted(got, Stage.SYMBOLIC, Stage.CALL, variation)
        called, symbolic = got[Stage.CALL], got[Stage.SYMBOLIC]
        if isinstance(called, np.ndarray) and isinstance(symbolic, list):
            form = [list(called.shape), called.dtype.name]
            if symbolic != form:
                raise CheckFailure(
                    "a call on a symbolic tensor tells another shape or dtype",
                    f"{_shown(symbolic)}, and the call {_shown(form)}",
                )


def _judged_later(variation: Variation) -> list[Stage]:
    """The stages that have nothing left to find out of what is varied."""
    if variation.stage is Stage.THEN:
        return [Stage.CALL]
    later = [stage for stage in _LATER if stage not in variation.differs]
    is_for_a_shape = variation.argument.endswith("_initializer")
    is_count = variation.argument == "groups" and isinstance(variation.value(), int)
    if is_for_a_shape or is_count:  # which only build knows
        later = [stage for stage in later if stage in (Stage.CONFIG, Stage.REVIVE)]
    return later


_SAID = {
    Stage.CONSTRUCT: "the constructor",
    Stage.ASSIGN: "set_weights",
    Stage.SHAPE: "compute_output_shape",
    Stage.SYMBOLIC: "a call on a symbolic tensor",
    Stage.CONFIG: "get_config",
    Stage.REVIVE: "from_config",
    Stage.BUILD: "build",
    Stage.CALL: "a call",
}


def _compare_accepted(got: Life, one: Stage, other: Stage, variation: Variation) -> None:
    for taker, refuser in ((one, other), (other, one)):
        error = _raised(got[refuser])
        if error and not isinstance(got[taker], Raised) and got[taker] is not NOT_MADE:
            raise CheckFailure(
                f"{_SAID[refuser]} refuses a value of {variation.argument} that "
                f"{_SAID[taker]} accepts",
                f"of {variation.source}, {refuser} raises {error.text}",
            )


@_of_keras()
def refused_on_purpose(trial: Trial) -> None:
    """What is refused is refused by a ValueError, a TypeError or a NotImplementedError.

    These are the types that Keras itself raises. Another one comes from inside Python or the
    engine: nobody has looked at the value, and who catches a ValueError misses it.

    Source: the refusals that Keras words itself, and "Raises: ValueError" in its documentation.
    """
    variation, got = variation_of(trial), _life(trial)
    for stage in (Stage.CONSTRUCT, *_LATER, Stage.ASSIGN):
        error = _raised(got[stage]) if stage not in variation.differs else None
        if error and not _OWN_ERRORS & set(error.types):
            raise CheckFailure(
                f"{_SAID[stage]} refuses a value of {variation.argument} with an unrelated error",
                f"{stage} of {variation.argument}={variation.source} raises {error.text}",
            )


@_of_keras(applies=lambda trial: variation_of(trial).undocumented)
def documented_values(trial: Trial) -> None:
    """The constructor refuses a value that the documentation does not have.

    Source: the documentation of Conv2D: "int or tuple/list of 2 integer", "a positive int", "bool".
    """
    variation = variation_of(trial)
    if isinstance(_life(trial)[Stage.CONSTRUCT], list):
        raise CheckFailure(
            f"accepts a value of {variation.argument} that is not documented",
            f"{variation.argument}={variation.source} is accepted",
        )


@_of_keras()
def revived_attributes(trial: Trial) -> None:
    """A configuration is plain JSON, and a layer made of it has the attributes of the first.

    Source: Layer.get_config ("used to initialize this layer"), and run_layer_test of Keras' own
    tests, which writes it as JSON and compares `dir` of both.
    """
    revived = _life(trial)[Stage.REVIVE]
    if not isinstance(revived, list) or len(revived) < 4:
        return
    _, _, attributes, is_json = revived
    if not is_json:
        raise CheckFailure("get_config cannot be written as JSON")
    for name, made, again in attributes:
        if not _same(made, again):
            raise CheckFailure(
                f"a layer made by from_config has another {name}",
                f"{name} is {_shown(again)}, was {_shown(made)}",
            )


def _same(found: Any, wanted: Any) -> bool:
    if isinstance(found, Opaque) or isinstance(wanted, Opaque):
        return str(found) == str(wanted)
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    both_nan = found != found and wanted != wanted
    return bool(found == wanted or both_nan)  # True is 1


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"({', '.join(map(_shown, value))})"
    return repr(value)


OF_KERAS = (stages_agree, refused_on_purpose, documented_values, revived_attributes)
RULES = (
    refusals,
    attributes,
    configuration,
    weights_contract,
    varied_output,
    losses,
    constraints,
    shapes_agree,
    failure_leaves_no_trace,
    spellings_agree,
    modes_agree,
    *OF_KERAS,
)
