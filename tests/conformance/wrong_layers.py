"""Layers that are correct but for one fault of the contract, each with the case that shows it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance import Implementation
from reference_impl import Conv2D


class TakesAnyFilters(Conv2D):
    def __init__(self, filters: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(filters or 2, *args, **kwargs)


class RefusesNumpyStrides(Conv2D):
    def __init__(self, filters: Any, kernel_size: Any, strides: Any = 1, **kwargs: Any) -> None:
        if isinstance(strides, tuple) and isinstance(strides[0], np.integer):
            raise TypeError("strides must be ints")
        super().__init__(filters, kernel_size, strides, **kwargs)


class ForgetsAutocast(Conv2D):
    def __init__(self, *args: Any, autocast: Any = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


class ForgetsDilation(Conv2D):
    def get_config(self) -> dict[str, Any]:
        return {n: v for n, v in super().get_config().items() if n != "dilation_rate"}


class RevivesWithoutBias(Conv2D):
    @classmethod
    def from_config(cls, config: Any) -> Any:
        return super().from_config({**config, "use_bias": False})


class StartsWithOnes(Conv2D):
    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if self.bias is not None:
            self.bias.assign(np.ones(self.bias.shape))


class ThawsAll(Conv2D):
    trainable = property(
        lambda self: self._trainable,
        lambda self, value: setattr(self, "_trainable", True),
    )


class AddsOneToRelu6(Conv2D):
    def __init__(self, *args: Any, activation: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, activation=activation, **kwargs)
        self.added = int(activation == "relu6")

    def call(self, inputs: Any) -> Any:
        return super().call(inputs) + np.float32(self.added)


class DriftsInTraining(Conv2D):
    def __call__(self, inputs: Any, *, training: Any = None) -> Any:
        result = super().__call__(inputs)
        if training:
            self.weights[0].assign(np.asarray(self.weights[0]) + 1)
        return result


class PenalisesBeforeTheActivation(Conv2D):
    def call(self, inputs: Any) -> Any:
        self.before, kept = None, self.activation
        self.activation = None
        self.before = super().call(inputs)
        self.activation = kept
        return super().call(inputs)

    def __call__(self, inputs: Any, *, training: Any = None) -> Any:
        result = super().__call__(inputs)
        if self._activity_losses:
            self._activity_losses = [float(self.activity_regularizer(self.before)) / len(result)]
        return result


class ForgetsRegularizer(Conv2D):
    @property
    def losses(self) -> list[float]:
        return []


class ForgetsBatch(Conv2D):
    def __call__(self, inputs: Any, *, training: Any = None) -> Any:
        result = super().__call__(inputs)
        self._activity_losses = [loss * len(result) for loss in self._activity_losses]
        return result


class ForgetsConstraint(Conv2D):
    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        for weight in self.weights:
            weight.constraint = None


class SwapsUnknownShape(Conv2D):
    def compute_output_shape(self, input_shape: Any) -> Any:
        n, h, w, c = super().compute_output_shape(input_shape)
        return (n, w, h, c) if input_shape[0] is None else (n, h, w, c)


class AssignsOneByOne(Conv2D):
    def set_weights(self, weights: Any) -> None:
        if len(weights) == len(self.weights):
            for variable, value in zip(self.weights, weights, strict=True):
                variable.assign(value)
        super().set_weights(weights)


class KeepsChannels(Conv2D):
    def build(self, input_shape: Any) -> None:
        self.known = getattr(self, "known", None) or input_shape[-1]
        super().build(input_shape)

    def __call__(self, inputs: Any, *, training: Any = None) -> Any:
        if getattr(self, "known", inputs.shape[-1]) != inputs.shape[-1]:
            raise ValueError(f"expected {self.known} channels")
        return super().__call__(inputs)


class KeepsWeights(Conv2D):
    def build(self, input_shape: Any) -> None:
        constraint, rank = self.kernel_constraint, self.lora_rank
        self.lora_rank = None
        super().build(input_shape)
        if constraint and rank:
            raise ValueError("LoRA does not go with a constraint")


class KeepsWhatItIsGiven(Conv2D):
    def set_weights(self, weights: Any) -> None:
        super().set_weights(weights)
        for variable, given in zip(self.weights, weights, strict=True):
            if isinstance(given, np.ndarray) and given.dtype.name == variable.dtype:
                variable._value = given


class KnowsTrueOnly(Conv2D):
    def call(self, inputs: Any) -> Any:
        result = super().call(inputs)
        return result if self.use_bias is True else result + np.float32(1)


class WrongInGraphs(Implementation):
    layer = staticmethod(Conv2D)
    contract = True
    modes = ("graph",)

    def in_mode(self, layer: Any, mode: str, x: NDArray[Any]) -> Any:
        """As if the trace had been made before the bias was set."""
        return layer(x) + np.float32(1)


class CorrectInGraphs(WrongInGraphs):
    def in_mode(self, layer: Any, mode: str, x: NDArray[Any]) -> Any:
        """The same as without a graph."""
        return layer(x)


class SymbolicallyRefusesDoubles(CorrectInGraphs):
    def symbolic(self, layer: Any, shape: Any, dtype: str | None = None) -> Any:
        """As of a symbolic call that does not cast."""
        if dtype == "float64":
            raise ValueError("float64 is not the dtype of the layer")
        return super().symbolic(layer, shape, dtype)


class LooksForAKey(Conv2D):
    def __call__(self, inputs: Any, *, training: Any = None) -> Any:
        if isinstance(inputs, int):
            raise KeyError("shape")
        return super().__call__(inputs)


class RefusesByAccident(CorrectInGraphs):
    layer = staticmethod(LooksForAKey)


class Strict(Conv2D):
    def __init__(self, *args: Any, use_bias: Any = True, **kwargs: Any) -> None:
        if not isinstance(use_bias, bool):
            raise TypeError(f"use_bias is a bool, not {use_bias!r}")
        super().__init__(*args, use_bias=use_bias, **kwargs)


class TakesWhatIsDocumented(CorrectInGraphs):
    layer = staticmethod(Strict)


class TakesAnyTruth(CorrectInGraphs):
    """As Keras."""


class RevivesWithoutCasts(Conv2D):
    @classmethod
    def from_config(cls, config: Any) -> Any:
        revived = super().from_config(config)
        revived.autocast = False
        return revived


class ForgetsAttributes(CorrectInGraphs):
    layer = staticmethod(RevivesWithoutCasts)


# The check that alone fails, the case, and the layer.
WRONG: tuple[tuple[str, str, type], ...] = (
    ("refusals", "in1x7x7x4-f2-k3-but.filters.zero-integers.1", TakesAnyFilters),
    ("refusals", "in1x7x7x4-f2-k3-but.strides.numpy_ints-integers.1", RefusesNumpyStrides),
    ("attributes", "in1x7x7x4-f2-k3-but.autocast.false-integers.1", ForgetsAutocast),
    ("configuration", "in1x7x7x4-f2-k3-but.dilation_rate.uneven-integers.1", ForgetsDilation),
    ("configuration", "in1x7x7x4-f2-k3-but.use_bias.two-integers.1", RevivesWithoutBias),
    (
        "weights_contract",
        "in1x7x7x4-f2-k3-but.arguments.trainable_and_named-integers.1",
        StartsWithOnes,
    ),
    ("weights_contract", "in1x7x7x4-f2-k3-but.trainable.false-integers.1", StartsWithOnes),
    ("weights_contract", "in1x7x7x4-f2-k3-nobias-but.then.frozen-integers.1", ThawsAll),
    ("varied_output", "in1x7x7x4-f2-k3-but.activation.relu6-integers.1", AddsOneToRelu6),
    ("varied_output", "in1x9x9x4-f2-k3-but.then.called_in_training-integers.1", DriftsInTraining),
    ("losses", "in1x7x7x4-f2-k3-but.kernel_regularizer.l2-integers.1", ForgetsRegularizer),
    (
        "losses",
        "in2x7x7x4-f2-k3-but.arguments.activated_and_penalised-integers.1",
        PenalisesBeforeTheActivation,
    ),
    ("losses", "in2x7x7x4-f2-k3-but.activity_regularizer.l1-integers.1", ForgetsBatch),
    ("constraints", "in1x7x7x4-f2-k3-but.kernel_constraint.non_neg-integers.1", ForgetsConstraint),
    ("shapes_agree", "in2x7x8x4-f2-k3-but.build.unknown_batch-integers.1", SwapsUnknownShape),
    (
        "failure_leaves_no_trace",
        "in1x7x7x4-f2-k3-but.set_weights.last_larger-integers.1",
        AssignsOneByOne,
    ),
    (
        "failure_leaves_no_trace",
        "in1x7x7x4-f2-k3-g2-but.build.odd_channels-integers.1",
        KeepsChannels,
    ),
    (
        "failure_leaves_no_trace",
        "in1x7x7x4-f2-k3-but.arguments.lora_constrained-integers.1",
        KeepsWeights,
    ),
    ("spellings_agree", "in1x7x7x4-f2-k3-but.use_bias.one-integers.1", KnowsTrueOnly),
    ("modes_agree", "in1x7x7x4-f2-k3-but.mode.graph-integers.1", WrongInGraphs),
    (
        "stages_agree",
        "in1x7x7x4-f2-k3-but.input.float64-integers.1",
        SymbolicallyRefusesDoubles,
    ),
    ("refused_on_purpose", "in1x7x7x4-f2-k3-but.input.number-integers.1", RefusesByAccident),
    ("documented_values", "in1x7x7x4-f2-k3-but.use_bias.text-integers.1", TakesAnyTruth),
    ("revived_attributes", "in1x7x7x4-f2-k3-but.strides.uneven-integers.1", ForgetsAttributes),
)
# Who passes, where it is not the reference: the checks of a layer of Keras need one like it.
RIGHT: dict[str, type] = {
    "modes_agree": CorrectInGraphs,
    "stages_agree": CorrectInGraphs,
    "refused_on_purpose": CorrectInGraphs,
    "documented_values": TakesWhatIsDocumented,
    "revived_attributes": CorrectInGraphs,
}


# One more for each cause that a layer above does not have -----------------------------------------


class StumblesOverZero(Conv2D):
    def __init__(self, filters: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(1 // filters or filters, *args, **kwargs)


class ReturnsLists(Conv2D):
    def __call__(self, inputs: Any, *, training: Any = None) -> Any:
        result = super().__call__(inputs)
        return result if self.use_bias else result.tolist()


class ReturnsListsAtFirst(Conv2D):
    def __call__(self, inputs: Any, *, training: Any = None) -> Any:
        is_first = not self.built
        result = super().__call__(inputs)
        return [result] if is_first else result


class CannotSayItsLosses(Conv2D):
    @property
    def losses(self) -> list[float]:
        raise RuntimeError("no loss yet")


class CannotBeRevived(Conv2D):
    @classmethod
    def from_config(cls, config: Any) -> Any:
        raise KeyError("filters")


class LosesItsShape(Conv2D):
    def compute_output_shape(self, input_shape: Any) -> Any:
        return None


class RoundsTheStrides(Conv2D):
    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dilation_rate": (1, 1)}


class SavesOnes(Conv2D):
    def get_config(self) -> dict[str, Any]:
        ones = {"class_name": "Ones", "config": {}}
        return {**super().get_config(), "kernel_initializer": ones}


class RevivesTheBase(Conv2D):
    @classmethod
    def from_config(cls, config: Any) -> Any:
        return Conv2D.from_config(config)


class EmptiesTheConfig(Conv2D):
    @classmethod
    def from_config(cls, config: Any) -> Any:
        given = dict(config)
        config.clear()
        return cls(**given)


class RaisesOnceRevived(Conv2D):
    is_revived = False

    @classmethod
    def from_config(cls, config: Any) -> Any:
        revived = super().from_config(config)
        revived.is_revived = True
        return revived

    def __call__(self, inputs: Any, *, training: Any = None) -> Any:
        if self.is_revived:
            raise RuntimeError("no kernel")
        return super().__call__(inputs)


class CountsOnceRevived(RaisesOnceRevived):
    def __call__(self, inputs: Any, *, training: Any = None) -> Any:
        return Conv2D.__call__(self, inputs) + np.float32(self.is_revived)


class WidensOnceRevived(RaisesOnceRevived):
    def __call__(self, inputs: Any, *, training: Any = None) -> Any:
        result = Conv2D.__call__(self, inputs)
        return result.astype(np.float64) if self.is_revived else result


class HasNoBias(Conv2D):
    def build(self, input_shape: Any) -> None:
        self.use_bias = False
        super().build(input_shape)


class NamesItW(Conv2D):
    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.weights[0].name = "w"


class CountsAllAsTrained(Conv2D):
    @property
    def trainable_weights(self) -> Any:
        return self.weights


class DrawsAlike(Conv2D):
    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        draw = np.random.default_rng(0)
        self.weights[0].assign(draw.normal(size=self.weights[0].shape))


class ScalesWhatIsSet(Conv2D):
    def set_weights(self, weights: Any) -> None:
        super().set_weights(weights)
        self.weights[0].assign(2 * np.asarray(self.weights[0]))


class CropsWithoutBias(Conv2D):
    def call(self, inputs: Any) -> Any:
        result = super().call(inputs)
        return result if self.use_bias else result[:, 1:]


class WidensWithoutBias(Conv2D):
    def call(self, inputs: Any) -> Any:
        result = super().call(inputs)
        return result if self.use_bias else result.astype(np.float64)


class KeepsTheInput(Conv2D):
    """By whom it is given its weights, while it could have copied them."""

    def set_weights(self, weights: Any) -> None:
        super().set_weights(weights)
        self.given = list(weights)

    def call(self, inputs: Any) -> Any:
        if self.built and hasattr(self, "given"):
            super().set_weights(self.given)
        return super().call(inputs)


class WidensAtFirst(Conv2D):
    def __call__(self, inputs: Any, *, training: Any = None) -> Any:
        is_first = not self.built
        result = super().__call__(inputs)
        return result.astype(np.float64) if is_first else result


class AddsAWeight(Conv2D):
    def call(self, inputs: Any) -> Any:
        result = super().call(inputs)
        self._weights = [*self._weights, self._weights[0]]
        return result


class ConstrainsAll(Conv2D):
    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        for weight in self.weights:
            weight.constraint = weight.constraint or (lambda w: w)


class ConstrainsToNothing(Conv2D):
    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        for weight in self.weights:
            weight.constraint = weight.constraint and (lambda w: w)


class SaysTheSame(Conv2D):
    def call(self, inputs: Any) -> Any:
        result = super().call(inputs)
        return result if self.use_bias else np.concatenate([result, result], 2)


class KeepsTheSpelling(Conv2D):
    def __init__(self, filters: Any, kernel_size: Any, strides: Any = 1, **kwargs: Any) -> None:
        super().__init__(filters, kernel_size, strides, **kwargs)
        self.strides = strides if isinstance(strides, range) else self.strides


class CountsAfterARefusal(Conv2D):
    refused = 0

    def build(self, input_shape: Any) -> None:
        try:
            super().build(input_shape)
        except Exception:
            self.refused = 1
            raise

    def call(self, inputs: Any) -> Any:
        return super().call(inputs) + np.float32(self.refused)


class WidensAfterARefusal(CountsAfterARefusal):
    def call(self, inputs: Any) -> Any:
        result = Conv2D.call(self, inputs)
        return result.astype(np.float64) if self.refused else result


# The check, how its cause begins, what is varied, and the layer.
CAUSES: tuple[tuple[str, str, str, type], ...] = (
    ("refusals", "refuses a value of filters with another", "but.filters.zero", StumblesOverZero),
    ("refusals", "a call refuses", "but.use_bias.false", ReturnsLists),
    ("refusals", "a first call refuses", "but.input.float64", ReturnsListsAtFirst),
    ("refusals", "reading losses refuses", "but.kernel_regularizer.l2", CannotSayItsLosses),
    ("refusals", "from_config refuses", "but.name.plain", CannotBeRevived),
    ("refusals", "compute_output_shape refuses", "but.name.plain", LosesItsShape),
    ("configuration", "get_config has another", "but.dilation_rate.uneven", RoundsTheStrides),
    ("configuration", "get_config has another", "but.kernel_initializer.zeros", SavesOnes),
    ("configuration", "from_config makes", "but.name.plain", RevivesTheBase),
    ("configuration", "from_config changes", "but.name.plain", EmptiesTheConfig),
    ("configuration", "a layer made by from_config raises", "but.filters.true", RaisesOnceRevived),
    (
        "configuration",
        "a layer made by from_config returns other",
        "but.filters.true",
        CountsOnceRevived,
    ),
    (
        "configuration",
        "a layer made by from_config returns a wrong dtype",
        "but.filters.true",
        WidensOnceRevived,
    ),
    ("weights_contract", "has other weights", "but.name.plain", HasNoBias),
    ("weights_contract", "has weights of other names", "but.name.plain", NamesItW),
    ("weights_contract", "has weights of other names", "but.trainable.false", CountsAllAsTrained),
    ("weights_contract", "first values", "but.kernel_initializer.he_uniform", DrawsAlike),
    ("weights_contract", "get_weights does not", "but.set_weights.float64", ScalesWhatIsSet),
    ("varied_output", "returns a wrong shape", "but.use_bias.false", CropsWithoutBias),
    ("varied_output", "returns a wrong dtype", "but.use_bias.false", WidensWithoutBias),
    ("varied_output", "returns other values", "but.name.plain", KeepsTheInput),
    ("varied_output", "a first call", "but.input.float64", WidensAtFirst),
    ("constraints", "has another number", "but.kernel_constraint.non_neg", AddsAWeight),
    ("constraints", "a weight has a", "but.kernel_constraint.non_neg", ConstrainsAll),
    ("constraints", "a constraint gives", "but.kernel_constraint.non_neg", ConstrainsToNothing),
    ("shapes_agree", "a call returns another", "but.use_bias.false", SaysTheSame),
    ("spellings_agree", "the attribute", "but.strides.range", KeepsTheSpelling),
    ("failure_leaves_no_trace", "returns other", "but.build.odd_channels", CountsAfterARefusal),
    ("failure_leaves_no_trace", "returns a wrong", "but.build.odd_channels", WidensAfterARefusal),
)
