"""From what was measured to the records of a report: counts, coverage, ratios, verdict."""

from __future__ import annotations

from array import array
from dataclasses import asdict
from typing import Any

import numpy as np

from conformance.axes import AXES
from conformance.campaign.findings import Found
from conformance.capabilities import area, every_need, wording
from conformance.checks import CHECKS, concerning
from conformance.journals.tally import Tally
from conformance.plan import Asked
from conformance.plan.classes import CLASSES, classes_for
from conformance.plan.coverage import coverage
from conformance.results import (
    BAD,
    ImplementationResult,
    Ratios,
    Status,
    Unsupported,
    Verdict,
)

MOST_NAMED = 6  # popular layers
_FINE = frozenset({Status.PASSED, Status.UNEXPECTED_PASS, Status.UNSUPPORTED})
RATIO_EDGES = [2.0**e for e in range(-12, 5)]
_FIELDS = {name: axis.field for axis in AXES for name in axis.covered}
NOT_SEEN = {"function": ("activation",), "layer": ("kernel_view", "bias_view")}


def summary(tally: Tally, found: Found, *, strict: bool = False) -> ImplementationResult:
    """The record of one implementation; `strict` where a flaky case fails it."""
    info = tally.info
    plan = {} if info.recorded else _plan(tally)
    return ImplementationResult(
        name=info.name,
        kind=info.kind,
        version=info.version,
        verdict=_verdict(tally, strict=strict),
        configurations=tally.configurations,
        cases=tally.cases,
        checks=_counts(tally),
        findings=found.findings,
        causes=found.causes,
        unsupported=_unsupported(tally),
        coverage=_coverage(tally),
        classes={} if info.recorded else _classes(tally),
        plan=plan,
        ratios={dtype: _distribution(v) for dtype, v in sorted(tally.ratios.items())},
        accumulation=info.declared.accumulation or "float64",
        interrupted=bool(tally.stopped) or found.interrupted,
        stopped=_stopped(tally, found),
        declared=None if info.capabilities is None else asdict(info.capabilities),
        capabilities=tally.probed,
        area=_area(tally),
        notes=_notes(tally),
        weak=_weak(tally, plan),
        named=info.named,
        open=_open(tally),
        passing=_passing(tally),
    )


def _stopped(tally: Tally, found: Found) -> str:
    if tally.stopped:
        return f"{tally.stopped}; the rest was not run."
    return "interrupted before all failures were explained." if found.interrupted else ""


def _counts(tally: Tally) -> dict[str, dict[str, int]]:
    """Outcomes by check and status, every status of every check present."""
    counts = {check: dict.fromkeys(map(str, Status), 0) for check in concerning(tally.info)}
    for (check, status), number in tally.counts.items():
        counts[check][str(status)] = number
    return counts


def _area(tally: Tally) -> dict[str, Any]:
    """How much of what a case can need is claimed, counted over all combinations."""
    declared = tally.info.declared
    combinations = list(area())
    claimed = sum(all(map(declared.has, needs)) for needs in combinations)
    missing = [wording(need) for need in every_need() if not declared.has(need)]
    return {"claimed": claimed, "total": len(combinations), "missing": missing}


def _notes(tally: Tally) -> list[str]:
    works = [c.need for c in tally.probed if c.claimed is False and c.works]
    notes = [f"Not claimed, but works on the smallest case: {', '.join(works)}."] if works else []
    if tally.replayed:
        fails = sum(status not in _FINE for status in tally.replayed.values())
        told = f"{fails} fail" if fails else "none fails"
        notes.append(f"Of {len(tally.replayed)} examples of the corpus {told}.")
    notes += [
        f"Flaky in {number} case{'s' * (number != 1)}: {cause}."
        for cause, number in sorted(tally.flaky.items())
    ]
    if tally.refusal:
        notes.append(f"Could not be started in {tally.refusal}.")
    if tally.memory_restarts:
        notes.append(
            f"Its process was restarted {tally.memory_restarts} "
            f"time{'s' * (tally.memory_restarts != 1)} because its memory had grown by 2 GiB."
        )
    if tally.slow_restarts:
        notes.append(
            f"Its process was restarted {tally.slow_restarts} "
            f"time{'s' * (tally.slow_restarts != 1)} because it had become slow."
        )
    return notes


