"""What a campaign has done so far, on disk: whatever ends it, what was decided can be read.

One row of SQLite for each case: written when the case is started, completed when it is judged. What
is committed survives the end of the process; a sudden end of the machine may cost the last rows.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.campaign.outcomes import Outcome
from conformance.case import Case
from conformance.results import Status

NAME = "journal.sqlite"
VERSION = 1
_SCHEMA = """
CREATE TABLE campaign (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE tried (
    id INTEGER PRIMARY KEY, implementation TEXT, part TEXT, at INTEGER, position INTEGER,
    "case" TEXT, outcomes TEXT
);
"""
_KEPT = ("check", "status", "cause", "message", "ratio", "reason", "link", "strict")


@dataclass(frozen=True, slots=True)
class Entry:
    """A case in the journal.

    Attributes:
        implementation: who was tried.
        part: of the plan.
        at, position: number of the configuration, and of the case in its example.
        case: the case.
        outcomes: what was decided; None where the case was started only.
    """

    implementation: str
    part: str
    at: int
    position: int
    case: Case
    outcomes: list[Outcome] | None


class Journal:
    """The journal of a campaign in its output folder.

    Attributes:
        trouble: why it could not be written to the end, or empty; the campaign goes on without it.
    """

    def __init__(self, folder: Path, about: dict[str, Any] | None = None) -> None:
        """Begin a journal; one that is in the folder is replaced."""
        self.trouble = ""
        self._lock, self._last = threading.Lock(), 0
        self._db: sqlite3.Connection | None = None
        facts = {"version": VERSION, **(about or {})}
        rows = [(name, json.dumps(value)) for name, value in facts.items()]
        try:
            for suffix in ("", "-wal", "-shm"):
                Path(folder, NAME + suffix).unlink(missing_ok=True)
            self._db = sqlite3.connect(
                Path(folder, NAME), isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.executescript(_SCHEMA)
            self._db.executemany("INSERT INTO campaign VALUES (?, ?)", rows)
        except (sqlite3.Error, OSError) as error:
            self.trouble = str(error)

    def started(self, entry: Entry) -> int:
        """Write that a case is tried; returns the number under which `decided` completes it."""
        place = (entry.implementation, entry.part, entry.at, entry.position)
        with self._lock:
            self._last += 1
            row = (self._last, *place, str(entry.case))
            self._write("INSERT INTO tried VALUES (?, ?, ?, ?, ?, ?, NULL)", row)
            return self._last

    def decided(self, number: int, outcomes: list[Outcome]) -> None:
        """Write what became of the case."""
        text = json.dumps([_written(outcome) for outcome in outcomes])
        with self._lock:
            self._write("UPDATE tried SET outcomes = ? WHERE id = ?", (text, number))

    def _write(self, statement: str, row: tuple[Any, ...]) -> None:
        if self._db is not None and not self.trouble:
            try:
                self._db.execute(statement, row)
            except sqlite3.Error as error:
                self.trouble = str(error)

    def entries(self) -> Iterator[Entry]:
        """Every case, in the order in which they were started."""
        if self._db is not None:
            yield from _entries(self._db)

    def close(self) -> None:
        """Write everything to the one file."""
        try:
            if self._db is not None:
                self._db.close()
        except sqlite3.Error as error:
            self.trouble = self.trouble or str(error)


def read(folder: Path) -> Iterator[Entry]:
    """The cases in the journal of a folder, also of a campaign that was killed."""
    db = sqlite3.connect(Path(folder, NAME))
    try:
        yield from _entries(db)
    finally:
        db.close()


def _entries(db: sqlite3.Connection) -> Iterator[Entry]:
    rows = db.execute(
        'SELECT implementation, part, at, position, "case", outcomes FROM tried ORDER BY id'
    )
    for implementation, part, at, position, text, outcomes in rows:
        case = Case.parse(text)
        decided = None
        if outcomes is not None:
            decided = [_read(given, case, at) for given in json.loads(outcomes)]
        yield Entry(implementation, part, at, position, case, decided)


def _written(outcome: Outcome) -> dict[str, Any]:
    found = {name: getattr(outcome, name) for name in _KEPT}
    return {name: value for name, value in found.items() if value not in ("", None, False)}


def _read(given: dict[str, Any], case: Case, at: int) -> Outcome:
    return Outcome(case=case, at=at, **{**given, "status": Status(given["status"])})


def about(folder: Path) -> dict[str, Any]:
    """What the journal of a folder says of its campaign; nothing where it cannot be read."""
    try:
        with closing(_opened(folder)) as db:
            facts = db.execute("SELECT name, value FROM campaign").fetchall()
            return {name: json.loads(value) for name, value in facts}
    except (sqlite3.Error, ValueError):
        return {}


def written(folder: Path) -> Iterator[tuple[str, str, str, list[dict[str, Any]]]]:
    """(implementation, part, case, outcomes) of each decided case, as they stand in the journal.

    Raises:
        sqlite3.Error: there is no journal in the folder, or none that can be read.
    """
    with closing(_opened(folder)) as db:
        rows = db.execute(
            'SELECT implementation, part, "case", outcomes FROM tried '
            "WHERE outcomes IS NOT NULL ORDER BY id"
        )
        for implementation, part, case, outcomes in rows:
            yield implementation, part, case, json.loads(outcomes)


def _opened(folder: Path) -> sqlite3.Connection:
    """Without making a file where there is none."""
    return sqlite3.connect(f"{Path(folder, NAME).absolute().as_uri()}?mode=rw", uri=True)
