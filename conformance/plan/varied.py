"""The cases of the variations: each row once, on a small layer that is drawn for it."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from typing import Any

from conformance.capabilities import CHOICES, Capabilities
from conformance.case import Case
from conformance.plan.asking import Asked
from conformance.variations import VARIATIONS, Stage, Variation

TRIES = 40  # to draw a case within what is claimed
_CHANNELS = 4
_FEATURES = {"groups": "groups", "dilation_rate": "dilation"}
_LEVELS: dict[str, tuple[Any, ...]] = {
    "kernel_size": (1, 2, 3, (3, 2), (2, 3)),
    "strides": (None, None, 2, (2, 1)),
    "dilation_rate": (None, None, 2, (1, 2)),
    "padding": (None, "valid", "same"),
    "groups": (None,) * 15 + (2,),
    "activation": (None, None, "relu", "linear"),
    "use_bias": (None, True, False, False),
    "dtype": (None, None, None, None, "float16", "bfloat16", "float64", "mixed_bfloat16"),
    "data_format": (None,) * 10 + ("channels_last", "channels_first"),
}

# TensorFlow has XLA compile each grouped call: for 15 ms so, for 50 to 200 ms otherwise.
_WITH_GROUPS: dict[str, Any] = dict.fromkeys(("dtype", "dilation_rate", "data_format"))

# What a layer does not compute with, or adds after the convolution: never with groups.
_WITHOUT_GROUPS = frozenset(
    {
        *("name", "trainable", "autocast", "input_shape", "input_dim", "lora_alpha"),
        *("bias_initializer", "bias_regularizer", "bias_constraint"),
    }
)

_BIASED: dict[str, Any] = {"use_bias": True}
_IN_FULL: dict[str, Any] = {**_BIASED, "dtype": None}
# What TensorFlow has gradients of on a CPU, and exact ones.
_TRAINED: dict[str, Any] = dict.fromkeys(
    ("dtype", "activation", "data_format", "groups", "dilation_rate")
)

# Their values name axes as channels_last has them.
_BY_AXES = (Stage.BUILD, Stage.CALL, Stage.THEN)

# They change the output, so that conditions of known faults on its size do not tell: a bias in
# channels_first is one of them.
_OF_THE_SIZE = ("filters", "kernel_size", "strides", "dilation_rate", "padding", "groups")

# Without which a row has nothing to show: a layer as activation has a dtype of its own, only
# `valid` has inputs that are too small, a second weight is needed to be refused, and TensorFlow
# refuses channels_first.
_NEEDED: dict[str, dict[str, Any]] = {
    "activation.layer": {"dtype": None},
    "activation.capped_layer": {"dtype": None},
    "activation.glu": {"data_format": None},  # halves the last axis, which has to be even
    "activity_regularizer.orthogonal": {"data_format": None},
    "arguments.positional": {"strides": (2, 1), "dilation_rate": None, "padding": "same"},
    **dict.fromkeys(("mode.trained", "mode.trained_through"), _TRAINED),
    **dict.fromkeys(("mode.kept_in_full", "mode.kernel_frozen", "mode.penalty_in_full"), _IN_FULL),
    **dict.fromkeys(("mode.lora_of_groups", "mode.lora_of_16_bits"), _TRAINED),
    "mode.any_size": {"padding": "valid", "dilation_rate": None},
    **dict.fromkeys(("then.loaded_in_part", "then.bias_assigned"), _BIASED),
}
_OF_A_BIAS = ("bias_initializer", "bias_regularizer", "bias_constraint", "set_weights")


def varied_cases(seed: int, asked: Asked) -> Iterator[Case]:
    """A case for each variation that `asked` can be asked, in an order of the seed."""
    if not asked.contract:
        return
    rows = [row for row in VARIATIONS.values() if _is_asked(row, asked)]
    depthwise = _second_of_each(rows)
    random.Random(f"{seed}/variations").shuffle(rows)
    for row in rows:
        groups = _CHANNELS if row.name in depthwise else None
        case = _case(row, random.Random(f"{seed}/{row.name}"), asked, groups)
        if case is not None:
            yield case


def _second_of_each(rows: Sequence[Variation]) -> set[str]:
    """Of each argument the second row, which is mostly one that is accepted."""
    of: dict[str, list[str]] = {}
    for row in rows:
        of.setdefault(row.argument, []).append(row.name)
    return {names[1] for names in of.values() if len(names) > 1}


def _is_asked(row: Variation, asked: Asked) -> bool:
    if row.stage is Stage.MODE:
        return row.value() in asked.modes
    return _is_claimed(row, asked.capabilities) and (bool(asked.modes) or not row.of_keras)


def _is_claimed(row: Variation, claimed: Capabilities) -> bool:
    """Whether what the row names is claimed: an argument, or a level of one."""
    if row.argument in _FEATURES and not getattr(claimed, _FEATURES[row.argument]):
        return False
    named = {word.removeprefix("mixed_") for word in re.findall(r"\w+", row.source)}
    return all(
        level in getattr(claimed, name)
        for name, levels in CHOICES.items()
        for level in levels
        if level in named
    )


def _case(row: Variation, rng: random.Random, asked: Asked, groups: int | None) -> Case | None:
    """A small layer, channels 4; the varied argument itself is plain.

    With `groups`, of so many where that can be asked.
    """
    for attempt in range(TRIES):
        drawn = {name: rng.choice(levels) for name, levels in _LEVELS.items()}
        if drawn["strides"] is not None or row.argument == "strides":
            drawn["dilation_rate"] = None
        if row.argument == "dilation_rate":
            drawn["strides"] = None
        if row.argument in drawn and row.argument != "kernel_size":
            drawn[row.argument] = None
        if row.argument in _WITHOUT_GROUPS:
            drawn["groups"] = None
        elif groups and row.argument not in ("groups", "filters") and attempt < TRIES // 2:
            drawn["groups"] = groups
        if row.stage in _BY_AXES or row.argument in _OF_THE_SIZE:
            if drawn["data_format"] == "channels_first":
                drawn["data_format"] = None
        elif "channels_first" in row.source:
            drawn["use_bias"] = False
        if drawn["groups"] is not None or row.argument == "groups":
            drawn |= _WITH_GROUPS
            drawn["kernel_size"] = 2 if drawn["kernel_size"] == 1 else drawn["kernel_size"]
        if row.argument in _OF_A_BIAS:
            drawn["use_bias"] = True
        drawn |= _NEEDED.get(row.name, {})
        first = drawn["data_format"] == "channels_first"
        n, h, w = rng.randint(1, 3), rng.randint(7, 9), rng.randint(7, 9)
        case = Case(
            input_shape=(n, _CHANNELS, h, w) if first else (n, h, w, _CHANNELS),
            filters=rng.choice((2, 4, 6) if drawn["groups"] != _CHANNELS else (4, 8)),
            but=row.name,
            seed=rng.randrange(100),
            **drawn,
        )
        if asked.may_ask(case):
            return case
    return None
