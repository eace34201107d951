"""A correct Conv2D layer around `my_conv`, to try the suite: ``--impl my_layer:Conv2D``."""

import my_conv
import numpy as np

from conformance import Unsupported


class Conv2D:
    """Takes the arguments of Keras' Conv2D that the suite passes, always by keyword."""

    def __init__(
        self,
        filters,
        kernel_size,
        strides=(1, 1),
        padding="valid",
        data_format=None,
        dilation_rate=(1, 1),
        groups=1,
        activation=None,
        use_bias=True,
        dtype=None,
    ):
        policy = dtype or "float32"
        if policy.endswith("bfloat16"):
            raise Unsupported("NumPy has no bfloat16")
        if activation not in (None, "linear", "relu"):
            raise Unsupported(f"activation {activation} is not written yet")
        self.compute_dtype = policy.removeprefix("mixed_")
        self.variable_dtype = "float32" if policy.startswith("mixed_") else policy
        self.filters, self.groups, self.activation = filters, groups, activation
        self.use_bias = use_bias
        self.kernel_size = _pair(kernel_size)
        self.how = {
            "strides": _pair(strides),
            "padding": padding.lower(),
            "data_format": data_format or "channels_last",
            "dilation_rate": _pair(dilation_rate),
            "groups": groups,
        }

    def build(self, input_shape):
        """Make the weights; `input_shape` begins with the batch."""
        channels = input_shape[1 if self.how["data_format"] == "channels_first" else 3]
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.kernel = np.zeros(shape, self.variable_dtype)
        self.bias = np.zeros(self.filters, self.variable_dtype) if self.use_bias else None

    def get_weights(self):
        """The kernel, and the bias if there is one."""
        return [self.kernel] if self.bias is None else [self.kernel, self.bias]

    def set_weights(self, weights):
        """Keep a list like that of `get_weights`."""
        for own, given in zip(self.get_weights(), weights, strict=True):
            own[...] = given

    def __call__(self, x):
        """The result in the compute dtype."""
        given = [a.astype(self.compute_dtype) for a in (x, *self.get_weights())]
        y = my_conv.conv2d(*given, **self.how)
        return np.maximum(y, 0) if self.activation == "relu" else y

    def compute_output_shape(self, input_shape):
        """The shape of a result; None stands for an unknown size."""
        batch, *sizes = input_shape
        first = self.how["data_format"] == "channels_first"
        sizes = sizes[1:] if first else sizes[:2]
        sizes = [self._outputs(size, axis) for axis, size in enumerate(sizes)]
        return (batch, self.filters, *sizes) if first else (batch, *sizes, self.filters)

    def _outputs(self, size, axis):
        if size is None:
            return None
        taken = (self.kernel_size[axis] - 1) * self.how["dilation_rate"][axis]
        left = size if self.how["padding"] == "same" else size - taken
        return -(-left // self.how["strides"][axis])


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)
