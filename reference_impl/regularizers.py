"""The regularizers that Keras 3.15.1 knows by name: penalties on a weight or on the output.

Each takes an array and returns a ``float``, summed in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from reference_impl.serialization import Config, Configurable, Registry

Array = npt.NDArray[Any]


def _factor(value: Any, name: str) -> float:
    if not isinstance(value, (float, int)) or not math.isfinite(value) or value < 0:
        raise ValueError(
            f"Invalid value for argument {name}: expected a non-negative float."
            f"Received: {name}={value}"
        )
    return float(value)


def _float64(x: npt.ArrayLike) -> Array:
    return np.asarray(x).astype(np.float64)


class Regularizer(Configurable):
    """Base class: no penalty, and no config."""

    def __call__(self, x: npt.ArrayLike) -> float:
        """Return the penalty on ``x``."""
        return 0.0

    def get_config(self) -> Config:
        raise NotImplementedError(f"{self} does not implement get_config()")


class L1L2(Regularizer):
    """``l1 * sum(|x|) + l2 * sum(x^2)``; ``ValueError`` for a negative or infinite factor."""

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = _factor(0.0 if l1 is None else l1, "l1")
        self.l2 = _factor(0.0 if l2 is None else l2, "l2")

    def __call__(self, x: npt.ArrayLike) -> float:
        values = _float64(x)
        # A zero factor drops its term, so that infinite values do not make it NaN.
        terms = ((self.l1, np.abs), (self.l2, np.square))
        return sum(
            (factor * float(np.sum(power(values))) for factor, power in terms if factor), 0.0
        )

    def get_config(self) -> Config:
        return {"l1": self.l1, "l2": self.l2}


class L1(Regularizer):
    """``l1 * sum(|x|)``; ``ValueError`` for a negative or infinite factor."""

    def __init__(self, l1: float | None = 0.01) -> None:
        # Keras keeps this factor as a float32 tensor, which shows in the config.
        self.l1 = float(np.float32(_factor(0.01 if l1 is None else l1, "l1")))

    def __call__(self, x: npt.ArrayLike) -> float:
        return self.l1 * float(np.sum(np.abs(_float64(x))))

    def get_config(self) -> Config:
        return {"l1": self.l1}


class L2(Regularizer):
    """``l2 * sum(x^2)``; ``ValueError`` for a negative or infinite factor."""

    def __init__(self, l2: float | None = 0.01) -> None:
        self.l2 = _factor(0.01 if l2 is None else l2, "l2")

    def __call__(self, x: npt.ArrayLike) -> float:
        return self.l2 * float(np.sum(np.square(_float64(x))))

    def get_config(self) -> Config:
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """``factor`` times the mean ``|cosine|`` between different rows (or columns) of a matrix.

    ``ValueError`` for another ``mode``, and for an array that has not two axes: a kernel of Conv2D
    has four, so this can regularize no weight of it.
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = float(np.float32(_factor(factor, "factor")))
        if mode not in ("rows", "columns"):
            raise ValueError(
                "Invalid value for argument `mode`. Expected one of "
                f'{{"rows", "columns"}}. Received: mode={mode}'
            )
        self.mode = mode

    def __call__(self, x: npt.ArrayLike) -> float:
        values = _float64(x)
        if values.ndim != 2:
            raise ValueError(
                "Inputs to OrthogonalRegularizer must have rank 2. "
                f"Received: inputs.shape={values.shape}"
            )
        vectors = values if self.mode == "rows" else values.T
        lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        cosines = (vectors / lengths) @ (vectors / lengths).T
        np.fill_diagonal(cosines, 0.0)
        count = len(vectors)
        pairs = count * (count - 1) / 2
        total = 0.5 * float(np.sum(np.abs(cosines)))
        return self.factor * total / pairs if pairs else math.nan

    def get_config(self) -> Config:
        return {"factor": self.factor, "mode": self.mode}


REGISTRY = Registry("regularizer", (Regularizer, L1, L2, L1L2, OrthogonalRegularizer))
get = REGISTRY.get
serialize = REGISTRY.serialize
deserialize = REGISTRY.deserialize
