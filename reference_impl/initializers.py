"""The weight initializers that Keras 3.15.1 knows by name.

Each is called as ``initializer(shape, dtype)`` and returns a new array. The distributions are
Keras'; the random streams are NumPy's, so values differ from Keras' for the same seed. An
initializer gives the same numbers on every call, with or without a seed; two unseeded ones differ.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from reference_impl.dtypes import format_of
from reference_impl.rounding import round_to
from reference_impl.serialization import Config, Configurable, Registry, plain, unplain

Array = npt.NDArray[Any]
Shape = Sequence[int]

# Standard deviation of a standard normal variable truncated to [-2, 2].
TRUNCATED_STDDEV = 0.87962566103423978


class Initializer(Configurable):
    """Base class. Subclasses define ``values(shape)``, computed in float64."""

    def values(self, shape: Shape) -> Array:
        """Return the values before they are rounded to the dtype of the weight."""
        raise NotImplementedError(f"{type(self).__name__} must implement `values()`.")

    def __call__(self, shape: Shape, dtype: Any = None) -> Array:
        """Return a new array of ``shape`` and ``dtype`` (a name; ``None`` is float32)."""
        return round_to(self.values(tuple(shape)), format_of(dtype or "float32"))

    def clone(self) -> Any:
        """Return an equal initializer; an unseeded one draws new numbers."""
        return self.from_config(self.get_config())


class Constant(Initializer):
    """All elements equal ``value``."""

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def values(self, shape: Shape) -> Array:
        return np.asarray(self.value, dtype=np.float64) * np.ones(shape)

    def get_config(self) -> Config:
        return {"value": plain(self.value)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Constant:
        """Return the initializer; ``KeyError`` without ``"value"``, as in Keras."""
        return cls(unplain(config["value"]))


class Zeros(Initializer):
    """All elements are 0."""

    def values(self, shape: Shape) -> Array:
        return np.zeros(shape)


class Ones(Initializer):
    """All elements are 1."""

    def values(self, shape: Shape) -> Array:
        return np.ones(shape)


class Identity(Initializer):
    """``gain`` times the identity matrix; ``ValueError`` unless the shape has two axes."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def values(self, shape: Shape) -> Array:
        if len(shape) != 2:
            raise ValueError(
                "Identity matrix initializer can only be used for 2D matrices. "
                f"Received: shape={shape} of rank {len(shape)}."
            )
        return self.gain * np.eye(shape[0], shape[1])

    def get_config(self) -> Config:
        # Keras 3.15.1 leaves the gain out of the config.
        return {}


class RandomInitializer(Initializer):
    """An initializer that draws numbers; ``ValueError`` unless ``seed`` is an int or ``None``."""

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None and not isinstance(seed, int):
            raise ValueError(
                "`seed` argument should be an instance of `keras.random.SeedGenerator()` or an "
                f"integer. Received: seed={seed}"
            )
        self._given_seed = seed
        self.seed = secrets.randbits(32) if seed is None else seed

    def generator(self) -> np.random.Generator:
        """Return a generator at the start of this initializer's stream."""
        return np.random.default_rng(self.seed & (2**64 - 1))

    def get_config(self) -> Config:
        return {"seed": self._given_seed}


def truncated_normal(generator: np.random.Generator, shape: Shape) -> Array:
    """Draw standard normal numbers, again where they lie beyond two standard deviations."""
    numbers = generator.standard_normal(shape)
    while np.any(beyond := np.abs(numbers) > 2.0):
        numbers[beyond] = generator.standard_normal(int(np.count_nonzero(beyond)))
    return numbers


