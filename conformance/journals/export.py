"""The verdicts of a journal as a table for analysts: one row for each check on each case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from conformance.axes import AXES
from conformance.errors import UsageError
from conformance.folder import replaced
from conformance.journals.journal import Entry, read

AT_ONCE = 50_000  # rows that are held in memory
_COVERED = {name.replace(" ", "_"): shown for axis in AXES for name, shown in axis.covered.items()}
_WORDS = ("implementation", "part", "check", "status", *_COVERED)  # few different ones
_NUMBERS = ("example", "configuration", "position")
_TEXTS = ("case", "cause", "message", "reason")
_REALS = ("ratio", "seconds")


def to_parquet(folder: Path, path: Path) -> int:
    """Write the verdicts in the journal of `folder` to a Parquet file; returns how many rows.

    Raises:
        UsageError: PyArrow is not installed, there is no journal, or the file cannot be written.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise UsageError(
            "export needs PyArrow; install it with pip install 'conv2d-conformance[export]'"
        ) from None
    arrow: Any = pyarrow
    schema = arrow.schema(
        [
            *((name, arrow.dictionary(arrow.int32(), arrow.string())) for name in _WORDS),
            *((name, arrow.int64()) for name in _NUMBERS),
            *((name, arrow.string()) for name in _TEXTS),
            *((name, arrow.float64()) for name in _REALS),
        ]
    )
    written, rows = 0, _rows(read(folder))
    try:
        some = list(islice(rows, AT_ONCE))
        with replaced(path) as whole, parquet.ParquetWriter(whole, schema) as file:
            while some:
                file.write_table(arrow.Table.from_pylist(some, schema=schema))
                written += len(some)
                some = list(islice(rows, AT_ONCE))
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
    return written


def _rows(entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        shown = {name: show(entry.case) for name, show in _COVERED.items()}
        for outcome in entry.outcomes or ():
            yield {
                "implementation": entry.implementation,
                "part": entry.part,
                "example": entry.number,
                "configuration": entry.at,
                "position": entry.position,
                "case": str(entry.case),
                "check": outcome.check,
                "status": str(outcome.status),
                "ratio": outcome.ratio,
                "cause": _plain(outcome.cause),
                "message": _plain(outcome.message),
                "reason": _plain(outcome.reason),
                "seconds": entry.seconds,
                **shown,
            }


def _plain(text: str) -> str:
    """Half of a surrogate pair is no text to Parquet."""
    return text.encode("utf-8", "replace").decode("utf-8")
