"""The report of a campaign as a web page and as junit.xml, made from plain records."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from conformance.report.html import write_html
from conformance.report.junit import write_junit
from conformance.results import Report

FILES: dict[str, Callable[[Report, Path], None]] = {
    "results.json": Report.write_json,
    "junit.xml": write_junit,
    "report.html": write_html,
}


def write_all(report: Report, directory: Path) -> Path:
    """Write results.json, junit.xml and report.html into `directory`; returns the last.

    Each file is written beside its place and moved there whole, so that an earlier report stays as
    it is where there is no room for a new one.

    Raises:
        OSError: one of them cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    beside = {name: directory / f".{name}.{os.getpid()}" for name in FILES}
    try:
        for name, write in FILES.items():
            write(report, beside[name])
        for name, path in beside.items():
            path.replace(directory / name)
    finally:
        for path in beside.values():
            path.unlink(missing_ok=True)
    return directory / "report.html"


__all__ = ["write_all", "write_html", "write_junit"]
