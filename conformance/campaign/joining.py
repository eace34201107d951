"""The shards of one run as that run: made from their journals."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from conformance.campaign.findings import joined as joined_findings
from conformance.campaign.summary import summary
from conformance.campaign.unneeded import unneeded_by_all
from conformance.errors import UsageError
from conformance.headline import headline
from conformance.journals.fingerprint import difference, of_implementation
from conformance.journals.journal import Journal
from conformance.journals.measured import Measured
from conformance.journals.tally import Tally
from conformance.merging import by_run, span
from conformance.plan import Shard
from conformance.results import KERAS, ImplementationResult, Report

_OF_THE_MACHINE = ("isa",)  # what shards may differ in


@dataclass(frozen=True, slots=True)
class _Part:
    folder: Path
    report: Report
    journal: Journal

    @property
    def shard(self) -> Shard:
        return Shard.read(self.journal.about["shard"])


def is_shard(report: Report) -> bool:
    """Whether a report is that of one shard of a run."""
    return bool(report.settings.get("shard"))


def joined(found: Sequence[tuple[Path, Report]]) -> list[Report]:
    """The reports of the runs whose shards these are, each in place of its first shard.

    Raises:
        UsageError: a shard is missing or there twice, or two are not of the same implementation.
    """
    with ExitStack() as stack:
        parts = []
        for folder, report in found:
            where = folder if folder.is_dir() else folder.parent
            journal = stack.enter_context(closing(Journal(where, resume=True)))
            parts.append(_Part(folder, report, journal))
        runs: list[list[_Part]] = []
        for part in parts:
            same = next((run for run in runs if not _difference(run[0], part)), None)
            if same is None:
                runs.append([part])
            else:
                same.append(part)
        for run in runs:
            _refuse_incomplete(run, runs)
        return [_report(sorted(run, key=lambda part: part.shard)) for run in runs]


def _difference(one: _Part, other: _Part) -> str:
    told = difference(
        {**one.journal.about, "shard": one.shard.number},
        {**other.journal.about, "shard": other.shard.number},
    )
    return told.replace("shard was", "number of shards was")


def _refuse_incomplete(run: Sequence[_Part], runs: Sequence[Sequence[_Part]]) -> None:
    number = run[0].shard.number
    for index in range(1, number + 1):
        there = [str(part.folder) for part in run if part.shard.index == index]
        if len(there) > 1:
            raise UsageError(f"shard {index}/{number} is there twice: {there[0]} and {there[1]}")
        if not there:
            other = next((r[0] for r in runs if r is not run), None)
            hint = f"; in {other.folder}, {_difference(run[0], other)}" if other else ""
            raise UsageError(
                f"shard {index}/{number} of the run in {run[0].folder} is missing{hint}"
            )


def _report(parts: Sequence[_Part]) -> Report:
    first = parts[0]
    about, reports = first.journal.about, [part.report for part in parts]
    names = list(about["implementations"])
    asked = [name for part in parts for name in part.journal.measured if name not in names]
    results = [_joined(parts, name, strict=about["strict"]) for name in names]
    witness = _joined(parts, asked[0], strict=about["strict"]) if asked else None
    environment = by_run([report.environment for report in reports])
    lines = headline(
        results,
        witness,
        measures_keras=KERAS in names,
        keras_installed=first.report.environment.get("tensorflow") != "not installed",
    )
    left_over = unneeded_by_all([report.unneeded for report in reports])
    settings = {name: value for name, value in first.report.settings.items() if name != "shard"}
    return replace(
        first.report,
        environment=environment,
        settings=settings,
        headline=[*lines, *map(str, left_over)],
        unneeded=left_over,
        implementations=results,
        witness=witness,
        run=span([report.run for report in reports]),
    )


def _joined(parts: Sequence[_Part], name: str, *, strict: bool) -> ImplementationResult:
    """The record of what all shards ran on one implementation."""
    met = [(p.folder, p.journal.measured[name]) for p in parts if name in p.journal.measured]
    if not met:
        raise UsageError(f"no shard of the run in {parts[0].folder} measured {name}")
    (one, info), *others = met
    for folder, other in others:
        before, now = of_implementation(info), of_implementation(other)
        for field in _OF_THE_MACHINE:
            before[field] = now[field] = None
        if changed := difference(before, now):
            raise UsageError(f"{one} and {folder} are not shards of one run: for {name}, {changed}")
    tally, findings, stops = Tally(info), [], []
    for part in parts:
        for decided in part.journal.examples(name):
            tally.add_example(decided)
        record = part.journal.ended(name)
        if record is None:
            stops.append(f"shard {part.shard} was not finished")
            continue
        measured = Measured.from_tree(record)
        findings.append(measured.result.findings)
        tally.memory_restarts += measured.memory_restarts
        tally.slow_restarts += measured.slow_restarts
        tally.refusal = tally.refusal or measured.refusal
        if measured.stopped:
            stops.append(f"shard {part.shard} {measured.stopped}")
    tally.settle()
    tally.stopped = ", ".join(stops)
    return summary(tally, joined_findings(tally, findings), strict=strict)
