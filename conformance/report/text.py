"""Words and numbers as the reports print them."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from conformance.causes import VALUES, explanation, shown, where
from conformance.printable import clean as clean
from conformance.printable import plural as plural
from conformance.results import Cause, Finding, Status

STATUS_LABELS = {
    Status.FAILED: "failed",
    Status.CRASHED: "crashed",
    Status.TIMED_OUT: "timed out",
    Status.HARNESS_ERROR: "harness error",
    Status.FLAKY: "flaky",
    Status.UNEXPECTED_PASS: "unexpected pass",
    Status.EXPECTED_FAILURE: "expected failure",
    Status.PASSED: "passed",
    Status.UNSUPPORTED: "unsupported",
}

# An unexpected pass has no such label: a condition would only tell it from other passes.
WHERE_LABELS = {
    Status.FAILED: "Fails where",
    Status.EXPECTED_FAILURE: "Fails where",
    Status.CRASHED: "Crashes where",
    Status.TIMED_OUT: "Times out where",
    Status.HARNESS_ERROR: "Goes wrong where",
}


def listing(names: Sequence[str], most: int = 3) -> str:
    """``a``, ``a and b``, ``a, b and c``; beyond `most` names only their number."""
    if len(names) > most:
        return f"{len(names)} implementations"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def percent(part: int, whole: int) -> str:
    """A share rounded down, so that 100 % means all of it and 0 % nothing."""
    if not whole:
        return "0 %"
    share = part * 100 // whole
    return "< 1 %" if part and not share else f"{share} %"


def number(value: float) -> str:
    """A value in at most four significant digits, with a real minus sign."""
    if math.isinf(value):
        return "−∞" if value < 0 else "∞"
    return f"{value:.4g}".replace("-", "−")


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 5 s``, ``2 h 0 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def cause_lines(cause: Cause, findings: Sequence[Finding], again: str = "") -> list[str]:
    """A cause in a few lines of plain text, with the finding of it that tells most.

    Args:
        cause: the cause.
        findings: those of it that are told, in its order.
        again: what replaces the smallest case.
    """
    one = shown(findings)
    explained = explanation(cause, findings)
    lines = [explained or f"{capitalized(cause.what)}."]
    if condition := fails_where(cause, findings):
        lines.append(f"  {condition}")
    lines.append(f"  {chips(findings)}")
    lines.append(f"  {again or one.minimal_case}")
    if one.message != cause.what:
        lines.append(f"  {one.check}: {one.message}")
    if cause.advice:
        lines.append(f"  {capitalized(cause.advice)}.")
    return lines


def fails_where(cause: Cause, findings: Sequence[Finding]) -> str:
    """``fails where groups > 1``, empty where nothing tells that.

    What fails may do so on fewer cases than what is wrong, so it is a sentence of its own.
    """
    label = WHERE_LABELS.get(shown(findings).status, "")
    condition = where(cause)
    if not condition or not label:
        return ""
    passing = plural(cause.also_passing, "passing case")
    beside = f", which also holds on {passing}" if cause.also_passing else ""
    return f"{label.lower()} {condition}{beside}"


def chips(findings: Sequence[Finding]) -> str:
    """``output_shape 3 crashed, exact_values 8``: each check once, with its number of cases."""
    counted: dict[tuple[str, str], int] = {}
    for finding in findings:
        label = "" if finding.status is Status.FAILED else f" {STATUS_LABELS[finding.status]}"
        key = finding.check, label
        counted[key] = counted.get(key, 0) + finding.count
    return ", ".join(f"{check} {number:,}{label}" for (check, label), number in counted.items())


def capitalized(text: str) -> str:
    """`text` with a capital letter first, unless it begins with a name."""
    return text if "_" in text.partition(" ")[0] else text[:1].upper() + text[1:]


def replay_command(case: str, implementation: str, *, named: bool = True) -> str:
    """What runs `case` again: a command line, or a call for an object that has no name."""
    quoted = f"'{case}'" if "'" not in case else shlex.quote(case)
    if not named:
        return f"conformance.check({implementation}, case={quoted})"
    return f"conv2d-conformance replay {quoted} --impl {shlex.quote(implementation)}"


def entries(cause: Cause, findings: Sequence[Finding], implementation: str) -> list[str]:
    """The entries of an expected-failure file that cover a cause.

    One where a condition tells where all of it is met, or where it is met almost everywhere; else
    one for each finding that has a condition. Other findings have none.
    """
    if _is_told(cause, findings):
        checks = _kin([f.check for f in findings], cause)
        return [_entry(checks, implementation, cause.when, cause.what)]
    return [expectation(f, implementation) for f in findings if _has_entry(f)]


def untold(cause: Cause, findings: Sequence[Finding]) -> list[Finding]:
    """Those of a cause that `entries` leaves out."""
    if _is_told(cause, findings):
        return []
    return [finding for finding in findings if not _has_entry(finding)]


def _has_entry(finding: Finding) -> bool:
    return bool(finding.when) and _is_told(finding, [finding])


def _is_told(one: Cause | Finding, findings: Sequence[Finding]) -> bool:
    """Whether it is known where all of them are met."""
    expectable = (Status.FAILED, Status.CRASHED, Status.TIMED_OUT)
    known = bool(one.when) or 2 * one.also_passing <= one.count
    return known and all(f.status in expectable for f in findings)


def _kin(checks: Sequence[str], cause: Cause) -> list[str]:
    """`checks`, and others that the same cause fails on other data or shapes of that kind."""
    kin = set(checks)
    if kin & set(VALUES[:3]):
        kin |= set(VALUES[:3])
        if cause.diagnosis is not None:
            kin.add("output_shape")
    return sorted(kin)


def expectation(finding: Finding, implementation: str) -> str:
    """The entry of an expected-failure file that covers `finding`."""
    reason = finding.explanation or finding.cause
    return _entry([finding.check], implementation, finding.when, reason)


def _entry(checks: Sequence[str], implementation: str, when: Mapping[str, Any], reason: str) -> str:
    pattern = re.sub(r"([*?\[])", r"[\1]", implementation)
    lines = [
        "[[expected_failure]]",
        f"check = {_toml(checks[0] if len(checks) == 1 else checks)}",
        f"implementation = {_toml(pattern)}",
        f"reason = {_toml(reason)}",
        'link = ""',
        "strict = false",
    ]
    if when:
        terms = ", ".join(f"{_key(name)} = {_toml(value)}" for name, value in when.items())
        lines.insert(3, f"when = {{ {terms} }}")
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: Any) -> str:
    """`value` in TOML, whose strings are those of JSON once what cannot be shown is gone."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(clean(value) if isinstance(value, str) else value, ensure_ascii=False)
