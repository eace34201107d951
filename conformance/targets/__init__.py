"""From what a user names to what is measured: an adapter, an installed package, ``module:attr``."""

from conformance.targets.registry import installed, known_names, refuse_unknown, resolve
from conformance.targets.shipped import ADAPTERS, adapter_of
from conformance.targets.target import Target, target_of
from conformance.targets.wrapping import wrap

__all__ = [
    "ADAPTERS",
    "Target",
    "adapter_of",
    "installed",
    "known_names",
    "refuse_unknown",
    "resolve",
    "target_of",
    "wrap",
]
