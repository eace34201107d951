"""A conformance suite for Keras' Conv2D."""

from conformance.errors import Unsupported, UsageError

__all__ = ["Unsupported", "UsageError"]
