"""Wrong functions and layers that know nothing of the suite, one for each check that they fail."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import numpy as np

import reference_impl

right = reference_impl.conv2d


def exact_values(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    y = right(x, kernel, bias, **given)
    return y + y.dtype.type(given["padding"] == "same")


def bounded_values(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Rounds what is no integer."""
    y = right(x, kernel, bias, **given)
    return np.where(np.abs(y) < 1e9, np.rint(y.astype(np.float64)), y).astype(y.dtype)


def special_values(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    y = right(x, kernel, bias, **given)
    return np.nan_to_num(y.astype(np.float64)).astype(y.dtype) if np.isnan(x).any() else y


def output_shape(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    return right(x, kernel, bias, **given)[..., :-1]


def output_dtype(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    return right(x, kernel, bias, **given).astype(np.float64)


def own_memory(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    y = right(x, kernel, bias, **given)
    buffer = _buffers.setdefault((y.shape, y.dtype), np.empty_like(y))
    buffer[...] = y
    return buffer[:]


_buffers: dict[Any, Any] = {}


def repeated_call(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Adds what it was called before with this kernel."""
    key = kernel.tobytes(), x.shape, str(given)
    _calls[key] = _calls.get(key, -1) + 1
    y = right(x, kernel, bias, **given)
    return y + y.dtype.type(_calls[key] and 1)


_calls: dict[Any, int] = {}


def batch_independence(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    y = right(x, kernel, bias, **given)
    return y if len(x) > 1 else y * y.dtype.type(2)


def unchanged_inputs(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    y = right(x, kernel, bias, **given)
    if bias is not None and bias.flags.writeable:
        bias[...] = 0
    return y


def refused_call(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    try:
        return right(x, kernel, bias, **given)
    except ValueError:
        return np.ones((1, 1, 1, 1), x.dtype)


def raises(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    if given["groups"] > 1:
        raise NotImplementedError("no groups")
    return right(x, kernel, bias, **given)


def leaves(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    if given["groups"] > 1:
        sys.exit(0)
    return right(x, kernel, bias, **given)


def lists(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    return right(x, kernel, bias, **given).tolist()


def crashes(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    if given["groups"] > 1:
        os.abort()
    return right(x, kernel, bias, **given)


def hangs(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    if given["groups"] > 1:
        time.sleep(1000)
    return right(x, kernel, bias, **given)


def views(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Takes every input for one in C order."""
    if x.flags.c_contiguous or not x.size:
        return right(x, kernel, bias, **given)
    return right(np.full_like(x, 1, order="C"), kernel, bias, **given)


def remembers(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    """Keeps the bias of its first call."""
    if bias is not None:
        bias = _biases.setdefault((len(bias), bias.dtype), np.array(bias))
    return right(x, kernel, bias, **given)


_biases: dict[Any, Any] = {}


class Shapes(reference_impl.Conv2D):
    def compute_output_shape(self, input_shape: Any) -> Any:
        return (1, *super().compute_output_shape(input_shape)[1:])


class Weights(reference_impl.Conv2D):
    """Its kernel grows with every call."""

    def __call__(self, x: Any) -> Any:
        y = super().__call__(x)
        weights = self.get_weights()
        self.set_weights([weights[0] + 1, *weights[1:]])
        return y


# As all of it is once it is mended.
MENDED = """
import reference_impl

def __getattr__(name):
    return reference_impl.Conv2D if name[0].isupper() else reference_impl.conv2d
"""
