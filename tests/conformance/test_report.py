"""The written reports: what a reader must find in them, and what must not get in."""

from __future__ import annotations

import base64
import json
import re
import xml.etree.ElementTree as ET
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import report_samples as samples

from conformance.case import Case
from conformance.causes import grouped, members
from conformance.condition import in_words
from conformance.expectations import load
from conformance.headline import headline
from conformance.implementations.info import Info
from conformance.plan import plan
from conformance.plan.classes import CLASSES, classes_of
from conformance.plan.factors import row_of
from conformance.report import claims, heatmaps, plots, write_html, write_junit
from conformance.report.markdown import _plain
from conformance.report.text import (
    clean,
    duration,
    entries,
    expectation,
    listing,
    percent,
    plural,
    replay_command,
)
from conformance.results import Evidence, Listed, Listing, Ratios, Report, Status, Verdict

WRONG = "mylib:conv2d is wrong: the process was killed; and 6 more causes"
VOID = {"meta", "br", "wbr", "link", "img", "hr", "input"}
REPORTS = {
    "conforming": samples.report(samples.conforming()),
    "failing": samples.report(samples.failing(), witness=samples.conforming()),
    "mixed": samples.report(samples.conforming(), samples.failing(), samples.inconclusive()),
    "claiming": samples.report(samples.claiming()),
    "compatibility": samples.compatibility(),
    "nothing": Report(environment={}, settings={}, rules={}, headline=[], implementations=[]),
}


