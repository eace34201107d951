"""Correct functions that leave processes behind, or that nothing but SIGKILL ends.

Every process of theirs appends its number to the file that ``STRAY`` names.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from typing import Any

import reference_impl


def note() -> None:
    """Append the number of this process."""
    with open(os.environ["STRAY"], "a", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")


SLEEP = "import os, sys, time; print(os.getpid(), file=open(sys.argv[1], 'a')); time.sleep(600)"


def starts(environment: dict[str, str] | None = None) -> None:
    """Start a process in a session of its own and wait until it runs."""
    path = os.environ["STRAY"]
    before = os.path.getsize(path) if os.path.exists(path) else 0
    subprocess.Popen(
        [sys.executable, "-S", "-c", SLEEP, path], start_new_session=True, env=environment
    )
    while not os.path.exists(path) or os.path.getsize(path) == before:
        time.sleep(0.01)


def leaves_sessions(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Starts processes that leave its group: with its environment, with none, and orphaned."""
    if given["groups"] == 2:
        starts()
        starts({})
        if os.fork() == 0:
            starts()
            os._exit(0)
        os.wait()
    return reference_impl.conv2d(x, kernel, bias, **given)


def crashes_after_leaving_sessions(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    y = leaves_sessions(x, kernel, bias, **given)
    if given["groups"] == 2:
        os.abort()
    return y


def keeps_the_interpreter(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Hangs in C code, where no thread of Python runs, with a process of its own beside it."""
    starts()
    note()
    ctypes.PyDLL(None).sleep(600)
    return reference_impl.conv2d(x, kernel, bias, **given)


def leaves_threads(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Where there are two groups, leaves threads behind that never rest."""

    def spin() -> None:
        while True:
            pass

    if given["groups"] == 2 and threading.active_count() < 12:
        for _ in range(12):
            threading.Thread(target=spin, daemon=True).start()
    return reference_impl.conv2d(x, kernel, bias, **given)


def is_slow(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    time.sleep(0.3)
    return reference_impl.conv2d(x, kernel, bias, **given)


def floods(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Prints 32 MiB; where there are two groups, says why and ends."""
    for _ in range(32):
        print("x" * 2**20)
    if given["groups"] == 2:
        print("out of shared memory", file=sys.stderr, flush=True)
        os._exit(7)
    return reference_impl.conv2d(x, kernel, bias, **given)
