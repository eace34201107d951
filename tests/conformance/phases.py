"""An implementation that waits in a phase of a run, and leaves a mark when it is there."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import reference_impl

PHASE, MARK = os.environ.get("PHASE"), os.environ.get("MARK", "")
CALLS = {"probes": 3, "cases": 70}  # the first call of the phase
_calls = 0


def _reach(phase: str) -> None:
    if phase == PHASE and not Path(MARK).exists():
        Path(MARK).touch()
        time.sleep(60)


_reach("starting")


def conv2d(x: Any, kernel: Any, bias: Any = None, **given: Any) -> Any:
    global _calls
    _calls += 1
    for phase, first in CALLS.items():
        if _calls >= first:
            _reach(phase)
    if PHASE == "shrinking":
        time.sleep(0.01)
    y = reference_impl.conv2d(x, kernel, bias, **given)
    return y + y.dtype.type(1) if kernel.shape[0] == 3 else y
