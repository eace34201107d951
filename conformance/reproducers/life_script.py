"""What the reproducer of a fault in the life of a layer begins with, and how a layer is brought on.

Which lines then show the fault is for `life_causes`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from conformance.checks import Trial
from conformance.checks.lived import variation_of
from conformance.data import OVERWRITTEN
from conformance.implementations.info import Reproducer
from conformance.observing.life import GEOMETRIC, IN_ORDER, arguments_of, input_of, weights_of
from conformance.reproducers.literals import Literals
from conformance.reproducers.mode_source import ModeSource, mode_source
from conformance.variations import POSITIONAL, Stage
from reference_impl import Conv2D

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
    Stage.ASSIGN: ((Stage.CONSTRUCT, Stage.BUILD), "layer.set_weights(assigned)"),
}
_USED = (Stage.CONSTRUCT, Stage.BUILD, Stage.ASSIGN)


class LifeScript:
    """What happens to a layer, written out for one case.

    Attributes:
        trial, variation: the case, and what is varied in it.
        wanted: what the reference shows, by stage.
        literals: writes arrays.
        has_keras: whether the module `keras` is there.
        mode: the source of the way of calling that is varied, None without.
    """

    def __init__(self, trial: Trial, made: Reproducer, literals: Literals) -> None:
        self.trial, self.variation, self.wanted = trial, variation_of(trial), trial.wanted_life
        self.literals, self._reached_by = literals, made
        self.has_keras = "import keras" in made.imports
        self.mode: ModeSource | None = None
        if self.variation.stage is Stage.MODE and self.has_keras:
            self.mode = mode_source(self.variation.value())

    @property
    def can_be_written(self) -> bool:
        """Whether it takes nothing that only an adapter knows."""
        variation = self.variation
        if variation.stage is Stage.MODE:
            return self.mode is not None
        return self.has_keras or not ("keras." in variation.source or variation.of_keras)

    def given(self, lines: Sequence[str]) -> list[str]:
        """The arguments, and what `lines` pass at each stage."""
        varied = self.variation.source if self.variation.stage is Stage.CONSTRUCT else ""
        return [
            f"# {self.trial.case}",
            *self._settings(),
            *(self.mode.lines if self.mode else ()),
            "",
            "",
            "def made():",
            f"    return {self.made(varied)}",
            "",
            "",
            *self._passed_on(lines),
        ]

    def _passed_on(self, lines: Sequence[str]) -> list[str]:
        """The definitions of what `lines` use."""
        case = self.trial.case
        definitions: list[tuple[str, Callable[[], str]]] = [
            ("shape", lambda: str(case.input_shape)),
            ("x", lambda: self.literals.values(input_of(case))),
            ("weights", lambda: f"[{', '.join(map(self.literals.values, self._held()))}]"),
            ("given", lambda: self._at(Stage.CALL, "x")),
            ("assigned", lambda: self._at(Stage.ASSIGN, "weights")),
        ]
        if self.variation.stage is Stage.BUILD:
            definitions.append(("shape", lambda: self.variation.source))
        used, kept = "\n".join(lines), list[str]()
        for name, value in reversed(definitions):
            if re.search(rf"\b{name}\b", used):
                kept.insert(0, f"{name} = {value()}")
                used += f"\n{kept[0]}"
        return kept

    def made(self, varied: str) -> str:
        """The expression that makes the layer, with what is varied given as its source."""
        argument, made_by = self.variation.argument, self._reached_by.made_by
        plain = self._arguments()
        if varied and self.variation.name == POSITIONAL:
            first = [repr(plain.get(name, default)) for name, default in IN_ORDER.items()]
            rest = [f"{k}={v!r}" for k, v in plain.items() if k not in IN_ORDER]
            return f"{made_by}({', '.join([*first, *rest])})"
        several = varied and argument == "arguments"
        of_variation = self.variation.value(keras=None) if several else (argument,)
        words = [f"{k}={v!r}" for k, v in plain.items() if not varied or k not in of_variation]
        if varied:
            words.append(f"**{varied}" if argument == "arguments" else f"{argument}={varied}")
        return f"{made_by}({', '.join(words)})"

    def steps(self, stage: Stage) -> list[str]:
        """What brings a layer to `stage` and passes it; what it gives is called as in `_ASKED`."""
        if stage is Stage.SYMBOLIC:
            return self._symbolic()
        if stage is Stage.THEN:
            return [*self._passed(*_USED), self.variation.source]
        if stage in _ASKED:
            earlier, asked = _ASKED[stage]
            return [*self._passed(*earlier), asked]
        return self._called(self._passed(*_USED))

    def used(self) -> list[str]:
        """As `steps` to a call, while who has set the weights uses them for something else."""
        earlier = self._passed(*_USED)
        if self._reached_by.may_overwrite:
            earlier += ["for array in weights:", f"    array.fill({OVERWRITTEN})"]
        return self._called(earlier)

    def array(self, name: str) -> str:
        """An array of what a call returned."""
        return f"{self._reached_by.array}({name})"

    def _called(self, earlier: list[str]) -> list[str]:
        """The call after `earlier` and what is done to the layer before it."""
        later = [self.variation.source] if self.variation.stage is Stage.THEN else []
        called = self.mode.called if self.mode else "layer(given)"
        return [*earlier, *later, f"found = {called}"]

    def _passed(self, *stages: Stage) -> list[str]:
        return [_ASKED[stage][1] for stage in stages]

    def _symbolic(self) -> list[str]:
        """A call on a tensor that has a shape only."""
        varied = self.variation.stage is Stage.CALL
        is_built = varied or self.variation.argument in GEOMETRIC or self.mode
        tensor = (
            "keras.KerasTensor(given.shape, dtype=given.dtype.name)"
            if varied
            else "keras.KerasTensor((None, *shape[1:]), dtype=layer.compute_dtype)"
        )
        stages = (Stage.CONSTRUCT, Stage.BUILD) if is_built else (Stage.CONSTRUCT,)
        return [*self._passed(*stages), f"symbolic = layer({tensor})"]

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

    def _held(self) -> list[Any]:
        """The weights that a life sets, for plain input."""
        case, variation = self.trial.case, self.variation
        is_plain = variation.of_keras and not variation.spells
        try:
            arguments = (
                case.layer_arguments()
                if is_plain
                else arguments_of(case, variation, alike=variation.of_keras)
            )
            layer = Conv2D(**arguments)
            layer.build(case.input_shape)
        except Exception:  # noqa: BLE001 - it is refused, so no weights are set
            return []
        return weights_of(case, layer)

    def _at(self, stage: Stage, plain: str) -> str:
        return self.variation.source if self.variation.stage is stage else plain
