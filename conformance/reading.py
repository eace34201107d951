"""From a results.json back to the records, or one sentence why not."""

from __future__ import annotations

import json
import math
import os
import re
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import FiniteFloat, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from conformance import files
from conformance.errors import UsageError
from conformance.results import SCHEMA, Count, Evidence, ImplementationResult, Ratios, Report

MOST_BYTES = 2**24  # a results.json of all adapters has 1 MB
MOST_PADDING = 24  # rows or columns that are drawn around an input
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_LENIENT = with_config({"extra": "ignore"})


# What the records leave open, as far as the reports read it. --------------------------------------


@_LENIENT
class _Settings(TypedDict, total=False):
    seed: int | None
    examples: int | None
    profile: str | None
    max_time: FiniteFloat | None
    command: str


@_LENIENT
class _Run(TypedDict, total=False):
    started: str
    seconds: FiniteFloat
    jobs: int


@_LENIENT
class _Met(TypedDict):
    met: Count
    of: Count


@_LENIENT
class _Plan(TypedDict):
    parts: dict[str, Count]
    popular: _Met
    pairs: _Met
    triples: _Met
    largest: dict[str, Count]


@_LENIENT
class _Area(TypedDict):
    claimed: Count
    total: Count
    missing: list[str]


@_LENIENT
class _Declared(TypedDict, total=False):
    accumulation: str | None
    algorithm: str


def read(path: Path) -> Report:
    """The records of a results.json, or of the one in a folder.

    Unknown keys are ignored, so that files of later versions of schema 1 can be read.

    Raises:
        UsageError: it cannot be read, is of another schema, or something in it is not what the
            records say; names the file and what is wrong.
    """
    file = path / "results.json" if os.path.isdir(path) else path
    try:
        whole = files.text(file, MOST_BYTES)
        content = files.json_data(whole)
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            raise UsageError(f"{file} is not a results.json of schema {SCHEMA}")
        if _SURROGATE.search(whole):
            # Half of a pair, which a message may hold, is no text to pydantic.
            whole = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace").decode()
        report: Report = _adapter(Report).validate_json(whole, strict=True)
        _check(report)
    except RecursionError:
        raise UsageError(f"{file} is not a results.json: nested too deeply") from None
    except ValidationError as error:
        raise UsageError(f"{file} is not a results.json: {_first(error)}") from None
    except ValueError as error:
        raise UsageError(f"{file} is not a results.json: {error}") from None
    return report


@cache
def _adapter(form: Any) -> TypeAdapter[Any]:
    return TypeAdapter(form)


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, and where."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    said = first["msg"].removeprefix("Value error, ")
    line = f"{where}: {said}" if where else said
    return line.encode("unicode_escape").decode("ascii")[:300]


def _check(report: Report) -> None:
    """What types do not say."""
    for settings in (report.settings, *(run.settings for run in report.runs)):
        _adapter(_Settings).validate_python(settings, strict=True)
    for run in (report.run, *(run.run for run in report.runs)):
        _adapter(_Run).validate_python(run, strict=True)
    columns = [name for merged in report.runs for name in merged.columns]
    if report.runs and columns != [result.name for result in report.implementations]:
        raise ValueError("runs: their columns are not the names of the implementations")
    for result in (*report.implementations, *report.witnesses):
        try:
            _check_result(result)
        except ValidationError as error:
            raise ValueError(f"{result.name!a}: {_first(error)}") from None
        except ValueError as error:
            raise ValueError(f"{result.name!a}: {error}") from None


def _check_result(result: ImplementationResult) -> None:
    if result.plan:
        plan = _adapter(_Plan).validate_python(result.plan, strict=True)
        if any(plan[name]["met"] > plan[name]["of"] for name in ("popular", "pairs", "triples")):
            raise ValueError("plan: more was met than there is")
    if result.area:
        _adapter(_Area).validate_python(result.area, strict=True)
    if result.declared is not None:
        _adapter(_Declared).validate_python(result.declared, strict=True)
    for dtype, ratios in result.ratios.items():
        if not _is_distribution(ratios):
            raise ValueError(f"ratios of {dtype!a}: counts and edges do not fit together")
    places = [place for cause in result.causes for place in cause.findings]
    if result.causes and sorted(places) != list(range(len(result.findings))):
        raise ValueError("causes: they do not hold every finding once")
    if not all(cause.findings for cause in result.causes):
        raise ValueError("causes: one has no finding")
    for number, finding in enumerate(result.findings):
        for name in ("evidence", "larger"):
            evidence = getattr(finding, name)
            if evidence is not None and not _can_be_drawn(evidence):
                raise ValueError(f"findings.{number}.{name}: cannot be drawn")


def _is_distribution(ratios: Ratios) -> bool:
    """Two more counts than edges, one more in the first reports, or none."""
    edges = ratios.edges
    if not all(0 < edge < math.inf for edge in edges) or any(a >= b for a, b in pairwise(edges)):
        return False
    return not ratios.counts or (bool(edges) and len(ratios.counts) - len(edges) in (1, 2))


def _can_be_drawn(evidence: Evidence) -> bool:
    grids = [evidence.expected, evidence.got, evidence.input, evidence.kernel]
    rectangular = all(len({len(row) for row in grid or []}) <= 1 for grid in grids)
    pads = [*evidence.pads[0], *evidence.pads[1]]
    places = [place for pair in evidence.wrong for place in pair]
    least = min((0, *(evidence.worst or ()), *(evidence.element or ()), *places, *pads))
    return rectangular and least == 0 and max(pads) <= MOST_PADDING
