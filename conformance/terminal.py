"""What the command line prints: a report in a screen, and how far a campaign is."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from conformance.causes import members, shown, unexpected
from conformance.differences import Differences
from conformance.printable import clean
from conformance.report.text import cause_lines, duration, plural, replay_command
from conformance.results import ImplementationResult, Report

MOST_CAUSES = 5  # of one implementation; the report has all of them
MOST_REASONS = 3
LONGEST = 200  # characters of a reason in foreign words
NARROWEST = 40
EVERY = 10.0  # seconds between two lines where there is no terminal


def say(text: str, *, verbatim: bool = False, err: bool = False) -> None:
    """Print a line that may hold foreign text, folded to the width of a terminal.

    What is `verbatim` is left in one piece, to be copied.
    """
    stream = sys.stderr if err else sys.stdout
    for line in clean(text).splitlines() or [""]:
        encoding = getattr(stream, "encoding", None) or "utf-8"
        line = line.encode(encoding, "replace").decode(encoding)
        typer.echo(line if verbatim or not stream.isatty() else _folded(line), err=err)


def _folded(line: str) -> str:
    width = max(shutil.get_terminal_size().columns, NARROWEST)
    indent = " " * (len(line) - len(line.lstrip()))
    return textwrap.fill(
        line.strip(), width, initial_indent=indent, subsequent_indent=indent + "  ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def tell(report: Report) -> None:
    """Print verdicts, causes and remarks of a report."""
    for line in report.headline:
        say(line)
    for result in report.implementations:
        told = list(_about(result))
        if told:
            say(f"{result.name} {result.version}".rstrip())
        for text, verbatim in told:
            say(f"  {text}", verbatim=verbatim)


def tell_differences(found: Differences) -> None:
    """Print what changed between two runs."""
    for heading, changes in (
        ("new", found.new), ("no longer expected", found.unlisted), ("fixed", found.fixed),
        ("still failing", found.still), ("now expected", found.expected),
    ):  # fmt: skip
        for change in changes:
            checks = ", ".join(change.checks)
            say(f"{heading}: {change.implementation}: {change.cause} ({checks})")
            if heading == "new":
                say(f"  {change.case}", verbatim=True)
                say(f"  {change.message}")
    for refusal in found.unsupported:
        reason = textwrap.shorten(clean(refusal.reason), LONGEST, placeholder=" ...")
        say(f"newly unsupported: {refusal.implementation} {reason} ({refusal.count})")
    for name in found.gone:
        say(f"not measured any more: {name}")
    for name in found.added:
        say(f"not measured before: {name}")
    if found.settings:
        say("The runs did not try the same cases:")
    for name, (before, now) in {**found.settings, **found.environment}.items():
        say(f"  {name}: {before} -> {now}")
    say(found.summary)


def first_replay(report: Report) -> str:
    """The command that runs the first thing again that is wrong, or empty."""
    for result in report.implementations:
        for cause in unexpected(result):
            findings = [f for f in members(cause, result.findings) if f.doubt != "chance"]
            if not findings:
                continue
            case = shown([f for f in findings if not f.doubt] or findings).minimal_case
            return replay_command(case, result.given_name, named=result.named)
    return ""


def _about(result: ImplementationResult) -> Iterator[tuple[str, bool]]:
    """What there is to tell beyond the verdict, and whether it is printed in one piece."""
    causes = unexpected(result)
    for cause in causes[:MOST_CAUSES]:
        findings = members(cause, result.findings)
        for line in cause_lines(cause, findings):
            yield line, shown(findings).minimal_case in line
    if len(causes) > MOST_CAUSES:
        yield f"and {plural(len(causes) - MOST_CAUSES, 'more cause')} in the report", False
    for item in result.unsupported[:MOST_REASONS]:
        reason = textwrap.shorten(clean(item.reason), LONGEST, placeholder=" ...")
        yield f"unsupported in {plural(item.count, 'case')}: {reason}", False
    if len(result.unsupported) > MOST_REASONS:
        more = plural(len(result.unsupported) - MOST_REASONS, "more reason")
        yield f"unsupported for {more}", False
    whole = result.plan.get("parts", {}).get("ladders")  # a part of a plan is weak by itself
    for line in (*(result.weak if whole else ()), *result.notes):
        yield line, False


# How far it is ------------------------------------------------------------------------------------


@contextmanager
def shown_progress() -> Iterator[Callable[[Any], None]]:
    """One bar for everything on a terminal; elsewhere one plain line every ten seconds."""
    if sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield _plain_lines()


@contextmanager
def _bar() -> Iterator[Callable[[Any], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.table import Column

    columns = (
        TaskProgressColumn(),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[left]}", table_column=Column(no_wrap=True)),
        TextColumn(
            "{task.description}",
            markup=False,
            table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
        ),
    )
    left = _Left()
    with Progress(*columns, console=Console(stderr=True), transient=True, expand=True) as bars:
        task = bars.add_task("starting", total=1.0, left="")

        def show(where: Any) -> None:
            bars.update(
                task,
                completed=where.share,
                description=f"{clean(where.name)}: {where.stage}",
                left=left.after(where.share),
            )

        yield show


class _Left:
    """How long it will take, judged from the first case on: starting an engine tells nothing."""

    def __init__(self) -> None:
        self._began: tuple[float, float] | None = None  # time and share

    def after(self, share: float) -> str:
        """``3 min 5 s left``; empty until there is something to judge by."""
        now = time.monotonic()
        if self._began is None and share > 0:
            self._began = now, share
        if self._began is None or now - self._began[0] < 1 or share - self._began[1] < 0.02:
            return ""
        pace = (now - self._began[0]) / (share - self._began[1])
        return f"{duration(pace * (1 - share))} left"


def _plain_lines() -> Callable[[Any], None]:
    last, left = time.monotonic(), _Left()

    def show(where: Any) -> None:
        nonlocal last
        remaining = left.after(where.share)
        if time.monotonic() - last < EVERY:
            return
        last = time.monotonic()
        of = f" of {where.total}" if where.total else ""
        say(
            f"{where.share:.0%}: {where.name}: {where.stage}, {where.done}{of} configurations"
            + (f", {remaining}" if remaining else ""),
            err=True,
        )

    return show
