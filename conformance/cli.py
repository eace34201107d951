"""The command line."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from enum import IntEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.exceptions import TyperException

from conformance.errors import UsageError
from conformance.plan.profiles import PROFILES
from conformance.terminal import say, shown_progress

app = typer.Typer(
    name="conv2d-conformance",
    help="A conformance suite for Keras' Conv2D.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Exit(IntEnum):
    """Exit codes of every command."""

    CONFORMS = 0
    FAILS = 1
    USAGE = 2
    INCONCLUSIVE = 3
    TROUBLE = 4  # of the suite's own, such as a full disk
    INTERRUPTED = 130


def _whole_number(least: int) -> Callable[[str], int]:
    """Reader of an option's text."""

    def read(text: str | int) -> int:
        with contextlib.suppress(ValueError):
            if int(text) >= least:
                return int(text)
        raise typer.BadParameter(f"{text!r:.100} is not a whole number of at least {least}")

    return read


Examples = Annotated[
    int | None,
    typer.Option(
        parser=_whole_number(1),
        metavar="N",
        help="Layer configurations for each implementation, in place of a profile.",
    ),
]
Profile = Annotated[
    str | None,
    typer.Option(
        metavar="|".join(PROFILES),
        help="How much of the plan: popular layers and pairs; all rows and ladders; or free draws "
        "until --max-time. [default: default]",
    ),
]
Seed = Annotated[
    int,
    typer.Option(parser=_whole_number(0), metavar="N", help="The same seed gives the same cases."),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        parser=_whole_number(1), metavar="N", help="Worker processes. [default: one a core]"
    ),
]
Xfail = Annotated[Path | None, typer.Option(metavar="FILE", help="Expected failures, as TOML.")]


def _folder(text: str | Path) -> Path:
    """The value of --out; an empty one would be the current folder."""
    if not str(text):
        raise typer.BadParameter("'' is no folder; allowed is a path, such as reports/latest")
    return Path(text)


Out = Annotated[Path, typer.Option(parser=_folder, metavar="DIR", help="Where the report goes.")]
LATEST = Path("reports/latest")

Implementations = Annotated[
    list[str] | None,
    typer.Option(
        "--impl",
        metavar="NAME|module:attr|cmd:PROGRAM",
        help="What to measure; may be given several times. Default: real Keras on TensorFlow.",
    ),
]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"conv2d-conformance {version('conv2d-conformance')}")
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A conformance suite for Keras' Conv2D."""


@app.command()
def run(
    impl: Implementations = None,
    everyone: Annotated[
        bool, typer.Option("--all", help="Measure every implementation that is installed.")
    ] = False,
    examples: Examples = None,
    profile: Profile = None,
    max_time: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Seconds for everything, shrinking included."),
    ] = None,
    seed: Seed = 0,
    jobs: Jobs = None,
    xfail: Xfail = None,
    witness: Annotated[
        bool, typer.Option(help="Cross-check a sample of the cases by real Keras, where installed.")
    ] = True,
    strict: Annotated[
        bool, typer.Option("--strict", help="Fail where a case is lost once and not again.")
    ] = False,
    corpus: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Cases to try first; new failures are added."),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Leave out of the corpus what is fixed.")
    ] = False,
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Try the cases on the workers of a Dask cluster."),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Run part I of N of the plan; merge joins the parts."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on where an earlier run with the same --out was ended."),
    ] = False,
    out: Out = LATEST,
) -> None:
    """Measure implementations and write report.html, results.json, junit.xml and summary.md."""
    from conformance.campaign.corpus import Corpus
    from conformance.campaign.run import Settings
    from conformance.expectations import load
    from conformance.plan import WHOLE, Shard
    from conformance.targets import Target, known_names, refuse_unknown

    if everyone and impl:
        raise UsageError("--all measures everything, so it cannot stand beside --impl")
    if everyone:
        impl = known_names()
    if max_time is not None and not 0 < max_time < float("inf"):
        raise UsageError(f"--max-time must be a finite number above 0, not {max_time:g}")
    if prune and corpus is None:
        raise UsageError("--prune needs --corpus FILE")
    settings = Settings(
        implementations=tuple(map(Target, _distinct(impl or []))),
        examples=examples,
        profile=profile,
        max_time=max_time,
        seed=seed,
        jobs=jobs,
        expectations=tuple(load(xfail)) if xfail else (),
        xfail=xfail,
        witness=witness,
        strict=strict,
        shard=WHOLE if shard is None else Shard.read(shard),
        corpus=None if corpus is None else Corpus.read(corpus),
        cluster=cluster,
    )
    for target in settings.targets:
        refuse_unknown(target.name)
    raise typer.Exit(_campaign(settings, out, resume=resume, prune=prune))


