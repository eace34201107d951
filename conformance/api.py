"""The suite from Python: a campaign in one call, and the checks as parameters of a test."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance import results
from conformance.case import CaseError, parse_sequence
from conformance.causes import members, shown, unexpected
from conformance.checks import CHECKS
from conformance.errors import UsageError
from conformance.plan import Example
from conformance.printable import clean
from conformance.report.text import cause_lines, replay_command
from conformance.results import Finding, Status, Verdict
from conformance.targets import Target, target_of

if TYPE_CHECKING:
    import pandas
    import pytest


class ConformanceError(AssertionError):
    """An implementation does not conform, or nothing could be decided; says what was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report(results.Report):
    """What `check` returns: the records of results.json, and ways to look at them."""

    @property
    def verdict(self) -> Verdict:
        """Of all that was measured; it fails where Keras and the reference differ, too."""
        return results.overall(self)

    @property
    def findings(self) -> list[Finding]:
        """What fails, without expected failures."""
        found = self.implementations[0].findings
        return [finding for finding in found if finding.status is not Status.EXPECTED_FAILURE]

    def raise_for_status(self) -> None:
        """Nothing if it conforms.

        Raises:
            ConformanceError: it does not, or nothing could be decided.
        """
        if self.verdict is not Verdict.CONFORMS:
            raise ConformanceError(str(self))

    def to_frame(self) -> pandas.DataFrame:
        """One row for each check, one column for each status, with the numbers of outcomes.

        Raises:
            UsageError: pandas is not installed.
        """
        try:
            import pandas
        except ModuleNotFoundError:
            raise UsageError(
                "to_frame needs pandas; install it with pip install 'conv2d-conformance[notebook]'"
            ) from None
        frame = pandas.DataFrame.from_dict(self.implementations[0].checks, orient="index")
        return frame.rename_axis("check")

    def to_html(self) -> str:
        """The report as one web page."""
        from conformance.report.html import render

        return render(self)

    def write(self, directory: str | Path) -> Path:
        """Write the four files of a report; returns the path of report.html."""
        from conformance.report import write_all

        return write_all(self, Path(directory))

    def __str__(self) -> str:
        result = self.implementations[0]
        found = [
            line
            for cause in unexpected(result)
            for line in cause_lines(cause, members(cause, result.findings))
        ]
        return clean("\n".join([*self.headline, *(f"  {line}" for line in found)]))

    def _repr_html_(self) -> str:
        page = html.escape(self.to_html(), quote=True)
        style = "width: 100%; height: 40em; border: 1px solid #8888"
        return f'<iframe srcdoc="{page}" style="{style}" title="Conformance report"></iframe>'


def check(
    implementation: Any,
    *,
    examples: int | None = None,
    profile: str | None = None,
    max_time: float | None = None,
    seed: int = 0,
    jobs: int | None = None,
    xfail: str | Path | None = None,
    case: str | None = None,
) -> Report:
    """Measure one implementation, in processes of its own.

    Args:
        implementation: a function, a layer class, an `Implementation` or its class, or a name as
            for ``--impl``.
        examples: layer configurations, in place of a profile.
        profile: ``quick``: popular layers and pairs; ``default``: all triples and ladders too;
            ``night``: free draws until `max_time`.
        max_time: seconds after which no new case is drawn.
        seed: the same seed gives the same cases.
        jobs: worker processes, one a core by default.
        xfail: file of expected failures.
        case: a case string, or several joined by ``+``, to run instead of drawing any.

    Raises:
        UsageError: it cannot be measured, or an argument is out of range.
    """
    from conformance.campaign.run import Settings, run
    from conformance.expectations import load

    target = target_of(implementation)
    given = {
        "examples": examples,
        "profile": profile,
        "max_time": max_time,
        "seed": seed,
        "xfail": None if xfail is None else str(xfail),
        "case": case,
    }
    words = [f"{name}={value!r}" for name, value in given.items() if value is not None]
    what = repr(target.name) if target.payload is None else target.name
    again = f"conformance.check({', '.join([what, *words])})"
    settings = Settings(
        implementations=(target,),
        examples=examples,
        profile=profile,
        max_time=max_time,
        seed=seed,
        jobs=jobs,
        expectations=tuple(load(Path(xfail))) if xfail else (),
        xfail=Path(xfail) if xfail else None,
        given=None if case is None else (_parsed(case),),
        witness=case is None,
        command=None if target.payload is None and case is None else again,
    )
    measured = run(settings).report
    return Report(**{field.name: getattr(measured, field.name) for field in fields(measured)})


