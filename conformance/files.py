"""Files from elsewhere: read whole or not at all, within bounds, and never executed.

Only regular files are opened, since anything else could block or never end, and each has a largest
size. Text becomes data within bounds on digits and depth, so that no reader takes long over it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from conformance.errors import UsageError
from conformance.printable import in_a_line

CHUNK = 2**20
MOST_DIGITS = 18  # of a whole number: what fits into 64 bits
LONGEST_WORD = 100  # of TOML outside quotation marks: a key or a number
MOST_DOTS = 10  # in a line of TOML outside quotation marks; tomllib takes quadratic time over a.b.c

# A string of TOML in one of its four forms, or a comment. One that does not end goes to the end of
# its line or of everything, so that no character is looked at twice.
_QUOTED = re.compile(
    r'''"""(?>\\.|[^\\]|\\\Z)*?(?:"{3,5}|\Z)'''
    r"""|'''.*?(?:'{3,5}|\Z)"""
    r"""|"(?>\\.|[^"\\\n])*"?"""
    r"""|'[^'\n]*'?|#[^\n]*""",
    re.DOTALL,
)
_MANY_DIGITS = re.compile(rf"[0-9]{{{MOST_DIGITS + 1}}}")
_LONG_WORD = re.compile(rf"[\w+-]{{{LONGEST_WORD + 1},}}")


def shown(path: Path) -> str:
    """A path in a message."""
    return in_a_line(str(path))[:300]


@contextmanager
def opened(path: Path, most: int | None = None) -> Iterator[BinaryIO]:
    """A regular file of at most `most` bytes, to be read.

    Raises:
        UsageError: it is none, has more, or cannot be read, also within the context.
    """
    try:
        with open(path, "rb", opener=_at_once) as file:
            if most is not None and os.fstat(file.fileno()).st_size > most:
                raise _too_large(path, most)
            yield file
    except OSError as error:
        raise UsageError(f"cannot read {shown(path)}: {error.strerror or error}") from None
    except ValueError as error:  # a path that the system cannot have
        raise UsageError(f"cannot read {shown(path)}: {error}") from None


def _at_once(path: str, flags: int) -> int:
    """Open a regular file, without waiting for anybody who might write to it."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise OSError(os.strerror(errno.EISDIR) if stat.S_ISDIR(mode) else "not a regular file")
    return descriptor


def content(path: Path, most: int) -> bytes:
    """The content of a regular file of at most `most` bytes.

    Raises:
        UsageError: as `opened`.
    """
    with opened(path, most) as file:
        data = file.read(most + 1) or b""
    if len(data) > most:  # some files of the system tell no size
        raise _too_large(path, most)
    return data


def text(path: Path, most: int) -> str:
    """The same as text in UTF-8.

    Raises:
        UsageError: as `opened`, or it is no such text.
    """
    try:
        return content(path, most).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {shown(path)}: {error}") from None


def sha256(path: Path, most: int) -> str:
    """The SHA-256 of a regular file of at most `most` bytes, in hexadecimal.

    Raises:
        UsageError: as `opened`.
    """
    digest, left = hashlib.sha256(), most
    with opened(path, most) as file:
        while chunk := file.read(CHUNK):
            left -= len(chunk)
            if left < 0:
                raise _too_large(path, most)
            digest.update(chunk)
    return digest.hexdigest()


def json_data(source: str) -> Any:
    """What JSON says.

    Raises:
        ValueError: it is none, a whole number does not fit into 64 bits, or it is nested too
            deeply.
    """
    try:
        # A function of Python for each number takes long.
        return json.loads(source, parse_int=_whole_number if _MANY_DIGITS.search(source) else None)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def toml_data(source: str) -> dict[str, Any]:
    """What TOML says.

    Raises:
        ValueError: it is none, a key or number is too long, or it is nested too deeply.
    """
    bare = _QUOTED.sub(" ", source)
    if word := _LONG_WORD.search(bare):
        raise ValueError(f"a key or number of {len(word[0])} characters")
    for number, line in enumerate(bare.split("\n"), start=1):
        if line.count(".") > MOST_DOTS:
            raise ValueError(f"{line.count('.')} dots near line {number}")
    try:
        return tomllib.loads(source)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _whole_number(digits: str) -> int:
    if len(digits.lstrip("-")) > MOST_DIGITS:
        raise ValueError(f"a whole number has {len(digits)} digits")
    return int(digits)


def _too_large(path: Path, most: int) -> UsageError:
    size = f"{most // 2**20} MiB" if most >= 2**20 else f"{most} bytes"
    return UsageError(f"cannot read {shown(path)}: it is larger than {size}")
