"""The process that runs an implementation: ``python -m conformance.processes.observer``.

It makes the calls that it is asked for and answers with what came of them; it judges nothing.
Requests are pickles from the suite, answers are envelopes of plain data, on what were stdin and
stdout; whatever the implementation prints goes to stderr, which the suite keeps in a file. A case
that kills this process costs that case only: another one is started.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from itertools import count
from typing import Any, BinaryIO

from conformance.errors import UsageError, describe
from conformance.observing.observation import envelope, written
from conformance.observing.observe import observe
from conformance.processes.messages import Observe, ProcessorTime
from conformance.targets import resolve
from conformance.targets.registry import importable

# Bound before any foreign code is imported.
_load, _loads, _exit, _getpid = pickle.load, pickle.loads, os._exit, os.getpid
_process_time = time.process_time


_PR_SET_CHILD_SUBREAPER = 36  # of <linux/prctl.h>


def main() -> None:
    replies = os.fdopen(os.dup(1), "wb")
    requests = os.fdopen(os.dup(0), "rb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # before a crash, too
    faulthandler.enable()
    _adopt_orphans()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    _serve(requests, replies)


def _serve(requests: BinaryIO, replies: BinaryIO) -> None:
    numbers, own = count(), _getpid()
    start = _load(requests)

    def reply(tree: Any, arrays: Sequence[bytes] = ()) -> None:
        if _getpid() != own:
            _exit(0)  # a fork that foreign code has left behind
        replies.write(envelope(next(numbers), start.nonce, tree, arrays))
        replies.flush()

    target = start.target
    try:
        implementation = resolve(target)
        implementation.setup()
        gc.collect()
        gc.freeze()  # a big engine's modules are not worth scanning again and again
        info = implementation.info("" if target.payload else importable(target.name))
        tree = {"info": info.to_tree(), "cpu": _process_time()}
    except UsageError as error:
        reply({"refused": str(error)})
        return
    except BaseException as error:  # noqa: BLE001 - a stranger's set-up code
        traceback.print_exc()
        reply({"refused": f"setting up {target.name!r} fails: {describe(error)}"})
        return
    try:
        reply(tree)
    except (TypeError, ValueError) as error:
        reason = f"what it tells of itself is no plain data ({error})"
        reply({"refused": f"setting up {target.name!r} fails: {reason}"})
        return
    while True:
        try:
            request = _load(requests)
        except EOFError:
            break
        if isinstance(request, ProcessorTime):
            reply({"cpu": _process_time()})
            continue
        assert isinstance(request, Observe)
        try:
            question = _loads(request.question)
            found = observe(implementation, question, traces=request.traces)
            answer = written(found, question.most)
        except Exception as error:  # noqa: BLE001 - told as a harness error
            traceback.print_exc()
            reply({"trouble": f"{type(error).__name__}: {error}"})
            continue
        reply(*answer)
    try:
        implementation.close()
    finally:
        _exit(0)  # threads that it has started are not waited for


def _adopt_orphans() -> None:
    """Become the parent of descendants whose own has ended, so that the suite finds them."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end_with_parent(parent: int) -> None:
    """Leave when the parent is gone, even if a case never returns."""
    while os.getppid() == parent:
        time.sleep(1)
    _exit(1)


if __name__ == "__main__":
    main()
