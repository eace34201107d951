"""What the script of a fault in the life of a layer begins with, and how a layer is brought on.

Which lines then show the fault is for `life_causes`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from conformance.adapters.keras_lives import OF_TENSORFLOW
from conformance.adapters.keras_lives import WAYS as OF_KERAS
from conformance.checks import Trial
from conformance.checks.life import may_refuse_early
from conformance.checks.lived import variation_of
from conformance.data import OVERWRITTEN
from conformance.implementations.info import Reproducer
from conformance.observing.life import GEOMETRIC, IN_ORDER, arguments_of, pattern
from conformance.reproducers.function_source import source_of
from conformance.reproducers.literals import Literals
from conformance.variations import POSITIONAL, Stage

# What a layer is asked for at a stage, after what brings it there. What may be varied is called
# shape, given or assigned.
_ASKED: dict[Stage, tuple[tuple[Stage, ...], str]] = {
    Stage.CONSTRUCT: ((), "layer = made()"),
    Stage.SHAPE: ((Stage.CONSTRUCT,), "said = list(layer.compute_output_shape(shape))"),
    Stage.CONFIG: ((Stage.CONSTRUCT,), "config = dict(layer.get_config())"),
    Stage.REVIVE: ((Stage.CONSTRUCT,), "revived = type(layer).from_config(layer.get_config())"),
    Stage.BUILD: ((Stage.CONSTRUCT,), "layer.build(shape)"),
    Stage.FIRST_CALL: ((Stage.CONSTRUCT,), "found = layer(given)"),
    Stage.WEIGHTS: (
        (Stage.CONSTRUCT, Stage.BUILD),
        "held = [np.array(w) for w in layer.get_weights()]",
    ),
    Stage.ASSIGN: ((Stage.CONSTRUCT, Stage.BUILD), "assign(layer)"),
}
_USED = (Stage.CONSTRUCT, Stage.BUILD, Stage.ASSIGN)


class LifeScript:
    """What happens to a layer, written out for one case.

    Attributes:
        trial, variation: the case, and what is varied in it.
        wanted: what the reference shows, by stage.
        literals: writes arrays.
        has_keras: whether the module `keras` is there.
    """

    def __init__(self, trial: Trial, reproducer: Reproducer, literals: Literals) -> None:
        self.trial, self.variation, self.wanted = trial, variation_of(trial), trial.wanted_life
        self.literals, self._reproducer = literals, reproducer
        self.has_keras = "import keras" in reproducer.imports
        self._mode = self._mode_lines() if self.variation.stage is Stage.MODE else []
        if "bfloat16" in self.variation.source:
            literals.bfloat16 = True  # of which NumPy knows through ml_dtypes

    @property
    def can_be_written(self) -> bool:
        """Whether it takes nothing that only an adapter knows."""
        variation = self.variation
        if variation.stage is Stage.MODE:
            return bool(self._mode)
        return self.has_keras or not ("keras." in variation.source or variation.of_keras)

    @property
    def may_refuse_early(self) -> bool:
        """Whether a constructor that refuses the value is correct, too."""
        return self.variation.stage is Stage.CONSTRUCT and may_refuse_early(self.trial)

    def head(self, lines: Sequence[str]) -> list[str]:
        """The case, and definitions of what `lines` use."""
        return [f"# {self.trial.case}", *self._settings(), *self._mode, *self._defined(lines)]

    def layer(self, varied: str) -> str:
        """The expression that makes the layer, with what is varied given as its source."""
        argument, made_by = self.variation.argument, self._reproducer.made_by
        plain = self._arguments()
        if varied and self.variation.name == POSITIONAL:
            first = [repr(plain.get(name, default)) for name, default in IN_ORDER.items()]
            rest = [f"{k}={v!r}" for k, v in plain.items() if k not in IN_ORDER]
            return f"{made_by}({', '.join([*first, *rest])})"
        several = varied and argument == "arguments"
        of_variation = self.variation.value(keras=None) if several else (argument,)
        words = [f"{k}={v!r}" for k, v in plain.items() if not varied or k not in of_variation]
        if varied:
            source = f"eval({varied!r})" if "lambda" in varied else varied
            words.append(f"**{source}" if argument == "arguments" else f"{argument}={source}")
        return f"{made_by}({', '.join(words)})"

    def spelled_plainly(self) -> str:
        """The expression that makes the layer with the plain value that is spelled otherwise."""
        positional = self.variation.name == POSITIONAL
        return self.layer("" if positional else self.variation.spells)

    def steps(self, stage: Stage) -> list[str]:
        """What brings a layer to `stage` and passes it; what it gives is called as in `_ASKED`."""
        if stage is Stage.SYMBOLIC:
            return self._symbolic()
        if stage is Stage.THEN:
            return [*_passed(*_USED), self.variation.source]
        if stage in _ASKED:
            earlier, asked = _ASKED[stage]
            return [*_passed(*earlier), asked]
        later = [self.variation.source] if self.variation.stage is Stage.THEN else []
        called = "in_mode(layer, x)" if self._mode else "layer(given)"
        return [*_passed(*_USED), *later, f"found = {called}"]

    def array(self, name: str) -> str:
        """An array of what a call returned."""
        return f"{self._reproducer.array}({name})"

    # What is defined ------------------------------------------------------------------------------

    def _defined(self, lines: Sequence[str]) -> list[str]:
        """The definitions that `lines` use, and those that these use."""
        case = self.trial.case
        varied = self.variation.source if self.variation.stage is Stage.CONSTRUCT else ""
        definitions: list[tuple[str, Callable[[], list[str]]]] = [
            ("json", lambda: ["import json"]),
            ("pattern", lambda: source_of(pattern) or []),
            ("weights_of", self._weights_of),
            ("assign", self._assign),
            ("made", lambda: ["", "", "def made():", f"    return {self.layer(varied)}"]),
            ("plain", lambda: _PLAIN),
            ("described", self._described),
            ("same_config", lambda: _SAME_CONFIG),
            ("shape", lambda: ["", "", f"shape = {case.input_shape}"]),
            ("x", lambda: [f"x = pattern({case.input_shape}, {case.seed + 5}){self._cast()}"]),
            ("given", lambda: [f"given = {self._at(Stage.CALL, 'x')}"]),
        ]
        if self.variation.stage is Stage.BUILD:
            definitions.append(("shape", lambda: [f"shape = {self.variation.source}"]))
        kept: list[str] = []
        for name, lines_of in reversed(definitions):
            if re.search(rf"(?<![.\w]){name}\b", "\n".join([*kept, *lines])):
                kept = [*lines_of(), *kept]
        return [*kept, "", ""]

    def _weights_of(self) -> list[str]:
        return [
            "",
            "",
            "def weights_of(layer):",
            '    """Weights for it, of which any small convolution is exact."""',
            "    held = enumerate(map(np.asarray, layer.get_weights()))",
            f"    return [pattern(w.shape, n + {self.trial.case.seed}).astype(w.dtype) "
            "for n, w in held]",
        ]

    def _assign(self) -> list[str]:
        """A function that sets the weights, and then uses the arrays for something else."""
        overwritten = [
            "    for array in weights:",
            f"        array.fill({OVERWRITTEN})  # the layer holds values of its own",
        ]
        return [
            "",
            "",
            "def assign(layer):",
            "    weights = weights_of(layer)",
            f"    layer.set_weights({self._at(Stage.ASSIGN, 'weights')})",
            *(overwritten if self._reproducer.may_overwrite else []),
        ]

    def _cast(self) -> str:
        dtype = self.trial.case.compute_dtype
        if dtype != "bfloat16":
            return f'.astype("{dtype}")'
        self.literals.bfloat16 = True
        return ".astype(ml_dtypes.bfloat16)"

    def _described(self) -> list[str]:
        """A function that makes plain data of a configuration."""
        is_named = self.variation.argument == "name"
        return [
            "",
            "",
            "def described(config):",
            '    """A configuration as it is saved; of objects what they are called."""',
            "    text = json.dumps(dict(config), sort_keys=True, default=in_words)",
            "    return json.loads(text)"
            if is_named
            else '    return {k: v for k, v in json.loads(text).items() if k != "name"}',
            "",
            "",
            "def in_words(value):",
            "    if isinstance(value, np.integer):",
            "        return int(value)",
            "    if isinstance(value, (complex, np.generic)):",
            "        return repr(value)",
            "    return f\"<{getattr(value, '__name__', type(value).__name__)}>\"",
        ]

    def _mode_lines(self) -> list[str]:
        """A function that calls a layer of Keras in the varied way; [] where that takes more."""
        way = {**OF_KERAS, **OF_TENSORFLOW}.get(self.variation.value())
        source = source_of(way) if way is not None and self.has_keras else None
        if way is None or source is None:
            return []
        return [
            *source,
            "",
            "",
            "def in_mode(layer, x):",
            "    kind = type(layer)  # it need not be registered",
            "    with keras.saving.custom_object_scope({kind.__name__: kind}):",
            f"        return {way.__name__}(keras, layer, x)",
        ]

    def _symbolic(self) -> list[str]:
        """A call on a tensor that has a shape only."""
        varied = self.variation.stage is Stage.CALL
        is_built = varied or self._mode or self.variation.argument in GEOMETRIC
        tensor = (
            "keras.KerasTensor(given.shape, dtype=given.dtype.name)"
            if varied
            else "keras.KerasTensor((None, *shape[1:]), dtype=layer.compute_dtype)"
        )
        stages = (Stage.CONSTRUCT, Stage.BUILD) if is_built else (Stage.CONSTRUCT,)
        return [*_passed(*stages), f"symbolic = layer({tensor})"]

    def _settings(self) -> list[str]:
        """Defaults of Keras in place of arguments that are not passed."""
        if self.variation.stage is not Stage.GLOBAL:
            return []
        setters = {"data_format": "set_image_data_format", "dtype": "set_dtype_policy"}
        return [f"keras.config.{setters[k]}({v!r})" for k, v in self.variation.value().items()]

    def _arguments(self) -> Mapping[str, Any]:
        """The arguments that are not varied."""
        case = self.trial.case
        is_global = self.variation.stage is Stage.GLOBAL
        return arguments_of(case, self.variation) if is_global else case.layer_arguments()

    def _at(self, stage: Stage, plain: str) -> str:
        return self.variation.source if self.variation.stage is stage else plain


def _passed(*stages: Stage) -> list[str]:
    return [_ASKED[stage][1] for stage in stages]


_PLAIN = [
    "",
    "",
    "def plain(value):",
    '    """Tuples as lists."""',
    "    return [plain(v) for v in value] if isinstance(value, (tuple, list)) else value",
]
_SAME_CONFIG = [
    "",
    "",
    "def same_config(one, other):",
    '    """Equal, where modules and registered names of objects do not count."""',
    '    if not isinstance(one, dict) or "class_name" not in one:',
    "        return one == other",
    "    if isinstance(other, str):  # by name",
    '        return other in (one["class_name"], (one.get("config") or {}).get("name"))',
    "    if not isinstance(other, dict):",
    "        return False",
    '    return all(one.get(key) == other.get(key) for key in ("class_name", "config"))',
]
