"""Implementations with one thing wrong each; tests name them as ``planted:attr``."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from typing import Any

import numpy as np

import reference_impl
from conformance import Unsupported

right = reference_impl.conv2d
not_callable = 3


def swapped_dilation(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    return right(x, kernel, bias, **(given | {"dilation_rate": given["dilation_rate"][::-1]}))


def off_by_one(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    return right(x, kernel, bias, **given) + right(x, kernel, bias, **given).dtype.type(1)


def talkative(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Writes where the replies of a worker process could be thought to go."""
    print("a line on stdout", flush=True)
    os.write(1, b"\x80\x04 bytes that look like a pickle")
    sys.stderr.write("a line on stderr\n")
    return right(x, kernel, bias, **given)


_buffers: dict[Any, Any] = {}


def recycles_its_buffer(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Right, but every result of a shape is a view of the same memory."""
    y = right(x, kernel, bias, **given)
    buffer = _buffers.setdefault((y.shape, y.dtype), np.empty_like(y))
    buffer[...] = y
    return buffer[:]


def leaves(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    if given["groups"] == 2:
        sys.exit(7)
    return right(x, kernel, bias, **given)


def ends_the_process(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    if given["groups"] == 2:
        os._exit(5)
    return right(x, kernel, bias, **given)


def reads_address_zero(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    if given["groups"] == 2:
        ctypes.string_at(0)
    return right(x, kernel, bias, **given)


def leaves_a_child(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Ends, while a forked child keeps its files open for some seconds more."""
    if os.fork() == 0:
        signal.alarm(6)
        signal.pause()
    os._exit(5)


def never_returns(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    if given["groups"] == 2:
        threading.Event().wait()
    return right(x, kernel, bias, **given)


_remembered: dict[Any, Any] = {}


def forgets_the_padding(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Keeps the padding of the first call of each shape: a cache with too small a key."""
    key = x.shape, kernel.shape
    padding = _remembered.setdefault(key, given["padding"])
    try:
        return right(x, kernel, bias, **(given | {"padding": padding}))
    except ValueError:
        return right(x, kernel, bias, **given)


def without_groups(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Does no groups, and says so."""
    if given["groups"] > 1:
        raise Unsupported("this library has no groups")
    return right(x, kernel, bias, **given)


def does_nothing(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    raise Unsupported("this library does nothing")


_calls = 0


def announces_itself(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Writes a byte to the pipe named by ANNOUNCE at its hundredth call."""
    global _calls
    _calls += 1
    if _calls == 100:
        pipe = os.open(os.environ["ANNOUNCE"], os.O_WRONLY)
        os.write(pipe, b"!")
        os.close(pipe)
    return right(x, kernel, bias, **given)
