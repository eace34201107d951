"""summary.md: verdicts and causes, for a comment or the summary of a job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from conformance.causes import explanation, members, sentence, shown, unexpected
from conformance.printable import in_a_line
from conformance.report.text import capitalized, chips, fails_where, plural, replay_command
from conformance.report.verdict import title
from conformance.results import Cause, ImplementationResult, Report

MOST_BYTES = 60_000  # a comment on GitHub holds 64 kB
MOST_CAUSES = 10
_MARKUP = str.maketrans(
    {mark: f"\\{mark}" for mark in "\\`*_[]#"} | {mark: f"&#{ord(mark)};" for mark in "&<>|"}
)


def write_markdown(report: Report, path: Path) -> None:
    """Write the summary of `report` to `path`."""
    path.write_text(render(report), encoding="utf-8", newline="\n")


def render(report: Report) -> str:
    """The summary; what does not fit is left out, and said so."""
    parts = ["\n".join(_verdicts(report))]
    for result in report.implementations:
        causes = unexpected(result)
        parts += ["\n".join(_cause(cause, result)) for cause in causes[:MOST_CAUSES]]
        if len(causes) > MOST_CAUSES:
            parts.append(f"And {plural(len(causes) - MOST_CAUSES, 'more cause')}.")
    kept: list[str] = []
    for part in parts:
        if sum(len(p.encode()) + 2 for p in (*kept, part)) > MOST_BYTES:
            kept.append("The rest does not fit here; `report.html` has all of it.")
            break
        kept.append(part)
    return "\n\n".join(kept) + "\n"


def _verdicts(report: Report) -> Iterator[str]:
    yield f"## {_plain(title(report))}"
    yield ""
    yield "| implementation | verdict | cause | cases | expected failures |"
    yield "|---|---|---|---|---|"
    for result in report.implementations:
        causes = unexpected(result)
        told = _plain(capitalized(sentence(causes[0]))) if causes else ""
        if len(causes) > 1:
            told += f"; {plural(len(causes) - 1, 'more cause')}"
        numbers = f"{result.cases:,}", f"{result.expected_failures:,}"
        row = _code(result.name), str(result.verdict), told, *numbers
        yield f"| {' | '.join(row)} |"
    yield ""
    for line in report.headline:
        yield f"- {_plain(line)}"


def _cause(cause: Cause, result: ImplementationResult) -> Iterator[str]:
    findings = members(cause, result.findings)
    one = shown(findings)
    explained = explanation(cause, findings)
    yield f"### {_code(result.name)}: {_plain(cause.what)}"
    yield ""
    if explained:
        yield f"{_plain(explained)}"
        yield ""
    if where := fails_where(cause, findings):
        yield f"- {_plain(where)}"
    yield f"- {_plain(chips(findings))}"
    yield f"- {_code(one.message or one.cause)}"
    if cause.advice:
        yield f"- {_plain(capitalized(cause.advice))}."
    again = replay_command(one.minimal_case, result.given_name, named=result.named)
    yield f"- {_code(again)}"


def _plain(text: str) -> str:
    """Foreign text that is no markup."""
    return in_a_line(text).translate(_MARKUP)


def _code(text: str) -> str:
    line = in_a_line(text).replace("|", "\N{BROKEN BAR}")
    fence = "`"
    while fence in line:
        fence += "`"
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"
