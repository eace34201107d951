"""A campaign is planned alike everywhere, survives what it measures, and says which case did it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conformance.campaign import explaining, findings, run, showing
from conformance.campaign.nearby import MOST_FAILING
from conformance.campaign.run import Campaign, Settings, exit_code
from conformance.capabilities import HALF_SUMS
from conformance.case import Case, parse_sequence
from conformance.causes import sentence, where
from conformance.checks import concerning
from conformance.differing import differing
from conformance.errors import UsageError
from conformance.expectations import load
from conformance.implementations.info import Info
from conformance.journals.outcomes import Outcome
from conformance.journals.tally import Tally
from conformance.plan import Asked, plan
from conformance.processes import limits
from conformance.processes.limits import Limits
from conformance.processes.worker import Worker
from conformance.results import Finding, ImplementationResult, Status, Verdict
from conformance.targets import Target, resolve

# Every other configuration has two groups.
MIXED = tuple(
    (Case.parse(text),)
    for text in (
        "in1x4x4x2-f2-k3-integers.0",
        "in2x5x4x2-f4-k3x2-g2-integers.1",
        "in1x6x5x4-f2-k2-integers.2",
        "in1x4x4x4-f4-k2-same-g2-integers.3",
    )
)


def campaign(*attributes: str, **settings: Any) -> Campaign:
    """A campaign on functions of ``planted``, without real Keras."""
    names = tuple(f"planted:{attribute}" for attribute in attributes)
    given = {"examples": 20, "jobs": 1, "witness": False} | settings
    return run.run(Settings(implementations=tuple(map(Target, names)), **given))


def measured(attribute: str, **settings: Any) -> ImplementationResult:
    (result,) = campaign(attribute, **settings).report.implementations
    return result


def comparable(done: Campaign) -> dict[str, Any]:
    """results.json without what may differ between equal runs."""
    content = json.loads(json.dumps(done.report.to_json()))
    del content["run"]
    return content


def totals(result: ImplementationResult, status: Status) -> int:
    return sum(counts[status] for counts in result.checks.values())


def one_finding(result: ImplementationResult) -> Finding:
    (finding,) = result.findings
    return finding


@pytest.fixture
def few_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every attempt to shrink a crash costs a process."""
    monkeypatch.setitem(findings.ATTEMPTS, Status.CRASHED, 1)


@pytest.fixture
def no_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Findings are shown as they were met."""
    for status in (Status.CRASHED, Status.TIMED_OUT):
        monkeypatch.setitem(findings.ATTEMPTS, status, 0)


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock for time limits that moves by a tenth of a second whenever it is looked at."""
    ticks = count()
    clock = SimpleNamespace(monotonic=lambda: next(ticks) / 10)
    monkeypatch.setattr(run, "time", clock)
    monkeypatch.setattr(limits, "time", clock)


@pytest.fixture(scope="module")
def swapped() -> Campaign:
    return campaign("swapped_dilation", examples=200)


# What comes out -----------------------------------------------------------------------------------


def test_a_right_function_conforms():
    done = campaign("right", examples=40)
    (result,) = done.report.implementations
    assert exit_code(done) == 0
    assert result.verdict is Verdict.CONFORMS
    assert result.configurations == 40
    assert result.cases > 80
    assert result.findings == []
    assert result.kind == "function"
    assert set(result.checks) == set(concerning(resolve("planted:right").info()))
    assert "compute_output_shape" not in result.checks
    assert totals(result, Status.PASSED) == sum(sum(c.values()) for c in result.checks.values())
    assert not result.interrupted


def test_a_right_layer_conforms():
    settings = Settings(implementations=(Target("reference"),), examples=20, jobs=1, witness=False)
    done = run.run(settings)
    (result,) = done.report.implementations
    assert exit_code(done) == 0
    assert set(result.checks) == set(concerning(resolve("reference").info()))
    parts = result.plan["parts"]
    assert result.checks["compute_output_shape"]["passed"] == result.cases - parts["variations"]


