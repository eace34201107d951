"""The folder of a report: one process at a time makes one in it, of files that are whole."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from conformance.errors import UsageError

_UNFINISHED = ".conv2d-unfinished"  # how the name of half a file ends


def beside(path: Path) -> Path:
    """Where a file is written before it takes its place; `claimed` removes what is left there."""
    return path.with_name(f".{path.name}.{os.getpid()}{_UNFINISHED}")


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A file to write, which takes the place of `path` when this is left without an exception."""
    temporary = beside(path)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep `folder` for a report while it is made; refuse before the work, not after it.

    The system lets go of the lock when a process ends, however it ends.

    Raises:
        UsageError: another process makes a report there, or nothing can be written.
    """
    path = folder / ".lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, blocking=False)
        lock.acquire()
    except Timeout:
        raise UsageError(
            f"another process is making a report in {folder}; wait for it, or name another --out"
        ) from None
    except OSError as error:
        raise UsageError(f"cannot write to --out {folder}: {error.strerror or error}") from None
    for left in folder.glob(f".*{_UNFINISHED}"):  # half a file of one who was killed while it wrote
        with contextlib.suppress(OSError):
            left.unlink()
    try:
        yield
    finally:
        # While it is held: who waits for this file sees that it is gone and makes a new one.
        with contextlib.suppress(OSError):
            path.unlink()
        lock.release()
