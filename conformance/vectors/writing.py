"""Writing a folder of vectors: cases, the correct results, and how to read both."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.axes import AXES
from conformance.capabilities import EVERYTHING
from conformance.case import Case
from conformance.criteria import Expected, expected
from conformance.data import SPECIAL_KINDS, Arrays
from conformance.errors import UsageError, first_line
from conformance.implementations.index import INDEX, arrays_name, output_name
from conformance.implementations.records import expected_record
from conformance.vectors.folder import (
    CASES,
    EXPECTED,
    MANIFEST,
    SCHEMA,
    SUMMED,
    case_records,
)

FORMAT = "FORMAT.md"
README = "README.md"
PACKAGES = ("conv2d-conformance", "numpy")


def export(directory: Path | str, cases: Sequence[Case], settings: Mapping[str, Any]) -> None:
    """Write `cases` and the correct results into a new folder, as FORMAT.md describes it.

    Cases become those of a function: no activation, no dtype policy, input in C order. What is
    then equal is written once.

    Args:
        directory: does not exist, or is empty.
        cases: at least one.
        settings: kept in the manifest, such as the seed; must be JSON.

    Raises:
        UsageError: `directory` is not empty or cannot be written, or there are no cases.
    """
    directory = Path(directory)
    plain = list(dict.fromkeys(map(_of_a_function, cases)))
    if not plain:
        raise UsageError(f"there is no case to export to {directory}")
    try:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise UsageError(f"{directory} exists and is not an empty folder; give another one")
        (directory / "arrays").mkdir(parents=True)
        _write(directory, plain)
        description = files("conformance.vectors").joinpath(FORMAT).read_bytes()
        (directory / README).write_bytes(description)
        # Last: a folder without a manifest is one whose export was interrupted.
        (directory / MANIFEST).write_text(_manifest(directory, len(plain), settings), "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {directory}: {first_line(error)}") from None


def _of_a_function(case: Case) -> Case:
    return replace(
        case,
        activation=None,
        dtype=case.dtype and case.compute_dtype,
        view=None,
        kernel_view=None,
        bias_view=None,
        but=None,
        data="normal" if case.data in SPECIAL_KINDS else case.data,  # a bound says nothing of NaN
    )


def _write(directory: Path, cases: list[Case]) -> None:
    with (
        (directory / CASES).open("wb") as asked,
        (directory / EXPECTED).open("wb") as wanted,
        (directory / INDEX).open("w", encoding="utf-8", newline="\n") as index,
    ):
        for number, (case, (data, record)) in enumerate(
            zip(cases, case_records(cases), strict=True)
        ):
            want = expected(case, data, EVERYTHING)
            bound = np.where(want.overflow, np.inf, want.bound)
            path = directory / arrays_name(number)
            _save_arrays(path, data, want, bound)
            line = {
                "id": number,
                "case": str(case),
                **_described(case, want),
                "arrays": arrays_name(number),
                "output": output_name(number),
                "offset": {CASES: asked.tell(), EXPECTED: wanted.tell()},
                "sha256": _sha256(path),
            }
            index.write(json.dumps(line) + "\n")
            asked.write(record)
            wanted.write(expected_record(number, want.value, bound, want.rounded, exact=want.exact))


def _described(case: Case, want: Expected) -> dict[str, Any]:
    told = {key: tell(case) for axis in AXES for key, tell in axis.told.items()}
    return {**told, "exact": want.exact}


def _save_arrays(path: Path, data: Arrays, want: Expected, bound: NDArray[np.float64]) -> None:
    given = {"x": data.x, "kernel": data.kernel, "bias": data.bias, "rounded": want.rounded}
    named: dict[str, Any] = {k: _storable(a) for k, a in given.items() if a is not None}
    np.savez_compressed(path, **named, expected=want.value, bound=bound)


def _storable(array: NDArray[Any]) -> NDArray[Any]:
    """bfloat16 as its bits: a file of NumPy has no name for it."""
    return array.view(np.uint16) if array.dtype.name == "bfloat16" else array


def _manifest(directory: Path, count: int, settings: Mapping[str, Any]) -> str:
    manifest = {
        "schema": SCHEMA,
        "made_by": {name: _version(name) for name in PACKAGES},
        "settings": dict(settings),
        "cases": count,
        "sha256": {name: _sha256(directory / name) for name in SUMMED},
    }
    return json.dumps(manifest, indent=2) + "\n"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"
