"""junit.xml: a test suite for each implementation, a test case for each check."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from conformance.causes import where
from conformance.report.text import (
    STATUS_LABELS,
    WHERE_LABELS,
    clean,
    plural,
    replay_command,
)
from conformance.report.verdict import split_findings
from conformance.results import BAD, Finding, ImplementationResult, Report, Status

_OUTCOMES = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def write_junit(report: Report, path: Path) -> None:
    """Write `report` to `path` as JUnit XML."""
    root = ET.Element("testsuites", name="conv2d-conformance")
    if "seconds" in report.run:
        root.set("time", f"{report.run['seconds']:.3f}")
    for result in report.implementations:
        run = _run_of(result, report)
        suite = _suite(result, result.name)
        seconds = run.get("seconds_each", {}).get(result.given_name)
        if seconds is not None:
            suite.set("time", f"{seconds:.3f}")
        if run.get("started"):
            suite.set("timestamp", run["started"].removesuffix(" UTC").replace(" ", "T"))
        root.append(suite)
    for witness in report.witnesses:
        root.append(_suite(witness, f"{witness.name} (real Keras, on a sample)"))
    for attribute in ("tests", "failures", "errors"):  # Jenkins knows no others here
        root.set(attribute, str(sum(int(suite.get(attribute, "0")) for suite in root)))
    ET.indent(root)
    xml = ET.tostring(root, encoding="unicode")
    path.write_text(
        f'<?xml version="1.0" encoding="utf-8"?>\n{xml}\n', encoding="utf-8", newline="\n"
    )


def _run_of(result: ImplementationResult, report: Report) -> dict[str, Any]:
    """What differs from run to run, of the run that measured `result`."""
    return next((one.run for one in report.runs if result.name in one.columns), report.run)


def _suite(result: ImplementationResult, name: str) -> ET.Element:
    tests = len(result.checks) + len(result.unsupported)
    suite = ET.Element("testsuite", name=clean(name), tests=str(tests))
    properties = ET.SubElement(suite, "properties")
    for key, value in (
        ("verdict", result.verdict),
        ("version", result.version),
        ("kind", result.kind),
        ("configurations", result.configurations),
        ("cases", result.cases),
        ("interrupted", str(result.interrupted).lower()),
    ):
        ET.SubElement(properties, "property", name=key, value=clean(str(value)))
    for check, counts in result.checks.items():
        suite.append(_testcase(result, name, check, counts))
    for item in result.unsupported:
        reason = clean(item.reason)
        testcase = ET.SubElement(
            suite, "testcase", name=f"unsupported: {reason}", classname=clean(name)
        )
        cases = f"{plural(item.count, 'case')}, for example {clean(item.example)}: {reason}"
        ET.SubElement(testcase, "skipped", type="unsupported", message=cases)
    for attribute, tag in _OUTCOMES.items():
        suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))
    return suite


def _testcase(
    result: ImplementationResult, suite: str, check: str, counts: dict[str, int]
) -> ET.Element:
    testcase = ET.Element("testcase", name=clean(check), classname=clean(suite))
    bad, expected = ([f for f in part if f.check == check] for part in split_findings(result))
    failed = any(counts.get(s, 0) for s in BAD if s != Status.HARNESS_ERROR)
    # Where an entry is strict, its pass is a finding.
    failed = failed or any(finding.status == Status.UNEXPECTED_PASS for finding in bad)
    if failed or counts.get(Status.HARNESS_ERROR, 0):
        # One element only: a test case with a failure and an error would be counted twice.
        _add_problem(testcase, "failure" if failed else "error", bad, counts, result.given_name)
    elif not any(counts.values()):
        _skip(testcase, "not run", "no case came to this check")
    elif set(_present(counts)) == {Status.UNSUPPORTED}:
        _skip(testcase, "unsupported", "; ".join(u.reason for u in result.unsupported))
    elif not counts.get(Status.PASSED, 0) and expected:
        _skip(testcase, "expected failure", "; ".join(f.reason or f.cause for f in expected))
    output = ET.SubElement(testcase, "system-out")
    output.text = clean("\n\n".join([_summary(counts), *_notes(expected, result.given_name)]))
    return testcase


def _present(counts: dict[str, int]) -> list[Status]:
    return [status for status in STATUS_LABELS if counts.get(status, 0)]


def _summary(counts: dict[str, int]) -> str:
    parts = [f"{counts[status]} {STATUS_LABELS[status]}" for status in _present(counts)]
    return ", ".join(parts) or "no cases"


def _notes(expected: list[Finding], implementation: str) -> list[str]:
    return [
        f"Expected failure: {finding.reason} {finding.link}".rstrip()
        + f"\n{_describe(finding, implementation)}"
        for finding in expected
    ]


def _skip(testcase: ET.Element, kind: str, reason: str) -> None:
    message = clean(reason) or "no reason given"
    ET.SubElement(testcase, "skipped", type=kind, message=message)


def _add_problem(
    testcase: ET.Element,
    tag: str,
    findings: list[Finding],
    counts: dict[str, int],
    implementation: str,
) -> None:
    if tag == "failure":  # what the implementation did comes before trouble of the suite
        findings = sorted(findings, key=lambda f: f.status == Status.HARNESS_ERROR)
    message = clean(_fact(findings[0])) if findings else _summary(counts)
    if len(findings) > 1:
        message += f" (and {plural(len(findings) - 1, 'more finding')})"
    kind = STATUS_LABELS[findings[0].status] if findings else tag
    problem = ET.SubElement(testcase, tag, type=kind, message=message)
    problem.text = clean("\n\n".join(_describe(f, implementation) for f in findings))


def _fact(finding: Finding) -> str:
    """The cause and what the smallest case gives."""
    told = finding.message.partition("\n")[0]
    if not told or finding.cause in told:
        return told or finding.cause
    return f"{finding.cause}; {told}"


def _describe(finding: Finding, implementation: str) -> str:
    label, count = STATUS_LABELS[finding.status], plural(finding.count, "time")
    lines = [
        f"{finding.cause} ({label}, {count}, first at configuration {finding.first_at})",
        finding.message,
        f"case: {finding.minimal_case}",
        f"replay: {replay_command(finding.minimal_case, implementation)}",
    ]
    condition = where(finding)
    if condition and finding.status in WHERE_LABELS:
        lines.insert(2, f"{WHERE_LABELS[finding.status].lower()}: {condition}")
    if finding.diagnosis:
        lines.insert(2, f"diagnosis: {finding.diagnosis}")
    return "\n".join(filter(None, lines))
