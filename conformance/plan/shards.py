"""A plan shared out: every so many of its examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from conformance.errors import UsageError

T = TypeVar("T")
_LONGEST = 15  # characters


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """Part `index` of `number` parts, the first one 1."""

    index: int
    number: int

    @classmethod
    def read(cls, text: str) -> Shard:
        """The shard that is written ``I/N``.

        Raises:
            UsageError: it is none.
        """
        index, slash, number = text.partition("/")
        written = slash and index.isdecimal() and number.isdecimal() and text.isascii()
        if written and len(text) <= _LONGEST and 1 <= int(index) <= int(number):
            return cls(int(index), int(number))
        raise UsageError(f"shard {text!r}: it is I/N with I from 1 to N, such as 2/8")

    def __str__(self) -> str:
        return f"{self.index}/{self.number}"

    def has(self, place: int) -> bool:
        """Whether what stands at `place`, counted from 0, is in this part."""
        return place % self.number == self.index - 1

    def of(self, things: Iterable[T]) -> Iterator[T]:
        """Those of `things` that are in this part."""
        return (thing for place, thing in enumerate(things) if self.has(place))


WHOLE = Shard(1, 1)
