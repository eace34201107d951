"""What an implementation is asked for one case."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.calls import Call
from conformance.case import Case
from conformance.data import Arrays
from conformance.implementations.records import most_values
from conformance.observing.memory import Memory
from conformance.pickling import pickled_by_arguments

NAMES = ("x", "kernel", "bias")


@pickled_by_arguments
@dataclass(frozen=True, slots=True)
class Question:
    """A case, its arrays, and the calls to make, in this order.

    Attributes:
        case: what is tried.
        calls: what to call.
        memory: input, kernel and bias (None without one), as they are to lie in memory.
        upstream: the gradient of the result, where gradients are asked for.
    """

    case: Case
    calls: tuple[Call, ...]
    memory: tuple[Memory, Memory, Memory | None]
    upstream: Memory | None = None

    @property
    def most(self) -> int:
        """How many elements an array may have to be told whole; of others only shape and dtype."""
        shapes = [memory.shape for memory in self.memory if memory is not None]
        return most_values(self.case.geometry.output_shape, *shapes)


def asked(
    case: Case, data: Arrays, calls: tuple[Call, ...], upstream: Memory | None = None
) -> Question:
    """The question about `case` with its arrays `data`."""
    bias = None if data.bias is None else Memory.of(data.bias)
    return Question(case, calls, (Memory.of(data.x), Memory.of(data.kernel), bias), upstream)
