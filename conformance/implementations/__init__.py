"""Who is measured: by the name of an adapter or an installed package, or as ``module:attr``."""

from conformance.implementations.adapter import Adapter
from conformance.implementations.base import Implementation
from conformance.implementations.registry import (
    ADAPTERS,
    adapter_of,
    installed,
    known_names,
    refuse_unknown,
    resolve,
)
from conformance.implementations.targets import Target, target_of
from conformance.implementations.wrapping import wrap

__all__ = [
    "ADAPTERS",
    "Adapter",
    "Implementation",
    "Target",
    "adapter_of",
    "installed",
    "known_names",
    "refuse_unknown",
    "resolve",
    "target_of",
    "wrap",
]
