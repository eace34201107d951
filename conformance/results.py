"""What a campaign leaves behind: plain records, and the results.json they are written to.

Only counting and grouping happens here. No numerics, no running, no presentation.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from itertools import count as count_from
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge

Count = Annotated[int, Ge(0)]

SCHEMA = 1
KERAS = "keras-tensorflow"  # real Keras, which confirms the reference


Doubt = Literal["", "chance", "time"]  # why something was not shown again


class Status(StrEnum):
    """The verdict of a check on a case."""

    PASSED = "passed"
    FAILED = "failed"
    UNSUPPORTED = "unsupported"
    EXPECTED_FAILURE = "expected_failure"
    UNEXPECTED_PASS = "unexpected_pass"
    CRASHED = "crashed"
    TIMED_OUT = "timed_out"
    HARNESS_ERROR = "harness_error"
    FLAKY = "flaky"


BAD = frozenset({Status.FAILED, Status.CRASHED, Status.TIMED_OUT, Status.HARNESS_ERROR})


class Verdict(StrEnum):
    """The verdict on an implementation."""

    CONFORMS = "conforms"
    FAILS = "fails"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """What became of the probe of one capability.

    Attributes:
        need: the capability in words, such as ``dtype float16`` or ``groups``.
        claimed: whether it is claimed; None where nothing is declared.
        works: whether the probe passed every check.
        note: why not, else empty.
        case: the probe.
    """

    need: str
    claimed: bool | None
    works: bool
    note: str
    case: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the smallest failing case shows, ready to be drawn.

    Attributes:
        expected, got: nested lists (rows of columns) of one sample and one filter, at most 24 x 24
            values, floats or None for what is not finite; None where there is nothing to draw.
        worst: (row, column) of the worst element within them.
        element: index of the worst element in the whole result.
        exact: the exact value of that element as a decimal string, computed with rationals.
        exact_fraction: the same as ``p/q`` when it is not an integer, else empty.
        reference_value, got_value, bound: of that element, as text.
        judgement: one sentence: whether the implementation or the reference is correct.
        size: (height, width) of the input of the case; window: input rows and columns that the
            worst element reads as ((top, bottom), (left, right)), beyond the input in the padding.
        input, kernel: one sample of one channel that these values come of, and its weights, where
            both are small; None elsewhere.
        bias: of that filter, None where there is none.
        channel: number of that channel, and of how many of its group.
        pads: rows and columns of padding around the input, as ((top, bottom), (left, right)).
        wrong: (row, column) of each wrong value within `got`, where the shapes agree.
        reads: input rows and columns that the first of these reads, below 0 and beyond the input
            in the padding.
    """

    expected: list[list[float | None]] | None = None
    got: list[list[float | None]] | None = None
    worst: tuple[int, int] | None = None
    element: tuple[int, ...] | None = None
    exact: str = ""
    exact_fraction: str = ""
    reference_value: str = ""
    got_value: str = ""
    bound: str = ""
    judgement: str = ""
    size: tuple[int, int] | None = None
    window: tuple[tuple[int, int], tuple[int, int]] | None = None
    input: list[list[float | None]] | None = None
    kernel: list[list[float | None]] | None = None
    bias: float | None = None
    channel: tuple[int, int] = (0, 1)
    pads: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    wrong: list[tuple[int, int]] = field(default_factory=list)
    reads: tuple[list[int], list[int]] | None = None

    @property
    def shows_what_is_wrong(self) -> bool:
        """Whether a wrong value is in it, or a wrong number of them."""
        if self.expected is None or self.got is None:
            return False
        sizes = [(len(grid), len(grid[0]) if grid else 0) for grid in (self.expected, self.got)]
        return bool(self.wrong) or sizes[0] != sizes[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """All failures of one implementation that share a check and a cause.

    Attributes:
        check, cause: what they share.
        status: ``failed``, ``crashed``, ``timed_out``, ``harness_error``, ``expected_failure``, or
            ``unexpected_pass`` where that was declared strict.
        count: how many outcomes.
        first_at: configurations tried when it first failed.
        minimal_case: the smallest failing case found, as a case string; several joined by ``+``
            when it takes several calls in one process.
        message: what went wrong on the smallest case, in one or two lines.
        diagnosis: name of the known fault that explains it, or None.
        explanation: what that fault does and where it has happened, in one sentence, or empty.
        reproducer: Python source that shows the failure without this suite.
        reason, link: of the expected failure, else empty.
        evidence: what the smallest case shows.
        doubt: ``chance`` where the smallest case did not fail again in a fresh process, ``time``
            where no time was left to try; else empty.
        larger_case: a case like the smallest with an output of about 5 x 5 that fails alike, or
            empty; larger: what it shows.
        when: a condition on the case, as in an expected-failure file, that holds on all failing
            cases and on `also_passing` of those that pass; empty where nothing tells them apart.
        nearby, passing_nearby: of the cases that were tried around the smallest one to find `when`,
            those that fail alike, and those on which every check passes.
    """

    check: str
    cause: str
    status: Status
    count: Count
    first_at: Count
    minimal_case: str
    message: str
    diagnosis: str | None = None
    explanation: str = ""
    reproducer: str = ""
    reason: str = ""
    link: str = ""
    evidence: Evidence | None = None
    when: dict[str, Any] = field(default_factory=dict)
    also_passing: Count = 0
    nearby: list[str] = field(default_factory=list)
    passing_nearby: list[str] = field(default_factory=list)
    doubt: Doubt = ""
    larger_case: str = ""
    larger: Evidence | None = None

    @property
    def takes_earlier_calls(self) -> bool:
        """Whether the smallest case fails only after others in the same process."""
        return "+" in self.minimal_case


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """All findings of one implementation that have one cause.

    Attributes:
        what: what is wrong, in one sentence without capital and full stop.
        findings: their places among the findings: crashes, shapes, values, then what a call leaves.
        count, first_at: outcomes of all of them, and configurations tried when the first failed.
        diagnosis: name of the known fault that explains them, or None.
        when, also_passing: as in `Finding`, of all of them together.
        nearby: how many cases fail alike of those that were tried around the smallest ones.
        narrower: whether it passes where the fault of that name would fail, so that `when` belongs
            to what is wrong.
        advice: what to do if it is meant, where something is simply not there; else empty.
    """

    what: str
    findings: list[Count]
    count: Count
    first_at: Count
    diagnosis: str | None = None
    when: dict[str, Any] = field(default_factory=dict)
    also_passing: Count = 0
    nearby: Count = 0
    narrower: bool = False
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsupported:
    """Cases that an implementation says it does not do, in its own words."""

    reason: str
    count: Count
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """Distribution of error over bound, one entry a case.

    Attributes:
        edges: bin edges as powers of two, ascending.
        counts: ratios of 0, ratios up to the first edge, each bin, and ratios beyond the last edge.
        largest, p99: the greatest ratio and the 99th percentile, None when nothing was compared.
        failing: how many lie above 1.
    """

    edges: list[float] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    largest: float | None = None
    p99: float | None = None
    failing: Count = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImplementationResult:
    """Everything about one implementation.

    Attributes:
        name: as given to ``--impl``.
        kind: ``function`` or ``layer``.
        version: what it says of itself.
        verdict: of the whole.
        configurations: layer configurations tried.
        cases: cases run (several inputs for each configuration).
        checks: outcomes counted by check and status; every status is present.
        findings: failures, grouped.
        causes: findings that belong together, what is expected last; empty in files of earlier
            versions.
        unsupported: what it does not do.
        coverage: argument -> value -> status -> cases.
        classes: kind of class -> class -> status -> cases; a class that it could have been asked
            for has no counts where no case was of it. Empty for recorded results.
        plan: what of the plan was met, as `plan.coverage.coverage` returns it, and ``parts``: how
            many configurations of each part were run. Empty for recorded results.
        ratios: error over bound, by output dtype.
        accumulation: the precision its sums are declared to have, else that of its float64 sums.
        interrupted: True when not every planned case was run.
        declared: its capabilities, None where it declares none.
        capabilities: what became of the probe of each capability.
        area: ``claimed`` of ``total`` combinations of what a case can need, and ``missing``: what
            is not claimed.
        notes: what else was noticed, one sentence each.
        weak: what makes a pass weak, one sentence each: what was not met, or not supported.
        named: whether ``--impl`` finds it by its name; False for an object given to `check`.
        impl: the name as given to ``--impl`` where `name` is longer, to tell it from another run's
            in a merged report; else empty.
        stopped: why not every planned case was run, in one sentence; else empty.
        open: what is not judged, such as infinity times zero -> what became of it -> cases.
        passing: reason of an expected failure of which nothing failed -> how often it passed.
    """

    name: str
    kind: str
    version: str
    verdict: Verdict
    configurations: Count
    cases: Count
    checks: dict[str, dict[str, Count]]
    findings: list[Finding]
    unsupported: list[Unsupported]
    coverage: dict[str, dict[str, dict[str, Count]]]
    ratios: dict[str, Ratios]
    accumulation: str
    interrupted: bool = False
    declared: dict[str, Any] | None = None
    capabilities: list[Capability] = field(default_factory=list)
    area: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    named: bool = True
    plan: dict[str, Any] = field(default_factory=dict)
    impl: str = ""
    stopped: str = ""
    open: dict[str, dict[str, Count]] = field(default_factory=dict)
    causes: list[Cause] = field(default_factory=list)
    classes: dict[str, dict[str, dict[str, Count]]] = field(default_factory=dict)
    weak: list[str] = field(default_factory=list)
    passing: dict[str, Count] = field(default_factory=dict)

    @property
    def expected_failures(self) -> int:
        """How many outcomes failed as expected."""
        return sum(counts.get(Status.EXPECTED_FAILURE, 0) for counts in self.checks.values())

    @property
    def given_name(self) -> str:
        """The name as given to ``--impl``."""
        return self.impl or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedRun:
    """One run of a merged report: what its own report said, beside the implementations.

    Attributes:
        columns: names of its implementations in the merged report, in order.
        environment, settings, plan, run, witness: as in its own report.
    """

    columns: list[str]
    environment: dict[str, str]
    settings: dict[str, Any]
    plan: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    witness: ImplementationResult | None = None


@dataclass(frozen=True, slots=True)
class Unneeded:
    """An expected failure that can be deleted, or mended.

    Attributes:
        entry: where it stands, and its reason.
        why: why it matched nothing; empty where it matched, and nothing failed.
    """

    entry: str
    why: str = ""

    def __str__(self) -> str:
        if self.why:
            return f"{self.entry} matched nothing: {self.why}."
        fixed = "if that is fixed, the entry can be deleted"
        return f"{self.entry} passes wherever it applies: {fixed}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A campaign's results.

    Attributes:
        environment: versions and machine, as text.
        settings: ``seed``, ``examples``, ``profile``, ``max_time`` and ``command``.
        plan: ``version`` of the plan and of Hypothesis, which draws its last part.
        rules: what each check demands, in one sentence.
        contract: what the contract of the layer says, by check: the paragraphs of docs/contract.md.
        headline: the first lines of the report: verdict, disagreements, who judged.
        implementations: what was measured.
        witness: real Keras on a sample of the same cases when something else is measured, or None.
        run: what may differ between two equal runs: ``started``, ``seconds``, ``jobs``.
        runs: of a merged report, the runs in it; else empty.
        unneeded: entries of the file of expected failures that this run did not need.
    """

    environment: dict[str, str]
    settings: dict[str, Any]
    rules: dict[str, str]
    headline: list[str]
    implementations: list[ImplementationResult]
    witness: ImplementationResult | None = None
    run: dict[str, Any] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)
    runs: list[MergedRun] = field(default_factory=list)
    contract: dict[str, str] = field(default_factory=dict)
    unneeded: list[Unneeded] = field(default_factory=list)

    @property
    def witnesses(self) -> list[ImplementationResult]:
        """The witness, or those of all merged runs, equal ones once and named apart."""
        distinct: list[ImplementationResult] = []
        for witness in (self.witness, *(run.witness for run in self.runs)):
            if witness is not None and witness not in distinct:
                distinct.append(witness)
        return named_apart(distinct)

    def to_json(self) -> dict[str, Any]:
        """The content of results.json."""
        return {"schema": SCHEMA, **asdict(self)}

    def write_json(self, path: Path) -> None:
        path.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Checks of one case that ended alike: a row of the list of all results.

    Attributes:
        implementation, case: who, and the case string.
        status: how they ended.
        checks: which.
        cause: why, or empty.
    """

    implementation: str
    case: str
    status: Status
    checks: tuple[str, ...]
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All results of a campaign, or as many as a page holds.

    Attributes:
        rows: in the order in which they were tried.
        of: how many there are; where these are more, `rows` has the failures first of all.
        classes: kind of class -> its classes.
        levels: case -> for each kind the number of its class, None where it has none.
        without: implementations of whom no journal is at hand.
    """

    rows: list[Listed]
    of: Count
    classes: dict[str, tuple[str, ...]]
    levels: dict[str, tuple[int | None, ...]]
    without: list[str] = field(default_factory=list)


def overall(report: Report) -> Verdict:
    """The verdict on everything measured: one failure fails it, one doubt leaves it open.

    A witness that fails does so too: either Keras or the reference is wrong.
    """
    verdicts = [result.verdict for result in report.implementations]
    verdicts += [w.verdict for w in report.witnesses if w.verdict is Verdict.FAILS]
    if Verdict.FAILS in verdicts:
        return Verdict.FAILS
    if Verdict.INCONCLUSIVE in verdicts or not verdicts:
        return Verdict.INCONCLUSIVE
    return Verdict.CONFORMS


def named_apart(results: Sequence[ImplementationResult]) -> list[ImplementationResult]:
    """`results` with distinct names: ``NAME``, where that occurs twice ``NAME@VERSION``.

    Where that occurs twice too, all but the first get a number: ``NAME@VERSION#2``.
    """
    occurring = Counter(result.given_name for result in results)
    taken = {name for name, number in occurring.items() if number == 1}
    apart = []
    for result in results:
        given = name = result.given_name
        if occurring[given] > 1:
            base = name = f"{given}@{result.version}" if result.version else given
            numbers = count_from(2)
            while name in taken:
                name = f"{base}#{next(numbers)}"
            taken.add(name)
        apart.append(replace(result, name=name, impl="" if name == given else given))
    return apart
