"""The command line."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.exceptions import TyperException

from conformance.errors import UsageError

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
    INTERRUPTED = 130


def _whole_number(least: int) -> Callable[[str], int]:
    """Reader of an option's text."""

    def read(text: str | int) -> int:
        with contextlib.suppress(ValueError):
            if int(text) >= least:
                return int(text)
        raise typer.BadParameter(f"{text!r} is not a whole number of at least {least}")

    return read


Implementations = Annotated[
    list[str] | None,
    typer.Option(
        "--impl",
        metavar="NAME|module:attr",
        help="What to measure; may be given several times. Default: real Keras on TensorFlow.",
    ),
]


@app.command()
def run(
    impl: Implementations = None,
    examples: Annotated[
        int | None,
        typer.Option(
            parser=_whole_number(1),
            metavar="N",
            help="Layer configurations for each implementation. [default: 200]",
        ),
    ] = None,
    max_time: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Stop drawing new cases after this time."),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            parser=_whole_number(0), metavar="N", help="The same seed gives the same cases."
        ),
    ] = 0,
    jobs: Annotated[
        int | None,
        typer.Option(
            parser=_whole_number(1), metavar="N", help="Worker processes. [default: one a core]"
        ),
    ] = None,
    xfail: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Expected failures, as TOML.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the report goes.")] = Path(
        "reports/latest"
    ),
) -> None:
    """Measure implementations and write report.html, results.json and junit.xml."""
    from conformance.campaign.run import DEFAULT_EXAMPLES, Settings, exit_code
    from conformance.campaign.run import run as run_campaign
    from conformance.expectations import load
    from conformance.report import write_html, write_junit

    if max_time is not None and not max_time > 0:
        raise UsageError(f"--max-time must be a number of seconds above 0, not {max_time:g}")
    if examples is None and max_time is None:
        examples = DEFAULT_EXAMPLES
    settings = Settings(
        implementations=_distinct(impl or []),
        examples=examples,
        max_time=max_time,
        seed=seed,
        jobs=jobs,
        expectations=tuple(load(xfail)) if xfail else (),
        xfail=xfail,
    )
    _make_writable(out)
    with _shown_progress() as progress:
        campaign = run_campaign(settings, progress)
    report = campaign.report
    report.write_json(out / "results.json")
    write_junit(report, out / "junit.xml")
    write_html(report, out / "report.html")
    for line in report.headline:
        typer.echo(line)
    for result in report.implementations:
        for finding in result.findings:
            if finding.status != "expected_failure":
                typer.echo(f"  {finding.check}: {finding.cause}")
                typer.echo(f"    {finding.minimal_case}")
                typer.echo(f"    {finding.message}")
                if finding.explanation:
                    typer.echo(f"    {finding.explanation}")
    typer.echo(f"Report: {out / 'report.html'}")
    raise typer.Exit(exit_code(campaign))


@app.command()
def replay(
    case: Annotated[str, typer.Argument(help="A case string, or several joined by '+'.")],
    impl: Implementations = None,
) -> None:
    """Run one case again and say what each check finds."""
    from conformance.campaign.measure import outcomes_of
    from conformance.campaign.plan import adapt
    from conformance.campaign.pool import WorkerProcess
    from conformance.campaign.run import CASE_LIMIT, KERAS
    from conformance.case import CaseError, parse_sequence
    from conformance.expectations import shipped
    from conformance.results import BAD, Status

    try:
        cases = parse_sequence(case)
    except CaseError as error:
        raise UsageError(str(error)) from None
    bad = decided = False
    for name in _distinct(impl or [KERAS]):
        worker = WorkerProcess(name, CASE_LIMIT)
        subject = worker.start()
        typer.echo(f"{name} {subject.version}".rstrip())
        asked = tuple(adapt((one,), subject)[0] for one in cases)
        for one, reply in zip(asked, worker.run(asked), strict=True):
            typer.echo(f"  {one}")
            for outcome in outcomes_of(reply, 1, one, subject, shipped()):
                text = outcome.message or outcome.cause or outcome.reason
                typer.echo(f"    {outcome.status:<17} {outcome.check:<21} {text}".rstrip())
                bad |= outcome.status in BAD
                decided |= outcome.status is not Status.UNSUPPORTED
        worker.stop()
    if bad:
        raise typer.Exit(Exit.FAILS)
    raise typer.Exit(Exit.CONFORMS if decided else Exit.INCONCLUSIVE)


@app.command("list")
def list_() -> None:
    """Show the implementations and checks there are."""
    from conformance.checks import CHECKS
    from conformance.implementations import BUILT_IN

    typer.echo("implementations")
    for name, factory in BUILT_IN.items():
        typer.echo(f"  {name:<22} {(factory.__doc__ or '').strip().splitlines()[0]}")
    typer.echo(f"  {'module:attr':<22} Any importable function or layer.")
    typer.echo("checks")
    for check in CHECKS.values():
        typer.echo(f"  {check.name:<22} {check.rule}")


@app.command()
def doctor() -> None:
    """Tell what is installed here and whether the default campaign can run."""
    from conformance.campaign.run import KERAS, available_cores, environment, keras_is_installed

    for name, version in environment().items():
        typer.echo(f"{name:<20} {version}")
    typer.echo(f"{'cores':<20} {available_cores()}")
    if keras_is_installed():
        typer.echo(f"{KERAS} can be measured.")
        return
    typer.echo(
        f"{KERAS} cannot be measured: pip install 'conv2d-conformance[tensorflow]' brings it. "
        "Other implementations are judged by the reference alone."
    )
    raise typer.Exit(Exit.INCONCLUSIVE)


def main() -> None:
    """Entry point: one sentence and exit code 2 for what cannot be done."""
    # A shell's background job inherits an ignored SIGINT; CI cancels with one all the same.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = app(standalone_mode=False)
    except UsageError as error:
        _refuse(str(error))
    except TyperException as error:
        _refuse(error.format_message())
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(Exit.INTERRUPTED)
    sys.exit(code)


def _refuse(reason: str) -> NoReturn:
    typer.echo(f"conv2d-conformance: {reason}", err=True)
    sys.exit(Exit.USAGE)


def _distinct(names: list[str]) -> tuple[str, ...]:
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--impl {name} is given twice")
    return tuple(names)


def _make_writable(out: Path) -> None:
    """Refuse an output folder before the work, not after it."""
    probe = out / ".writable"
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"cannot write to --out {out}: {error.strerror}") from None


@contextmanager
def _shown_progress() -> Iterator[Callable[[Any], None]]:
    """A bar on a terminal; elsewhere one plain line every ten seconds."""
    if sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        yield _plain_lines()


@contextmanager
def _bar() -> Iterator[Callable[[Any], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def show(where: Any) -> None:
            if where.name not in tasks:
                tasks[where.name] = bars.add_task(where.name, total=None)
            bars.update(
                tasks[where.name],
                description=f"{where.name}: {where.stage}",
                completed=where.done,
                total=where.total,
            )

        yield show


def _plain_lines() -> Callable[[Any], None]:
    last = time.monotonic()

    def show(where: Any) -> None:
        nonlocal last
        if time.monotonic() - last < 10:
            return
        last = time.monotonic()
        of = f" of {where.total}" if where.total else ""
        typer.echo(f"{where.name}: {where.stage}, {where.done}{of} configurations", err=True)

    return show
