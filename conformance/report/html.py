"""The report as one self-contained web page."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from conformance.differences import Differences
from conformance.report import text, verdict, views
from conformance.results import Listing, Report, Status, overall

_MANY = {
    Status.HARNESS_ERROR: "harness errors",
    Status.UNEXPECTED_PASS: "unexpected passes",
    Status.EXPECTED_FAILURE: "expected failures",
}


def write_html(report: Report, path: Path, listing: Listing | None = None) -> None:
    """Write `report` to `path` as one file that needs nothing else, with all results if given."""
    path.write_text(render(report, listing), encoding="utf-8", newline="\n")


def render(report: Report, listing: Listing | None = None) -> str:
    """The page. Equal reports give equal pages."""
    style, script = _part("report.css"), _part("report.js")
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            page=views.arrange(report, listing),
            title=verdict.title(report),
            overall=overall(report),
            style=Markup(style),
            script=Markup(script),
            csp=(
                f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
                "base-uri 'none'; form-action 'none'"
            ),
        )
    )
    return page + "\n"


def write_differences(found: Differences, path: Path) -> None:
    """Write a page of what changed between two runs to `path`."""
    style = _part("report.css")
    csp = f"default-src 'none'; style-src '{_hash(style)}'; base-uri 'none'; form-action 'none'"
    template = _environment().get_template("diff.html.j2")
    page = template.render(found=found, style=Markup(style), csp=csp)
    path.write_text(page.lstrip() + "\n", encoding="utf-8", newline="\n")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("conformance.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.globals["labels"] = {str(s): label for s, label in text.STATUS_LABELS.items()}
    environment.globals["label_of"] = _label_of
    environment.filters.update(
        plural=text.plural, number=text.number, duration=text.duration, breakable=_breakable
    )
    return environment


def _label_of(status: Status, number: int) -> str:
    """A status in the words that follow its number."""
    label = text.STATUS_LABELS[status]
    return label if number == 1 else _MANY.get(status, label)


def _printable(value: Any) -> Any:
    """Every text that a template prints comes through here; markup of our own is left alone."""
    return text.clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _breakable(value: str) -> Markup:
    """`value` escaped, with places where a narrow screen may break a long word."""
    escaped = str(Markup.escape(text.clean(value)))
    for mark in "-+_:.":
        escaped = escaped.replace(mark, f"{mark}<wbr>")
    return Markup(escaped)


def _part(name: str) -> str:
    return (files("conformance.report") / "templates" / name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
