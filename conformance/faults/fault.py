"""What a fault is: a row, and an implementation that has it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conformance.case import Case
from conformance.data import Arrays
from conformance.faults.problem import Problem, Reals, Wrong, solve

Function = Callable[..., NDArray[Any]]
_ADDRESS = re.compile(r"([\w.-]+/[\w.-]+)(?:#(\d+)|:(.+))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to be wrong.

    It maps a sequence of problems to a sequence of results: `start` gives a new process of the
    implementation, as a function from a problem to its wrong solution, channels last.

    Attributes:
        name: short, stable name.
        kind: what it goes wrong on; at most three faults share one.
        sentence: what a convolution with this fault does.
        source: a public report of it, as ``owner/repository#number``, or ``:path`` of the code.
        start: see above.
        when: on which problems it is wrong; None where that is not told beforehand.
        between_calls: whether a result depends on earlier calls.
        determinate: whether equal sequences give equal results, on every machine.
        within: for one that reads other memory than it should, on which problems that is memory of
            the arrays; beyond it anything may lie.
        as_returned: whether results are returned as they are, not laid out and rounded.
        first_sight: whether the plan caught it when it was first run on it, for a fault that was
            written before; None for the others.
    """

    name: str
    kind: str
    sentence: str
    source: str
    start: Callable[[], Wrong]
    when: Callable[[Problem], bool] | None = None
    between_calls: bool = False
    determinate: bool = True
    within: Callable[[Problem], bool] | None = None
    as_returned: bool = False
    first_sight: bool | None = None

    @property
    def explanation(self) -> str:
        """What it does and where it has happened, in one sentence."""
        return f"It {self.sentence}, as in {self.source}."

    @property
    def address(self) -> str:
        """Where the report is to be read.

        Raises:
            ValueError: the source is not written as it has to be.
        """
        match = _ADDRESS.fullmatch(self.source)
        if match is None:
            raise ValueError(f"source {self.source!r} of {self.name}: allowed is owner/name#number")
        repository, number, path = match.groups()
        where = f"issues/{number}" if number else f"blob/HEAD/{path}"
        return f"https://github.com/{repository}/{where}"

    @property
    def is_diagnosis(self) -> bool:
        """Whether a single call tells that an implementation has it."""
        return self.determinate and not (self.between_calls or self.as_returned)

    def strikes(self, case: Case, data: Arrays) -> bool:
        """False where its result is known to be correct."""
        return self.when is None or self.when(Problem.of(case, data))

    def is_told(self, case: Case, data: Arrays) -> bool:
        """Whether its result can be told."""
        return self.within is None or self.within(Problem.of(case, data))

    def result(self, case: Case, data: Arrays) -> Reals | None:
        """The wrong result before rounding and activation, in the layout of the case.

        None where the fault leaves no result at all.
        """
        problem = Problem.of(case, data)
        try:
            return problem.laid_out(self.start()(problem))
        except (ValueError, IndexError):
            return None

    def function(self) -> Function:
        """An implementation with this fault, as people could have written it."""
        return self._of(self.start())

    def _of(self, process: Wrong) -> Function:
        def conv2d(x: Any, kernel: Any, bias: Any = None, **arguments: Any) -> NDArray[Any]:
            problem = Problem.of_call(x, kernel, bias, **arguments)
            with np.errstate(all="ignore"):
                found = process(problem)
                return found if self.as_returned else problem.finished(found)

        return conv2d


def fault(
    name: str,
    kind: str,
    sentence: str,
    source: str,
    wrong: Wrong,
    *,
    when: Callable[[Problem], bool] | None = None,
    determinate: bool = True,
    within: Callable[[Problem], bool] | None = None,
    as_returned: bool = False,
    first_sight: bool | None = True,
) -> Fault:
    """A fault of single calls; where `when` does not hold it is correct."""

    def call(problem: Problem) -> Any:
        if when is None or when(problem):
            return wrong(problem)
        value = solve(problem)
        return problem.finished(value) if as_returned else value

    return Fault(
        name=name,
        kind=kind,
        sentence=sentence,
        source=source,
        start=lambda: call,
        when=when,
        determinate=determinate,
        within=within,
        as_returned=as_returned,
        first_sight=first_sight,
    )
