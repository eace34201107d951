"""The judges of a session: processes without any engine, shared by all who are measured."""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import threading
import zlib
from typing import Any

import psutil

from conformance.case import Case
from conformance.processes.children import Child, started
from conformance.processes.messages import HarnessError


class Judges:
    """So many processes, each started when it is first needed.

    A case goes to the judge that its arguments name, which may have its sums from another
    implementation, or to a free one where that one is busy or not started yet.
    """

    def __init__(self, number: int = 1) -> None:
        self._judges = [_JudgeProcess() for _ in range(number)]

    def request(self, case: Case, request: Any) -> Any:
        """The reply to `request`, which concerns `case`."""
        first = zlib.crc32(repr((case.geometry, case.seed)).encode()) % len(self._judges)
        preferred = self._judges[first]
        # Starting one costs more than computing a few sums again.
        running = [judge for judge in self._judges if judge.is_running]
        others = [*running, preferred, *self._judges]
        for judge in ([preferred] if preferred.is_running else []) + others:
            if judge.lock.acquire(blocking=False):
                break
        else:
            judge = preferred
            judge.lock.acquire()
        try:
            return judge.request(request)
        finally:
            judge.lock.release()

    @property
    def cpu(self) -> float:
        """Processor seconds of those that run."""
        return sum(judge.cpu for judge in self._judges)

    @property
    def setup_cpu(self) -> float:
        """The part of `cpu` before the first request."""
        return sum(judge.setup_cpu for judge in self._judges)

    def close(self) -> None:
        """End them all; a further request starts them again."""
        for judge in self._judges:
            judge.close()


class _JudgeProcess:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.used = self.setup_cpu = 0.0
        self._process: Child | None = None

    @property
    def is_running(self) -> bool:
        """Whether it was started."""
        return self._process is not None

    def request(self, request: Any) -> Any:
        """The reply. One that ends, as out of memory, is started again once."""
        for _ in range(2):
            try:
                process = self._started()
                assert process.stdin is not None
                assert process.stdout is not None
                pickle.dump(request, process.stdin)
                process.stdin.flush()
                return pickle.load(process.stdout)
            except (EOFError, OSError, pickle.UnpicklingError):
                self.close()
        return HarnessError("the judge ended")

    @property
    def cpu(self) -> float:
        """Processor seconds so far."""
        if self._process is not None:
            with contextlib.suppress(psutil.Error):
                times = psutil.Process(self._process.pid).cpu_times()
                return self.used + float(times.user + times.system)
        return self.used

    def close(self) -> None:
        """End it."""
        self.used = self.cpu
        process, self._process = self._process, None
        if process is None:
            return
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]
        process.kill()
        process.wait()

    def _started(self) -> Child:
        if self._process is None:
            self._process = started("conformance.processes.judge", errors=subprocess.DEVNULL)
            assert self._process.stdout is not None
            self.setup_cpu += pickle.load(self._process.stdout)
        return self._process
