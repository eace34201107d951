"""Classes of cases by implementation, as rows of a table whose cells lead to their results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from conformance.report.text import plural
from conformance.results import BAD, ImplementationResult, Status

KNOWN = (Status.EXPECTED_FAILURE, Status.UNEXPECTED_PASS, Status.FLAKY)


@dataclass(frozen=True, slots=True)
class Cell:
    """One class for one implementation.

    Attributes:
        tone: ``fail``, ``fail most`` where most of them do, ``warn``, ``pass``, ``unsupported``,
            ``undrawn`` or ``empty``.
        text: what stands in the cell.
        words: what a reader of the screen hears after it.
        query: the term that finds its results, empty where there are none.
    """

    tone: str
    text: str
    words: str
    query: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One class: its name, the term that finds its results, and a cell an implementation."""

    name: str
    query: str
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class Group:
    """The classes of one kind."""

    name: str
    rows: list[Row]

    @property
    def failing(self) -> int:
        """Rows in which anything fails."""
        return self._with("fail")

    @property
    def undrawn(self) -> int:
        """Rows that somebody could have been asked for, and was not."""
        return self._with("undrawn")

    @property
    def heading(self) -> str:
        """``memory of the input``, and what stands out in it."""
        found = [plural(len(self.rows), "class", "classes")]
        found += [f"{self.failing} with failures"] if self.failing else []
        found += [f"{self.undrawn} not drawn"] if self.undrawn else []
        return ", ".join(found)

    def _with(self, tone: str) -> int:
        return sum(any(tone in cell.tone for cell in row.cells) for row in self.rows)


def groups(results: Sequence[ImplementationResult]) -> list[Group]:
    """The classes that anybody met or could have met, one group a kind, in order."""
    kinds: dict[str, dict[str, None]] = {}
    for result in results:
        for kind, classes in result.classes.items():
            kinds.setdefault(kind, {}).update(dict.fromkeys(classes))
    return [
        Group(kind, [_row(kind, name, results) for name in _in_order(kind, names, results)])
        for kind, names in kinds.items()
    ]


def key_of(kind: str) -> str:
    """A kind of class as a term of a query names it."""
    return kind.replace(" ", "-")


def term(key: str, value: str) -> str:
    """The term of a query that finds exactly `value`."""
    return f'{key}:"{value}"'


def _in_order(
    kind: str, names: Iterable[str], results: Sequence[ImplementationResult]
) -> list[str]:
    """The classes in the order of whoever has most of them; what others have besides comes last."""
    most = max((list(result.classes.get(kind, ())) for result in results), key=len)
    return [*most, *(name for name in names if name not in most)]


def _row(kind: str, name: str, results: Sequence[ImplementationResult]) -> Row:
    cells = [_cell(result.classes.get(kind, {}).get(name)) for result in results]
    return Row(name, term(key_of(kind), name), cells)


def _cell(counts: Mapping[str, int] | None) -> Cell:
    if counts is None:
        return Cell("empty", "–", "not claimed")
    bad = sum(counts.get(status, 0) for status in BAD)
    known = sum(counts.get(status, 0) for status in KNOWN)
    refused = counts.get(Status.UNSUPPORTED, 0)
    tried = sum(counts.values()) - refused
    if bad:
        tone = "fail most" if 2 * bad >= tried else "fail"
        return Cell(tone, f"{bad:,} of {tried:,}", "failed", _any_of(sorted(BAD)))
    if known:
        return Cell("warn", f"{known:,} of {tried:,}", "known to fail", _any_of(KNOWN))
    if tried:
        return Cell("pass", f"{tried:,}", "passed", _any_of([Status.PASSED]))
    if refused:
        return Cell("unsupported", f"{refused:,}", "refused", _any_of([Status.UNSUPPORTED]))
    return Cell("undrawn", "0", "not drawn")


def _any_of(statuses: Iterable[Status]) -> str:
    return "status:" + ",".join(statuses)
