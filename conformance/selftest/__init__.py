"""The suite's power: what it catches of the faults that people have reported."""

from __future__ import annotations

from conformance.selftest.document import document, line, summary
from conformance.selftest.running import Outcome, Row, Selftest

__all__ = ["Outcome", "Row", "Selftest", "document", "line", "summary"]
