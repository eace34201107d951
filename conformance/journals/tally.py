"""What was tried on one implementation, added up case by case.

Its size does not grow with the number of cases, except by what findings and coverage need: of the
cases beyond `MOST_KEPT` a sample is kept, which depends on the cases and not on their order.
"""

from __future__ import annotations

import heapq
import zlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from conformance.capabilities import probes, wording
from conformance.case import Case, format_sequence
from conformance.checks import CHECKS
from conformance.checks.claims import claimed_capability
from conformance.implementations.info import Info
from conformance.journals.counted import Counted
from conformance.journals.journal import Decided
from conformance.journals.outcomes import Outcome
from conformance.plan import CORPUS, VARIATIONS, Example
from conformance.results import BAD, Capability, Status

MOST_KEPT = 20_000
PROBES = "probes"  # what comes before the plan
T = TypeVar("T")
PROBE_CHECK = claimed_capability.name
ORDER = {name: number for number, name in enumerate(CHECKS)}
WORST_FIRST = (
    Status.HARNESS_ERROR,
    Status.CRASHED,
    Status.TIMED_OUT,
    Status.FAILED,
    Status.EXPECTED_FAILURE,
    Status.FLAKY,
    Status.UNSUPPORTED,
    Status.UNEXPECTED_PASS,
    Status.PASSED,
)


@dataclass(frozen=True, slots=True)
class Failure:
    """An outcome that becomes part of a finding.

    Attributes:
        outcome: what failed.
        at: number of its configuration, 1 for the first one tried, 0 for a probe.
        before: the cases of its example up to and with its own.
    """

    outcome: Outcome
    at: int
    before: Example

    @property
    def case(self) -> Case:
        """The case that has failed."""
        return self.before[-1]

    @property
    def place(self) -> tuple[int, int, int, str]:
        """Orders failures as they stand in the plan."""
        return self.at, len(self.before), ORDER[self.outcome.check], str(self.case)


