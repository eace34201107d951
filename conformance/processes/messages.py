"""What the suite says to its processes.

An observer answers with envelopes, see `observing.observation`; a judge with the objects below.
"""

from __future__ import annotations

from dataclasses import dataclass

from conformance.case import Case
from conformance.implementations.info import Info
from conformance.pickling import pickled_by_arguments
from conformance.targets import Target


@dataclass(frozen=True, slots=True)
class Start:
    """First request: whom to measure. The answer tells who that is, or why nobody can be.

    Attributes:
        target: whom.
        nonce: what every answer repeats; foreign code that writes on the channel does not know it.
    """

    target: Target
    nonce: int


@pickled_by_arguments
@dataclass(frozen=True, slots=True)
class Observe:
    """Request: make the calls of a question. With `traces`, print tracebacks of what they raise.

    Attributes:
        question: a `Question` as the judge has pickled it; who hands it on does not read it.
    """

    question: bytes
    traces: bool = False


@dataclass(frozen=True, slots=True)
class ProcessorTime:
    """Request: processor time used so far, in seconds."""


TryingKey = tuple[Info, str, tuple[str, ...]]


@pickled_by_arguments
@dataclass(frozen=True, slots=True)
class Trying:
    """A case on an implementation, and the checks to make (all when empty)."""

    info: Info
    case: Case
    checks: tuple[str, ...] = ()

    @property
    def key(self) -> TryingKey:
        """Equal for equal ones; cases that are equal may be spelled differently."""
        return self.info, str(self.case), self.checks


@dataclass(frozen=True, slots=True)
class Ask:
    """Request: the `Question` to ask the implementation, pickled."""

    trying: Trying


@pickled_by_arguments
@dataclass(frozen=True, slots=True)
class Judge:
    """Request: the judgements on an answer, which is an envelope."""

    trying: Trying
    answer: bytes


@dataclass(frozen=True, slots=True)
class Explain:
    """Request: the evidence of a failure of `check`."""

    trying: Trying
    answer: bytes
    check: str


@dataclass(frozen=True, slots=True)
class Diagnose:
    """Request: the name of the known fault that explains all failing answers, or None."""

    answers: tuple[tuple[Trying, bytes], ...]
    first: tuple[str, ...] = ()
    pairs: bool = False


@dataclass(frozen=True, slots=True)
class DiagnoseRefusal:
    """Request: the name of the known refusal of what raised and of nothing that passed, or None."""

    raised: tuple[Trying, ...]
    passed: tuple[Trying, ...]


@dataclass(frozen=True, slots=True)
class DiagnoseCalls:
    """Request: the name of what explains all wrong answers of several processes, or None."""

    processes: tuple[tuple[tuple[Trying, bytes], ...], ...]
    first: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Foretell:
    """Request: what the fault of that name gives on each of the cases."""

    fault: str
    cases: tuple[Trying, ...]


@dataclass(frozen=True, slots=True)
class HarnessError:
    """Reply: the suite itself failed on a case; never taken for a verdict."""

    message: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """Reply: what came from the implementation is no answer."""
