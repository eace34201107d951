"""A whole campaign: implementations x checks x cases, under a budget, into a report."""

from __future__ import annotations

import importlib.metadata
import math
import platform
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from conformance.calls import Kind
from conformance.campaign.cluster import Cluster
from conformance.campaign.corpus import Corpus
from conformance.campaign.ending import ENDING, INTERRUPTED
from conformance.campaign.findings import findings
from conformance.campaign.session import Session, available_cores
from conformance.campaign.summary import summary
from conformance.campaign.trying import Team
from conformance.campaign.unneeded import unneeded
from conformance.case import format_sequence
from conformance.checks import CHECKS, RULES
from conformance.errors import UsageError
from conformance.expectations import Expectation, shipped
from conformance.headline import headline
from conformance.implementations.info import Info
from conformance.journals import journal as journals
from conformance.journals.fingerprint import Fingerprint, digest, digest_of, versions
from conformance.journals.journal import Journal
from conformance.journals.measured import Measured
from conformance.journals.tally import Tally
from conformance.machine import instruction_set
from conformance.plan import (
    PROFILES,
    WHOLE,
    Asked,
    Example,
    Planned,
    Shard,
    Undrawn,
    given,
    outline,
    plan,
    refuse_unclaimed,
)
from conformance.plan import VERSION as PLAN_VERSION
from conformance.processes.limits import MOST_JOBS, Limits
from conformance.results import KERAS, ImplementationResult, Report, Verdict, overall
from conformance.targets import ADAPTERS, Target, adapter_of
from reference_impl.convolution import active_path

