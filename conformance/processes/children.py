"""Child processes that end with this one, together with everything that they have started."""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path
from typing import Any

import psutil

from conformance.processes import keeper

LAST = 5.0  # seconds that the keeper gets when this process ends


class _Keeper:
    """The one process of `keeper`, started with the first child."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner, self._mark = 0, ""
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count()

    def mark(self) -> str:
        """A mark of its own for a child; also after a fork of this process."""
        with self._lock:
            if self._owner != os.getpid():
                mark = secrets.token_hex(8)
                self._process = subprocess.Popen(
                    [sys.executable, *_ALONE, keeper.__file__, mark],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C is not for it
                )
                self._owner, self._mark = os.getpid(), mark
                atexit.register(self._end)
            return f"{self._mark}.{next(self._numbers)}"

    def _end(self) -> None:
        process = self._process
        if process is None or self._owner != os.getpid():
            return
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(LAST)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# It imports nothing but the standard library where there is /proc.
_ALONE = ("-I", "-S") if sys.platform == "linux" else ("-P",)
_keeper = _Keeper()


class Child(subprocess.Popen[bytes]):
    """A process in a session of its own; what it starts is ended with it.

    Ending it also finds what has left its group or has been orphaned. When this process ends, even
    by SIGKILL, all of them end.
    """

    def __init__(self, command: list[str], environment: dict[str, str], **streams: Any) -> None:
        self._mark = _keeper.mark()
        self._below: list[psutil.Process] = []
        super().__init__(
            command,
            env={**environment, keeper.VARIABLE: self._mark},
            start_new_session=True,
            **streams,
        )

    def look(self) -> None:
        """Remember its descendants, before it ends by itself and these are orphaned."""
        if self.returncode is None:  # else its number may be somebody else's by now
            with contextlib.suppress(psutil.Error):
                self._below = psutil.Process(self.pid).children(recursive=True)

    def end(self) -> None:
        """Kill it, its group, its descendants, and whatever else has its mark."""
        self.look()
        if sys.platform == "win32":
            self.kill()
        else:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        for process in self._below:
            with contextlib.suppress(psutil.Error):
                process.kill()
        keeper.end_marked(self._mark)


def started(module: str, *, errors: int) -> Child:
    """``python -m module``, which takes requests on stdin and replies on stdout."""
    here = str(Path(__file__).parents[2])  # this package leads what the parent imports from
    path = os.pathsep.join(dict.fromkeys([here, *(path or os.getcwd() for path in sys.path)]))
    return Child(
        # -P: not from a source tree that happens to be here.
        [sys.executable, "-P", "-m", module],
        {**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
    )