class Document(HTMLParser):
    """A page as text by section, with its ids and links; elements must be closed in order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.text = ""
        self.title = ""
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.sections: dict[str, str] = {}
        self._open: list[str] = []
        self._section = ""
        self.feed(source)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append((tag, attributes))
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "section":
            self._section = attributes["id"]
        if "href" in attributes:
            self.links.append(attributes["href"])
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self._open or "script" in self._open:
            return
        if self._open[-1:] == ["title"] and "svg" not in self._open:
            self.title += data
        self.text += data
        self.sections[self._section] = self.sections.get(self._section, "") + data

    def count(self, tag: str, css_class: str) -> int:
        return sum(t == tag and css_class in a.get("class", "").split() for t, a in self.tags)


@pytest.fixture
def page(tmp_path: Path, request: pytest.FixtureRequest) -> Document:
    return written(REPORTS[request.param], tmp_path)


def written(report: Report, folder: Path, listing: Listing | None = None) -> Document:
    write_html(report, folder / "report.html", listing)
    return Document((folder / "report.html").read_text(encoding="utf-8"))


def junit(report: Report, folder: Path) -> ET.Element:
    write_junit(report, folder / "junit.xml")
    return ET.parse(folder / "junit.xml").getroot()


@pytest.mark.parametrize("page", REPORTS, indirect=True)
class TestEveryPage:
    def test_stands_alone(self, page: Document) -> None:
        assert not {tag for tag, _ in page.tags} & {"link", "img", "iframe", "object", "base"}
        assert not re.search(r"@import|url\((?!#)", page.source)
        assert not any({"src", "style"} & set(a) for _, a in page.tags)
        assert not any(name.startswith("on") for _, a in page.tags for name in a)

    def test_links_within_the_page_have_a_target(self, page: Document) -> None:
        assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)

    def test_ids_are_unique(self, page: Document) -> None:
        assert len(page.ids) == len(set(page.ids))

    def test_sections_come_in_reading_order(self, page: Document) -> None:
        order = ["verdict", "matrix", "checks", "capabilities", "findings", "results", "ratios"]
        order += ["unsupported", "provenance", "method"]
        assert [i for i in page.ids if i in order] == order

    def test_prints_no_python(self, page: Document) -> None:
        assert not re.search(r"\bNone\b|Status\.|Verdict\.|\{\{|\bnan\b", page.text)


class TestCauses:
    """Findings of one fault are one card; what raises is one of its chips."""

    FOUND = (
        samples.value_finding(check="exact_values", count=8),
        samples.value_finding(check="output_shape", count=3, evidence=None, cause="a wrong shape"),
        samples.value_finding(
            check="output_shape",
            count=2,
            cause="raises ValueError: no",
            diagnosis=None,
            evidence=None,
        ),
        samples.value_finding(check="unchanged_inputs", count=1, diagnosis=None, when={}),
    )

    def test_have_a_chip_for_each_finding_in_the_order_of_reading(self, tmp_path: Path) -> None:
        page = written(samples.report(samples.failing(findings=[*self.FOUND])), tmp_path)
        assert page.count("article", "card") == 2
        chips = [
            re.sub(r"\s+", " ", text).strip()
            for text in re.findall(r"#i-failed\"/></svg>(.*?) <span", page.source)
        ]
        plain = [re.sub("<wbr>", "", chip) for chip in chips if "_" in chip]
        assert plain[:2] == ["exact_values 8", "output_shape 5"]

    def test_can_be_copied_as_an_issue(self, tmp_path: Path) -> None:
        page = written(samples.report(samples.failing(findings=[*self.FOUND])), tmp_path)
        for text in (
            "# mylib:conv2d: its results are those of same padding on the wrong side",
            "Where `padding = same, kernel height != kernel width`.",
            "```python\nimport numpy as np",
            "Checks: output_shape 5, exact_values 8. Versions: 1.4.0.dev0; python 3.11.7; ",
        ):
            assert text in page.sections["findings"]

    def test_of_one_cause_all_checks_stand_in_one_entry(self, tmp_path: Path) -> None:
        (cause, _) = grouped(self.FOUND)
        told = members(cause, self.FOUND)
        (entry,) = entries(cause, told, "mylib:conv2d")
        (tmp_path / "known.toml").write_text(entry, "utf-8")
        (known,) = load(tmp_path / "known.toml")
        assert {f.check for f in told} <= {*known.checks}
        assert {"bounded_values", "special_values"} <= {*known.checks}
        assert known.when == cause.when


class TestTitle:
    @pytest.mark.parametrize(
        ("report", "title"),
        [
            (REPORTS["conforming"], "keras-tensorflow conforms: 6 checks on 600 cases"),
            (REPORTS["failing"], WRONG),
            (REPORTS["mixed"], f"{WRONG} (interrupted)"),
            (REPORTS["nothing"], "Nothing was measured"),
            (samples.report(samples.inconclusive()), "Inconclusive: empty:conv2d (interrupted)"),
            (
                samples.report(*(samples.failing(f"lib{i}") for i in range(4))),
                "28 causes: 4 implementations fail",
            ),
            (
                samples.report(samples.conforming("a"), samples.conforming("b")),
                "a and b conform: 6 checks on 1,200 cases",
            ),
            (
                samples.report(samples.conforming("a"), witness=samples.failing()),
                "Keras and the reference disagree; a conforms: 6 checks on 600 cases",
            ),
        ],
    )
    def test_carries_the_verdict(self, report: Report, title: str, tmp_path: Path) -> None:
        document = written(report, tmp_path)
        assert document.title == title
        assert title in document.sections["verdict"]

    def test_counts_expected_failures_of_a_conforming_run(self, tmp_path: Path) -> None:
        expected = [f for f in samples.failing().findings if f.status == Status.EXPECTED_FAILURE]
        checks = samples.conforming().checks | {"output_dtype": samples.counts(expected_failure=3)}
        report = samples.report(samples.conforming(findings=expected, checks=checks))
        document = written(report, tmp_path)
        assert document.title.endswith("600 cases, 3 expected failures")
        assert "No findings. Every failure was expected." in document.sections["findings"]


@pytest.mark.parametrize("page", ["conforming"], indirect=True)
class TestConformingPage:
    def test_nothing_declared_and_nothing_tried(self, page: Document, tmp_path: Path) -> None:
        assert "Nothing is declared" not in page.sections["capabilities"]
        silent = samples.conforming(declared=None, capabilities=[], area={})
        document = written(samples.report(silent), tmp_path)
        text = document.sections["capabilities"]
        assert "Nothing is declared, and nothing was tried." in text

    def test_empty_parts_say_so(self, page: Document) -> None:
        assert "No findings." in page.sections["findings"]
        assert "Nothing was declared unsupported." in page.sections["unsupported"]
        assert "expected" not in page.sections

    def test_says_how_to_repeat_it(self, page: Document) -> None:
        for text in (
            "conv2d-conformance run --impl mylib:conv2d --examples 200 --seed 0",
            "2.21.0",
            "1 min 23 s",
            "2025-11-22T12:00:00+00:00",
        ):
            assert text in page.sections["provenance"]
        assert "agrees with real Keras on all of 600 cases" in page.sections["verdict"]


@pytest.mark.parametrize("page", ["failing"], indirect=True)
class TestFailingPage:
    def test_has_a_card_for_each_cause(self, page: Document) -> None:
        assert page.count("article", "card") == 9
        for finding in samples.failing().findings:
            part = "expected" if finding.status == Status.EXPECTED_FAILURE else "findings"
            for text in (finding.cause, clean(finding.message), finding.minimal_case):
                assert text in page.sections[part]

    def test_every_card_links_to_itself(self, page: Document) -> None:
        cards = [a["id"] for tag, a in page.tags if tag == "article"]
        assert all(f"#{card}" in page.links for card in cards)

    def test_shows_the_way_back_to_the_failure(self, page: Document) -> None:
        assert "replay 'in1x3x3x1-f1-k2-same-integers.7' --impl mylib:conv2d" in page.text
        assert "assert got[0, 2, 1, 0] == 9, got[0, 2, 1, 0]  # a < b & c" in page.text

    def test_names_the_diagnosis(self, page: Document) -> None:
        assert "Diagnosis: same padding on the wrong side" in page.text

    def test_a_sequence_is_shown_call_by_call_and_as_a_whole(self, page: Document) -> None:
        assert "2 calls in one process, in this order" in page.text
        assert f"replay '{samples.STATEFUL}'" in page.text

    def test_foreign_text_is_harmless(self, page: Document) -> None:
        assert "TypeError: <script>alert('x')</script> & 'quotes'" in page.text
        assert sum(tag == "script" for tag, _ in page.tags) == 1
        assert not {"\x1b", "\x07"} & set(page.source)
        assert not any(link.startswith("javascript:") for link in page.links)
        assert "https://example.org/mylib/issues/12" in page.links

    def test_unsupported_is_not_passed(self, page: Document) -> None:
        assert page.count("td", "unsupported") == 2  # a check, and a class of cases
        assert "0 % tested" in page.sections["checks"]
        assert "92 % tested" in page.sections["checks"]
        assert "groups > 1 <not yet> 40 cases" in page.sections["unsupported"]

    def test_the_witness_stands_apart(self, page: Document) -> None:
        assert page.count("td", "witness") == 8
        assert "real Keras, on a sample" in page.sections["checks"]

    def test_draws_the_evidence(self, page: Document) -> None:
        labels = [a.get("aria-label", "") for tag, a in page.tags if tag == "svg"]
        assert "Got, 3 by 3 values; worst at row 2, column 1: −6" in labels
        assert "Got − expected, 3 by 3 values; worst at row 2, column 1: −15" in labels
        assert "Input of 3 by 3; the worst element reads rows 2 to 3, columns 1 to 2" in labels
        assert "[2, 2] not finite" in page.text
        assert "The sizes differ: expected 2 × 2, got 2 × 3." in page.text

    def test_tells_the_distribution_in_words(self, page: Document) -> None:
        text = page.sections["ratios"]
        assert "largest ∞, 99th percentile 0.9, 212 of 477 cases exact, 3 above the limit" in text
        assert "Nothing was compared." in text


class TestMatrix:
    """Classes of cases by implementation."""

    def cells(self, page: Document, name: str) -> list[str]:
        """Tone and text of the cells in the row of a class."""
        found = re.search(rf'scope="row">{re.escape(name)}</th>(.*?)</tr>', page.source)
        assert found is not None
        return [
            f"{tone}: {re.sub('<[^>]*>', '', text)}"
            for tone, text in re.findall('<td class="([^"]*)">(.*?)</td>', found[1])
        ]

    @pytest.mark.parametrize(
        ("name", "cells"),
        [
            ("3x3 stride 2 same", ["pass: 90 passed", "pass: 90 passed"]),
            ("3x3 same", ["pass: 89 passed", "fail: 4 of 34 failed"]),
            ("7x7 stride 2 same", ["pass: 88 passed", "undrawn: 0 not drawn"]),
            ("same, odd h", ["pass: 89 passed", "fail most: 31 of 33 failed"]),
            ("same, even", ["pass: 90 passed", "warn: 16 of 56 known to fail"]),
            ("float64", ["pass: 89 passed", "unsupported: 45 refused"]),
            ("bfloat16", ["pass: 90 passed", "empty: – not claimed"]),
        ],
    )
    def test_says_what_became_of_each_class(
        self, name: str, cells: list[str], tmp_path: Path
    ) -> None:
        page = written(samples.report(samples.conforming(), samples.failing()), tmp_path)
        assert self.cells(page, name) == cells

    def test_links_to_results_where_they_are_listed(self, tmp_path: Path) -> None:
        report = samples.report(samples.failing())
        assert "data-q" not in written(report, tmp_path).source.partition("<script>")[0]
        page = written(report, tmp_path, samples.listing())
        queries = [a.get("data-q") for _, a in page.tags]
        for query in (
            'impl:"mylib:conv2d"',
            'padding:"same, odd h"',
            'check:"value"',
            'popular-layer:"3x3 same"',
            "status:crashed,failed,harness_error,timed_out",
        ):
            assert query in queries

    def test_folds_what_has_no_failure(self, tmp_path: Path) -> None:
        page = written(samples.report(samples.failing()), tmp_path)
        popular, arguments, varied = re.findall(
            '<details class="fold"( open)?>\\s*<summary>([^<]*class[^<]*)</summary>', page.source
        )
        assert popular == (" open", "3 classes, 1 with failures, 1 not drawn")
        assert arguments == (" open", "6 classes, 1 with failures")
        assert varied == ("", "2 classes")

    def test_a_rule_of_the_layer_leads_to_its_paragraph(self, tmp_path: Path) -> None:
        text = "A layer refuses what Keras does.\n\nSource: Keras' own tests."
        result = samples.conforming(checks={"refusals": samples.counts(passed=3)})
        page = written(samples.report(result, contract={"refusals": text}), tmp_path)
        assert "#rule-refusals" in page.links
        assert "rule-refusals" in page.ids
        for part in (*text.split("\n\n"), "docs/contract.md#refusals"):
            assert part in page.sections["rules"]
        assert "refusals" not in page.sections["checks"]

    def test_an_older_report_has_none(self, tmp_path: Path) -> None:
        page = written(samples.report(samples.conforming(classes={})), tmp_path)
        assert "does not tell classes of cases apart" in page.sections["checks"]

    def test_what_makes_a_pass_weak_stands_in_the_verdict(self, tmp_path: Path) -> None:
        for reports in (REPORTS["failing"], REPORTS["compatibility"]):
            text = written(reports, tmp_path).sections["verdict"]
            assert "What makes a pass weak" in text
            assert "1 of 3 popular layers refused or not met: 7x7 stride 2 same." in text
        assert "weak" not in written(REPORTS["conforming"], tmp_path).sections["verdict"]


class TestAllResults:
    def unpacked(self, page: Document) -> dict[str, Any]:
        found = re.search('<script type="application/json" id="packed">(.*?)</script>', page.source)
        assert found is not None
        content: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(found[1])))
        return content

    def test_come_back_as_they_were(self, tmp_path: Path) -> None:
        page = written(samples.report(samples.failing()), tmp_path, samples.listing())
        data = self.unpacked(page)
        cases = data["cases"].split("\n")
        rows = [
            (
                data["implementations"][name],
                cases[case],
                data["statuses"][status][0],
                tuple(data["checks"][checks].split(",")),
                data["causes"][cause],
            )
            for name, case, status, checks, cause in zip(*data["rows"], strict=True)
        ]
        given = samples.listing().rows
        assert rows == [
            (r.implementation, r.case, str(r.status), r.checks, clean(r.cause)) for r in given
        ]
        classes, levels = data["kinds"]["popular-layer"]
        assert [classes[ord(level) - 48] for level in levels] == ["3x3 same"] * len(cases)
        classes, levels = data["kinds"]["padding"]
        assert [classes[ord(level) - 48] for level in levels] == ["same, even", "same, odd h"]
        assert data["kinds"]["varied"][1] == "--"

    def test_without_a_journal_the_page_says_so(self, tmp_path: Path) -> None:
        page = written(REPORTS["failing"], tmp_path)
        assert "no journal of the run is at hand" in page.sections["results"]
        assert 'id="packed"' not in page.source

    def test_says_what_is_left_out(self, tmp_path: Path) -> None:
        listing = samples.listing(of=61_203, without=["lib@2"])
        text = written(REPORTS["failing"], tmp_path, listing).sections["results"]
        assert "Listed are 4 of 61,203 rows: first all that did not pass" in text
        assert "No journal is at hand of lib@2." in text

    def test_need_a_script_and_say_so(self, tmp_path: Path) -> None:
        page = written(REPORTS["failing"], tmp_path, samples.listing())
        assert "This list needs JavaScript" in page.sections["results"]
        assert re.search('<div id="list" hidden>', page.source)

    def test_many_stay_small(self, tmp_path: Path) -> None:
        """Twenty thousand rows of a real plan, with the classes of its cases."""
        cases = [case for planned in islice(plan(0), 800) for case in planned.example]
        rows = [
            Listed(
                implementation=f"keras-backend-{number}",
                case=str(case),
                status=Status.PASSED,
                checks=("output_shape", "exact_values"),
            )
            for number in range(14)
            for case in cases
        ][:20_000]
        levels = {}
        for case in cases:
            met = classes_of(case, row_of(case))
            levels[str(case)] = tuple(n if n >= 0 else None for n in met)
        listing = samples.listing(*rows, of=90_000, classes=CLASSES, levels=levels)
        page = written(samples.compatibility(), tmp_path, listing)
        assert len(self.unpacked(page)["rows"][0]) == 20_000
        assert len(page.source) < 1_500_000


@pytest.mark.parametrize("page", ["claiming"], indirect=True)
class TestCapabilities:
    def test_says_how_much_is_claimed(self, page: Document) -> None:
        text = page.sections["capabilities"]
        assert (
            "72 of 96 combinations of what a case can need are claimed; not claimed: dtype float64."
        ) in text

    def test_tells_each_claim_and_what_became_of_it(self, page: Document) -> None:
        text = re.sub(r"\s+", " ", page.sections["capabilities"])
        case = "in1x6x5x4-f2-k2x3-valid-cl-float32-integers"
        for row in (
            f"dtype float32yesworks {case}.0",
            f"dtype float64noworks, though not claimed {case}.1",
            f"dtype float16yesrefused or fails: refuses {case}.2: no half {case}.2",
            f"groupsyesfails as expected: refuses {case}.8: one group only {case}.8",
        ):
            assert row in text
        assert [page.count("tr", state) for state in ("broken", "known", "beyond")] == [2, 1, 1]

    def test_a_broken_claim_leads_to_its_finding(self, page: Document) -> None:
        marks = [link for link in page.links if re.fullmatch("#cause-[0-9a-f]+", link)]
        cards = [a["id"] for tag, a in page.tags if tag == "article"]
        assert [marks.count(f"#{card}") for card in cards] == [5, 4, 3]

    def test_lists_what_else_is_declared(self, page: Document) -> None:
        for sentence in (
            "Computes with Winograd; judged by a bound for the whole sample.",
            "Sums of 16-bit data are held to float16.",
            "A repeated call may give other bits.",
            "Numbers below the normal range may count as 0.",
        ):
            assert sentence in page.sections["capabilities"]

    def test_the_verdict_names_algorithm_and_notes(self, page: Document) -> None:
        text = page.sections["verdict"]
        assert re.search("float64 sums held to\\s*float64\\s*16-bit sums held to\\s*float16", text)
        assert re.search("algorithm\\s*Winograd", text)
        assert "Not claimed, but works on the smallest case: dtype float64." in text

    def test_a_strict_pass_is_a_finding(self, page: Document) -> None:
        assert page.title == (
            "fast:Winograd is wrong: it claims dtype float16 but refuses it; and 1 more cause"
        )
        assert "That entry is strict" in page.sections["findings"]
        assert "Tracked at" in page.sections["findings"]
        assert page.count("td", "fail") == 2
        assert "padding = same" not in page.sections["findings"]


@pytest.mark.parametrize("page", ["compatibility"], indirect=True)
class TestManyImplementations:
    def test_has_one_row_a_capability_and_one_column_an_implementation(
        self, page: Document
    ) -> None:
        marks = [a for tag, a in page.tags if tag == "span" and "claim" in a.get("class", "")]
        tooltips = [a["title"] for a in marks if "title" in a]
        assert len(tooltips) == 14 * len(samples.NEEDS)
        assert "groups: claimed, works; in1x6x5x4-f2-k2x3-valid-cl-float32-integers.8" in tooltips
        assert page.count("td", "broken") == 6

    def test_every_mark_is_also_a_word(self, page: Document) -> None:
        text = page.sections["capabilities"]
        for _, words in claims.STATES.values():
            assert words in text
        assert "It declares nothing. 64 of 96 combinations" in text

    def test_counts_stay_in_the_table_and_rules_move_out_of_it(self, page: Document) -> None:
        text = page.sections["checks"]
        assert page.count("table", "dense") == 5
        assert "1,455 passed" in text
        assert "92 % tested" in text
        assert "100 % tested" not in text
        assert "What each check demands" in text
        assert all(text.count(rule) == 1 for rule in samples.RULES.values())

    def test_verdicts_are_a_table(self, page: Document) -> None:
        text = re.sub(r"\s+", " ", page.sections["verdict"])
        assert page.count("li", "subject") == 0
        assert (
            "onnxruntime conforms none 0 200 600 Library 7.2.0, NumPy 2.3.1 layer float64" in text
        )
        assert "float64, Winograd" in text
        assert "Passes in 1 case that should fail: same cause." in text


class TestOfMany:
    """What a page of many implementations folds, and in which order they come."""

    def test_those_who_fail_come_first(self, tmp_path: Path) -> None:
        open_one = samples.inconclusive()
        known = [samples.conforming(name) for name in ("a", "b", "c")]
        report = samples.report(*known, open_one, samples.failing("x"), samples.failing("y"))
        source = written(report, tmp_path).source
        table = source[source.index("verdicts") : source.index("</table>")]
        names = [re.sub("<.*?>", "", n) for n in re.findall('<th scope="row">(.*?)</th>', table)]
        assert names == ["x", "y", "empty:conv2d", "a", "b", "c"]

    @pytest.mark.parametrize(("number", "folded"), [(3, False), (4, True), (7, True)])
    def test_sentences_that_the_table_says_are_folded(
        self, number: int, folded: bool, tmp_path: Path
    ) -> None:
        results = [samples.conforming(f"lib{n}") for n in range(number)]
        results[1] = replace(results[1], stopped="The time was up.")
        lines = headline(results, None, measures_keras=False, keras_installed=True)
        source = written(samples.report(*results, headline=lines), tmp_path).source
        before, opened, after = source.partition('<details class="fold in-words">')
        inside = after.partition("</details>")[0]
        assert bool(opened) == folded
        for line in lines:
            verdict = "conforms" in line
            assert (line in before, line in inside) == (
                not (folded and verdict),
                folded and verdict,
            )

    def test_expected_failures_are_brief(self, tmp_path: Path) -> None:
        many = [samples.failing(f"lib{n}") for n in range(6)]
        page = written(samples.report(*many), tmp_path)
        _, _, known = page.source.partition('<section id="expected"')
        known, _, _ = known.partition("</section>")
        finding = next(f for f in many[0].findings if f.status is Status.EXPECTED_FAILURE)
        text = re.sub("<.*?>", "", known)
        assert finding.reason == "no bfloat16 output before version 2"
        assert known.count('<details class="fold">') == 6
        assert "<details open" not in known
        assert "<article" not in known
        assert "<svg" not in known
        for part in (
            finding.reason[1:],
            finding.minimal_case,
            finding.link,
            "dtype 12",
            "12 times",
        ):
            assert part in text

    @pytest.mark.parametrize(("number", "opened"), [(3, True), (4, False)])
    def test_many_expected_failures_of_one_are_folded(
        self, number: int, opened: bool, tmp_path: Path
    ) -> None:
        finding = samples.value_finding(status=Status.EXPECTED_FAILURE)
        reasons = ("abc", "def", "ghi", "jkl")[:number]
        found = [replace(finding, reason=r, cause=r, diagnosis=None) for r in reasons]
        page = written(samples.report(samples.conforming(findings=found)), tmp_path)
        _, _, known = page.source.partition('<section id="expected"')
        assert ('<details class="fold" open>' in known.partition("</section>")[0]) == opened
        assert page.count("article", "card") == number

    def test_the_table_of_checks_has_a_legend(self, tmp_path: Path) -> None:
        many = [samples.failing(f"lib{n}") for n in range(6)]
        source = written(samples.report(*many), tmp_path).source
        _, _, legend = source.partition("</table>")[2].partition('<ul class="legend"')
        text = re.sub(r"\s+", " ", re.sub("<[^>]*>", "", legend.partition("</ul>")[0]))
        for words in ("failed", "crashed", "unsupported", "not applied", "the verdict: fails"):
            assert words in text
        assert "flaky" not in text

    def test_counts_have_a_plural(self, tmp_path: Path) -> None:
        checks = {"a": samples.counts(expected_failure=1), "b": samples.counts(expected_failure=11)}
        page = written(samples.report(samples.conforming(checks=checks)), tmp_path)
        assert '1 <span class="unseen">expected failure</span>' in page.source
        assert '11 <span class="unseen">expected failures</span>' in page.source


class TestRatios:
    def test_what_is_above_the_limit_was_expected_of_who_conforms(self, tmp_path: Path) -> None:
        met = Ratios(edges=[0.5, 1.0, 2.0], counts=[0, 1, 1, 2, 0], failing=2, largest=9.0)
        conforms, fails = samples.conforming("a"), samples.failing("b")
        both = [replace(result, ratios={"float32": met}) for result in (conforms, fails)]
        page = written(samples.report(*both), tmp_path)
        first, second = page.sections["ratios"].split("float32")[1:]
        assert "2 above the limit, expected failures" in first
        assert "2 above the limit" in second
        assert "expected failures" not in second
        labels = [a["aria-label"] for t, a in page.tags if a.get("class") == "histogram"]
        assert [label.endswith("above the limit, as expected") for label in labels] == [True, False]


class TestCondition:
    @pytest.mark.parametrize(
        ("when", "text"),
        [
            (
                {"padding": "same", "dilation": "h != w"},
                "padding = same, dilation height != dilation width",
            ),
            ({"data": ["normal", "wide"], "bias": False}, "data = normal or wide, bias = false"),
            ({"kernel": [5, 3], "filters": 4}, "kernel = (5, 3), filters = 4"),
        ],
    )
    def test_is_one_line(self, when: dict[str, Any], text: str) -> None:
        assert in_words(when) == text

    def test_stands_on_the_card(self, tmp_path: Path) -> None:
        text = written(REPORTS["failing"], tmp_path).sections
        where = "Fails where padding = same, kernel height != kernel width"
        assert f"{where} (which also holds on 3 passing cases)" in text["findings"]
        assert "Crashes where" not in text["findings"]  # a single case shares all with itself
        assert "Fails where compute_dtype = bfloat16" in text["expected"]

    def test_an_entry_is_offered_where_it_would_cover_the_finding(self, tmp_path: Path) -> None:
        findings = samples.failing().findings
        coverable = (Status.FAILED, Status.CRASHED, Status.TIMED_OUT)
        offered = [f for f in findings if f.status in coverable and f.check != "shape"]
        document = written(REPORTS["failing"], tmp_path)
        assert document.text.count("Expect this failure") == len(offered)
        for finding in offered:
            (cause,) = grouped([finding])
            assert entries(cause, [finding], "mylib:conv2d")[0] in document.text

    @pytest.mark.parametrize(
        "when",
        [
            {},
            {"padding": "same", "kernel": "h != w"},
            {"data": ["normal", "integers"], "bias": True, "kernel": [2, 1], "batch": 1},
        ],
    )
    def test_the_entry_can_be_given_to_xfail(self, when: dict[str, Any], tmp_path: Path) -> None:
        cause = 'raises "x"\n\x1b[1m\\ and \x7f\ud800'
        finding = samples.value_finding(check="exact_values", cause=cause, when=when)
        (tmp_path / "xfail.toml").write_text(expectation(finding, "my[a]*:f"), encoding="utf-8")
        (entry,) = load(tmp_path / "xfail.toml")
        case = Case.parse("in1x3x3x1-f1-k2x1-same-integers.7")
        assert entry.reason == clean(cause)
        assert not entry.strict
        assert entry.covers("exact_values", Info(name="my[a]*:f", kind="layer"), case)
        assert not entry.covers("exact_values", Info(name="mya:f", kind="layer"), case)


class TestDeterminism:
    def test_equal_reports_give_equal_pages(self, tmp_path: Path) -> None:
        first, second = (written(REPORTS["mixed"], tmp_path).source for _ in range(2))
        assert first == second

    def test_only_the_run_differs(self, tmp_path: Path) -> None:
        later = replace(REPORTS["mixed"], run={"started": "later", "seconds": 1.0, "jobs": 1})
        first = written(REPORTS["mixed"], tmp_path).source.splitlines()
        second = written(later, tmp_path).source.splitlines()
        changed = [a for a, b in zip(first, second, strict=True) if a != b]
        assert len(changed) == 3

    def test_anchors_outlive_other_findings(self, tmp_path: Path) -> None:
        def anchors(*skip: int) -> list[str]:
            findings = [f for i, f in enumerate(samples.failing().findings) if i not in skip]
            document = written(samples.report(samples.failing(findings=findings)), tmp_path)
            return [a["id"] for tag, a in document.tags if tag == "article"]

        (gone,) = {*anchors()} - {*anchors(0)}
        assert [anchor for anchor in anchors() if anchor != gone] == anchors(0)


class TestSize:
    def test_hundreds_of_findings_stay_small(self, tmp_path: Path) -> None:
        crowded = samples.failing().findings[1]
        findings = [replace(crowded, diagnosis=f"cause_{n}") for n in range(50)]
        many = [samples.failing(f"lib{n}", findings=findings) for n in range(12)]
        document = written(samples.report(*many), tmp_path)
        before, *cards = document.source.split("<article")
        assert len(before) < 200_000
        assert sum(map(len, cards)) < 5_910_000
        assert document.count("article", "card") == 600
        assert "At most 3 × 3 values around the worst element are drawn." in document.text

    def test_a_part_of_a_result_says_so(self) -> None:
        grid: list[list[float | None]] = [[0.0] * 24 for _ in range(24)]
        whole = Evidence(expected=grid, got=grid, worst=(12, 3), element=(0, 5, 12, 3))
        part = replace(whole, element=(0, 40, 3, 0))
        assert heatmaps.draw(whole, 24).remark == ""
        assert "count from the corner" in heatmaps.draw(part, 24).remark

    def test_the_worst_element_stays_in_sight(self) -> None:
        grid: list[list[float | None]] = [[0.0] * 24 for _ in range(24)]
        for worst in ((0, 0), (23, 23), (12, 20)):
            maps = heatmaps.draw(Evidence(expected=grid, got=grid, worst=worst), 5)
            assert [m.svg.count("<title>") for m in maps.maps] == [25] * 3
            assert all('class="worst"' in m.svg for m in maps.maps)
            assert f"[{worst[0]}, {worst[1]}] 0" in maps.maps[0].svg


class TestPicture:
    SHOWN = Evidence(
        expected=[[1.0, -2.0], [0.0, 123456.789]],
        got=[[1.0, -0.000123456], [0.0, None]],
        worst=(1, 1),
        element=(0, 1, 1, 0),
        input=[[1.0, 2.0], [3.0, 4.0]],
        kernel=[[1.0, -1.0]],
        bias=3.0,
        channel=(0, 2),
        pads=((0, 0), (0, 1)),
        wrong=[(0, 1), (1, 1)],
        reads=([0], [1, 2]),
    )

    def drawn(self) -> dict[str, str]:
        return {one.name: str(one.svg) for one in heatmaps.draw(self.SHOWN, 12).maps}

    def test_has_input_kernel_expected_got_and_difference(self) -> None:
        assert list(self.drawn()) == [
            "Input, channel 0 of 2",
            "Kernel, channel 0 of 2, bias 3",
            "Expected",
            "Got",
            "Got − expected",
        ]

    def test_outlines_what_is_wrong_and_what_it_reads(self) -> None:
        drawn = self.drawn()
        outlined = {
            name: re.findall('class="(wrong|worst|read)"', svg) for name, svg in drawn.items()
        }
        assert outlined["Input, channel 0 of 2"] == ["read", "read"]
        assert outlined["Got"] == outlined["Got − expected"] == ["wrong", "worst"]
        assert outlined["Expected"] == ["worst"]

    def test_hatches_padding_and_writes_every_value(self) -> None:
        drawn = self.drawn()
        padded = drawn["Input, channel 0 of 2"]
        assert re.findall(r"<title>\[(\d, 2)\] padding", padded) == ["0, 2", "1, 2"]
        assert padded.count('class="void"') == 2
        assert re.findall("<text[^>]*>([^<]*)<", padded) == ["1", "2", "3", "4"]
        assert re.findall("<text[^>]*>([^<]*)<", drawn["Expected"]) == ["1", "−2", "0", "1.235e5"]
        assert re.findall("<text[^>]*>([^<]*)<", drawn["Got"]) == ["1", "−.0001", "0", "×"]

    @pytest.mark.parametrize("side", [3, 12])
    @pytest.mark.parametrize("value", [-123.456, 1e-30, -9.99e20, 0.5, -0.0625, 7.0, -1.375e-38])
    def test_numbers_fit_their_cells(self, value: float, side: int) -> None:
        grid: list[list[float | None]] = [[value] * side for _ in range(side)]
        (one,) = heatmaps.draw(Evidence(expected=grid), side).maps
        cell = int(re.findall(r'width="(\d+)"', str(one.svg))[1])
        written = {*re.findall("<text([^>]*)>([^<]*)<", str(one.svg))}
        texts = {(text, re.search(r'[" ]s"', style) is not None) for style, text in written}
        for text, small in texts:
            assert float(text.replace("−", "-")) == pytest.approx(value, rel=0.5)
            assert len(text) * (4.5 if small else 6.2) <= cell
        assert texts or (value, side) == (-1.375e-38, 12)

    def test_the_larger_case_stands_on_the_card(self, tmp_path: Path) -> None:
        larger = "in1x2x2x2-f1-k1x2-same-small.0"
        finding = samples.value_finding(larger=self.SHOWN, larger_case=larger)
        page = written(samples.report(samples.failing(findings=[finding])), tmp_path)
        assert "Where the pattern shows" in page.sections["findings"]
        assert larger in page.sections["findings"]
        labels = [a.get("aria-label", "") for tag, a in page.tags if tag == "svg"]
        assert (
            "Input, channel 0 of 2, 2 by 3 values, padding included; "
            "the first wrong value reads the outlined ones"
        ) in labels


class TestHistogram:
    @pytest.mark.parametrize("below", [[], [2]])
    def test_puts_every_count_between_its_edges(self, below: list[int]) -> None:
        ratios = Ratios(edges=[0.25, 0.5, 1.0, 2.0], counts=[7, *below, 3, 4, 5, 6], failing=11)
        titles = re.findall("<title>(.*?)</title>", plots.histogram("float32", ratios))
        open_bin = ["0 to 0.25: 2"] if below else []
        spans = ["0.25 to 0.5: 3", "0.5 to 1: 4", "1 to 2: 5", "above 2: 6"]
        assert titles == ["exact: 7", *open_bin, *spans]

    def test_only_what_is_above_one_has_failed(self) -> None:
        ratios = Ratios(edges=[0.5, 1.0, 2.0], counts=[0, 1, 1, 1, 1], failing=2)
        svg = plots.histogram("float32", ratios)
        bars = re.findall(r'rect class="(\w+)" x="([\d.]+)"', svg)
        limit = re.search(r'class="limit" d="M([\d.]+)', svg)
        assert limit is not None
        assert [kind for kind, _ in bars] == ["pass", "pass", "fail", "fail"]
        assert [float(x) > float(limit[1]) for _, x in bars] == [False, False, True, True]


class TestJunit:
    def test_counts_add_up(self, tmp_path: Path) -> None:
        root = junit(REPORTS["failing"], tmp_path)
        assert dict(root.attrib) == {
            "name": "conv2d-conformance",
            "time": "83.400",
            "tests": "16",
            "failures": "5",
            "errors": "1",
        }
        assert root[0].get("skipped") == "4"
        for suite in root:
            assert len(suite.findall("testcase")) == int(suite.get("tests", ""))
            assert suite.get("timestamp", "2025").startswith("2025")
            problems = [len({c.tag for c in case} - {"system-out"}) for case in suite]
            assert max(problems[1:]) <= 1

    def test_a_failure_tells_cause_message_and_case(self, tmp_path: Path) -> None:
        root = junit(REPORTS["failing"], tmp_path)
        failure = root.find("testsuite/testcase[@name='value']/failure")
        assert failure is not None
        assert failure.get("message") == (
            "values differ where the kernel reaches into the padding; 2 of 9 values differ; worst "
            "at [0, 2, 1, 0]: got -6.0, expected 9.0 (and 1 more finding)"
        )
        for text in ("2 of 9 values differ", "in1x3x3x1-f1-k2-same-integers.7", "timed out"):
            assert text in (failure.text or "")

    def test_errors_and_skips(self, tmp_path: Path) -> None:
        root = junit(REPORTS["failing"], tmp_path)
        error = root.find("testsuite/testcase[@name='dtype']/error")
        unsupported = root.find("testsuite/testcase[@name='groups']/skipped")
        untried = root.find("testsuite/testcase[@name='vectors']/skipped")
        assert error is not None
        assert unsupported is not None
        assert untried is not None
        assert error.get("message") == "the generator raised; KeyError: 'x'"
        assert unsupported.get("message") == "groups > 1 <not yet>; float64"
        assert untried.get("type") == "not run"

    def test_what_is_unsupported_is_a_skipped_test(self, tmp_path: Path) -> None:
        root = junit(REPORTS["failing"], tmp_path)
        (suite, _) = root
        skipped = suite.find("testcase[@name='unsupported: float64']/skipped")
        assert skipped is not None
        assert skipped.get("message") == (
            "5 cases, for example in1x3x3x1-f1-k1-float64-integers.0: float64"
        )

    def test_time_is_that_of_each_implementation(self, tmp_path: Path) -> None:
        run = {"started": "2025-11-22 12:00:00 UTC", "seconds": 9.0, "seconds_each": {"a": 7.25}}
        report = samples.report(samples.conforming("a"), run=run)
        (suite,) = junit(report, tmp_path)
        assert (suite.get("time"), suite.get("timestamp")) == ("7.250", "2025-11-22T12:00:00")

    def test_has_only_what_jenkins_knows(self, tmp_path: Path) -> None:
        """Attributes and elements of junit-10.xsd of the xUnit plugin."""
        known = {
            "testsuites": {"name", "time", "tests", "failures", "disabled", "errors"},
            "testsuite": {
                "name", "tests", "failures", "errors", "time", "disabled", "skipped", "timestamp",
                "hostname", "id", "package",
            },
            "properties": set(), "property": {"name", "value"},
            "testcase": {"name", "classname", "time", "assertions", "status"},
            "failure": {"type", "message"}, "error": {"type", "message"},
            "skipped": {"type", "message"}, "system-out": set(),
        }  # fmt: skip
        for report in REPORTS.values():
            for element in junit(report, tmp_path).iter():
                assert set(element.attrib) <= known[element.tag]

    def test_a_check_that_only_fails_as_expected_is_skipped(self, tmp_path: Path) -> None:
        expected = samples.failing().findings[6]
        result = samples.conforming(
            findings=[expected], checks={"dtype": samples.counts(expected_failure=12)}
        )
        skipped = junit(samples.report(result), tmp_path).find("testsuite/testcase/skipped")
        assert skipped is not None
        assert skipped.get("message") == "no bfloat16 output before version 2"

    def test_a_strict_pass_is_a_failure(self, tmp_path: Path) -> None:
        root = junit(REPORTS["claiming"], tmp_path)
        failure = root.find("testsuite/testcase[@name='value']/failure")
        assert failure is not None
        assert failure.get("type") == "unexpected pass"
        assert failure.get("message") == "pads in the wrong axis order"
        assert (root.get("failures"), root.get("errors")) == ("2", "0")

    def test_a_pass_that_is_not_strict_is_none(self, tmp_path: Path) -> None:
        result = samples.conforming(checks={"value": samples.counts(passed=9, unexpected_pass=1)})
        assert junit(samples.report(result), tmp_path).get("failures") == "0"

    def test_a_failure_says_where(self, tmp_path: Path) -> None:
        failure = junit(REPORTS["failing"], tmp_path).find("testsuite/testcase/failure")
        assert failure is not None
        assert "fails where: padding = same, kernel height != kernel width" in (failure.text or "")

    def test_is_xml_whatever_the_message(self, tmp_path: Path) -> None:
        nasty = samples.value_finding(cause="\x00\ud800]]>", message=samples.HOSTILE)
        result = samples.failing(
            name="<a&b>", findings=[nasty], checks={"value": samples.counts(failed=1)}
        )
        assert junit(samples.report(result), tmp_path)[0].get("name") == "<a&b>"
        assert "\ud800" not in written(samples.report(result), tmp_path).source

    def test_nothing_measured(self, tmp_path: Path) -> None:
        assert junit(REPORTS["nothing"], tmp_path).get("tests") == "0"


class TestText:
    def test_percent_is_never_too_good(self) -> None:
        assert [percent(*p) for p in ((999, 1000), (5, 5), (1, 1000), (0, 9), (0, 0))] == [
            "99 %",
            "100 %",
            "< 1 %",
            "0 %",
            "0 %",
        ]

    def test_duration(self) -> None:
        assert [duration(s) for s in (0.42, 59.7, 185, 7260)] == [
            "0.4 s",
            "1 min 0 s",
            "3 min 5 s",
            "2 h 1 min",
        ]

    def test_listing(self) -> None:
        assert listing(["a"]) == "a"
        assert listing(["a", "b", "c"]) == "a, b and c"

    def test_plural(self) -> None:
        assert (plural(1, "case"), plural(2000, "case")) == ("1 case", "2,000 cases")

    def test_replay_command_survives_quotes(self) -> None:
        assert replay_command("in1", "a b:c") == "conv2d-conformance replay 'in1' --impl 'a b:c'"
        assert replay_command("i'n", "x") == "conv2d-conformance replay 'i'\"'\"'n' --impl x"

    def test_clean(self) -> None:
        assert clean("\x1b[1;31mred\x1b[0m\r\nnext\x00\u202e") == "red\nnext\ufffd\ufffd"

    def test_every_verdict_has_a_glyph(self, tmp_path: Path) -> None:
        ids = written(REPORTS["nothing"], tmp_path).ids
        marks = [icon for icon, _ in claims.STATES.values()]
        assert {f"i-{name}" for name in (*Status, *Verdict, *marks)} <= set(ids)


def test_a_summary_shows_every_character_of_foreign_text() -> None:
    assert _plain("h > 1 & <b> #2 | [a](b)") == "h &#62; 1 &#38; &#60;b&#62; \\#2 &#124; \\[a\\](b)"
