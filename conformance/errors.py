"""The exceptions that callers meet, and how an exception is put into one line."""

from __future__ import annotations

import re

# Terminal colours, and the names of nodes that TensorFlow puts before and after a message.
_DECORATION = re.compile(r"\x1b\[[0-9;]*m|^\{\{.*?\}\} |(?<=\]) name:\s*$")
# Keras puts this before the message of what a layer raises.
_WRAPPING = re.compile(r"Exception encountered when calling ")


PRINTED = "; the last line it printed: "  # between how a process ended and its words


class Unsupported(Exception):
    """Raised by an implementation for what it does not do: *unsupported*, never passed.

    The message says what and why, in one sentence.
    """


class Crashed(Exception):
    """A process of the implementation's own ended: *crashed*, as if it had been the worker.

    The message says how, and after `PRINTED` what it had printed last.
    """


class UsageError(Exception):
    """What the caller asked for cannot be done; says which value, and what is allowed."""


class CannotImportError(UsageError, ImportError):
    """What the caller asked for, or the engine that it needs, cannot be imported."""


def describe(error: BaseException) -> str:
    """Type and first line of the message."""
    line = first_line(error)
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def first_line(error: BaseException) -> str:
    """The first line that says why, without terminal colours, at most 300 characters."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a stranger's __str__
        return ""
    lines = [line.strip() for line in _DECORATION.sub("", text).splitlines() if line.strip()]
    if len(lines) > 1 and _WRAPPING.match(lines[0]):
        del lines[0]
    if lines and lines[0] == "Graph execution error:":  # TensorFlow says next where, and last why
        lines = [line for line in lines if "{{node" not in line][-1:]
    return lines[0][:300] if lines else ""
