"""Cases that have failed, one a line of a text file that a repository can keep.

    # Lines are tried before the plan.
    in1x3x2x1-f1-k3x2-integers.0  # mylib:conv2d: exact_values: values differ from the exact result

What stands after ``#`` says for whom and why a line was added; a line may do without.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from conformance import files
from conformance.case import CaseError, format_sequence, parse_sequence
from conformance.errors import UsageError
from conformance.folder import replaced
from conformance.plan import CORPUS, Asked, Example, Planned, adapt
from conformance.printable import in_a_line
from conformance.results import BAD, Report, Status

MOST_BYTES = 2**24
_LONGEST = 4000  # characters of a line
_LONGEST_REASON = 100
_PASSES = frozenset({Status.PASSED, Status.UNEXPECTED_PASS})


@dataclass(frozen=True, slots=True)
class Line:
    """One line with cases.

    Attributes:
        cases: an example.
        name: the implementation that it was added for, or empty.
        passes, fails: the names of those that were tried on it in this run.
    """

    cases: Example
    name: str
    passes: set[str] = field(default_factory=set)
    fails: set[str] = field(default_factory=set)

    @property
    def is_fixed(self) -> bool:
        """Whether it passes on all that were tried, and they are whom it was added for."""
        return bool(self.passes) and not self.fails and self.name in ("", *self.passes)


@dataclass(frozen=True, slots=True)
class Corpus:
    """The lines of a file.

    Attributes:
        path: the file; it need not be there yet.
        lines: its lines as they stand, and their cases where they have any.
    """

    path: Path
    lines: list[tuple[str, Line | None]]

    @classmethod
    def read(cls, path: Path) -> Corpus:
        """The corpus in a file, empty where there is none.

        Raises:
            UsageError: it cannot be read, or a line is no case; says which.
        """
        if not os.path.exists(path):
            if not os.path.isdir(path.parent):
                raise UsageError(f"there is no folder {path.parent} for {path}")
            return cls(path, [])
        lines = enumerate(files.text(path, MOST_BYTES).splitlines(), start=1)
        return cls(path, [(line, _parsed(line, f"{path}, line {n}")) for n, line in lines])

    def planned(self, asked: Asked) -> Iterator[Planned]:
        """What of it can be asked, each example once."""
        examples = [_as_asked(line.cases, asked) for _, line in self.lines if line is not None]
        for cases in filter(None, dict.fromkeys(examples)):
            text = format_sequence(cases)
            yield Planned(CORPUS, 0, cases, zlib.crc32(text.encode()))

    def saw(self, name: str, asked: Asked, replayed: Mapping[str, str]) -> None:
        """An implementation was tried on the examples `replayed`, with these worst statuses."""
        for _, line in self.lines:
            if line is not None:
                status = replayed.get(format_sequence(_as_asked(line.cases, asked)))
                if status in _PASSES:
                    line.passes.add(name)
                elif status not in (None, Status.UNSUPPORTED):
                    line.fails.add(name)

    def write(self, report: Report, *, prune: bool = False) -> tuple[int, int]:
        """Add what fails in `report` for the first time; with `prune`, leave out what is fixed.

        What others have added since it was read stays.

        Returns:
            How many lines were added and left out.

        Raises:
            OSError: the file cannot be written.
            UsageError: what others have written is no corpus.
        """
        lock = self.path.with_name(f".{self.path.name}.lock")
        with FileLock(lock):
            counts = self._write(report, prune=prune)
            # While it is held: who waits for this file sees that it is gone and makes a new one.
            with suppress(OSError):
                lock.unlink()
        return counts

    def _write(self, report: Report, *, prune: bool) -> tuple[int, int]:
        fixed = {text for text, line in self.lines if prune and line is not None and line.is_fixed}
        now = Corpus.read(self.path)
        kept = [text for text, line in now.lines if line is None or text not in fixed]
        known = {format_sequence(line.cases) for _, line in now.lines if line is not None}
        added = {case: line for case, line in _failing(report) if case not in known}
        left_out = len(now.lines) - len(kept)
        if added or left_out:
            with replaced(self.path) as path, path.open("w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in (*kept, *added.values()))
                file.flush()
                os.fsync(file.fileno())
        return len(added), left_out


def _parsed(text: str, where: str) -> Line | None:
    written, _, reason = text.partition("#")
    if not written.strip():
        return None
    if len(text) > _LONGEST:
        raise UsageError(f"{where}: it has more than {_LONGEST} characters")
    try:
        cases = parse_sequence(written.strip())
    except CaseError as error:
        raise UsageError(f"{where}: {error}") from None
    return Line(cases, reason.strip().partition(": ")[0])


def _as_asked(cases: Example, asked: Asked) -> Example:
    """An example as it is asked; empty where a case of it cannot be."""
    adapted = tuple(adapt((case,), asked)[0] for case in cases)
    has_life = any(case.asks == "life" for case in adapted)
    possible = all(map(asked.may_ask, adapted)) and (asked.contract or not has_life)
    return adapted if possible else ()


def _failing(report: Report) -> Iterator[tuple[str, str]]:
    """The smallest cases of a report, each with its line; not of what depends on chance."""
    for result in report.implementations:
        for finding in result.findings:
            by_case = finding.doubt != "chance"
            if finding.status in BAD - {Status.HARNESS_ERROR} and by_case:
                why = f"{finding.check}: {finding.cause}"[:_LONGEST_REASON]
                told = in_a_line(f"{result.given_name}: {why}")
                yield finding.minimal_case, f"{finding.minimal_case}  # {told}"
