"""One implementation when it is done, as plain data that the journal keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from conformance.implementations.info import Info
from conformance.results import ImplementationResult


@dataclass(frozen=True, slots=True)
class Measured:
    """What a campaign keeps of one implementation.

    Attributes:
        info: who was measured.
        result: its record.
        stopped: why not everything planned was run, or empty.
        entries: which entries of expected failures met something.
        seconds: what it took.
        decided: whether anything of the plan was decided, not only of the probes.
    """

    info: Info
    result: ImplementationResult
    stopped: str = ""
    entries: tuple[str, ...] = ()
    seconds: float = 0.0
    decided: bool = True

    def to_tree(self) -> dict[str, Any]:
        """This as numbers, texts and lists of them."""
        return {
            "info": self.info.to_tree(),
            "result": asdict(self.result),
            "stopped": self.stopped,
            "entries": list(self.entries),
            "seconds": self.seconds,
        }

    @classmethod
    def from_tree(cls, tree: Mapping[str, Any]) -> Measured:
        """The inverse of `to_tree`.

        Raises:
            KeyError, TypeError, ValueError, UsageError: it is no such tree.
        """
        # Half of a surrogate pair, which a message may hold, is no text to pydantic.
        text = json.dumps(tree["result"], ensure_ascii=False).encode("utf-8", "replace")
        result: ImplementationResult = _records().validate_json(text, strict=True)
        entries = tuple(map(str, tree["entries"]))
        info = Info.from_tree(tree["info"])
        return cls(info, result, str(tree["stopped"]), entries, float(tree["seconds"]))


@cache
def _records() -> TypeAdapter[Any]:
    return TypeAdapter(ImplementationResult)
