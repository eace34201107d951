"""One thing that is varied on a layer; the rest of its case is an ordinary Conv2D."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np


class Stage(StrEnum):
    """The stages of a life, in order; a variation takes effect at one of them.

    ``GLOBAL`` is a setting of Keras while the layer is made. ``CONSTRUCT`` makes it, ``SHAPE`` is
    compute_output_shape, ``SYMBOLIC`` a call on a tensor that has a shape only. ``CONFIG`` is
    get_config, ``REVIVE`` from_config. ``FIRST_CALL`` is a call that builds a layer.
    ``WEIGHTS`` looks at the weights after ``BUILD``, and
    ``ASSIGN`` is set_weights. ``THEN`` is what is done to the layer after that, ``CALL`` calls it,
    ``REVIVED_CALL`` one made of its configuration and given the same weights.
    ``CONSTRAIN`` applies the constraints of the weights. ``RETRY`` does correctly what was
    refused. ``MODE`` is a way to call the layer.
    """

    GLOBAL = "global"
    CONSTRUCT = "construct"
    SHAPE = "shape"
    SYMBOLIC = "symbolic"
    CONFIG = "config"
    REVIVE = "revive"
    BUILD = "build"
    FIRST_CALL = "first call"
    WEIGHTS = "weights"
    ASSIGN = "set_weights"
    THEN = "then"
    CALL = "call"
    REVIVED_CALL = "call after from_config"
    LOSSES = "losses"
    CONSTRAIN = "constraints"
    RETRY = "retry"
    MODE = "mode"


# What is observed, in the order in which it is made.
LIVED = (
    Stage.CONSTRUCT,
    Stage.SHAPE,
    Stage.SYMBOLIC,
    Stage.CONFIG,
    Stage.REVIVE,
    Stage.BUILD,
    Stage.FIRST_CALL,
    Stage.WEIGHTS,
    Stage.ASSIGN,
    Stage.THEN,
    Stage.CALL,
    Stage.REVIVED_CALL,
    Stage.LOSSES,
    Stage.CONSTRAIN,
    Stage.RETRY,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """One row.

    Attributes:
        name: ``ARGUMENT.WHAT``, part of case strings, so it stays.
        stage: where it takes effect.
        source: the value as Python text; it may use ``np``, and ``shape`` (for ``BUILD``), ``x``
            (``CALL``), ``weights`` (``ASSIGN``), ``layer`` (``THEN``), or ``keras``.
        spells: the plain value that it is another spelling of, as text; else empty.
        differs: stages at which Keras' own backends differ, so that a refusal there is not judged.
        why: what differs, in words.
        undocumented: whether the documentation of Conv2D does not have such a value, so that a
            layer may refuse it.
        only_keras: whether only a layer of Keras can have it; the reference then lives without.
    """

    name: str
    stage: Stage
    source: str
    spells: str = ""
    differs: tuple[Stage, ...] = ()
    why: str = ""
    undocumented: bool = False
    only_keras: bool = False

    @property
    def argument(self) -> str:
        """What is varied: an argument of the constructor, or ``build``, ``input`` and so on."""
        return self.name.partition(".")[0]

    @property
    def of_keras(self) -> bool:
        """Whether only a layer of Keras can have it."""
        named = "keras." in self.source or self.stage in (Stage.GLOBAL, Stage.MODE)
        return named or self.only_keras

    def value(self, **known: Any) -> Any:
        """The value, made anew: it may be an iterator, or changed by who gets it."""
        return evaluated(self.source, **known)


def evaluated(source: str, **known: Any) -> Any:
    """The value of an expression of the table."""
    return eval(source, {"np": np, **known})  # text of the table, nobody else's
