"""Who is measured: built-in implementations by name, anybody's by ``module:attr``."""

from __future__ import annotations

import difflib
import importlib
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any

from conformance.errors import UsageError, describe
from conformance.implementations.base import (
    FunctionImplementation,
    Implementation,
    LayerImplementation,
)


def _keras_tensorflow() -> Implementation:
    """Real keras.layers.Conv2D on the TensorFlow backend, called eagerly."""
    from conformance.implementations.keras_tensorflow import KerasTensorFlow

    return KerasTensorFlow()


def _reference() -> Implementation:
    """The reference layer itself; its values are what others are judged by."""
    from conformance.implementations.reference import Reference

    return Reference()


# Factories, so that naming an implementation imports nothing of it.
BUILT_IN: dict[str, Callable[[], Implementation]] = {
    "keras-tensorflow": _keras_tensorflow,
    "reference": _reference,
}


def resolve(name: str) -> Implementation:
    """The implementation called `name`, or the one at ``module:attr``; not set up yet.

    Raises:
        UsageError: there is no such implementation, module or attribute, or it is neither a
            function nor a layer.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]()
    if ":" not in name:
        close = difflib.get_close_matches(name, BUILT_IN, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise UsageError(
            f"unknown implementation {name!r}: known are {', '.join(BUILT_IN)}, and anything "
            f"importable as module:attr{hint}"
        )
    return wrap(name, _import(name))


def wrap(name: str, target: Any) -> Implementation:
    """An `Implementation` around a function, a layer class or a factory.

    A class with ``build``, or a callable whose first parameter is ``filters``, is a layer; any
    other callable is a function.

    Raises:
        UsageError: `target` cannot be called.
    """
    if isinstance(target, Implementation):
        target.name = name
        return target
    if inspect.isclass(target) and issubclass(target, Implementation):
        return wrap(name, target())
    if not callable(target):
        raise UsageError(
            f"{name!r} is {type(target).__name__} {target!r:.60}, not a function or a layer class"
        )
    version = _version(target)
    if inspect.isclass(target) and hasattr(target, "build"):
        return LayerImplementation(name, target, version=version)
    if _first_parameter(target) == "filters":
        return LayerImplementation(name, target, version=version)
    return FunctionImplementation(name, target, version=version)


def _import(name: str) -> Any:
    module_name, _, path = name.partition(":")
    if not module_name or not path:
        raise UsageError(f"{name!r} must have the form module:attr, such as mylib.conv:conv2d")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        target: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise UsageError(
                f"cannot import module {module_name!r} of {name!r}: there is no module "
                f"{error.name!r} here or among the installed packages"
            ) from None
        raise UsageError(f"importing {module_name!r} fails: {describe(error)}") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's module
        raise UsageError(f"importing {module_name!r} fails: {describe(error)}") from None
    for part in path.split("."):
        if not hasattr(target, part):
            public = [n for n in dir(target) if not n.startswith("_")]
            close = difflib.get_close_matches(part, public, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise UsageError(f"{name!r}: {module_name!r} has no attribute {path!r}{hint}")
        target = getattr(target, part)
    return target


def _first_parameter(target: Callable[..., Any]) -> str | None:
    try:
        return next(iter(inspect.signature(target).parameters), None)
    except (TypeError, ValueError):  # builtins without a signature
        return None


def _version(target: Any) -> str:
    package = sys.modules.get(getattr(target, "__module__", "").partition(".")[0])
    return str(getattr(package, "__version__", ""))


__all__ = ["BUILT_IN", "Implementation", "resolve", "wrap"]
