"""The process that judges: ``python -m conformance.processes.judge``. No foreign code is in it.

Requests come and verdicts go as pickles; both ends are the suite's own. What an implementation
answered is in them as an envelope, which is read here.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
from collections import OrderedDict
from typing import Any

import numpy as np

from conformance.calls import Call
from conformance.checks import Judgement, Trial, calls_for, judge, question_for
from conformance.diagnosis import Foretold, diagnose, diagnose_refusal, foretold
from conformance.evidence import explain
from conformance.observing.observation import EnvelopeError, TroubleError, read
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
    TryingKey,
)
from conformance.results import Evidence
from conformance.sequences import diagnose_calls

KEPT = 8  # trials that wait for their answers


class Bench:
    """The trials that are under way, and what is done with them."""

    def __init__(self) -> None:
        self._trials: OrderedDict[TryingKey, tuple[Trial, tuple[Call, ...]]] = OrderedDict()

    def handle(self, request: Any) -> Any:
        """The reply to a request."""
        try:
            with np.errstate(all="ignore"):
                return self._handle(request)
        except EnvelopeError:
            return Foreign()
        except TroubleError as error:
            return HarnessError(str(error))
        except Exception as error:  # noqa: BLE001 - told as a harness error
            return HarnessError(f"{type(error).__name__}: {error}")

    def _handle(
        self, request: Any
    ) -> bytes | list[Judgement] | list[Foretold] | Evidence | str | None:
        if isinstance(request, Ask):
            return pickle.dumps(question_for(*self._trial(request.trying)))
        if isinstance(request, Judge):
            return judge(self._observed(request.trying, request.answer), request.trying.checks)
        if isinstance(request, Explain):
            return explain(self._observed(request.trying, request.answer), request.check)
        if isinstance(request, DiagnoseCalls):
            processes = [[self._observed(*one) for one in calls] for calls in request.processes]
            return diagnose_calls(processes, request.first)
        if isinstance(request, Foretell):
            return [foretold(request.fault, Trial(one.case, one.info)) for one in request.cases]
        if isinstance(request, DiagnoseRefusal):
            raised, passed = (
                [Trial(one.case, one.info) for one in some]
                for some in (request.raised, request.passed)
            )
            return diagnose_refusal(raised, passed)
        assert isinstance(request, Diagnose)
        trials = [self._observed(*one) for one in request.answers]
        return diagnose(trials, request.first, pairs=request.pairs)

    def _trial(self, trying: Trying) -> tuple[Trial, tuple[Call, ...]]:
        if trying.key not in self._trials:
            trial = Trial(trying.case, trying.info)
            self._trials[trying.key] = trial, calls_for(trial, trying.checks)
            if len(self._trials) > KEPT:
                self._trials.popitem(last=False)
        return self._trials[trying.key]

    def _observed(self, trying: Trying, answer: bytes) -> Trial:
        trial, calls = self._trial(trying)
        del self._trials[trying.key]
        observation = read(answer)
        if len(observation.answers) != len(calls):
            raise EnvelopeError("another number of answers")
        trial.observed(calls, observation)
        return trial


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    bench = Bench()
    pickle.dump(time.process_time(), replies)  # what it took to start
    replies.flush()
    while True:
        try:
            request = pickle.load(requests)
        except EOFError:
            return
        pickle.dump(bench.handle(request), replies)
        replies.flush()


if __name__ == "__main__":
    main()
