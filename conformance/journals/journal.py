"""What a campaign has done so far, on disk: whatever ends it, what was decided can be read.

A row of SQLite for each case: written when the case is started, completed when it is judged. An
example counts when all its cases are decided, since one layer serves them all; one that was cut
short is tried again as a whole and takes the place of what there was. What is committed survives
the end of the process; a sudden end of the machine may cost the last rows.

Verdicts without their numbers are few, so they are stored once and rows refer to them.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from array import array
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from conformance.case import Case
from conformance.errors import UsageError
from conformance.folder import replaced
from conformance.implementations.info import Info
from conformance.journals.fingerprint import Fingerprint, difference, of_implementation
from conformance.journals.outcomes import Outcome
from conformance.plan import Planned
from conformance.results import Status

NAME = "journal.sqlite"
VERSION = 2
FILES = tuple(NAME + suffix for suffix in ("", "-wal", "-shm"))
MOST_SHARED = 10_000  # verdicts that are remembered, to be stored once
_SCHEMA = """
CREATE TABLE campaign (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE names (id INTEGER PRIMARY KEY, text TEXT UNIQUE);
CREATE TABLE verdicts (id INTEGER PRIMARY KEY, text TEXT);
CREATE TABLE tried (
    implementation INTEGER, part INTEGER, number INTEGER, position INTEGER,
    at INTEGER, size INTEGER, "case" TEXT, verdicts INTEGER, ratios BLOB, seconds REAL,
    PRIMARY KEY (implementation, part, number, position)
) WITHOUT ROWID;
CREATE TABLE measured (implementation TEXT PRIMARY KEY, info TEXT, record TEXT) WITHOUT ROWID;
"""
_ROWS = """
SELECT who.text, parts.text, number, position, at, size, "case", told.text, ratios, seconds
FROM tried JOIN names who ON who.id = implementation JOIN names parts ON parts.id = part
LEFT JOIN verdicts told ON told.id = verdicts
"""
_IN_ORDER = " ORDER BY implementation, part, number, position"
_KEPT = (
    *("check", "status", "cause", "message", "seen", "reason", "link", "strict"),
    *("foreign_memory", "entry", "lost"),
)
Key = tuple[int, int, int, int]  # of a row


@dataclass(frozen=True, slots=True)
class Entry:
    """A case in the journal.

    Attributes:
        implementation: who was tried.
        part: of the plan.
        at, position: number of the configuration, and of the case in its example.
        case: the case.
        outcomes: what was decided; None where the case was started only.
        number: of the example in its part.
        size: cases of the example.
        seconds: after the start of the campaign, when it was decided.
    """

    implementation: str
    part: str
    at: int
    position: int
    case: Case
    outcomes: list[Outcome] | None
    number: int = 0
    size: int = 1
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """An example of which every case is decided.

    Attributes:
        planned: the example.
        each: number of the configuration of each case, and what came of it.
    """

    planned: Planned
    each: list[tuple[int, list[Outcome]]]

    @property
    def configurations(self) -> int:
        """How many it has."""
        return self.each[-1][0] - self.each[0][0] + 1


class Journal:
    """The journal of a campaign in its output folder.

    Attributes:
        about: what decides its cases and verdicts.
        trouble: why it could not be written to the end, or empty; the campaign goes on without it.
        spent: seconds that the campaign had taken when it was resumed.
    """

    def __init__(
        self, folder: Path, about: Fingerprint | None = None, *, resume: bool = False
    ) -> None:
        """Begin a journal, or `resume` the one in the folder.

        One that is begun replaces an earlier one when its first case is written, not before.

        Raises:
            UsageError: what is to be resumed is no journal, or that of another campaign.
        """
        self.trouble, self.spent = "", 0.0
        self._folder = folder
        self.about = {"journal": VERSION, **(about or {})}
        self._lock = threading.Lock()
        self._names: dict[str, int] = {}
        self._verdicts: dict[str, int] = {}
        self._measured: dict[str, Info] = {}
        self._db: sqlite3.Connection | None = None
        if resume:
            self._go_on()

    def _go_on(self) -> None:
        db = _opened(self._folder)
        try:
            before = _about(db)
            if changed := difference(before, self.about):
                raise UsageError(f"cannot resume the run in {self._folder}: {changed}")
            self.about = before
            self._names = {text: number for number, text in db.execute("SELECT * FROM names")}
            self._measured = _measured(db)
            self.spent = db.execute("SELECT max(seconds) FROM tried").fetchone()[0] or 0.0
        except BaseException:
            db.close()
            raise
        self._db = db
        with self._troubles():
            _durable(db)

    def _begin(self) -> None:
        path = Path(self._folder, NAME)
        with replaced(path) as whole:  # who reads a journal finds a whole one
            whole.unlink(missing_ok=True)
            with closing(_connection(whole)) as db:
                db.execute("PRAGMA journal_mode = MEMORY")  # no file of its own beside it
                db.executescript(_SCHEMA)
                facts = [(name, json.dumps(value)) for name, value in self.about.items()]
                db.executemany("INSERT INTO campaign VALUES (?, ?)", facts)
                known = [(name, _text(info)) for name, info in self._measured.items()]
                db.executemany("INSERT INTO measured VALUES (?, ?, NULL)", known)
            for name in FILES:
                Path(self._folder, name).unlink(missing_ok=True)
        self._db = _connection(path)
        _durable(self._db)

    def measures(self, name: str, info: Info) -> None:
        """An implementation is measured, and tells `info` of itself.

        Raises:
            UsageError: it told something else when the journal was begun.
        """
        with self._lock:
            before = self._measured.setdefault(name, info)
            if changed := difference(of_implementation(before), of_implementation(info)):
                raise UsageError(f"cannot resume the run in {self._folder}: of {name}, {changed}")
            self._write("INSERT OR IGNORE INTO measured VALUES (?, ?, NULL)", name, _text(info))

    def started(self, entry: Entry) -> Key:
        """Write that a case is tried; returns the key under which `decided` completes it."""
        with self._lock:
            if self._db is None and not self.trouble:
                with self._troubles():
                    self._begin()
            key = (
                *(self._named(entry.implementation), self._named(entry.part)),
                *(entry.number, entry.position),
            )
            self._write(
                "INSERT OR REPLACE INTO tried VALUES (?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL)",
                *(*key, entry.at, entry.size, str(entry.case)),
            )
            return key

    def decided(self, key: Key, outcomes: list[Outcome], seconds: float | None = None) -> None:
        """Write what became of the case, so many seconds after the campaign began."""
        text = json.dumps([_written(outcome) for outcome in outcomes])
        ratios = array("d", [o.ratio for o in outcomes if o.ratio is not None]).tobytes()
        with self._lock:
            verdicts = self._verdicts.get(text)
            if verdicts is None:
                verdicts = self._write("INSERT INTO verdicts (text) VALUES (?)", text)
                if len(self._verdicts) < MOST_SHARED:
                    self._verdicts[text] = verdicts
            self._write(
                "UPDATE tried SET verdicts = ?, ratios = ?, seconds = ? WHERE implementation = ? "
                "AND part = ? AND number = ? AND position = ?",
                *(verdicts, ratios or None, seconds, *key),
            )

    def has(self, name: str, planned: Planned) -> bool:
        """Whether every case of an example of the implementation `name` is decided."""
        with self._lock, self._troubles():
            if self._db is not None:
                found = self._db.execute(
                    "SELECT count(verdicts) FROM tried "
                    "WHERE implementation = ? AND part = ? AND number = ?",
                    (self._named(name), self._named(planned.part), planned.number),
                ).fetchone()
                return bool(found[0] == len(planned.example))
        return False

    def has_all(self, name: str, part: str, at: range) -> bool:
        """Whether every case of the configurations `at` in a part of the plan is decided."""
        with self._lock, self._troubles():
            if self._db is not None and name in self._names and part in self._names:
                found = self._db.execute(
                    "SELECT count(verdicts) = max(size), count(DISTINCT at) FROM tried "
                    "WHERE implementation = ? AND part = ? AND number BETWEEN ? AND ? "
                    "GROUP BY number",
                    (self._names[name], self._names[part], at.start, at.stop - 1),
                ).fetchall()
                return all(whole for whole, _ in found) and sum(n for _, n in found) == len(at)
        return False

    def examples(self, name: str) -> Iterator[Decided]:
        """What is decided of the implementation `name`, example by example."""
        if self._db is not None:
            yield from _examples(self._db, name)

    def entries(self) -> Iterator[Entry]:
        """Every case, example by example."""
        if self._db is not None:
            yield from _entries(self._db)

    @property
    def measured(self) -> dict[str, Info]:
        """What every implementation that was measured, if only in part, tells of itself."""
        return dict(self._measured)

    def ends(self, name: str, record: dict[str, Any]) -> None:
        """The implementation `name` is done; `record` is what its part of the report is made of."""
        with self._lock:
            self._write(
                "UPDATE measured SET record = ? WHERE implementation = ?", json.dumps(record), name
            )

    def ended(self, name: str) -> dict[str, Any] | None:
        """What `ends` was given, None where it is not done."""
        return None if self._db is None else _record(self._db, name)

    def close(self) -> None:
        """Write everything to the one file."""
        with self._troubles():
            if self._db is not None:
                self._db.close()

    def _named(self, name: str) -> int:
        """The number of an implementation or a part."""
        if name not in self._names:
            self._names[name] = self._write("INSERT INTO names (text) VALUES (?)", name)
        return self._names[name]

    def _write(self, statement: str, *row: Any) -> int:
        """Write where there is a file; returns the number of the row."""
        number: int | None = 0
        if self._db is not None and not self.trouble:
            with self._troubles():
                number = self._db.execute(statement, row).lastrowid
        return number or 0

    @contextmanager
    def _troubles(self) -> Iterator[None]:
        """Keep the first reason why the journal cannot be written."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self.trouble = self.trouble or str(error)


def exists(folder: Path) -> bool:
    """Whether there is a journal in `folder`."""
    return Path(folder, NAME).exists()


def read(folder: Path) -> Iterator[Entry]:
    """The cases in the journal of a folder, example by example, also of a campaign that was killed.

    Raises:
        UsageError: there is no journal of this version.
    """
    with closing(_opened(folder)) as db:
        yield from _entries(db)


def about(folder: Path) -> Fingerprint:
    """What decided the campaign of a folder; nothing where its journal cannot be read."""
    try:
        with closing(_opened(folder)) as db:
            return _about(db)
    except UsageError:
        return {}


def told(folder: Path) -> Iterator[tuple[str, str, str, list[dict[str, Any]]]]:
    """(implementation, part, case, outcomes) of each decided case, as they stand in the journal.

    Raises:
        UsageError: there is no journal of this version.
    """
    with closing(_opened(folder)) as db:
        rows = db.execute(
            'SELECT who.text, parts.text, "case", told.text FROM tried '
            "JOIN names who ON who.id = implementation JOIN names parts ON parts.id = part "
            f"JOIN verdicts told ON told.id = verdicts{_IN_ORDER}"
        )
        for implementation, part, case, outcomes in rows:
            yield implementation, part, case, _loaded(outcomes)


def _opened(folder: Path) -> sqlite3.Connection:
    """The journal of a folder.

    Raises:
        UsageError: there is none, or none of this version.
    """
    path = Path(folder, NAME)
    if not path.is_file():
        raise UsageError(f"there is no {NAME} in {folder}")
    try:
        db = _connection(path)
        found = _about(db).get("journal")
    except (sqlite3.Error, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    if found != VERSION:
        db.close()
        raise UsageError(f"{path} is of version {found or 1}; this suite reads version {VERSION}")
    return db


def _about(db: sqlite3.Connection) -> Fingerprint:
    return {name: json.loads(value) for name, value in db.execute("SELECT * FROM campaign")}


def _measured(db: sqlite3.Connection) -> dict[str, Info]:
    rows = db.execute("SELECT implementation, info FROM measured")
    return {name: Info.from_tree(json.loads(tree)) for name, tree in rows}


def _text(info: Info) -> str:
    return json.dumps(info.to_tree(), default=str)


def _record(db: sqlite3.Connection, name: str) -> dict[str, Any] | None:
    rows = db.execute("SELECT record FROM measured WHERE implementation = ?", (name,))
    found = rows.fetchone()
    return None if found is None or found[0] is None else dict(json.loads(found[0]))


def _connection(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def _durable(db: sqlite3.Connection) -> None:
    """Every row survives the end of the process, and the file that of the machine."""
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")


def _entries(db: sqlite3.Connection, name: str | None = None) -> Iterator[Entry]:
    chosen = "" if name is None else " WHERE who.text = ?"
    rows = db.execute(_ROWS + chosen + _IN_ORDER, () if name is None else (name,))
    for who, part, number, position, at, size, text, verdicts, ratios, seconds in rows:
        case = Case.parse(text)
        outcomes = None if verdicts is None else _read(verdicts, ratios)
        yield Entry(who, part, at, position, case, outcomes, number, size, seconds)


def _examples(db: sqlite3.Connection, name: str) -> Iterator[Decided]:
    for (part, number), rows in groupby(_entries(db, name), key=lambda e: (e.part, e.number)):
        entries = list(rows)
        each = [(entry.at, entry.outcomes) for entry in entries if entry.outcomes is not None]
        if len(each) == entries[0].size:
            cases = tuple([entry.case for entry in entries])
            yield Decided(Planned(part, entries[0].at, cases, number), each)


def _written(outcome: Outcome) -> dict[str, Any]:
    """All but the number of the ratio."""
    found = {name: getattr(outcome, name) for name in _KEPT}
    found["ratio"] = outcome.ratio is not None
    return {name: value for name, value in found.items() if value}


def _read(verdicts: str, ratios: bytes | None) -> list[Outcome]:
    parsed = _parsed(verdicts)
    if not ratios:
        return [outcome for _, _, outcome in parsed]
    numbers = iter(array("d", ratios))
    return [
        Outcome(**kept, ratio=next(numbers)) if has_ratio else outcome
        for has_ratio, kept, outcome in parsed
    ]


@lru_cache(maxsize=1000)
def _parsed(verdicts: str) -> list[tuple[bool, dict[str, Any], Outcome]]:
    """Of each outcome whether it has a ratio, the rest, and what it is without one."""
    found = []
    for given in json.loads(verdicts):
        has_ratio = given.pop("ratio", False)
        kept = {**given, "status": Status(given["status"])}
        found.append((has_ratio, kept, Outcome(**kept)))
    return found


@lru_cache(maxsize=1000)
def _loaded(verdicts: str) -> list[dict[str, Any]]:
    return list(json.loads(verdicts))