@pytest.mark.parametrize("attribute", ["right", "off_by_one"])
def test_the_number_of_processes_changes_nothing(attribute: str):
    assert comparable(campaign(attribute, jobs=1)) == comparable(campaign(attribute, jobs=2))


def test_a_wrong_function_fails_with_a_small_case(swapped: Campaign):
    (result,) = swapped.report.implementations
    assert exit_code(swapped) == 1
    assert result.findings
    assert result.verdict is Verdict.FAILS
    for finding in result.findings:
        case = Case.parse(finding.minimal_case)
        assert case.geometry.dilation_rate[0] != case.geometry.dilation_rate[1]
        assert case.geometry.taps <= 6
        assert max(case.input_shape) <= 8
        assert case.filters <= 3
        assert 1 <= finding.first_at <= 200
        assert finding.count >= 1
        assert finding.reproducer


def test_what_takes_a_call_of_an_earlier_example_is_shown_after_it():
    """No example has cases of two dtypes."""
    checks = ("exact_values", "bounded_values")
    found = measured("wrong_after_float64", examples=40, checks=checks).findings
    assert {finding.doubt for finding in found} == {""}
    for finding in found:
        first, last = parse_sequence(finding.minimal_case)
        assert (first.compute_dtype, last.compute_dtype) == ("float64", "float16")
        assert finding.takes_earlier_calls


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How many fresh processes each finding took, by check."""
    taken: dict[str, int] = {}
    numbers = count(1)
    restart, explain = Worker.restart, explaining.Explainer.finding
    latest = [0]

    def counted(worker: Worker) -> None:
        latest[0] = next(numbers)
        restart(worker)

    def explained(explainer: Any, group: Any, attempts: int) -> Finding:
        before = latest[0]
        found = explain(explainer, group, attempts)
        taken[found.check] = latest[0] - before
        return found

    monkeypatch.setattr(Worker, "restart", counted)
    monkeypatch.setattr(explaining.Explainer, "finding", explained)
    return taken


def test_a_plan_that_is_kept_too_long_is_one_cause(
    started: dict[str, int], monkeypatch: pytest.MonkeyPatch
):
    """Whichever check it shows in; what fails on its own is another one."""
    monkeypatch.setattr(showing, "FRESH_ATTEMPTS", 4)
    checks = ("exact_values", "shapes_agree", "failure_leaves_no_trace", "refusals")
    result = measured("KeepsItsPlan", examples=60, checks=checks)
    kept, alone = result.causes
    found = [result.findings[n] for n in kept.findings]
    assert kept.diagnosis == "earlier_dilation"
    assert {finding.check for finding in found} == {*checks[:3]}
    for finding in found:
        assert finding.doubt == ""
        assert differing(parse_sequence(finding.minimal_case)) == {"dilation_rate"}
    assert [result.findings[n].check for n in alone.findings] == ["refusals"]
    for check in checks[1:3]:  # after two calls, and once more after the one that it fails after
        assert started[check] <= 4


def test_sums_in_16_bits_are_no_cause_where_exact_data_fail():
    result = measured("bias_of_float32_alone", examples=60)
    causes = {(finding.check, finding.cause) for finding in result.findings}
    assert ("exact_values", "values differ from the exact result") in causes
    assert not any(finding.cause in HALF_SUMS.values() for finding in result.findings)


def test_findings_of_one_fault_are_named_alike(swapped: Campaign):
    """Also those of few cases, which other faults explain as well: results that are all zero."""
    (result,) = swapped.report.implementations
    assert {f.diagnosis for f in result.findings} - {None} == {"dilation_swapped"}


def test_where_a_fault_shows_in_a_part_of_its_cases_the_verdict_says_in_which(swapped: Campaign):
    partly = measured("swapped_dilation_of_groups", examples=400).causes[0]
    assert partly.diagnosis == "dilation_swapped"
    assert ", where dilation height != dilation width, groups > 1" in sentence(partly)
    (always,) = swapped.report.implementations[0].causes
    assert always.when["dilation"] == "h != w"
    assert "where" not in sentence(always)


def test_few_failures_name_no_fault_that_passes_elsewhere():
    (cause,) = measured("swapped_dilation_of_groups", examples=60).causes
    assert cause.count < findings.ENOUGH_FOR_PART
    assert (cause.diagnosis, cause.narrower) == (None, False)
    assert cause.when.items() >= {"groups": "> 1", "dilation": "h != w"}.items()


def test_what_explains_the_smaller_part_of_what_is_wrong_is_not_named():
    """Where all sums are zero for the padding, the bias is ignored."""
    result = measured("bias_lost_at_zero", examples=160)
    causes = [c for c in result.causes if c.what == "it returns nothing but zeros"]
    assert causes
    assert sum(c.count for c in result.causes) > 2 * sum(c.count for c in causes)
    assert {f.diagnosis for f in result.findings} == {None}


def test_what_raises_is_told_also_where_nothing_can_be_asked():
    tally = Tally(Info(name="raises", kind="function"))
    case = Case.parse("in1x4x4x1-f1-k3-integers.0")
    refused = {"status": Status.FAILED, "cause": "raises ValueError: no"}
    tally.add("rows", 1, (case,), [Outcome(check="output_shape", **refused)])
    (found,) = findings.findings(tally, None).findings
    assert (found.cause, found.doubt, found.diagnosis) == ("raises ValueError: no", "time", None)


def test_a_known_refusal_is_named_by_what_it_refuses():
    (cause,) = measured("refuses_strides_above_the_kernel", examples=40).causes
    assert cause.diagnosis == "stride_above_kernel_refused"
    assert sentence(cause) == "it refuses strides above the kernel size"


def test_a_finding_says_on_which_cases_it_fails(swapped: Campaign):
    (result,) = swapped.report.implementations
    failing = sum(finding.count for finding in result.findings)
    for finding in result.findings:
        assert finding.when["dilation"] == "h != w"
        assert finding.also_passing < failing / 2


def test_where_few_cases_fail_is_told_by_cases_around_the_smallest():
    (cause,) = measured("sixteen_filters_of_groups", examples=160).causes
    assert cause.count <= MOST_FAILING
    assert cause.nearby > 0
    assert "% 16 == 0" in cause.when["filters"]
    assert "groups > 1" in where(cause)


def test_a_fault_on_every_case_shrinks_to_the_smallest_case():
    finding = next(f for f in measured("off_by_one").findings if f.check == "exact_values")
    assert finding.minimal_case == "in1x1x1x1-f1-k1-integers.0"
    assert finding.first_at == 1


def test_several_implementations_meet_the_same_cases():
    done = campaign("right", "without_groups", examples=30)
    right, without_groups = done.report.implementations
    assert [r.name for r in done.report.implementations] == [
        "planted:right",
        "planted:without_groups",
    ]
    assert right.cases == without_groups.cases
    (unsupported,) = without_groups.unsupported
    assert unsupported.reason == "this library has no groups"
    assert Case.parse(unsupported.example).geometry.groups > 1
    assert 0 < unsupported.count < without_groups.cases
    assert without_groups.verdict is Verdict.CONFORMS


def test_who_does_nothing_is_inconclusive():
    done = campaign("does_nothing")
    assert exit_code(done) == 3
    assert done.report.implementations[0].verdict is Verdict.INCONCLUSIVE


def test_expected_failures_are_counted_apart(tmp_path: Path):
    path = tmp_path / "xfail.toml"
    path.write_text(
        "[[expected_failure]]\n"
        'check = ["output_shape", "exact_values", "bounded_values", "special_values"]\n'
        'when = { dilation = "h != w" }\nreason = "swaps the dilation"\n'
        'link = "https://example.org/1"\n',
        "utf-8",
    )
    done = campaign("swapped_dilation", examples=60, expectations=tuple(load(path)))
    (result,) = done.report.implementations
    assert exit_code(done) == 0
    assert totals(result, Status.FAILED) == 0
    assert totals(result, Status.EXPECTED_FAILURE) > 0
    assert totals(result, Status.UNEXPECTED_PASS) > 0
    for finding in result.findings:
        assert finding.status is Status.EXPECTED_FAILURE
        assert (finding.cause, finding.link) == ("swaps the dilation", "https://example.org/1")


def test_a_name_that_cannot_be_measured_is_refused_before_anything_runs():
    with pytest.raises(UsageError, match="no_such_thing"):
        campaign("right", "no_such_thing")


@pytest.mark.usefixtures("ticking")
def test_a_time_limit_ends_a_campaign():
    done = campaign("right", examples=None, max_time=2.0)
    (result,) = done.report.implementations
    assert 1 <= result.configurations <= 20
    assert exit_code(done) == 0
    assert done.report.settings["max_time"] == 2.0


@pytest.mark.usefixtures("ticking")
def test_a_time_limit_leaves_something_for_every_implementation():
    done = campaign("right", "wraps_its_result", examples=None, max_time=4.0)
    assert [r.verdict for r in done.report.implementations] == [Verdict.CONFORMS] * 2


# What is claimed ---------------------------------------------------------------------------------


def test_who_claims_what_it_refuses_fails_although_nothing_is_wrong():
    result = measured("ClaimsGroups", examples=10)
    finding = one_finding(result)
    assert result.verdict is Verdict.FAILS
    assert (finding.check, finding.count) == ("claimed_capability", 1)
    assert finding.cause == "claims groups but refuses it"
    assert Case.parse(finding.minimal_case).geometry.groups == 2
    (unsupported,) = result.unsupported
    assert unsupported.reason == "this library has no groups"


def test_who_declares_what_it_refuses_is_not_asked_it():
    result = measured("WithoutGroups", examples=25)
    assert result.verdict is Verdict.CONFORMS
    assert result.unsupported == result.findings == []
    assert set(result.coverage["groups"]) == {"1"}
    (groups,) = (c for c in result.capabilities if c.need == "groups")
    assert (groups.claimed, groups.works, groups.note) == (
        False,
        False,
        "this library has no groups",
    )


def test_what_is_declared_is_shown_with_how_much_of_everything_it_is():
    result = measured("Modest", examples=10)
    assert result.verdict is Verdict.CONFORMS
    assert result.declared is not None
    assert result.declared["dtypes"] == ("float32", "float64")
    assert {c.need: (c.claimed, c.works) for c in result.capabilities} == {
        "dtype float32": (True, True),
        "dtype float64": (True, True),
        "dtype float16": (False, True),
        "dtype bfloat16": (False, True),
        "data_format channels_last": (True, True),
        "data_format channels_first": (True, True),
        "padding valid": (True, True),
        "padding same": (True, True),
        "groups": (False, True),
        "dilation": (True, True),
        "strides with dilation": (False, True),
    }
    missing = ["dtype float16", "dtype bfloat16", "groups", "strides with dilation"]
    assert result.area == {"claimed": 2 * 2 * 2 * 2, "total": 96, "missing": missing}
    assert result.notes == [f"Not claimed, but works on the smallest case: {', '.join(missing)}."]


def test_who_declares_nothing_is_asked_everything_and_promises_nothing():
    result = measured("right", examples=3)
    assert result.declared is None
    assert {c.claimed for c in result.capabilities} == {None}
    assert result.area == {"claimed": 64, "total": 96, "missing": ["strides with dilation"]}
    assert result.notes == []
    assert "claimed_capability" not in result.checks


def test_what_is_asked_about_claims_is_not_counted_among_the_cases():
    """The probes come on top: they neither use up the budget nor show in the coverage."""
    declared, silent = campaign("Declared", "right", examples=12).report.implementations
    assert declared.configurations == silent.configurations == 12
    assert declared.cases == silent.cases
    assert declared.coverage == silent.coverage


# What an implementation may do to its process ----------------------------------------------------


@pytest.mark.parametrize("attribute", ["talkative", "wraps_its_result"])
def test_odd_but_right_behaviour_is_right(attribute: str):
    assert measured(attribute).verdict is Verdict.CONFORMS


def test_results_that_the_next_call_overwrites_are_one_finding():
    finding = one_finding(measured("recycles_its_buffer"))
    assert (finding.check, finding.cause) == (
        "own_memory",
        "the next call changes an earlier result",
    )


@pytest.mark.parametrize(
    ("attribute", "cause"),
    [
        ("ends_the_process", "ends the process: exit code 5"),
        (
            "reads_address_zero",
            "ends the process: SIGSEGV (Fatal Python error: Segmentation fault)",
        ),
    ],
)
@pytest.mark.usefixtures("few_attempts")
def test_a_crash_costs_its_case_only(attribute: str, cause: str):
    result = measured(attribute, given=MIXED)
    finding = one_finding(result)
    crashed = totals(result, Status.CRASHED)
    assert (finding.status, finding.cause) == (Status.CRASHED, cause)
    assert finding.count == crashed > 1
    assert Case.parse(finding.minimal_case).geometry.groups == 2
    assert result.checks["output_shape"]["passed"] == result.cases - crashed
    assert result.verdict is Verdict.FAILS
    assert result.configurations == 4


def test_leaving_by_sys_exit_is_a_failure_like_any_other_exception():
    result = measured("leaves", given=MIXED)
    finding = one_finding(result)
    assert (finding.status, finding.cause) == (Status.FAILED, "raises SystemExit: #")
    assert Case.parse(finding.minimal_case).geometry.groups == 2
    assert result.checks["output_shape"]["passed"] == result.cases - finding.count


@pytest.mark.usefixtures("few_attempts")
def test_bytes_on_the_channel_cost_the_case_in_which_they_are_written():
    result = measured("writes_on_every_descriptor", given=MIXED)
    finding = one_finding(result)
    assert (finding.status, finding.cause) == (
        Status.CRASHED,
        "writes on the channel of the suite",
    )
    assert Case.parse(finding.minimal_case).geometry.groups == 2
    assert result.configurations == len(MIXED)
    assert result.checks["exact_values"]["passed"] == len(MIXED) - finding.count


def test_a_fork_takes_no_part():
    result, undisturbed = measured("forks", given=MIXED), measured("right", given=MIXED)
    assert result.verdict is Verdict.CONFORMS
    assert result.checks == undisturbed.checks


def test_a_process_in_which_the_suite_fails_is_not_kept():
    result = measured("breaks_the_suite", given=MIXED)
    guilty = sum(case.geometry.groups == 2 for (case,) in MIXED)
    assert result.checks["output_shape"]["harness_error"] == guilty
    assert result.checks["exact_values"]["passed"] == len(MIXED) - guilty


def test_strict_floating_point_errors_left_behind_are_no_errors_of_the_suite():
    result = measured("raises_on_underflow", examples=60)
    assert result.verdict is Verdict.CONFORMS
    assert totals(result, Status.HARNESS_ERROR) == 0


HANGS = Case.parse("in1x4x4x2-f2-k3-g2-integers.0")
RETURNS = Case.parse("in1x4x4x2-f2-k3-integers.0")


@pytest.mark.usefixtures("no_attempts")
def test_an_implementation_cannot_overrule_its_judge():
    result = measured("overrules_the_judge", given=MIXED)
    assert result.verdict is Verdict.FAILS
    assert result.checks["exact_values"]["passed"] == 0


def test_who_breaks_numpy_in_its_process_is_judged_as_before():
    result, undisturbed = measured("breaks_numpy", given=MIXED), measured("right", given=MIXED)
    assert result.verdict is Verdict.CONFORMS
    assert result.checks == undisturbed.checks


def test_a_masked_array_is_no_result():
    (finding,) = measured("masks_its_result", given=MIXED).findings
    assert finding.cause == "returns a masked array"


def test_bytes_on_the_channel_are_never_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    result = measured("forges_an_answer", given=MIXED)
    assert {f.cause for f in result.findings} == {"writes on the channel of the suite"}
    assert not (tmp_path / "FORGED").exists()


def test_a_call_that_never_returns_costs_its_case_only():
    limits = Limits(case=2.0, least=1.0)
    result = measured("never_returns", given=MIXED, checks=("output_shape",), limits=limits)
    finding = one_finding(result)
    assert (finding.status, finding.cause) == (Status.TIMED_OUT, "does not return in time")
    assert Case.parse(finding.minimal_case).geometry.groups == 2
    hung = totals(result, Status.TIMED_OUT)
    assert finding.count == hung > 1
    assert result.checks["output_shape"]["passed"] == result.cases - hung
    assert result.configurations == 4
    assert not result.interrupted


def test_after_a_hang_the_next_one_is_not_waited_for_as_long():
    worker = Worker("planted:never_returns", Limits(case=1.5, least=0.2, patience=0))
    try:
        _, *lost = worker.run((RETURNS, HANGS, HANGS), again=False)
    finally:
        worker.stop()
    assert [one.status for one in lost] == [Status.TIMED_OUT] * 2
    assert [one.message for one in lost] == [
        "does not return within 1.5 s",
        "does not return within 0.2 s",
    ]


def test_until_something_returned_every_case_gets_its_full_time():
    worker = Worker("planted:never_returns", Limits(case=1.0, least=0.2))
    try:
        lost = list(worker.run((HANGS, HANGS), again=False))
    finally:
        worker.stop()
    assert [one.message for one in lost] == ["does not return within 1 s"] * 2


def test_who_is_slow_is_waited_for_longer():
    """The wait is a multiple of the slowest case that did return."""
    worker = Worker("planted:never_returns", Limits(case=2.0, least=0.2, patience=1e9))
    try:
        _, lost = worker.run((RETURNS, HANGS), again=False)
    finally:
        worker.stop()
    assert lost.status is Status.TIMED_OUT
    assert worker.observer.patience.seconds == 2.0


@pytest.mark.usefixtures("no_attempts")
def test_a_crash_on_many_cases_does_not_end_the_campaign():
    result = measured("ends_the_process_often", examples=15, checks=("output_shape",))
    crashed = one_finding(result).count
    assert 0.15 < crashed / result.cases < 0.45
    assert result.configurations == 15
    planned = plan(0, Asked.of(resolve("planted:ends_the_process_often").info()), limit=15)
    cases = [case for one in planned for case in one.example]
    asked = sum(case.but is None for case in cases)  # the others have no output
    assert result.cases == len(cases)
    assert result.checks["output_shape"]["passed"] == asked - crashed
    assert not result.interrupted


@pytest.mark.usefixtures("no_attempts")
@pytest.mark.parametrize("jobs", [1, 2])
def test_who_does_little_but_crash_is_given_up(jobs: int):
    given = {"examples": 60, "checks": ("output_shape",), "jobs": jobs}
    done = campaign("always_ends_the_process", limits=Limits(lost_at_first=4), **given)
    (result,) = done.report.implementations
    crashed = totals(result, Status.CRASHED)
    assert 4 <= crashed == result.cases <= 4 + 3 * jobs  # an example begun is run to its end
    assert result.interrupted
    assert done.report.headline[-1] == (
        f"planted:always_ends_the_process: stopped after {crashed} crashed of {crashed} cases; "
        "the rest was not run."
    )


@pytest.mark.usefixtures("no_attempts")
def test_a_case_that_takes_too_much_memory_costs_that_case_only():
    limits = Limits(memory=2**28, watch=0.02)
    result = measured("hoards", given=MIXED, checks=("output_shape",), limits=limits)
    finding = one_finding(result)
    assert (finding.status, finding.cause) == (Status.CRASHED, "takes too much memory")
    assert Case.parse(finding.minimal_case).geometry.groups == 2
    assert result.configurations == 4
    assert result.checks["output_shape"]["passed"] == result.cases - finding.count > 0


def test_who_keeps_memory_is_started_anew_and_conforms():
    limits = Limits(growth=2**28)
    result = measured("leaks", examples=12, checks=("exact_values",), limits=limits)
    assert result.verdict is Verdict.CONFORMS
    assert result.findings == []
    assert any("its memory had grown by 2 GiB" in note for note in result.notes)


def test_who_keeps_little_memory_is_left_alone():
    assert measured("right", examples=3).notes == []


def test_a_crash_is_noticed_although_a_child_of_the_process_lives_on():
    worker = Worker("planted:leaves_a_child", Limits(case=2.0))
    try:
        (lost,) = worker.run((Case.parse("in1x4x4x1-f1-k3-integers.0"),))
    finally:
        worker.stop()
    assert (lost.status, lost.cause) == (Status.CRASHED, "ends the process: exit code 5")


def test_a_fault_that_takes_two_calls_is_shown_with_both():
    result = measured("forgets_the_padding", examples=150)
    together = [f.minimal_case for f in result.findings if "+" in f.minimal_case]
    assert together
    for text in together:
        first, second = parse_sequence(text)
        assert first.geometry.padding != second.geometry.padding
        assert first.input_shape == second.input_shape
        worker = Worker("planted:forgets_the_padding")
        try:
            replies = list(worker.run((first, second)))
            worker.restart()
            (alone,) = worker.run((second,))
        finally:
            worker.stop()
        statuses = [{judgement.status for judgement in reply} for reply in (*replies, alone)]
        assert [Status.FAILED in s for s in statuses] == [False, True, False]


def test_every_smallest_case_fails_again_alone(swapped: Campaign):
    for finding in swapped.report.implementations[0].findings:
        worker = Worker("planted:swapped_dilation")
        try:
            (reply,) = worker.run(parse_sequence(finding.minimal_case))
        finally:
            worker.stop()
        (again,) = (j for j in reply if j.check == finding.check)
        assert (again.status, again.message) == (Status.FAILED, finding.message)


# Ctrl-C -------------------------------------------------------------------------------------------

WITHOUT_KERAS = """
import conformance.campaign.run as run
run.keras_is_installed = lambda: False
from conformance.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("jobs", "sent"), [("1", signal.SIGINT), ("2", signal.SIGINT), ("2", signal.SIGTERM)]
)
def test_an_interrupted_run_keeps_what_was_decided(tmp_path: Path, jobs: str, sent: int):
    """Ctrl-C goes to the whole group, as from a terminal; SIGTERM to the run alone."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    announced = os.open(pipe, os.O_RDWR)
    arguments = ["--impl", "planted:announces_itself", "--max-time", "600", "--jobs", jobs]
    process = subprocess.Popen(
        [sys.executable, "-c", WITHOUT_KERAS, "run", *arguments, "--out", tmp_path / "out"],
        env={
            **os.environ,
            "ANNOUNCE": str(pipe),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert select.select([announced], [], [], 120)[0], "the campaign never ran"
        (os.killpg if sent == signal.SIGINT else os.kill)(process.pid, sent)
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
        os.close(announced)
    assert errors.startswith("\nInterrupted: writing the report.")
    assert errors.count("\n") == 2
    assert process.returncode == 130
    content = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
    (result,) = content["implementations"]
    assert result["interrupted"]
    assert result["cases"] >= 10
    assert result["findings"] == []
    assert (tmp_path / "out" / "report.html").stat().st_size > 0
    assert (tmp_path / "out" / "junit.xml").stat().st_size > 0
