"""How many cases there were of each class, and what they have met.

Cases that differ in their seeds alone are counted together. What they are is looked up once for
all of them, as soon as so many kinds of them wait as are held at once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import compress

import numpy as np
from numpy.typing import NDArray

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
    """Cases by what they are and their status; it does not grow with their number."""

    def __init__(self) -> None:
        self._cases: list[Case] = []  # one of each kind that waits
        self._times: dict[tuple[tuple[str, str], Status, bool], int] = {}  # of each kind
        self._answered, self._declined = Met(), Met()
        self._covered: dict[str, Counter[tuple[str, Status]]] = {
            name: Counter() for name in COVERED
        }
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
        found: dict[str, dict[str, dict[str, int]]] = {}
        for name, counts in self._covered.items():
            values = found[name] = defaultdict(dict)
            for (value, status), number in counts.items():
                values[value][str(status)] = number
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
        cases, kinds = self._cases, self._times
        if not cases:
            return
        self._cases, self._times = [], {}
        rows, statuses = [row_of(case) for case in cases], [status for _, status, _ in kinds]
        times = np.array(list(kinds.values()), np.intp)
        self._add_classes(cases, rows, statuses, times)
        plain = [case.asks != "life" for case in cases]
        declined = [declined for _, _, declined in kinds]
        for met, wanted in ((self._answered, False), (self._declined, True)):
            chosen = [n for n, d in enumerate(declined) if plain[n] and d is wanted]
            some = np.array([rows[n] for n in chosen], np.intp)
            met.add([cases[n] for n in chosen], some, times[chosen])
        every = list(zip(cases, statuses, kinds.values(), strict=True))
        others = list(compress(every, plain))
        for name, counts in self._covered.items():
            shown = COVERED[name]
            for case, status, number in every if name == VARIED else others:
                counts[shown(case), status] += number

    def _add_classes(
        self,
        cases: Sequence[Case],
        rows: Sequence[Row],
        statuses: Sequence[Status],
        times: NDArray[np.intp],
    ) -> None:
        classes = np.array(list(map(classes_of, cases, rows)), np.intp)
        numbers = np.array([_STATUSES.index(status) for status in statuses], np.intp)
        which, kind = np.nonzero(classes >= 0)
        where = numbers[which], _STARTS[kind] + classes[which, kind]
        np.add.at(self._classes, where, times[which])