class RandomNormal(RandomInitializer):
    """Normal numbers with the given mean and standard deviation."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def values(self, shape: Shape) -> Array:
        return self.mean + self.stddev * self.generator().standard_normal(shape)

    def get_config(self) -> Config:
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


class TruncatedNormal(RandomNormal):
    """Normal numbers, redrawn beyond two standard deviations from the mean."""

    def values(self, shape: Shape) -> Array:
        return self.mean + self.stddev * truncated_normal(self.generator(), shape)


class RandomUniform(RandomInitializer):
    """Uniform numbers from ``minval`` (included) to ``maxval`` (excluded before rounding)."""

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        super().__init__(seed)
        self.minval = minval
        self.maxval = maxval

    def values(self, shape: Shape) -> Array:
        return self.generator().uniform(self.minval, self.maxval, shape)

    def get_config(self) -> Config:
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


def fans(
    shape: Shape, input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
) -> tuple[int, int]:
    """Return the input and output units of a weight.

    A kernel (kh, kw, C // groups, filters) has ``kh * kw * C // groups`` input units and
    ``kh * kw * filters`` output units, unless both axes arguments say otherwise.
    """
    if input_axes is not None and output_axes is not None:
        return (
            math.prod(shape[axis] for axis in input_axes),
            math.prod(shape[axis] for axis in output_axes),
        )
    if len(shape) < 2:
        units = math.prod(shape)
        return units, units
    receptive_field = math.prod(shape[:-2])
    return shape[-2] * receptive_field, shape[-1] * receptive_field


class VarianceScaling(RandomInitializer):
    """Numbers with variance ``scale / n``, ``n`` being the units that ``mode`` counts.

    ``mode`` is ``fan_in``, ``fan_out`` or ``fan_avg``; ``distribution`` is ``truncated_normal``
    (also ``normal``), ``untruncated_normal`` or ``uniform``; ``ValueError`` otherwise.
    """

    MODES = ("fan_in", "fan_out", "fan_avg")
    DISTRIBUTIONS = ("uniform", "truncated_normal", "untruncated_normal")

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        if scale <= 0.0:
            raise ValueError(f"Argument `scale` must be positive float. Received: scale={scale}")
        if mode not in self.MODES:
            raise ValueError(f"Invalid `mode` argument: {mode}. Please use one of {self.MODES}")
        distribution = distribution.lower()
        if distribution == "normal":
            distribution = "truncated_normal"
        if distribution not in self.DISTRIBUTIONS:
            raise ValueError(
                f"Invalid `distribution` argument: {distribution}. "
                f"Please use one of {self.DISTRIBUTIONS}"
            )
        super().__init__(seed)
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.input_axes = input_axes
        self.output_axes = output_axes

    def values(self, shape: Shape) -> Array:
        fan_in, fan_out = fans(shape, self.input_axes, self.output_axes)
        units = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}
        stddev = math.sqrt(self.scale / max(1.0, units[self.mode]))
        generator = self.generator()
        if self.distribution == "uniform":
            limit = math.sqrt(3.0) * stddev
            return generator.uniform(-limit, limit, shape)
        if self.distribution == "untruncated_normal":
            return stddev * generator.standard_normal(shape)
        return stddev / TRUNCATED_STDDEV * truncated_normal(generator, shape)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


class _Scaled(VarianceScaling):
    """A variance scaling whose scale, mode and distribution its name fixes."""

    FIXED: tuple[float, str, str]

    def __init__(
        self,
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(*self.FIXED, seed, input_axes, output_axes)

    def get_config(self) -> Config:
        config = super().get_config()
        return {name: config[name] for name in ("seed", "input_axes", "output_axes")}


class GlorotUniform(_Scaled):
    """Uniform, variance ``2 / (fan_in + fan_out)``."""

    FIXED = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """Truncated normal, variance ``2 / (fan_in + fan_out)``."""

    FIXED = (1.0, "fan_avg", "truncated_normal")


class LecunUniform(_Scaled):
    """Uniform, variance ``1 / fan_in``."""

    FIXED = (1.0, "fan_in", "uniform")


class LecunNormal(_Scaled):
    """Truncated normal, variance ``1 / fan_in``."""

    FIXED = (1.0, "fan_in", "truncated_normal")


class HeUniform(_Scaled):
    """Uniform, variance ``2 / fan_in``."""

    FIXED = (2.0, "fan_in", "uniform")


class HeNormal(_Scaled):
    """Truncated normal, variance ``2 / fan_in``."""

    FIXED = (2.0, "fan_in", "truncated_normal")


class Orthogonal(RandomInitializer):
    """``gain`` times a matrix with orthonormal rows or columns, whichever are fewer.

    A kernel is that matrix with all axes but the last as rows. ``ValueError`` for fewer than two
    axes.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def values(self, shape: Shape) -> Array:
        if len(shape) < 2:
            raise ValueError(
                "The tensor to initialize must be at least two-dimensional. "
                f"Received: shape={shape} of rank {len(shape)}."
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, columns), min(rows, columns))
        q, r = np.linalg.qr(self.generator().standard_normal(tall))
        # The signs of R's diagonal make the distribution uniform over orthogonal matrices.
        q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
        return self.gain * (q.T if rows < columns else q).reshape(shape)

    def get_config(self) -> Config:
        return {**super().get_config(), "gain": self.gain}


REGISTRY = Registry(
    "initializer",
    (
        Initializer,
        Constant,
        Zeros,
        Ones,
        Identity,
        RandomNormal,
        TruncatedNormal,
        RandomUniform,
        VarianceScaling,
        GlorotUniform,
        GlorotNormal,
        LecunUniform,
        LecunNormal,
        HeUniform,
        HeNormal,
        Orthogonal,
    ),
    {
        "IdentityInitializer": Identity,
        "OrthogonalInitializer": Orthogonal,
        "normal": RandomNormal,
        "uniform": RandomUniform,
        "one": Ones,
        "zero": Zeros,
    },
)
serialize = REGISTRY.serialize
deserialize = REGISTRY.deserialize


def get(identifier: Any) -> Any:
    """Return the initializer that ``identifier`` stands for; ``None`` stays ``None``.

    Beyond :meth:`Registry.get`, an array stands for itself: the weight must have its shape, or
    building the layer raises ``ValueError``. ``"constant"`` raises ``KeyError``, as in Keras.
    """
    if not isinstance(identifier, (np.ndarray, np.generic)) or isinstance(identifier, str):
        return REGISTRY.get(identifier)

    def initialize_fn(shape: Shape, dtype: Any = None) -> Array:
        if tuple(shape) != identifier.shape:
            raise ValueError(
                f"Expected `shape` to be {identifier.shape} for direct tensor as initializer. "
                f"Received shape={shape}"
            )
        return round_to(np.array(identifier), format_of(dtype or "float32"))

    return initialize_fn
