"""What decides cases and verdicts: whether two runs can be parts of one campaign."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Mapping
from typing import Any

from conformance.expectations import Expectation, own_expectations
from conformance.implementations.info import Info
from conformance.plan import VERSION as PLAN_VERSION

Fingerprint = dict[str, Any]
DISTRIBUTIONS = ("conv2d-conformance", "hypothesis", "ml_dtypes", "numpy")
_TOLD = ("version", "kind", "costly_calls", "recorded", "answers", "onednn", "isa")
_MOST_SHOWN = 60  # characters of a value


def versions() -> Fingerprint:
    """Of the suite, its plan and the packages that cases and verdicts depend on."""
    return {
        "plan": PLAN_VERSION,
        **{name: importlib.metadata.version(name) for name in DISTRIBUTIONS},
    }


def of_implementation(info: Info) -> Fingerprint:
    """What an implementation tells of itself, as far as it decides what it is asked."""
    tree = info.to_tree()
    claims = {f"capability {name}": value for name, value in tree["declared"].items()}
    own = own_expectations(info.name, info.expected_failures)
    return _plain(
        {
            **{name: tree[name] for name in _TOLD},
            "declares": info.capabilities is not None,
            **claims,
            "expected failures of its own": digest_of(own),
        }
    )


def digest_of(expectations: Iterable[Expectation]) -> str:
    """Equal for equal expected failures."""
    return digest(
        repr((e.checks, e.implementation, e.version, sorted(e.when.items(), key=str), e.reason))
        + repr((e.link, e.strict, e.foreign_memory, e.leaves_traces))
        for e in expectations
    )


def digest(texts: Iterable[str]) -> str:
    """A few characters that differ where the texts do."""
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What of `now` was something else before, in words; empty where nothing was."""
    before, now = _plain(dict(before)), _plain(dict(now))
    return ", ".join(
        f"{name.replace('_', ' ')} was {_shown(before.get(name))}, now {_shown(value)}"
        for name, value in now.items()
        if before.get(name) != value
    )


def _plain(tree: Fingerprint) -> Fingerprint:
    """Tuples as lists: as it comes back from a file."""
    return dict(json.loads(json.dumps(tree)))


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
