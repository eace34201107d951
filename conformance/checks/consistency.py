"""Checks of the contract of a layer that hold it against itself, stage against stage.

`OF_KERAS` are for layers of Keras, which promise what the reference need not repeat.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from conformance.calls import LIFE, PLAIN_LIFE
from conformance.checks.check import check
from conformance.checks.life import ON_PURPOSE, refusals
from conformance.checks.lived import (
    Life,
    compare_outputs,
    given_source,
    given_words,
    has_life,
    is_spelling,
    is_unsupported,
    life_at,
    life_of,
    lived,
    of_life,
    reached,
    same,
    shown,
    variation_of,
)
from conformance.checks.trial import CheckFailure, Trial
from conformance.errors import Unsupported
from conformance.implementations.info import Info
from conformance.observing.observation import NOT_MADE, Answer, Raised
from conformance.variations import Stage, Variation

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
}
# What a way of calling shows that adds 1 to the result where something else is wrong.
SHOWN = {
    "stored_lora": "stores another kernel when it is tuned by LoRA in mixed precision",
    "loaded_lora": "has nothing left to tune once LoRA is loaded",
    "stateless_losses": "tells another number of losses in stateless_call",
    "named_apart": "two layers that are given no name have the same one",
    "masked": "says that it passes masks on",
    "kept_in_full": "rounds its weights when they are saved",
    "kernel_frozen": "mixes up its weights when it is saved with its kernel frozen",
    "penalty_in_full": "rounds the penalty on its weights under a policy of 16 bits",
    "lora_of_groups": "gives other values with LoRA on groups than with the changed kernel",
    "lora_of_16_bits": "gives another dtype or values with LoRA under a policy of 16 bits",
    "trained": "takes something else than the gradient in a step of training",
    "trained_through": "changes or stops the gradient when it is frozen",
    "any_size": "accepts an input that the kernel does not fit, if traced for any size",
    "any_channels": "accepts twice as many channels, if traced for any number of them",
}


@of_life(
    after=(refusals,), applies=lambda trial: not trial.wanted_life or reached(Stage.SHAPE)(trial)
)
def shapes_agree(trial: Trial) -> None:
    """compute_output_shape, a call on a symbolic tensor, and a call agree on shape and dtype.

    Source: Layer.compute_output_spec, and run_layer_test of Keras' own tests.
    """
    got, variation = life_of(trial), variation_of(trial)
    wanted, shape = trial.wanted_life.get(Stage.SHAPE), got[Stage.SHAPE]
    if got[Stage.CONSTRUCT] is NOT_MADE or isinstance(got[Stage.CONSTRUCT], Raised):
        return  # it was refused where it may be
    if wanted is not None and not same(shape, wanted):
        raise CheckFailure(
            "compute_output_shape is wrong", f"should be {shown(wanted)}, is {shown(shape)}"
        )
    if isinstance(shape, Raised):
        return  # it was refused, which nobody can judge here
    called, symbolic = got[Stage.CALL], got[Stage.SYMBOLIC]
    if variation.stage is Stage.CALL:
        symbolic = NOT_MADE  # of the varied input, which stages_agree compares
    plain = variation.stage not in (Stage.BUILD, Stage.CALL)
    if plain and isinstance(called, np.ndarray) and list(called.shape) != shape:
        raise CheckFailure(
            "a call returns another shape than compute_output_shape says",
            f"{called.shape}, not {tuple(shape)}",
        )
    is_built = reached(Stage.BUILD)(trial)
    if is_built and isinstance(symbolic, Raised) and symbolic.how == "raises":
        raise CheckFailure("a call on a symbolic tensor raises", f"raises {symbolic.text}")
    if not isinstance(symbolic, list):
        return
    sizes, dtype = symbolic
    if sizes[1:] != shape[1:] or sizes[0] is not None:
        raise CheckFailure(
            "a call on a symbolic tensor gives another shape",
            f"{shown(sizes)}, not {shown([None, *shape[1:]])}",
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


def _names_due(own: Life, wanted: Life, left: Answer) -> Answer:
    """The names that the weights should have: those from before, where the reference's stay so.

    Else those of the reference, of which only the number is compared.
    """
    before, names = (_names_of(life[Stage.WEIGHTS]) for life in (wanted, own))
    return names if names is not None and same(left, before) else left


def _names_of(weights: Answer) -> Answer:
    """Of the weights as a life looks at them, None where it did not."""
    told = isinstance(weights, list) and weights[0] is not None
    return [name for name, _ in weights[0][0]] if told else None


_CHANGES = {"then": "what is done to a layer and", "set_weights": "set_weights"}


@of_life(after=(refusals,), applies=_is_refused)
def failure_leaves_no_trace(trial: Trial) -> None:
    """After a refused build, set_weights, call or change, the layer is as before and can be used.

    Source: none in Keras, which breaks it where known faults say so; people retry in notebooks.
    """
    found = life_of(trial)[Stage.RETRY]
    if variation_of(trial).only_keras and not isinstance(life_of(trial)[Stage.THEN], Raised):
        return  # nothing was refused
    if is_unsupported(found):
        raise Unsupported(found.text)
    what = given_words(variation_of(trial))
    if isinstance(found, Raised):
        raise CheckFailure(
            f"cannot be used after it has refused {what}", f"then raises {found.text}"
        )
    if found is NOT_MADE:
        return
    result, untouched, left = found
    changing = "then" if variation_of(trial).stage is Stage.THEN else "set_weights"
    if untouched is False:
        raise CheckFailure(f"{_CHANGES[changing]} that is refused changes weights")
    wanted = trial.wanted_life
    again = wanted[Stage.RETRY]
    if isinstance(again, list) and left is not None:
        due = _names_due(life_of(trial), wanted, again[2])
        if len(left) != len(due) or (due is not again[2] and not same(left, due)):
            raise CheckFailure(
                f"has other weights than before, after it has refused {what}",
                f"the layer has {shown(left)}, should have {shown(due)}",
            )
    if result is None:
        return
    right = again[0] if isinstance(again, list) else wanted[Stage.CALL]
    compare_outputs(result, right, "a layer that refused nothing")


@of_life(after=(refusals,), observes=lambda trial: (LIFE, PLAIN_LIFE), applies=is_spelling)
def spellings_agree(trial: Trial) -> None:
    """Two spellings of one value make layers with the same attributes and the same results.

    Source: the documentation of Conv2D: "int or tuple/list of 2 integer".
    """
    one, other = life_of(trial), lived(trial.answer(PLAIN_LIFE))
    made, plain = one[Stage.CONSTRUCT], other[Stage.CONSTRUCT]
    if isinstance(made, list) and isinstance(plain, list):
        known = dict(plain)
        for name, value in made:
            if not same(known.get(name), value):
                raise CheckFailure(
                    f"the attribute {name} depends on the spelling",
                    f"{name} is {shown(value)}, and {shown(known.get(name))} if written plainly",
                )
    if isinstance(one[Stage.CALL], np.ndarray) and isinstance(other[Stage.CALL], np.ndarray):
        compare_outputs(one[Stage.CALL], other[Stage.CALL], "the plain spelling")


@of_life(
    after=(refusals,),
    observes=lambda trial: (LIFE, PLAIN_LIFE),
    applies=lambda trial: variation_of(trial).stage is Stage.MODE,
)
def modes_agree(trial: Trial) -> None:
    """A layer gives the same however it is called: eagerly, traced, in a model, or loaded.

    Source: the documentation of Sequential, Model, predict, save and load_model.
    """
    one = life_at(life_of(trial), Stage.CALL)
    other = life_at(lived(trial.answer(PLAIN_LIFE)), Stage.CALL)
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        try:
            compare_outputs(one, other, "a plain call")
        except CheckFailure as failure:
            mode = variation_of(trial).value()
            if mode not in SHOWN:
                raise CheckFailure(f"{HOW[mode]}, it {failure.cause}", failure.message) from None
            if one.shape == other.shape and np.array_equal(one, other + 1):
                raise CheckFailure(SHOWN[mode]) from None
            raise CheckFailure(f"in but.mode.{mode}, it {failure.cause}", failure.message) from None


def _is_of_keras(info: Info) -> bool:
    """Whether it is a layer of Keras, which promises what the reference need not repeat."""
    return has_life(info) and bool(info.modes)


_of_keras = partial(check, of="life", only=_is_of_keras, observes=lambda trial: (LIFE,))
_LATER = (
    Stage.SHAPE,
    Stage.SYMBOLIC,
    Stage.CONFIG,
    Stage.REVIVE,
    Stage.BUILD,
    Stage.CALL,
    Stage.LOSSES,
)


def _raised(answer: Answer) -> Raised | None:
    return answer if isinstance(answer, Raised) and answer.how == "raises" else None


@_of_keras()
def stages_agree(trial: Trial) -> None:
    """What a layer has accepted at one stage it does not refuse at a later one.

    An argument that the constructor takes can be built with, called, saved and read back, and the
    losses of the layer can be read. A shape for which compute_output_shape has an answer can be
    built for. An input that can be called symbolically can be called, and gives that shape and
    dtype.

    Source: Layer.compute_output_spec, whose answer is that of a call; and the documentation of
    Conv2D, which has no condition on when an argument is looked at.
    """
    got, variation = life_of(trial), variation_of(trial)
    if variation.stage in (Stage.CONSTRUCT, Stage.GLOBAL, Stage.THEN):
        start = Stage.THEN if variation.stage is Stage.THEN else Stage.CONSTRUCT
        for stage in _judged_later(trial):
            if isinstance(got[start], list) and (error := _raised(got[stage])):
                raise CheckFailure(
                    f"{_SAID[stage]} refuses {given_words(variation)} that was accepted",
                    f"{stage} of {given_source(variation)} raises {error.text}",
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
                    f"{shown(symbolic)}, and the call {shown(form)}",
                )


def _judged_later(trial: Trial) -> list[Stage]:
    """The stages at which the varied value may no longer be refused."""
    variation, wanted = variation_of(trial), trial.wanted_life
    if variation.stage is Stage.THEN:
        return [Stage.CALL]
    later = [stage for stage in _LATER if stage not in variation.differs]
    is_for_a_shape = variation.argument.endswith("_initializer")
    is_count = variation.argument == "groups" and isinstance(variation.value(), int)
    # Read in another layout, the shape of the input may be one that no layer takes.
    is_layout = variation.argument == "data_format" or variation.stage is Stage.GLOBAL
    has_no_place = is_layout and any(
        _raised(wanted[stage]) for stage in (Stage.SHAPE, Stage.BUILD) if stage in wanted
    )
    if is_for_a_shape or is_count or has_no_place:  # which only build knows
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
    Stage.LOSSES: "reading losses",
}


def _compare_accepted(got: Life, one: Stage, other: Stage, variation: Variation) -> None:
    for taker, refuser in ((one, other), (other, one)):
        error = _raised(got[refuser])
        if error and not isinstance(got[taker], Raised) and got[taker] is not NOT_MADE:
            raise CheckFailure(
                f"{_SAID[refuser]} refuses {given_words(variation)} that {_SAID[taker]} accepts",
                f"of {variation.source}, {refuser} raises {error.text}",
            )


@_of_keras()
def refused_on_purpose(trial: Trial) -> None:
    """What is refused is refused by a ValueError, a TypeError or a NotImplementedError.

    These are the types that Keras itself raises. Another one comes from inside Python or the
    engine: nobody has looked at the value, and who catches a ValueError misses it.

    Source: the refusals that Keras words itself, and "Raises: ValueError" in its documentation.
    """
    variation, got = variation_of(trial), life_of(trial)
    for stage in (Stage.CONSTRUCT, *_LATER, Stage.ASSIGN):
        error = _raised(got[stage]) if stage not in variation.differs else None
        if error and not ON_PURPOSE & set(error.types):
            raise CheckFailure(
                f"{_SAID[stage]} refuses {given_words(variation)} with an unrelated error",
                f"{stage} of {given_source(variation)} raises {error.text}",
            )


@_of_keras(applies=lambda trial: variation_of(trial).undocumented)
def documented_values(trial: Trial) -> None:
    """The constructor refuses a value that the documentation does not have.

    Source: the documentation of Conv2D: "int or tuple/list of 2 integer", "a positive int", "bool".
    """
    variation = variation_of(trial)
    if isinstance(life_of(trial)[Stage.CONSTRUCT], list):
        raise CheckFailure(
            f"accepts {given_words(variation)} that is not documented",
            f"{given_source(variation)} is accepted",
        )


@_of_keras()
def revived_attributes(trial: Trial) -> None:
    """A configuration is plain JSON, and a layer made of it has the attributes of the first.

    Source: Layer.get_config ("used to initialize this layer"), and run_layer_test of Keras' own
    tests, which writes it as JSON and compares `dir` of both.
    """
    revived = life_of(trial)[Stage.REVIVE]
    if not isinstance(revived, list) or len(revived) < 4:
        return
    _, _, attributes, is_json = revived
    if not is_json:
        raise CheckFailure("get_config cannot be written as JSON")
    for name, made, again in attributes:
        if not same(made, again):
            raise CheckFailure(
                f"a layer made by from_config has another {name}",
                f"{name} is {shown(again)}, was {shown(made)}",
            )


OF_KERAS = (stages_agree, refused_on_purpose, documented_values, revived_attributes)
RULES = (shapes_agree, failure_leaves_no_trace, spellings_agree, modes_agree, *OF_KERAS)