def _campaign(settings: Any, out: Path, *, resume: bool = False, prune: bool = False) -> int:
    """Run a campaign, print what was found, write its report to `out`; the exit code."""
    from conformance.campaign.ending import ENDING
    from conformance.campaign.run import exit_code
    from conformance.campaign.run import run as run_campaign
    from conformance.folder import claimed
    from conformance.journals import journal

    with claimed(out), ENDING.handled():
        if resume and not journal.exists(out):
            say(f"Nothing to resume in {out}; starting a new run.", err=True)
        try:
            with shown_progress() as progress:
                campaign = run_campaign(settings, progress, folder=out, resume=resume)
        except KeyboardInterrupt:
            return _nothing_decided(out)
        if campaign.interrupted and not campaign.decided:
            return _nothing_decided(out)
        code = _publish(campaign.report, out, exit_code(campaign), [[out]])
        if settings.corpus is not None and not campaign.interrupted:
            try:
                added, left_out = settings.corpus.write(campaign.report, prune=prune)
            except OSError as error:
                say(f"cannot write {settings.corpus.path}: {error.strerror or error}", err=True)
                return Exit.TROUBLE
            if added or left_out:
                say(f"{settings.corpus.path}: {added} added, {left_out} left out.")
        if campaign.trouble and code != Exit.TROUBLE:
            say(f"cannot write the journal in {out}: {campaign.trouble}", err=True)
            return Exit.TROUBLE
        return Exit.INTERRUPTED if ENDING.asked and code != Exit.TROUBLE else code


def _nothing_decided(out: Path) -> int:
    kept = f"; the earlier report in {out} is kept" if (out / "results.json").exists() else ""
    typer.echo(f"Interrupted before any case was decided{kept}.", err=True)
    return Exit.INTERRUPTED


def _publish(report: Any, out: Path, code: int, journals: list[list[Path]]) -> int:
    """Print what was found and write the report to `out`; the exit code, `code` if that works.

    The page lists all results that are in the journals, which lie in one folder a run.
    """
    from conformance.journals.listing import listing
    from conformance.report import append_to_job, write_all
    from conformance.terminal import first_replay, tell

    silenced: OSError | None = None
    try:
        tell(report)
    except OSError as error:  # nobody reads the output any more; the report is wanted all the same
        silenced = error
    try:
        page = write_all(report, out, listing(report, journals))
        append_to_job(report)
    except OSError as error:
        say(f"cannot write the report to {out}: {error.strerror or error}", err=True)
        return Exit.TROUBLE
    if silenced is not None:
        raise silenced
    say(f"Report: {page}", verbatim=True)
    if again := first_replay(report):
        say(f"Replay: {again}", verbatim=True)
    return code


@app.command()
def merge(
    directories: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Folders with reports.")
    ],
    out: Out = LATEST,
) -> None:
    """Make one report of several runs: the shards of one, or of other implementations."""
    from conformance.campaign.joining import is_shard, joined
    from conformance.folder import claimed
    from conformance.journals.listing import folders_of
    from conformance.merging import merged
    from conformance.reading import read
    from conformance.results import overall

    if out.resolve() in {path.resolve() for path in directories}:
        raise UsageError(f"--out {out} holds one of the reports to merge; name another folder")
    words = ["conv2d-conformance", "merge", *map(str, directories), "--out", str(out)]
    with claimed(out):
        found = [(path, read(path)) for path in directories]
        whole = [(path, report) for path, report in found if not is_shard(report)]
        shards = [(path, report) for path, report in found if is_shard(report)]
        journals = folders_of([report for _, report in whole], [path for path, _ in whole])
        reports = [report for _, report in whole] + joined(shards)
        if len(reports) == 1 < len(found):
            settings = reports[0].settings | {"command": shlex.join(words)}
            report = replace(reports[0], settings=settings)
            journals = [[path if path.is_dir() else path.parent for path, _ in shards]]
        else:
            report = merged(reports, command=shlex.join(words))
        raise typer.Exit(_publish(report, out, Exit[overall(report).name], journals))


