"""What Keras' Conv2D is: the reference convolution, as a function and as a layer."""

from reference_impl.convolution import Certified, conv2d, conv2d_certified
from reference_impl.geometry import output_shape
from reference_impl.gradients import bias_gradient, input_gradient, kernel_gradient
from reference_impl.layer import Conv2D

__all__ = [
    "Certified",
    "Conv2D",
    "bias_gradient",
    "conv2d",
    "conv2d_certified",
    "input_gradient",
    "kernel_gradient",
    "output_shape",
]
