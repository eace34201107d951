"""One implementation when it is done, as plain data that the journal keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
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
        seconds: what it took.
        decided: whether anything of the plan was decided, not only of the probes.
        entries, refusal, memory_restarts, slow_restarts, replayed: as in `Tally`.
    """

    info: Info
    result: ImplementationResult
    stopped: str = ""
    entries: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: float = 0.0
    decided: bool = True
    refusal: str = ""
    memory_restarts: int = 0
    slow_restarts: int = 0
    replayed: dict[str, str] = field(default_factory=dict)

    def to_tree(self) -> dict[str, Any]:
        """This as numbers, texts and lists of them."""
        return {
            "info": self.info.to_tree(),
            "result": asdict(self.result),
            "stopped": self.stopped,
            "entries": self.entries,
            "seconds": self.seconds,
            "decided": self.decided,
            "refusal": self.refusal,
            "memory_restarts": self.memory_restarts,
            "slow_restarts": self.slow_restarts,
            "replayed": self.replayed,
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
        return cls(
            Info.from_tree(tree["info"]),
            result,
            str(tree["stopped"]),
            {entry: dict(met) for entry, met in dict(tree["entries"]).items()},
            float(tree["seconds"]),
            decided=bool(tree["decided"]),
            refusal=str(tree["refusal"]),
            memory_restarts=int(tree["memory_restarts"]),
            slow_restarts=int(tree["slow_restarts"]),
            replayed=dict(tree["replayed"]),
        )


@cache
def _records() -> TypeAdapter[Any]:
    return TypeAdapter(ImplementationResult)
