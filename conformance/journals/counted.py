"""How many cases there were of each class, and what they have met.

Cases that differ in their seeds alone are counted together. What they are is looked up once for
all of them, once `AT_ONCE` kinds are waiting.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from conformance.axes import AXES, VARIED
from conformance.case import Case
from conformance.plan.classes import CLASSES, classes_of
from conformance.plan.coverage import Met
from conformance.plan.factors import Row, row_of
from conformance.results import Status

AT_ONCE = 10_000  # kinds of cases
COVERED = {name: shown for axis in AXES for name, shown in axis.covered.items()}
_STATUSES = tuple(Status)
_NAMES = [(kind, name) for kind, names in CLASSES.items() for name in names]
_STARTS = np.cumsum([0, *map(len, CLASSES.values())])[:-1]  # of each kind in `_NAMES`


class Counted:
    """Cases by what they are and their status; beyond `AT_ONCE` kinds it does not grow."""

    def __init__(self) -> None:
        self._cases: list[Case] = []  # one of each kind that waits
        self._times: dict[tuple[tuple[str, str], Status, bool], int] = {}  # of each kind
        self._answered, self._declined = Met(), Met()
        self._covered: dict[tuple[str, Status], Counter[str]] = defaultdict(Counter)
        self._classes = np.zeros((len(_STATUSES), len(_NAMES)), np.intp)

    def add(self, case: Case, status: Status, *, declined: bool) -> None:
        """Add one; `declined` where anything of it was unsupported."""
        kind = case.alike, status, declined
        if kind in self._times:
            self._times[kind] += 1
            return
        self._times[kind] = 1
        self._cases.append(case)
        if len(self._cases) == AT_ONCE:
            self._settle()

    @property
    def answered(self) -> Met:
        """What was met by the cases that got an answer."""
        self._settle()
        return self._answered

    @property
    def declined(self) -> Met:
        """What was met by those that were declined."""
        self._settle()
        return self._declined

    @property
    def coverage(self) -> dict[str, dict[str, dict[str, int]]]:
        """Argument to value to status to number of cases."""
        self._settle()
        found: dict[str, dict[str, dict[str, int]]] = {name: defaultdict(dict) for name in COVERED}
        for (name, status), counts in self._covered.items():
            for value, number in counts.items():
                found[name][value][str(status)] = number
        return found

    @property
    def classes(self) -> dict[tuple[str, str], dict[str, int]]:
        """Kind and class, as in `plan.classes`, to status to number of cases."""
        self._settle()
        return {
            name: {str(s): int(n) for s, n in zip(_STATUSES, numbers, strict=True) if n}
            for name, numbers in zip(_NAMES, self._classes.T, strict=True)
            if numbers.any()
        }

    def _settle(self) -> None:
        """Look up what waits."""
        waiting = zip(self._cases, self._times.items(), strict=True)
        together: dict[tuple[Status, bool, bool], list[tuple[Case, int]]] = defaultdict(list)
        for case, ((_, status, declined), number) in waiting:
            together[status, declined, case.asks == "life"].append((case, number))
        self._cases, self._times = [], {}
        for (status, declined, is_life), some in together.items():
            cases, times = [case for case, _ in some], [number for _, number in some]
            rows = [row_of(case) for case in cases]
            self._add_classes(cases, rows, status, times)
            self._add_values(cases, status, times, (VARIED,) if is_life else tuple(COVERED))
            if not is_life:
                met = self._declined if declined else self._answered
                met.add(cases, np.array(rows, np.intp), np.array(times, np.intp))

    def _add_classes(
        self, cases: Sequence[Case], rows: Sequence[Row], status: Status, times: Sequence[int]
    ) -> None:
        classes = np.array(list(map(classes_of, cases, rows)), np.intp)
        which, kinds = np.nonzero(classes >= 0)
        where = _STARTS[kinds] + classes[which, kinds]
        np.add.at(self._classes[_STATUSES.index(status)], where, np.array(times, np.intp)[which])

    def _add_values(
        self, cases: Sequence[Case], status: Status, times: Sequence[int], names: Sequence[str]
    ) -> None:
        for name in names:
            shown, counts = COVERED[name], self._covered[name, status]
            for case, number in zip(cases, times, strict=True):
                counts[shown(case)] += number
