"""The report of a campaign as a web page and as junit.xml, made from plain records."""

from __future__ import annotations

from conformance.report.html import write_html
from conformance.report.junit import write_junit

__all__ = ["write_html", "write_junit"]
