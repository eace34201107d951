"""Running the planned cases on one implementation, in several processes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from conformance.campaign.messages import HarnessError
from conformance.campaign.process import Lost
from conformance.campaign.worker import Reply, Worker
from conformance.capabilities import probes, wording
from conformance.case import Case
from conformance.checks import CHECKS, Judgement
from conformance.checks.claims import claimed_capability
from conformance.checks.shapes import output_shape
from conformance.errors import UsageError
from conformance.expectations import Expectation, own_expectations
from conformance.implementations.info import Info
from conformance.plan import Planned
from conformance.results import BAD, Capability, Outcome, Status

CHUNK = 4
# Where lost cases outnumber the others by so many there is nothing more to learn from further ones.
MOST_LOST = 10
EXPECTABLE = frozenset({Status.PASSED, Status.FAILED, Status.CRASHED, Status.TIMED_OUT})
PROBE_CHECK = claimed_capability.name
FIRST_CALL = output_shape.name  # it makes the first call, and so meets a crash


@dataclass(slots=True)
class Measured:
    """What was tried on one implementation, in the order of the plan.

    Attributes:
        info: who was measured.
        expectations: what was expected to fail.
        outcomes: every outcome.
        known: the cases tried, by their case strings.
        examples: the examples tried.
        cases, configurations: how many were run.
        probed: what became of the probe of each capability.
        refused: which processes could not be started, and why, or empty.
        memory_restarts: how often a process was restarted because its memory had grown.
        stopped: why not everything planned was run, or empty.
        cpu: processor seconds of the children, `setup_cpu` of it before the first case.
    """

    info: Info
    expectations: list[Expectation] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    known: dict[str, Case] = field(default_factory=dict)
    examples: list[Planned] = field(default_factory=list)
    cases: int = 0
    configurations: int = 0
    probed: list[Capability] = field(default_factory=list)
    refused: str = ""
    memory_restarts: int = 0
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
    workers: list[Worker],
    planned: Callable[[Info], Iterator[Planned]],
    *,
    budget: Budget,
    expectations: list[Expectation],
    checks: tuple[str, ...] = (),
    progress: Callable[[int], None] = lambda configurations: None,
    probing: bool = True,
) -> Measured:
    """Run what is `planned` for the implementation on `workers`, which all run it.

    Raises:
        UsageError: the implementation cannot be measured.
        KeyboardInterrupt: passed on; what was decided is lost then, so set `budget.stop` instead.
    """
    info = workers[0].start()
    own = own_expectations(info.name, info.expected_failures)
    result = Measured(info, [*own, *expectations])
    run = _Run(result, workers, planned(info), budget, checks, progress)
    if probing and not (budget.over or info.recorded) and PROBE_CHECK in (checks or CHECKS):
        run.probe(workers[0])
    with ThreadPoolExecutor(len(workers)) as threads:
        futures: list[Future[None]] = [threads.submit(run.work, worker) for worker in workers]
        try:
            wait(futures)
        except BaseException:
            budget.stop.set()
            for worker in workers:
                worker.abort()
            raise
    for future in futures:
        future.result()
    for worker in workers:
        if run.refused and worker not in run.refused:
            run.work(worker)  # what the others have left
    run.tell_of_claims()
    if run.refused:
        reason = next(iter(run.refused.values()))
        if not result.cases:
            raise reason
        result.refused = f"{len(run.refused)} of {len(workers)} processes: {reason}"
        if len(run.refused) == len(workers):
            result.stopped = f"no process could be started again ({reason})"
    result.memory_restarts = sum(worker.observer.memory_restarts for worker in workers)
    order = {name: i for i, name in enumerate(CHECKS)}
    result.outcomes.sort(key=lambda o: (o.at, run.position[o.at, o.case], order[o.check]))
    result.examples.sort(key=lambda p: p.at)
    return result


class _Run:
    def __init__(
        self,
        result: Measured,
        workers: list[Worker],
        planned: Iterator[Planned],
        budget: Budget,
        checks: tuple[str, ...],
        progress: Callable[[int], None],
    ) -> None:
        self.result, self.workers, self.planned, self.budget = result, workers, planned, budget
        self.checks, self.progress = checks, progress
        self.position: dict[tuple[int, str], int] = {}
        self.lock = threading.Lock()
        self.lost: Counter[Status] = Counter()
        self.refused: dict[Worker, UsageError] = {}
        self.broken: list[Outcome] = []  # claims that fail on their probes

    def probe(self, worker: Worker) -> None:
        """Try what is claimed and what is not, each on its smallest case."""
        info = self.result.info
        asked = probes(info.capabilities)
        cases = tuple(dict.fromkeys(probe.case for probe in asked))
        try:
            replies = dict(zip(cases, worker.run(cases), strict=True))
        except UsageError:
            if not worker.aborted:
                raise
            return
        for probe in asked:
            outcomes = outcomes_of(
                replies[probe.case], 1, probe.case, info, self.result.expectations
            )
            note = next(
                (o.message or o.cause for o in outcomes if o.status is not Status.PASSED), ""
            )
            self.result.probed.append(
                Capability(
                    need=wording(probe.need),
                    claimed=probe.claimed,
                    works=not note,
                    note=note,
                    case=str(probe.case),
                )
            )
            if probe.claimed:
                self._keep(outcomes)

    def _keep(self, outcomes: list[Outcome]) -> None:
        """Keep what became of a claim; where another check fails on its probe, for the end."""
        for outcome in outcomes:
            self.position.setdefault((1, outcome.case), len(self.position))
            self.result.known.setdefault(outcome.case, Case.parse(outcome.case))
            if outcome.check == PROBE_CHECK and outcome not in self.result.outcomes:
                self.result.outcomes.append(outcome)
            elif outcome.check != PROBE_CHECK and outcome.status in BAD:
                cause = f"fails on the smallest case of what it claims: {outcome.cause}"
                self.broken.append(replace(outcome, check=PROBE_CHECK, cause=cause, ratio=None))

    def tell_of_claims(self) -> None:
        """A claim that fails on its probe, where no drawn case has shown it."""
        told = {o.case for o in self.result.outcomes if o.check == PROBE_CHECK and o.status in BAD}
        if any(o.status in BAD for o in self.result.outcomes if o.check != PROBE_CHECK):
            return
        for outcome in self.broken:
            if outcome.case not in told:
                told.add(outcome.case)
                kept = [
                    o
                    for o in self.result.outcomes
                    if (o.check, o.case) != (PROBE_CHECK, outcome.case)
                ]
                self.result.outcomes[:] = [*kept, outcome]

    def work(self, worker: Worker) -> None:
        while not self.budget.over and not self.result.stopped:
            with self.lock:
                chunk = list(islice(self.planned, CHUNK))
            if not chunk:
                return
            for number, planned in enumerate(chunk):
                if self.budget.over or self.result.stopped:
                    return
                try:
                    self._example(worker, planned)
                except UsageError as error:  # it could not be started; the others go on
                    if not worker.aborted:
                        with self.lock:
                            self.refused[worker] = error
                            self.planned = chain(chunk[number:], self.planned)
                    return

    def _example(self, worker: Worker, planned: Planned) -> None:
        info = self.result.info
        parts = planned.configurations()
        flat = [(at, case) for at, cases in parts for case in cases]
        replies = worker.run(tuple(case for _, case in flat), self.checks)
        for number, ((at, case), reply) in enumerate(zip(flat, replies, strict=True)):
            if self.budget.stop.is_set():
                return  # the process was ended under it
            outcomes = outcomes_of(reply, at, case, info, self.result.expectations, self.checks)
            with self.lock:
                self.position[at, str(case)] = number
                self.result.known[str(case)] = case
                self.result.outcomes += outcomes
                self.result.cases += 1
                if isinstance(reply, Lost):
                    self._count(reply)
                    for other in self.workers:  # a hang met by one is not waited for by the others
                        other.case_limit = min(other.case_limit, worker.case_limit)
        with self.lock:
            self.result.examples.append(planned)
            self.result.configurations += len(parts)
            self.progress(self.result.configurations)

    def _count(self, lost: Lost) -> None:
        self.lost[lost.status] += 1
        total = self.lost.total()
        if total >= MOST_LOST + (self.result.cases - total):
            words = {Status.CRASHED: "crashed", Status.TIMED_OUT: "timed out"}
            kinds = " and ".join(f"{n} {words[s]}" for s, n in sorted(self.lost.items()))
            self.result.stopped = f"stopped when {kinds} of {self.result.cases} cases"


def outcomes_of(
    reply: Reply,
    at: int,
    case: Case,
    info: Info,
    expectations: list[Expectation],
    checks: tuple[str, ...] = (),
) -> list[Outcome]:
    """A worker's reply for one case as outcomes, expected failures marked as such.

    A case without an answer is told by the check that was asked for, of several by the first.
    """
    asked = checks[0] if len(checks) == 1 else FIRST_CALL
    if isinstance(reply, Lost):
        reply = [Judgement(asked, reply.status, reply.cause, reply.message)]
    elif isinstance(reply, HarnessError):
        cause = f"the suite itself failed: {reply.message}"
        reply = [Judgement(asked, Status.HARNESS_ERROR, cause, cause)]
    outcomes = []
    for judgement in reply:
        status, reason, link, strict = judgement.status, "", "", False
        for entry in expectations:
            if status in EXPECTABLE and entry.covers(
                judgement.check, info.name, info.version, case
            ):
                failed = status is not Status.PASSED
                status = Status.EXPECTED_FAILURE if failed else Status.UNEXPECTED_PASS
                reason, link, strict = entry.reason, entry.link, entry.strict and not failed
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
                strict=strict,
            )
        )
    return outcomes
