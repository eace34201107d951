"""The whole report in one line."""

from __future__ import annotations

from conformance.causes import unexpected
from conformance.headline import what_is_wrong
from conformance.report.text import clean, listing, plural
from conformance.results import Finding, ImplementationResult, Report, Status, Verdict, overall


def split_findings(result: ImplementationResult) -> tuple[list[Finding], list[Finding]]:
    """Findings nobody expected, and expected failures."""
    unexpected = [f for f in result.findings if f.status != Status.EXPECTED_FAILURE]
    expected = [f for f in result.findings if f.status == Status.EXPECTED_FAILURE]
    return unexpected, expected


def title(report: Report) -> str:
    """One line: who conforms or fails, and the figure that matters."""
    if not report.implementations:
        return "Nothing was measured"
    by_verdict = {verdict: _named(report, verdict) for verdict in Verdict}
    if by_verdict[Verdict.FAILS]:
        line = _failing(by_verdict[Verdict.FAILS])
    elif by_verdict[Verdict.INCONCLUSIVE]:
        line = f"Inconclusive: {_names(by_verdict[Verdict.INCONCLUSIVE])}"
        if by_verdict[Verdict.CONFORMS]:
            line += f"; {_conform(by_verdict[Verdict.CONFORMS])}"
    else:
        line = _conforming(by_verdict[Verdict.CONFORMS])
    if overall(report) is Verdict.FAILS and not by_verdict[Verdict.FAILS]:
        line = f"Keras and the reference disagree; {line}"
    interrupted = any(result.interrupted for result in report.implementations)
    return line + (" (interrupted)" if interrupted else "")


def _named(report: Report, verdict: Verdict) -> list[ImplementationResult]:
    return [result for result in report.implementations if result.verdict == verdict]


def _names(results: list[ImplementationResult]) -> str:
    return listing([clean(result.name) for result in results])


def _conform(results: list[ImplementationResult]) -> str:
    return f"{_names(results)} {'conforms' if len(results) == 1 else 'conform'}"


def _failing(results: list[ImplementationResult]) -> str:
    if len(results) == 1 and (wrong := what_is_wrong(results[0])):
        return f"{_names(results)} {clean(wrong)}"
    causes = sum(len(unexpected(result)) for result in results)
    who = f"{_names(results)} {'fails' if len(results) == 1 else 'fail'}"
    return f"{plural(causes, 'cause')}: {who}" if causes else who


def _conforming(results: list[ImplementationResult]) -> str:
    cases = sum(result.cases for result in results)
    checks = len({check for result in results for check in result.checks})
    line = f"{_conform(results)}: {plural(checks, 'check')} on {plural(cases, 'case')}"
    known = sum(result.expected_failures for result in results)
    return line + (f", {plural(known, 'expected failure')}" if known else "")
