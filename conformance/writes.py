"""Naming what is written into the arrays that were given: results may be correct nevertheless."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.checks import Trial, question_for
from conformance.faults import FAULTS, Fault
from conformance.implementations.base import Implementation
from conformance.observing.observe import observe

WRITING: dict[str, Fault] = {
    name: fault
    for name, fault in FAULTS.items()
    if fault.as_returned and fault.determinate and not fault.between_calls
}


def diagnose_writes(trials: Sequence[Trial], first: Sequence[str] = ()) -> str | None:
    """Name of the fault that leaves the arrays as they are in each of `trials` that changed some.

    One called `first`, where there are such; None if none does, or several.
    """
    changed = [trial for trial in trials if trial.changed]
    tried = [name for name in first or WRITING if name in WRITING]
    found = [n for n in tried if changed and all(_leaves_as_is(WRITING[n], t) for t in changed)]
    return found[0] if len(found) == 1 else None


def _leaves_as_is(fault: Fault, trial: Trial) -> bool:
    """Whether the same calls of its function change the arrays in the same way."""
    implementation = Implementation()
    implementation.conv2d = fault.function()
    found = observe(implementation, question_for(trial, tuple(trial.answers)))
    return found.changed == trial.changed
