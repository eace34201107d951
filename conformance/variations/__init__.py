"""What can be varied on a layer beside its numbers."""

from conformance.variations.table import VARIATIONS
from conformance.variations.variation import Stage, Variation

__all__ = ["VARIATIONS", "Stage", "Variation"]