class Sample(Generic[T]):
    """At most `MOST_KEPT` of the things given, the same ones in whatever order they come."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, int, T]] = []
        self.number = 0

    def add(self, key: str, thing: T) -> None:
        """Keep `thing`, or drop one, by a checksum of `key`."""
        self.number += 1
        entry = (-zlib.crc32(key.encode()), self.number, thing)
        if len(self._kept) < MOST_KEPT:
            heapq.heappush(self._kept, entry)
        else:
            heapq.heappushpop(self._kept, entry)

    def __iter__(self) -> Iterator[T]:
        return (thing for _, _, thing in self._kept)


@dataclass(slots=True)
class Tally:
    """Everything that the record of an implementation is made from.

    Attributes:
        info: who was measured.
        cases, configurations: how many were run, probes left out.
        parts: configurations by part of the plan.
        counts: outcomes by check and status.
        strict: whether an unexpected pass fails the run.
        failures: what findings are made from: a sample, and the first and smallest of each kind.
        passed: cases with the checks that passed on them, a sample.
        unsupported: cases of which anything was unsupported, a sample.
        refused: reason to number of cases and shortest case.
        passes: reason to unexpected passes.
        entries: entry of expected failures to status to what it met.
        counted: cases by what they are, and what they have met.
        ratios: error over bound, by dtype.
        seen: what is not judged, and what became of it, to number of cases.
        replayed: examples of the corpus with the worst status of their last case.
        probed: what became of the probe of each capability.
        flaky: cause to number of cases.
        refusal: which processes could not be started, and why, or empty.
        memory_restarts: how often a process was restarted because its memory had grown.
        slow_restarts: how often because it had become slow, and the fresh one was not.
        stopped: why not everything planned was run, or empty.
        only_probes: whether nothing else was run.
    """

    info: Info
    cases: int = 0
    configurations: int = 0
    parts: Counter[str] = field(default_factory=Counter)
    counts: Counter[tuple[str, Status]] = field(default_factory=Counter)
    strict: bool = False
    failures: dict[str, Failures] = field(default_factory=dict)
    passed: Sample[tuple[Case, frozenset[str]]] = field(default_factory=Sample)
    unsupported: Sample[Case] = field(default_factory=Sample)
    refused: dict[str, tuple[int, str]] = field(default_factory=dict)
    passes: Counter[str] = field(default_factory=Counter)
    entries: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    counted: Counted = field(default_factory=Counted)
    ratios: dict[str, array[float]] = field(default_factory=dict)
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    replayed: dict[str, str] = field(default_factory=dict)
    probed: list[Capability] = field(default_factory=list)
    flaky: Counter[str] = field(default_factory=Counter)
    refusal: str = ""
    memory_restarts: int = 0
    slow_restarts: int = 0
    stopped: str = ""
    only_probes: bool = False
    _probes: dict[Case, list[Outcome]] = field(default_factory=dict)

    def add(
        self,
        part: str,
        at: int,
        before: Example,
        outcomes: Sequence[Outcome],
        *,
        is_last: bool = True,
        earlier: Example = (),
    ) -> None:
        """Add what became of the last case of `before`, which is of the configuration `at`.

        `is_last` is whether it is the last of its example; `earlier` are the cases that its process
        was asked before, if that is known.
        """
        case = before[-1]
        if part == PROBES:
            self._probes[case] = list(outcomes)
            return
        self.cases += 1
        self._count(at, before, outcomes, earlier)
        statuses = {outcome.status for outcome in outcomes}
        worst = min(statuses, key=WORST_FIRST.index, default=Status.PASSED)
        if part == CORPUS:
            if is_last:
                self.replayed[format_sequence(before)] = str(worst)
            return
        declined = Status.UNSUPPORTED in statuses
        self.counted.add(case, worst, declined=declined)
        if case.asks == "life":
            return
        text = str(case)
        if declined:
            self.unsupported.add(text, case)
        passed = frozenset([o.check for o in outcomes if o.status is Status.PASSED])
        if passed:
            self.passed.add(text, (case, passed))

    def finished(self, part: str, configurations: int) -> None:
        """All cases of an example with so many configurations were added."""
        if part != PROBES:
            self.configurations += 0 if part in (CORPUS, VARIATIONS) else configurations
            self.parts[part] += configurations

    def add_example(self, decided: Decided) -> None:
        """Add what became of the cases of an example."""
        part, example = decided.planned.part, decided.planned.example
        for number, (at, outcomes) in enumerate(decided.each, start=1):
            self.add(part, at, example[:number], outcomes, is_last=number == len(example))
        self.finished(part, decided.configurations)

    def settle(self) -> None:
        """Judge the probes, once nothing more is added.

        A probe of what is claimed counts for the check of claims. Where it fails otherwise and
        nothing else has failed, it counts for that check too. Where nothing else was run the
        probes are the cases.
        """
        outcomes = self._probes
        broken: dict[Case, list[Outcome]] = {}
        failed = any(self.counts[key] for key in self.counts if key[1] in BAD)
        for probe in probes(self.info.capabilities):
            if probe.case not in outcomes:
                continue
            found = outcomes[probe.case]
            if self.cases:
                self.flaky.update(o.cause for o in found if o.status is Status.FLAKY)
            note = next((o.message or o.cause for o in found if o.status is not Status.PASSED), "")
            self.probed.append(
                Capability(
                    need=wording(probe.need),
                    claimed=probe.claimed,
                    works=not note,
                    note=note,
                    case=str(probe.case),
                )
            )
            if probe.claimed or (probe.claimed is None and not self.cases):
                broken[probe.case] = found
        self.only_probes = nothing_else = not self.cases
        if nothing_else:
            self.cases = self.configurations = len(outcomes)
        for case, found in broken.items():
            claims = [o for o in found if o.check == PROBE_CHECK]
            others = [o for o in found if o.check != PROBE_CHECK]
            if nothing_else:
                self._count(0, (case,), others)
            elif not failed and not any(o.status in BAD for o in claims):
                bad = [o for o in others if o.status in BAD][:1]
                claims = [_broken_claim(o) for o in bad] or claims
            self._count(0, (case,), claims)
            if any(o.status is Status.PASSED for o in claims):
                self.passed.add(str(case), (case, frozenset({PROBE_CHECK})))

    def _count(
        self, at: int, before: Example, outcomes: Iterable[Outcome], earlier: Example = ()
    ) -> None:
        case = before[-1]
        reasons = set()
        for outcome in outcomes:
            status = outcome.status
            self.counts[outcome.check, status] += 1
            if outcome.ratio is not None:
                self.ratios.setdefault(case.compute_dtype, array("d")).append(outcome.ratio)
            if outcome.seen:
                self.seen.update(outcome.seen.items())
            if status is Status.PASSED:
                continue
            if outcome.entry:
                self.entries[outcome.entry][str(status)] += 1
            if status is Status.UNSUPPORTED:
                reasons.add(outcome.cause)
            elif status is Status.FLAKY:
                self.flaky[outcome.cause] += 1
            elif status is Status.UNEXPECTED_PASS and not outcome.strict:
                self.passes[outcome.reason] += 1
            if status in BAD or status is Status.EXPECTED_FAILURE or outcome.strict:
                self.strict |= outcome.strict
                failure = Failure(outcome, at, before)
                self.failures.setdefault(kind_of(outcome), Failures()).add(failure, earlier)
        for reason in reasons:
            number, example = self.refused.get(reason, (0, str(case)))
            shortest = min(example, str(case), key=lambda text: (len(text), text))
            self.refused[reason] = number + 1, shortest


class Failures:
    """The failures of one finding: how many, the first, the smallest, and a sample.

    Attributes:
        earlier: the cases that the process was asked before the first one, if that is known.
    """

    def __init__(self) -> None:
        self.earlier: Example = ()
        self.sample: Sample[Failure] = Sample()
        self.first: Failure | None = None
        self.least: Failure | None = None

    def add(self, failure: Failure, earlier: Example = ()) -> None:
        """Add one, and the cases that its process was asked before."""
        self.sample.add(str(failure.case), failure)
        if self.first is None or failure.place < self.first.place:
            self.first, self.earlier = failure, earlier
        if self.least is None or _size(failure) < _size(self.least):
            self.least = failure

    @property
    def number(self) -> int:
        return self.sample.number

    @staticmethod
    def of_cause(cause: str, groups: Sequence[Failures]) -> Failures:
        """Several as one, as if each had failed by `cause`."""
        joined = Failures()
        for group in groups:
            for failure in (*group.sample, group.first, group.least):
                if failure is not None:
                    earlier = group.earlier if failure is group.first else ()
                    one = replace(failure, outcome=replace(failure.outcome, cause=cause))
                    joined.add(one, earlier)
        joined.sample.number = sum(group.number for group in groups)
        return joined


def kind_of(outcome: Outcome) -> str:
    """Equal for outcomes of one finding."""
    expected = outcome.status is Status.EXPECTED_FAILURE
    cause = "" if expected else outcome.cause
    return "\0".join((outcome.check, outcome.status, cause, outcome.reason))


def size_of(case: Case) -> tuple[int, int, str]:
    """Orders cases by how much there is to read in them."""
    n, h, w, c = case.input_shape
    text = str(case)
    return n * h * w * c * case.filters, len(text), text


def _size(failure: Failure) -> tuple[tuple[int, int, str], tuple[int, int, int, str]]:
    return size_of(failure.case), failure.place


def _broken_claim(outcome: Outcome) -> Outcome:
    cause = f"fails on the smallest case of what it claims: {outcome.cause}"
    return replace(outcome, check=PROBE_CHECK, cause=cause, ratio=None)
