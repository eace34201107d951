"""The child process that runs an implementation: ``python -m conformance.campaign.worker``.

Requests and replies are pickles on what were stdin and stdout; whatever the implementation prints
goes to stderr, which the parent keeps in a file. The first request is the `Target`; the first reply
tells who is measured, or why nobody can be. A case that kills this process costs that case only:
the parent starts another one.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import pickle
import signal
import threading
import time
import traceback
from itertools import count
from typing import Any, BinaryIO

from conformance.campaign.messages import (
    Diagnose,
    Explain,
    HarnessError,
    ProcessorTime,
    Refused,
    Reply,
    Subject,
)


def main() -> None:
    replies = os.fdopen(os.dup(1), "wb")
    requests = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    _serve(requests, replies)


def _serve(requests: BinaryIO, replies: BinaryIO) -> None:
    from conformance.checks import Trial, concerning, judge
    from conformance.diagnosis import diagnose
    from conformance.errors import UsageError, describe
    from conformance.evidence import explain
    from conformance.implementations import resolve

    numbers, own = count(), os.getpid()

    def reply(message: Any) -> None:
        if os.getpid() != own:
            os._exit(0)  # a fork that foreign code has left behind
        pickle.dump(Reply(start.nonce, next(numbers), message), replies)
        replies.flush()

    start = pickle.load(requests)
    target = start.target
    try:
        implementation = resolve(target)
        implementation.setup()
        gc.collect()
        gc.freeze()  # a big engine's modules are not worth scanning again and again
        subject = Subject(
            name=target.name,
            kind=implementation.kind,
            version=str(implementation.version),
            capabilities=implementation.capabilities,
            declared=implementation.declared,
            costly_calls=implementation.costly_calls,
            recorded=implementation.recorded,
            runs_own_process=implementation.runs_own_process,
            reproducer=implementation.reproducer("" if target.payload else target.name),
            named=target.payload is None,
            checks=concerning(implementation),
            expected_failures=tuple(dict(e) for e in implementation.expected_failures),
            cpu=time.process_time(),
        )
    except UsageError as error:
        reply(Refused(str(error)))
        return
    except BaseException as error:  # noqa: BLE001 - a stranger's set-up code
        traceback.print_exc()
        reply(Refused(f"setting up {target.name!r} fails: {describe(error)}"))
        return
    reply(subject)
    while True:
        try:
            request = pickle.load(requests)
        except EOFError:
            break
        if isinstance(request, ProcessorTime):
            reply(time.process_time())
            continue
        if isinstance(request, Explain):
            *before, last = request.cases
            for case in before:
                judge(Trial(case, implementation))
            reply(_guarded(lambda: explain(Trial(last, implementation), request.check)))  # noqa: B023
            continue
        if isinstance(request, Diagnose):
            trials = [Trial(case, implementation) for case in request.cases]
            reply(_guarded(lambda: diagnose(trials)))  # noqa: B023
            continue
        for case in request.cases:
            trial = Trial(case, implementation, traces=request.traces)
            reply(_guarded(lambda: judge(trial, request.checks)))  # noqa: B023
    try:
        implementation.close()
    finally:
        os._exit(0)  # threads that it has started are not waited for


def _guarded(action: Any) -> Any:
    import numpy as np

    try:
        with np.errstate(all="ignore"):  # whatever foreign code has set
            return action()
    except Exception as error:  # noqa: BLE001 - told as a harness error
        traceback.print_exc()
        return HarnessError(f"{type(error).__name__}: {error}")


def _end_with_parent(parent: int) -> None:
    """Leave when the parent is gone, even if a case never returns."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    main()
