"""A function, a layer class or a factory as an `Implementation`, and what is refused as none."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Callable
from typing import Any

from conformance.capabilities import Capabilities
from conformance.errors import UsageError, describe
from conformance.implementations.base import (
    FunctionImplementation,
    Implementation,
    LayerImplementation,
)
from conformance.targets.keras_layers import adapter_around, is_keras, layer_class


def wrap(name: str, target: Any) -> Implementation:
    """An `Implementation` called `name` around a function, a layer class or a factory.

    A class with ``build``, or a callable whose first parameter is ``filters`` or given by keyword
    only, is a layer; any other callable is a function. A class of Keras layers gets the adapter of
    Keras, and a Keras layer that was made stands for its class.

    Raises:
        UsageError: `target` cannot be called, or is an `Implementation` that lacks something.
    """
    if inspect.isclass(target) and issubclass(target, Implementation):
        try:
            target = target()
        except Exception as error:  # noqa: BLE001 - a stranger's constructor
            raise UsageError(f"creating {name!r} failed: {describe(error)}") from None
    target = layer_class(target)
    if isinstance(target, Implementation):
        with contextlib.suppress(AttributeError):  # a property or a frozen dataclass keeps its own
            target.name = name
        _refuse_incomplete(target)
        return target
    if not callable(target):
        raise UsageError(
            f"{name!r} is {type(target).__name__} {_shown(target)}, not a function or a layer class"
        )
    if hasattr(target, "build") and not inspect.isclass(target):
        raise UsageError(f"{name!r} is a layer that was already made; give its class or a factory")
    made: Implementation
    if is_keras(target):
        made = wrap_keras(name, target)
    elif (inspect.isclass(target) and hasattr(target, "build")) or _makes_layers(target):
        made = LayerImplementation(name, target, version=_version(target))
    else:
        made = FunctionImplementation(name, target, version=_version(target))
    made.expected_failures = getattr(target, "expected_failures", ())
    return made


def wrap_keras(name: str, made_by: Callable[..., Any]) -> Implementation:
    """The adapter of Keras, called `name`, around a class of Keras layers or a factory of them."""
    package = str(getattr(made_by, "__module__", "")).partition(".")[0]
    version = "" if package == "keras" else _version(made_by)
    made = adapter_around(made_by, f"{package} {version}" if version else "")
    made.name, made.expected_failures = name, getattr(made_by, "expected_failures", ())
    return made


def _makes_layers(target: Callable[..., Any]) -> bool:
    """Whether its first parameter is ``filters``, or it takes none by position, as a function."""
    first = _first_parameter(target)
    if first is None:
        return False
    return first.name == "filters" or first.kind in (first.KEYWORD_ONLY, first.VAR_KEYWORD)


def _refuse_incomplete(implementation: Implementation) -> None:
    name = implementation.name
    try:
        capabilities = implementation.capabilities
    except Exception as error:  # noqa: BLE001 - a stranger's property
        raise UsageError(
            f"{name!r}: capabilities cannot be read before setup() ({describe(error)})"
        ) from None
    if capabilities is not None and not isinstance(capabilities, Capabilities):
        raise UsageError(
            f"{name!r}: capabilities must be a conformance.Capabilities, not {_shown(capabilities)}"
        )
    own = type(implementation).prepare is not Implementation.prepare
    if implementation.conv2d is None and implementation.layer is None and not own:
        raise UsageError(f"{name!r} defines neither conv2d nor layer")
    for method, first in (("conv2d", "x"), ("gradients", "x"), ("layer", "filters")):
        static = inspect.getattr_static(type(implementation), method)
        found = _first_parameter(static) if inspect.isfunction(static) else None
        if found is not None and found.name == first:
            raise UsageError(
                f"{name!r}: {method} takes {first} first and would be given the object itself; "
                "define it with self, or as a staticmethod"
            )
    if implementation.declared.gradients and implementation.gradients is None:
        raise UsageError(f"{name!r} claims gradients but defines no method gradients")


def _shown(value: object) -> str:
    return " ".join(repr(value).split())[:60]


def _first_parameter(target: Callable[..., Any]) -> inspect.Parameter | None:
    try:
        return next(iter(inspect.signature(target).parameters.values()), None)
    except (TypeError, ValueError):  # builtins without a signature
        return None


def _version(target: Any) -> str:
    package = sys.modules.get(str(getattr(target, "__module__", "")).partition(".")[0])
    return str(getattr(package, "__version__", ""))
