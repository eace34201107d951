"""The results that a foreign program left in a folder of vectors, as an implementation."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from conformance.calls import Kind
from conformance.case import Case
from conformance.data import Arrays
from conformance.errors import Crashed, Unsupported, UsageError, first_line
from conformance.implementations.base import FunctionCall, Implementation
from conformance.implementations.index import (
    OUTPUT_ARCHIVE,
    OUTPUT_FILES,
    OUTPUTS,
    index,
    output_name,
)
from conformance.implementations.records import ANSWER_SIZE, Header, RecordError, check_magic
from reference_impl.dtypes import as_dtype

VECTORS = "vectors:"

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
        if (directory / OUTPUTS).exists() and after < len(cases):
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
    given = [name for name in readers if (directory / name).exists()]
    if not given:
        raise UsageError(
            f"{directory} holds no results: expected {OUTPUTS}, {OUTPUT_ARCHIVE}, or one file for "
            f"each case such as {output_name(0)}"
        )
    if len(given) > 1:
        raise UsageError(f"{directory} holds both {' and '.join(given)}; keep the one to judge")
    try:
        return readers[given[0]](directory / given[0], cases)
    except OSError as error:
        raise UsageError(f"cannot read {directory / given[0]}: {first_line(error)}") from None


def _binary(path: Path, cases: list[Case]) -> dict[int, Output]:
    """The answer records of a file; an incomplete one at its end does not count."""
    data = memoryview(path.read_bytes())
    found: dict[int, Output] = {}
    at = 0
    try:
        while at < len(data):
            check_magic(data[at:])
            if len(data) - at < ANSWER_SIZE:
                break
            header = Header.read(data[at : at + ANSWER_SIZE])
            _refuse_id(header.number, found, cases, f"{path}, byte {at}")
            if len(data) - at < header.length:
                break
            payload = data[at + ANSWER_SIZE : at + header.length]
            try:
                found[header.number] = header.result(payload)
            except (Unsupported, RuntimeError) as error:
                found[header.number] = error
            at += header.length
    except RecordError as error:
        raise UsageError(f"{path}, byte {at}: {error}") from None
    return found


def _archive(path: Path, cases: list[Case]) -> dict[int, Output]:
    """The arrays of an ``outputs.npz``, named by id."""
    found: dict[int, Output] = {}
    try:
        with path.open("rb") as data, np.load(data, allow_pickle=False) as archive:
            for name in archive.files:
                number = _number(name, found, cases, f"{path}, array {name!r}")
                found[number] = _in_dtype(archive[name], cases[number])
    except (ValueError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        _unreadable(path, "an archive of numerical arrays as numpy.savez writes it", error)
    return found


def _files(path: Path, cases: list[Case]) -> dict[int, Output]:
    """The ``.npy`` files of a folder, named by id."""
    found: dict[int, Output] = {}
    for file in _array_files(path):
        number = _number(file.stem, found, cases, str(file))
        try:
            with file.open("rb") as data:
                array = np.load(data, allow_pickle=False)
        except (ValueError, EOFError) as error:
            _unreadable(file, "one numerical array as numpy.save writes it", error)
        if not isinstance(array, np.ndarray):
            raise UsageError(f"{file}: expected one array, got an archive of several")
        found[number] = _in_dtype(array, cases[number])
    return found


def _array_files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        raise UsageError(f"{path}: expected a folder with files such as {output_name(0)}")
    yield from sorted(path.glob("*.npy"))


def _number(name: str, found: dict[int, Output], cases: list[Case], where: str) -> int:
    if not (name.isascii() and name.isdigit()):
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
    raise UsageError(f"{path}: expected {wanted} ({type(error).__name__}: {error})") from None
