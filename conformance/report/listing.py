"""All results as one inert block of the page, which its script unpacks."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable
from itertools import count

from conformance.report.matrix import key_of
from conformance.report.text import STATUS_LABELS, clean
from conformance.results import Listing

_LONGEST = 300  # characters of a cause
_NONE, _FIRST = "-", ord("0")  # a class in a string of levels is one character, from `_FIRST` on


class _Numbered:
    """Texts, each written once and then called by its number."""

    def __init__(self) -> None:
        self._numbers = count()
        self.numbers: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        if text not in self.numbers:
            self.numbers[text] = next(self._numbers)
        return self.numbers[text]

    @property
    def texts(self) -> list[str]:
        return list(self.numbers)


def packed(listing: Listing) -> str:
    """`listing` as JSON, deflated, in base64.

    Columns stand one after the other, since like beside like takes the least room: of rows the
    numbers of implementation, case, status, checks and cause; of each kind of class one character a
    case.
    """
    implementations, cases, checks, causes = (_Numbered() for _ in range(4))
    rows = [
        (
            implementations(clean(row.implementation)),
            cases(row.case),
            list(STATUS_LABELS).index(row.status),
            checks(",".join(row.checks)),
            causes(clean(row.cause)[:_LONGEST]),
        )
        for row in listing.rows
    ]
    kinds = {
        key_of(kind): [list(classes), _column(listing, cases.texts, number)]
        for number, (kind, classes) in enumerate(listing.classes.items())
    }
    content = {
        "implementations": implementations.texts,
        "cases": "\n".join(cases.texts),
        "statuses": [[str(status), label] for status, label in STATUS_LABELS.items()],
        "checks": checks.texts,
        "causes": causes.texts,
        "kinds": kinds,
        "rows": list(map(list, zip(*rows, strict=True))) or [[]] * 5,
    }
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    return base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), 9)).decode("ascii")


def _column(listing: Listing, cases: Iterable[str], number: int) -> str:
    levels = (listing.levels[case][number] for case in cases)
    return "".join(_NONE if level is None else chr(_FIRST + level) for level in levels)
