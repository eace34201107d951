"""What can be varied on a layer beside its numbers."""

from conformance.variations.table import POSITIONAL, UNKNOWN, VARIATIONS
from conformance.variations.variation import Stage, Variation

__all__ = ["POSITIONAL", "UNKNOWN", "VARIATIONS", "Stage", "Variation"]
