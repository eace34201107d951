"""The tables in docs/reference.md agree with the program: names, options, checks, records."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
from typer.main import get_command

from conformance import results
from conformance.adapters.keras_modes import MODES
from conformance.checks import CHECKS
from conformance.cli import app
from conformance.targets import ADAPTERS, adapter_of

ROOT = Path(__file__).parents[1]
REFERENCE = (ROOT / "docs" / "reference.md").read_text("utf-8")


def rows(head: str) -> list[list[str]]:
    """The cells of the table whose first line begins with `head`."""
    _, _, rest = REFERENCE.partition(f"\n{head}")
    assert rest, f"docs/reference.md has no table {head}"
    lines = rest.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_table_of_checks_is_complete():
    assert rows("| name | rule |") == [[f"`{c.name}`", c.rule] for c in CHECKS.values()]


def test_the_table_of_commands_is_complete():
    named = [row[0].strip("`") for row in rows("| command | what it does |")]
    wanted = [
        f"conv2d-conformance {name} {part}".strip()
        for name, command in get_command(app).commands.items()
        for part in getattr(command, "commands", [""])
    ]
    assert len(named) == len(wanted)
    for command in wanted:
        assert any(f"{name} ".startswith(f"{command} ") for name in named), command


def test_the_table_of_options_is_complete():
    named = [re.match(r"`(--[a-z-]+)", row[0])[1] for row in rows("| option | meaning |")]
    run = get_command(app).commands["run"]
    options = [{*option.opts, *option.secondary_opts} - {"--help"} for option in run.params]
    assert all(known & {*named} for known in options if known)
    assert {*named} <= set().union(*options)


def test_the_table_of_adapters_is_complete():
    named = [(name, extra) for name, _, extra in rows("| name | what it is | extra |")]
    for name in ADAPTERS:
        extra = adapter_of(name).extra
        assert (f"`{name}`", f"`{extra}`" if extra else "") in named
    assert len(named) == len(ADAPTERS)


def test_the_table_of_modes_is_complete():
    assert [name for name, _ in rows("| mode |")] == [f"`{name}`" for name in MODES]


@pytest.mark.parametrize(
    "record",
    [
        results.Report,
        results.ImplementationResult,
        results.Finding,
        results.Cause,
        results.Capability,
    ],
)
def test_every_key_of_a_record_is_named(record: type):
    section = REFERENCE.partition("## results.json")[2].partition("\n## ")[0]
    for key in fields(record):
        assert f"`{key.name}`" in section
