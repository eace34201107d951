"""A conformance suite for Keras' Conv2D.

The public names load what they need when they are first used: the pytest plugin of this package is
imported by every pytest run of its environment.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from conformance.errors import Unsupported, UsageError

if TYPE_CHECKING:
    from conformance.api import ConformanceError, Report, check, parametrize_with_checks
    from conformance.capabilities import Capabilities
    from conformance.expectations import expected_failure
    from conformance.implementations import Implementation

_LAZY = {
    "Capabilities": "conformance.capabilities",
    "ConformanceError": "conformance.api",
    "Implementation": "conformance.implementations",
    "Report": "conformance.api",
    "check": "conformance.api",
    "expected_failure": "conformance.expectations",
    "parametrize_with_checks": "conformance.api",
}

__all__ = [
    "Capabilities",
    "ConformanceError",
    "Implementation",
    "Report",
    "Unsupported",
    "UsageError",
    "check",
    "expected_failure",
    "parametrize_with_checks",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
