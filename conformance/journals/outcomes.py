"""What became of one check on a case, expected failures marked as such."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from conformance.case import Case
from conformance.checks import Judgement
from conformance.checks.check import Seen
from conformance.checks.shapes import output_shape
from conformance.expectations import Expectation
from conformance.implementations.info import Info
from conformance.processes.messages import HarnessError
from conformance.processes.process import Lost
from conformance.processes.worker import Flaky, Reply
from conformance.results import Status

EXPECTABLE = frozenset({Status.PASSED, Status.FAILED, Status.CRASHED, Status.TIMED_OUT})
_ENDED = frozenset({Status.CRASHED, Status.FLAKY})
BY_CHANCE = "reads memory that is not its own, so its results are random"
FIRST_CALL = output_shape.name  # it reads the first call, and so meets a crash


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One check on a case.

    Attributes:
        check: name of the check.
        status: the verdict.
        cause: one sentence without the numbers of the case; outcomes with the same check and cause
            belong to one finding. Empty when passed.
        message: the same with the numbers of the case.
        ratio: greatest error over bound, where values were compared with a bound.
        seen: what is not judged, and what became of it.
        reason, link: for expected failures and unexpected passes, why the failure was expected.
        strict: whether an unexpected pass fails the run.
        foreign_memory: whether it is expected to fail because memory is read that is not its own.
        entry: which entry expects the failure, as `Expectation.where`.
        lost: ``crashed`` or ``timed_out`` where there was no answer, expected or not; else empty.
    """

    check: str
    status: Status
    cause: str = ""
    message: str = ""
    ratio: float | None = None
    seen: Seen = field(default_factory=dict)
    reason: str = ""
    link: str = ""
    strict: bool = False
    foreign_memory: bool = False
    entry: str = ""
    lost: str = ""


def outcomes_of(
    reply: Reply,
    case: Case,
    info: Info,
    expectations: Sequence[Expectation],
    checks: tuple[str, ...] = (),
) -> list[Outcome]:
    """A worker's reply for one case as outcomes.

    A case without an answer is told by the check that was asked for, of several by the first.
    """
    asked = checks[0] if len(checks) == 1 else FIRST_CALL
    lost = str(reply.status) if isinstance(reply, Lost) else ""
    return [
        replace(_outcome(judgement, case, info, expectations), lost=lost)
        for judgement in _judgements(reply, asked)
    ]


def _outcome(
    judgement: Judgement, case: Case, info: Info, expectations: Sequence[Expectation]
) -> Outcome:
    outcome = Outcome(
        check=judgement.check,
        status=judgement.status,
        cause=judgement.cause,
        message=judgement.message,
        ratio=judgement.ratio,
        seen=judgement.seen,
    )
    speaking = _speaking_of(judgement, expectations)
    entry = next((e for e in speaking if e.applies(info, case)), None)
    if entry is None:
        return outcome
    known = replace(
        outcome,
        status=Status.EXPECTED_FAILURE,
        reason=entry.reason,
        link=entry.link,
        entry=entry.where,
    )
    if entry.foreign_memory:
        return replace(known, cause=BY_CHANCE, message=BY_CHANCE, ratio=None, foreign_memory=True)
    if judgement.status is Status.PASSED:
        return replace(known, status=Status.UNEXPECTED_PASS, strict=entry.strict)
    return known


def _speaking_of(
    judgement: Judgement, expectations: Sequence[Expectation]
) -> Iterator[Expectation]:
    """The entries that expect what was judged, on the cases to which they apply."""
    check, ended = judgement.check, judgement.status in _ENDED
    expectable = judgement.status in EXPECTABLE
    return (
        entry
        for entry in expectations
        if (expectable and check in entry.checks) or (ended and entry.foreign_memory)
    )


def _judgements(reply: Reply, asked: str) -> list[Judgement]:
    if isinstance(reply, Lost):
        return [Judgement(asked, reply.status, reply.cause, reply.message)]
    if isinstance(reply, HarnessError):
        cause = f"the suite itself failed: {reply.message}"
        return [Judgement(asked, Status.HARNESS_ERROR, cause, cause)]
    if isinstance(reply, Flaky):
        cause = f"{reply.lost.cause}, but not when tried again in a fresh process"
        lost = Judgement(asked, Status.FLAKY, cause, cause)
        again = [j for j in reply.judgements if j.check != asked or j.status is not Status.PASSED]
        return again if any(j.check == asked for j in again) else [lost, *again]
    return reply
