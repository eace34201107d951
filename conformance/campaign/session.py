"""Processes that run implementations and judges, and trying cases on them: for every door.

A door iterates over what was tried. When it stops iterating, as at Ctrl-C, the processes end.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from types import TracebackType
from typing import Any

from conformance.campaign.cluster import Cluster, OnCluster
from conformance.campaign.trying import Answered, Team, Tried, Trying
from conformance.capabilities import probes
from conformance.errors import UsageError
from conformance.expectations import Expectation, leaving_traces, own_expectations
from conformance.implementations.info import Info
from conformance.journals.journal import Journal
from conformance.journals.tally import PROBES, Tally
from conformance.plan import WHOLE, Planned, Shard, Undrawn
from conformance.processes.judges import Judges
from conformance.processes.limits import Budget, Limits, Patience
from conformance.processes.worker import Worker
from conformance.results import Status
from conformance.targets import Target


def available_cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
        worker = Worker(
            team.target,
            self.limits,
            judges=self.judges,
            patience=first.observer.patience,
            budget=team.budget,
        )
        worker.leaves_traces = first.leaves_traces
        team.workers.append(worker)
        return worker

    def try_all(
        self,
        team: Team,
        planned: Callable[[Info], Iterator[Planned | Undrawn]],
        tally: Tally,
        checks: tuple[str, ...] = (),
        shard: Shard = WHOLE,
        replays: Callable[[Info], Iterator[Planned]] = lambda info: iter(()),
        cluster: Cluster | None = None,
    ) -> Generator[Tried, None, None]:
        """Try the probes, `replays`, and what is `planned`; each case as it is decided is added
        to `tally`.

        Of probes and replays, those of a `shard`. The team gives way to the workers of a `cluster`,
        which draw batches that are not drawn yet.

        Raises:
            UsageError: it cannot be measured.
        """
        info = tally.info
        own = own_expectations(info.name, info.expected_failures)
        team.expectations = [e for e in (*own, *self.expectations) if e.concerns(info)]
        for worker in team.workers:
            worker.leaves_traces = leaving_traces(team.expectations, info)
        cases = chain(shard.of(probes_of(info)), shard.of(replays(info)), planned(info))
        given = (team, cases, tally, checks, self.journal, self.began)
        run: Trying[Any] = _Here(*given) if cluster is None else OnCluster(cluster, *given)
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
        self.cpu["setup"] += self.judges.setup_cpu  # type: ignore[assignment]
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


@dataclass(frozen=True, slots=True)
class _Ended:
    worker: Worker
    error: BaseException | None = None


class _Here(Trying[_Ended]):
    """One thread for each process of a team puts replies on the queue.

    Attributes:
        answered: of each example that is not done, how many cases are; told once, whoever goes on.
    """

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.answered: dict[tuple[str, int], int] = {}
        self.threads: list[threading.Thread] = []
        self.refusals: list[UsageError] = []

    def run(self) -> Iterator[Tried]:
        """As `Trying.run`.

        Raises:
            UsageError: no process can be started.
        """
        waiting = list(self.team.workers)
        able: list[Worker] = []
        while waiting:
            running = len(waiting)
            for worker in waiting:
                self._start(worker)
            waiting = []
            while running:
                message = self.take()
                if isinstance(message, Answered):
                    yield self.tried(message)
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
        for thread in self.threads:  # each has said that it is done
            thread.join()
        self._tell_refusals()

    def end(self) -> None:
        """Let the threads end; where `run` was left early, what they are busy with is given up."""
        self.stopped.set()
        if any(thread.is_alive() for thread in self.threads):
            self.team.abort()
        for thread in self.threads:
            thread.join()
        for message in self.left():
            if isinstance(message, Answered):
                self.tried(message)
        self.tally.memory_restarts = sum(w.observer.memory_restarts for w in self.team.workers)
        self.tally.slow_restarts = sum(w.observer.pace.restarts for w in self.team.workers)

    def _start(self, worker: Worker) -> None:
        thread = threading.Thread(target=self._work, args=(worker,), daemon=True)
        self.threads.append(thread)
        thread.start()

    def _work(self, worker: Worker) -> None:
        error: BaseException | None = None
        try:
            while not self.is_over:
                planned = self.next_step()
                if planned is None:
                    break
                assert isinstance(planned, Planned)  # here a plan is drawn as it is taken
                try:
                    worker.start()
                    self._example(worker, planned)
                except UsageError:  # another process goes on with it
                    with self.lock:
                        self.planned = chain([planned], self.planned)
                    raise
        except BaseException as raised:  # noqa: BLE001 - raised again by who takes from the queue
            error = None if worker.aborted else raised
        self.put(_Ended(worker, error))

    def _example(self, worker: Worker, planned: Planned) -> None:
        replies = worker.run(planned.example, self.checks)
        name = (planned.part, planned.number)
        answered = self.answered.get(name, 0)
        for _ in range(answered):  # what comes after them may depend on them
            next(replies)
            if self.team.budget.stop.is_set() or worker.aborted:
                return
        begun = self.begin(planned, answered)
        for number, (at, _, row) in enumerate(begun, start=answered + 1):
            reply = next(replies)
            if self.team.budget.stop.is_set() or worker.aborted:
                return  # the process was ended under it
            failed = isinstance(reply, list) and any(j.status is Status.FAILED for j in reply)
            earlier = tuple(worker.asked)[:-1] if failed else ()
            self.put(Answered(planned, at, planned.example[:number], reply, row, earlier))
            self.answered[name] = number
        self.answered.pop(name)

    def _is_left_over(self) -> bool:
        if self.is_over or not self.refusals:
            return False
        first = next(self.planned, None)
        if first is not None:
            self.planned = chain([first], self.planned)
        return first is not None

    def _tell_refusals(self) -> None:
        if not self.refusals:
            return
        reason, workers = self.refusals[0], len(self.team.workers)
        if not self.returned and not self.lost:
            raise reason
        self.tally.refusal = f"{len(self.refusals)} of {workers} processes: {reason}"
        if len(self.refusals) == workers:
            self.tally.stopped = f"no process could be started again ({reason})"
