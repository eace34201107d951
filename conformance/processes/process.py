"""The process that runs an implementation, and what becomes of a case that ends it."""

from __future__ import annotations

import contextlib
import math
import pickle
import secrets
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, replace
from typing import Any

import psutil

from conformance.errors import UsageError
from conformance.implementations.info import Info
from conformance.observing.observation import HEADER, MAGIC, EnvelopeError, length_of, opened
from conformance.processes.children import Child, started
from conformance.processes.limits import Limits, Pace, Patience
from conformance.processes.messages import Observe, ProcessorTime, Start
from conformance.results import Status
from conformance.tail import Tail
from conformance.targets import Target

CLOSE_LIMIT = 5.0
MOST_BYTES = 2**31  # of one answer
LOOKS, LOOK = 5, 0.1  # how often and how long a process is looked at that should be waiting
BUSY = 0.2  # of that time it computes; the machine may be busy with others
MOST_LINES = 200  # of what a child printed, kept to be shown
LAST_WORDS = 200  # characters of what a child said before it ended


@dataclass(frozen=True, slots=True)
class Lost:
    """A case that ended its process.

    Attributes:
        status: ``crashed`` or ``timed_out``.
        cause: how, in one sentence.
        message: the same with numbers.
    """

    status: Status
    cause: str
    message: str


