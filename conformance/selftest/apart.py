"""Which faults cannot be told from one another."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from conformance.case import Case
from conformance.data import arrays
from conformance.faults import FAULTS
from conformance.faults.fault import Function


def alike(cases: Iterable[Case]) -> list[list[str]]:
    """Groups of faults that do the same on all `cases`, run one after another in a process each."""
    processes = {name: _Process(fault.function()) for name, fault in FAULTS.items()}
    groups = [list(processes)]
    for case in cases:
        groups = [part for group in groups for part in _split(group, case, processes)]
        if not groups:
            break
    return groups


def _split(group: list[str], case: Case, processes: dict[str, _Process]) -> list[list[str]]:
    """Those of a group that do the same on `case`; who is alone is left out."""
    found = defaultdict(list)
    for name in group:
        found[processes[name].done(case)].append(name)
    return [part for part in found.values() if len(part) > 1]


class _Process:
    """A fault at work, with the last result that it returned."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._last = np.zeros(0)

    def done(self, case: Case) -> bytes:
        """A digest of what a call returns, and of what it leaves in its arrays and last result."""
        data = arrays(case)
        digest = hashlib.sha256()
        arguments = case.function_arguments()
        last, self._last = self._last, np.zeros(0)
        try:
            self._last = self._function(data.x, data.kernel, data.bias, **arguments)
            digest.update(repr((self._last.shape, self._last.dtype.name)).encode())
            digest.update(self._last.tobytes())
        except ValueError:
            digest.update(b"refused")
        for array in (data.owner, data.kernel, last):
            digest.update(array.tobytes())
        return digest.digest()
