"""The interface of what is measured, and implementations in other languages."""

from conformance.implementations.adapter import Adapter
from conformance.implementations.base import Implementation

__all__ = ["Adapter", "Implementation"]
