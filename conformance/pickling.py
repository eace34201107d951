"""Frozen dataclasses that are sent to other processes, at a fraction of the usual cost."""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import Any, TypeVar

T = TypeVar("T", bound=type[Any])


def pickled_by_arguments(cls: T) -> T:
    """Decorator of a dataclass with two arguments or more: its pickle has these alone.

    Reading one calls the constructor. What a frozen dataclass with slots does by itself goes
    through all fields in Python, each time.
    """
    names = tuple(f.name for f in fields(cls) if f.init)
    values = attrgetter(*names)
    _NAMES[cls] = names
    cls.__reduce__ = lambda self: (_made, (cls, values(self)))  # type: ignore[assignment,misc]
    return cls


def _made(cls: type[Any], values: tuple[Any, ...]) -> Any:
    return cls(**dict(zip(_NAMES[cls], values, strict=True)))


_NAMES: dict[type[Any], tuple[str, ...]] = {}
