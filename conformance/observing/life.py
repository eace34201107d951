"""The life of a layer: made, described, built, given weights, called; what it shows at each stage.

The same function observes an implementation, in its process, and the reference. What it returns is
plain data, one answer for each stage of `variation.LIVED`.
"""

from __future__ import annotations

import contextlib
import json
import numbers
import operator
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from conformance.case import Case
from conformance.data import OVERWRITTEN
from conformance.errors import Unsupported, describe
from conformance.observing.observation import NOT_MADE, Answer, Opaque, Raised
from conformance.variations.table import POSITIONAL, VARIATIONS
from conformance.variations.variation import LIVED, Stage, Variation, evaluated
from reference_impl import Conv2D
from reference_impl.dtypes import as_dtype

ATTRIBUTES = (
    *("filters", "kernel_size", "strides", "dilation_rate", "padding", "data_format", "groups"),
    *("use_bias", "trainable", "autocast", "dtype", "compute_dtype", "variable_dtype", "built"),
    "name",
)
# What a layer made of a configuration has in common with the one that gave it.
REVIVED = (*(a for a in ATTRIBUTES if a not in ("built", "name")), "lora_rank", "lora_alpha")
# The arguments that are passed by position, in Keras' order, with its defaults.
IN_ORDER = {
    "filters": None,
    "kernel_size": None,
    "strides": (1, 1),
    "padding": "valid",
    "data_format": None,
    "dilation_rate": (1, 1),
    "groups": 1,
    "activation": None,
    "use_bias": True,
}
# Of these, and of ways to call, a symbolic call is made on the layer that is built: another one
# costs ten milliseconds.
GEOMETRIC = frozenset(
    {"filters", "kernel_size", "strides", "dilation_rate", "padding", "data_format", "groups"}
)
# What shape or dtype of a result may depend on.
SHAPING = frozenset(
    {
        *GEOMETRIC,
        *("activation", "dtype", "autocast", "arguments", "build", "global", "mode"),
    }
)
Ask = Callable[[Callable[[], Any]], Any]


class Layers(Protocol):
    """Who makes the layers."""

    keras: Any
    costly_calls: bool
    may_overwrite: bool

    @property
    def layer(self) -> Callable[..., Any] | None:
        """What makes a layer of keyword arguments."""

    def to_numpy(self, result: Any) -> NDArray[Any]:
        """The result of a call as an array."""

    def symbolic(self, layer: Any, shape: tuple[int | None, ...], dtype: str | None = None) -> Any:
        """Shape and dtype of a call on a tensor that has a shape only, None where there is none.

        `dtype` is that of the tensor; by default the layer's own.
        """

    def in_mode(self, layer: Any, mode: str, x: NDArray[Any]) -> Any:
        """The result of calling `layer`, or an equal one, in that way."""

    def globally(self, settings: dict[str, Any]) -> AbstractContextManager[None]:
        """Settings of Keras in place of arguments that are not passed."""


class ReferenceLayers:
    """The reference, whose defaults are arguments."""

    keras = None
    costly_calls = False
    may_overwrite = True

    def __init__(self) -> None:
        self._defaults: dict[str, Any] = {}

    def layer(self, *first: Any, **arguments: Any) -> Any:
        return Conv2D(*first, **{**self._defaults, **arguments})

    def to_numpy(self, result: Any) -> NDArray[Any]:
        return np.asarray(result)

    def symbolic(self, layer: Any, shape: tuple[int | None, ...], dtype: str | None = None) -> Any:
        return [tuple(layer.compute_output_shape(shape)), layer.compute_dtype]

    def in_mode(self, layer: Any, mode: str, x: NDArray[Any]) -> Any:
        return layer(x)

    @contextlib.contextmanager
    def globally(self, settings: dict[str, Any]) -> Any:
        self._defaults = settings
        try:
            yield
        finally:
            self._defaults = {}


def pattern(shape: Iterable[int], start: int) -> NDArray[np.float64]:
    """Small integers that differ between neighbours; any small convolution of them is exact."""
    sizes = tuple(shape)
    count = int(np.prod(sizes))
    values = (np.arange(count) * 7 + start * 3) % 11 % 4 - 1
    return values.reshape(sizes).astype(np.float64)


def input_of(case: Case) -> NDArray[Any]:
    """The plain input of a life, in the compute dtype of the case."""
    return pattern(case.input_shape, case.seed + 5).astype(as_dtype(case.compute_dtype))


def weights_of(case: Case, layer: Any) -> list[NDArray[Any]]:
    """The weights that a life sets on `layer`, which is built."""
    held = enumerate(_arrays(layer))
    return [pattern(w.shape, n + case.seed).astype(w.dtype) for n, w in held]


