"""What a check is, and the decorator that declares one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field

from conformance.calls import OUTPUT, Call
from conformance.checks.trial import Trial
from conformance.implementations.info import Info

Seen = dict[str, str]
Calls = Callable[[Trial], tuple[Call, ...]]


@dataclass(frozen=True, slots=True)
class Found:
    """What a check that passes may tell.

    Attributes:
        ratio: greatest error over bound.
        seen: what is not judged, and what became of it.
    """

    ratio: float | None = None
    seen: Seen = field(default_factory=dict)


Rule = Callable[[Trial], Found | None]


@dataclass(frozen=True, slots=True)
class Check:
    """One rule of the Conv2D contract.

    Attributes:
        function: raises `CheckFailure` where the rule is broken; its name is the name of the check
            and its docstring the rule.
        observes: the calls whose answers it reads.
        applies: on which trials of such cases it is made; decided before anything is called.
        after: checks that must have passed for this one to mean anything.
        only: on which implementations it is made, of those that can be asked for its calls.
        judges_values: whether it decides if the values of the output are correct.
        diagnosed: whether its failures are held against the known faults.
        compares_calls: whether it fails by what several calls return.
        of: which cases it is made on: ``values``, ``refusal`` or ``life``, as `Case.asks`.
    """

    function: Rule
    observes: Calls
    applies: Callable[[Trial], bool]
    after: tuple[Check, ...]
    only: Callable[[Info], bool]
    judges_values: bool
    diagnosed: bool
    compares_calls: bool
    of: str

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def rule(self) -> str:
        """The rule in one sentence."""
        return (self.function.__doc__ or "").strip().splitlines()[0]

    @property
    def text(self) -> str:
        """The whole docstring, one line a paragraph, as docs/contract.md has it."""
        paragraphs = inspect.cleandoc(self.function.__doc__ or "").split("\n\n")
        return "\n\n".join(" ".join(p.split()) for p in paragraphs)


def check(
    *,
    observes: Calls = lambda trial: (OUTPUT,),
    applies: Callable[[Trial], bool] = lambda trial: True,
    after: tuple[Check, ...] = (),
    only: Callable[[Info], bool] = lambda info: True,
    judges_values: bool = False,
    diagnosed: bool = False,
    compares_calls: bool = False,
    of: str = "values",
) -> Callable[[Rule], Check]:
    """Decorator that makes a function a `Check`, whose attributes these are."""
    return lambda function: Check(
        function,
        observes,
        applies,
        after,
        only,
        judges_values,
        diagnosed,
        compares_calls,
        of,
    )