@app.command()
def export(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a run.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The file to write. [default: DIR/verdicts.parquet]"),
    ] = None,
) -> None:
    """Write every verdict of a run to a Parquet file, for analysis elsewhere."""
    from conformance.journals.export import to_parquet

    path = out or directory / "verdicts.parquet"
    say(f"{path}: {to_parquet(directory, path)} verdicts", verbatim=True)


@app.command()
def replay(
    case: Annotated[
        str,
        typer.Argument(
            metavar="CASE|RESULTS",
            help="A case string, or several joined by '+'; or a run: its folder or results.json.",
        ),
    ],
    impl: Implementations = None,
    xfail: Xfail = None,
    no_xfail: Annotated[
        bool, typer.Option("--no-xfail", help="Expect no failure, not even of a known fault.")
    ] = False,
    check: Annotated[
        str, typer.Option(metavar="NAME", help="Make this check alone, and those it comes after.")
    ] = "",
) -> None:
    """Run one case again, and show what each check finds; or all findings of a run."""
    from conformance.case import CaseError, parse_sequence
    from conformance.checks import CHECKS
    from conformance.expectations import load, own_expectations, shipped
    from conformance.journals.outcomes import outcomes_of
    from conformance.plan import Asked, adapt, refuse_unclaimed
    from conformance.processes.worker import Worker
    from conformance.results import BAD, KERAS, Status

    if xfail and no_xfail:
        raise UsageError("--xfail and --no-xfail exclude each other")
    if check and check not in CHECKS:
        raise UsageError(f"--check must be one of {', '.join(CHECKS)}, not {check!r}")
    if os.path.exists(case):
        if xfail or no_xfail or check:
            raise UsageError("--xfail, --no-xfail and --check go with a case, not with a run")
        raise typer.Exit(_replay_all(Path(case), _distinct(impl or [])))
    try:
        cases = parse_sequence(case)
    except CaseError as error:
        if "-" not in case or "/" in case:
            raise UsageError(
                f"{case!r:.200} is no folder or file with results, and no case such as "
                "in2x8x9x3-f16-k3-integers.7"
            ) from None
        raise UsageError(str(error)) from None
    known = [*(load(xfail) if xfail else ()), *shipped()]
    bad = decided = False
    for name in _distinct(impl or [KERAS]):
        worker = Worker(name)
        info = worker.start()
        refuse_unclaimed(cases, Asked.of(info), name)
        say(f"{name} {info.version}".rstrip())
        own = own_expectations(name, info.expected_failures)
        expectations = [] if no_xfail else [*own, *known]
        asked = tuple(adapt((one,), Asked.of(info))[0] for one in cases)
        checks = (check,) if check else ()
        for one, reply in zip(asked, worker.run(asked, checks, traces=True), strict=True):
            typer.echo(f"  {one}")
            for outcome in outcomes_of(reply, one, info, expectations, checks):
                text = outcome.message or outcome.cause or outcome.reason
                say(f"    {outcome.status:<17} {outcome.check:<21} {text}".rstrip())
                bad |= outcome.status in BAD or outcome.strict
                decided |= outcome.status is not Status.UNSUPPORTED
        for line in worker.printed():
            say(f"  | {line}")
        worker.stop()
    if bad:
        raise typer.Exit(Exit.FAILS)
    raise typer.Exit(Exit.CONFORMS if decided else Exit.INCONCLUSIVE)


def _replay_all(results: Path, names: tuple[str, ...]) -> int:
    """Try every finding of a run again and say what became of it; the exit code."""
    from conformance.campaign.again import Now, replayed
    from conformance.reading import read

    seen: dict[Now, int] = {}
    for one in replayed(read(results), names):
        say(
            f"{one.now:<7} {one.name} {one.finding.check} {one.finding.minimal_case}", verbatim=True
        )
        if one.text:
            say(f"        {one.text}")
        seen[one.now] = seen.get(one.now, 0) + 1
    parts = [f"{seen[now]} {now}" for now in Now if now in seen]
    say(f"{', '.join(parts)}." if parts else "Nothing fails in these results.")
    return Exit.FAILS if Now.FAILED in seen else Exit.INCONCLUSIVE if seen.get(Now.ERROR) else 0


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="A run: its folder or results.json.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="A later run.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where diff.html and diff.json go.")
    ] = None,
) -> None:
    """Show what is new, fixed, still failing or newly unsupported; exit code 1 for new failures."""
    from conformance.differences import differences
    from conformance.reading import read
    from conformance.report.html import write_differences
    from conformance.terminal import tell_differences

    found = differences(read(old), read(new))
    tell_differences(found)
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
            found.write_json(out / "diff.json")
            write_differences(found, out / "diff.html")
        except OSError as error:
            raise UsageError(f"cannot write to --out {out}: {error.strerror or error}") from None
        say(f"Page: {out / 'diff.html'}", verbatim=True)
    raise typer.Exit(Exit.FAILS if found.fails else Exit.CONFORMS)


