"""Cases and results as files, for implementations in other languages; FORMAT.md describes them."""

from conformance.vectors.folder import planned_cases
from conformance.vectors.recorded import RecordedOutputs
from conformance.vectors.writing import export

__all__ = ["RecordedOutputs", "export", "planned_cases"]
