"""Questions to the processes of an implementation, once its cases are tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from conformance.campaign.trying import Team
from conformance.journals.outcomes import Outcome, outcomes_of
from conformance.journals.tally import Tally, kind_of
from conformance.plan import Asked, Example
from conformance.processes.limits import Budget
from conformance.processes.worker import Worker


@dataclass(slots=True)
class Questions:
    """What its first process is asked.

    Attributes:
        tally: what was met.
        team: its processes; None where nothing can be asked.
        checks: that are made.
    """

    tally: Tally
    team: Team | None
    checks: tuple[str, ...]

    @property
    def worker(self) -> Worker:
        """The process that is asked."""
        assert self.team is not None
        return self.team.workers[0]

    @property
    def budget(self) -> Budget:
        """The time that is left."""
        return self.worker.budget

    @property
    def asked(self) -> Asked:
        """What it can be asked."""
        return Asked.of(self.tally.info)

    def matches(self, worker: Worker, cases: Example, like: Outcome) -> list[Outcome | None]:
        """For each case, its outcome in `worker` if that is `like` the given one."""
        return [
            next((o for o in outcomes if kind_of(o) == kind_of(like)), None)
            for outcomes in self.every(worker, cases)
        ]

    def outcomes(self, cases: Example, check: str) -> Iterator[Outcome | None]:
        """What becomes of `check` on each of the cases, as they are asked for."""
        for outcomes in self.every(self.worker, cases):
            yield next((o for o in outcomes if o.check == check), None)

    def every(self, worker: Worker, cases: Example) -> Iterator[list[Outcome]]:
        """What becomes of every check on each of the cases in `worker`, as they are asked for."""
        assert self.team is not None
        replies = worker.run(cases, self.checks, again=False)
        for case, reply in zip(cases, replies, strict=True):
            yield outcomes_of(reply, case, self.tally.info, self.team.expectations, self.checks)
