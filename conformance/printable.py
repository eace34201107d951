"""Text that may be printed anywhere: foreign one cleaned, and numbers with their nouns."""

from __future__ import annotations

import re

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])")
# What XML 1.0 does not allow, and what changes the direction of the text after it.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]"
)


def clean(text: str) -> str:
    """`text` without terminal colours, and with a mark for each character that cannot be shown."""
    text = _ANSI.sub("", text).replace("\r\n", "\n")
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def in_a_line(text: str) -> str:
    """`text` as `clean` leaves it, in one line."""
    return " ".join(clean(text).split())


def plural(number: int, noun: str, many: str = "") -> str:
    """``1 case``, ``2,000 cases``."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"
