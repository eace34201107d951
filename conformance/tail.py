"""The last of what a process prints: read from a pipe as it comes, so that nothing else is kept."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from typing import IO

KEPT = 2**16  # bytes
CHUNK = 2**16
MOST_AT_ONCE = 2**20  # bytes that a reader waits for; a pipe holds less


class Tail:
    """The last `KEPT` bytes that were written into a pipe.

    Attributes:
        size: how many bytes have come.
    """

    def __init__(self, stream: IO[bytes], copy_to: int | None = None) -> None:
        """Follow `stream` in a thread until it ends, and close it then.

        Args:
            stream: the reading end, which belongs to the tail from now on.
            copy_to: a descriptor that everything is written to as well.
        """
        self.size = 0
        self._stream, self._copy_to = stream, copy_to
        self._kept = bytearray()
        self._lock = threading.Lock()
        if sys.platform != "win32":
            os.set_blocking(stream.fileno(), False)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def last(self, start: int = 0) -> bytes:
        """What is kept of the bytes from `start` on, with all that has been written by now."""
        self._drain()
        with self._lock:
            return bytes(self._kept[max(0, len(self._kept) - max(self.size - start, 0)) :])

    def size_by_now(self) -> int:
        """`size` with all that has been written by now."""
        self._drain()
        return self.size

    def close(self, seconds: float = 1.0) -> None:
        """Wait until it has ended; who still holds the other end is not waited for longer."""
        self._thread.join(seconds)

    def _follow(self) -> None:
        if sys.platform == "win32":
            while chunk := os.read(self._stream.fileno(), CHUNK):
                with self._lock:
                    self._add(chunk)
        else:
            ready = select.poll()
            ready.register(self._stream, select.POLLIN)
            while True:
                ready.poll()
                if not self._drain():
                    break
        with self._lock:
            self._stream.close()

    def _drain(self) -> bool:
        """Take what is there; whether more may come."""
        if sys.platform == "win32":  # where a pipe cannot be asked without waiting
            self._thread.join(0.05)
            return True
        with self._lock:
            end = self.size + MOST_AT_ONCE
            while not self._stream.closed and self.size < end:
                try:
                    chunk = os.read(self._stream.fileno(), CHUNK)
                except BlockingIOError:
                    return True
                if not chunk:
                    return False
                self._add(chunk)
            return not self._stream.closed

    def _add(self, chunk: bytes) -> None:
        self.size += len(chunk)
        self._kept += chunk
        if len(self._kept) > 2 * KEPT:
            del self._kept[:-KEPT]
        if self._copy_to is not None:
            with contextlib.suppress(OSError):
                os.write(self._copy_to, chunk)
