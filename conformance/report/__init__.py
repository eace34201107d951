"""The report of a campaign as a web page and as junit.xml, made from plain records."""

from __future__ import annotations

from pathlib import Path

from conformance.report.html import write_html
from conformance.report.junit import write_junit
from conformance.results import Report


def write_all(report: Report, directory: Path) -> Path:
    """Write results.json, junit.xml and report.html into `directory`; returns the last."""
    directory.mkdir(parents=True, exist_ok=True)
    report.write_json(directory / "results.json")
    write_junit(report, directory / "junit.xml")
    write_html(report, directory / "report.html")
    return directory / "report.html"


__all__ = ["write_all", "write_html", "write_junit"]
