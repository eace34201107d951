"""A program in any language: it reads cases on stdin and answers on stdout, one after the other."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from conformance.errors import PRINTED, Crashed, UsageError, first_line
from conformance.implementations.base import Implementation
from conformance.implementations.info import Reproducer
from conformance.implementations.records import (
    ANSWER_SIZE,
    Header,
    RecordError,
    case_record,
    check_magic,
    most_values,
)
from conformance.tail import Tail
from reference_impl.geometry import Geometry

PROGRAM = "cmd:"
CHUNK = 1 << 20
# Seconds that a program which has closed a pipe is given to end by itself.
GRACE = 5.0


_STANDALONE = '''\
import struct
import subprocess

PIPE = subprocess.PIPE
program = subprocess.Popen(COMMAND, stdin=PIPE, stdout=PIPE)


def conv2d(x, kernel, bias, *, strides, padding, data_format, dilation_rate, groups):
    """One case record to the program, one answer record back."""
    first = data_format == "channels_first"
    n, h, w, c = np.moveaxis(x, 1, -1).shape if first else x.shape
    extents = [(k - 1) * d + 1 for k, d in zip(kernel.shape, dilation_rate)]
    if padding == "same":
        sizes = [-(-a // s) for a, s in zip((h, w), strides)]
    else:
        sizes = [(a - e) // s + 1 for a, e, s in zip((h, w), extents, strides)]
    out = (n, kernel.shape[3], *sizes) if first else (n, *sizes, kernel.shape[3])
    dtype = ["float32", "float64", "float16", "bfloat16"].index(x.dtype.name) + 1
    fields = [dtype, int(first), n, h, w, c, *kernel.shape, *strides, *dilation_rate]
    fields += [int(padding == "same"), groups, int(bias is not None), *out, *[0] * 8]
    parts = [np.ascontiguousarray(a).tobytes() for a in (x, kernel, bias) if a is not None]
    body = b"".join(part.ljust(-(-len(part) // 8) * 8, b"\\0") for part in parts)
    program.stdin.write(struct.pack("<8s31q", b"C2DCASE1", 256 + len(body), 0, *fields) + body)
    program.stdin.flush()
    head = program.stdout.read(80)
    assert len(head) == 80, f"the program ended: {program.poll()}"
    magic, length, _, status, _, *shape, size = struct.unpack("<8s9q", head)
    assert magic == b"C2DANSW1", magic
    rest = program.stdout.read(length - 80)
    assert status == 0, rest[:size].decode(errors="replace")
    count = int(np.prod(shape))
    return np.frombuffer(rest, x.dtype, count).reshape(shape)
'''


class ProgramImplementation(Implementation):
    """A program that is kept running for many cases; records as in conformance/vectors/FORMAT.md.

    It runs in the process group of this process, which passes on what it writes to stderr. One that
    ends, or answers with something that is no answer, is started again for the next case.
    """

    runs_own_process = True

    def __init__(self, name: str) -> None:
        """Take ``cmd:./program --flag`` apart.

        Raises:
            UsageError: there is no command, or a quotation mark is not closed.
        """
        self.name = name
        try:
            self._command = shlex.split(name.removeprefix(PROGRAM), posix=os.name == "posix")
        except ValueError as error:
            raise UsageError(f"{name!r} is no command: {first_line(error)}") from None
        if not self._command:
            raise UsageError(f"{name!r} names no program; expected such as cmd:./program --flag")
        self._running: _Running | None = None
        self._asked = 0

    def reproducer(self, target: str) -> Reproducer:
        """A function that sends one case to the program, in the records of FORMAT.md."""
        return Reproducer(
            defines=tuple(_STANDALONE.replace("COMMAND", repr(self._command)).splitlines()),
            made_by="conv2d",
        )

    def setup(self) -> None:
        """Refuse a program that cannot be started.

        Raises:
            UsageError: there is no such file, or it is not executable.
        """
        program = self._command[0]
        if shutil.which(program) is not None:
            return
        if Path(program).is_file():
            raise UsageError(f"{self.name!r}: {program} is not executable; chmod +x makes it so")
        hint = f"; a program in this folder is ./{program}" if os.sep not in program else ""
        raise UsageError(f"{self.name!r}: there is no program {program}{hint}")

    def close(self) -> None:
        """End its input, upon which a program ends."""
        if self._running is not None:
            self._running.close()
            self._running = None

    def conv2d(
        self,
        x: NDArray[Any],
        kernel: NDArray[Any],
        bias: NDArray[Any] | None = None,
        **arguments: Any,
    ) -> NDArray[Any]:
        """One record out, one record in; arguments and result as for `Implementation.conv2d`.

        Raises:
            Unsupported: the program answers with status 1.
            RuntimeError: it answers with status 2.
            Crashed: it ends, cannot be started, or writes something else than an answer.
        """
        record = case_record(self._asked, x, kernel, bias, **arguments)
        shape = Geometry.of(x.shape, kernel.shape, **arguments).output_shape
        most = most_values(x.shape, kernel.shape, shape)
        if self._running is None:
            self._running = _Running(self._command)
        try:
            header, payload = self._running.ask(record, self._asked, most)
        except BaseException:
            self._running.kill()
            self._running = None
            raise
        finally:
            self._asked += 1
        return header.result(payload)


class _Running:
    """A started program."""

    def __init__(self, command: list[str]) -> None:
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
            )
        except OSError as error:
            raise Crashed(f"cannot be started: {error.strerror}") from None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self._said = Tail(self._process.stderr, copy_to=2)
        self._writer: threading.Thread | None = None

    def ask(self, record: bytes, number: int, most: int) -> tuple[Header, bytearray]:
        """The answer to a case record: its header and what follows it, at most `most` values.

        Raises:
            Crashed: as `ProgramImplementation.conv2d`.
        """
        before = self._said.size
        # In a thread: a program may answer before it has read everything.
        self._writer = threading.Thread(target=self._write, args=(record,), daemon=True)
        self._writer.start()
        received = bytearray()
        try:
            self._read(received, ANSWER_SIZE)
            header = Header.read(received)
            if header.number != number:
                raise RecordError(f"case {header.number} where the answer to {number} is expected")
            header.refuse_more(most)
            self._read(received, header.length)
        except RecordError as error:
            raise Crashed(f"answers with {error}") from None
        except EOFError:
            middle = " in the middle of its answer" if received else ""
            raise Crashed(f"{self._ending()}{middle}{self._last_words(before)}") from None
        self._writer.join()
        return header, received[ANSWER_SIZE:]

    def close(self) -> None:
        """End its input, and wait for it; one that does not end is killed."""
        self._input.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        self.kill()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        self._output.close()
        self._said.close(0.1)
        if self._writer is not None:
            self._writer.join(GRACE)
        if self._writer is None or not self._writer.is_alive():  # a child of it may hold the pipe
            self._input.close()

    def _write(self, record: bytes) -> None:
        rest = memoryview(record)
        with contextlib.suppress(OSError):  # it is gone: the reader sees that
            while rest:
                rest = rest[self._input.write(rest) :]

    def _read(self, received: bytearray, size: int) -> None:
        """Read until there are `size` bytes, or until these cannot be an answer.

        Raises:
            RecordError: they cannot.
            EOFError: its output ends before.
        """
        while len(received) < size:
            chunk = self._output.read(min(size - len(received), CHUNK))
            if not chunk:
                raise EOFError
            received += chunk
            check_magic(received)

    def _ending(self) -> str:
        """How it has ended, in words."""
        try:
            code = self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            return "closes its stdout without ending"
        if code == 0:
            return "ends with exit code 0 before its input does"
        if code > 0:
            return f"ends with exit code {code}"
        with contextlib.suppress(ValueError):
            return f"ends with {signal.Signals(-code).name}"
        return f"ends with signal {-code}"

    def _last_words(self, start: int) -> str:
        """The last line that it wrote to stderr from `start` on, as `Crashed` says it."""
        text = self._said.last(start).decode(errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return f"{PRINTED}{lines[-1][:200]}" if lines else ""
