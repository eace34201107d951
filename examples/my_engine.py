"""An engine that needs conversion, to try the suite: ``--impl my_engine:MyEngine``."""

import numpy as np

from conformance import Capabilities, Implementation


class Engine:
    """A stand-in for yours: NCHW, OIHW, float32, no groups, explicit zeros, one output buffer."""

    def __init__(self):
        self.buffer = np.empty(0, np.float32)

    def run(self, x, weights, bias, strides, dilations, pads):
        """The result as a view of the engine's buffer, which the next call overwrites."""
        top, bottom, left, right = pads
        x = np.pad(x, [(0, 0), (0, 0), (top, bottom), (left, right)])
        window = [(k - 1) * d + 1 for k, d in zip(weights.shape[2:], dilations, strict=True)]
        read = np.lib.stride_tricks.sliding_window_view(x, window, axis=(2, 3))
        read = read[:, :, :: strides[0], :: strides[1], :: dilations[0], :: dilations[1]]
        y = np.einsum("nchwij,fcij->nfhw", read, weights) + bias[:, None, None]
        if self.buffer.size < y.size:
            self.buffer = np.empty(y.size, np.float32)
        result = self.buffer[: y.size].reshape(y.shape)
        result[...] = y
        return result


class MyEngine(Implementation):
    """The engine as the suite calls it."""

    name = "myengine"
    capabilities = Capabilities(dtypes="float32", groups=False)

    def setup(self):
        """Load the engine; called once, in the process that will run the cases."""
        self.engine = Engine()  # import yours here, not at the top of the file
        self.version = "my engine 1.0"

    def conv2d(self, x, kernel, bias=None, *, strides, padding, data_format, dilation_rate, groups):
        """Convert the arguments and the result."""
        last = data_format == "channels_last"
        given = np.ascontiguousarray(x.transpose(0, 3, 1, 2) if last else x)  # to NCHW
        weights = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))  # HWIO to OIHW
        if bias is None:
            bias = np.zeros(weights.shape[0], np.float32)
        pads = (0, 0, 0, 0)
        if padding == "same":
            sizes = zip(given.shape[2:], kernel.shape[:2], strides, dilation_rate, strict=True)
            pads = [zeros for axis in sizes for zeros in same(*axis)]
        result = self.engine.run(given, weights, bias, strides, dilation_rate, pads)
        result = result.copy()  # out of the engine's buffer
        return result.transpose(0, 2, 3, 1) if last else result


def same(size, k, stride, dilation):
    """The zeros before and after an axis; if the total is odd, the extra one comes after."""
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + (k - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2
