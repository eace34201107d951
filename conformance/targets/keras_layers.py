"""Layers of Keras among what is given, recognised by what they are; no engine is imported here."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conformance.adapters.keras_layer import Keras


def layer_class(thing: Any) -> Any:
    """The class of a Keras layer that was made, anything else as it is.

    The arguments of the one that was made do not matter: those of a case take their place.
    """
    return type(thing) if is_keras(type(thing)) else thing


def is_keras(thing: Any) -> bool:
    """Whether `thing` is a class of Keras layers."""
    # Nobody has one where Keras was not imported.
    kind = getattr(sys.modules.get("keras"), "Layer", None)
    return inspect.isclass(kind) and inspect.isclass(thing) and issubclass(thing, kind)


def makes_keras(factory: Callable[..., Any]) -> bool:
    """Whether `factory` makes layers of Keras; it is called once to find out."""
    try:
        return is_keras(type(factory(filters=1, kernel_size=1)))
    except Exception:  # noqa: BLE001 - a stranger's factory; the first case tells what is wrong
        return False


def adapter_around(made_by: Callable[..., Any], package: str = "") -> Keras:
    """The adapter for the layers that `made_by` makes, on the backend that Keras has here.

    `package` is where they come from, with its version.
    """
    from conformance.adapters.keras_layer import Keras
    from conformance.targets.shipped import ADAPTERS, adapter_of

    name = f"keras-{sys.modules['keras'].config.backend()}"
    kind: Any = adapter_of(name) if name in ADAPTERS else Keras
    adapter: Keras = kind(made_by, package=package)
    return adapter


class _BeforeKeras(MetaPathFinder):
    """Sets what is missing in the environment as soon as somebody imports Keras."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        if fullname == "keras":
            for name, value in self._environment.items():
                os.environ.setdefault(name, value)


def expect_keras() -> None:
    """Before foreign code is imported: Keras will find one thread and no GPU there.

    What its user has set stays, and the backend is the user's too.
    """
    if any(isinstance(finder, _BeforeKeras) for finder in sys.meta_path):
        return
    from conformance.adapters.keras_layer import OF_ANY_BACKEND

    sys.meta_path.insert(0, _BeforeKeras(OF_ANY_BACKEND))
