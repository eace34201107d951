"""What an implementation claims, beside what became of the smallest case that needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from conformance.results import Capability, Finding, ImplementationResult, Status

# state: its glyph, and the state in words.
STATES = {
    "kept": ("passed", "claimed, works"),
    "broken": ("failed", "claimed, refused or fails"),
    "known": ("expected_failure", "claimed, fails as expected"),
    "beyond": ("beyond", "not claimed, works"),
    "absent": ("unsupported", "not claimed, refused or fails"),
    "found": ("found", "nothing declared, works"),
    "lacking": ("unsupported", "nothing declared, refused or fails"),
}
_CLAIMED = {True: "yes", False: "no", None: "not declared"}
_ALGORITHMS = {"winograd": "Winograd", "fft": "FFT"}


@dataclass(frozen=True, slots=True)
class Claim:
    """One capability of one implementation; `target` is the anchor of its finding, or empty."""

    need: str
    claimed: str
    works: bool
    state: str
    note: str
    case: str
    target: str

    @property
    def icon(self) -> str:
        return STATES[self.state][0]

    @property
    def words(self) -> str:
        return STATES[self.state][1]

    @property
    def result(self) -> str:
        """What became of the smallest case."""
        if self.state == "beyond":
            return "works, though not claimed"
        return self.words.partition(", ")[2]

    @property
    def tooltip(self) -> str:
        """Everything in one line."""
        return f"{self.need}: {self.words}; {self.note or self.case}"


def claims_of(
    result: ImplementationResult, findings: list[tuple[Finding, str]]
) -> dict[str, Claim]:
    """Need -> claim; `findings` are those of the implementation with their anchors."""
    return {
        capability.need: _claim(capability, _finding_of(capability, findings))
        for capability in result.capabilities
    }


def area(result: ImplementationResult) -> str:
    """One sentence: how much is claimed, or asked where nothing is declared; empty if unknown."""
    if not result.area:
        return ""
    claimed, total = result.area["claimed"], result.area["total"]
    missing = ", ".join(result.area["missing"])
    what = "claimed" if result.declared is not None else "asked"
    share = f"All {total}" if claimed == total else f"{claimed} of {total}"
    line = f"{share} combinations of what a case can need are {what}"
    line += f"; not {what}: {missing}." if missing else "."
    return line if result.declared is not None else f"It declares nothing. {line}"


def short_area(result: ImplementationResult) -> str:
    """``64/96``, or empty."""
    return f"{result.area['claimed']}/{result.area['total']}" if result.area else ""


def declarations(result: ImplementationResult) -> list[str]:
    """What is declared beyond the capabilities that are probed, where it is not the default."""
    declared: dict[str, Any] = result.declared or {}
    lines = []
    if algorithm := _ALGORITHMS.get(declared.get("algorithm", "direct")):
        lines.append(f"Computes with {algorithm}; judged by a bound for the whole sample.")
    match declared.get("accumulation"):
        case None:
            pass
        case "float32":
            lines.append("Sums are held to float32, for float64 data too.")
        case "float64":
            lines.append("Sums are held to float64, for all data.")
        case narrow:
            lines.append(f"Sums of 16-bit data are held to {narrow}.")
    if not declared.get("deterministic", True):
        lines.append("A repeated call may give other bits.")
    if declared.get("flushes_subnormals", False):
        lines.append("Numbers below the normal range may count as 0.")
    if declared.get("gradients", False):
        lines.append("Has gradients, which are checked.")
    if not declared.get("symbolic_shapes", True):
        lines.append("Its compute_output_shape takes no unknown sizes.")
    return lines


def held_to(result: ImplementationResult) -> dict[str, str]:
    """The precision of the sums by label, and the algorithm where it is not direct."""
    declared: dict[str, Any] = result.declared or {}
    facts = {"float64 sums held to": result.accumulation}
    if result.accumulation in ("float16", "bfloat16"):  # declared for 16-bit data only
        facts = {"float64 sums held to": "float64", "16-bit sums held to": result.accumulation}
    if algorithm := _ALGORITHMS.get(declared.get("algorithm", "direct")):
        facts["algorithm"] = algorithm
    return facts


def _claim(capability: Capability, found: tuple[Finding, str] | None) -> Claim:
    return Claim(
        need=capability.need,
        claimed=_CLAIMED[capability.claimed],
        works=capability.works,
        state=_state(capability, found),
        note=capability.note,
        case=capability.case,
        target=found[1] if found else "",
    )


def _state(capability: Capability, found: tuple[Finding, str] | None) -> str:
    if capability.claimed is None:
        return "found" if capability.works else "lacking"
    if not capability.claimed:
        return "beyond" if capability.works else "absent"
    if capability.works:
        return "kept"
    expected = found is not None and found[0].status == Status.EXPECTED_FAILURE
    return "known" if expected else "broken"


def _finding_of(
    capability: Capability, findings: list[tuple[Finding, str]]
) -> tuple[Finding, str] | None:
    """The finding that shows the probe of something claimed, if there is one."""
    if capability.works or not capability.claimed:
        return None
    shown = [item for item in findings if item[0].minimal_case == capability.case]
    return next((item for item in shown if capability.need in item[0].cause), *shown[:1] or (None,))
