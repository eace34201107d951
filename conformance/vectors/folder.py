"""A folder of vectors as `export` wrote it: where its files are, and which cases it holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conformance.case import Case
from conformance.data import Arrays, arrays
from conformance.errors import UsageError
from conformance.implementations.index import index, no_folder
from conformance.implementations.records import case_record

SCHEMA = 1
MANIFEST = "manifest.json"
CASES = "cases.bin"
EXPECTED = "expected.bin"


def arrays_name(number: int) -> str:
    """Where the arrays of a case are, relative to the folder."""
    return f"arrays/{number:06d}.npz"


def planned_cases(directory: Path | str) -> list[Case]:
    """The cases of a folder that `export` wrote, in the order of their ids.

    The whole folder is checked: what a program may have read must be what is judged. Files other
    than the index and the manifest may have been deleted.

    Raises:
        UsageError: it is no such folder, it has been changed since, or this installation draws
            other values for its cases.
    """
    directory = Path(directory)
    manifest = _manifest(directory)
    entries = index(directory)
    sums: dict[str, str] = manifest["sha256"]
    files = {**sums, **{entry.arrays: entry.sha256 for entry in entries}}
    for name, digest in files.items():
        path = directory / name
        if path.exists() and sha256(path) != digest:
            raise UsageError(
                f"{path} is not as it was exported; export again, and run the program on that"
            )
    cases = [entry.case for entry in entries]
    again = hashlib.sha256()
    for _, record in case_records(cases):
        again.update(record)
    if again.hexdigest() != sums[CASES]:
        raise UsageError(
            f"this installation draws other values for the cases of {directory}, which "
            f"{' and '.join(f'{k} {v}' for k, v in manifest['made_by'].items())} made; verify with "
            "these versions, or export again"
        )
    return cases


def case_records(cases: list[Case]) -> Iterator[tuple[Arrays, bytes]]:
    """The arrays of each case, and its record."""
    for number, case in enumerate(cases):
        data = arrays(case)
        record = case_record(number, data.x, data.kernel, data.bias, **case.function_arguments())
        yield data, record


def sha256(path: Path) -> str:
    """Of the contents of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest(directory: Path) -> dict[str, Any]:
    path = directory / MANIFEST
    if not path.is_file():
        raise UsageError(no_folder(directory, MANIFEST))
    try:
        manifest: dict[str, Any] = json.loads(path.read_text("utf-8"))
        complete = {"schema", "made_by", "sha256"} <= manifest.keys() and CASES in manifest[
            "sha256"
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        complete = False
    if not complete:
        raise UsageError(f"{path} is not the manifest of a folder of vectors")
    if manifest["schema"] != SCHEMA:
        raise UsageError(
            f"{path} has schema {manifest['schema']}; this version reads schema {SCHEMA}"
        )
    return manifest
