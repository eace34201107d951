"""The report of a campaign as a web page and as junit.xml, made from plain records."""

from __future__ import annotations

import errno
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

    Each file is written beside its place, brought to the disk and moved there whole, so that an
    earlier report stays as it is where there is no room for a new one.

    Raises:
        OSError: one of them cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if (directory / name).is_dir():
            raise IsADirectoryError(errno.EISDIR, f"{name} is a folder")
    beside = {name: directory / f".{name}.{os.getpid()}" for name in FILES}
    try:
        for name, write in FILES.items():
            write(report, beside[name])
            _bring_to_disk(beside[name])
        for name, path in beside.items():
            path.replace(directory / name)
    finally:
        for path in beside.values():
            path.unlink(missing_ok=True)
    return directory / "report.html"


def _bring_to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


__all__ = ["write_all", "write_html", "write_junit"]
