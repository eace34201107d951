"""The lines of a reproducer that shows what is wrong in the life of a layer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from conformance.checks import Trial
from conformance.checks.life import ON_PURPOSE, TYPED_STAGES, builtin_types, rounding
from conformance.checks.lived import variation_of
from conformance.observing.life import IN_ORDER, arguments_of, input_of, weights_of
from conformance.observing.observation import NOT_MADE, Raised
from conformance.reproducers.literals import Literals
from conformance.variations import POSITIONAL, Stage
from reference_impl import Conv2D

# What brings a layer to a stage. What may be varied there is called shape, given or assigned.
_STEPS: dict[Stage, tuple[str, ...]] = {
    Stage.CONSTRUCT: ("layer = made()",),
    Stage.SHAPE: ("layer = made()", "found = layer.compute_output_shape(shape)"),
    Stage.CONFIG: ("layer = made()", "found = layer.get_config()"),
    Stage.REVIVE: ("layer = made()", "found = type(layer).from_config(layer.get_config())"),
    Stage.BUILD: ("layer = made()", "layer.build(shape)"),
    Stage.FIRST_CALL: ("layer = made()", "found = layer(given)"),
    Stage.ASSIGN: ("layer = made()", "layer.build(shape)", "layer.set_weights(assigned)"),
    Stage.CALL: (
        "layer = made()",
        "layer.build(shape)",
        "layer.set_weights(assigned)",
        "found = layer(given)",
    ),
}


class LifeScript:
    """What happens to a layer, written out for one case.

    `made_by` makes the layer, `array` makes an array of what it returns.
    """

    def __init__(self, trial: Trial, made_by: str, array: str, literals: Literals) -> None:
        self.trial, self.made_by, self.array = trial, made_by, array
        self.variation, self.wanted = variation_of(trial), trial.wanted_life
        self.literals = literals

    def lines(self, check: str, message: str) -> list[str]:
        """Lines that end in an assertion; empty where the suite has to replay the case."""
        if self.variation.stage is Stage.GLOBAL or "keras." in self.variation.source:
            return []  # settings and objects of the engine's, which only its adapter knows
        if check == "refusals":
            found = self.refusals(message)
        else:
            found = _WAYS[check](self) if check in _WAYS else []
        return [*self.given(), *found] if found else []

    def given(self) -> list[str]:
        """The arguments, and what is passed at each stage."""
        case, variation = self.trial.case, self.variation
        plain = arguments_of(case, variation)
        varied = "" if variation.stage is not Stage.CONSTRUCT else variation.source
        lines = [
            f"# {case}",
            "",
            "",
            "def made():",
            f"    return {self._made(plain, varied)}",
            "",
            "",
            f"shape = {case.input_shape}",
            f"x = {self.literals.values(input_of(case))}",
            f"weights = [{', '.join(map(self.literals.values, self._held()))}]",
            f"given = {self._at(Stage.CALL, 'x')}",
            f"assigned = {self._at(Stage.ASSIGN, 'weights')}",
        ]
        if variation.stage is Stage.BUILD:
            lines.append(f"shape = {variation.source}")
        return lines

    def _made(self, plain: Mapping[str, Any], varied: str) -> str:
        """The expression that makes the layer, with what is varied given as its source."""
        argument = self.variation.argument
        if varied and self.variation.name == POSITIONAL:
            first = [repr(plain.get(name, default)) for name, default in IN_ORDER.items()]
            rest = [f"{k}={v!r}" for k, v in plain.items() if k not in IN_ORDER]
            return f"{self.made_by}({', '.join([*first, *rest])})"
        several = varied and argument == "arguments"
        of_variation = self.variation.value(keras=None) if several else (argument,)
        words = [f"{k}={v!r}" for k, v in plain.items() if not varied or k not in of_variation]
        if varied:
            words.append(f"**{varied}" if argument == "arguments" else f"{argument}={varied}")
        return f"{self.made_by}({', '.join(words)})"

    def _held(self) -> list[Any]:
        """The weights that a life sets, for plain input."""
        case = self.trial.case
        try:
            alike = self.variation.of_keras
            layer = Conv2D(**arguments_of(case, self.variation, alike=alike))
            layer.build(case.input_shape)
        except Exception:  # noqa: BLE001 - it is refused, so no weights are set
            return []
        return weights_of(case, layer)

    def _at(self, stage: Stage, plain: str) -> str:
        return self.variation.source if self.variation.stage is stage else plain

    def refusals(self, message: str) -> list[str]:
        stages = (*_STEPS, Stage.THEN)
        stage = next((s for s in stages if message.startswith(f"{s} ")), None)
        if stage is None:
            return []
        *before, last = self._steps(stage)
        wanted = self.wanted[stage]
        if not isinstance(wanted, Raised):
            return [*before, f"{last}  # Keras accepts it"]
        types = builtin_types(wanted) | ON_PURPOSE if stage in TYPED_STAGES else set()
        kinds = f"({', '.join(sorted(types))},)" if types else "Exception"
        return [
            *before,
            "try:",
            f"    {last}",
            "except Exception as error:",
            f'    assert isinstance(error, {kinds}), f"it raises {{type(error).__name__}}"',
            "else:",
            f'    raise AssertionError("it is accepted, and Keras raises {wanted.types[0]}")',
        ]

    def _steps(self, stage: Stage) -> list[str]:
        """What brings the layer to a stage, with what is done to it before a call."""
        if stage is Stage.THEN:
            return [*_STEPS[Stage.ASSIGN], self.variation.source]
        *before, last = _STEPS[stage]
        later = [self.variation.source] if self.variation.stage is Stage.THEN else []
        return [*before, *(later if stage is Stage.CALL else []), last]

    def attributes(self) -> list[str]:
        made = {n: v for n, v in self.wanted[Stage.CONSTRUCT] if not hasattr(v, "text")}
        return [
            "layer = made()",
            f"for name, want in {made!r}.items():",
            "    got = getattr(layer, name, want)",
            "    got = list(got) if isinstance(got, tuple) else got",
            '    assert got == want, f"{name} is {got!r}, not {want!r}"',
        ]

    def configuration(self) -> list[str]:
        text = self.wanted.get(Stage.CONFIG, NOT_MADE)
        lines = ["layer = made()", "config = layer.get_config()"]
        if isinstance(text, str):
            plain = {k: v for k, v in json.loads(text).items() if not isinstance(v, dict)}
            lines += [
                f"for name, want in {plain!r}.items():",
                "    got = config[name]",
                "    got = list(got) if isinstance(got, tuple) else got",
                '    assert got == want, f"get_config has {name}={got!r}, not {want!r}"',
            ]
        return [
            *lines,
            "kept = str(config)",
            "revived = type(layer).from_config(config)",
            'assert str(config) == kept, "from_config changes the configuration"',
            "again = revived.get_config()",
            'for name in set(config) - {"name"}:',
            '    assert str(again[name]) == str(config[name]), f"from_config loses {name}"',
            *self._revived(),
        ]

    def _revived(self) -> list[str]:
        if not isinstance(self.wanted.get(Stage.REVIVED_CALL), np.ndarray):
            return []
        return [
            "results = []",
            "for one in (layer, revived):",
            "    one.build(shape)",
            "    one.set_weights(weights)",
            f"    results.append({self.array}(one(x)))",
            'assert np.array_equal(*results), "a layer made by from_config gives other values"',
        ]

    def weights_contract(self) -> list[str]:
        forms = [f"{w.dtype.name} {w.shape}" for w in self.wanted[Stage.WEIGHTS][1]]
        lines = [
            "layer = made()",
            "layer.build(shape)",
            "held = [np.asarray(w) for w in layer.get_weights()]",
            'forms = [f"{w.dtype.name} {w.shape}" for w in held]',
            f'assert forms == {forms!r}, f"the weights are {{forms}}"',
        ]
        flags = self.wanted[Stage.WEIGHTS][0]
        if flags is not None:
            lines += [
                "flags = [[w.name, bool(w.trainable)] for w in layer.weights]",
                f'assert flags == {flags[0]!r}, f"they are {{flags}}"',
            ]
        first = self.wanted[Stage.WEIGHTS][1]
        for number in self.trial.decided_weights:
            lines += [
                f"want = {self.literals.values(first[number])}",
                f'assert np.array_equal(held[{number}], want), "its first values are others"',
            ]
        if isinstance(self.wanted[Stage.ASSIGN], list):
            lines += [
                "layer.set_weights(assigned)",
                "same = map(np.array_equal, layer.get_weights(), weights)",
                'assert all(same), "get_weights does not return what was set"',
            ]
        if isinstance(self.wanted[Stage.THEN], list):
            lines += [
                self.variation.source,
                "flags = [[w.name, bool(w.trainable)] for w in layer.weights]",
                f'assert flags == {self.wanted[Stage.THEN][0]!r}, f"then they are {{flags}}"',
            ]
        return lines

    def varied_output(self) -> list[str]:
        want = self.wanted[Stage.CALL]
        lines = [
            *self._steps(Stage.CALL),
            f"result = {self.array}(found)",
            f"assert result.shape == {want.shape}, result.shape",
            f'assert result.dtype.name == "{want.dtype.name}", result.dtype',
        ]
        if self.trial.is_exact_life:
            lines += [
                f"want = {self.literals.values(want)}",
                'assert np.array_equal(result, want), "it returns other values"',
            ]
        return lines

    def losses(self) -> list[str]:
        before, after, *more = self.wanted[Stage.LOSSES]
        room = rounding(self.trial)
        lines = [*_STEPS[Stage.CALL][:-1], *_compared_losses(before, room)]
        for want in (after, *more):
            lines += ["layer(x)", *_compared_losses(want, room)]
        return lines

    def constraints(self) -> list[str]:
        has = [value is not None for value in self.wanted[Stage.CONSTRAIN]]
        return [
            *_STEPS[Stage.BUILD],
            "has = [w.constraint is not None for w in layer.weights]",
            f'assert has == {has}, f"which weights have a constraint: {{has}}"',
        ]

    def shapes_agree(self) -> list[str]:
        if not self.wanted:
            return []
        return [
            *_STEPS[Stage.SHAPE],
            f'assert list(found) == {self.wanted[Stage.SHAPE]!r}, f"it is {{found}}"',
        ]

    def failure_leaves_no_trace(self) -> list[str]:
        if self.variation.stage is Stage.THEN or self.variation.stage is Stage.CONSTRUCT:
            return []
        want = self.wanted[Stage.RETRY][0]
        raised = [s for s in (Stage.BUILD, Stage.ASSIGN, Stage.CALL) if s in self.wanted]
        stage = next(s for s in raised if isinstance(self.wanted[s], Raised))
        *before, last = _STEPS[stage]
        return [
            *before,
            "held = [np.array(w) for w in layer.get_weights()]",
            "try:",
            f"    {last}",
            "except Exception as error:",
            '    print(f"refused, as it should be: {error}")',
            'assert all(map(np.array_equal, held, layer.get_weights())), "it changes weights"',
            'if not getattr(layer, "built", False):',
            f"    layer.build({self.trial.case.input_shape})",
            "layer.set_weights(weights)",
            f"result = {self.array}(layer(x))",
            f"want = {self.literals.values(want)}",
            'assert np.array_equal(result, want), "the layer gives other values from then on"',
        ]

    def spellings_agree(self) -> list[str]:
        plain = arguments_of(self.trial.case, self.variation)
        return [
            "results = []",
            f"for layer in (made(), {self._made(plain, self.variation.spells)}):",
            "    layer.build(shape)",
            "    layer.set_weights(weights)",
            f"    results.append({self.array}(layer(x)))",
            'assert np.array_equal(*results), "the spelling changes the result"',
        ]


_WAYS = {
    way.__name__: way
    for way in (
        LifeScript.attributes,
        LifeScript.configuration,
        LifeScript.weights_contract,
        LifeScript.varied_output,
        LifeScript.losses,
        LifeScript.constraints,
        LifeScript.shapes_agree,
        LifeScript.failure_leaves_no_trace,
        LifeScript.spellings_agree,
    )
}


def _compared_losses(want: list[float], room: float) -> list[str]:
    return [
        "got = sorted(float(loss) for loss in layer.losses)",
        f'assert len(got) == {len(want)}, f"losses are {{got}}"',
        f"assert all(abs(g - w) <= {room!r} * abs(w) for g, w in zip(got, {sorted(want)!r})), got",
    ]
