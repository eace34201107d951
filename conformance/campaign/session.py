"""Processes that run implementations and judges, and trying cases on them: for every door.

A door iterates over what was tried. When it stops iterating, as at Ctrl-C, the processes end.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from types import TracebackType

from conformance.campaign.ending import ENDING
from conformance.campaign.journal import Entry, Journal, Key
from conformance.campaign.judges import Judges
from conformance.campaign.limits import Budget, Limits, Patience
from conformance.campaign.outcomes import Outcome, outcomes_of
from conformance.campaign.process import Lost
from conformance.campaign.tally import PROBES, Tally
from conformance.campaign.worker import Reply, Worker
from conformance.capabilities import probes
from conformance.case import Case
from conformance.errors import UsageError
from conformance.expectations import Expectation, own_expectations
from conformance.implementations import Target
from conformance.implementations.info import Info
from conformance.plan import CORPUS, WHOLE, Example, Planned, Shard
from conformance.results import Status


def available_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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


class Session:
    """Judges, and teams of processes; ends them all when it is left.

    Attributes:
        limits: what every implementation may take.
        expectations: expected failures besides those that implementations carry.
        journal: where every case is written, if anywhere; what is decided there is not tried again.
    """

    def __init__(
        self,
        *,
        jobs: int = 1,
        limits: Limits | None = None,
        expectations: Sequence[Expectation] = (),
        journal: Journal | None = None,
    ) -> None:
        self.jobs, self.limits = jobs, limits or Limits()
        self.expectations, self.journal = expectations, journal
        self.judges = Judges(jobs)
        self.began = time.monotonic() - (0.0 if journal is None else journal.spent)
        self.cpu: Counter[str] = Counter()
        self._teams: list[Team] = []

    def team(self, target: Target, size: int | None = None, budget: Budget | None = None) -> Team:
        """Processes for an implementation, started when they are needed."""
        patience, budget = Patience(self.limits), budget or Budget()
        workers = [
            Worker(target, self.limits, judges=self.judges, patience=patience, budget=budget)
            for _ in range(size or self.jobs)
        ]
        self._teams.append(Team(target, workers, budget))
        return self._teams[-1]

    def another(self, team: Team) -> Worker:
        """A further process for the implementation of `team`, ended with it."""
        first = team.workers[0]
        team.workers.append(
            Worker(
                team.target,
                self.limits,
                judges=self.judges,
                patience=first.observer.patience,
                budget=team.budget,
            )
        )
        return team.workers[-1]

    def try_all(
        self,
        team: Team,
        planned: Callable[[Info], Iterator[Planned]],
        tally: Tally,
        checks: tuple[str, ...] = (),
        shard: Shard = WHOLE,
        replays: Callable[[Info], Iterator[Planned]] = lambda info: iter(()),
    ) -> Generator[Tried, None, None]:
        """Try the probes, `replays`, and what is `planned`; each case as it is decided is added
        to `tally`.

        Of probes and replays, those of a `shard`.

        Raises:
            UsageError: it cannot be measured.
        """
        info = tally.info
        team.expectations = [*own_expectations(info.name, info.expected_failures)]
        team.expectations += self.expectations
        cases = chain(shard.of(probes_of(info)), shard.of(replays(info)), planned(info))
        run = _Run(team, cases, tally, checks, self.journal, self.began)
        try:
            yield from run.outcomes()
        finally:
            run.end()
            tally.settle()

    def close(self) -> None:
        """End every process."""
        while self._teams:
            team = self._teams.pop()
            team.stop()
            for worker in team.workers:
                self.cpu["children"] += worker.observer.cpu  # type: ignore[assignment]
                self.cpu["setup"] += worker.observer.setup_cpu  # type: ignore[assignment]
        self.cpu["judges"] += self.judges.cpu  # type: ignore[assignment]
        self.judges.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def probes_of(info: Info) -> Iterator[Planned]:
    """The probes of what `info` can be asked, before the first configuration."""
    if info.recorded:
        return iter(())
    cases = dict.fromkeys(probe.case for probe in probes(info.capabilities))
    return (Planned(PROBES, 0, (case,), number) for number, case in enumerate(cases, start=1))


_LOST = frozenset({Status.CRASHED, Status.TIMED_OUT})


@dataclass(frozen=True, slots=True)
class _Reply:
    planned: Planned
    at: int
    before: Example
    reply: Reply
    row: Key | None


@dataclass(frozen=True, slots=True)
class _Ended:
    worker: Worker
    error: BaseException | None = None


class _Run:
    """One thread a worker puts replies on a queue; the caller's thread takes them."""

    def __init__(
        self,
        team: Team,
        planned: Iterator[Planned],
        tally: Tally,
        checks: tuple[str, ...],
        journal: Journal | None,
        began: float,
    ) -> None:
        self.team, self.planned, self.tally, self.checks = team, planned, tally, checks
        self.journal, self.began = journal, began
        self.queue: queue.SimpleQueue[_Reply | _Ended] = queue.SimpleQueue()
        self.lock = threading.Lock()  # of the plan
        self.stopped = threading.Event()
        self.threads: list[threading.Thread] = []
        self.lost: Counter[Status] = Counter()
        self.returned = 0
        self.given_up = False
        self.refusals: list[UsageError] = []

    def outcomes(self) -> Iterator[Tried]:
        if self.journal is not None:
            yield from self._known(self.journal)
        waiting = list(self.team.workers)
        able: list[Worker] = []
        while waiting:
            running = len(waiting)
            for worker in waiting:
                self._start(worker)
            waiting = []
            while running:
                with ENDING.may_leave():
                    message = self.queue.get()
                if isinstance(message, _Reply):
                    yield self._tried(message)
                    continue
                running -= 1
                if isinstance(message.error, UsageError):
                    self.refusals.append(message.error)
                elif message.error is not None:
                    raise message.error
                else:
                    able.append(message.worker)
            if self._is_left_over() and able:
                waiting = able[:1]
                able.clear()
        self._tell_refusals()

    def end(self) -> None:
        """Let the threads end; what they are busy with is given up where it is not done."""
        self.stopped.set()
        if any(thread.is_alive() for thread in self.threads):
            self.team.abort()
        for thread in self.threads:
            thread.join()
        while not self.queue.empty():  # decided, and not taken when the loop was left
            message = self.queue.get()
            if isinstance(message, _Reply):
                self._tried(message)
        self.tally.memory_restarts = sum(w.observer.memory_restarts for w in self.team.workers)
        self.tally.slow_restarts = sum(w.observer.pace.restarts for w in self.team.workers)

    def _start(self, worker: Worker) -> None:
        thread = threading.Thread(target=self._work, args=(worker,), daemon=True)
        self.threads.append(thread)
        thread.start()

    def _work(self, worker: Worker) -> None:
        error: BaseException | None = None
        try:
            while not self._is_over():
                planned = self._next()
                if planned is None:
                    break
                try:
                    worker.start()
                except UsageError:
                    with self.lock:
                        self.planned = chain([planned], self.planned)
                    raise
                self._example(worker, planned)
        except BaseException as raised:  # noqa: BLE001 - raised again by who takes from the queue
            error = None if worker.aborted else raised
        self.queue.put(_Ended(worker, error))

    def _next(self) -> Planned | None:
        """The next example that is not decided yet."""
        with self.lock:
            for planned in self.planned:
                if self.journal is None or not self.journal.has(self.team.name, planned):
                    return planned
        return None

    def _example(self, worker: Worker, planned: Planned) -> None:
        numbered = [(at, case) for at, cases in planned.configurations() for case in cases]
        replies = worker.run(tuple(case for _, case in numbered), self.checks)
        for number, (at, case) in enumerate(numbered):
            row = None
            if self.journal is not None:
                place = (self.team.name, planned.part, at, number)
                entry = Entry(*place, case, None, planned.number, len(numbered))
                row = self.journal.started(entry)
            reply = next(replies)
            if self.team.budget.stop.is_set() or worker.aborted:
                return  # the process was ended under it
            self.queue.put(_Reply(planned, at, planned.example[: number + 1], reply, row))

    def _is_over(self) -> bool:
        return self.stopped.is_set() or self.team.budget.over

    def _is_left_over(self) -> bool:
        if self._is_over() or not self.refusals:
            return False
        first = next(self.planned, None)
        if first is not None:
            self.planned = chain([first], self.planned)
        return first is not None

    def _known(self, journal: Journal) -> Iterator[Tried]:
        """What a run that was ended has decided; the last case of each example is told."""
        for decided in journal.examples(self.team.name):
            planned = decided.planned
            for outcomes in decided.outcomes if planned.part != CORPUS else ():
                self._count(next((o.status for o in outcomes if o.status in _LOST), None))
            self.tally.add_example(planned, decided.outcomes, decided.configurations)
            yield Tried(planned, planned.at, planned.example, decided.outcomes[-1])

    def _tried(self, message: _Reply) -> Tried:
        case: Case = message.before[-1]
        outcomes = outcomes_of(
            message.reply,
            message.at,
            case,
            self.tally.info,
            self.team.expectations,
            self.checks,
        )
        planned = message.planned
        tried = Tried(planned, message.at, message.before, outcomes)
        self.tally.add(planned.part, message.before, outcomes, is_last=tried.is_last)
        if tried.is_last:
            self.tally.finished(planned.part, len(planned.configurations()))
        if planned.part != CORPUS:
            self._count(message.reply.status if isinstance(message.reply, Lost) else None)
        if self.journal is not None and message.row is not None:
            self.journal.decided(message.row, outcomes, time.monotonic() - self.began)
        return tried

    def _count(self, lost: Status | None) -> None:
        """Stop where there is nothing more to learn from further cases."""
        if lost is None:
            self.returned += 1
            return
        self.lost[lost] += 1
        total, limits = self.lost.total(), self.team.workers[0].observer.limits
        hopeless = not self.returned and total >= limits.lost_at_first
        if hopeless or total >= limits.lost + self.returned:
            self.given_up = True
            self.stopped.set()
        if self.given_up:
            words = {Status.CRASHED: "crashed", Status.TIMED_OUT: "timed out"}
            kinds = " and ".join(f"{n} {words[s]}" for s, n in sorted(self.lost.items()))
            self.tally.stopped = f"stopped when {kinds} of {total + self.returned} cases"

    def _tell_refusals(self) -> None:
        if not self.refusals:
            return
        reason, workers = self.refusals[0], len(self.team.workers)
        if not self.returned and not self.lost:
            raise reason
        self.tally.refusal = f"{len(self.refusals)} of {workers} processes: {reason}"
        if len(self.refusals) == workers:
            self.tally.stopped = f"no process could be started again ({reason})"
