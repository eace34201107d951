"""What Keras' Conv2D is: the reference convolution, as a function and as a layer."""

from reference_impl.convolution import conv2d
from reference_impl.geometry import output_shape
from reference_impl.layer import Conv2D

__all__ = ["Conv2D", "conv2d", "output_shape"]
