"""What a campaign measures: a function or a layer, behind one small interface."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from conformance.calls import Kind
from conformance.capabilities import EVERYTHING, Capabilities
from conformance.case import Case
from conformance.data import OVERWRITTEN, Arrays
from conformance.errors import Unsupported
from conformance.implementations.info import Info, Reproducer
from conformance.machine import instruction_set
from conformance.printable import in_a_line
from reference_impl.dtypes import as_dtype

Shape = tuple[int | None, ...]


class NotAnArrayError(TypeError):
    """What was returned is no array; says what it is."""


class Prepared(Protocol):
    """An implementation set up for one case: arguments and weights are in place."""

    def call(self, x: NDArray[Any]) -> Any:
        """The implementation's result for `x`, as it returns it."""

    def weights(self) -> list[NDArray[Any]]:
        """Kernel and bias as the implementation holds them now."""

    def compute_output_shape(self, input_shape: Shape) -> Any:
        """What a layer says it will return; functions do not have it."""


class Implementation:
    """Something that computes Conv2D. Subclass it and define ``conv2d``, ``layer`` or both.

    Attributes:
        name: as given to ``--impl``; a subclass need not set it.
        version: shown in the report.
        capabilities: what it does; None declares nothing, and then it is asked everything.
        conv2d: a method ``conv2d(x, kernel, bias=None, *, strides, padding, data_format,
            dilation_rate, groups)``: x is (N, H, W, C) or (N, C, H, W), kernel (kh, kw, C //
            groups, filters), bias (filters,) or None; strides and dilation_rate are pairs, padding
            is ``valid`` or ``same``. Returns an array in the dtype and layout of `x`, or raises
            `Unsupported`.
        layer: a method or factory with the signature of Keras' Conv2D that returns a layer. Where
            there is one, it is what is measured, and ``conv2d`` is compared beside it.
        gradients: a method ``gradients(x, kernel, bias, upstream, **arguments)``, arguments as for
            ``conv2d``: returns the gradients with respect to x, kernel and bias (None without one)
            of a scalar whose gradient with respect to the result is `upstream`.
        expected_failures: entries as in an expected-failure file; see `expected_failure`.
        unsupported_errors: exceptions that mean "not on this backend", besides `Unsupported`.
        costly_calls: True where a call costs more than checking it: checks that need further calls
            are then made on a part of the cases.
        contract: whether the layer is asked for Keras' whole contract: attributes, configuration,
            losses and so on. None asks a class that has ``get_config`` and ``from_config``.
        modes: the ways, of `variations.table.MODES`, in which its layers can be called.
        may_overwrite: whether arrays are overwritten once its layer was given them as weights.
        recorded: True where results were made beforehand, and no further call can be made.
        runs_own_process: True where a process that it starts computes; its memory counts too.
        known_as: further names by which entries of expected failures find it, such as that of the
            adapter whose code it runs.
        onednn: whether oneDNN computes; None where that is not known.
    """

    name: str = ""
    version: str = ""
    capabilities: Capabilities | None = None
    conv2d: Callable[..., Any] | None = None
    layer: Callable[..., Any] | None = None
    gradients: Callable[..., Any] | None = None
    expected_failures: Sequence[Mapping[str, Any]] = ()
    unsupported_errors: tuple[type[BaseException], ...] = ()
    costly_calls: bool = False
    contract: bool | None = None
    modes: Sequence[str] = ()
    may_overwrite: bool = True
    recorded: bool = False
    runs_own_process: bool = False
    known_as: tuple[str, ...] = ()
    onednn: bool | None = None

    keras: Any = None  # the module, where layers are Keras'
    _key: tuple[Any, ...] | None = None
    _layer: Any = None

    @property
    def kind(self) -> str:
        """``layer`` or ``function``; decides which checks apply."""
        return "function" if self.layer is None else "layer"

    @property
    def declared(self) -> Capabilities:
        """Its capabilities, or what is assumed of one that declares none."""
        return EVERYTHING if self.capabilities is None else self.capabilities

    @property
    def answers(self) -> frozenset[Kind]:
        """The kinds of calls that it can be asked for."""
        absent = set()
        if self.layer is None:
            absent |= {Kind.OUTPUT_SHAPE, Kind.FUNCTION}
        if self.layer is None or not self._has_contract():
            absent |= {Kind.LIFE, Kind.PLAIN_LIFE}
        if self.conv2d is None:
            absent.add(Kind.FUNCTION)
        if not self.declared.gradients or self.gradients is None:
            absent.add(Kind.GRADIENTS)
        return frozenset(Kind) - absent

    def info(self, target: str = "") -> Info:
        """Who this is, once set up; `target` as for `reproducer`."""
        return Info(
            name=self.name,
            kind=self.kind,
            version=str(self.version),
            capabilities=self.capabilities,
            declared=self.declared,
            costly_calls=self.costly_calls,
            recorded=self.recorded,
            runs_own_process=self.runs_own_process,
            answers=self.answers,
            modes=tuple(self.modes),
            reproducer=self.reproducer(target),
            named=bool(target),
            known_as=self.known_as,
            onednn=self.onednn,
            isa=instruction_set(),
            expected_failures=tuple(dict(e) for e in self.expected_failures),
        )

    def _has_contract(self) -> bool:
        if self.contract is not None:
            return self.contract
        return inspect.isclass(self.layer) and all(
            hasattr(self.layer, name) for name in ("get_config", "from_config")
        )

    def symbolic(self, layer: Any, shape: Shape, dtype: str | None = None) -> Any:
        """Shape and dtype of a call on a tensor that has only these; None where there is none.

        `dtype` is that of the tensor; by default the layer's own.
        """
        return None

    def in_mode(self, layer: Any, mode: str, x: NDArray[Any]) -> Any:
        """The result of calling `layer`, or an equal one, in one of `modes`."""
        raise Unsupported(f"mode {mode}")

    def globally(self, settings: Mapping[str, Any]) -> AbstractContextManager[None]:
        """Settings of Keras in place of arguments that are not passed."""
        return contextlib.nullcontext()

    def setup(self) -> None:
        """Called once in the process that will run it, before the first case."""

    def close(self) -> None:
        """Called once after the last case."""

    def prepare(self, case: Case, data: Arrays) -> Prepared:
        """Bring arguments and weights of `case` in place.

        A layer is built once for consecutive cases that differ only in their inputs and weights,
        and given new weights through ``set_weights``, as a user would.
        """
        if self.layer is None:
            return FunctionCall(self, data, case)
        dtype = as_dtype(case.variable_dtype)
        weights = [w.astype(dtype) for w in (data.kernel, data.bias) if w is not None]
        key = case.layer_key()
        if key == self._key:
            self._assign(self._layer, weights)
        else:
            self._key = None
            self._layer = self.build(case, weights)
            self._key = key
        return LayerCall(self._layer)

    def build(self, case: Case, weights: Sequence[NDArray[Any]]) -> Any:
        """A new layer for `case` that holds `weights`."""
        assert self.layer is not None
        layer = self.layer(**case.layer_arguments())
        layer.build(case.input_shape)
        self._assign(layer, weights)
        return layer

    def _assign(self, layer: Any, weights: Sequence[NDArray[Any]]) -> None:
        """Give the weights to the layer; who has done so may use the arrays for something else."""
        given = [np.array(w) for w in weights]
        layer.set_weights(given)
        for array in given if self.may_overwrite else []:
            array.fill(OVERWRITTEN)

    def reproducer(self, target: str) -> Reproducer:
        """How a script reaches it, without this suite if possible.

        `target` is the name that `resolve` takes for it, empty where it was given as an object.
        """
        own = type(self).prepare is not Implementation.prepare
        method = "" if own else "conv2d" if self.kind == "function" else "layer"
        made_by = f"implementation.{method}" if method else ""
        if not target:
            return Reproducer(defines=_given(self.name), made_by=made_by)
        case = ("from conformance.case import Case", "from conformance.data import arrays")
        return Reproducer(
            imports=(
                *(case if own else ()),
                "from conformance.targets import resolve",
                "",
                f"implementation = resolve({target!r})",
                "implementation.setup()",
            ),
            made_by=made_by,
            array="implementation.to_numpy",
            may_overwrite=self.may_overwrite,
        )

    def to_numpy(self, result: Any) -> NDArray[Any]:
        """The result as an array.

        Raises:
            NotAnArrayError: it is not an array.
        """
        if isinstance(result, np.ndarray):
            return result
        if hasattr(result, "__array__"):
            return np.asarray(result)
        raise NotAnArrayError(f"returns {_describe(result)} instead of an array")


