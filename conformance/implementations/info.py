"""Who is measured, as plain data that other processes can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from conformance.calls import Kind
from conformance.capabilities import EVERYTHING, Capabilities
from conformance.pickling import pickled_once


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproducer:
    """How the script of a finding brings in what is measured.

    Attributes:
        imports: its first lines, where an ImportError says that there is nothing to be tested.
        defines: its next ones.
        made_by: the expression of the function, or of what makes the layer; empty where only
            ``implementation.prepare`` knows.
        called: the expression that is called with x, where ``layer`` is the layer.
        array: the expression of a function that makes an array of what a call returns.
        may_overwrite: as in `Implementation`.
    """

    imports: tuple[str, ...] = ()
    defines: tuple[str, ...] = ()
    made_by: str = "implementation"
    called: str = "layer"
    array: str = "np.asarray"
    may_overwrite: bool = True


@pickled_once
@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """What `Implementation.info` tells.

    Attributes:
        name, kind, version, capabilities, declared, answers, costly_calls, recorded,
            runs_own_process, known_as, onednn, modes: as in `Implementation`.
        reproducer: how the script of a finding reaches it.
        named: whether another process can find it by its name.
        isa: the instruction set of the processor that it runs on, see `conformance.machine`.
        expected_failures: the entries it carries itself.
    """

    name: str
    kind: str
    version: str = ""
    capabilities: Capabilities | None = None
    declared: Capabilities = EVERYTHING
    costly_calls: bool = False
    recorded: bool = False
    runs_own_process: bool = False
    answers: frozenset[Kind] = frozenset(Kind)
    modes: tuple[str, ...] = ()
    reproducer: Reproducer = field(default_factory=Reproducer)
    named: bool = True
    known_as: tuple[str, ...] = ()
    onednn: bool | None = None
    isa: str = ""
    expected_failures: tuple[Mapping[str, Any], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names by which entries of expected failures find it."""
        return self.name, *self.known_as

    @property
    def surroundings(self) -> dict[str, object]:
        """What conditions may say of where it runs."""
        return {"onednn": self.onednn, "isa": self.isa}

    def __hash__(self) -> int:
        return hash((self.name, self.kind, self.version))

    def to_tree(self) -> dict[str, Any]:
        """This as numbers, texts and lists of them; the entries may hold anything."""
        return {**asdict(self), "answers": sorted(self.answers)}

    @classmethod
    def from_tree(cls, tree: Mapping[str, Any]) -> Info:
        """The inverse of `to_tree`.

        Raises:
            KeyError, TypeError, ValueError, UsageError: it is no such tree.
        """
        given = {f.name: tree[f.name] for f in fields(cls)}
        claimed = given["capabilities"]
        made = given["reproducer"]
        return cls(
            **{
                **given,
                "name": str(given["name"]),
                "kind": "layer" if given["kind"] == "layer" else "function",
                "version": str(given["version"]),
                "capabilities": None if claimed is None else Capabilities(**claimed),
                "declared": Capabilities(**given["declared"]),
                "answers": frozenset(map(Kind, given["answers"])),
                "modes": tuple(map(str, given["modes"])),
                "reproducer": Reproducer(
                    imports=tuple(map(str, made["imports"])),
                    defines=tuple(map(str, made["defines"])),
                    made_by=str(made["made_by"]),
                    called=str(made["called"]),
                    array=str(made["array"]),
                    may_overwrite=bool(made.get("may_overwrite", True)),
                ),
                "known_as": tuple(map(str, given["known_as"])),
                "onednn": None if given["onednn"] is None else bool(given["onednn"]),
                "isa": str(given["isa"]),
                "expected_failures": tuple(map(dict, given["expected_failures"])),
            }
        )
