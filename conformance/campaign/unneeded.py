"""Entries of a file of expected failures that can be deleted, told at the end of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase

from conformance.expectations import Expectation
from conformance.journals.measured import Measured
from conformance.results import Status

_NOTHING, _PASSES = " matched nothing: ", " passes wherever it applies"


def unneeded(entries: Sequence[Expectation], done: Sequence[Measured]) -> list[str]:
    """Those of `entries` that matched nothing, or of which nothing failed, each in a sentence."""
    lines = []
    for entry in entries:
        met: Counter[str] = Counter()
        for measured in done:
            met.update(measured.entries.get(entry.where, {}))
        told = f"{entry.where} ({entry.reason.rstrip('.')})"
        if not met:
            lines.append(f"{told}{_NOTHING}{_why(entry, done)}.")
        elif not met[Status.EXPECTED_FAILURE] and not entry.strict:  # a strict one is a finding
            lines.append(f"{told}{_PASSES}: if that is fixed, the entry can be deleted.")
    return lines


def unneeded_by_all(headlines: Sequence[Sequence[str]]) -> list[str]:
    """The same of a whole run, from the headlines of its shards."""
    shards = [
        {
            line.partition(mark)[0]: line
            for line in lines
            for mark in (_NOTHING, _PASSES)
            if mark in line
        }
        for lines in headlines
    ]
    common = [entry for entry in shards[0] if all(entry in shard for shard in shards)]
    return [
        next((shard[entry] for shard in shards if _PASSES in shard[entry]), shards[0][entry])
        for entry in common
    ]


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
