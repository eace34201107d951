"""One check of one implementation, as a test runs it."""

from __future__ import annotations

import atexit
from dataclasses import dataclass
from functools import lru_cache

from conformance.campaign.findings import findings
from conformance.campaign.judges import Judges
from conformance.campaign.measure import Budget, measure
from conformance.campaign.run import CASE_LIMIT
from conformance.campaign.worker import Worker
from conformance.checks import concerning
from conformance.expectations import shipped
from conformance.implementations import Target
from conformance.plan import Asked, Planned, plan
from conformance.results import BAD, Finding, Status

_judges = Judges()
_workers: dict[Target, Worker] = {}


@dataclass(frozen=True, slots=True)
class Single:
    """What became of it.

    Attributes:
        findings: what fails.
        blocked: why no case could be judged although the check applies, or empty.
        skipped: why nothing was decided, or empty.
    """

    findings: tuple[Finding, ...] = ()
    blocked: str = ""
    skipped: str = ""


def check_one(target: Target, check: str, *, examples: int | None = None, seed: int = 0) -> Single:
    """Make `check` on `examples` configurations, by default on all popular layers and pairs.

    The process that runs `target` is kept for further checks until `close_all`.

    Raises:
        UsageError: the implementation cannot be measured.
    """
    worker = _workers.setdefault(target, Worker(target, CASE_LIMIT, _judges))
    if check not in concerning(worker.start()):
        return Single(skipped=f"{check} does not apply to {target.name}")
    measured = measure(
        [worker],
        lambda info: iter(_plan(seed, examples, Asked.of(info))),
        budget=Budget(),
        expectations=shipped(),
        checks=(check,),
    )
    outcomes = [o for o in measured.outcomes if o.check == check]
    blockers = {o.check for o in measured.outcomes if o.status in BAD} - {check}
    measured.outcomes = outcomes
    found = findings(measured, worker, (check,))
    if measured.stopped and not found:
        return Single(blocked=f"{check}: {measured.stopped}")
    bad = tuple(f for f in found if f.status is not Status.EXPECTED_FAILURE)
    if bad:
        return Single(findings=bad)
    if not outcomes and blockers:
        reason = " and ".join(sorted(blockers))
        return Single(blocked=f"{check}: no case could be judged, since {reason} fails")
    if not outcomes:
        return Single(skipped=f"{check}: no drawn case is one it applies to")
    if all(outcome.status is Status.UNSUPPORTED for outcome in outcomes):
        return Single(skipped=f"unsupported: {outcomes[0].cause}")
    return Single()


@lru_cache(maxsize=8)
def _plan(seed: int, examples: int | None, asked: Asked) -> list[Planned]:
    """The examples that every check of an implementation is made on."""
    profile = "quick" if examples is None else "night"
    return list(plan(seed, asked, limit=examples, profile=profile))


@atexit.register
def close_all() -> None:
    """End every process that was kept."""
    while _workers:
        _workers.popitem()[1].stop()
    _judges.close()
