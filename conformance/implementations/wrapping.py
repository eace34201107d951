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


def wrap(name: str, target: Any) -> Implementation:
    """An `Implementation` called `name` around a function, a layer class or a factory.

    A class with ``build``, or a callable whose first parameter is ``filters``, is a layer; any
    other callable is a function.

    Raises:
        UsageError: `target` cannot be called, or is an `Implementation` that lacks something.
    """
    if inspect.isclass(target) and issubclass(target, Implementation):
        try:
            target = target()
        except Exception as error:  # noqa: BLE001 - a stranger's constructor
            raise UsageError(f"making {name!r} fails: {describe(error)}") from None
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
    if (inspect.isclass(target) and hasattr(target, "build")) or (
        _first_parameter(target) == "filters"
    ):
        made = LayerImplementation(name, target, version=_version(target))
    else:
        made = FunctionImplementation(name, target, version=_version(target))
    made.expected_failures = getattr(target, "expected_failures", ())
    return made


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
        if inspect.isfunction(static) and _first_parameter(static) == first:
            raise UsageError(
                f"{name!r}: {method} takes {first} first and would be given the object itself; "
                "define it with self, or as a staticmethod"
            )
    if implementation.declared.gradients and implementation.gradients is None:
        raise UsageError(f"{name!r} claims gradients but defines no method gradients")


def _shown(value: object) -> str:
    return " ".join(repr(value).split())[:60]


def _first_parameter(target: Callable[..., Any]) -> str | None:
    try:
        return next(iter(inspect.signature(target).parameters), None)
    except (TypeError, ValueError):  # builtins without a signature
        return None


def _version(target: Any) -> str:
    package = sys.modules.get(str(getattr(target, "__module__", "")).partition(".")[0])
    return str(getattr(package, "__version__", ""))