@app.command()
def baseline(
    results: Annotated[
        Path, typer.Argument(metavar="[DIR|FILE]", help="The run: its folder or results.json.")
    ] = LATEST,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write.")] = Path(
        "expected_failures.toml"
    ),
) -> None:
    """Write the findings of a run as expected failures, for --xfail."""
    from conformance.baseline import described, to_toml

    found = described(results)
    number = sum(len(one.entries) for one in found)
    if not found:
        typer.echo("There is nothing to expect, so no file was written.")
        return
    if out.exists():
        raise UsageError(f"{out} exists and is left as it is; name another file with --out")
    try:
        out.write_text(to_toml(found, results), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror}") from None
    for one in found:
        if one.doubt:
            told = "could not be described" if one.wide else "is doubtful"
            say(f"{told}: {one.name}: {one.what}: {one.doubt}")
    if any(one.wide for one in found):
        say(f"What could not be described stands in {out} as comments: uncomment it, or runs fail.")
    say(f"{out}: {number} expected failure{'s' * (number != 1)}; read it before use.")


vectors = typer.Typer(
    help="Test vectors for implementations in other languages.", no_args_is_help=True
)
app.add_typer(vectors, name="vectors")


@vectors.command("export")
def vectors_export(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    examples: Examples = None,
    profile: Profile = None,
    seed: Seed = 0,
    dtype: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this dtype; repeatable.")
    ] = None,
    data_format: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this data_format; repeatable.")
    ] = None,
    padding: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this padding; repeatable.")
    ] = None,
    groups: Annotated[bool, typer.Option(help="With more than one group.")] = True,
    dilation: Annotated[bool, typer.Option(help="With a dilation_rate above 1.")] = True,
) -> None:
    """Write cases with inputs, expected values and a bound for each element."""
    from conformance.campaign.run import Settings
    from conformance.capabilities import CHOICES, Capabilities
    from conformance.plan import Asked, plan
    from conformance.vectors import export, planned_cases

    capabilities = Capabilities(
        dtypes=dtype or CHOICES["dtypes"],
        data_formats=data_format or CHOICES["data_formats"],
        paddings=padding or CHOICES["paddings"],
        groups=groups,
        dilation=dilation,
    )
    if profile == "night":
        raise UsageError("profile 'night' never ends; give a number of examples instead")
    # All rows and ladders would be 280 MB.
    extent = Settings(examples=examples, profile=profile or (None if examples else "quick")).extent
    asked = Asked("function", capabilities)
    planned = plan(seed, asked, limit=examples, profile=extent)
    cases = [case for one in planned for case in one.example]
    export(directory, cases, {"seed": seed, "examples": examples, "profile": extent})
    written = len(planned_cases(directory))
    typer.echo(
        f"{directory}: {written} cases, described in README.md there. When the outputs are there: "
        f"conv2d-conformance vectors verify {shlex.quote(str(directory))}"
    )


@vectors.command("verify")
def vectors_verify(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder with the outputs.")],
    jobs: Jobs = None,
    xfail: Xfail = None,
    out: Out = LATEST,
) -> None:
    """Judge the outputs in a folder of test vectors; the same report and exit codes as run."""
    from conformance.campaign.run import Settings
    from conformance.expectations import load
    from conformance.implementations.recorded import VECTORS
    from conformance.targets import Target
    from conformance.vectors import planned_cases

    cases = planned_cases(directory)
    settings = Settings(
        implementations=(Target(f"{VECTORS}{directory}"),),
        examples=len(cases),
        jobs=jobs,
        expectations=tuple(load(xfail)) if xfail else (),
        xfail=xfail,
        given=tuple((case,) for case in cases),
        command=shlex.join(["conv2d-conformance", "vectors", "verify", str(directory)]),
    )
    raise typer.Exit(_campaign(settings, out))


