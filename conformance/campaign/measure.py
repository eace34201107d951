"""Running the planned cases on one implementation, in several processes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice

from conformance.campaign.messages import HarnessError, Subject
from conformance.campaign.plan import Planned, adapt
from conformance.campaign.pool import Lost, WorkerProcess
from conformance.case import Case
from conformance.checks import CHECKS, Judgement
from conformance.errors import UsageError
from conformance.expectations import Expectation
from conformance.results import Outcome, Status

CHUNK = 4
# After so many cases that end a process there is nothing more to learn from further ones.
MOST_LOST = {Status.CRASHED: 20, Status.TIMED_OUT: 3}
FIRST_CALL = "output_shape"  # the check that makes the first call, and so meets a crash


@dataclass(slots=True)
class Measured:
    """What was tried on one implementation, in the order of the plan.

    Attributes:
        subject: who was measured.
        outcomes: every outcome.
        examples: the examples tried.
        cases, configurations: how many were run.
        stopped: why not everything planned was run, or empty.
        cpu: processor seconds of the children, `setup_cpu` of it before the first case.
    """

    subject: Subject
    outcomes: list[Outcome] = field(default_factory=list)
    examples: list[Planned] = field(default_factory=list)
    cases: int = 0
    configurations: int = 0
    stopped: str = ""
    cpu: float = 0.0
    setup_cpu: float = 0.0


@dataclass(slots=True)
class Budget:
    """When to stop: at a time, or when told to."""

    deadline: float | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def over(self) -> bool:
        late = self.deadline is not None and time.monotonic() >= self.deadline
        return self.stop.is_set() or late


def measure(
    workers: list[WorkerProcess],
    planned: Iterator[Planned],
    *,
    budget: Budget,
    expectations: list[Expectation],
    checks: tuple[str, ...] = (),
    progress: Callable[[int], None] = lambda configurations: None,
) -> Measured:
    """Run `planned` on `workers`, all of the same implementation.

    Raises:
        UsageError: the implementation cannot be measured.
        KeyboardInterrupt: passed on; what was decided is lost then, so set `budget.stop` instead.
    """
    result = Measured(workers[0].start())
    run = _Run(result, planned, budget, expectations, checks, progress)
    with ThreadPoolExecutor(len(workers)) as threads:
        futures: list[Future[None]] = [threads.submit(run.work, worker) for worker in workers]
        wait(futures)
    for future in futures:
        future.result()
    order = {name: i for i, name in enumerate(CHECKS)}
    result.outcomes.sort(key=lambda o: (o.at, run.position[o.at, o.case], order[o.check]))
    result.examples.sort(key=lambda p: p.at)
    return result


class _Run:
    def __init__(
        self,
        result: Measured,
        planned: Iterator[Planned],
        budget: Budget,
        expectations: list[Expectation],
        checks: tuple[str, ...],
        progress: Callable[[int], None],
    ) -> None:
        self.result, self.planned, self.budget = result, planned, budget
        self.expectations, self.checks, self.progress = expectations, checks, progress
        self.position: dict[tuple[int, str], int] = {}
        self.lock = threading.Lock()
        self.lost = dict.fromkeys(MOST_LOST, 0)

    def work(self, worker: WorkerProcess) -> None:
        while not self.budget.over and not self.result.stopped:
            with self.lock:
                chunk = list(islice(self.planned, CHUNK))
            if not chunk:
                return
            for planned in chunk:
                if self.budget.over or self.result.stopped:
                    return
                try:
                    self._example(worker, planned)
                except UsageError:
                    if not worker.aborted:
                        raise
                    return

    def _example(self, worker: WorkerProcess, planned: Planned) -> None:
        subject = self.result.subject
        parts = [(at, adapt(cases, subject)) for at, cases in planned.configurations()]
        flat = [(at, case) for at, cases in parts for case in cases]
        replies = worker.run(tuple(case for _, case in flat), self.checks)
        for number, ((at, case), reply) in enumerate(zip(flat, replies, strict=True)):
            if self.budget.stop.is_set():
                return  # the process was ended under it
            outcomes = outcomes_of(reply, at, case, subject, self.expectations)
            with self.lock:
                self.position[at, str(case)] = number
                self.result.outcomes += outcomes
                self.result.cases += 1
                if isinstance(reply, Lost):
                    self._count(reply)
        with self.lock:
            self.result.examples.append(planned)
            self.result.configurations += len(parts)
            self.progress(self.result.configurations)

    def _count(self, lost: Lost) -> None:
        self.lost[lost.status] += 1
        if self.lost[lost.status] >= MOST_LOST[lost.status]:
            word = "crashed" if lost.status is Status.CRASHED else "timed out"
            self.result.stopped = f"stopped after {self.lost[lost.status]} cases {word}"


def outcomes_of(
    reply: list[Judgement] | Lost | HarnessError,
    at: int,
    case: Case,
    subject: Subject,
    expectations: list[Expectation],
) -> list[Outcome]:
    """A worker's reply for one case as outcomes, expected failures marked as such."""
    if isinstance(reply, Lost):
        reply = [Judgement(FIRST_CALL, reply.status, reply.cause, reply.cause)]
    elif isinstance(reply, HarnessError):
        cause = f"the suite itself failed: {reply.message}"
        reply = [Judgement(FIRST_CALL, Status.HARNESS_ERROR, cause, cause)]
    outcomes = []
    for judgement in reply:
        status, reason, link = judgement.status, "", ""
        for entry in expectations:
            if status in (Status.PASSED, Status.FAILED) and entry.covers(
                judgement.check, subject.name, subject.version, case
            ):
                failed = status is Status.FAILED
                status = Status.EXPECTED_FAILURE if failed else Status.UNEXPECTED_PASS
                reason, link = entry.reason, entry.link
        outcomes.append(
            Outcome(
                check=judgement.check,
                case=str(case),
                at=at,
                status=status,
                cause=judgement.cause,
                message=judgement.message,
                ratio=judgement.ratio,
                reason=reason,
                link=link,
            )
        )
    return outcomes
