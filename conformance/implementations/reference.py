"""The reference layer, measured like any other implementation.

Its values are judged by itself and so cannot fail; shapes, dtypes and state can.
"""

from __future__ import annotations

import reference_impl
from conformance.implementations.base import LayerImplementation


class Reference(LayerImplementation):
    def __init__(self) -> None:
        super().__init__("reference", reference_impl.Conv2D)
