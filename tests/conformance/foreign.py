"""Programs on the other side of two pipes: the C example, and small ones with one thing wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "conv2d.c"
# Reads cases by FORMAT.md alone. What is put in place of BODY sees the header `h`, the rest of the
# record `read()`, and answers with `values(bytes, dtype, shape)` or `message(status, text)`.
SKELETON = """
import os, struct, sys, time

def write(data):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()

def answer(status, dtype, shape, length, data):
    rest = data + b"\\0" * (-len(data) % 8)
    fields = 80 + len(rest), h[2], status, dtype, *shape, length
    write(struct.pack("<8s9q", b"C2DANSW1", *fields) + rest)

def values(data, dtype, shape):
    answer(0, dtype, shape, 0, data)

def message(status, text):
    answer(status, 0, (0, 0, 0, 0), len(text.encode()), text.encode())

def read():
    return sys.stdin.buffer.read(h[1] - 256)

while header := sys.stdin.buffer.read(256):
    h = struct.unpack("<32q", header)
    assert header[:8] == b"C2DCASE1"
    BODY
"""


def python_program(folder: Path, body: str) -> str:
    """The command of a program that does `body` for each case."""
    path = folder / "program.py"
    path.write_text(SKELETON.replace("BODY", body.strip().replace("\n", "\n    ")), "utf-8")
    return f"'{sys.executable}' '{path}'"


def compiled(folder: Path, change: tuple[str, str] | None = None) -> Path:
    """The C example as a program in `folder`, with one piece of its source replaced."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    source = EXAMPLE.read_text("utf-8")
    if change is not None:
        assert source.count(change[0]) == 1
        source = source.replace(*change)
    (folder / "conv2d.c").write_text(source, "utf-8")
    warnings = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(
        [*compiler.split(), "-O2", *warnings, "-o", "conv2d", "conv2d.c", "-lm"],
        cwd=folder,
        check=True,
    )
    return folder / "conv2d"