class ObserverProcess:
    """One child process that runs one implementation; started when needed, again after a loss.

    Attributes:
        info: who is measured, once started.
        starts: how many children there were.
        memory_restarts: how often it was restarted because its memory had grown.
        pace: whether it becomes slower and slower, and how often a restart helped.
        aborted: whether it has been told to stop for good.
        cpu: processor seconds of finished children; `setup_cpu` the part before the first case.
    """

    def __init__(
        self, target: str | Target, limits: Limits | None = None, patience: Patience | None = None
    ) -> None:
        self.target = Target(target) if isinstance(target, str) else target
        self.name = self.target.name
        self.limits = limits or Limits()
        self.patience = patience or Patience(self.limits)
        self.info: Info | None = None
        self.starts = self.memory_restarts = 0
        self.pace = Pace(self.limits)
        self.cpu = self.setup_cpu = 0.0
        self.aborted = False
        self._process: Child | None = None
        self._said: Tail | None = None
        self._said_before = 0  # bytes that the child wrote until it was ready
        self._deadline, self._late = math.inf, False
        self._memory: psutil.Process | None = None
        self._grown_from = self._before_case = 0
        self._bloated = False
        self._slow_cases = 0
        self._lock = threading.Lock()  # of _deadline, _late and _bloated
        self._ready = False
        self._nonce = self._replies = 0

    def start(self) -> Info:
        """Start the child if there is none.

        Raises:
            UsageError: the implementation cannot be measured; the message says why.
        """
        if self._process is not None and self.info is not None and self._ready:
            return self.info
        if self.aborted:
            raise UsageError(f"{self.name!r} was stopped")
        self._ready = False
        self._said_before = 0
        first = self._begun()
        if isinstance(first, Lost) and first.status is Status.CRASHED and not self.aborted:
            first = self._begun()  # something else may have ended it
        if isinstance(first, Lost):
            raise UsageError(f"setting up {self.name!r} {first.message}")
        info = self._first(first)
        entries = self.target.expected_failures
        self.info = replace(info, expected_failures=entries) if entries else info
        self._grown_from = self._used()
        assert self._said is not None
        self._said_before = self._said.size_by_now()
        self._ready = True
        return self.info

    def _begun(self) -> bytes | Lost:
        """The first answer of a new child."""
        self.starts += 1
        self.pace.restarted()
        self._slow_cases = 0
        self._process = started("conformance.processes.observer", errors=subprocess.PIPE)
        assert self._process.stderr is not None
        self._said = Tail(self._process.stderr)
        if self.aborted:  # while it was started
            self._process.end()
        with contextlib.suppress(psutil.Error):
            self._memory = psutil.Process(self._process.pid)
        threading.Thread(target=self._watch, args=(self._process,), daemon=True).start()
        self._nonce, self._replies = secrets.randbits(64), 0
        self._send(Start(self.target, self._nonce))
        return self._receive(self.limits.setup)

    def _first(self, data: bytes) -> Info:
        """What the first answer tells."""
        try:
            tree, _ = opened(data)
            if "refused" in tree:
                reason = str(tree["refused"])
            else:
                self.setup_cpu += float(tree["cpu"])
                return Info.from_tree(tree["info"])
        except (EnvelopeError, KeyError, TypeError, ValueError, AttributeError) as error:
            reason = f"setting up {self.name!r} tells no plain data ({error})"
        self.stop()
        raise UsageError(reason)

    def observe(self, question: bytes, *, traces: bool = False) -> bytes | Lost:
        """The envelope with the answers to a pickled `Question`, or `Lost`, which costs one case.

        With `traces`, the tracebacks of what the implementation raises are `printed` too.
        """
        self.start()
        began = time.monotonic()
        self._send(Observe(question, traces))
        answer = self._receive(self.patience.seconds)
        if isinstance(answer, Lost):
            if answer.status is Status.TIMED_OUT:
                self.patience.lose()
            return answer
        seconds = time.monotonic() - began
        self.patience.returned(seconds)
        if self.pace.returned(seconds) or self._is_busy(seconds):
            self.stop()
        elif self._used() - self._grown_from > self.limits.growth:
            self.memory_restarts += 1
            self.stop()
        return answer

    def _is_busy(self, seconds: float) -> bool:
        """Whether the child, which took so long for a case, goes on computing when it should wait.

        Threads that it has left behind hold the interpreter, so that each case takes longer. It is
        looked at after the 1st, 2nd, 4th, ... slow case.
        """
        if seconds <= self.limits.slow or self._memory is None:
            return False
        self._slow_cases += 1
        if self._slow_cases & (self._slow_cases - 1):
            return False
        with contextlib.suppress(psutil.Error):
            for _ in range(LOOKS):  # some engines' threads wait actively for a while
                before = self._memory.cpu_times()
                time.sleep(LOOK)
                after = self._memory.cpu_times()
                if after.user + after.system - before.user - before.system < BUSY * LOOK:
                    return False
            self.pace.restarts += 1
            return True
        return False

    def printed(self) -> list[str]:
        """The last lines that the child wrote to stdout and stderr since it was ready.

        What is written before is about the set-up: engines tell there of the machine.
        """
        return self._lines(self._said_before)

    def _lines(self, start: int) -> list[str]:
        """The last lines of what the child wrote from byte `start` on."""
        said = b"" if self._said is None else self._said.last(start)
        return said.decode(errors="replace").splitlines()[-MOST_LINES:]

    def stop(self) -> None:
        """End the child; the next request starts another one."""
        if self._process is None:
            return
        if self._process.poll() is None and self._ready:
            self._send(ProcessorTime())
            used = self._receive(CLOSE_LIMIT)
            with contextlib.suppress(EnvelopeError, KeyError, TypeError, ValueError):
                self.cpu += 0.0 if isinstance(used, Lost) else float(opened(used)[0]["cpu"])
            self._let_close()
        self._end()

    def _let_close(self) -> None:
        """Let the implementation close what it opened; a child that does not leave is killed."""
        process = self._process
        if process is None or process.stdin is None:
            return
        process.look()
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            process.stdin.close()
            process.wait(CLOSE_LIMIT)

    def abort(self) -> None:
        """End the child at once, from any thread, and never start another one."""
        self.aborted = True
        process = self._process
        if process is not None:
            process.end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.end()
        process.wait()
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]
        assert self._said is not None
        self._said.close()

    def _send(self, request: Any) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the next _receive tells what became of it
            pickle.dump(request, self._process.stdin)
            self._process.stdin.flush()

    def _receive(self, limit: float) -> bytes | Lost:
        """The next envelope, or `Lost` if the child ends or `limit` seconds pass first."""
        assert self._process is not None
        process = self._process
        self._before_case = self._used()
        with self._lock:
            self._deadline = time.monotonic() + limit
            self._late = self._bloated = False
        answer, foreign = None, False
        try:
            answer = self._read()
        except EnvelopeError:
            foreign = True
        with self._lock:
            self._deadline = math.inf
            if answer is not None and not (self._late or self._bloated):
                self._replies += 1
                return answer
        if foreign and not (self._late or self._bloated):
            self._end()
            cause = "writes on the channel of the suite"
            return Lost(Status.CRASHED, cause, cause)
        code = process.wait()
        assert self._said is not None
        self._said.close()  # what it said last may still be on its way
        last_words = self._last_words()
        self._end()
        if self._late:
            return Lost(
                Status.TIMED_OUT, "does not return in time", f"does not return within {limit:.3g} s"
            )
        if self._bloated:
            most = f"more than {self.limits.memory / 2**30:g} GiB of memory"
            return Lost(Status.CRASHED, "takes too much memory", f"takes {most} for one case")
        fatal, last = last_words
        cause = f"ends the process: {_exit_text(code)}" + (f" ({fatal})" if fatal else "")
        return Lost(Status.CRASHED, cause, f"{cause}: {last}" if last else cause)

    def _read(self) -> bytes | None:
        """The next envelope, None if the child ends first.

        Raises:
            EnvelopeError: there is something else on the channel.
        """
        assert self._process is not None
        stream = self._process.stdout
        assert stream is not None
        header = stream.read(HEADER.size)
        if len(header) < HEADER.size:
            if header and not MAGIC.startswith(header[: len(MAGIC)]):
                raise EnvelopeError("not the expected envelope")
            return None
        length = length_of(header, self._replies, self._nonce, MOST_BYTES)
        rest = stream.read(length - HEADER.size)
        return None if len(rest) < length - HEADER.size else header + rest

    def _used(self) -> int:
        """Memory of the child, in bytes."""
        try:
            return int(self._memory.memory_info().rss) if self._memory else 0
        except psutil.Error:
            return 0

    def _used_by_all(self) -> int:
        """Memory of the child and of the processes it has started."""
        total = self._used()
        with contextlib.suppress(psutil.Error):
            for child in self._memory.children(recursive=True) if self._memory else ():
                with contextlib.suppress(psutil.Error):
                    total += child.memory_info().rss
        return total

    def _watch(self, process: Child) -> None:
        """Kill the child when a reply is overdue or it takes too much memory; in a thread.

        When it ends, what it has started is ended too.
        """
        while process.poll() is None:
            all_of_it = self.info is not None and self.info.runs_own_process
            used = self._used_by_all() if all_of_it else self._used()
            grown = used - self._before_case > self.limits.memory
            with self._lock:  # a reply that comes now is too late
                self._late = time.monotonic() >= self._deadline
                self._bloated = grown and self._ready and self._deadline < math.inf
                if self._late or self._bloated:
                    break
            time.sleep(self.limits.watch)
        process.end()  # also what it has started, which may hold the pipe open

    def _last_words(self) -> tuple[str, str]:
        """What Python said of its end, and the last line before that; each may be empty."""
        lines = [line.strip() for line in self._lines(0) if line.strip()]
        fatal = [n for n, line in enumerate(lines) if line.startswith("Fatal Python error")]
        # Below the line of Python stands where it happened, not why.
        before = lines[: fatal[-1]] if fatal else lines
        return lines[fatal[-1]] if fatal else "", _shortened(before[-1]) if before else ""


def _shortened(line: str) -> str:
    """Both ends of a long line: output without a newline may stand before what matters."""
    if len(line) <= LAST_WORDS:
        return line
    half = LAST_WORDS // 2
    return f"{line[:half]} ... {line[-half:]}"


def _exit_text(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"
