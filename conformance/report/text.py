"""Words and numbers as the reports print them."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Sequence
from typing import Any

from conformance.condition import in_words
from conformance.results import Finding, Status

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
# What XML 1.0 does not allow, and what changes the direction of the text after it.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]"
)

STATUS_LABELS = {
    Status.FAILED: "failed",
    Status.CRASHED: "crashed",
    Status.TIMED_OUT: "timed out",
    Status.HARNESS_ERROR: "harness error",
    Status.FLAKY: "flaky",
    Status.UNEXPECTED_PASS: "unexpected pass",
    Status.EXPECTED_FAILURE: "expected failure",
    Status.PASSED: "passed",
    Status.UNSUPPORTED: "unsupported",
}

# An unexpected pass has no such label: a condition would only tell it from other passes.
WHERE_LABELS = {
    Status.FAILED: "Fails where",
    Status.EXPECTED_FAILURE: "Fails where",
    Status.CRASHED: "Crashes where",
    Status.TIMED_OUT: "Times out where",
    Status.HARNESS_ERROR: "Goes wrong where",
}


def clean(text: str) -> str:
    """`text` without terminal colours, and with a mark for each character that cannot be shown."""
    text = _ANSI.sub("", text).replace("\r\n", "\n")
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def plural(number: int, noun: str, many: str = "") -> str:
    """``1 case``, ``2,000 cases``."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def listing(names: Sequence[str], most: int = 3) -> str:
    """``a``, ``a and b``, ``a, b and c``; beyond `most` names only their number."""
    if len(names) > most:
        return f"{len(names)} implementations"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def percent(part: int, whole: int) -> str:
    """A share rounded down, so that 100 % means all of it and 0 % nothing."""
    if not whole:
        return "0 %"
    share = part * 100 // whole
    return "< 1 %" if part and not share else f"{share} %"


def number(value: float) -> str:
    """A value in at most four significant digits, with a real minus sign."""
    if math.isinf(value):
        return "−∞" if value < 0 else "∞"
    return f"{value:.4g}".replace("-", "−")


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 5 s``, ``2 h 0 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def finding_lines(finding: Finding, again: str = "") -> list[str]:
    """A finding in a few lines of plain text; `again` replaces the smallest case."""
    lines = [
        f"{finding.check}: {finding.cause} ({plural(finding.count, 'case')})",
        f"  {again or finding.minimal_case}",
        f"  {finding.message}",
    ]
    if finding.explanation:
        lines.append(f"  {finding.explanation}")
    if finding.when:
        lines.append(f"  where {in_words(finding.when)}")
    return lines


def replay_command(case: str, implementation: str, *, named: bool = True) -> str:
    """What runs `case` again: a command line, or a call for an object that has no name."""
    quoted = f"'{case}'" if "'" not in case else shlex.quote(case)
    if not named:
        return f"conformance.check({implementation}, case={quoted})"
    return f"conv2d-conformance replay {quoted} --impl {shlex.quote(implementation)}"


def expectable(finding: Finding) -> bool:
    """Whether an expected-failure entry can stand for `finding`: its condition must be known."""
    known = bool(finding.when) or not finding.also_passing
    return finding.status in (Status.FAILED, Status.CRASHED, Status.TIMED_OUT) and known


def expectation(finding: Finding, implementation: str) -> str:
    """The entry of an expected-failure file that covers `finding`."""
    pattern = re.sub(r"([*?\[])", r"[\1]", implementation)
    lines = [
        "[[expected_failure]]",
        f"check = {_toml(finding.check)}",
        f"implementation = {_toml(pattern)}",
        f"reason = {_toml(finding.explanation or finding.cause)}",
        'link = ""',
        "strict = false",
    ]
    if finding.when:
        terms = ", ".join(f"{_key(name)} = {_toml(value)}" for name, value in finding.when.items())
        lines.insert(3, f"when = {{ {terms} }}")
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: Any) -> str:
    """`value` in TOML, whose strings are those of JSON once what cannot be shown is gone."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(clean(value) if isinstance(value, str) else value, ensure_ascii=False)
