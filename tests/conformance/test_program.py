"""A program on the other side of two pipes: what it answers, and every way in which it fails to."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import foreign
import numpy as np
import pytest

import reference_impl
from conformance.case import Case
from conformance.data import arrays
from conformance.errors import Crashed, Unsupported, UsageError
from conformance.implementations.program import ProgramImplementation
from conformance.processes.limits import Limits
from conformance.processes.worker import Worker
from conformance.results import Status

CASES = [
    Case.parse(text)
    for text in (
        "in2x8x9x3-f4-k3x2-integers.1",
        "in1x8x9x4-f6-k3x2-s2x3-same-g2-nobias-integers.2",
        "in3x5x8x7-f2-k2x3-d2x1-same-cf-float64-integers.3",
        "in1x4x9x8-f4-k3-d1x2-g4-cf-nobias-integers.4",
        "in0x5x5x1-f1-k1-integers.5",
    )
]
SMALL = Case.parse("in1x2x2x1-f1-k1-integers.1")
LARGE = Case.parse("in1x97x113x9-f3-k1-integers.1")
Start = Callable[[str], ProgramImplementation]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Start]:
    """Makes a program of the body of its loop, and ends it after the test."""
    made: list[ProgramImplementation] = []

    def start(body: str) -> ProgramImplementation:
        implementation = ProgramImplementation(f"cmd:{foreign.python_program(tmp_path, body)}")
        implementation.setup()
        made.append(implementation)
        return implementation

    yield start
    for implementation in made:
        implementation.close()


def ask(implementation: ProgramImplementation, case: Case = SMALL) -> Any:
    data = arrays(case)
    return implementation.prepare(case, data).call(data.x)


def right(case: Case) -> Any:
    data = arrays(case)
    return reference_impl.conv2d(data.x, data.kernel, data.bias, **case.function_arguments())


# What it answers ----------------------------------------------------------------------------------


def test_the_example_in_c_gives_the_exact_integers(tmp_path: Path):
    implementation = ProgramImplementation(f"cmd:{foreign.compiled(tmp_path)}")
    implementation.setup()
    assert implementation.kind == "function"
    for case in CASES:
        got = ask(implementation, case)
        assert got.dtype == right(case).dtype
        np.testing.assert_array_equal(got, right(case), err_msg=str(case))
    implementation.close()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_example_in_c_says_which_dtypes_it_has(tmp_path: Path, dtype: str):
    implementation = ProgramImplementation(f"cmd:{foreign.compiled(tmp_path)}")
    with pytest.raises(Unsupported, match="float32 and float64 only"):
        ask(implementation, Case.parse(f"in1x2x2x1-f1-k1-{dtype}-integers.1"))
    implementation.close()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_values_of_every_dtype_go_both_ways(started: Start, dtype: str):
    case = Case.parse(f"in2x3x5x1-f1-k1-nobias-{dtype}-normal.1")
    size = arrays(case).x.nbytes
    got = ask(started(f"values(read()[:{size}], h[3], h[20:24])"), case)
    assert got.dtype == arrays(case).x.dtype
    assert got.tobytes() == arrays(case).x.tobytes()


def test_another_dtype_or_shape_is_an_answer_to_be_judged(started: Start):
    got = ask(started('read(); values(b"\\0" * 48, 2, (1, 2, 3, 1))'))
    assert (got.dtype, got.shape) == (np.float64, (1, 2, 3, 1))


def test_a_view_of_larger_memory_is_sent_in_order(started: Start):
    case = Case.parse("in2x3x4x2-f2-k1-view.sliced-nobias-integers.1")
    got = ask(started("values(read()[:192], h[3], h[5:9])"), case)
    np.testing.assert_array_equal(got, arrays(case).x)


def test_unsupported_and_errors_come_with_their_message(started: Start):
    body = 'read(); message(1 if h[12] == 1 else 2, "too many filters: ☃" if h[12] > 1 else "no")'
    implementation = started(body)
    with pytest.raises(Unsupported, match=r"^no$"):
        ask(implementation)
    with pytest.raises(RuntimeError, match=r"^too many filters: ☃$"):
        ask(implementation, CASES[0])


def test_an_empty_message_is_no_reason(started: Start):
    with pytest.raises(Unsupported, match="no reason given"):
        ask(started('read(); message(1, "")'))


def test_it_is_kept_running_in_the_process_group_of_its_caller(started: Start):
    implementation = started(
        'read(); values(struct.pack("<2d", os.getpid(), os.getpgid(0)), 2, (1, 1, 1, 2))'
    )
    first, second = ask(implementation).ravel(), ask(implementation, CASES[0]).ravel()
    assert first[0] == second[0] != os.getpid()
    assert first[1] == os.getpgid(0)


def test_a_large_answer_before_the_case_is_read_does_not_lock_both(started: Start):
    implementation = started("n = 4 * 97 * 113 * 3; values(b'\\0' * n, 1, h[20:24]); read()")
    assert not ask(implementation, LARGE).any()
    assert not ask(implementation, LARGE).any()


def test_closing_it_ends_it(tmp_path: Path):
    note = tmp_path / "ended"
    body = f"read(); message(1, 'no')\nimport atexit; atexit.register(open, {str(note)!r}, 'w')"
    implementation = ProgramImplementation(f"cmd:{foreign.python_program(tmp_path, body)}")
    implementation.close()  # not started yet
    with pytest.raises(Unsupported):
        ask(implementation)
    implementation.close()
    assert note.exists()


def test_its_memory_counts_as_well(tmp_path: Path):
    command = foreign.python_program(tmp_path, "kept = b'1' * 2**29; time.sleep(600)")
    worker = Worker(f"cmd:{command}", Limits(case=60, memory=2**28))
    try:
        (lost,) = worker.run((SMALL,))
    finally:
        worker.stop()
    assert (lost.status, lost.cause) == (Status.CRASHED, "takes too much memory")


# What goes wrong ----------------------------------------------------------------------------------

CRASHES = [
    ("os._exit(3)", "ends with exit code 3"),
    ("read(); sys.exit()", "ends with exit code 0 before its input does"),
    ("read(); os.kill(os.getpid(), 11)", "ends with SIGSEGV"),
    ("read(); write(b'C2DAN'); os._exit(3)", "ends with exit code 3 in the middle of its answer"),
    (
        'read(); print("hello", flush=True); time.sleep(60)',
        'answers with text "hello" where an answer record is expected; other output belongs on '
        "stderr",
    ),
    (
        "write(b'\\0\\1\\2' * 99); time.sleep(60)",
        "answers with bytes 00 01 02 00 01 02 00 01 where",
    ),
    ("read(); write(bytes(8))", "answers with bytes 00 00 00 00 00 00 00 00 where"),
    ("read(); answer(7, 0, (0,) * 4, 0, b'')", "answers with status 7 where 0, 1 or 2 is"),
    ("read(); values(b'', 9, (0,) * 4)", "answers with dtype 9 where one of 1 (float32), 2"),
    ("read(); values(b'', 1, (1, -1, 1, 1))", "answers with output dimensions (1, -1, 1, 1), one"),
    (
        "read(); values(bytes(12), 1, (1, 2, 3, 1))",
        "answers with record length 96 where 104 is expected for float32 values of shape "
        "(1, 2, 3, 1)",
    ),
    (
        "read(); answer(1, 0, (0,) * 4, 9, b'no')",
        "answers with record length 88 where 96 is expected for a message of 9 bytes",
    ),
    (
        "read(); values(b'', 1, (2**40, 2**40, 1, 1))",
        "answers with record length 80 where 4835703278458516698824784 is expected",
    ),
    (
        "read(); fields = 80 + 2**50, h[2], 0, 1, 2**48, 1, 1, 1, 0\n"
        "write(struct.pack('<8s9q', b'C2DANSW1', *fields)); time.sleep(60)",
        "answers with 281474976710656 values of shape (281474976710656, 1, 1, 1) where at most",
    ),
    (
        "read(); fields = 80 + 2**31, h[2], 1, *[0] * 5, 2**31\n"
        "write(struct.pack('<8s9q', b'C2DANSW1', *fields)); time.sleep(60)",
        "answers with a message of 2147483648 bytes where at most 65536 are read",
    ),
    (
        "read(); h = (*h[:2], 5, *h[3:]); message(1, 'no')",
        "answers with case 5 where the answer to 0 is expected",
    ),
]


@pytest.mark.parametrize(("body", "words"), CRASHES, ids=[body for body, _ in CRASHES])
def test_what_is_no_answer_is_told_in_one_sentence(started: Start, body: str, words: str):
    with pytest.raises(Crashed) as caught:
        ask(started(body))
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("end", ["os._exit(3)", "write(b'text'); time.sleep(60)"])
def test_it_is_started_again_for_the_next_case(started: Start, end: str):
    implementation = started(
        f'if h[12] == 4: {end}\nread(); values(struct.pack("<d", os.getpid()), 2, (1, 1, 1, 1))'
    )
    first = ask(implementation)
    for _ in range(2):
        with pytest.raises(Crashed):
            ask(implementation, CASES[0])
    assert ask(implementation) != first
    assert ask(implementation) == ask(implementation)


def test_a_crash_quotes_the_last_line_on_stderr(started: Start):
    implementation = started(
        'print(f"case {h[2]}", "out of range", sep="\\n", file=sys.stderr)\n'
        "if h[2] == 1: sys.exit(4)\n"
        "read(); message(1, 'no')"
    )
    own = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            with pytest.raises(Unsupported):
                ask(implementation)
            with pytest.raises(
                Crashed, match=r"^ends with exit code 4; the last line it printed: out of range$"
            ):
                ask(implementation)
        finally:
            os.dup2(own, 2)
            os.close(own)
        log.seek(0)
        assert log.read() == b"case 0\nout of range\ncase 1\nout of range\n"


def test_a_program_that_ends_while_it_is_written_to_does_not_hold_up_the_next_case(started: Start):
    implementation = started("os._exit(3)")
    for _ in range(3):
        with pytest.raises(Crashed, match="exit code 3"):
            ask(implementation, LARGE)


def test_a_file_that_the_system_cannot_run_is_told(tmp_path: Path):
    path = tmp_path / "program"
    path.write_bytes(b"\x7fno program")
    path.chmod(0o755)
    implementation = ProgramImplementation(f"cmd:{path}")
    implementation.setup()
    with pytest.raises(Crashed, match="cannot be started: "):
        ask(implementation)


def refused(name: str) -> str:
    with pytest.raises(UsageError) as caught:
        ProgramImplementation(name).setup()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_no_program_is_refused_by_name(tmp_path: Path):
    plain = tmp_path / "conv2d"
    plain.write_text("no program")
    plain.chmod(0o644)
    assert "names no program" in refused("cmd:")
    assert "No closing quotation" in refused("cmd:./conv2d 'x")
    assert f"{plain} is not executable" in refused(f"cmd:{plain}")
    assert "there is no program ./nothing-like-it" in refused("cmd:./nothing-like-it --flag")
    assert "a program in this folder is ./no-such" in refused("cmd:no-such")


def test_a_program_on_the_path_needs_no_folder(monkeypatch: pytest.MonkeyPatch):
    folder, name = os.path.split(sys.executable)
    monkeypatch.setenv("PATH", folder, prepend=os.pathsep)
    ProgramImplementation(f"cmd:{name} -c ''").setup()
