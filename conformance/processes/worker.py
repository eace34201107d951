"""An implementation in its process, and the judges of what it answers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.case import Case
from conformance.checks import Judgement
from conformance.checks.shapes import output_shape
from conformance.diagnosis import Foretold
from conformance.implementations.info import Info
from conformance.processes.judges import Judges
from conformance.processes.limits import Budget, Limits, Patience
from conformance.processes.messages import (
    Ask,
    Diagnose,
    DiagnoseCalls,
    DiagnoseRefusal,
    Explain,
    Foreign,
    Foretell,
    HarnessError,
    Judge,
    Trying,
)
from conformance.processes.process import Lost, ObserverProcess
from conformance.results import Evidence, Status
from conformance.targets import Target

STRAY = "writes on the channel of the suite"
MOST_REMEMBERED = 5_000  # cases that a process was asked


@dataclass(frozen=True, slots=True)
class Flaky:
    """A case that was lost once, and answered when it was tried again in a fresh process."""

    lost: Lost
    judgements: list[Judgement]


Reply = list[Judgement] | Lost | Flaky | HarnessError


class Worker:
    """One process that runs an implementation, and judges for what it answers.

    Attributes:
        observer: the process.
        budget: when it may no longer try again what was lost.
        asked: the last cases that the process was asked.
        leaves_traces: which cases get a process of their own.
    """

    def __init__(
        self,
        target: str | Target,
        limits: Limits | None = None,
        *,
        judges: Judges | None = None,
        patience: Patience | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.observer = ObserverProcess(target, limits, patience)
        self.name = self.observer.name
        self.budget = budget or Budget()
        self.asked: deque[Case] = deque(maxlen=MOST_REMEMBERED)
        self.leaves_traces: Callable[[Case], bool] = lambda case: False
        self._starts = 0  # of the process that was asked them
        self._owns_judges = judges is None
        self._judges = judges or Judges()

    @property
    def aborted(self) -> bool:
        """Whether it has been told to stop for good."""
        return self.observer.aborted

    def start(self) -> Info:
        """As `ObserverProcess.start`."""
        return self.observer.start()

    def run(
        self,
        cases: tuple[Case, ...],
        checks: tuple[str, ...] = (),
        *,
        traces: bool = False,
        again: bool = True,
    ) -> Iterator[Reply]:
        """For each case its judgements, a `HarnessError`, or `Lost`, which costs that case only.

        With `traces`, the tracebacks of what the implementation raises are `printed` too; with
        `again`, what was lost is tried again in a fresh process.
        """
        returned: list[Case] = []
        for case in cases:
            apart = self.leaves_traces(case)
            if apart:
                self.observer.stop()
            reply = self._judged(case, checks, traces)
            if isinstance(reply, HarnessError):
                self.observer.stop()  # an earlier case may have spoilt the process
                reply = self._judged(case, checks, traces)
            if isinstance(reply, Lost) and again:
                reply = self._again((*returned, case), checks, reply)
            if not isinstance(reply, Lost):
                returned.append(case)
            if apart:
                self.observer.stop()
            yield reply

    def _again(self, cases: tuple[Case, ...], checks: tuple[str, ...], lost: Lost) -> Reply:
        """What becomes of the last of `cases`, which was lost, after the others in a new process.

        Something else may have ended the first one, such as a system out of memory.
        """
        patience = self.observer.patience
        if not patience.has_second_try or self.budget.over or self.aborted:
            return lost
        reply: Reply = lost
        for case in cases:
            reply = self._judged(case, checks, False)
        if isinstance(reply, list):
            return Flaky(lost, reply)
        patience.lost_again += isinstance(reply, Lost)
        return reply

    def ask(self, cases: Sequence[Case], checks: tuple[str, ...] = ()) -> None:
        """Make the calls that `checks` need on `cases`; nothing is judged."""
        for case in cases:
            self._observed(case, checks)

    def explain(self, cases: tuple[Case, ...], check: str) -> Evidence | None:
        """Evidence of the last of `cases` after the ones before it; None where there is none."""
        *_, (trying, answer) = [self._observed(case) for case in cases]
        if not isinstance(answer, bytes):
            return None
        reply = self._judges.request(cases[-1], Explain(trying, answer, check))
        return reply if isinstance(reply, Evidence) else None

    def diagnose(
        self,
        cases: tuple[Case, ...],
        first: tuple[str, ...] = (),
        *,
        checks: tuple[str, ...] = (output_shape.name,),
        pairs: bool = False,
    ) -> str | None:
        """As `diagnosis.diagnose` on what `cases` give when `checks` ask for calls."""
        found = [self._observed(case, checks) for case in cases]
        answers = tuple((t, a) for t, a in found if isinstance(a, bytes))
        if len(answers) < len(found):
            return None
        reply = self._judges.request(cases[0], Diagnose(answers, first, pairs))
        return reply if isinstance(reply, str) else None

    def diagnose_calls(
        self,
        sequences: Sequence[tuple[Case, ...]],
        checks: tuple[str, ...],
        first: tuple[str, ...] = (),
    ) -> str | None:
        """The name of what explains the failures of `checks` on `sequences`, each in a new process.

        `first` as in `diagnose`.
        """
        processes = []
        for cases in sequences:
            self.restart()
            found = [self._observed(case, checks) for case in cases]
            processes.append(tuple((t, a) for t, a in found if isinstance(a, bytes)))
            if len(processes[-1]) < len(cases):
                return None
        reply = self._judges.request(sequences[0][0], DiagnoseCalls(tuple(processes), first))
        return reply if isinstance(reply, str) else None

    def diagnose_refusal(self, raised: Sequence[Case], passed: Sequence[Case]) -> str | None:
        """As `diagnosis.diagnose_refusal`."""
        info = self.start()
        some, others = (tuple(Trying(info, c) for c in cases) for cases in (raised, passed))
        reply = self._judges.request(raised[0], DiagnoseRefusal(some, others))
        return reply if isinstance(reply, str) else None

    def foretold(self, fault: str, cases: Sequence[Case]) -> list[Foretold]:
        """What the fault of that name gives on each of `cases`; [] where that cannot be told."""
        info = self.start()
        trials = tuple(Trying(info, case) for case in cases)
        reply = self._judges.request(cases[0], Foretell(fault, trials)) if cases else []
        return reply if isinstance(reply, list) else []

    def printed(self) -> list[str]:
        """The last lines that the implementation wrote to stdout and stderr."""
        return self.observer.printed()

    def restart(self) -> None:
        """A fresh process for the next request."""
        self.observer.stop()

    def stop(self) -> None:
        """End the process, and judges of its own; the next request starts them again."""
        self.observer.stop()
        if self._owns_judges:
            self._judges.close()

    def abort(self) -> None:
        """End the process at once, from any thread, and never start another one."""
        self.observer.abort()

    def _judged(self, case: Case, checks: tuple[str, ...], traces: bool) -> Reply:
        trying, answer = self._observed(case, checks, traces)
        if not isinstance(answer, bytes):
            return answer
        reply: Any = self._judges.request(case, Judge(trying, answer))
        if isinstance(reply, Foreign):
            self.observer.stop()
            return Lost(Status.CRASHED, STRAY, STRAY)
        assert isinstance(reply, list | HarnessError)
        return reply

    def _observed(
        self, case: Case, checks: tuple[str, ...] = (), traces: bool = False
    ) -> tuple[Trying, bytes | Lost | HarnessError]:
        """The answer of the implementation to what `checks` ask."""
        trying = Trying(self.start(), case, checks)
        question = self._judges.request(case, Ask(trying))
        if isinstance(question, HarnessError):
            return trying, question
        if self._starts != self.observer.starts:
            self._starts = self.observer.starts
            self.asked.clear()
        self.asked.append(case)
        return trying, self.observer.observe(question, traces=traces)
