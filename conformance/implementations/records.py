"""The binary records that a program in another language reads and writes; see FORMAT.md.

A header is a row of little-endian int64. Arrays follow in C order, each padded with zero bytes to a
multiple of 8, so that a reader finds every one of them aligned.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.errors import Unsupported
from reference_impl.dtypes import as_dtype, format_of
from reference_impl.geometry import Geometry

CASE = b"C2DCASE1"
ANSWER = b"C2DANSW1"
EXPECTED = b"C2DWANT1"
CASE_FIELDS = 32
ANSWER_SIZE = 10 * 8
DTYPES = {"float32": 1, "float64": 2, "float16": 3, "bfloat16": 4}
DATA_FORMATS = {"channels_last": 0, "channels_first": 1}
PADDINGS = {"valid": 0, "same": 1}
ALWAYS_TOLD = 2**20
MOST_WORDS = 2**16  # bytes of a message

Data = bytes | bytearray | memoryview


class RecordError(Exception):
    """Bytes that are no answer record; the message says what is there and what should be."""


class Answer(IntEnum):
    """The status of an answer."""

    RESULT = 0
    UNSUPPORTED = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Header:
    """The first `ANSWER_SIZE` bytes of an answer record.

    Attributes:
        length: of the whole record in bytes.
        number: id of the case.
        status: what kind of answer it is.
        dtype: of the values; of a message, whatever the program put there.
        shape: of the values, in the layout of the case.
        message: bytes of the message.
    """

    length: int
    number: int
    status: Answer
    dtype: str
    shape: tuple[int, ...]
    message: int

    @classmethod
    def read(cls, data: Data) -> Header:
        """The header in `data`.

        Raises:
            RecordError: the fields contradict each other, or one has no meaning.
        """
        check_magic(data)
        fields: list[int] = np.frombuffer(data, "<i8", ANSWER_SIZE // 8).tolist()
        _, length, number, status, code, *shape, message = fields
        if status not in list(Answer):
            raise RecordError(f"status {status} where 0, 1 or 2 is expected")
        names = {code: name for name, code in DTYPES.items()}
        size = padded(message)
        if status == Answer.RESULT:
            if code not in names:
                raise RecordError(f"dtype {code} where one of {_codes()} is expected")
            if min(shape) < 0:
                raise RecordError(f"output dimensions {tuple(shape)}, one of them negative")
            size = padded(math.prod(shape) * as_dtype(names[code]).itemsize)
        if message < 0 or length != ANSWER_SIZE + size:
            raise RecordError(
                f"record length {length} where {ANSWER_SIZE + size} is expected for "
                + (
                    f"{names[code]} values of shape {tuple(shape)}"
                    if status == Answer.RESULT
                    else f"a message of {message} bytes"
                )
            )
        return cls(length, number, Answer(status), names.get(code, ""), tuple(shape), message)

    def refuse_more(self, most: int) -> None:
        """Refuse what announces more than an answer to its case may have.

        Raises:
            RecordError: there would be more than `most` values, or a message of `MOST_WORDS`.
        """
        count = math.prod(self.shape)
        if self.status == Answer.RESULT and count > most:
            raise RecordError(
                f"{count} values of shape {self.shape} where at most {most} make sense"
            )
        if self.status != Answer.RESULT and self.message > MOST_WORDS:
            raise RecordError(
                f"a message of {self.message} bytes where at most {MOST_WORDS} are read"
            )

    def result(self, payload: Data) -> NDArray[Any]:
        """The values in `payload`, what follows the header; a view of it where possible.

        Raises:
            Unsupported: the program answers that it does not do this.
            RuntimeError: the program answers with an error.
        """
        if self.status == Answer.RESULT:
            return decoded(payload, self.dtype, self.shape)
        text = bytes(payload[: self.message]).decode(errors="replace").strip()
        if self.status == Answer.UNSUPPORTED:
            raise Unsupported(text or "no reason given")
        raise RuntimeError(text or "no reason given")


def most_values(*shapes: Sequence[int]) -> int:
    """How many values an answer may have, by the shapes of all arrays of a case.

    Some faults return more than they should, as where strides are ignored.
    """
    return 16 * max(map(math.prod, shapes)) + ALWAYS_TOLD


def case_record(
    number: int,
    x: NDArray[Any],
    kernel: NDArray[Any],
    bias: NDArray[Any] | None,
    *,
    strides: tuple[int, int],
    padding: str,
    data_format: str,
    dilation_rate: tuple[int, int],
    groups: int,
) -> bytes:
    """A case as a program reads it; arguments as for `Implementation.conv2d`.

    Raises:
        ValueError: they are no Conv2D, or the dtype of `x` is none of `DTYPES`.
    """
    geometry = Geometry.of(
        x.shape,
        kernel.shape,
        strides=strides,
        padding=padding,
        data_format=data_format,
        dilation_rate=dilation_rate,
        groups=groups,
    )
    fields = [
        DTYPES[format_of(x.dtype).name],
        DATA_FORMATS[data_format],
        geometry.batch,
        *geometry.size,
        geometry.channels,
        *kernel.shape,
        *strides,
        *dilation_rate,
        PADDINGS[padding],
        groups,
        int(bias is not None),
        *geometry.output_shape,
    ]
    fields += [0] * (CASE_FIELDS - 3 - len(fields))
    arrays = [encoded(a) for a in (x, kernel, bias) if a is not None]
    return _record(CASE, [number, *fields], arrays)


def expected_record(
    number: int,
    value: NDArray[np.float64],
    bound: NDArray[np.float64],
    rounded: NDArray[Any],
    *,
    exact: bool,
) -> bytes:
    """The correct result of a case: float64 values and bounds, and the values in the dtype."""
    arrays = [encoded(value), encoded(bound), encoded(rounded)]
    code = DTYPES[format_of(rounded.dtype).name]
    return _record(EXPECTED, [number, int(exact), code, *value.shape, value.size], arrays)


def encoded(array: NDArray[Any]) -> bytes:
    """The values of `array`, little-endian in C order, padded to a multiple of 8 bytes."""
    bits = np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")
    return _pad(bits.astype(bits.dtype.newbyteorder("<"), copy=False).tobytes())


def decoded(data: Data, dtype: str, shape: Sequence[int]) -> NDArray[Any]:
    """The array of `shape` that `data` begins with; the inverse of `encoded`."""
    kind = as_dtype(dtype)
    bits = np.frombuffer(data, f"<u{kind.itemsize}", math.prod(shape))
    return bits.astype(f"u{kind.itemsize}", copy=False).view(kind).reshape(shape)


def padded(size: int) -> int:
    """`size` rounded up to a multiple of 8."""
    return -(-size // 8) * 8


def check_magic(data: Data) -> None:
    """Refuse what cannot be the beginning of an answer record, however little there is of it.

    Raises:
        RecordError: the message names the text or the bytes that are there instead.
    """
    if ANSWER.startswith(bytes(data[: len(ANSWER)])):
        return
    line = re.match(rb"\s*([\x20-\x7e]+)", bytes(data[:ANSWER_SIZE]))
    if line:
        text = line[1].decode().strip()
        raise RecordError(
            f'text "{text}" where an answer record is expected; other output belongs on stderr'
        )
    first = bytes(data[: len(ANSWER)]).hex(" ")
    raise RecordError(f"bytes {first} where an answer record is expected")


def _record(magic: bytes, fields: Sequence[int], parts: Sequence[bytes]) -> bytes:
    size = 8 * (2 + len(fields))
    header = np.array([size + sum(map(len, parts)), *fields], "<i8").tobytes()
    return b"".join([magic, header, *parts])


def _pad(data: bytes) -> bytes:
    return data.ljust(padded(len(data)), b"\0")


def _codes() -> str:
    return ", ".join(f"{code} ({name})" for name, code in DTYPES.items())
