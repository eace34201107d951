"""docs/power.md, and the lines that a terminal shows."""

from __future__ import annotations

import math

from conformance.selftest.elsewhere import DRAWS
from conformance.selftest.running import Outcome, Row

COMMAND = "conv2d-conformance selftest --out docs/power.md"


def line(row: Row) -> str:
    """A row on a terminal."""
    at = "survives" if not row.is_caught else f"{row.at:g}"
    return f"{row.fault.name:<29} {at:>8}  {', '.join(row.checks):<32} {_named(row)}".rstrip()


def summary(outcome: Outcome) -> list[str]:
    """What the rows come to."""
    rows = outcome.rows
    caught = sum(row.is_caught for row in rows)
    single = [row for row in rows if row.fault.is_diagnosis]
    others = [row for row in rows if not row.fault.is_diagnosis]
    lines = [
        f"{caught} of {len(rows)} faults are caught within the default budget, "
        f"half of them by configuration {outcome.median:g}.",
        f"{sum(row.is_named for row in single)} of the {len(single)} that a single call tells are "
        f"named, and {sum(row.is_named for row in others)} of the {len(others)} that depend on "
        f"earlier calls, on memory or on chance; {len(outcome.misnamed)} are taken for another.",
    ]
    lines += [f"{row.fault.name} survives." for row in outcome.survivors]
    lines += [
        f"{row.fault.name} is taken for {', '.join(sorted(row.names))}." for row in outcome.misnamed
    ]
    for name, failures in outcome.correct.items():
        lines += [f"Correct, and fails: {name}, {failure}." for failure in failures]
    if not any(outcome.correct.values()):
        lines.append(f"None of {len(outcome.correct)} correct implementations fails.")
    return lines


def document(outcome: Outcome) -> str:
    """The page."""
    rows = outcome.rows
    first = [row for row in rows if row.fault.first_sight is not None]
    seen = sum(row.fault.first_sight is True for row in first)
    minutes = max(math.ceil(outcome.seconds / 60), 1)
    parts = [
        "# What the suite catches\n",
        f"Made by `{COMMAND}`, which takes {minutes} minutes of processor time. Do not edit.\n",
        f"Each of {len(rows)} faults imitates one that somebody has reported, some of them on "
        "another axis or argument, as an implementation "
        f"that runs. Each was put to the default budget with {outcome.seeds} seeds and stopped at "
        "its first failure. One that depends on earlier calls is named by what of them shows, "
        "and one that depends on chance by what its results have in common, if that is anything.\n",
        "\n".join(f"- {text}" for text in summary(outcome)),
        f"- {len(first)} faults were written before the plan was run on them. It caught {seen} of "
        f"them as it was: {_percent(seen, len(first))}.\n",
        "## Other suites\n",
        "The same faults, put to the configurations of two other suites with their tolerances:\n",
        "| suite | configurations | faults seen |\n|---|---|---|",
        f"| Keras 3.15, `test_conv2d` in `conv_test.py`, {DRAWS} runs | 6 | "
        f"{_seen(rows, 'Keras')} |",
        "| ONNX 1.23, the node cases of `Conv` that `padding` can say | 5 | "
        f"{_seen(rows, 'ONNX')} |",
        f"| this suite, default budget, {outcome.seeds} seeds | about 1,800 | "
        f"{sum(row.is_caught for row in rows)} |\n",
        "## Correct implementations\n",
        "They ran to the end of the same plans.\n",
        "| implementation | failures |\n|---|---|",
        *(f"| {name} | {'; '.join(found) or 'none'} |" for name, found in outcome.correct.items()),
        "\n## The faults\n",
        "*At* is the configuration of the first failure, the median over seeds. *Named* says "
        "whether the suite names this fault as the cause, or what it shows of earlier calls, with "
        "at least one seed and never another.\n",
        "| fault: a convolution that ... | kind | report | at | check | named | seen by |",
        "|---|---|---|---|---|---|---|",
        *map(_table_row, rows),
        "",
    ]
    return "\n".join(parts)


def _table_row(row: Row) -> str:
    fault = row.fault
    at = f"{row.at:g}" if row.is_caught else "survives"
    report = f"[{fault.source}]({fault.address})"
    cells = (
        f"`{fault.name}`: {fault.sentence}",
        fault.kind,
        report,
        at,
        ", ".join(f"`{check}`" for check in row.checks),
        _named(row),
        ", ".join(sorted(row.seen_by)),
    )
    return f"| {' | '.join(cells)} |"


def _named(row: Row) -> str:
    if row.is_misnamed:
        return f"as {', '.join(sorted(row.names))}"
    if not row.is_named:
        return "no"
    return "yes" if row.right_name == row.fault.name else f"`{row.right_name}`"


def _seen(rows: tuple[Row, ...], name: str) -> int:
    return sum(name in row.seen_by for row in rows)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "none"
