"""From journals to the list of all results that a page shows."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import nsmallest
from itertools import count
from operator import itemgetter
from pathlib import Path

from conformance.case import Case
from conformance.errors import UsageError
from conformance.journals import journal
from conformance.journals.tally import PROBE_CHECK, PROBES, WORST_FIRST
from conformance.plan.classes import CLASSES, classes_of
from conformance.plan.factors import row_of
from conformance.results import Listed, Listing, Report, Status

MOST_LISTED = 20_000  # rows; some more are a second in a browser, and a megabyte
_SETTINGS = ("seed", "examples", "profile", "max_time")


def listing(
    report: Report, folders: Sequence[Sequence[Path]], most: int = MOST_LISTED
) -> Listing | None:
    """All results of `report`, at most `most` rows; None where no journal is at hand.

    Where there are more, those that did not pass come first, the worst before others, and a sample
    of the others, the same in every run.

    Args:
        report: of one run, or of the runs of `folders` merged in their order.
        folders: where the journals of each run are: one, those of its shards, or none.
    """
    rows: list[Listed] = []
    of = 0
    told: set[str] = set()
    for parts, names in zip(folders, _names(report), strict=False):
        try:
            every = (row for folder in parts for row in _rows(folder, names))
            found, number = _kept(every, most)
        except (UsageError, sqlite3.Error, OSError, ValueError, KeyError):
            continue
        if parts:
            rows += found
            of += number
            told.update(names.values())
    measured = [result.name for result in (*report.implementations, *report.witnesses)]
    if not told:
        return None
    kept, _ = _kept(rows, most)
    return Listing(
        rows=kept,
        of=of,
        classes=CLASSES,
        levels={case: _levels(case) for case in dict.fromkeys(row.case for row in kept)},
        without=[name for name in measured if name not in told],
    )


def folders_of(reports: Sequence[Report], paths: Sequence[Path]) -> list[list[Path]]:
    """The folder of the journal of each run in `reports`, which were read from `paths`.

    None of the runs of a merged report, nor where the journal is that of another run.
    """
    found: list[list[Path]] = []
    for report, path in zip(reports, paths, strict=True):
        folder = path if path.is_dir() else path.parent
        decided = journal.about(folder)
        own = decided and all(decided.get(name) == report.settings.get(name) for name in _SETTINGS)
        found += [[] for _ in report.runs] or [[folder] if own else []]
    return found


def _names(report: Report) -> list[dict[str, str]]:
    """For each run, what its implementations are called there, and in `report`."""
    if not report.runs:
        own = (*report.implementations, *report.witnesses)
        return [{result.given_name: result.name for result in own}]
    given = {result.name: result.given_name for result in report.implementations}
    return [{given[name]: name for name in run.columns} for run in report.runs]


def _rows(folder: Path, names: Mapping[str, str]) -> Iterator[Listed]:
    """What the journal of a run says of `names`, checks that ended alike in one row.

    Of probes only what is claimed is listed: the others decide nothing.
    """
    for implementation, part, case, outcomes in journal.told(folder):
        if implementation not in names:
            continue
        alike: dict[tuple[str, str], list[str]] = {}
        for outcome in outcomes:
            if part != PROBES or outcome["check"] == PROBE_CHECK:
                key = outcome["status"], outcome.get("reason") or outcome.get("cause", "")
                alike.setdefault(key, []).append(outcome["check"])
        for (status, cause), checks in alike.items():
            yield Listed(
                implementation=names[implementation],
                case=case,
                status=Status(status),
                checks=tuple(checks),
                cause=cause,
            )


def _kept(rows: Iterable[Listed], most: int) -> tuple[list[Listed], int]:
    """The `most` worst rows, and how many there were; no more are held at once."""

    def order(numbered: tuple[Listed, int]) -> tuple[int, int, int]:
        row, number = numbered
        key = f"{row.implementation} {row.case}".encode("utf-8", "replace")
        return WORST_FIRST.index(row.status), zlib.crc32(key), number

    numbers = count()
    kept = nsmallest(most, zip(rows, numbers, strict=False), key=order)
    return [row for row, _ in sorted(kept, key=itemgetter(1))], next(numbers)


def _levels(case: str) -> tuple[int | None, ...]:
    parsed = Case.parse(case)
    return tuple(n if n >= 0 else None for n in classes_of(parsed, row_of(parsed)))
