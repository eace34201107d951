"""Expected failures: which cases are known to fail, on whom, and why.

An entry says it by a condition on the case, never by a test's name. Expected failures still run and
are shown in every report; they do not fail it. The entries for Keras ship with the package; more
come from a TOML file:

    [[expected_failure]]
    check = "exact_values"                  # or a list of names
    implementation = "mylib"                # shell pattern; default: every implementation
    version = "Keras 3.15*"                 # shell pattern for the version; default: every version
    when = { padding = "same", dilation = "h != w" }
    reason = "pads in the wrong axis order"
    link = "https://example.org/issues/1"
    strict = true                           # a pass where it applies fails the run; default: false
    foreign_memory = true                   # reads memory that is not its own; default: false
    leaves_traces = true                    # makes later calls fail; default: false

or from the decorator `expected_failure` on a function, a layer class or an `Implementation`. The
terms of a condition stand in `conformance.condition`. `implementation` is compared with every name
of `Info.names`: a user's Keras layer on TensorFlow is known as ``keras-tensorflow`` too.

What reads foreign memory gives other values in each run and may end the process. Such an entry
covers, besides `check`, every check of values and of what calls leave behind, and crashes. Where it
applies these are expected failures even if they happen to pass, and their messages are left out, so
that equal runs give equal reports.

What leaves traces, such as a wrong entry in a cache of the engine, makes calls fail that come later
in the same process, and may itself depend on earlier ones. A case to which such an entry applies
gets a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from conformance import files
from conformance.case import Case
from conformance.checks import CHECKS, claims, state, values
from conformance.condition import Predicate, parse
from conformance.errors import UsageError
from conformance.implementations.info import Info

T = TypeVar("T")
MOST_BYTES = 2**19  # of a file; an entry has some hundred
SWITCHES = ("strict", "foreign_memory", "leaves_traces")


# What comes of memory that is not its own is anybody's guess for these.
_OF_MEMORY = tuple(
    name
    for name, check in CHECKS.items()
    if check.function.__module__ in (values.__name__, state.__name__)
    or check in (claims.function_values, claims.gradient_values)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One entry of an expected-failure file; `predicate` is what `when` says.

    `where` tells which entry of which file it is.
    """

    checks: tuple[str, ...]
    implementation: str
    version: str
    predicate: Predicate
    reason: str
    link: str
    strict: bool = False
    foreign_memory: bool = False
    leaves_traces: bool = False
    when: Mapping[str, Any] = field(default_factory=dict, compare=False)
    where: str = field(default="", compare=False)

    def covers(self, check: str, info: Info, case: Case) -> bool:
        """Whether a failure of `check` on `case` is expected."""
        return check in self.checks and self.applies(info, case)

    def applies(self, info: Info, case: Case) -> bool:
        """Whether `case` on the implementation that `info` tells of is what it speaks of."""
        return self.concerns(info) and self.predicate(case, info.surroundings)

    def concerns(self, info: Info) -> bool:
        """Whether it speaks of the implementation that `info` tells of."""
        named = any(fnmatchcase(name, self.implementation) for name in info.names)
        return named and fnmatchcase(info.version, self.version)


def leaving_traces(expectations: Iterable[Expectation], info: Info) -> Callable[[Case], bool]:
    """Which cases are to get a process of their own on the implementation that `info` tells of."""
    marked = [entry for entry in expectations if entry.leaves_traces]
    return lambda case: any(entry.applies(info, case) for entry in marked)


