"""The constraints that Keras 3.15.1 knows by name: projections of a weight.

Each takes a weight and returns a new array of its shape and dtype, computed in float64 and rounded
once. A layer only keeps them: Keras' optimizers apply them after an update, nothing else does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from reference_impl.dtypes import format_of
from reference_impl.rounding import round_to
from reference_impl.serialization import Config, Configurable, Registry

Array = npt.NDArray[Any]
Axis = int | Sequence[int]

# keras.config.epsilon(), which keeps the norm of a zero weight from dividing by zero.
EPSILON = 1e-7


class Constraint(Configurable):
    """Base class: every weight is allowed."""

    def __call__(self, w: npt.ArrayLike) -> Array:
        """Return the allowed weight for ``w``."""
        weight = np.asarray(w)
        return round_to(self.project(weight.astype(np.float64)), format_of(weight.dtype))

    def project(self, w: Array) -> Array:
        """Return the projection of a float64 weight."""
        return w


class NonNeg(Constraint):
    """Negative weights become 0."""

    def project(self, w: Array) -> Array:
        return np.maximum(w, 0.0)


class _Norm(Constraint):
    """Rescale the vectors along ``axis`` to the length that ``desired`` gives."""

    axis: Axis

    def desired(self, norms: Array) -> Array:
        raise NotImplementedError

    def project(self, w: Array) -> Array:
        axis = self.axis if isinstance(self.axis, int) else tuple(self.axis)
        norms: Array = np.sqrt(np.sum(np.square(w), axis=axis, keepdims=True))
        return w * (self.desired(norms) / (EPSILON + norms))

    def get_config(self) -> Config:
        return dict(vars(self))


class MaxNorm(_Norm):
    """Vectors along ``axis`` are at most ``max_value`` long."""

    def __init__(self, max_value: float = 2, axis: Axis = 0) -> None:
        self.max_value = max_value
        self.axis = axis

    def desired(self, norms: Array) -> Array:
        return np.clip(norms, 0.0, self.max_value)


class UnitNorm(_Norm):
    """Vectors along ``axis`` have length 1."""

    def __init__(self, axis: Axis = 0) -> None:
        self.axis = axis

    def desired(self, norms: Array) -> Array:
        return np.ones_like(norms)


class MinMaxNorm(_Norm):
    """Lengths along ``axis`` move by ``rate`` of the way into ``[min_value, max_value]``."""

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: Axis = 0,
    ) -> None:
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def desired(self, norms: Array) -> Array:
        clipped = np.clip(norms, self.min_value, self.max_value)
        return self.rate * clipped + (1.0 - self.rate) * norms


REGISTRY = Registry(
    "constraint",
    (Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm),
    base_module="keras.constraints",
)
get = REGISTRY.get
serialize = REGISTRY.serialize
deserialize = REGISTRY.deserialize
