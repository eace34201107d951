"""Ctrl-C and SIGTERM: the first ends the work where it can be left, the second the process at once.

A signal may come between any two steps. So that none leaves a case half counted or a file half
written, the first one is acted upon only in work that `may_leave`: waiting for an implementation,
and shrinking. What follows, such as the report, is done whole.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import psutil

INTERRUPTED = 130  # exit code
SAME = 0.1  # seconds: ``timeout`` sends its signal to the process, and at once to its group
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_UNDERSTOOD = b"\nInterrupted: writing the report. Press Ctrl-C again to leave at once.\n"
_LEFT = b"\nLeft at once. What was decided is in the journal; continue with --resume.\n"
_SHOW_CURSOR = b"\x1b[?25h"


class Ending:
    """Whether this process has been asked to end.

    Attributes:
        asked: whether a signal came while it was `handled`.
    """

    def __init__(self) -> None:
        self.asked = False
        self._can_be_left = False
        self._first = 0.0

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Take signals as the module says, until this is left or one has come; else as Python."""
        self.asked = False
        before = {name: signal.signal(name, self._take) for name in _SIGNALS}
        try:
            with _woken():
                yield
        finally:
            if not self.asked:  # else further ones, too, end the process at once
                for name, handler in before.items():
                    signal.signal(name, handler)

    @contextmanager
    def may_leave(self) -> Iterator[None]:
        """Work that the first signal ends, by a KeyboardInterrupt; also one that came before."""
        outer, self._can_be_left = self._can_be_left, True
        try:
            if self.asked:
                raise KeyboardInterrupt
            yield
        finally:
            self._can_be_left = outer

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            if time.monotonic() - self._first < SAME:
                return
            _leave()
        self.asked, self._first = True, time.monotonic()
        _write(_UNDERSTOOD)
        if self._can_be_left:
            raise KeyboardInterrupt


@contextmanager
def _woken() -> Iterator[None]:
    """Interrupt what the main thread waits in also when another thread has taken the signal.

    Python calls handlers in the main thread alone, and the system may have woken another one.
    """
    if not hasattr(signal, "pthread_kill"):
        yield
        return
    out, into = os.pipe()
    os.set_blocking(into, False)
    nudged = signal.signal(signal.SIGURG, lambda number, frame: None)
    before = signal.set_wakeup_fd(into, warn_on_full_buffer=False)
    main = threading.main_thread().ident or 0

    def wake() -> None:
        while taken := os.read(out, 1):
            if taken[0] in _SIGNALS:
                signal.pthread_kill(main, signal.SIGURG)
        os.close(out)

    threading.Thread(target=wake, daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        signal.signal(signal.SIGURG, nudged)
        os.close(into)


def _leave() -> NoReturn:
    """End this process and all that it has started."""
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
    if os.isatty(2):
        _write(_SHOW_CURSOR)
    _write(_LEFT)
    os._exit(INTERRUPTED)


def _write(text: bytes) -> None:
    with contextlib.suppress(OSError):
        os.write(2, text)


ENDING = Ending()  # signals come to the whole process
