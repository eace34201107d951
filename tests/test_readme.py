"""What README says of the checks is what the checks say of themselves."""

from __future__ import annotations

from pathlib import Path

from conformance.checks import CHECKS

README = Path(__file__).parents[1].joinpath("README.md").read_text("utf-8")


def test_the_table_of_checks_is_complete():
    for check in CHECKS.values():
        assert f"| `{check.name}` |" in README
        assert check.rule in README
