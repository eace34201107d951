"""The records arranged as the page shows them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from conformance.causes import expected, explanation, members, shown, unexpected, where
from conformance.headline import verdict_sentence
from conformance.report import claims, heatmaps, matrix, plots
from conformance.report.claims import Claim
from conformance.report.heatmaps import Maps
from conformance.report.issue import issue
from conformance.report.listing import packed
from conformance.report.text import (
    STATUS_LABELS,
    WHERE_LABELS,
    capitalized,
    clean,
    entries,
    number,
    percent,
    replay_command,
)
from conformance.results import (
    BAD,
    Cause,
    Finding,
    ImplementationResult,
    Listing,
    Report,
    Status,
    Verdict,
)

_POPULAR, _VARIED = "popular layer", ("call to refuse", "varied")  # kinds of class
_MOST_SPACIOUS = 5  # implementations; with more of them the tables are set closely
_MOST_IN_WORDS = 3  # implementations; with more of them their verdicts in words are folded
_WORST_FIRST = (Verdict.FAILS, Verdict.INCONCLUSIVE, Verdict.CONFORMS)
_UNTESTED = frozenset({Status.UNSUPPORTED, Status.HARNESS_ERROR})


@dataclass(frozen=True, slots=True)
class Told:
    """One finding."""

    id: str
    finding: Finding
    calls: list[str]
    replay: str
    link: str
    maps: Maps | None
    larger: Maps | None
    window: Markup | None
    window_text: str


@dataclass(frozen=True, slots=True)
class Card:
    """One cause: the finding of it that tells most, then the others."""

    id: str
    cause: Cause
    title: str
    lead: Told
    others: list[Told]
    configurations: int
    where_label: str
    where: str
    entry: str
    diagnosis: str
    explanation: str
    issue: str

    @property
    def chips(self) -> list[tuple[str, Status, int, str]]:
        """Each check once, with its status, number of cases, and where it is told."""
        counted: dict[tuple[str, Status], tuple[int, str]] = {}
        for one in self.told:
            key = one.finding.check, one.finding.status
            number, target = counted.get(key, (0, one.id))
            counted[key] = number + one.finding.count, target
        return [(check, status, *found) for (check, status), found in counted.items()]

    @property
    def told(self) -> list[Told]:
        """All findings, the leading one first."""
        return [self.lead, *self.others]


@dataclass(frozen=True, slots=True)
class Cell:
    """One check of one implementation: counts by status, each with the anchor of its finding."""

    tone: str
    counts: list[tuple[Status, int, str]]
    tested: str


@dataclass(frozen=True, slots=True)
class Distribution:
    """Error over bound of one dtype; no plot when nothing was compared."""

    dtype: str
    plot: Markup | None
    total: int
    exact: int
    failing: int
    largest: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Subject:
    """One implementation, or the witness."""

    id: str
    result: ImplementationResult
    witness: bool
    cards: list[Card]
    expected: list[Card]
    cells: dict[str, Cell]
    distributions: list[Distribution]
    claims: dict[str, Claim]
    area: str
    short_area: str
    declarations: list[str]
    held_to: dict[str, str]

    @property
    def query(self) -> str:
        """The term that finds its results."""
        return matrix.term("impl", clean(self.result.name))

    @property
    def conforms(self) -> bool:
        """Whether all that failed was expected to."""
        return self.result.verdict is Verdict.CONFORMS

    @property
    def findings(self) -> int:
        """How many findings decide the verdict."""
        return sum(len(card.told) for card in self.cards)

    @property
    def anchor(self) -> str:
        """Where its causes are."""
        return f"#{self.id}" if self.cards else ""

    @property
    def works(self) -> list[Claim]:
        """Capabilities whose smallest case works."""
        return [claim for claim in self.claims.values() if claim.works]

    @property
    def broken(self) -> list[Claim]:
        """Capabilities that are claimed, and do not work."""
        return [claim for claim in self.claims.values() if claim.state == "broken"]

    @property
    def largest(self) -> str:
        """The largest ratio of all, and how many are too large."""
        met = [d.largest for d in self.distributions if d.largest is not None]
        failing = sum(d.failing for d in self.distributions)
        expected = ", all expected" if self.conforms else ""
        above = f", {failing:,} above the limit{expected}" if failing else ""
        return f"largest {number(max(met))}{above}" if met else "nothing compared"


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that is arranged rather than copied from the report."""

    subjects: list[Subject]
    witnesses: list[Subject]
    checks: list[str]
    contract: list[str]
    rules: dict[str, str]
    needs: list[str]
    groups: list[matrix.Group]
    listing: Listing | None
    packed: Markup
    sentences: list[str]
    folded: list[str]

    @property
    def by_verdict(self) -> list[Subject]:
        """Everyone, those who fail first and those who conform last."""
        return sorted(self.everyone, key=lambda s: _WORST_FIRST.index(s.result.verdict))

    def met(self, checks: list[str]) -> set[Status]:
        """The statuses that occur among `checks`."""
        cells = (s.cells[check] for s in self.everyone for check in checks if check in s.cells)
        return {status for cell in cells for status, _, _ in cell.counts}

    @property
    def popular(self) -> list[matrix.Group]:
        """Popular layers."""
        return [group for group in self.groups if group.name == _POPULAR]

    @property
    def varied(self) -> list[matrix.Group]:
        """What cases vary that are no plain Conv2D."""
        return [group for group in self.groups if group.name in _VARIED]

    @property
    def arguments(self) -> list[matrix.Group]:
        """Every other kind of class."""
        return [group for group in self.groups if group.name not in (_POPULAR, *_VARIED)]

    @property
    def dense(self) -> bool:
        """Whether tables by implementation must be set closely."""
        return len(self.everyone) > _MOST_SPACIOUS

    @property
    def claiming(self) -> list[Subject]:
        """Those measured of whom a capability was probed or is declared."""
        return [s for s in self.subjects if s.claims or s.result.declared is not None]

    @property
    def states(self) -> dict[str, tuple[str, str]]:
        """The states that occur among the capabilities, with glyph and words."""
        met = {claim.state for subject in self.subjects for claim in subject.claims.values()}
        return {state: shown for state, shown in claims.STATES.items() if state in met}

    @property
    def open(self) -> list[str]:
        """What is not judged, as far as anybody met it."""
        return sorted({what for subject in self.everyone for what in subject.result.open})

    @property
    def expecting(self) -> list[Subject]:
        """Those of whom a failure was expected on what was tried."""
        return [s for s in self.everyone if s.expected or s.result.passing]

    @property
    def everyone(self) -> list[Subject]:
        """Those measured, then the witnesses."""
        return [*self.subjects, *self.witnesses]


