"""What a campaign measures: a function or a layer, behind one small interface."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from conformance.case import Case
from conformance.data import Arrays
from reference_impl.dtypes import as_dtype

Shape = tuple[int | None, ...]


class Prepared(Protocol):
    """An implementation set up for one case: arguments and weights are in place."""

    def call(self, x: NDArray[Any]) -> Any:
        """The implementation's result for `x`, as it returns it."""

    def weights(self) -> list[NDArray[Any]]:
        """Kernel and bias as the implementation holds them now."""

    def compute_output_shape(self, input_shape: Shape) -> Any:
        """What a layer says it will return; functions do not have it."""


class Implementation:
    """Something that computes Conv2D.

    Attributes:
        name: as given to ``--impl``.
        kind: ``function`` or ``layer``; decides which checks apply.
        version: shown in the report.
        accumulation: the precision its float64 sums are held to.
        costly_calls: True where a call costs more than checking it: checks that need further calls
            are then made on a part of the cases.
        unsupported_errors: exceptions that mean "not on this backend", besides `Unsupported`.
    """

    name: str
    kind: str
    version: str = ""
    accumulation: str = "float64"
    costly_calls: bool = False
    unsupported_errors: tuple[type[BaseException], ...] = ()

    def setup(self) -> None:
        """Called once in the process that will run it, before the first case."""

    def close(self) -> None:
        """Called once after the last case."""

    def prepare(self, case: Case, data: Arrays) -> Prepared:
        """Bring arguments and weights of `case` in place."""
        raise TypeError(f"{type(self).__name__} must define prepare")

    def to_numpy(self, result: Any) -> NDArray[Any]:
        """The result as an array.

        Raises:
            TypeError: it is not an array.
        """
        if isinstance(result, np.ndarray):
            return result
        if hasattr(result, "__array__"):
            return np.asarray(result)
        raise TypeError(f"returns {_describe(result)} instead of an array")


class FunctionImplementation(Implementation):
    """A function with the contract ``conv2d(x, kernel, bias=None, *, strides, padding, ...)``.

    It declares nothing, so its float64 sums are held to float32 precision only.
    """

    kind = "function"
    accumulation = "float32"

    def __init__(self, name: str, function: Callable[..., Any], *, version: str = "") -> None:
        self.name, self.version = name, version
        self._function = function

    def prepare(self, case: Case, data: Arrays) -> Prepared:
        return _FunctionCall(self._function, data, case.function_arguments())


class _FunctionCall:
    def __init__(
        self, function: Callable[..., Any], data: Arrays, arguments: dict[str, Any]
    ) -> None:
        self._function, self._data, self._arguments = function, data, arguments

    def call(self, x: NDArray[Any]) -> Any:
        return self._function(x, self._data.kernel, self._data.bias, **self._arguments)

    def weights(self) -> list[NDArray[Any]]:
        return [w for w in (self._data.kernel, self._data.bias) if w is not None]

    def compute_output_shape(self, input_shape: Shape) -> Any:
        raise TypeError("a function has no compute_output_shape")


class LayerImplementation(Implementation):
    """A class or factory with the signature and methods of Keras' Conv2D.

    A layer is built once for consecutive cases that differ only in their inputs and weights, and
    given new weights through ``set_weights``, as a user would.
    """

    kind = "layer"

    def __init__(self, name: str, factory: Callable[..., Any], *, version: str = "") -> None:
        self.name, self.version = name, version
        self._factory = factory
        self._key: tuple[Any, ...] | None = None
        self._layer: Any = None

    def prepare(self, case: Case, data: Arrays) -> Prepared:
        dtype = as_dtype(case.variable_dtype)
        weights = [w.astype(dtype) for w in (data.kernel, data.bias) if w is not None]
        key = case.layer_key()
        if key == self._key:
            self._layer.set_weights(weights)
        else:
            self._key = None
            self._layer = self.build(case, weights)
            self._key = key
        return _LayerCall(self._layer)

    def build(self, case: Case, weights: Sequence[NDArray[Any]]) -> Any:
        """A new layer for `case` that holds `weights`."""
        layer = self._factory(**case.layer_arguments())
        layer.build(case.input_shape)
        layer.set_weights(list(weights))
        return layer


class _LayerCall:
    def __init__(self, layer: Any) -> None:
        self._layer = layer

    def call(self, x: NDArray[Any]) -> Any:
        return self._layer(x)

    def weights(self) -> list[NDArray[Any]]:
        return [np.asarray(w) for w in self._layer.get_weights()]

    def compute_output_shape(self, input_shape: Shape) -> Any:
        return self._layer.compute_output_shape(input_shape)


def _describe(value: Any) -> str:
    if value is None:
        return "None"
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
