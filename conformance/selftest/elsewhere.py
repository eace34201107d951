"""The configurations of two other test suites, restated as facts, put to the same faults.

Keras: `test_conv2d` in keras/src/layers/convolutional/conv_test.py of Keras 3.15. ONNX: the node
cases of Conv in onnx/backend/test/case/node/conv.py of ONNX 1.23, as far as `padding` can say them.

The tolerances are theirs, not a criterion of this suite: Keras compares with rtol 5e-4 and the
default atol of its TestCase.assertAllClose, 1e-6; ONNX with the rtol 1e-3 and atol 1e-7 that
onnx/backend/test/case/node/__init__.py gives to every node case.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.faults import Fault
from reference_impl import conv2d
from reference_impl.geometry import Pair

DRAWS = 3  # Keras' values are drawn anew in every run
Call = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite.

    Attributes:
        name: as shown.
        rtol, atol: what it compares with.
        calls: arguments of its calls in each of some runs.
    """

    name: str
    rtol: float
    atol: float
    calls: tuple[tuple[Call, ...], ...]

    def sees(self, fault: Fault) -> bool:
        """Whether a comparison fails in any run, the calls of which share a process."""
        return any(self._fails(fault, calls) for calls in self.calls)

    def _fails(self, fault: Fault, calls: tuple[Call, ...]) -> bool:
        function = fault.function()
        return any(not self._passes(function, call) for call in calls)

    def _passes(self, function: Any, call: Call) -> bool:
        copies = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in call.items()}
        try:
            got = function(**copies)
        except ValueError:
            return False
        want = conv2d(**call)
        return got.shape == want.shape and np.allclose(
            got, want, rtol=self.rtol, atol=self.atol, equal_nan=True
        )


def _call(
    x: NDArray[Any],
    kernel: NDArray[Any],
    bias: NDArray[Any] | None,
    *,
    strides: Pair = (1, 1),
    padding: str = "valid",
    data_format: str = "channels_last",
    dilation_rate: Pair = (1, 1),
    groups: int = 1,
) -> Call:
    return {
        "x": x,
        "kernel": kernel,
        "bias": bias,
        "strides": strides,
        "padding": padding,
        "data_format": data_format,
        "dilation_rate": dilation_rate,
        "groups": groups,
    }


# (filters, kernel_size, further arguments)
_KERAS: tuple[tuple[int, Pair, Call], ...] = (
    (5, (2, 2), {}),
    (4, (3, 3), {"strides": (2, 2), "padding": "same"}),
    (6, (2, 2), {"padding": "same", "dilation_rate": (2, 2), "groups": 2}),
    (6, (2, 2), {"padding": "same", "dilation_rate": (2, 3), "groups": 2}),
    (6, (4, 3), {"strides": (2, 1), "groups": 2}),
    (6, (4, 3), {"strides": (2, 1), "groups": 2, "data_format": "channels_first"}),
)
# (input size, further arguments): ascending numbers, and a kernel of ones
_ONNX: tuple[tuple[Pair, Call], ...] = (
    ((5, 5), {"padding": "same"}),
    ((5, 5), {}),
    ((7, 5), {"strides": (2, 2), "padding": "same"}),
    ((7, 5), {"strides": (2, 2)}),
    ((5, 5), {"strides": (2, 2), "padding": "same"}),
)


def _keras(seed: int) -> Iterator[Call]:
    rng = np.random.default_rng(seed)
    for filters, size, arguments in _KERAS:
        channels = 8 if arguments.get("data_format") == "channels_first" else 4
        shapes = (2, 8, 8, 4), (*size, channels // arguments.get("groups", 1), filters), (filters,)
        x, kernel, bias = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
        yield _call(x, kernel, bias, **arguments)


def _onnx() -> Iterator[Call]:
    kernel = np.ones((3, 3, 1, 1), np.float32)
    for (height, width), arguments in _ONNX:
        x = np.arange(height * width, dtype=np.float32).reshape(1, 1, height, width)
        yield _call(x, kernel, None, data_format="channels_first", **arguments)


SUITES = (
    Suite("Keras", 5e-4, 1e-6, tuple(tuple(_keras(seed)) for seed in range(DRAWS))),
    Suite("ONNX", 1e-3, 1e-7, (tuple(_onnx()),)),
)
