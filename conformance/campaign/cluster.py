"""The examples of a campaign on the workers of a Dask cluster.

A task is some examples of the plan, as case strings. A worker runs them in an observer of its own,
as `session` does here, and returns the replies. These are held against expectations, counted and
written to the journal by the process that began the campaign. Dask gives the tasks of a worker that
ended to another one.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from conformance.campaign.ending import ENDING
from conformance.campaign.trying import Answered, Tried, Trying
from conformance.case import format_sequence, parse_sequence
from conformance.errors import UsageError, describe
from conformance.expectations import Expectation, leaving_traces
from conformance.journals.fingerprint import Fingerprint, difference, of_implementation, versions
from conformance.plan import FREE_AT_ONCE, Example, Planned, Undrawn
from conformance.processes.limits import Budget, Limits
from conformance.processes.worker import Reply, Worker
from conformance.targets import Target

TASK = 2.0  # seconds that a task should take
MOST_AT_ONCE = 100  # examples of a task
QUEUED = 2  # tasks for each worker, one of them waiting
IDLE = 30.0  # seconds after which a worker ends the processes of an implementation
REACHED, JOINED = 10.0, 60.0  # seconds until the scheduler answers, and the first worker is there


# Where a campaign was begun -----------------------------------------------------------------------


async def _reach(address: str) -> None:
    """Connect to the scheduler, and leave it."""
    from distributed.comm import core

    connect: Any = core.connect
    channel = await connect(address, timeout=REACHED)
    await channel.close()


class Cluster:
    """A connection to the scheduler of a cluster."""

    def __init__(self, address: str) -> None:
        """Connect.

        Raises:
            UsageError: Dask is not installed, or no scheduler answers at the address.
        """
        try:
            import distributed
        except ModuleNotFoundError:
            raise UsageError(
                "--cluster needs Dask; install it with pip install 'conv2d-conformance[cluster]'"
            ) from None
        for name in ("distributed", "tornado"):  # what matters is told by the errors
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            # A client that could not connect tells of it once more when it is collected.
            asyncio.run(_reach(address))
            connect: Any = distributed.Client
            self.client: Any = connect(address, timeout=REACHED, set_as_default=False)
        except (OSError, ValueError, TypeError, ImportError) as error:
            raise UsageError(f"no Dask scheduler answers at {address}: {describe(error)}") from None
        self.address = address
        self._counted, self._workers = 0.0, 0

    @property
    def workers(self) -> int:
        """How many tasks can run at once; not older than a second."""
        if time.monotonic() - self._counted > 1:
            self._workers = sum(self.client.nthreads().values())
            self._counted = time.monotonic()
        return self._workers

    def wait(self) -> None:
        """Wait for the first worker.

        Raises:
            UsageError: there is none within `JOINED` seconds.
        """
        limit = time.monotonic() + JOINED
        while not self.workers:
            if time.monotonic() > limit:
                raise UsageError(f"no worker has joined the Dask scheduler at {self.address}")
            with ENDING.may_leave():
                time.sleep(0.2)

    def close(self) -> None:
        """Leave the cluster; its workers end the processes that they have started."""
        with suppress(Exception):  # the run is over; its errors no longer matter
            self.client.run(release, on_error="ignore")
        with suppress(Exception):
            self.client.close(timeout=5)


@dataclass(frozen=True, slots=True)
class _Done:
    """A task that is done, or failed."""

    future: Any


class OnCluster(Trying[_Done]):
    """Tasks on a cluster put what came of them on the queue."""

    def __init__(self, cluster: Cluster, *given: Any) -> None:
        super().__init__(*given)
        self.cluster = cluster
        self.pending: dict[Any, list[Planned] | Undrawn] = {}
        self.campaign = uuid4().hex
        self.size, self.lacking = 1, 0
        self.waiting: Planned | Undrawn | None = None

    def run(self) -> Iterator[Tried]:
        """As `Trying.run`.

        Raises:
            UsageError: a worker cannot measure the implementation, or has another version of it.
        """
        self.cluster.wait()
        try:
            self._fill()
            while self.pending:
                message = self.take()
                assert isinstance(message, _Done)
                yield from self._done(message.future)
                self._fill()
        except OSError as error:
            self.tally.stopped = f"the cluster was lost ({describe(error)})"
        if self.lacking and not self.tally.stopped:
            self.tally.stopped = f"{self.lacking} examples came back from no worker"

    def end(self) -> None:
        """Take what is done, and cancel the rest."""
        self.stopped.set()
        for message in self.left():
            if isinstance(message, _Done):
                with suppress(UsageError):
                    list(self._done(message.future))
        with suppress(OSError):
            self.cluster.client.cancel(list(self.pending), force=True)
        self.pending.clear()

    def _fill(self) -> None:
        """Hand out tasks while the workers have too few."""
        while not self.is_over and len(self.pending) < QUEUED * self.cluster.workers:
            taken = self._take_some()
            if not taken:
                return
            future: Any = self.cluster.client.submit(run_task, self._task(taken), pure=False)
            self.pending[future] = taken
            future.add_done_callback(lambda done: self.put(_Done(done)))

    def _take_some(self) -> list[Planned] | Undrawn:
        """What a task is made of; a batch that is to be drawn is one."""
        taken: list[Planned] = []
        while len(taken) < self.size:
            step, self.waiting = self.waiting or self.next_step(), None
            if isinstance(step, Undrawn):
                if not taken:
                    return step
                self.waiting = step
                break
            if step is None:
                break
            taken.append(step)
        return taken

    def _task(self, taken: list[Planned] | Undrawn) -> Task:
        deadline = self.team.budget.deadline
        return Task(
            campaign=self.campaign,
            target=self.team.target,
            limits=self.team.workers[0].observer.limits,
            checks=self.checks,
            expectations=tuple(e for e in self.team.expectations if e.leaves_traces),
            fingerprint={**versions(), **_told(of_implementation(self.tally.info))},
            work=taken
            if isinstance(taken, Undrawn)
            else tuple(format_sequence(planned.example) for planned in taken),
            seconds=None if deadline is None else deadline - time.monotonic(),
        )

    def _done(self, future: Any) -> Iterator[Tried]:
        """What came of a task."""
        taken = self.pending.pop(future, None)
        if taken is None:
            return
        from distributed import CancelledError, KilledWorker

        try:
            with ENDING.may_leave():
                result = future.result()
        except (KilledWorker, CancelledError):
            self.lacking += FREE_AT_ONCE if isinstance(taken, Undrawn) else len(taken)
            return
        if result.refusal:
            raise UsageError(f"the worker {result.where} of the cluster {result.refusal}")
        self.tally.memory_restarts += result.restarts
        each = max(result.seconds / max(len(result.replies), 1), 0.001)
        self.size = max(1, min(round(TASK / each), 2 * self.size, MOST_AT_ONCE))
        if isinstance(taken, Undrawn):
            taken = [Planned("free", at, parse_sequence(text)) for at, text in result.drawn]
        for planned, replies in zip(taken, result.replies, strict=False):
            if self.is_known(planned):  # of a batch of which a part was
                continue
            begun = zip(self.begin(planned), replies, strict=True)
            for number, ((at, _, row), reply) in enumerate(begun, start=1):
                yield self.tried(Answered(planned, at, planned.example[:number], reply, row))


def _told(fingerprint: Fingerprint) -> Fingerprint:
    """What has to be equal on all machines."""
    return {name: value for name, value in fingerprint.items() if name != "isa"}


# On a worker of the cluster -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Task:
    """Examples to run.

    Attributes:
        campaign: whose it is; processes are kept for further tasks of the same one.
        target, limits, checks: as everywhere.
        expectations: those with `leaves_traces`.
        fingerprint: what versions and implementation have to be.
        work: examples as case strings, or a batch to be drawn.
        seconds: after which no further example is begun, None for no limit.
    """

    campaign: str
    target: Target
    limits: Limits
    checks: tuple[str, ...]
    expectations: tuple[Expectation, ...]
    fingerprint: Fingerprint
    work: tuple[str, ...] | Undrawn
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a task.

    Attributes:
        where: the worker.
        refusal: why nothing was run, or empty.
        replies: of the cases of each example; examples may be missing at the end.
        drawn: what was drawn: the first configuration and the case strings of each example.
        seconds: how long it took.
        restarts: how often it has restarted an observer because of its memory.
    """

    where: str
    refusal: str = ""
    replies: list[list[Reply]] = field(default_factory=list)
    drawn: list[tuple[int, str]] = field(default_factory=list)
    seconds: float = 0.0
    restarts: int = 0


