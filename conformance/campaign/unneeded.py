"""Entries of a file of expected failures that can be deleted, told at the end of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase

from conformance.expectations import Expectation
from conformance.journals.measured import Measured
from conformance.results import Status, Unneeded


def unneeded(entries: Sequence[Expectation], done: Sequence[Measured]) -> list[Unneeded]:
    """Those of `entries` that matched nothing, or of which nothing failed."""
    found = []
    for entry in entries:
        met: Counter[str] = Counter()
        for measured in done:
            met.update(measured.entries.get(entry.where, {}))
        told = f"{entry.where} ({entry.reason.rstrip('.')})"
        if not met:
            found.append(Unneeded(told, _why(entry, done)))
        elif not met[Status.EXPECTED_FAILURE] and not entry.strict:  # a strict one is a finding
            found.append(Unneeded(told))
    return found


def unneeded_by_all(shards: Sequence[Sequence[Unneeded]]) -> list[Unneeded]:
    """Those of a whole run, from those of its shards; what one shard has met has matched."""
    of_shards = [{one.entry: one for one in found} for found in shards]
    common = [entry for entry in of_shards[0] if all(entry in found for found in of_shards)]
    return [min((found[entry] for found in of_shards), key=lambda one: one.why) for entry in common]


def _why(entry: Expectation, done: Sequence[Measured]) -> str:
    named = [
        measured.info
        for measured in done
        if any(fnmatchcase(name, entry.implementation) for name in measured.info.names)
    ]
    if not named:
        return f"no measured implementation matches {entry.implementation}"
    if not any(fnmatchcase(info.version, entry.version) for info in named):
        return f"no measured version matches {entry.version}"
    return f"no case of {' or '.join(entry.checks)} meets its condition"
