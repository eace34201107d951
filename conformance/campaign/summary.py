"""From what was measured to the records of a report: counts, coverage, ratios, verdict."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from conformance.campaign.measure import PROBE_CHECK, Measured
from conformance.capabilities import area, every_need, wording
from conformance.case import AsList, Case, Written
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
VALUE_CHECKS = ("exact_values", "bounded_values")
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

COVERED: dict[str, Callable[[Case], str]] = {
    "kernel_size": lambda c: f"{c.kernel[0]}x{c.kernel[1]}",
    "strides": lambda c: f"{c.stride[0]}x{c.stride[1]}",
    "dilation_rate": lambda c: f"{c.dilation[0]}x{c.dilation[1]}",
    "kernel_size written as": lambda c: _form(c.kernel_size),
    "strides written as": lambda c: _form(c.strides),
    "dilation_rate written as": lambda c: _form(c.dilation_rate),
    "padding": lambda c: c.padding or "not passed",
    "data_format": lambda c: c.data_format or "not passed",
    "groups": lambda c: str(c.group_count),
    "channels": lambda c: str(c.channels),
    "filters": lambda c: str(c.filters),
    "activation": lambda c: c.activation or "None",
    "use_bias": lambda c: "not passed" if c.use_bias is None else str(c.use_bias),
    "dtype": lambda c: c.dtype or "not passed",
    "batch": lambda c: str(c.batch),
    "values": lambda c: c.data,
    "memory": lambda c: c.view or "contiguous",
}


def summary(measured: Measured, findings: list[Finding]) -> ImplementationResult:
    """The record of one implementation."""
    subject = measured.subject
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
        coverage=_coverage(measured.outcomes, subject.kind),
        ratios=_ratios(measured.outcomes),
        accumulation=subject.declared.accumulation or "float64",
        interrupted=bool(measured.stopped),
        declared=None if subject.capabilities is None else asdict(subject.capabilities),
        capabilities=measured.probed,
        area=_area(measured),
        notes=_notes(measured),
        named=subject.named,
    )


def _area(measured: Measured) -> dict[str, Any]:
    """How much of what a case can need is claimed, counted over all combinations."""
    declared = measured.subject.declared
    combinations = list(area())
    claimed = sum(all(map(declared.has, needs)) for needs in combinations)
    missing = [wording(need) for need in every_need() if not declared.has(need)]
    return {"claimed": claimed, "total": len(combinations), "missing": missing}


def _notes(measured: Measured) -> list[str]:
    works = [c.need for c in measured.probed if c.claimed is False and c.works]
    notes = [f"Not claimed, but works on the smallest case: {', '.join(works)}."] if works else []
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


def _verdict(outcomes: list[Outcome]) -> Verdict:
    if any(outcome.strict for outcome in outcomes):
        return Verdict.FAILS
    statuses = Counter((o.status, o.check in VALUE_CHECKS) for o in outcomes)
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


def _coverage(outcomes: list[Outcome], kind: str) -> dict[str, dict[str, dict[str, int]]]:
    worst: dict[tuple[int, str], Status] = {}
    for outcome in outcomes:
        if outcome.check == PROBE_CHECK:
            continue  # made on the probes, which are not drawn
        key = outcome.at, outcome.case
        worst[key] = min((worst.get(key, Status.PASSED), outcome.status), key=_WORST_FIRST.index)
    counts: dict[str, dict[str, Counter[str]]] = {
        argument: defaultdict(Counter)
        for argument in COVERED
        if kind == "layer" or argument not in ("activation",)
    }
    for (_, text), status in worst.items():
        case = Case.parse(text)
        for argument, values in counts.items():
            values[COVERED[argument](case)][str(status)] += 1
    return {
        argument: {value: dict(sorted(c.items())) for value, c in sorted(v.items(), key=_natural)}
        for argument, v in counts.items()
    }


def _natural(item: tuple[str, object]) -> tuple[list[int], str]:
    numbers = [int(part) for part in item[0].split("x") if part.isdigit()]
    return numbers, item[0]


def _ratios(outcomes: list[Outcome]) -> dict[str, Ratios]:
    by_dtype: dict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.ratio is not None:
            by_dtype[Case.parse(outcome.case).compute_dtype].append(outcome.ratio)
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


def _form(value: Written | None) -> str:
    if value is None:
        return "not passed"
    if isinstance(value, int):
        return "int"
    return "list" if isinstance(value, AsList) else "tuple"
