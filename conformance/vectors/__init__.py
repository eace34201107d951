"""Cases and results as files, for implementations in other languages; FORMAT.md describes them."""

from conformance.vectors.folder import planned_cases
from conformance.vectors.writing import export

__all__ = ["export", "planned_cases"]
