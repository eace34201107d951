"""Somebody to measure, in a form that other processes understand."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from conformance.errors import UsageError, describe
from conformance.implementations.base import Implementation
from conformance.targets.keras_layers import layer_class
from conformance.targets.wrapping import wrap


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody to measure, in a form that can be sent to another process.

    Attributes:
        name: as shown, and as given to ``--impl`` where `payload` is None.
        payload: the object itself, pickled, where no other process could import it by name.
        expected_failures: the entries it carries here, which an import elsewhere may not show.
    """

    name: str
    payload: bytes | None = None
    expected_failures: tuple[Mapping[str, Any], ...] = field(default=(), compare=False)


def target_of(thing: Any, name: str = "") -> Target:
    """The target of a name, a function, a layer class, or an `Implementation` or its class.

    Raises:
        UsageError: it cannot be sent to another process, or is nothing that can be measured.
    """
    if isinstance(thing, str):
        return Target(thing)
    thing = layer_class(thing)
    wrapped = wrap(name or _own_name(thing), thing)
    is_plain = not isinstance(thing, Implementation) and not (
        inspect.isclass(thing) and issubclass(thing, Implementation)
    )
    importable = _importable_name(thing) if is_plain and not name else ""
    entries = tuple(wrapped.expected_failures)
    if importable:
        return Target(importable, expected_failures=entries)
    return Target(wrapped.name, _pickled(thing), entries)


def _own_name(thing: Any) -> str:
    if isinstance(thing, Implementation) or (
        inspect.isclass(thing) and issubclass(thing, Implementation)
    ):
        kind = thing if inspect.isclass(thing) else type(thing)
        return thing.name if isinstance(thing.name, str) and thing.name else kind.__name__
    name = getattr(thing, "__name__", type(thing).__name__)
    return "lambda" if name == "<lambda>" else str(name)


def _importable_name(thing: Any) -> str:
    """``module:attr`` of a function or class that a fresh process would find, else empty."""
    module, path = getattr(thing, "__module__", None), getattr(thing, "__qualname__", "")
    if not module or "<" in path or not path or not _is_findable(module):
        return ""
    found: Any = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return f"{module}:{path}" if found is thing else ""


@cache
def _is_findable(module: str) -> bool:
    """Whether a fresh process with the same path would import the very file that is loaded here."""
    if module == "__main__":
        return False
    loaded = getattr(sys.modules.get(module), "__file__", None)
    path: Any = None
    spec: Any = None
    for number, _ in enumerate(parts := module.split("."), start=1):
        name = ".".join(parts[:number])
        # importlib.util.find_spec would answer from what is loaded.
        found = (finder.find_spec(name, path) for finder in sys.meta_path)
        spec = next((one for one in found if one is not None), None)
        if spec is None:
            return False
        path = spec.submodule_search_locations
    return bool(loaded and spec.origin and Path(spec.origin) == Path(loaded))


def _pickled(thing: Any) -> bytes:
    import cloudpickle

    module = sys.modules.get(
        getattr(thing, "__module__", "") if callable(thing) else type(thing).__module__
    )
    by_value = module is not None and not _is_findable(module.__name__)
    if by_value and module is not None and module.__name__ != "__main__":
        cloudpickle.register_pickle_by_value(module)
    try:
        return bytes(cloudpickle.dumps(thing))
    except Exception as error:  # noqa: BLE001 - whatever a stranger's object raises
        raise UsageError(
            f"{_own_name(thing)!r} cannot be sent to a process of its own ({describe(error)}); "
            "put it in a module and give module:attr, or make in setup() what cannot be copied"
        ) from None