@dataclass(slots=True)
class _Kept:
    """The processes of an implementation in a thread of a worker of the cluster."""

    campaign: str
    worker: Worker
    busy: threading.Lock = field(default_factory=threading.Lock)
    used: float = 0.0


_kept: dict[int, _Kept] = {}  # by thread


def run_task(task: Task) -> Result:
    """Run the examples of a task, in processes that are kept for the next one."""
    from distributed import get_worker

    where, began = str(get_worker().address), time.monotonic()
    budget = Budget(None if task.seconds is None else began + task.seconds)
    kept = _for_this_thread(task, budget)
    with kept.busy:
        before = kept.worker.observer.memory_restarts
        try:
            info = kept.worker.start()
        except UsageError as error:
            return Result(where, f"cannot measure it: {error}")
        here = {**versions(), **_told(of_implementation(info))}
        if changed := difference(task.fingerprint, here):
            return Result(where, f"differs: {changed}")
        kept.worker.leaves_traces = leaving_traces(task.expectations, info)
        replies, drawn = [], []
        for at, example in _examples(task.work):
            if budget.over:
                break
            replies.append(list(kept.worker.run(example, task.checks)))
            if at:
                drawn.append((at, format_sequence(example)))
        kept.used = time.monotonic()
    restarts = kept.worker.observer.memory_restarts - before
    return Result(where, "", replies, drawn, kept.used - began, restarts)


