"""The index of a folder of vectors, and the files in which a program may leave its answers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from conformance import files
from conformance.case import Case, CaseError
from conformance.errors import UsageError, describe

INDEX = "cases.jsonl"
MOST_BYTES = 2**26  # of the index; a case has some 500
# The answers: one of these.
OUTPUTS = "outputs.bin"
OUTPUT_ARCHIVE = "outputs.npz"
OUTPUT_FILES = "outputs"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the index.

    Attributes:
        case: what is asked; its place in the index is its id.
        arrays: the file with its arrays, relative to the folder, as the index says.
        sha256: of that file.
    """

    case: Case
    arrays: object
    sha256: str


def arrays_name(number: int) -> str:
    """Where the arrays of a case are, relative to the folder."""
    return f"arrays/{number:06d}.npz"


def output_name(number: int) -> str:
    """Where the output of a case may be put as an array of its own, relative to the folder."""
    return f"{OUTPUT_FILES}/{number:06d}.npy"


def index(directory: Path) -> list[Entry]:
    """The lines of the index; a case's place is its id.

    Raises:
        UsageError: there is no index, or it cannot be read.
    """
    path = directory / INDEX
    if not os.path.exists(path):
        raise UsageError(no_folder(directory, INDEX))
    lines = files.text(path, MOST_BYTES).splitlines()
    return [_entry(number, line, files.shown(path)) for number, line in enumerate(lines)]


def _entry(number: int, line: str, path: str) -> Entry:
    try:
        fields = files.json_data(line)
        given, text, arrays, digest = (fields[key] for key in ("id", "case", "arrays", "sha256"))
        if not (isinstance(text, str) and isinstance(digest, str)):
            raise TypeError("case and sha256 must be text")
        case = Case.parse(text)
        if case.but is not None:
            raise ValueError(f"but.{case.but} is nothing that a function can be asked")
    except (ValueError, KeyError, TypeError, CaseError) as error:
        raise UsageError(
            f"{path} is not the index of a folder of vectors: line {number + 1}: {describe(error)}"
        ) from None
    if type(given) is not int or given != number:
        raise UsageError(f"{path}, line {number + 1}: id {given!r:.100}, expected {number}")
    return Entry(case, arrays, digest)


def no_folder(directory: Path, missing: str) -> str:
    """Why `directory` is refused when the file `missing` is not in it."""
    return (
        f"{files.shown(directory)} is no folder of vectors, since it has no {missing}; "
        f"`conv2d-conformance vectors export {files.shown(directory)}` makes one"
    )
