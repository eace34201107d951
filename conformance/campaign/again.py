"""The findings of an earlier run, tried again on what is there now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from conformance.case import CaseError, parse_sequence
from conformance.causes import members, unexpected
from conformance.errors import UsageError
from conformance.implementations.info import Info
from conformance.journals.outcomes import Outcome, outcomes_of
from conformance.plan import Asked, adapt, refuse_unclaimed
from conformance.processes.worker import Worker
from conformance.results import BAD, Finding, ImplementationResult, Report, Status

UNTOLD = "passes, but was never reproduced, so that says nothing: run the whole plan again"


class Now(StrEnum):
    """What became of a finding."""

    FIXED = "FIXED"
    FAILED = "FAILED"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Replayed:
    """A finding today.

    Attributes:
        name: the implementation.
        finding: as it was found.
        now: what became of it.
        text: why, in a line.
    """

    name: str
    finding: Finding
    now: Now
    text: str


def replayed(report: Report, names: Sequence[str] = ()) -> Iterator[Replayed]:
    """What fails in `report`, cause by cause; only of implementations called `names`, if given.

    Raises:
        UsageError: one of `names` is not in the report.
    """
    known = {result.given_name for result in report.implementations}
    for name in names:
        if name not in known:
            raise UsageError(f"no results of {name!r} there; there are {', '.join(sorted(known))}")
    for result in report.implementations:
        if not names or result.given_name in names:
            yield from _of_one(result)


def _of_one(result: ImplementationResult) -> Iterator[Replayed]:
    found = [f for cause in unexpected(result) for f in members(cause, result.findings)]
    found = [finding for finding in found if finding.status in BAD]
    if not found:
        return
    worker = Worker(result.given_name)
    try:
        refusal = "" if result.named else "it was given as an object, which has no name"
        try:
            info = worker.start() if result.named else None
        except UsageError as error:
            info, refusal = None, str(error)
        for finding in found:
            now, text = Now.ERROR, refusal
            if info is not None:
                try:
                    now, text = _again(worker, info, finding)
                    if now is Now.FIXED and finding.doubt:  # alone it may have passed before
                        now, text = Now.ERROR, UNTOLD
                except (UsageError, CaseError) as error:
                    text = str(error)
            yield Replayed(result.name, finding, now, text)
    finally:
        worker.stop()


def _again(worker: Worker, info: Info, finding: Finding) -> tuple[Now, str]:
    cases = parse_sequence(finding.minimal_case)
    asked = Asked.of(info)
    refuse_unclaimed(cases, asked, info.name)
    if len(cases) > 1:
        worker.restart()  # it depends on what was called before
    cases = tuple(adapt((case,), asked)[0] for case in cases)
    *_, reply = worker.run(cases)
    outcomes = outcomes_of(reply, cases[-1], info, ())
    return _judged(outcomes, finding.check)


def _judged(outcomes: Sequence[Outcome], check: str) -> tuple[Now, str]:
    bad = [o for o in outcomes if o.status in (BAD | {Status.FLAKY})]
    own = [o for o in outcomes if o.check == check]
    for outcome in (*(o for o in bad if o.check == check), *bad):
        trouble = outcome.status is Status.HARNESS_ERROR
        return (Now.ERROR if trouble else Now.FAILED), outcome.message or outcome.cause
    if any(o.status is Status.PASSED for o in own):
        return Now.FIXED, ""
    lacking = next((o.cause for o in outcomes if o.status is Status.UNSUPPORTED), "")
    if lacking:
        return Now.ERROR, f"unsupported: {lacking}"
    # A check that is not made on the case any more has nothing left to object to.
    return (Now.FIXED, "") if outcomes else (Now.ERROR, "no check was made")