def arrange(report: Report, listing: Listing | None = None) -> Page:
    """The view of `report`, with all results where there is a `listing`."""
    side = heatmaps.side_of_maps(report)
    subjects = [
        _subject(result, report, side, f"findings-{number}")
        for number, result in enumerate(report.implementations, 1)
    ]
    witnesses = [
        _subject(
            result, report, side, f"findings-witness{f'-{number}' if number > 1 else ''}", True
        )
        for number, result in enumerate(report.witnesses, 1)
    ]
    results = [*report.implementations, *report.witnesses]
    made = list(dict.fromkeys(check for result in results for check in result.checks))
    checks = [*(c for c in report.rules if c in made), *(c for c in made if c not in report.rules)]
    needs = list(dict.fromkeys(c.need for result in results for c in result.capabilities))
    folded = _verdicts(report) if len(report.implementations) > _MOST_IN_WORDS else []
    return Page(
        subjects=subjects,
        witnesses=witnesses,
        checks=[check for check in checks if check not in report.contract],
        contract=[c for c in checks if c in report.contract and _is_met(c, results)],
        rules=report.rules,
        needs=needs,
        groups=matrix.groups(report.implementations),
        listing=listing,
        packed=Markup("" if listing is None else packed(listing)),
        sentences=[line for line in report.headline if line not in folded],
        folded=folded,
    )


def _verdicts(report: Report) -> list[str]:
    """The sentences of the headline that only say the verdict on one implementation."""
    told = set(map(verdict_sentence, report.implementations))
    return [line for line in report.headline if line in told]


def _is_met(check: str, results: list[ImplementationResult]) -> bool:
    return any(sum(result.checks.get(check, {}).values()) for result in results)


