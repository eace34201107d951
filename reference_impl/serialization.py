"""The identifier rules that initializers, regularizers and constraints share (Keras 3.15.1).

A :class:`Registry` turns what a caller may write (a name, a class, an instance, a callable, a
config dict) into an object, and an object back into Keras' config dict
``{"module", "class_name", "config", "registered_name"}``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Config = dict[str, Any]


def snake_case(name: str) -> str:
    """Return ``name`` as Keras derives names from classes: ``L1L2`` -> ``l1l2``."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def plain(value: Any) -> Any:
    """Return ``value`` as it stands in a config: NumPy scalars as Python numbers, arrays tagged."""
    if isinstance(value, np.ndarray) and value.ndim:
        config = {"value": value.tolist(), "dtype": value.dtype.name}
        return {"class_name": "__numpy__", "config": config}
    return value.item() if isinstance(value, (np.generic, np.ndarray)) else value


def unplain(value: Any) -> Any:
    """Return what :func:`plain` was given, as far as it was kept."""
    if isinstance(value, Mapping) and value.get("class_name") == "__numpy__":
        return np.array(value["config"]["value"], dtype=value["config"]["dtype"])
    return value


def object_config(obj: Any, *, module: str | None = None) -> Config:
    """Return the config dict of ``obj``; ``module`` is the public Keras module of a built-in class.

    Objects with ``get_config`` keep it; functions keep their name only, as in Keras. Raises
    ``TypeError`` for an object with neither.
    """
    if not inspect.isroutine(obj) and hasattr(obj, "get_config"):
        cls = type(obj)
        own_module = None if cls.__module__ == "__main__" else cls.__module__
        return {
            "module": module or own_module,
            "class_name": cls.__name__,
            "config": {key: plain(value) for key, value in obj.get_config().items()},
            "registered_name": None if module else cls.__name__,
        }
    if hasattr(obj, "__name__"):
        kind = type(obj).__name__
        return {
            "module": "builtins",
            "class_name": kind,
            "config": obj.__name__,
            "registered_name": kind,
        }
    raise TypeError(
        f"Cannot serialize object {obj} of type {type(obj)}. "
        "To be serializable, a class must implement the `get_config()` method."
    )


@dataclass(frozen=True, slots=True)
class Registry:
    """The built-in classes of one kind of layer part.

    ``classes[0]`` is the base class. Names are case-sensitive: each class name, its snake case and
    the ``aliases``; ``names`` has them all.
    """

    kind: str
    classes: tuple[type[Any], ...]
    aliases: Mapping[str, type[Any]] = field(default_factory=dict)
    base_module: str = "keras"
    names: dict[str, type[Any]] = field(init=False)

    def __post_init__(self) -> None:
        by_name = {cls.__name__: cls for cls in self.classes}
        snake = {snake_case(name): cls for name, cls in by_name.items()}
        object.__setattr__(self, "names", {**by_name, **snake, **self.aliases})

    def get(self, identifier: Any) -> Any:
        """Return the object that ``identifier`` stands for; ``None`` stays ``None``.

        Accepts a name, a config dict, a class (instantiated), an instance or any callable. Raises
        ``ValueError`` for anything else, and what the class raises for a config it cannot use.
        """
        if identifier is None:
            return None
        found: Any = identifier
        if isinstance(identifier, dict):
            found = self.deserialize(identifier)
        elif isinstance(identifier, str):
            found = self.deserialize({"class_name": str(identifier), "config": {}})
        if not callable(found):
            raise ValueError(f"Could not interpret {self.kind} identifier: {identifier}")
        return found() if inspect.isclass(found) else found

    def serialize(self, obj: Any) -> Config | None:
        """Return the config dict of ``obj`` as Keras writes it, ``None`` for ``None``."""
        if obj is None:
            return None
        if type(obj) not in self.classes:
            return object_config(obj)
        is_base = type(obj) is self.classes[0]
        return object_config(obj, module=self.base_module if is_base else f"keras.{self.kind}s")

    def deserialize(self, config: Mapping[str, Any]) -> Any:
        """Return the object of a config dict; an unknown class name is returned as it is.

        Raises ``ValueError`` without ``class_name``, and ``TypeError`` for ``module=None``, for a
        ``config`` that is no dict, or for arguments the class does not take.
        """
        if "class_name" not in config:
            raise ValueError(f"Unknown `config` as a `dict`, config={config}")
        name = config["class_name"]
        if name == "function":
            name = config["config" if config["module"] == "builtins" else "registered_name"]
        elif config.get("module", "_") is None:
            raise TypeError(
                f"Cannot deserialize object of type `{name}`. If `{name}` is a custom class, "
                "pass an instance of it: only built-in classes are known by name."
            )
        if name not in self.names:
            return name
        cls = self.names[name]
        arguments = config.get("config")
        if arguments is None:
            arguments = {}
        if not isinstance(arguments, dict):
            raise TypeError(
                f"Expected 'config' to be a dict for {name}, instead got {type(arguments)}. "
                f"Full config: {config}"
            )
        try:
            return cls.from_config(arguments)
        except TypeError as error:
            raise TypeError(
                f"{cls} could not be deserialized from config={config}: {error}"
            ) from error


class Configurable:
    """An object rebuilt from the constructor arguments that ``get_config`` returns."""

    def get_config(self) -> Config:
        """Return the constructor arguments as a dict that JSON can hold."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        """Return a new object from what ``get_config`` gave."""
        construct: Callable[..., Any] = cls
        return construct(**{key: unplain(value) for key, value in config.items()})
