"""Words and numbers as the reports print them."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence

from conformance.results import Status

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
    Status.UNEXPECTED_PASS: "unexpected pass",
    Status.EXPECTED_FAILURE: "expected failure",
    Status.PASSED: "passed",
    Status.UNSUPPORTED: "unsupported",
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


def replay_command(case: str, implementation: str) -> str:
    """The command that runs `case` again; the case is always quoted."""
    quoted = f"'{case}'" if "'" not in case else shlex.quote(case)
    return f"conv2d-conformance replay {quoted} --impl {shlex.quote(implementation)}"
