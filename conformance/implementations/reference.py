"""The reference layer, measured like any other implementation.

The expected sums share its geometry and loop, so its values say little here; they are held against
real Keras and against `reference_impl.exact` elsewhere.
"""

from __future__ import annotations

import reference_impl
from conformance.implementations.base import Implementation


class Reference(Implementation):
    """The layer, with the function beside it."""

    name = "reference"
    layer = reference_impl.Conv2D
    conv2d = staticmethod(reference_impl.conv2d)
