"""The reference layer, measured like any other implementation.

The expected sums share its geometry and loop, so its values say little here; they are held against
real Keras and against `reference_impl.exact` elsewhere.
"""

from __future__ import annotations

import reference_impl
from conformance.implementations.adapter import Adapter
from conformance.implementations.info import Reproducer


class Reference(Adapter):
    """The layer, with the function beside it."""

    name = "reference"
    summary = "The reference layer; its values are what others are judged by."
    layer = reference_impl.Conv2D
    conv2d = staticmethod(reference_impl.conv2d)

    def reproducer(self, target: str) -> Reproducer:
        """The layer, imported from its own package."""
        return Reproducer(imports=("import reference_impl",), made_by="reference_impl.Conv2D")
