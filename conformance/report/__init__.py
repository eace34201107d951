"""The report of a campaign as a web page, as junit.xml and in Markdown, made from plain records."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from conformance.folder import beside
from conformance.report.html import write_html
from conformance.report.junit import write_junit
from conformance.report.markdown import render as in_markdown
from conformance.report.markdown import write_markdown
from conformance.results import Listing, Report

MOST_OF_A_JOB = 2**20  # bytes; GitHub drops a summary that is larger

PAGE = "report.html"
FILES: dict[str, Callable[..., None]] = {
    "results.json": Report.write_json,
    "junit.xml": write_junit,
    "summary.md": write_markdown,
    PAGE: write_html,
}


def write_all(report: Report, directory: Path, listing: Listing | None = None) -> Path:
    """Write results.json, junit.xml, summary.md and report.html into `directory`; returns the last.

    The page has all results where there is a `listing`.

    Each file is written beside its place, brought to the disk and moved there whole, so that an
    earlier report stays as it is where there is no room for a new one.

    Raises:
        OSError: one of them cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if (directory / name).is_dir():
            raise IsADirectoryError(errno.EISDIR, f"{name} is a folder")
    written = {name: beside(directory / name) for name in FILES}
    try:
        for name, write in FILES.items():
            if name == PAGE:
                write(report, written[name], listing)
            else:
                write(report, written[name])
            _bring_to_disk(written[name])
        with _undisturbed():
            for name, path in written.items():
                path.replace(directory / name)
    finally:
        for path in written.values():
            path.unlink(missing_ok=True)
    return directory / PAGE


def append_to_job(report: Report) -> None:
    """Add the summary to that of a job on GitHub, if this is one and there is room.

    Raises:
        OSError: it cannot be written.
    """
    named = os.environ.get("GITHUB_STEP_SUMMARY")
    if not named:
        return
    text = in_markdown(report).encode("utf-8") + b"\n"
    path = Path(named)
    there = path.stat().st_size if path.exists() else 0
    if there + len(text) <= MOST_OF_A_JOB:
        with path.open("ab") as file:
            file.write(text)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C and SIGTERM are ignored, so that no two files are of different reports."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = signal.SIGINT, signal.SIGTERM
    before = {name: signal.signal(name, lambda number, frame: None) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _bring_to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


__all__ = ["append_to_job", "write_all", "write_html", "write_junit", "write_markdown"]
