"""The suite run against every known fault, and against correct implementations."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product
from multiprocessing import get_context
from statistics import median

from conformance.faults import COVERED, FAULTS, Fault
from conformance.selftest.correct import CORRECT
from conformance.selftest.elsewhere import SUITES
from conformance.selftest.trying import Catch, first_catch

_IGNORING = (signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a fault.

    Attributes:
        fault: which one.
        catches: the first failure for each seed, None where there is none.
        seen_by: the other suites that see it.
    """

    fault: Fault
    catches: tuple[Catch | None, ...]
    seen_by: frozenset[str]

    @property
    def is_caught(self) -> bool:
        """Whether it is caught whatever the seed."""
        return None not in self.catches

    @property
    def at(self) -> float:
        """The configuration at which it is caught, the median over seeds; infinite if not."""
        return median(float("inf") if c is None else c.at for c in self.catches)

    @property
    def checks(self) -> tuple[str, ...]:
        """The checks that catch it."""
        return tuple(dict.fromkeys(c.check for c in self.catches if c is not None))

    @property
    def names(self) -> frozenset[str]:
        """The faults that it is taken for."""
        return frozenset(c.diagnosis for c in self.catches if c is not None and c.diagnosis)

    @property
    def right_name(self) -> str:
        """Its own, or that of what shows of an earlier call."""
        return COVERED.get(self.fault.name, self.fault.name)

    @property
    def is_named(self) -> bool:
        return self.names == {self.right_name}

    @property
    def is_misnamed(self) -> bool:
        return not self.names <= {self.right_name}


@dataclass(frozen=True, slots=True)
class Outcome:
    """All rows.

    Attributes:
        rows: one a fault, in the order of the table.
        correct: for each correct implementation its failures, one text a seed that has one.
        seeds: how many plans there were.
        seconds: processor time that everything took.
    """

    rows: tuple[Row, ...]
    correct: dict[str, tuple[str, ...]]
    seeds: int
    seconds: float

    @property
    def is_good(self) -> bool:
        """Whether every fault is caught and nothing correct fails."""
        return all(row.is_caught for row in self.rows) and not any(self.correct.values())

    @property
    def median(self) -> float:
        """The configuration at which half of the faults are caught."""
        return median(row.at for row in self.rows) if self.rows else 0.0

    @property
    def misnamed(self) -> list[Row]:
        return [row for row in self.rows if row.is_misnamed]

    @property
    def survivors(self) -> list[Row]:
        return [row for row in self.rows if not row.is_caught]


class Selftest:
    """A run: iterate over it, then read `outcome`."""

    def __init__(self, *, seeds: int, jobs: int) -> None:
        self.seeds, self.jobs = seeds, jobs
        self.outcome: Outcome | None = None

    def __iter__(self) -> Iterator[Row]:
        """The rows as they are done."""
        seconds = 0.0
        rows: list[Row] = []
        runs = list(product(CORRECT, range(self.seeds)))
        failures: dict[str, list[str]] = {name: [] for name in CORRECT}
        with get_context("spawn").Pool(self.jobs, signal.signal, _IGNORING) as pool:
            tried = pool.imap(partial(_tried, seeds=self.seeds), FAULTS)
            correct = pool.imap(_failure, runs)
            for found in tried:
                rows.append(Row(FAULTS[found.name], found.catches, found.seen_by))
                seconds += found.seconds
                yield rows[-1]
            for (name, _), (failure, took) in zip(runs, correct, strict=True):
                failures[name] += failure
                seconds += took
        every = {name: tuple(found) for name, found in failures.items()}
        self.outcome = Outcome(tuple(rows), every, self.seeds, seconds)


@dataclass(frozen=True, slots=True)
class _Result:
    """A row without its fault, which holds functions and cannot be sent."""

    name: str
    catches: tuple[Catch | None, ...]
    seen_by: frozenset[str]
    seconds: float


def _tried(name: str, *, seeds: int) -> _Result:
    began = time.process_time()
    fault = FAULTS[name]
    catches = tuple(first_catch(fault.function, seed) for seed in range(seeds))
    seen_by = frozenset(suite.name for suite in SUITES if suite.sees(fault))
    return _Result(name, catches, seen_by, time.process_time() - began)


def _failure(run: tuple[str, int]) -> tuple[list[str], float]:
    """What fails of a correct implementation with a seed, at most one text; and processor time."""
    began = time.process_time()
    name, seed = run
    caught = first_catch(lambda: CORRECT[name], seed, named=False)
    texts = [] if caught is None else [f"{caught.check} at {caught.at}: {caught.cause}"]
    return texts, time.process_time() - began
