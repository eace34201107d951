"""One check of one implementation, as a test runs it."""

from __future__ import annotations

import atexit
from dataclasses import dataclass

from conformance.campaign.findings import findings
from conformance.campaign.measure import Budget, measure
from conformance.campaign.plan import plan
from conformance.campaign.pool import WorkerProcess
from conformance.campaign.reproducer import replay_command
from conformance.campaign.run import CASE_LIMIT
from conformance.case import parse_sequence
from conformance.expectations import shipped
from conformance.implementations import Target
from conformance.results import BAD, Finding, Status

DEFAULT_EXAMPLES = 100
_workers: dict[Target, WorkerProcess] = {}


@dataclass(frozen=True, slots=True)
class Single:
    """What became of it.

    Attributes:
        failure: what fails, three lines a finding; empty where nothing does.
        skipped: why nothing was decided, or empty.
    """

    failure: str = ""
    skipped: str = ""


def check_one(
    target: Target, check: str, *, examples: int = DEFAULT_EXAMPLES, seed: int = 0
) -> Single:
    """Make `check` on `examples` configurations drawn for `target`.

    The process that runs `target` is kept for further checks until `close_all`.

    Raises:
        UsageError: the implementation cannot be measured.
    """
    worker = _workers.setdefault(target, WorkerProcess(target, CASE_LIMIT))
    measured = measure(
        [worker],
        lambda subject: plan(seed, examples, subject.declared),
        budget=Budget(),
        expectations=shipped(),
        checks=(check,),
    )
    outcomes = [o for o in measured.outcomes if o.check == check]
    blockers = {o.check for o in measured.outcomes if o.status in BAD} - {check}
    measured.outcomes = outcomes
    found = findings(measured, seed, worker, (check,))
    bad = [f for f in found if f.status is not Status.EXPECTED_FAILURE]
    if bad:
        return Single(failure="\n".join(_lines(f, target) for f in bad))
    if not outcomes and blockers:
        return Single(
            f"{check}: no case could be judged, since {' and '.join(sorted(blockers))} fails"
        )
    if not outcomes:
        reason = (
            "it declares no capabilities" if check == "claimed_capability" else "does not apply"
        )
        return Single(skipped=f"{check}: {reason}")
    if all(outcome.status is Status.UNSUPPORTED for outcome in outcomes):
        return Single(skipped=f"unsupported: {outcomes[0].cause}")
    return Single()


@atexit.register
def close_all() -> None:
    """End every process that was kept."""
    while _workers:
        _workers.popitem()[1].stop()


def _lines(finding: Finding, target: Target) -> str:
    cases = parse_sequence(finding.minimal_case)
    replay = replay_command(cases, target.name, named=target.payload is None)
    return (
        f"{finding.check}: {finding.cause} ({finding.count} cases)\n  {finding.message}\n  {replay}"
    )
