"""Which faults cannot be told from one another."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from conformance.case import Case
from conformance.data import arrays
from conformance.faults import FAULTS
from conformance.faults.fault import Function


def alike(cases: Iterable[Case]) -> list[list[str]]:
    """Groups of faults that do the same on all `cases`, run one after another in a process each."""
    functions = {name: fault.function() for name, fault in FAULTS.items()}
    groups = [list(functions)]
    for case in cases:
        groups = [part for group in groups for part in _split(group, case, functions)]
        if not groups:
            break
    return groups


def _split(group: list[str], case: Case, functions: dict[str, Function]) -> list[list[str]]:
    """Those of a group that do the same on `case`; who is alone is left out."""
    found = defaultdict(list)
    for name in group:
        found[_done(functions[name], case)].append(name)
    return [part for part in found.values() if len(part) > 1]


def _done(function: Function, case: Case) -> bytes:
    """A digest of what a call returns and of what it leaves in its arrays."""
    data = arrays(case)
    digest = hashlib.sha256()
    try:
        result = function(data.x, data.kernel, data.bias, **case.function_arguments())
        digest.update(repr((result.shape, result.dtype.name)).encode())
        digest.update(result.tobytes())
    except ValueError:
        digest.update(b"refused")
    for array in (data.owner, data.kernel):
        digest.update(array.tobytes())
    return digest.digest()
