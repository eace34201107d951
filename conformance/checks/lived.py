"""What the checks of a layer's life have in common: its stages as they were answered, compared."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.calls import LIFE, Kind
from conformance.checks.check import check
from conformance.checks.trial import CheckFailure, Trial
from conformance.errors import Unsupported
from conformance.implementations.info import Info
from conformance.observing.observation import NOT_MADE, Answer, Opaque, Raised
from conformance.variations import POSITIONAL, UNKNOWN, VARIATIONS, Stage, Variation
from conformance.variations.variation import LIVED

Life = Mapping[Stage, Answer]

# What is varied, where it is no argument of the constructor.
_GIVEN = {
    POSITIONAL: "arguments by position",
    "arguments": "a combination of arguments",
    "build": "a shape",
    "input": "an input",
    "set_weights": "weights",
    "then": "a later change",
    "global": "a global setting",
    "mode": "a way of calling it",
}


def has_life(info: Info) -> bool:
    """Whether an implementation can be asked for the life of a layer."""
    return Kind.LIFE in info.answers


of_life = partial(check, of="life", only=has_life, observes=lambda trial: (LIFE,))


def variation_of(trial: Trial) -> Variation:
    """What is varied."""
    assert trial.case.but is not None
    return VARIATIONS[trial.case.but]


def given_words(variation: Variation) -> str:
    """What is given to a layer, in words: ``a value of strides``, ``an input``."""
    if variation.argument in UNKNOWN:
        return "an argument"
    return _GIVEN.get(variation.name) or _GIVEN.get(
        variation.argument, f"a value of {variation.argument}"
    )


def given_source(variation: Variation) -> str:
    """The same as it is written: ``strides=0``, ``layer.enable_lora(0)``."""
    if variation.name == POSITIONAL:
        return _GIVEN[POSITIONAL]
    written = variation.stage is Stage.THEN
    return variation.source if written else f"{variation.argument}={variation.source}"


def lived(answer: Answer) -> Life:
    """What was answered, by stage."""
    return dict(zip(LIVED, answer, strict=True))


def life_of(trial: Trial) -> Life:
    """The life of the layer of the implementation."""
    return lived(trial.answer(LIFE))


def is_spelling(trial: Trial) -> bool:
    """Whether an argument is only spelled in another way, and the layer can be used."""
    variation = variation_of(trial)
    used = isinstance(trial.wanted_life.get(Stage.CALL), np.ndarray)
    return bool(variation.spells) and variation.stage is Stage.CONSTRUCT and used


def reached(stage: Stage) -> Any:
    """Whether the reference comes to `stage` and passes it."""

    def applies(trial: Trial) -> bool:
        found = trial.wanted_life.get(stage, NOT_MADE)
        return found is not NOT_MADE and not isinstance(found, Raised)

    return applies


def is_unsupported(found: Answer) -> bool:
    """Whether the implementation said that it has no such thing."""
    return isinstance(found, Raised) and found.how == "unsupported"


def life_at(life: Life, stage: Stage) -> Answer:
    """What was found at `stage`.

    Raises:
        Unsupported: the implementation does not come so far.
    """
    for earlier in LIVED[: LIVED.index(stage) + 1]:
        if is_unsupported(life[earlier]) and earlier is not Stage.FIRST_CALL:
            raise Unsupported(life[earlier].text)
    return life[stage]


def compare_outputs(
    found: NDArray[Any], wanted: NDArray[Any], who: str, is_exact: bool = True
) -> None:
    """Shape, dtype and, where they are exact, values.

    Raises:
        CheckFailure: one of them differs.
    """
    if found.shape != wanted.shape:
        raise CheckFailure("returns a wrong shape", f"{found.shape}, {who} {wanted.shape}")
    if found.dtype != wanted.dtype:
        name, other = found.dtype.name, wanted.dtype.name
        raise CheckFailure("returns a wrong dtype", f"{name}, {who} {other}")
    wrong = int((found != wanted).sum()) if is_exact else 0
    if wrong:
        raise CheckFailure("returns other values", f"{wrong} of {found.size} differ from {who}")


def same(found: Any, wanted: Any) -> bool:
    """Equal as far as Python can say; objects by what is told of them."""
    if isinstance(found, Opaque) or isinstance(wanted, Opaque):
        return str(found) == str(wanted)
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    both_nan = found != found and wanted != wanted
    return bool(found == wanted or both_nan)  # True is 1


def shown(value: Any) -> str:
    """As it is printed in a message."""
    if isinstance(value, list):
        return f"({', '.join(map(shown, value))})"
    return repr(value)
