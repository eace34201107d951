"""The reference layer, measured like any other implementation.

The expected sums share its geometry and loop, so its values say little here; they are held against
real Keras and against `reference_impl.exact` elsewhere.
"""

from __future__ import annotations

import reference_impl
from conformance.implementations.base import LayerImplementation


class Reference(LayerImplementation):
    def __init__(self) -> None:
        super().__init__("reference", reference_impl.Conv2D)
