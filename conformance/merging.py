"""Reports of several runs as one: of different implementations, or of different environments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from conformance.headline import differences, headline
from conformance.results import KERAS, ImplementationResult, MergedRun, Report, named_apart


@dataclass(frozen=True, slots=True)
class _Run:
    """What one run brings: implementations under their own names, what it said of itself."""

    implementations: list[ImplementationResult]
    rules: dict[str, str]
    contract: dict[str, str]
    about: MergedRun


def merged(reports: Sequence[Report], *, command: str) -> Report:
    """One report of all runs, in order; a merged report counts as the runs in it.

    So merging merged reports gives what merging their runs at once gives.

    Args:
        reports: at least one.
        command: the command line that repeats the merge.
    """
    runs = [run for report in reports for run in _runs_of(report)]
    results = named_apart([result for run in runs for result in run.implementations])
    names = iter([result.name for result in results])
    about = [
        replace(run.about, columns=list(islice(names, len(run.implementations)))) for run in runs
    ]
    witness = next((one.witness for one in about if one.witness is not None), None)
    report = Report(
        environment=by_run([one.environment for one in about]),
        settings={**_common([one.settings for one in about]), "command": command},
        plan={name: v for name, v in _common([o.plan for o in about]).items() if v is not None},
        rules={check: rule for run in runs for check, rule in run.rules.items()},
        contract={check: text for run in runs for check, text in run.contract.items()},
        headline=[],
        implementations=results,
        witness=witness,
        run=span([one.run for one in about]),
        runs=about,
    )
    return replace(report, headline=_headline(report))


def _runs_of(report: Report) -> list[_Run]:
    """The runs of a merged report, else the one run of `report`."""
    own = [replace(result, name=result.given_name, impl="") for result in report.implementations]
    about = report.runs or [
        MergedRun(
            columns=[result.name for result in own],
            environment=report.environment,
            settings=report.settings,
            plan=report.plan,
            run=report.run,
            witness=report.witness,
        )
    ]
    results = iter(own)
    return [
        _Run(list(islice(results, len(one.columns))), report.rules, report.contract, one)
        for one in about
    ]


def _headline(report: Report) -> list[str]:
    """Differences of the runs come last: they are no verdict."""
    engine = {run.environment.get("tensorflow", "not installed") for run in report.runs}
    lines = headline(
        report.implementations,
        report.witnesses,
        measures_keras=any(result.given_name == KERAS for result in report.implementations),
        keras_installed=engine != {"not installed"},
    )
    return [*lines, *differences(report.runs)]


def _common(settings: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Values that all runs share; None where they differ."""
    names = dict.fromkeys(name for one in settings for name in one)
    shared = {name: {repr(one.get(name)) for one in settings} for name in names}
    return {name: settings[0].get(name) if len(shared[name]) == 1 else None for name in names}


def by_run(environments: Sequence[dict[str, str]]) -> dict[str, str]:
    """Values that all runs share, and others with the numbers of their runs."""
    told = {}
    for name in dict.fromkeys(name for one in environments for name in one):
        where: dict[str, list[str]] = {}
        for number, one in enumerate(environments, start=1):
            where.setdefault(one.get(name, "not told"), []).append(str(number))
        parts = [
            f"{value} (run{'s' * (len(runs) > 1)} {', '.join(runs)})"
            for value, runs in where.items()
        ]
        told[name] = "; ".join(parts) if len(where) > 1 else next(iter(where))
    return told


def span(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """When the first run began, and how long all of them took."""
    keys: dict[str, Callable[[list[Any]], Any]] = {"started": min, "seconds": sum}
    found = {key: [run[key] for run in runs if key in run] for key in keys}
    span = {key: keys[key](values) for key, values in found.items() if values}
    if "seconds" in span:
        span["seconds"] = round(span["seconds"], 1)
    return span
