"""Answers as plain data, and the bytes that carry them: nothing in them is ever executed.

An envelope is a header of five little-endian int64 (magic, length of the whole, number, secret,
length of the text), the text (JSON, padded to a multiple of 8), and the arrays that the text refers
to, each encoded as in version 1 of the vectors.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.implementations.records import decoded, encoded, padded
from reference_impl.dtypes import FLOATS, as_dtype

MAGIC = b"C2DSEEN1"
HEADER = struct.Struct("<8s4Q")
NUMERIC = "biufc"

# Bound before any foreign code is imported.
_dumps = json.JSONEncoder().encode


class EnvelopeError(Exception):
    """Bytes that are no envelope, or not the one that is expected."""


class TroubleError(Exception):
    """The suite failed where only its own code runs."""


@dataclass(frozen=True, slots=True)
class Raised:
    """A call that returned nothing that can be judged.

    Attributes:
        how: ``unsupported``, ``crashed`` (a process of the implementation's own), ``raises``, or
            ``returns``: something that is no array.
        text: what was raised or returned, in one line.
        types: names of the exception's class and its bases.
    """

    how: str
    text: str
    types: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Opaque:
    """Something returned that is no plain data, by its type and a short text."""

    type: str
    text: str

    def __repr__(self) -> str:
        return self.text


# An array, a list of answers, a number, None, a Raised, or an Opaque.
Answer = Any


@dataclass(frozen=True, slots=True)
class Observation:
    """What came of the calls of a question.

    Attributes:
        answers: one for each call, `NOT_MADE` for those that were not made.
        changed: name of an array to the bytes of its owner, where these are no longer as given.
    """

    answers: Sequence[Answer]
    changed: Mapping[str, bytes] = field(default_factory=dict)


class _NotMade:
    """The answer to a call that was not made."""


NOT_MADE = _NotMade()


@dataclass(slots=True)
class Writer:
    """Collects the arrays of a tree while it is written."""

    arrays: list[bytes] = field(default_factory=list)

    def node(self, answer: Answer, most: int) -> Any:
        """`answer` as JSON; an array of more than `most` elements by its shape and dtype alone."""
        if answer is NOT_MADE:
            return {"not made": True}
        if isinstance(answer, Raised):
            return {"raised": [answer.how, answer.text, list(answer.types)]}
        if isinstance(answer, Opaque):
            return {"opaque": [answer.type, answer.text]}
        if isinstance(answer, np.ndarray):
            return self._array(answer, most)
        if isinstance(answer, tuple | list):
            return {"list": [self.node(one, most) for one in answer]}
        return {"value": answer}

    def raw(self, content: bytes) -> int:
        """The place of `content` among the arrays."""
        self.arrays.append(content.ljust(padded(len(content)), b"\0"))
        return len(self.arrays) - 1

    def _array(self, array: NDArray[Any], most: int) -> Any:
        dtype, place = array.dtype, None
        if array.size <= most and (dtype.name in FLOATS or dtype.kind in NUMERIC):
            whole = dtype.name in FLOATS and dtype.isnative
            self.arrays.append(encoded(array) if whole else _plain(array))
            place = len(self.arrays) - 1
        name = dtype.str if dtype.kind in NUMERIC else dtype.name
        return {"array": [name, list(array.shape), place]}


def envelope(number: int, nonce: int, tree: Any, arrays: Sequence[bytes] = ()) -> bytes:
    """The bytes of a reply."""
    text = _dumps({"tree": tree, "sizes": [len(a) for a in arrays]}).encode()
    body = text.ljust(padded(len(text)), b"\0")
    length = HEADER.size + len(body) + sum(map(len, arrays))
    return b"".join([HEADER.pack(MAGIC, length, number, nonce, len(text)), body, *arrays])


def length_of(header: bytes, number: int, nonce: int, most: int) -> int:
    """The length of the whole envelope that `header` begins.

    Raises:
        EnvelopeError: it begins none, or not the one with this number and secret.
    """
    magic, length, found, secret, text = HEADER.unpack(header)
    if magic != MAGIC or (found, secret) != (number, nonce):
        raise EnvelopeError("not the expected envelope")
    if not HEADER.size + padded(text) <= length <= most:
        raise EnvelopeError(f"an envelope of {length} bytes")
    return int(length)


def opened(data: bytes) -> tuple[Any, list[memoryview]]:
    """The tree of an envelope, and the bytes of its arrays.

    Raises:
        EnvelopeError: it contradicts itself.
    """
    try:
        *_, size = HEADER.unpack_from(data)
        content = json.loads(data[HEADER.size : HEADER.size + size])
        at, parts = HEADER.size + padded(size), []
        for length in content["sizes"]:
            parts.append(memoryview(data)[at : at + length])
            at += length
        return content["tree"], parts
    except (ValueError, KeyError, TypeError, struct.error, RecursionError) as error:
        raise EnvelopeError(f"{type(error).__name__}: {error}") from None


def written(observation: Observation, most: int) -> tuple[Any, list[bytes]]:
    """The tree and the arrays of an observation."""
    writer = Writer()
    answers = [writer.node(answer, most) for answer in observation.answers]
    changed = {name: writer.raw(content) for name, content in observation.changed.items()}
    sizes = {name: len(content) for name, content in observation.changed.items()}
    return {"answers": answers, "changed": changed, "sizes": sizes}, writer.arrays


def read(data: bytes) -> Observation:
    """The inverse of `written`, from an envelope.

    Raises:
        EnvelopeError: it contradicts itself.
        TroubleError: the suite's own code failed in the process of the implementation.
    """
    tree, parts = opened(data)
    if isinstance(tree, dict) and "trouble" in tree:
        raise TroubleError(str(tree["trouble"]))
    try:
        answers = [_answer(node, parts) for node in tree["answers"]]
        changed = {
            str(name): bytes(parts[place][: tree["sizes"][name]])
            for name, place in tree["changed"].items()
        }
        return Observation(answers, changed)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise EnvelopeError(f"{type(error).__name__}: {error}") from None


def _answer(node: Mapping[str, Any], parts: Sequence[memoryview]) -> Answer:
    ((kind, content),) = node.items()
    if kind == "not made":
        return NOT_MADE
    if kind == "raised":
        how, text, types = content
        return Raised(str(how), str(text), tuple(map(str, types)))
    if kind == "opaque":
        return Opaque(*map(str, content))
    if kind == "list":
        return [_answer(one, parts) for one in content]
    if kind == "array":
        name, shape, place = content
        return _read_array(str(name), shape, place, parts)
    if kind == "value" and not isinstance(content, dict | list):
        return content
    raise EnvelopeError(f"a node of kind {kind!r}")


def _read_array(
    name: str, shape: Sequence[int], place: int | None, parts: Sequence[memoryview]
) -> NDArray[Any]:
    shape = tuple(map(int, shape))
    if min(shape, default=0) < 0:
        raise EnvelopeError(f"shape {shape}")
    dtype = _dtype(name)
    if place is None:  # too large or of no numbers: nobody reads its values
        return np.broadcast_to(np.zeros((), dtype), shape)
    if name in FLOATS:
        return decoded(parts[place], name, shape)
    return np.frombuffer(parts[place], dtype, math.prod(shape)).reshape(shape)


def _dtype(name: str) -> np.dtype[Any]:
    if name in FLOATS:
        return as_dtype(name)
    try:
        return np.dtype(name)
    except (TypeError, ValueError):
        return np.dtype(object)


def _plain(array: NDArray[Any]) -> bytes:
    content = array.tobytes()
    return content.ljust(padded(len(content)), b"\0")