def _subject(
    result: ImplementationResult, report: Report, side: int, anchor: str, witness: bool = False
) -> Subject:
    identify = _Identifiers(anchor.removeprefix("findings-") if witness else result.name)
    cards = [_card(cause, result, report, identify, side) for cause in unexpected(result)]
    expected_cards = [_card(cause, result, report, identify, side) for cause in expected(result)]
    anchors = [
        (one.finding, card.id if one is card.lead else one.id)
        for card in (*cards, *expected_cards)
        for one in card.told
    ]
    targets: dict[tuple[str, Status], str] = {}
    for finding, target in anchors:
        targets.setdefault((finding.check, finding.status), target)
    return Subject(
        id=anchor,
        result=result,
        witness=witness,
        cards=cards,
        expected=expected_cards,
        cells={
            check: _cell(counts, {s: targets.get((check, s), "") for s in Status})
            for check, counts in result.checks.items()
        },
        distributions=list(_distributions(result)),
        claims=claims.claims_of(result, anchors),
        area=claims.area(result),
        short_area=claims.short_area(result),
        declarations=claims.declarations(result),
        held_to=claims.held_to(result),
    )


class _Identifiers:
    """Anchors that stay the same from run to run, so that a link to a finding keeps its meaning."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._taken: set[str] = set()

    def __call__(self, kind: str, *parts: str) -> str:
        key = "\0".join((self._subject, *parts))
        digest = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:10]
        name = re.sub(r"[^a-z0-9]+", "-", kind.lower()).strip("-")
        anchor = base = f"{name}-{digest}"
        number = 1
        while anchor in self._taken:
            number += 1
            anchor = f"{base}-{number}"
        self._taken.add(anchor)
        return anchor


def _card(
    cause: Cause, result: ImplementationResult, report: Report, identify: _Identifiers, side: int
) -> Card:
    findings = members(cause, result.findings)
    lead = shown(findings)
    status = lead.status
    return Card(
        id=identify("cause", cause.diagnosis or cause.what, status),
        cause=cause,
        title=capitalized(cause.what),
        lead=_told(lead, result, identify, side),
        others=[_told(f, result, identify, side) for f in findings if f is not lead],
        configurations=result.configurations,
        where_label=WHERE_LABELS.get(status, ""),
        where=where(cause) if status in WHERE_LABELS else "",
        entry="\n".join(entries(cause, findings, result.given_name)),
        diagnosis=re.sub(r"[_-]+", " ", cause.diagnosis or ""),
        explanation=explanation(cause, findings),
        issue=issue(cause, findings, result, report) if status in BAD else "",
    )


def _told(
    finding: Finding, result: ImplementationResult, identify: _Identifiers, side: int
) -> Told:
    evidence = finding.evidence
    drawn = evidence is not None and (evidence.expected or evidence.got)
    alone = evidence is not None and not evidence.input  # else the input itself is drawn
    return Told(
        id=identify(f"finding-{finding.check}", finding.check, finding.cause, finding.status),
        finding=finding,
        calls=finding.minimal_case.split("+"),
        replay=replay_command(finding.minimal_case, result.given_name, named=result.named),
        link=finding.link if re.match(r"https?://", finding.link) else "",
        maps=heatmaps.draw(evidence, side) if evidence is not None and drawn else None,
        larger=heatmaps.draw(finding.larger, side) if finding.larger is not None else None,
        window=heatmaps.draw_window(evidence) if evidence is not None and alone else None,
        window_text=heatmaps.window_text(evidence) if evidence is not None else "",
    )


def _cell(counts: dict[str, int], targets: dict[Status, str]) -> Cell:
    present = [(s, counts[s], targets[s]) for s in STATUS_LABELS if counts.get(s, 0)]
    total = sum(number for _, number, _ in present)
    untested = sum(number for status, number, _ in present if status in _UNTESTED)
    statuses = {status for status, _, _ in present}
    # An unexpected pass that is a finding was declared strict.
    strict = bool(targets[Status.UNEXPECTED_PASS])
    return Cell(_tone(statuses, strict), present, percent(total - untested, total))


def _tone(statuses: set[Status], strict: bool) -> str:
    if statuses & BAD or strict:
        return "fail"
    if Status.UNEXPECTED_PASS in statuses:
        return "warn"
    if statuses - {Status.UNSUPPORTED}:
        return "pass"
    return "unsupported" if statuses else "empty"


def _distributions(result: ImplementationResult) -> Iterator[Distribution]:
    expected = result.verdict is Verdict.CONFORMS
    for dtype, ratios in result.ratios.items():
        total = sum(ratios.counts)
        yield Distribution(
            dtype=dtype,
            plot=plots.histogram(dtype, ratios, expected=expected) if total else None,
            total=total,
            exact=ratios.counts[0] if total else 0,
            failing=ratios.failing,
            largest=ratios.largest,
            p99=ratios.p99,
        )