def live(
    layers: Layers, case: Case, ask: Ask, *, alike: bool = False, brief: bool = False
) -> list[Answer]:
    """What happens at each stage; `ask` makes a call, and returns what it raised as `Raised`.

    With `alike` the value is the plain one that the variation spells. `brief` goes straight to the
    call: that is all that a plain life is compared by.
    """
    assert case.but is not None
    variation = VARIATIONS[case.but]
    settings = variation.value() if variation.stage is Stage.GLOBAL else {}
    with layers.globally(settings):
        life = _Life(layers, case, variation, ask, alike)
        return life.call_alone() if brief else life.answers()


def reference_life(case: Case, *, alike: bool = False, brief: bool = False) -> dict[Stage, Answer]:
    """What the reference shows, by stage."""
    answers = live(ReferenceLayers(), case, _quietly, alike=alike, brief=brief)
    return dict(zip(LIVED, answers, strict=True))


def _quietly(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except Exception as error:  # noqa: BLE001 - what it raises is what is wanted
        return Raised("raises", describe(error), tuple(t.__name__ for t in type(error).__mro__))


def arguments_of(
    case: Case, variation: Variation, *, keras: Any = None, alike: bool = False
) -> Any:
    """The keyword arguments that the layer of a life is made with."""
    arguments = case.layer_arguments()
    if variation.stage is Stage.GLOBAL:
        for name in variation.value():
            arguments.pop(name, None)
    if variation.stage is not Stage.CONSTRUCT:
        return arguments
    source = variation.spells if alike and variation.spells else variation.source
    value = evaluated(source, keras=keras)
    varied = value if variation.argument == "arguments" else {variation.argument: value}
    return arguments | varied


class _Life:
    def __init__(
        self, layers: Layers, case: Case, variation: Variation, ask: Ask, alike: bool
    ) -> None:
        self.layers, self.case, self.variation = layers, case, variation
        self.ask, self.alike = ask, alike
        # TensorFlow compiles each call of a grouped convolution, which takes a tenth of a second.
        self.spares_calls = layers.costly_calls and case.geometry.groups > 1
        # Whether the layer of a symbolic call is the one that is built.
        self.is_built_first = variation.argument in GEOMETRIC or variation.stage is Stage.MODE
        self.made: Any = None
        self.before: Answer = None  # losses before the call
        self.found: dict[Stage, Answer] = dict.fromkeys(LIVED, NOT_MADE)

    def answers(self) -> list[Answer]:
        if self._at(Stage.CONSTRUCT, self._construct):
            self._at(Stage.SHAPE, self._shape)
            if not self.is_built_first:
                self._at(Stage.SYMBOLIC, lambda: self._symbolic(self._new))
            if self._at(Stage.CONFIG, self._config):
                self._at(Stage.REVIVE, self._revive)
            if self._at(Stage.BUILD, self._build):
                self._used()
            if self._failed():
                self._at(Stage.RETRY, self._retry)
        return [self.found[stage] for stage in LIVED]

    def call_alone(self) -> list[Answer]:
        steps = (
            (Stage.CONSTRUCT, self._construct),
            (Stage.BUILD, self._build),
            (Stage.WEIGHTS, lambda: [self._flags(), self._held(), None]),
            (Stage.ASSIGN, self._assign),
            (Stage.CALL, self._call),
        )
        all(self._at(stage, action) for stage, action in steps)  # up to the first that is refused
        return [self.found[stage] for stage in LIVED]

    def _used(self) -> None:
        if self.variation.stage is Stage.CALL:
            self._at(Stage.SYMBOLIC, self._symbolic_input)
            if not self.spares_calls:
                self._at(Stage.FIRST_CALL, self._first_call)
        elif self.is_built_first:
            self._at(Stage.SYMBOLIC, lambda: self._symbolic(lambda: self.made))
        self._at(Stage.WEIGHTS, self._weights)
        if not self._at(Stage.ASSIGN, self._assign):
            return
        if self.variation.stage is Stage.THEN and not self._at(Stage.THEN, self._then):
            return
        self.before = self.ask(self._losses_now)
        if self._at(Stage.CALL, self._call):
            if self._is_revived_to_call():
                self._at(Stage.REVIVED_CALL, self._revived_call)
            self._at(Stage.LOSSES, self._losses)
            self._at(Stage.CONSTRAIN, self._constrain)

    def _at(self, stage: Stage, action: Callable[[], Answer]) -> bool:
        """Whether the stage was passed."""
        self.found[stage] = self.ask(action)
        return not isinstance(self.found[stage], Raised)

    def _is_revived_to_call(self) -> bool:
        argument = self.variation.argument
        if self.variation.stage is not Stage.CONSTRUCT or argument not in SHAPING:
            return False
        return argument in ("groups", "filters") or not self.spares_calls

    def _failed(self) -> bool:
        stages = (Stage.BUILD, Stage.ASSIGN, Stage.THEN, Stage.CALL)
        return any(isinstance(self.found[stage], Raised) for stage in stages)

    def _new(self) -> Any:
        keras, alike = self.layers.keras, self.alike
        arguments = arguments_of(self.case, self.variation, keras=keras, alike=alike)
        assert self.layers.layer is not None
        self._refuse_lora()
        if self.variation.name == POSITIONAL and not self.alike:
            first = [arguments.pop(name, default) for name, default in IN_ORDER.items()]
            return self.layers.layer(*first, **arguments)
        return self.layers.layer(**arguments)

    def _refuse_lora(self) -> None:
        """LoRA is an extra, which a layer has as a whole or not at all.

        Raises:
            Unsupported: it is what is varied, and there is none.
        """
        assert self.layers.layer is not None
        if "lora" in self.variation.name:
            plain_one = self.layers.layer(**self.case.layer_arguments())
            if not hasattr(plain_one, "enable_lora"):
                raise Unsupported("a layer without enable_lora")

    def _value(self, stage: Stage, plain: Any, **known: Any) -> Any:
        """The varied value at its stage, the plain one elsewhere."""
        if self.variation.stage is not stage:
            return plain
        if self.alike:
            return evaluated(self.variation.spells, **known) if self.variation.spells else plain
        return self.variation.value(**known)

    @property
    def _input_shape(self) -> Any:
        return self._value(Stage.BUILD, self.case.input_shape, shape=self.case.input_shape)

    def _construct(self) -> Answer:
        self.made = self._new()
        named = (a for a in ATTRIBUTES if a != "name" or self.variation.argument == "name")
        known = [(name, getattr(self.made, name)) for name in named if hasattr(self.made, name)]
        return [[name, plain(value)] for name, value in known]

    def _shape(self) -> Answer:
        return list(map(plain, self.made.compute_output_shape(self._input_shape)))

    def _symbolic(self, layer: Callable[[], Any]) -> Answer:
        shape = self._input_shape
        if self.variation.argument not in SHAPING or self.variation.stage is Stage.CALL:
            return None  # ten milliseconds on TensorFlow, for nothing new
        if not isinstance(shape, tuple) or len(shape) != 4 or not all(map(_is_size, shape)):
            return None
        found = self.layers.symbolic(layer(), (None, *shape[1:]))
        return None if found is None else [list(map(plain, found[0])), str(found[1])]

    def _symbolic_input(self) -> Answer:
        """What a layer that is built says of the input that is tried, where that is an array."""
        x = self._value(Stage.CALL, self._x(), x=self._x())
        if not isinstance(x, np.ndarray):
            return None
        found = self.layers.symbolic(self.made, x.shape, x.dtype.name)
        return None if found is None else [list(map(plain, found[0])), str(found[1])]

    def _config(self) -> Answer:
        return self._text(self.made.get_config())

    def _text(self, config: Any) -> str:
        config = dict(config)
        if self.variation.argument != "name":
            config.pop("name", None)  # numbered
        return json.dumps(config, sort_keys=True, default=_described)

    def _revive(self) -> Answer:
        config = self.made.get_config()
        before = self._text(config)
        revived = type(self.made).from_config(config)
        if type(revived) is not type(self.made):
            return [Opaque(type(revived).__name__, f"a {type(revived).__name__}")]
        return [
            self._text(revived.get_config()),
            self._text(config) == before,
            [[name, *(_attribute(one, name) for one in (self.made, revived))] for name in REVIVED],
            _is_json(config),
        ]

    def _build(self) -> Answer:
        self.made.build(self._input_shape)
        return plain(getattr(self.made, "built", None))

    def _weights(self) -> Answer:
        return [self._flags(), self._held(), self._twins()]

    def _held(self) -> list[Answer]:
        return _arrays(self.made)

    def _twins(self) -> Answer:
        """Which weights of a second layer begin with the same values, where that is varied."""
        if not self.variation.argument.endswith("_initializer"):
            return None
        other = self._new()
        other.build(self._input_shape)
        return list(map(_equal, self._held(), _arrays(other)))

    def _flags(self) -> Answer:
        """Name and trainable of each weight, and how many are trained."""
        if not hasattr(self.made, "weights"):
            return None
        each = [[str(w.name), bool(w.trainable)] for w in self.made.weights]
        sides = ("trainable_weights", "non_trainable_weights")
        return [each, [len(getattr(self.made, side)) for side in sides]]

    def _given(self) -> list[NDArray[Any]]:
        return weights_of(self.case, self.made)

    def _assign(self) -> Answer:
        given = self._given()
        self.made.set_weights(self._value(Stage.ASSIGN, given, weights=given))
        held = self._held()
        for array in given if self.layers.may_overwrite else []:
            array.fill(OVERWRITTEN)  # who has set them may use them for something else
        return held

    def _then(self) -> Answer:
        if not (self.alike and self.variation.of_keras):
            self.variation.value(layer=self.made, keras=self.layers.keras)
        return self._flags()

    def _x(self) -> NDArray[Any]:
        return input_of(self.case)

    def _call(self) -> Answer:
        x = self._x()
        if self.variation.stage is Stage.MODE and not self.alike:
            result = self.layers.in_mode(self.made, self.variation.value(), x)
        else:
            result = self.made(self._value(Stage.CALL, x, x=x))
        return np.array(self.layers.to_numpy(result))

    def _revived_call(self) -> Answer:
        revived = type(self.made).from_config(self.made.get_config())
        revived.build(self.case.input_shape)
        revived.set_weights(self._given())
        return np.array(self.layers.to_numpy(revived(self._x())))

    def _first_call(self) -> Answer:
        """Shape and dtype of a call that builds the layer; its weights are random."""
        x = self._x()
        result = self.layers.to_numpy(self._new()(self._value(Stage.CALL, x, x=x)))
        return [plain(result.shape), result.dtype.name]

    def _losses(self) -> Answer:
        """Before the call, after it, and after another one where there may be penalties."""
        found = [self.before, self._losses_now()]
        if "regularizer" in self.variation.argument and not self.spares_calls:
            self.made(self._x())
            found.append(self._losses_now())
        return None if self.before is None else found

    def _losses_now(self) -> Answer:
        if not hasattr(self.made, "losses"):
            return None
        return [self._number(loss) for loss in self.made.losses]

    def _number(self, loss: Any) -> float:
        try:
            return float(loss)
        except (TypeError, ValueError):
            return float(self.layers.to_numpy(loss))

    def _constrain(self) -> Answer:
        """What the constraint of each weight makes of it, None without one."""
        if not hasattr(self.made, "weights"):
            return None
        return [self._constrained(w) for w in self.made.weights]

    def _constrained(self, weight: Any) -> Answer:
        constraint = getattr(weight, "constraint", None)
        if constraint is None:
            return None
        given = pattern(weight.shape, 1).astype(np.float32)
        return np.array(self.layers.to_numpy(constraint(given)))

    def _retry(self) -> Answer:
        """What the layer gives for plain input after what was refused, and which weights it has.

        A layer whose arguments are refused can only be asked for the latter.
        """
        left = self._names()
        if self.variation.stage is Stage.CONSTRUCT:
            return [None, None, left]
        before = None
        if isinstance(self.found[Stage.ASSIGN], Raised):
            _, before, _ = self.found[Stage.WEIGHTS]
        elif isinstance(self.found[Stage.THEN], Raised):
            before = self.found[Stage.ASSIGN]
        untouched = None if before is None else all(map(_equal, self._held(), before))
        is_built = getattr(self.made, "built", False)
        if not is_built and self.spares_calls:
            self.made.build(self.case.input_shape)
        elif not is_built:
            self.made(self._x())  # which builds it
        self.made.set_weights(self._given())
        result = np.array(self.layers.to_numpy(self.made(self._x())))
        return [result, untouched, left]

    def _names(self) -> Answer:
        """Of the weights there are, None where a layer does not tell."""
        return [str(w.name) for w in self.made.weights] if hasattr(self.made, "weights") else None


def plain(value: Any) -> Answer:
    """An attribute as plain data; equal numbers look alike, whoever made them."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if value is None:
        return None
    if isinstance(value, str):
        return str(value)  # of a subclass, which is no plain data
    with contextlib.suppress(TypeError):  # an integer of any kind, or an array that holds one
        return operator.index(value)
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    if isinstance(value, numbers.Real | np.floating):
        return float(value)
    return Opaque(type(value).__name__, type(value).__name__)


def _arrays(layer: Any) -> list[NDArray[Any]]:
    return [np.array(np.asarray(w)) for w in layer.get_weights()]


def _attribute(layer: Any, name: str) -> Answer:
    return plain(getattr(layer, name)) if hasattr(layer, name) else None


def _is_json(config: Any) -> bool:
    try:
        json.dumps(config)
    except TypeError:
        return False
    return True


def _is_size(value: Any) -> bool:
    return value is None or (isinstance(value, int) and value >= 0)


def _equal(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return one.shape == other.shape and one.tobytes() == other.tobytes()


def _described(value: Any) -> Any:
    if isinstance(value, numbers.Number | np.generic):
        return plain(value) if isinstance(value, numbers.Integral) else repr(value)
    return f"<{getattr(value, '__name__', type(value).__name__)}>"
