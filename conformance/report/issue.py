"""A cause as an issue for whoever maintains the implementation, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.causes import explanation, sentence, shown, where
from conformance.printable import clean, in_a_line
from conformance.report.text import chips
from conformance.results import Cause, Finding, ImplementationResult, Report

_AROUND = ("python", "numpy", "platform")


def issue(
    cause: Cause, findings: Sequence[Finding], result: ImplementationResult, report: Report
) -> str:
    """Title, what happens and where, the script that fails, and versions."""
    one = shown(findings)
    lines = [
        f"# {in_a_line(f'{result.given_name}: {sentence(cause)}')}",
        "",
        in_a_line(one.message),
        "",
    ]
    explained = explanation(cause, findings)
    if explained:
        lines += [in_a_line(explained), ""]
    if condition := where(cause):
        lines += [f"Where `{in_a_line(condition)}`.", ""]
    if one.evidence is not None and one.evidence.judgement:
        lines += [in_a_line(one.evidence.judgement), ""]
    if one.reproducer:
        fence = "```"
        while fence in one.reproducer:
            fence += "`"
        lines += ["This fails until it is fixed:", ""]
        lines += [f"{fence}python", clean(one.reproducer).rstrip("\n"), fence, ""]
    around = {name: report.environment.get(name, "") for name in _AROUND}
    versions = [result.version, *(f"{name} {value}" for name, value in around.items() if value)]
    lines += [
        f"Checks: {chips(findings)}. Versions: {in_a_line('; '.join(filter(None, versions)))}."
    ]
    return "\n".join(lines) + "\n"
