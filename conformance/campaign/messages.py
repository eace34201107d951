"""What a campaign and its worker processes say to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance.capabilities import EVERYTHING, Capabilities
from conformance.case import Case
from conformance.implementations import Target
from conformance.implementations.base import Reproducer
from conformance.plan import Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """First reply: what is measured.

    Attributes:
        name, kind, version, capabilities, declared, costly_calls, recorded, runs_own_process: as
            in `Implementation`.
        reproducer: how the script of a finding reaches it.
        named: whether another process can find it by its name.
        checks: the checks that can apply to it.
        expected_failures: the entries it carries itself.
        cpu: processor seconds spent until it was ready.
    """

    name: str
    kind: str
    version: str = ""
    capabilities: Capabilities | None = None
    declared: Capabilities = EVERYTHING
    costly_calls: bool = False
    recorded: bool = False
    runs_own_process: bool = False
    reproducer: Reproducer = field(default_factory=Reproducer)
    named: bool = True
    checks: tuple[str, ...] = ()
    expected_failures: tuple[Mapping[str, Any], ...] = ()
    cpu: float = 0.0

    @property
    def asked(self) -> Asked:
        """What the cases that it is asked depend on."""
        return Asked(self.kind, self.declared, self.costly_calls)


@dataclass(frozen=True, slots=True)
class Start:
    """First request: whom to measure, and the `nonce` that every reply repeats."""

    target: Target
    nonce: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back for a request.

    Attributes:
        nonce: of the first request; foreign code that writes on the channel does not know it.
        number: of the reply, 0 for the first.
        content: the reply itself.
    """

    nonce: int
    number: int
    content: Any


@dataclass(frozen=True, slots=True)
class Refused:
    """First reply instead: why the implementation cannot be measured, in one sentence."""

    reason: str


@dataclass(frozen=True, slots=True)
class Run:
    """Request: make `checks` (all when empty) on these cases, in this order; one reply for each.

    With `traces`, print the traceback of what the implementation raises.
    """

    cases: tuple[Case, ...]
    checks: tuple[str, ...] = ()
    traces: bool = False


@dataclass(frozen=True, slots=True)
class Explain:
    """Request: the evidence of the last of `cases` after running the ones before it."""

    cases: tuple[Case, ...]
    check: str


@dataclass(frozen=True, slots=True)
class Diagnose:
    """Request: the name of the known fault that explains the failures on `cases`, or None."""

    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class HarnessError:
    """Reply: the suite itself failed on a case; never taken for a verdict."""

    message: str


@dataclass(frozen=True, slots=True)
class ProcessorTime:
    """Request: processor time used so far, in seconds; the reply is a float."""
