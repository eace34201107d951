"""What is measured: the interface, and implementations in other languages."""

from conformance.implementations.adapter import Adapter
from conformance.implementations.base import Implementation

__all__ = ["Adapter", "Implementation"]