@dataclass(frozen=True, slots=True)
class Checking:
    """A check as a test calls it: ``check(implementation)``.

    Attributes:
        name: the check.
        examples, seed: how many configurations it is made on (None: all popular layers and
            pairs), and what they are drawn from.
        thing, target: an implementation as given, and the target made of it.
        xfail: a file of expected failures, or None.
    """

    name: str
    examples: int | None
    seed: int
    thing: Any
    target: Target
    xfail: str | None = None

    def __call__(self, implementation: Any) -> None:
        """Fail the test if `implementation` fails the check, skip it if nothing is decided.

        Where all that fails is expected to, the test is an expected failure.
        """
        import pytest

        from conformance.campaign.single import Single, check_one

        refusal, single, target = "", Single(), self.target
        try:
            if implementation is not self.thing:
                target = target_of(implementation)
            single = check_one(
                target, self.name, examples=self.examples, seed=self.seed, xfail=self.xfail
            )
        except UsageError as error:
            refusal = str(error)
        lines = [refusal or single.blocked]
        for cause, findings in single.findings:
            case = shown(findings).minimal_case
            again = replay_command(case, target.name, named=target.payload is None)
            lines += cause_lines(cause, findings, again)
        if any(lines):
            pytest.fail(clean("\n".join(filter(None, lines))), pytrace=False)
        if single.expected:
            pytest.xfail(clean(single.expected))
        if single.skipped:
            pytest.skip(clean(single.skipped))

    def __str__(self) -> str:
        return f"{self.target.name}-{self.name}"


def parametrize_with_checks(
    implementations: Iterable[Any],
    *,
    examples: int | None = None,
    seed: int = 0,
    xfail: str | Path | None = None,
) -> pytest.MarkDecorator:
    """Decorator for a test with the parameters ``implementation`` and ``check``.

        @parametrize_with_checks([MyLib(), my_conv.conv2d])
        def test_conv2d(implementation, check):
            check(implementation)

    Makes one test for each implementation and check, ``test_conv2d[mylib-exact_values]``.

    Args:
        implementations: as for `check`.
        examples: layer configurations for each check; by default all popular layers and pairs.
        seed: the same seed gives the same cases.
        xfail: file of expected failures.

    Raises:
        UsageError: something cannot be measured, two have one name, or a number is out of range.
    """
    import pytest

    from conformance.campaign.run import Settings

    Settings(examples=examples, seed=seed)  # refuses what is out of range
    if isinstance(implementations, str) or not isinstance(implementations, Iterable):
        raise UsageError(f"implementations must be a list, not {implementations!r:.60}")
    made = checkings(list(implementations), examples=examples, seed=seed, xfail=xfail)
    return pytest.mark.parametrize(
        ("implementation", "check"),
        [(checking.thing, checking) for checking in made],
        ids=list(map(str, made)),
    )


def checkings(
    implementations: Iterable[Any],
    *,
    examples: int | None,
    seed: int,
    xfail: str | Path | None = None,
) -> list[Checking]:
    """Every check of every implementation, their names distinct.

    Raises:
        UsageError: an implementation cannot be measured, two have one name, or the file of expected
            failures cannot be read.
    """
    from conformance.expectations import load

    if xfail is not None:
        load(Path(xfail))
    targets = [(one, one if isinstance(one, Target) else target_of(one)) for one in implementations]
    for name, number in Counter(target.name for _, target in targets).items():
        if number > 1:
            raise UsageError(f"two implementations are called {name!r}")
    return [
        Checking(check, examples, seed, thing, target, None if xfail is None else str(xfail))
        for thing, target in targets
        for check in CHECKS
    ]


def _parsed(case: str) -> Example:
    if not isinstance(case, str):
        raise UsageError(f"case must be a case string, not {case!r}")
    try:
        return parse_sequence(case)
    except CaseError as error:
        raise UsageError(str(error)) from None
