"""A process that outlives the suite for a moment, to end what implementations have started.

``keeper.py MARK``: waits until its stdin ends, as it does when the suite ends in any way, and kills
every process whose environment has the mark. A child inherits its environment, so neither a session
of its own nor a second fork hides it. Nothing but the standard library, so that it starts quickly.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Iterator

VARIABLE = "CONV2D_CONFORMANCE_CHILD"
ROUNDS = 100
PAUSE = 0.01


def end_marked(mark: str) -> None:
    """Kill every process with `mark` in its environment, until there is none."""
    for _ in range(ROUNDS):  # a process may start another one while it is being killed
        found = list(_marked(mark))
        if not found:
            return
        for pid in found:
            with contextlib.suppress(OSError):
                os.kill(pid, _KILL)
        time.sleep(PAUSE)


if sys.platform == "win32":
    _KILL = signal.SIGTERM
else:
    _KILL = signal.SIGKILL


def _marked(mark: str) -> Iterator[int]:
    """Processes that have `mark`, or one that begins with it and a dot."""
    for pid, value in _values():
        if pid != os.getpid() and (value == mark or value.startswith(mark + ".")):
            yield pid


def _values() -> Iterator[tuple[int, str]]:
    """Who has the variable, and its value; of others' processes nothing is told."""
    if sys.platform != "linux":
        import psutil

        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                yield process.pid, process.environ().get(VARIABLE, "")
        return
    prefix = f"{VARIABLE}=".encode()
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:
                for entry in file.read().split(b"\0"):
                    if entry.startswith(prefix):
                        yield int(name), entry[len(prefix) :].decode("ascii", "replace")


def main() -> None:
    mark, parent = sys.argv[1], os.getppid()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if sys.platform == "win32":
        sys.stdin.buffer.read()
    else:
        # A fork of the suite may hold the other end of the pipe longer than the suite lives.
        while os.getppid() == parent and not select.select([0], [], [], 0.5)[0]:
            pass
    end_marked(mark)


if __name__ == "__main__":
    main()