def _weak(tally: Tally, plan: dict[str, Any]) -> list[str]:
    """What makes a pass weak, in words; a plan that somebody gave is as strong as they want it."""
    if not set(plan.get("parts", ())) - {"given"}:
        return []
    lines = []
    if missing := plan["popular"]["missing"]:
        named = ", ".join(missing[:MOST_NAMED])
        more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        lines.append(
            f"{len(missing)} of {plan['popular']['of']} popular layers refused or not met: "
            f"{named}{more}."
        )
    apart = [
        f"{-(1000 * (met - of) // of) / 10} % of {name}"
        for name in ("pairs", "triples")
        for met, of in [(plan[name]["met"], plan[name]["of"])]
        if met < of
    ]
    if apart:
        lines.append(f"Not met of the levels that are claimed: {' and '.join(apart)}.")
    results = sum(tally.counts.values())
    refused = sum(n for (_, status), n in tally.counts.items() if status is Status.UNSUPPORTED)
    if refused:
        share = 100 * refused // results
        lines.append(f"Unsupported: {f'{share} %' if share else 'less than 1 %'} of its results.")
    if plan["parts"].get("ladders"):  # a part of a plan says nothing of the rest
        if plan["levels"]:
            lines.append(f"Refused or not met: {', '.join(plan['levels'])}.")
        if plan["refused"]:
            told = [f"{r['level']} (in {r['refused']} of {r['of']} cases)" for r in plan["refused"]]
            lines.append(f"Refused in part: {', '.join(told)}.")
    return lines


def _verdict(tally: Tally, *, strict: bool) -> Verdict:
    if tally.strict or (strict and tally.flaky):
        return Verdict.FAILS
    met = {status for (_, status), number in tally.counts.items() if number}
    if met & (BAD - {Status.HARNESS_ERROR}):
        return Verdict.FAILS
    decided = (Status.PASSED, Status.EXPECTED_FAILURE, Status.UNEXPECTED_PASS)
    judged = any(
        number and status in decided and CHECKS[check].judges_values
        for (check, status), number in tally.counts.items()
    )
    if Status.HARNESS_ERROR in met or not judged:
        return Verdict.INCONCLUSIVE
    return Verdict.CONFORMS


def _unsupported(tally: Tally) -> list[Unsupported]:
    ranked = sorted(tally.refused.items(), key=lambda item: (-item[1][0], item[0]))
    return [
        Unsupported(reason=reason, count=number, example=example)
        for reason, (number, example) in ranked
    ]


def _open(tally: Tally) -> dict[str, dict[str, int]]:
    """What was done where either way is correct."""
    found: dict[str, dict[str, int]] = {}
    for (what, became), number in sorted(tally.seen.items()):
        found.setdefault(what, {})[became] = number
    return found


def _passing(tally: Tally) -> dict[str, int]:
    """Expected failures that only passed; one that also fails passes here and there as usual."""
    firsts = [failures.first for failures in tally.failures.values()]
    failing = {f.outcome.reason for f in firsts if f is not None}
    return {r: number for r, number in sorted(tally.passes.items()) if r not in failing}


def _plan(tally: Tally) -> dict[str, Any]:
    """What of the plan was met; a case of which anything is unsupported does not count."""
    asked, sample = Asked.of(tally.info), sorted(tally.unsupported, key=str)
    met = coverage(tally.counted.answered, asked, tally.counted.declined, sample)
    return {"parts": dict(tally.parts), **met}


def _coverage(tally: Tally) -> dict[str, dict[str, dict[str, int]]]:
    return {
        argument: {value: dict(sorted(c.items())) for value, c in sorted(v.items(), key=_natural)}
        for argument, v in tally.counted.coverage.items()
        if _FIELDS[argument] not in NOT_SEEN[tally.info.kind]
    }


def _classes(tally: Tally) -> dict[str, dict[str, dict[str, int]]]:
    """Classes of cases that it could be asked for, those without a case too."""
    asked, met = classes_for(Asked.of(tally.info)), tally.counted.classes
    found = {
        kind: {
            name: dict(sorted(met.get((kind, name), {}).items()))
            for name in names
            if name in asked.get(kind, ()) or (kind, name) in met
        }
        for kind, names in CLASSES.items()
    }
    return {kind: classes for kind, classes in found.items() if classes}


def _natural(item: tuple[str, object]) -> tuple[list[int], str]:
    numbers = [int(part) for part in item[0].split("x") if part.isdigit()]
    return numbers, item[0]


def _distribution(values: array[float]) -> Ratios:
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
