"""A folder of vectors as `export` wrote it: where its files are, and which cases it holds."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conformance import files
from conformance.case import Case
from conformance.data import Arrays, arrays
from conformance.errors import UsageError
from conformance.implementations.index import INDEX, MOST_BYTES, arrays_name, index, no_folder
from conformance.implementations.records import case_record
from conformance.printable import in_a_line

SCHEMA = 1
MANIFEST = "manifest.json"
CASES = "cases.bin"
EXPECTED = "expected.bin"
SUMMED = (INDEX, CASES, EXPECTED)


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
    cases = [entry.case for entry in entries]
    sums: dict[str, str] = manifest["sha256"]
    _check_sum(directory / INDEX, sums[INDEX], MOST_BYTES)
    for number, entry in enumerate(entries):
        name = arrays_name(number)
        if entry.arrays != name:
            raise UsageError(
                f"{files.shown(directory / INDEX)}, line {number + 1}: "
                f"arrays {entry.arrays!r:.100}, expected {name!r}"
            )
        _check_sum(directory / name, entry.sha256, _most_bytes(entry.case))
    for name in (CASES, EXPECTED):
        _check_sum(directory / name, sums[name], sum(map(_most_bytes, cases)))
    again = hashlib.sha256()
    for _, record in case_records(cases):
        again.update(record)
    if again.hexdigest() != sums[CASES]:
        made_by = " and ".join(f"{name} {version}" for name, version in manifest["made_by"].items())
        raise UsageError(
            f"this installation draws other values for the cases of {files.shown(directory)}, "
            f"which {in_a_line(made_by)[:200]} made; verify with these versions, or export again"
        )
    return cases


def _check_sum(path: Path, digest: str, most: int) -> None:
    if os.path.exists(path) and files.sha256(path, most) != digest:
        raise UsageError(
            f"{files.shown(path)} is not as it was exported; "
            "export again, and run the program on that"
        )


def case_records(cases: list[Case]) -> Iterator[tuple[Arrays, bytes]]:
    """The arrays of each case, and its record."""
    for number, case in enumerate(cases):
        data = arrays(case)
        record = case_record(number, data.x, data.kernel, data.bias, **case.function_arguments())
        yield data, record


def _most_bytes(case: Case) -> int:
    """More than any file needs for what it holds of a case: three float64 for each value."""
    shapes = (case.input_shape, case.kernel_shape, case.geometry.output_shape)
    return 2**14 + 32 * sum(map(math.prod, shapes))


def _manifest(directory: Path) -> dict[str, Any]:
    path = directory / MANIFEST
    if not os.path.exists(path):
        raise UsageError(no_folder(directory, MANIFEST))
    try:
        manifest = files.json_data(files.text(path, MOST_BYTES))
    except ValueError:
        manifest = None
    if not _is_whole(manifest):
        raise UsageError(f"{files.shown(path)} is not the manifest of a folder of vectors")
    if manifest["schema"] != SCHEMA:
        raise UsageError(
            f"{files.shown(path)} has schema {manifest['schema']}; "
            f"this version reads schema {SCHEMA}"
        )
    checked: dict[str, Any] = manifest
    return checked


def _is_whole(manifest: Any) -> bool:
    """Whether it has all that is read of a manifest."""
    if not isinstance(manifest, dict) or type(manifest.get("schema")) is not int:
        return False
    made_by, sums = manifest.get("made_by"), manifest.get("sha256")
    if not (isinstance(made_by, dict) and isinstance(sums, dict)):
        return False
    return all(isinstance(sums.get(name), str) for name in SUMMED)
