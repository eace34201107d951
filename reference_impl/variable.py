"""A weight of a layer: a named array that keeps its shape and dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from reference_impl.dtypes import format_of
from reference_impl.rounding import round_to

Array = npt.NDArray[Any]


class Variable:
    """A weight with the part of ``keras.Variable`` that a layer's user needs.

    ``dtype`` is a string as in Keras, ``path`` is ``<layer>/<name>``. ``np.asarray(variable)`` is a
    read-only view of the value; ``numpy()`` is a copy.
    """

    __slots__ = ("_value", "constraint", "dtype", "name", "path", "regularizer", "trainable")

    def __init__(
        self,
        value: npt.ArrayLike,
        *,
        dtype: str,
        name: str,
        path: str,
        regularizer: Callable[[Any], Any] | None = None,
        constraint: Callable[[Any], Any] | None = None,
    ) -> None:
        self._value = round_to(np.array(value), format_of(dtype))
        self.dtype = dtype
        self.name = name
        self.path = path
        self.regularizer = regularizer
        self.constraint = constraint
        self.trainable = True

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape, fixed at creation."""
        return self._value.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._value.ndim

    @property
    def size(self) -> int:
        """The number of elements."""
        return self._value.size

    def assign(self, value: npt.ArrayLike) -> None:
        """Replace the value by a copy of ``value``, rounded to this variable's dtype.

        Raises ``ValueError`` if the shape differs: nothing is broadcast.
        """
        new = np.array(value)
        if new.shape != self.shape:
            raise ValueError(
                "The shape of the target variable and the shape of the target value in "
                f"`variable.assign(value)` must match. variable.shape={self.shape}, "
                f"Received: value.shape={new.shape}. Target variable: {self}"
            )
        self._value = round_to(new, format_of(self.dtype))

    def numpy(self) -> Array:
        """Return a copy of the value."""
        return self._value.copy()

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        target = self._value.dtype if dtype is None else np.dtype(dtype)
        if copy or (copy is None and target != self._value.dtype):
            return self._value.astype(target)
        if target != self._value.dtype:
            raise ValueError(
                f"A {self.dtype} variable cannot be viewed as {target} without a copy."
            )
        view = self._value.view()
        view.flags.writeable = False
        return view

    def __repr__(self) -> str:
        return (
            f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}, "
            f"value={self._value}>"
        )
