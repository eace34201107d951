"""Trying examples on one implementation: what is common to doing it here and on a cluster."""

from __future__ import annotations

import queue
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from conformance.campaign.ending import ENDING
from conformance.case import Case
from conformance.expectations import Expectation
from conformance.implementations.info import Info
from conformance.journals.journal import Entry, Journal, Key
from conformance.journals.outcomes import Outcome, outcomes_of
from conformance.journals.tally import Tally
from conformance.plan import CORPUS, Example, Planned, Undrawn
from conformance.processes.limits import Budget
from conformance.processes.worker import Reply, Worker
from conformance.targets import Target

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tried:
    """A case that was tried.

    Attributes:
        planned: its example.
        at: number of its configuration.
        before: the cases of the example up to and with it.
        outcomes: what became of it.
    """

    planned: Planned
    at: int
    before: Example
    outcomes: list[Outcome]

    @property
    def is_last(self) -> bool:
        """Whether its example is done."""
        return len(self.before) == len(self.planned.example)


@dataclass(slots=True)
class Team:
    """The processes that run one implementation.

    Attributes:
        target: who is measured.
        workers: so many processes.
        budget: when they stop.
        expectations: what is expected to fail, its own entries first.
    """

    target: Target
    workers: list[Worker]
    budget: Budget
    expectations: list[Expectation] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.target.name

    def start(self) -> Info:
        """Start the first process.

        Raises:
            UsageError: it cannot be measured.
        """
        return self.workers[0].start()

    def stop(self) -> None:
        """End the processes."""
        for worker in self.workers:
            worker.stop()

    def abort(self) -> None:
        """End them at once and for good."""
        self.budget.stop.set()
        for worker in self.workers:
            worker.abort()


@dataclass(frozen=True, slots=True)
class Answered:
    """A case with its reply.

    Attributes:
        planned, at, before: as in `Tried`.
        reply: what became of it.
        row: its row in the journal.
        earlier: where it failed, the cases that its process was asked before.
    """

    planned: Planned
    at: int
    before: Example
    reply: Reply
    row: Key | None
    earlier: Example = ()


class Trying(ABC, Generic[T]):
    """Takes examples from a plan, leaves out what is decided, and counts what comes back.

    What does the work puts messages, what is `Answered` among them; the caller's thread takes them.
    """

    def __init__(
        self,
        team: Team,
        planned: Iterator[Planned | Undrawn],
        tally: Tally,
        checks: tuple[str, ...],
        journal: Journal | None,
        began: float,
    ) -> None:
        self.team, self.planned, self.tally, self.checks = team, planned, tally, checks
        self.journal, self.began = journal, began
        self._messages: queue.SimpleQueue[Answered | T] = queue.SimpleQueue()
        self._waiting = threading.Semaphore(0)  # as many as there are messages
        self.lock = threading.Lock()  # of the plan
        self.stopped = threading.Event()
        self.lost: Counter[str] = Counter()
        self.returned = 0
        self.given_up = False

    def outcomes(self) -> Iterator[Tried]:
        """Each case as it is decided; what is decided already comes first."""
        if self.journal is not None:
            yield from self.known(self.journal)
        yield from self.run()

    @abstractmethod
    def run(self) -> Iterator[Tried]:
        """Try what is not decided."""

    @abstractmethod
    def end(self) -> None:
        """Give up what is not done."""

    def put(self, message: Answered | T) -> None:
        """Hand over a message, from any thread."""
        self._messages.put(message)
        self._waiting.release()

    def take(self) -> Answered | T:
        """The next message. Ctrl-C leaves it where it is: then it is among what is `left`."""
        with ENDING.may_leave():
            self._waiting.acquire()
        return self._messages.get()

    def left(self) -> Iterator[Answered | T]:
        """The messages that were not taken."""
        while not self._messages.empty():
            yield self._messages.get()

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be begun."""
        return self.stopped.is_set() or self.team.budget.over

    def next_step(self) -> Planned | Undrawn | None:
        """The next example that is not decided yet, or a batch to be drawn."""
        with self.lock:
            for step in self.planned:
                if isinstance(step, Undrawn) or not self.is_known(step):
                    return step
        return None

    def is_known(self, planned: Planned) -> bool:
        """Whether the journal has all cases of an example."""
        return self.journal is not None and self.journal.has(self.team.name, planned)

    def begin(self, planned: Planned, answered: int = 0) -> Iterator[tuple[int, Case, Key | None]]:
        """Number, case and row of each case of an example; in the journal as it is begun.

        The first `answered` cases are left out.
        """
        numbered = [(at, case) for at, cases in planned.configurations() for case in cases]
        for number, (at, case) in enumerate(numbered[answered:], start=answered):
            row = None
            if self.journal is not None:
                place = (self.team.name, planned.part, at, number)
                entry = Entry(*place, case, None, planned.number, len(numbered))
                row = self.journal.started(entry)
            yield at, case, row

    def known(self, journal: Journal) -> Iterator[Tried]:
        """What a run that was ended has decided; the last case of each example is told."""
        for decided in journal.examples(self.team.name):
            planned = decided.planned
            for _, outcomes in decided.each if planned.part != CORPUS else ():
                self._count(outcomes)
            self.tally.add_example(decided)
            yield Tried(planned, planned.at, planned.example, decided.each[-1][1])

    def tried(self, message: Answered) -> Tried:
        case: Case = message.before[-1]
        outcomes = outcomes_of(
            message.reply,
            case,
            self.tally.info,
            self.team.expectations,
            self.checks,
        )
        planned = message.planned
        tried = Tried(planned, message.at, message.before, outcomes)
        self.tally.add(
            *(planned.part, message.at, message.before, outcomes),
            is_last=tried.is_last,
            earlier=message.earlier,
        )
        if tried.is_last:
            self.tally.finished(planned.part, len(planned.configurations()))
        if planned.part != CORPUS:
            self._count(outcomes)
        if self.journal is not None and message.row is not None:
            self.journal.decided(message.row, outcomes, time.monotonic() - self.began)
        return tried

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        """Stop where there is nothing more to learn from further cases."""
        lost = next((outcome.lost for outcome in outcomes if outcome.lost), "")
        if not lost:
            self.returned += 1
            return
        self.lost[lost] += 1
        total, limits = self.lost.total(), self.team.workers[0].observer.limits
        hopeless = not self.returned and total >= limits.lost_at_first
        if hopeless or total >= limits.lost + self.returned:
            self.stopped.set()
            self.given_up = True
        if self.given_up:
            kinds = [f"{n} {how.replace('_', ' ')}" for how, n in sorted(self.lost.items())]
            tried = total + self.returned
            self.tally.stopped = f"stopped after {' and '.join(kinds)} of {tried} cases"
