"""The first lines of a report, from its records: verdicts, disagreements, who judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conformance.causes import sentence, unexpected
from conformance.printable import plural
from conformance.results import KERAS, ImplementationResult, MergedRun, Status, Verdict

_SETTINGS = ("seed", "examples", "profile", "max_time")


def headline(
    results: Sequence[ImplementationResult],
    witness: ImplementationResult | Sequence[ImplementationResult] | None,
    *,
    measures_keras: bool,
    keras_installed: bool,
) -> list[str]:
    """One sentence each; unlisted disagreements of Keras and the reference come first.

    What was not run to the end comes last, with the reason.

    Args:
        results: what was measured.
        witness: real Keras on a sample, or None; several in a merged report.
        measures_keras: whether Keras is among what the campaign measures.
        keras_installed: whether it could have been the witness.
    """
    witnesses = [witness] if isinstance(witness, ImplementationResult) else witness or []
    lines, unlisted = [], []
    for result in results:
        lines.append(verdict_sentence(result))
        if result.given_name == KERAS:
            lines += _disagreements(result)
    for one in witnesses:
        lines.append(
            f"Expected values come from the reference, cross-checked by real Keras ({one.version}) "
            f"on {plural(one.configurations, 'configuration')}."
        )
        if one.verdict is Verdict.FAILS:
            unlisted += _disagreements(one)
        else:
            lines += _disagreements(one)
    stopped = [f"{result.name}: {result.stopped}" for result in results if result.stopped]
    if witnesses or measures_keras:
        return [*dict.fromkeys([*unlisted, *lines]), *stopped]
    why = (
        "not cross-checked by real Keras"
        if keras_installed
        else "Keras with TensorFlow is not installed here"
    )
    return [*lines, f"Expected values come from the reference alone: {why}.", *stopped]


def differences(runs: Sequence[MergedRun]) -> list[str]:
    """In what merged runs differ: one sentence on the settings, one on the environments."""
    asked = [f"{name} ({_values(runs, name)})" for name in _SETTINGS if _values(runs, name)]
    if len({str(run.plan) for run in runs}) > 1:
        asked.append("version of the plan")
    keys = dict.fromkeys(key for run in runs for key in run.environment)
    around = [key for key in keys if len({run.environment.get(key) for run in runs}) > 1]
    lines = []
    if asked:
        lines.append(f"The runs differ in {', '.join(asked)}: they did not try the same cases.")
    if around:
        lines.append(f"The runs differ in their environments: {', '.join(around)}.")
    return lines


def _values(runs: Sequence[MergedRun], name: str) -> str:
    """The values of a setting in the order of the runs, empty where all are equal."""
    values = ["none" if run.settings.get(name) is None else run.settings[name] for run in runs]
    distinct = list(dict.fromkeys(map(str, values)))
    return ", ".join(distinct) if len(distinct) > 1 else ""


def verdict_sentence(result: ImplementationResult) -> str:
    """The verdict on one implementation, and what it rests on."""
    tried = f"{plural(result.cases, 'case')} of {plural(result.configurations, 'configuration')}"
    known = result.expected_failures
    beside = f", {plural(known, 'expected failure')}" if known else ""
    if result.verdict is Verdict.CONFORMS:
        extent = _extent(result.plan)
        return f"{result.name} conforms{extent}: no unexpected failure{beside} in {tried}."
    if result.verdict is Verdict.INCONCLUSIVE:
        return f"{result.name} is inconclusive: {_why_open(result)} in {tried}{beside}."
    if wrong := what_is_wrong(result):
        return f"{result.name} {wrong} ({tried}{beside})."
    return f"{result.name} fails: failures{beside} in {tried}."


def _why_open(result: ImplementationResult) -> str:
    failed = sum(f.count for f in result.findings if f.status is Status.HARNESS_ERROR)
    return f"the suite itself failed {plural(failed, 'time')}" if failed else "no value was judged"


def what_is_wrong(result: ImplementationResult) -> str:
    """``is wrong: it swaps ...``, the first cause and how many more; empty where there is none."""
    causes = unexpected(result)
    if not causes:
        return ""
    more = f"; and {plural(len(causes) - 1, 'more cause')}" if len(causes) > 1 else ""
    return f"is wrong: {sentence(causes[0])}{more}"


def _disagreements(keras: ImplementationResult) -> list[str]:
    """Where Keras and the reference differ, and which is correct; these lead the report."""
    lines = []
    for finding in keras.findings:
        if finding.status is Status.EXPECTED_FAILURE:
            continue
        judgement = f" {finding.evidence.judgement}" if finding.evidence else ""
        lines.append(
            f"Keras and the reference disagree where no entry expects it: {finding.check}, "
            f"{finding.cause}; {finding.minimal_case}.{judgement}"
        )
    known = _known_faults(keras)
    if not lines and not keras.cases:
        return []
    if not lines:
        beside = f"except for {known}" if known else "on every case"
        lines = [f"Real Keras and the reference agree {beside}."]
    elif known:
        lines.append(f"They also differ by {known}.")
    return lines


def _known_faults(keras: ImplementationResult) -> str:
    """How many there are, and how often they were met; what each of them is stands elsewhere."""
    met = [f for f in keras.findings if f.status is Status.EXPECTED_FAILURE]
    if not met:
        return ""
    faults = plural(len({finding.reason for finding in met}), "known fault")
    times = plural(sum(finding.count for finding in met), "time")
    return f"{faults} of {keras.version}, met {times}: see Expected failures in the report"


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
