"""The calls that checks ask for; every check reads the answers to the calls that it names."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from conformance.pickling import pickled_by_arguments


class Kind(StrEnum):
    """What is called, in the words of a reader.

    ``OUTPUT`` is the first call with the input of the case, ``OTHER`` one with its negative,
    ``STILL`` no call: the result of the first one, read again, and the names of the arrays that it
    shares memory with. ``AGAIN`` is a further call with the input, ``SAMPLE`` one with a single
    sample. ``WEIGHTS`` reads kernel and bias as they are held after the calls. ``OUTPUT_SHAPE`` is
    compute_output_shape of a layer, ``FUNCTION`` the function beside a layer, ``GRADIENTS`` the
    gradients. ``LIFE`` is the life of a layer on which something is varied, ``PLAIN_LIFE`` the same
    with the plain value that the variation spells.
    """

    OUTPUT = "output"
    OTHER = "other"
    STILL = "still"
    AGAIN = "again"
    SAMPLE = "sample"
    WEIGHTS = "weights"
    OUTPUT_SHAPE = "output_shape"
    FUNCTION = "function"
    GRADIENTS = "gradients"
    LIFE = "life"
    PLAIN_LIFE = "plain_life"


# Made on layers or functions of their own.
APART = frozenset({Kind.FUNCTION, Kind.LIFE, Kind.PLAIN_LIFE})
# Made only where the first call has returned an array: they would repeat its failure.
FURTHER = frozenset({Kind.OTHER, Kind.STILL, Kind.AGAIN, Kind.SAMPLE, Kind.WEIGHTS, Kind.GRADIENTS})


@pickled_by_arguments
@dataclass(frozen=True, slots=True)
class Call:
    """One call.

    Attributes:
        kind: what is called.
        of: the index of a sample, or the input shape for compute_output_shape; else empty.
    """

    kind: Kind
    of: tuple[int | None, ...] = ()


OUTPUT = Call(Kind.OUTPUT)
OTHER = Call(Kind.OTHER)
STILL = Call(Kind.STILL)
AGAIN = Call(Kind.AGAIN)
WEIGHTS = Call(Kind.WEIGHTS)
FUNCTION = Call(Kind.FUNCTION)
GRADIENTS = Call(Kind.GRADIENTS)
LIFE = Call(Kind.LIFE)
PLAIN_LIFE = Call(Kind.PLAIN_LIFE)
