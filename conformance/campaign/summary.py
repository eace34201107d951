"""From what was measured to the records of a report: counts, coverage, ratios, verdict."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict
from typing import Any

import numpy as np

from conformance.axes import AXES
from conformance.campaign.measure import PROBE_CHECK, Measured
from conformance.capabilities import area, every_need, wording
from conformance.checks import CHECKS
from conformance.plan.coverage import coverage
from conformance.results import (
    BAD,
    Finding,
    ImplementationResult,
    Outcome,
    Ratios,
    Status,
    Unsupported,
    Verdict,
    count,
)

RATIO_EDGES = [2.0**e for e in range(-12, 5)]
_WORST_FIRST = (
    Status.HARNESS_ERROR,
    Status.CRASHED,
    Status.TIMED_OUT,
    Status.FAILED,
    Status.EXPECTED_FAILURE,
    Status.UNSUPPORTED,
    Status.UNEXPECTED_PASS,
    Status.PASSED,
)

COVERED = {name: shown for axis in AXES for name, shown in axis.covered.items()}
_FIELDS = {name: axis.field for axis in AXES for name in axis.covered}
NOT_SEEN = {"function": ("activation",), "layer": ("kernel_view", "bias_view")}


def summary(measured: Measured, findings: list[Finding]) -> ImplementationResult:
    """The record of one implementation."""
    subject = measured.subject
    plan = {} if subject.recorded else _plan(measured)
    return ImplementationResult(
        name=subject.name,
        kind=subject.kind,
        version=subject.version,
        verdict=_verdict(measured.outcomes),
        configurations=measured.configurations,
        cases=measured.cases,
        checks=count(measured.outcomes, list(subject.checks)),
        findings=findings,
        unsupported=_unsupported(measured.outcomes),
        coverage=_coverage(measured),
        plan=plan,
        ratios=_ratios(measured),
        accumulation=subject.declared.accumulation or "float64",
        interrupted=bool(measured.stopped),
        declared=None if subject.capabilities is None else asdict(subject.capabilities),
        capabilities=measured.probed,
        area=_area(measured),
        notes=_notes(measured, plan),
        named=subject.named,
    )


def _area(measured: Measured) -> dict[str, Any]:
    """How much of what a case can need is claimed, counted over all combinations."""
    declared = measured.subject.declared
    combinations = list(area())
    claimed = sum(all(map(declared.has, needs)) for needs in combinations)
    missing = [wording(need) for need in every_need() if not declared.has(need)]
    return {"claimed": claimed, "total": len(combinations), "missing": missing}


def _notes(measured: Measured, plan: dict[str, Any]) -> list[str]:
    works = [c.need for c in measured.probed if c.claimed is False and c.works]
    notes = [f"Not claimed, but works on the smallest case: {', '.join(works)}."] if works else []
    notes += _unanswered(plan)
    passes: dict[str, int] = Counter(
        o.reason for o in measured.outcomes if o.status is Status.UNEXPECTED_PASS and not o.strict
    )
    notes += [
        f"Passes in {number} case{'s' * (number != 1)} where a failure is expected: "
        f"{reason.rstrip('.')}."
        for reason, number in passes.items()
    ]
    if measured.refused:
        notes.append(f"Could not be started in {measured.refused}.")
    if measured.outgrown:
        notes.append(
            f"Its process kept memory: it grew by 2 GiB and was started anew {measured.outgrown} "
            f"time{'s' * (measured.outgrown != 1)}."
        )
    return notes


def _unanswered(plan: dict[str, Any]) -> list[str]:
    """What of a whole plan got no answer, in words; a part of a plan says nothing of the rest."""
    if not plan.get("parts", {}).get("ladders"):
        return []
    notes = []
    if plan["levels"]:
        notes.append(f"Refused or not met: {', '.join(plan['levels'])}.")
    if plan["refused"]:
        parts = [f"{r['level']} (in {r['refused']} of {r['of']} cases)" for r in plan["refused"]]
        notes.append(f"Refused in part: {', '.join(parts)}.")
    if plan["popular"]["missing"]:
        notes.append(f"Popular layers refused or not met: {', '.join(plan['popular']['missing'])}.")
    return notes


def _verdict(outcomes: list[Outcome]) -> Verdict:
    if any(outcome.strict for outcome in outcomes):
        return Verdict.FAILS
    statuses = Counter((o.status, CHECKS[o.check].judges_values) for o in outcomes)
    if any(number for (status, _), number in statuses.items() if status in BAD - {"harness_error"}):
        return Verdict.FAILS
    decided = (Status.PASSED, Status.EXPECTED_FAILURE, Status.UNEXPECTED_PASS)
    judged = sum(statuses[status, True] for status in decided)
    if statuses[Status.HARNESS_ERROR, False] or not judged:
        return Verdict.INCONCLUSIVE
    return Verdict.CONFORMS


def _unsupported(outcomes: list[Outcome]) -> list[Unsupported]:
    cases: dict[str, set[str]] = defaultdict(set)
    for outcome in outcomes:
        if outcome.status is Status.UNSUPPORTED:
            cases[outcome.cause].add(outcome.case)
    ranked = sorted(cases.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        Unsupported(reason=reason, count=len(found), example=min(found, key=lambda c: (len(c), c)))
        for reason, found in ranked
    ]


def _plan(measured: Measured) -> dict[str, Any]:
    """What of the plan was met; a case of which anything is unsupported does not count."""
    parts: Counter[str] = Counter()
    for planned in measured.examples:
        parts[planned.part] += len(planned.configurations())
    drawn = [outcome for outcome in measured.outcomes if outcome.check != PROBE_CHECK]
    refused = {o.case for o in drawn if o.status is Status.UNSUPPORTED}
    answered = dict.fromkeys(o.case for o in drawn if o.case not in refused)
    known = measured.known
    met = coverage(
        [known[case] for case in answered],
        measured.subject.asked,
        [known[case] for case in sorted(refused)],
    )
    return {"parts": dict(parts), **met}


def _coverage(measured: Measured) -> dict[str, dict[str, dict[str, int]]]:
    worst: dict[tuple[int, str], Status] = {}
    for outcome in measured.outcomes:
        if outcome.check == PROBE_CHECK:
            continue  # made on the probes, which are not drawn
        key = outcome.at, outcome.case
        worst[key] = min((worst.get(key, Status.PASSED), outcome.status), key=_WORST_FIRST.index)
    counts: dict[str, dict[str, Counter[str]]] = {
        argument: defaultdict(Counter)
        for argument in COVERED
        if _FIELDS[argument] not in NOT_SEEN[measured.subject.kind]
    }
    for (_, text), status in worst.items():
        case = measured.known[text]
        for argument, values in counts.items():
            values[COVERED[argument](case)][str(status)] += 1
    return {
        argument: {value: dict(sorted(c.items())) for value, c in sorted(v.items(), key=_natural)}
        for argument, v in counts.items()
    }


def _natural(item: tuple[str, object]) -> tuple[list[int], str]:
    numbers = [int(part) for part in item[0].split("x") if part.isdigit()]
    return numbers, item[0]


def _ratios(measured: Measured) -> dict[str, Ratios]:
    by_dtype: dict[str, list[float]] = defaultdict(list)
    for outcome in measured.outcomes:
        if outcome.ratio is not None:
            by_dtype[measured.known[outcome.case].compute_dtype].append(outcome.ratio)
    return {dtype: _distribution(values) for dtype, values in sorted(by_dtype.items())}


def _distribution(values: list[float]) -> Ratios:
    bins = np.searchsorted(RATIO_EDGES, values, side="left")
    counts = np.bincount(bins + 1, minlength=len(RATIO_EDGES) + 2)
    counts[0] = sum(value == 0 for value in values)
    counts[1] -= counts[0]
    return Ratios(
        edges=RATIO_EDGES,
        counts=counts.tolist(),
        largest=max(values),
        p99=float(np.quantile(values, 0.99, method="higher")),
        failing=sum(not value <= 1 for value in values),
    )
