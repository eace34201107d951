"""The index of a folder of vectors, and the files in which a program may leave its answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from conformance.case import Case, CaseError
from conformance.errors import UsageError

INDEX = "cases.jsonl"
# The answers: one of these.
OUTPUTS = "outputs.bin"
OUTPUT_ARCHIVE = "outputs.npz"
OUTPUT_FILES = "outputs"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the index.

    Attributes:
        case: what is asked; its place in the index is its id.
        arrays: the file with its arrays, relative to the folder.
        sha256: of that file.
    """

    case: Case
    arrays: str
    sha256: str


def output_name(number: int) -> str:
    """Where the output of a case may be put as an array of its own, relative to the folder."""
    return f"{OUTPUT_FILES}/{number:06d}.npy"


def index(directory: Path) -> list[Entry]:
    """The lines of the index; a case's place is its id.

    Raises:
        UsageError: there is no index, or it cannot be read.
    """
    path = directory / INDEX
    if not path.is_file():
        raise UsageError(no_folder(directory, INDEX))
    entries = []
    try:
        for number, line in enumerate(path.read_text("utf-8").splitlines()):
            fields = json.loads(line)
            if fields["id"] != number:
                raise UsageError(f"{path}, line {number + 1}: id {fields['id']}, expected {number}")
            entries.append(Entry(Case.parse(fields["case"]), fields["arrays"], fields["sha256"]))
    except (ValueError, KeyError, TypeError, AttributeError, CaseError) as error:
        raise UsageError(
            f"{path} is not the index of a folder of vectors: {type(error).__name__}: {error}"
        ) from None
    return entries


def no_folder(directory: Path, missing: str) -> str:
    """Why `directory` is refused when the file `missing` is not in it."""
    return (
        f"{directory} is no folder of vectors, since it has no {missing}; "
        f"`conv2d-conformance vectors export {directory}` makes one"
    )
