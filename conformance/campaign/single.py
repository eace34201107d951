"""One check of one implementation, as a test runs it."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from conformance.campaign.findings import Found, findings
from conformance.campaign.session import Session
from conformance.causes import members
from conformance.checks import CHECKS, concerning
from conformance.expectations import load, shipped
from conformance.implementations.info import Info
from conformance.journals.tally import Tally
from conformance.plan import Asked, Planned, plan
from conformance.results import BAD, Cause, Finding, Status
from conformance.targets import Target


@dataclass(frozen=True, slots=True)
class Single:
    """What became of it.

    Attributes:
        findings: what fails, each with its cause.
        blocked: why no case could be judged although the check applies, or empty.
        skipped: why nothing was decided, or empty.
        expected: why failures were expected, where there is nothing else that fails.
    """

    findings: tuple[tuple[Cause, list[Finding]], ...] = ()
    blocked: str = ""
    skipped: str = ""
    expected: str = ""


def check_one(
    target: Target,
    check: str,
    *,
    examples: int | None = None,
    seed: int = 0,
    xfail: str | None = None,
) -> Single:
    """What `check` finds on `examples` configurations, by default on popular layers and pairs.

    `xfail` names a file of expected failures besides those that are shipped.
    Every case is tried once, for all checks: what was found is kept until `close_all`.

    Raises:
        UsageError: the implementation cannot be measured.
    """
    tally, every = _measured(target, examples, seed, xfail)
    if check not in concerning(tally.info):
        return Single(skipped=f"{check} does not apply to {target.name}")
    told = [
        (cause, [f for f in members(cause, every.findings) if f.check == check])
        for cause in every.causes
    ]
    found = [(cause, part) for cause, part in told if part]
    if tally.stopped and not found:
        return Single(blocked=f"{check}: {tally.stopped}")
    bad = tuple((c, p) for c, p in found if p[0].status is not Status.EXPECTED_FAILURE)
    if bad:
        return Single(findings=bad)
    if found:
        return Single(expected="; ".join(dict.fromkeys(p[0].reason for _, p in found)))
    statuses = {status for (name, status), n in tally.counts.items() if name == check and n}
    blockers = {name for (name, status), n in tally.counts.items() if n and status in BAD}
    if not statuses and blockers:
        before = {blocker.name for blocker in CHECKS[check].after}
        reasons = sorted(blockers & before or blockers)
        verb = "fails" if len(reasons) == 1 else "fail"
        reason = f"{' and '.join(reasons)} {verb}"
        return Single(blocked=f"{check}: no case could be judged, since {reason}")
    if not statuses:
        return Single(skipped=f"{check}: no drawn case is one it applies to")
    if statuses == {Status.UNSUPPORTED}:
        return Single(skipped=f"unsupported: {_reason(tally)}")
    return Single()


def _reason(tally: Tally) -> str:
    return max(tally.refused, key=lambda reason: tally.refused[reason][0])


@lru_cache(maxsize=8)
def _session(xfail: str | None) -> Session:
    given = load(Path(xfail)) if xfail else []
    session = Session(expectations=[*given, *shipped()])
    _open.append(session)
    return session


_open: list[Session] = []


@lru_cache(maxsize=64)
def _measured(
    target: Target, examples: int | None, seed: int, xfail: str | None
) -> tuple[Tally, Found]:
    session = _session(xfail)
    team = session.team(target)
    tally = Tally(team.start())

    def planned(info: Info) -> Iterator[Planned]:
        profile = "quick" if examples is None else "night"
        return plan(seed, Asked.of(info), limit=examples, profile=profile)

    with closing(session.try_all(team, planned, tally)) as tried:
        for _ in tried:
            pass
    found = findings(tally, team, confirming=session.another(team))
    team.stop()
    return tally, found


@atexit.register
def close_all() -> None:
    """End every process that was kept, and forget what was found."""
    while _open:
        _open.pop().close()
    _session.cache_clear()
    _measured.cache_clear()
