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
    Stage.LOSSES: "the attribute losses ",
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

    An engine's own error counts as a refusal of a call.

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
        _compare_refusals(variation, stage, wanted, found)


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
        text, *unchanged = got[Stage.REVIVE]
        if isinstance(text, Opaque):
            raise CheckFailure("from_config makes an object of another type", f"it is {text}")
        if not all(unchanged):
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
    if wanted is not None and not _same(shape, wanted):
        raise CheckFailure(
            "compute_output_shape is wrong", f"should be {_shown(wanted)}, is {_shown(shape)}"
        )
    called, symbolic = got[Stage.CALL], got[Stage.SYMBOLIC]
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
    stages = (Stage.BUILD, Stage.ASSIGN, Stage.CALL)
    if any(stage in variation_of(trial).differs for stage in stages):
        return False
    retried = isinstance(trial.wanted_life.get(Stage.RETRY), list)
    return retried and any(isinstance(trial.wanted_life[stage], Raised) for stage in stages)


@_of_life(after=(refusals,), applies=_is_refused)
def failure_leaves_no_trace(trial: Trial) -> None:
    """After a refused build, set_weights or call, the layer is as before and can be used.

    Source: none in Keras, which breaks it where known faults say so; people retry in notebooks.
    """
    found = _life(trial)[Stage.RETRY]
    if _is_unsupported(found):
        raise Unsupported(found.text)
    what = variation_of(trial).argument
    if isinstance(found, Raised):
        raise CheckFailure(
            f"cannot be used after a refused value of {what}", f"then raises {found.text}"
        )
    if found is NOT_MADE:
        return
    result, untouched = found
    if untouched is False:
        raise CheckFailure("set_weights that is refused changes weights")
    _compare_outputs(result, trial.wanted_life[Stage.RETRY][0], "a layer that refused nothing")


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
)