class _Bare(Implementation):
    """What is given as it is, without a class of its own."""

    def reproducer(self, target: str) -> Reproducer:
        """Imported from its module, if it has one."""
        module, _, attribute = target.partition(":")
        if attribute:
            first = attribute.partition(".")[0]
            here = 'sys.path.insert(0, "")  # what lies in this folder'
            return Reproducer(imports=(here, f"from {module} import {first}"), made_by=attribute)
        plain = super().reproducer(target)
        return plain if target else replace(plain, made_by="implementation")


def _given(name: str) -> tuple[str, ...]:
    """What was given as an object has no name to import it by."""
    words = in_a_line(name)
    return (
        f"implementation = None  # what was measured, {words}: import or define it here",
        'assert implementation is not None, "implementation has to be defined first"',
    )


class FunctionImplementation(_Bare):
    """A function with the contract of `Implementation.conv2d`, which declares nothing."""

    def __init__(self, name: str, function: Callable[..., Any], *, version: str = "") -> None:
        self.name, self.version, self.conv2d = name, version, function


class LayerImplementation(_Bare):
    """A class or factory with the signature and methods of Keras' Conv2D."""

    def __init__(self, name: str, factory: Callable[..., Any], *, version: str = "") -> None:
        self.name, self.version, self.layer = name, version, factory


class FunctionCall:
    """The function of an implementation with the arguments and weights of a case."""

    def __init__(self, implementation: Implementation, data: Arrays, case: Case) -> None:
        self._implementation, self._data = implementation, data
        self._arguments = case.function_arguments()

    def call(self, x: NDArray[Any]) -> Any:
        conv2d = self._implementation.conv2d
        assert conv2d is not None
        return conv2d(x, self._data.kernel, self._data.bias, **self._arguments)

    def weights(self) -> list[NDArray[Any]]:
        return [w for w in (self._data.kernel, self._data.bias) if w is not None]

    def compute_output_shape(self, input_shape: Shape) -> Any:
        raise TypeError("a function has no compute_output_shape")


class LayerCall:
    """A layer that was built and holds its weights."""

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