def _examples(work: tuple[str, ...] | Undrawn) -> Iterator[tuple[int, Example]]:
    """The examples of a task; with their first configuration where they are drawn here."""
    if isinstance(work, Undrawn):
        # Threads of Dask use `random` meanwhile, which no draw depends on.
        warnings.filterwarnings("ignore", message="Do not use the `random` module inside strat")
        yield from ((planned.at, planned.example) for planned in work.drawn())
    else:
        yield from ((0, parse_sequence(text)) for text in work)


def _for_this_thread(task: Task, budget: Budget) -> _Kept:
    thread = threading.get_ident()
    kept = _kept.get(thread)
    if kept is None or (kept.campaign, kept.worker.observer.target) != (task.campaign, task.target):
        if kept is not None:
            kept.worker.stop()
        kept = _kept[thread] = _Kept(task.campaign, Worker(task.target, task.limits))
        threading.Thread(target=_stop_when_idle, args=(kept,), daemon=True).start()
    kept.worker.budget = budget
    kept.used = time.monotonic()
    return kept


def _stop_when_idle(kept: _Kept) -> None:
    """End its processes whenever it has not been used for a while."""
    while any(kept is one for one in _kept.values()):
        time.sleep(IDLE / 4)
        if time.monotonic() - kept.used > IDLE and kept.busy.acquire(blocking=False):
            try:
                kept.worker.stop()
            finally:
                kept.busy.release()


def release() -> None:
    """End the processes of all threads that are not busy."""
    for kept in list(_kept.values()):
        if kept.busy.acquire(blocking=False):
            try:
                kept.worker.stop()
            finally:
                kept.busy.release()
