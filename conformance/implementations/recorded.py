"""The results that a foreign program left in a folder of vectors, as an implementation."""

from __future__ import annotations

import io
import lzma
import math
import os
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any, NoReturn

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from conformance.calls import Kind
from conformance.case import Case
from conformance.data import Arrays
from conformance.errors import Crashed, Unsupported, UsageError, describe
from conformance.files import opened, shown
from conformance.implementations.base import FunctionCall, Implementation
from conformance.implementations.index import (
    OUTPUT_ARCHIVE,
    OUTPUT_FILES,
    OUTPUTS,
    index,
    output_name,
)
from conformance.implementations.records import (
    ANSWER_SIZE,
    Header,
    RecordError,
    check_magic,
    most_values,
)
from reference_impl.dtypes import as_dtype

VECTORS = "vectors:"
LONGEST_ID = 9  # digits
MOST_HEADER = 1000  # bytes of an ``.npy`` file; one of numbers has 128
MOST_ITEM = 32  # bytes of a value

Output = NDArray[Any] | Exception


class RecordedOutputs(Implementation):
    """Answers by case; no call is made, so an answer depends on the case only.

    A case without an answer is unsupported. An ``outputs.bin`` that ends early means that the
    program ended or was stopped: the first case after its last answer counts as crashed.

    Attributes:
        missing: how many cases have no answer.
        stopped_at: the case string at which ``outputs.bin`` ends early, or None.
    """

    recorded = True

    def __init__(self, directory: Path | str) -> None:
        """Read the answers in `directory`.

        Raises:
            UsageError: it is no folder of vectors, holds no answers, or some that cannot be read.
        """
        directory = Path(directory)
        self.name = f"{VECTORS}{directory}"
        cases = [entry.case for entry in index(directory)]
        outputs = _outputs(directory, cases)
        self._outputs = {str(cases[number]): output for number, output in outputs.items()}
        self.missing = len(cases) - len(outputs)
        self.stopped_at: str | None = None
        after = max(outputs, default=-1) + 1
        if os.path.exists(directory / OUTPUTS) and after < len(cases):
            self.stopped_at = str(cases[after])
            self._outputs[self.stopped_at] = Crashed(
                f"{OUTPUTS} ends with {len(outputs)} answers to {len(cases)} cases: the program "
                f"ended or was stopped at case {after}"
            )

    @property
    def answers(self) -> frozenset[Kind]:
        """There is one result for each case."""
        return frozenset({Kind.OUTPUT})

    def prepare(self, case: Case, data: Arrays) -> FunctionCall:
        """The recorded answer for `case`, which any call returns or raises."""
        output = self._outputs.get(str(case), Unsupported("no output was given"))
        return _RecordedCall(self, data, case, output)


class _RecordedCall(FunctionCall):
    def __init__(
        self, implementation: Implementation, data: Arrays, case: Case, output: Output
    ) -> None:
        super().__init__(implementation, data, case)
        self._output = output

    def call(self, x: NDArray[Any]) -> Any:
        if isinstance(self._output, Exception):
            raise self._output.with_traceback(None)
        return self._output


def _outputs(directory: Path, cases: list[Case]) -> dict[int, Output]:
    """The answers by id of their case."""
    readers = {OUTPUTS: _binary, OUTPUT_ARCHIVE: _archive, OUTPUT_FILES: _files}
    given = [name for name in readers if os.path.exists(directory / name)]
    if not given:
        raise UsageError(
            f"{shown(directory)} holds no results: expected {OUTPUTS}, {OUTPUT_ARCHIVE}, or one "
            f"file for each case such as {output_name(0)}"
        )
    if len(given) > 1:
        raise UsageError(
            f"{shown(directory)} holds both {' and '.join(given)}; keep the one to judge"
        )
    return readers[given[0]](directory / given[0], cases)


def _binary(path: Path, cases: list[Case]) -> dict[int, Output]:
    """The answer records of a file; an incomplete one at its end does not count."""
    found: dict[int, Output] = {}
    at = 0
    with opened(path) as file:
        while head := file.read(ANSWER_SIZE):
            try:
                check_magic(head)
                if len(head) < ANSWER_SIZE:
                    break
                header = Header.read(head)
                _refuse_id(header.number, found, cases, f"{shown(path)}, byte {at}")
                header.refuse_more(_most_values(cases[header.number]))
            except RecordError as error:
                raise UsageError(f"{shown(path)}, byte {at}: {error}") from None
            payload = file.read(header.length - ANSWER_SIZE)
            if len(payload) < header.length - ANSWER_SIZE:
                break
            try:
                found[header.number] = header.result(payload)
            except (Unsupported, RuntimeError) as error:
                found[header.number] = error
            at += header.length
    return found