@app.command("list")
def list_() -> None:
    """Show the implementations and checks there are."""
    from conformance.checks import CHECKS
    from conformance.targets import ADAPTERS, adapter_of, installed

    registered = installed()
    typer.echo("implementations")
    for name in ADAPTERS:
        adapter = adapter_of(name)
        missing = adapter.missing()
        lacking = f" (not installed: {', '.join(missing)})" if missing else ""
        typer.echo(f"  {name:<28} {adapter.summary}{lacking}")
    for name, where in registered.items():
        say(f"  {name:<28} Registered by an installed package: {where}.")
    typer.echo(f"  {'module:attr':<28} Any importable function or layer.")
    typer.echo(f"  {'cmd:PROGRAM':<28} A program that reads cases and writes answers.")
    typer.echo("checks")
    for check in CHECKS.values():
        typer.echo(f"  {check.name:<28} {check.rule}")


@app.command()
def doctor() -> None:
    """Tell what is installed here and what can be measured."""
    from conformance.campaign.run import environment, keras_is_installed
    from conformance.campaign.session import available_cores
    from conformance.results import KERAS
    from conformance.targets import ADAPTERS, adapter_of, installed

    registered = installed()
    for name, installed_as in environment().items():
        typer.echo(f"{name:<22} {installed_as}")
    typer.echo(f"{'cores':<22} {available_cores()}")
    typer.echo("implementations")
    for name in ADAPTERS:
        adapter = adapter_of(name)
        missing = adapter.missing()
        state = f"lacks {', '.join(missing)}: {adapter.remedy()}" if missing else "ready"
        typer.echo(f"  {name:<28} {state}")
    for name, where in registered.items():
        say(f"  {name:<28} ready, {where}")
    if not keras_is_installed():
        typer.echo(f"Without {KERAS}, implementations are judged by the reference alone.")
        raise typer.Exit(Exit.INCONCLUSIVE)


@app.command()
def selftest(
    seeds: Annotated[
        int, typer.Option(parser=_whole_number(1), metavar="N", help="Plans to try each fault on.")
    ] = 3,
    jobs: Jobs = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the table there, as Markdown.")
    ] = None,
) -> None:
    """Put known faults and correct implementations to the suite: what it catches and names."""
    from conformance.campaign.session import available_cores
    from conformance.selftest import Selftest, document, line, summary

    run = Selftest(seeds=seeds, jobs=jobs or available_cores())
    for row in run:
        typer.echo(line(row))
    assert run.outcome is not None
    for text in summary(run.outcome):
        typer.echo(text)
    if out is not None:
        try:
            out.write_text(document(run.outcome), encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write {out}: {error.strerror}") from None
    raise typer.Exit(Exit.CONFORMS if run.outcome.is_good else Exit.FAILS)


def main() -> None:
    """Run a command: one sentence and exit code 2 for what cannot be done."""
    try:
        code = app(standalone_mode=False)
    except UsageError as error:
        _refuse(str(error))
    except TyperException as error:
        _refuse(error.format_message())
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(Exit.INTERRUPTED)
    except OSError as error:
        _give_up(error)
    except Exception as error:  # noqa: BLE001 - a fault of the suite is no verdict, exit code 1
        traceback.print_exc()
        _give_up(error)
    if code == Exit.INTERRUPTED:
        from conformance.campaign.ending import ENDING

        if ENDING.asked:  # a further signal while Python ends would change the exit code
            sys.stdout.flush()
            os._exit(code)
    sys.exit(code)


def _give_up(error: Exception) -> NoReturn:
    """Trouble of the suite's own that nothing else names, such as no free file descriptors."""
    with contextlib.suppress(OSError):
        say(f"conv2d-conformance: the suite itself failed: {error}", err=True)
    with contextlib.suppress(OSError):  # what a closed or full output did not take is dropped
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(Exit.TROUBLE)


def _refuse(reason: str) -> NoReturn:
    say(f"conv2d-conformance: {reason}", err=True)
    sys.exit(Exit.USAGE)


def _distinct(names: list[str]) -> tuple[str, ...]:
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--impl {name} is given twice")
    return tuple(names)