def expected_failure(
    *,
    check: str | list[str] = "",
    reason: str,
    when: Mapping[str, Any] | None = None,
    link: str = "",
    strict: bool = False,
    foreign_memory: bool = False,
    leaves_traces: bool = False,
) -> Callable[[T], T]:
    """Decorator that gives a function, layer class or `Implementation` an expected failure.

    Args:
        check: the check that fails, or several; may be left out with `foreign_memory`.
        reason: why, in one sentence.
        when: a condition on the case, as in an expected-failure file; default: every case.
        link: where it is tracked.
        strict: whether a pass where a failure is expected fails the run.
        foreign_memory: whether it reads memory that is not its own: every check of values fails
            then, or passes by chance, and a crash is expected too.
        leaves_traces: whether it makes later calls in the same process fail; such a case gets a
            process of its own.

    Raises:
        UsageError: something is not understood; the message names it and what is allowed.
    """
    entry = {
        "check": check, "reason": reason, "when": dict(when or {}), "link": link, "strict": strict,
        "foreign_memory": foreign_memory, "leaves_traces": leaves_traces,
    }  # fmt: skip
    _entry(entry, "expected_failure")

    def mark(target: T) -> T:
        known = getattr(target, "expected_failures", ())
        target.expected_failures = (*known, entry)  # type: ignore[attr-defined]
        return target

    return mark


def own_expectations(name: str, entries: Sequence[Mapping[str, Any]]) -> list[Expectation]:
    """The expected failures that the implementation called `name` brings itself.

    Raises:
        UsageError: an entry is not understood.
    """
    return [_entry(e, f"expected failure {i} of {name!r}") for i, e in enumerate(entries, start=1)]


def shipped() -> list[Expectation]:
    """What is known of Keras, with evidence."""
    text = resources.files("conformance").joinpath("expected_failures.toml").read_text("utf-8")
    return _read(text, "expected_failures.toml")


def load(path: Path) -> list[Expectation]:
    """The entries of a TOML file.

    Raises:
        UsageError: the file cannot be read, or an entry is not understood.
    """
    return _read(files.text(path, MOST_BYTES), files.shown(path))


def _read(text: str, source: str) -> list[Expectation]:
    try:
        document = files.toml_data(text)
    except ValueError as error:
        raise UsageError(f"{source} is not TOML: {error}") from None
    entries = document.get("expected_failure", [])
    if set(document) - {"expected_failure"} or not isinstance(entries, list):
        raise UsageError(f"{source} may only have [[expected_failure]] entries")
    return [_entry(entry, f"{source}, entry {i}") for i, entry in enumerate(entries, start=1)]


def _entry(entry: Any, where: str) -> Expectation:
    if not isinstance(entry, dict):
        raise UsageError(f"{where}: {entry!r:.100} is not a table; write [[expected_failure]]")
    switches = {key: entry.get(key, False) for key in SWITCHES}
    known = {"check", "implementation", "version", "when", "reason", "link", *switches}
    if set(entry) - known:
        raise UsageError(
            f"{where}: unknown key {sorted(set(entry) - known)[0]!r:.100}; "
            f"allowed are {', '.join(sorted(known))}"
        )
    checks = entry.get("check", "")
    checks = checks if isinstance(checks, list) else [checks]
    texts = {key: entry.get(key, "") for key in ("reason", "link")}
    texts |= {key: entry.get(key, "*") for key in ("implementation", "version")}
    for key, text in [*texts.items(), *(("check", check) for check in checks)]:
        if not isinstance(text, str):
            raise UsageError(f"{where}: {key} must be text, not {text!r:.100}")
    foreign = switches["foreign_memory"] is True
    if foreign and not any(checks):
        checks = []
    named = foreign or checks
    for key, given in (("check", all(checks) and named), ("reason", texts["reason"])):
        if not given:
            raise UsageError(f"{where}: {key} is missing")
    for check in checks:
        if check not in CHECKS:
            raise UsageError(f"{where}: no check {check!r:.100}; checks are {', '.join(CHECKS)}")
    for key, switch in switches.items():
        if not isinstance(switch, bool):
            raise UsageError(f"{where}: {key} must be true or false, not {switch!r:.100}")
    if switches["strict"] and foreign:
        raise UsageError(f"{where}: foreign_memory and strict exclude each other")
    when = entry.get("when", {})
    if not isinstance(when, dict):
        raise UsageError(f"{where}: when must be a table such as {{ padding = 'same' }}")
    return Expectation(
        checks=tuple(dict.fromkeys((*checks, *(_OF_MEMORY if foreign else ())))),
        predicate=parse(when, where),
        when=when,
        **switches,
        where=where,
        **texts,
    )