def _archive(path: Path, cases: list[Case]) -> dict[int, Output]:
    """The arrays of an ``outputs.npz``, named by id."""
    found: dict[int, Output] = {}
    wanted = "an archive of numerical arrays as numpy.savez writes it"
    with opened(path) as file:
        try:
            archive = zipfile.ZipFile(file)
        except (ValueError, zipfile.BadZipFile, NotImplementedError) as error:
            _unreadable(path, wanted, error)
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            number = _number(name, found, cases, f"{shown(path)}, array {name!r:.100}")
            try:
                with archive.open(member) as stored:
                    found[number] = _array(stored, cases[number])
            except (*_UNREADABLE, *_UNPACKED) as error:
                _unreadable(path, wanted, error)
    return found


def _files(path: Path, cases: list[Case]) -> dict[int, Output]:
    """The ``.npy`` files of a folder, named by id."""
    found: dict[int, Output] = {}
    for file in _array_files(path):
        number = _number(file.stem, found, cases, shown(file))
        with opened(file) as stored:
            try:
                found[number] = _array(stored, cases[number])
            except _UNREADABLE as error:
                _unreadable(file, "one numerical array as numpy.save writes it", error)
    return found


def _array_files(path: Path) -> Iterator[Path]:
    try:
        names = sorted(name for name in os.listdir(path) if name.endswith(".npy"))
    except OSError:
        raise UsageError(
            f"{shown(path)}: expected a folder with files such as {output_name(0)}"
        ) from None
    for name in names:
        yield path / name


# What readers of headers and of compressed data raise.
_UNREADABLE = (
    ValueError,
    EOFError,
    SyntaxError,
    MemoryError,
    RecursionError,
    TypeError,
    TokenError,
)
_UNPACKED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError)


def _array(file: IO[bytes], case: Case) -> NDArray[Any]:
    """The array of an ``.npy`` file; its header is believed only within what `case` can have.

    Raises:
        ValueError: it is none, and others of `_UNREADABLE`.
    """
    head = file.read(12)
    if head.startswith(b"PK"):
        raise ValueError("got an archive of several")
    long = head[6:7] != b"\1"  # versions 2 and 3 have four bytes for the length
    size = (
        12 + int.from_bytes(head[8:12], "little")
        if long
        else 10 + int.from_bytes(head[8:10], "little")
    )
    if size > MOST_HEADER:
        raise ValueError(f"a header of {size} bytes")
    header = io.BytesIO(head + file.read(size - len(head)))
    version = npy.read_magic(header)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, is_fortran, dtype = read(header, MOST_HEADER)
    count, most = math.prod(shape), _most_values(case)
    if min(shape, default=0) < 0 or count > most:
        raise ValueError(f"{count} values of shape {shape!s:.100} where at most {most} make sense")
    if dtype.hasobject or dtype.itemsize > MOST_ITEM:
        raise ValueError(f"values of dtype {dtype!s:.100}")
    data = bytearray(file.read(count * dtype.itemsize))
    array = np.frombuffer(data, dtype, count).reshape(shape, order="F" if is_fortran else "C")
    return _in_dtype(array, case)


def _most_values(case: Case) -> int:
    return most_values(case.input_shape, case.kernel_shape, case.geometry.output_shape)


def _number(name: str, found: dict[int, Output], cases: list[Case], where: str) -> int:
    if not (name.isascii() and name.isdigit() and len(name) <= LONGEST_ID):
        raise UsageError(f"{where}: expected the id of a case as the name, 0 to {len(cases) - 1}")
    _refuse_id(int(name), found, cases, where)
    return int(name)


def _refuse_id(number: int, found: dict[int, Output], cases: list[Case], where: str) -> None:
    if not 0 <= number < len(cases):
        raise UsageError(f"{where}: answers case {number}; expected an id of 0 to {len(cases) - 1}")
    if number in found:
        raise UsageError(f"{where}: answers case {number} a second time")


def _in_dtype(array: NDArray[Any], case: Case) -> NDArray[Any]:
    """`array` in native byte order, and as bfloat16 where it holds the bits of it."""
    bits = array.dtype.itemsize == 2 and array.dtype.kind in "uV"
    if case.compute_dtype == "bfloat16" and bits:
        native = array if array.dtype.kind == "V" else array.astype(np.uint16)
        return np.ascontiguousarray(native).view(as_dtype("bfloat16"))
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _unreadable(path: Path, wanted: str, error: Exception) -> NoReturn:
    raise UsageError(f"{shown(path)}: expected {wanted} ({describe(error)})") from None
