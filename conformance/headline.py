"""The first lines of a report, from its records: verdicts, disagreements, who judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conformance.results import KERAS, ImplementationResult, Status, Verdict


def headline(
    results: Sequence[ImplementationResult],
    witness: ImplementationResult | None,
    *,
    measures_keras: bool,
    keras_installed: bool,
) -> list[str]:
    """One sentence each; unlisted disagreements of Keras and the reference come first.

    Args:
        results: what was measured.
        witness: real Keras on a sample, or None.
        measures_keras: whether Keras is among what the campaign measures.
        keras_installed: whether it could have been the witness.
    """
    lines = []
    for result in results:
        lines.append(_sentence(result))
        if result.name == KERAS:
            lines += _disagreements(result)
    if measures_keras:
        return lines
    if witness is not None:
        lines.append(
            f"Expected values come from the reference; real Keras ({witness.version}) was asked "
            f"for {witness.configurations} of the same configurations."
        )
        agreement = _disagreements(witness)
        unlisted = witness.verdict is Verdict.FAILS
        return [*agreement, *lines] if unlisted else [*lines, *agreement]
    why = (
        "real Keras was not asked"
        if keras_installed
        else "Keras with TensorFlow is not installed here"
    )
    return [*lines, f"Expected values come from the reference alone: {why}."]


def _sentence(result: ImplementationResult) -> str:
    tried = f"{_plural(result.cases, 'case')} of {_plural(result.configurations, 'configuration')}"
    unexpected = [f for f in result.findings if f.status is not Status.EXPECTED_FAILURE]
    if result.verdict is Verdict.CONFORMS:
        return f"{result.name} conforms{_extent(result.plan)}: no unexpected failure in {tried}."
    if result.verdict is Verdict.INCONCLUSIVE:
        return f"{result.name} is inconclusive: no value could be judged in {tried}."
    kinds = _plural(len(unexpected), "finding") if unexpected else "failures"
    return f"{result.name} fails: {kinds} in {tried}."


def _disagreements(keras: ImplementationResult) -> list[str]:
    """Where Keras and the reference differ, with who is right; these lead the report."""
    known: dict[str, int] = {}
    lines = []
    for finding in keras.findings:
        if finding.status is Status.EXPECTED_FAILURE:
            known[finding.reason] = known.get(finding.reason, 0) + finding.count
            continue
        judgement = f" {finding.evidence.judgement}" if finding.evidence else ""
        lines.append(
            f"Keras and the reference disagree, unlisted: {finding.check}, {finding.cause}; "
            f"{finding.minimal_case}.{judgement}"
        )
    if not lines:
        lines.append(
            "Real Keras and the reference agree"
            + (" except for known faults of Keras." if known else " on every case.")
        )
    return lines + [
        f"Known fault of {keras.version}: {reason} ({_plural(count, 'case')})."
        for reason, count in known.items()
    ]


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _extent(plan: dict[str, Any]) -> str:
    """On what it conforms: how much of the plan got an answer."""
    if not set(plan.get("parts", ())) - {"given"}:
        return ""
    popular, found = plan["popular"], []
    for name in ("pairs", "triples"):
        met, total = plan[name]["met"], plan[name]["of"]
        # Rounded down: only what is met to the last one is called all.
        found.append(f"all {name}" if met == total else f"{1000 * met // total / 10} % of {name}")
    met = "all" if popular["met"] == popular["of"] else f"{popular['met']} of"
    return f" on {met} {popular['of']} popular layers, {found[0]} and {found[1]} of what it claims"
