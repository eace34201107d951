"""One test for each implementation and check."""

from __future__ import annotations

import pytest

from conformance.campaign.findings import findings
from conformance.campaign.measure import Budget, measure
from conformance.campaign.plan import plan
from conformance.campaign.run import CASE_LIMIT
from conformance.case import parse_sequence
from conformance.checks import CHECKS
from conformance.errors import UsageError
from conformance.expectations import shipped
from conformance.pytest_plugin import conv2d_implementations, conv2d_worker
from conformance.reproducer import replay_command
from conformance.results import BAD, Finding, Status


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    pairs = [(n, check) for n in conv2d_implementations(metafunc.config) for check in CHECKS]
    metafunc.parametrize(
        ("implementation", "check"), pairs, ids=[f"{name}-{check}" for name, check in pairs]
    )


def test_conv2d(pytestconfig: pytest.Config, implementation: str, check: str) -> None:
    """The check holds for the implementation on every drawn case."""
    worker = conv2d_worker(pytestconfig, implementation, CASE_LIMIT)
    seed, examples = (
        pytestconfig.getoption("--conv-seed"),
        pytestconfig.getoption("--conv-examples"),
    )
    expectations = shipped()
    try:
        measured = measure(
            [worker],
            plan(seed, examples),
            budget=Budget(),
            expectations=expectations,
            checks=(check,),
        )
    except UsageError as error:
        pytest.fail(str(error), pytrace=False)
    outcomes = [o for o in measured.outcomes if o.check == check]
    blockers = {o.check for o in measured.outcomes if o.status in BAD} - {check}
    measured.outcomes = outcomes
    found = findings(measured, seed, worker, expectations, (check,))
    bad = [finding for finding in found if finding.status in BAD]
    if bad:
        pytest.fail("\n".join(_lines(f, implementation) for f in bad), pytrace=False)
    if not outcomes and blockers:
        reason = f"{check}: no case could be judged, since {' and '.join(sorted(blockers))} fails"
        pytest.fail(reason, pytrace=False)
    if not outcomes:
        pytest.skip(f"{check} does not apply to a {measured.subject.kind}")
    if all(outcome.status is Status.UNSUPPORTED for outcome in outcomes):
        pytest.skip(f"unsupported: {outcomes[0].cause}")


def _lines(finding: Finding, implementation: str) -> str:
    replay = replay_command(parse_sequence(finding.minimal_case), implementation)
    return (
        f"{finding.check}: {finding.cause} ({finding.count} cases)\n  {finding.message}\n  {replay}"
    )