WITNESSED = (
    40  # configurations on which Keras confirms the reference when something else is measured
)
MOST_AT_ONCE = 4  # implementations that are started before the first is measured
FOR_WITNESS = 0.25  # of the time
LEAST_FOR_WITNESS, MOST_FOR_WITNESS = 5.0, 20.0  # seconds
FOR_FINDINGS = 0.25  # of the time, where something fails


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a campaign is asked to do.

    Attributes:
        implementations: who is measured; empty means real Keras on TensorFlow.
        examples: configurations for each implementation, None for all of the profile.
        profile: how much of the plan is run where no number of examples is given: ``quick``,
            ``default``, or ``night``, which goes on until `max_time`.
        max_time: seconds for the campaign, shared evenly by the implementations; None for no limit.
        seed: what the cases are drawn from.
        jobs: worker processes, None for one a core.
        checks: which checks to make, empty for all.
        expectations: expected failures besides the shipped ones.
        xfail: the file they came from, for the command in the report.
        witness: whether real Keras, where installed, confirms the reference on a sample.
        strict: whether a case that is lost once, and not when tried again, fails the run.
        limits: what one implementation may take.
        shard: which part of the plan is run.
        corpus: cases that have failed, tried before the plan; it is told what came of them.
        cluster: address of the scheduler of a Dask cluster whose workers try the cases.
        given: the examples to run, None to draw them.
        command: the command line that repeats the campaign; None for that of ``run``.
    """

    implementations: tuple[Target, ...] = ()
    examples: int | None = None
    profile: str | None = None
    max_time: float | None = None
    seed: int = 0
    jobs: int | None = None
    checks: tuple[str, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    xfail: Path | None = None
    witness: bool = True
    strict: bool = False
    limits: Limits = Limits()  # noqa: RUF009 - frozen
    shard: Shard = WHOLE
    corpus: Corpus | None = None
    cluster: str | None = None
    given: tuple[Example, ...] | None = None
    command: str | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range.

        Raises:
            UsageError: a value cannot be meant; says which, and what is allowed.
        """
        for name, least in (("examples", 1), ("seed", 0), ("jobs", 1)):
            value = getattr(self, name)
            if value is None and name != "seed":
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise UsageError(
                    f"{name} must be a whole number of at least {least}, not {value!r:.100}"
                )
        if self.jobs is not None and self.jobs > MOST_JOBS:
            raise UsageError(f"jobs must be at most {MOST_JOBS}, not {self.jobs!r:.100}")
        limit = self.max_time
        if limit is not None and not (isinstance(limit, int | float) and 0 < limit < math.inf):
            raise UsageError(f"max_time must be a finite number above 0, not {limit!r}")
        if self.profile is not None and self.profile not in PROFILES:
            raise UsageError(f"profile {self.profile!r}: allowed are {', '.join(PROFILES)}")
        if self.profile is not None and self.examples is not None:
            raise UsageError("examples and profile both say how much is run; give one of them")
        if self.profile == "night" and self.max_time is None:
            raise UsageError("profile 'night' goes on until max_time, so it needs one")

    @property
    def extent(self) -> str:
        """The profile that is run; a number of examples or a time alone may use all of it."""
        if self.profile is not None:
            return self.profile
        return "default" if self.examples is None and self.max_time is None else "night"

    @property
    def told_profile(self) -> str | None:
        """The profile as reports tell it; a number of examples is none."""
        return None if self.examples else self.extent

    @property
    def targets(self) -> tuple[Target, ...]:
        return self.implementations or (Target(KERAS),)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(target.name for target in self.targets)

    @property
    def processes(self) -> int:
        return self.jobs or available_cores()

    @property
    def fingerprint(self) -> Fingerprint:
        """What decides the cases and verdicts, besides what implementations tell of themselves."""
        cases = None if self.given is None else digest(map(format_sequence, self.given))
        return {
            **versions(),
            "implementations": self.names,
            "seed": self.seed,
            "examples": self.examples,
            "profile": self.told_profile,
            "max_time": self.max_time,
            "shard": str(self.shard),
            "checks": self.checks,
            "witness": self.witness,
            "strict": self.strict,
            "expected failures": digest_of([*self.expectations, *shipped()]),
            "given cases": cases,
        }

    def command_line(self) -> str:
        """The command line that repeats the campaign."""
        if self.command is not None:
            return self.command
        words = ["conv2d-conformance", "run"]
        for target in self.implementations:
            words += ["--impl", target.name]
        if self.examples is not None:
            words += ["--examples", str(self.examples)]
        if self.profile is not None:
            words += ["--profile", self.profile]
        if self.max_time is not None:
            words += ["--max-time", f"{self.max_time:g}"]
        words += ["--seed", str(self.seed)]
        if self.xfail is not None:
            words += ["--xfail", str(self.xfail)]
        if self.shard != WHOLE:
            words += ["--shard", str(self.shard)]
        if self.cluster is not None:
            words += ["--cluster", self.cluster]
        if self.corpus is not None:
            words += ["--corpus", str(self.corpus.path)]
        if not self.witness:
            words.append("--no-witness")
        if self.strict:
            words.append("--strict")
        return shlex.join(words)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a campaign is.

    Attributes:
        name, stage: what is done with which implementation.
        done, total: its configurations; None: until the time is up.
        share: how much of the whole campaign is done, 0 to 1.
    """

    name: str
    stage: str
    done: int
    total: int | None
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Campaign:
    """What a campaign ends with.

    Attributes:
        report: the records.
        interrupted: whether Ctrl-C ended it early.
        cpu: processor seconds of its processes, by what they do.
        trouble: why the journal could not be written, or empty.
        decided: whether anything of the plan was, not only of the probes.
    """

    report: Report
    interrupted: bool
    cpu: dict[str, float]
    trouble: str = ""
    decided: bool = True


def run(
    settings: Settings,
    progress: Callable[[Progress], None] = lambda p: None,
    *,
    folder: Path | None = None,
    resume: bool = False,
) -> Campaign:
    """Run a campaign. Ctrl-C ends it early; what was decided until then is in the report.

    Before the first implementation is ready, Ctrl-C is raised as KeyboardInterrupt.

    With a `folder`, every case is written to a journal there as soon as it is decided. To `resume`
    is to go on with the journal that is there, if there is one.

    Raises:
        UsageError: an implementation cannot be measured, or the journal is that of another
            campaign; nothing was run.
    """
    journal = None
    if folder is not None:
        resume = resume and journals.exists(folder)
        journal = Journal(folder, settings.fingerprint, resume=resume)
    return _Campaign(settings, progress, journal).run()


class _Campaign:
    def __init__(
        self, settings: Settings, progress: Callable[[Progress], None], journal: Journal | None
    ) -> None:
        self.settings, self.progress, self.journal = settings, progress, journal
        self.began = time.monotonic() - (0.0 if journal is None else journal.spent)
        self.interrupted = False
        self.cluster: Cluster | None = None
        self.total: int | None = None
        self.lived = False  # whether anybody was asked for the contract of a layer
        self.turn, self.turns = 0, len(settings.targets)  # whose turn it is, the witness included

    def run(self) -> Campaign:
        settings, started = self.settings, datetime.now(UTC)
        done: list[Measured] = []
        witness: Measured | None = None
        session = Session(
            jobs=settings.processes,
            limits=settings.limits.within(settings.max_time),
            expectations=[*settings.expectations, *shipped()],
            journal=self.journal,
        )
        try:
            if settings.cluster is not None:
                self.cluster = Cluster(settings.cluster)
            size = None if self.cluster is None else 1
            teams = [session.team(target, size) for target in settings.targets]
            witnesses = session.team(Target(KERAS), 1) if self._wants_witness() else None
            self.turns = len(teams) + bool(witnesses)
            # Where time is limited, the witness is started in its turn, if there is time for it.
            self._start_all([*teams, *([witnesses] if witnesses and not settings.max_time else [])])
            for number, team in enumerate(teams, start=1):
                self.turn = number - 1
                self._set_deadline(team, number / len(teams), witnessed=bool(witnesses))
                measured = self._measured(session, team, settings.examples)
                done.append(measured)
                if settings.corpus is not None:
                    asked = Asked.of(measured.info)
                    settings.corpus.saw(team.name, asked, measured.replayed)
                if self.interrupted:
                    break
            if witnesses and not self.interrupted:
                sample = min(settings.examples or WITNESSED, WITNESSED)
                self.turn = len(teams)
                self._set_deadline(witnesses, 1.0)
                if witnesses.budget.has(LEAST_FOR_WITNESS):
                    witness = self._measured(session, witnesses, sample)
        except KeyboardInterrupt:  # while a process was started
            if not done:
                raise
            self.interrupted = True
        finally:
            session.close()
            if self.cluster is not None:
                self.cluster.close()
            if self.journal is not None:
                self.journal.close()
        results = [measured.result for measured in done]
        seen = None if witness is None or not witness.result.cases else witness.result
        left_over = [] if self.interrupted else unneeded(settings.expectations, done)
        report = Report(
            environment=environment([measured.info for measured in done]),
            settings={
                "seed": settings.seed,
                "examples": settings.examples,
                "profile": settings.told_profile,
                "max_time": settings.max_time,
                **({"shard": str(settings.shard)} if settings.shard != WHOLE else {}),
                "command": settings.command_line(),
            },
            plan={"version": PLAN_VERSION, "hypothesis": importlib.metadata.version("hypothesis")},
            rules={name: check.rule for name, check in CHECKS.items()},
            contract={check.name: check.text for check in RULES},
            headline=[
                *headline(
                    results,
                    seen,
                    measures_keras=KERAS in settings.names,
                    keras_installed=keras_is_installed(),
                ),
                *map(str, left_over),
            ],
            implementations=results,
            witness=seen,
            unneeded=left_over,
            run={
                "started": started.strftime("%Y-%m-%d %H:%M:%S UTC"),
                "seconds": round(time.monotonic() - self.began, 1),
                "jobs": settings.processes,
                "seconds_each": {measured.result.name: measured.seconds for measured in done},
            },
        )
        trouble = "" if self.journal is None else self.journal.trouble
        decided = any(measured.decided for measured in done)
        return Campaign(report, self.interrupted, dict(session.cpu), trouble, decided)

    def _wants_witness(self) -> bool:
        return self.settings.witness and KERAS not in self.settings.names and keras_is_installed()

    def _start_all(self, teams: Sequence[Team]) -> None:
        """Start the first process of every implementation, so that a wrong name is told at once.

        Of many, the adapters are started in their turn: their engines take much memory each. One
        that a resumed run has measured is started and ended, to see whether it is still the same.
        """
        many = len(teams) > MOST_AT_ONCE
        for team in teams:
            in_turn = many and team.name in ADAPTERS
            if in_turn and not (self.journal is not None and team.name in self.journal.measured):
                continue
            self._show(team, "starting")
            self._start(team)
            if in_turn:
                team.stop()

    def _show(
        self,
        team: Team,
        stage: str,
        done: int = 0,
        total: int | None = None,
        explained: float = 0.0,
    ) -> None:
        """Tell how far it is; where time is the limit, by the time.

        Of its failures a share is `explained`.
        """
        if self.settings.max_time is not None:
            share = (time.monotonic() - self.began) / self.settings.max_time
        else:
            part = (1 - FOR_FINDINGS) * min(done / total, 1) if total else 0.0
            part += FOR_FINDINGS * explained
            share = (self.turn + part) / self.turns
        self.progress(Progress(team.name, stage, done, total, min(share, 1.0)))

    def _set_deadline(self, team: Team, share: float, *, witnessed: bool = False) -> None:
        """Until a share of the time is gone; some of it is kept for a witness.

        The time is shared evenly; what one leaves goes to the next.
        """
        if (limit := self.settings.max_time) is not None:
            kept = min(MOST_FOR_WITNESS, FOR_WITNESS * limit) if witnessed else 0.0
            team.budget.deadline = self.began + (limit - kept) * share

    def _known(self, team: Team) -> Measured | None:
        """What is measured already, findings included, in the run that is resumed."""
        record = None if self.journal is None else self.journal.ended(team.name)
        if record is None:
            return None
        team.stop()
        known = Measured.from_tree(record)
        self._meet(team, known.info)
        return known

    def _measured(self, session: Session, team: Team, limit: int | None) -> Measured:
        """What comes of one implementation, from the journal where it is done already."""
        known, began = self._known(team), time.monotonic()
        if known is not None:
            return known
        tally = self._measure_or_say_why(session, team, limit)
        result = self._summarise(session, tally, team)
        seconds = round(time.monotonic() - began, 1)
        measured = Measured(
            tally.info,
            result,
            tally.stopped,
            {entry: dict(met) for entry, met in sorted(tally.entries.items())},
            seconds,
            decided=not tally.only_probes,
            refusal=tally.refusal,
            memory_restarts=tally.memory_restarts,
            slow_restarts=tally.slow_restarts,
            replayed=tally.replayed,
        )
        was_measured = tally.cases or not tally.stopped
        if self.journal is not None and was_measured and not self.interrupted:
            self.journal.ends(team.name, measured.to_tree())
        return measured

    def _measure_or_say_why(self, session: Session, team: Team, limit: int | None) -> Tally:
        """As `_measure`; one of many that cannot be measured does not end the others."""
        try:
            return self._measure(session, team, limit)
        except UsageError as error:
            if len(self.settings.targets) == 1 or team.name not in self.settings.names:
                raise
            reason = f"cannot be measured ({error})"
            return Tally(Info(name=team.name, kind="function"), stopped=reason)

    def _measure(self, session: Session, team: Team, limit: int | None) -> Tally:
        tally = Tally(self._start(team))
        self._meet(team, tally.info)
        tried = session.try_all(
            team,
            lambda info: self._planned(team, info, limit),
            tally,
            self.settings.checks,
            self.settings.shard,
            lambda info: self._replays(team, info),
            self.cluster if team.name in self.settings.names else None,
        )
        hard = team.budget.deadline
        try:
            with closing(tried):
                for one in tried:
                    if one.is_last:
                        total = self.total if limit is None else limit // self.settings.shard.number
                        self._show(team, "running", tally.configurations, total)
                    if hard is not None and tally.failures:
                        # What is left is for shrinking and showing again.
                        now = time.monotonic()
                        team.budget.deadline = min(hard, max(now, hard - self._for_findings()))
        except KeyboardInterrupt:
            self.interrupted = True
            tally.stopped = tally.stopped or "interrupted"
        if hard is not None and self.journal is not None and self.journal.spent:
            # The time of the run that is resumed may have ended while it looked for findings.
            hard = max(hard, time.monotonic() + self._for_findings())
        team.budget.deadline = hard
        if hard is not None and time.monotonic() >= hard and not tally.cases:
            seconds = f"{self.settings.max_time:g}"
            tally.stopped = tally.stopped or f"starting took all of the {seconds} s of max_time"
        return tally

    def _start(self, team: Team) -> Info:
        """Start its first process; refuse to resume what another version was asked."""
        with ENDING.may_leave():
            info = team.start()
        if self.journal is not None:
            self.journal.measures(team.name, info)
        return info

    def _meet(self, team: Team, info: Info) -> None:
        self.lived |= Kind.LIFE in info.answers and team.name in self.settings.names

    def _for_findings(self) -> float:
        """Seconds of one implementation that are for its findings, where it has any."""
        assert self.settings.max_time is not None
        return self.settings.max_time / len(self.settings.targets) * FOR_FINDINGS

    def _replays(self, team: Team, info: Info) -> Iterator[Planned]:
        """The corpus, of which a witness is asked nothing."""
        corpus = self.settings.corpus
        if corpus is not None and team.name in self.settings.names:
            yield from corpus.planned(Asked.of(info))

    def _planned(self, team: Team, info: Info, limit: int | None) -> Iterator[Planned | Undrawn]:
        shard, journal = self.settings.shard, self.journal
        if self.settings.given is not None:
            for example in self.settings.given:
                refuse_unclaimed(example, Asked.of(info), info.name)
            return shard.of(given(islice(self.settings.given, limit), Asked.of(info)))
        asked = Asked.of(info)
        if not self.lived:  # a witness: functions alone were measured
            asked = replace(asked, contract=False)
        on_cluster = self.cluster is not None and team.name in self.settings.names
        steps: Iterator[Planned | Undrawn] = (outline if on_cluster else plan)(
            self.settings.seed,
            asked,
            limit=limit,
            profile=self.settings.extent,
            shard=shard,
            known=lambda at: journal is not None and journal.has_all(team.name, "free", at),
        )
        if limit is None and self.settings.extent != "night":
            finite = [step for step in steps if isinstance(step, Planned)]
            self.total = sum(len(planned.configurations()) for planned in finite if planned.at)
            return iter(finite)
        return steps

    def _summarise(self, session: Session, tally: Tally, team: Team) -> ImplementationResult:
        if self.interrupted:
            found = findings(tally, None, checks=self.settings.checks)
        else:
            tried = tally.configurations

            def show(number: int, of: int) -> None:
                stage = f"explaining failure {number} of {of}"
                self._show(team, stage, tried, tried, explained=(number - 1) / of)

            found = findings(
                tally,
                team,
                confirming=session.another(team),
                checks=self.settings.checks,
                progress=show,
            )
            self.interrupted = found.interrupted
        team.stop()
        return summary(tally, found, strict=self.settings.strict)


def keras_is_installed() -> bool:
    """Whether Keras and TensorFlow can be imported; neither is imported to find out."""
    return not adapter_of(KERAS).missing()


def exit_code(campaign: Campaign) -> int:
    """0 conforms, 1 something does not, 3 nothing could be decided, 130 interrupted."""
    if campaign.interrupted:
        return INTERRUPTED
    codes = {Verdict.CONFORMS: 0, Verdict.FAILS: 1, Verdict.INCONCLUSIVE: 3}
    return codes[overall(campaign.report)]


def environment(infos: Sequence[Info] = ()) -> dict[str, str]:
    """Versions and machine, as the report shows them; of who was measured, who had oneDNN."""
    found = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "isa": instruction_set(),
        "reference loop": active_path(),
    }
    with_onednn = {
        info.name: "on" if info.onednn else "off" for info in infos if info.onednn is not None
    }
    if with_onednn:
        alike = len(set(with_onednn.values())) == 1
        words = [f"{state} for {name}" for name, state in with_onednn.items()]
        found["onednn"] = next(iter(with_onednn.values())) if alike else ", ".join(words)
    engines = [package for name in ADAPTERS for package in adapter_of(name).distributions]
    for package in dict.fromkeys(
        ["conv2d-conformance", "numpy", "ml_dtypes", "hypothesis", *engines]
    ):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
