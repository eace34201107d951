"""Faults made of those of the table: one along one axis only, and two at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace

from conformance.faults.fault import Fault
from conformance.faults.problem import Problem, Reals, Wrong, only_along, solved_by

AND = " + "  # between the names of two faults
AXES = ("height", "width")


def along(fault: Fault, axis: int) -> Fault:
    """`fault` in what it does along one axis; all of it where that cannot be told apart."""
    return replace(
        fault,
        name=f"{fault.name}_along_{AXES[axis]}",
        sentence=f"{fault.sentence}, along the {AXES[axis]} only",
        start=_within(lambda: only_along(axis), fault.start),
    )


def along_one(faults: Iterable[Fault]) -> list[Fault]:
    """Each along each axis. What confuses the axes has no such part."""
    return [along(f, axis) for f in faults if f.kind != "order of axes" for axis in range(2)]


def both(outer: Fault, inner: Fault) -> Fault:
    """What has both: `outer` computes with a convolution that has `inner`."""
    conditions = outer.when, inner.when

    def start() -> Wrong:
        within = inner.start()
        return _within(lambda: solved_by(within), outer.start)()

    def either(problem: Problem) -> bool:
        return any(when is None or when(problem) for when in conditions)

    return replace(
        outer,
        name=f"{outer.name}{AND}{inner.name}",
        sentence=f"{outer.sentence}; and {inner.sentence}",
        source=f"{outer.source} and {inner.source}",
        start=start,
        when=None if None in conditions else either,
    )


def _within(
    circumstance: Callable[[], AbstractContextManager[None]], start: Callable[[], Wrong]
) -> Callable[[], Wrong]:
    """`start` of processes whose every call is made in `circumstance`."""

    def begin() -> Wrong:
        process = start()

        def call(problem: Problem) -> Reals:
            with circumstance():
                found: Reals = process(problem)
                return found

        return call

    return begin
