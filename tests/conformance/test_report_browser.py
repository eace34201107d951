"""The page in a real browser, opened from a file as a reader would."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import report_samples as samples

from conformance.differences import differences
from conformance.headline import headline
from conformance.report import write_html
from conformance.report.html import write_differences
from conformance.results import Evidence, Listed, Status

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytest.importorskip("playwright.sync_api")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium on this machine"),
]

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
UNNAMED = """() => [...document.querySelectorAll("a, button, [role], nav, article, section")]
  .filter((e) => {
    const label = e.getAttribute("aria-labelledby");
    const name = label ? document.getElementById(label)?.textContent
      : e.getAttribute("aria-label") ?? e.textContent;
    return !name?.trim() && e.id !== "said";
  })
  .map((e) => e.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    report = samples.report(samples.failing(), samples.inconclusive(), witness=samples.conforming())
    write_html(report, path)
    return path.as_uri()


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_html(samples.compatibility(), path)
    return path.as_uri()


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page with 20,000 results, every fifth of which failed."""
    rows = [
        Listed(
            implementation="mylib:conv2d" if number % 2 else "keras-tensorflow",
            case=f"in1x{number % 40 + 1}x{number % 7 + 1}x1-f1-k{number % 9 + 1}-integers.{number}",
            status=Status.PASSED if number % 5 else Status.FAILED,
            checks=("output_shape", "exact_values") if number % 5 else ("exact_values",),
            cause="" if number % 5 else "values differ <b>here</b>",
        )
        for number in range(20_000)
    ]
    path = tmp_path_factory.mktemp("report") / "report.html"
    report = samples.report(samples.failing(), samples.conforming())
    write_html(report, path, samples.listing(*rows, of=25_000))
    return path.as_uri()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(color_scheme="light", viewport={"width": 1400, "height": 900})
    yield context.new_page()
    context.close()


def test_opens_quietly_and_asks_for_nothing(page: Page, address: str) -> None:
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(address)
    page.wait_for_load_state("networkidle")
    assert complaints == []
    assert requests == [address]


def test_shows_verdict_and_cards(page: Page, address: str) -> None:
    page.goto(address)
    assert page.title() == (
        "mylib:conv2d is wrong: the process was killed; and 6 more causes (interrupted)"
    )
    assert page.locator("h1").inner_text() == page.title()
    assert page.locator("article.card").count() == 9
    assert page.get_by_role("img", name="Expected, 3 by 3").first.is_visible()


def test_follows_the_colour_scheme(page: Page, address: str) -> None:
    page.goto(address)
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(background)
    assert (light, dark) == ("rgb(251, 250, 247)", "rgb(21, 23, 26)")


@pytest.mark.parametrize("width", [400, 1000, 1400])
def test_fits_the_screen(page: Page, address: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [400, 1000, 1400])
def test_many_implementations_fit_the_screen(page: Page, crowded: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(crowded)
    page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 1000, 1280, 1600])
def test_the_page_of_differences_uses_the_screen(page: Page, tmp_path: Path, width: int) -> None:
    old, new = samples.report(samples.conforming("a")), samples.report(samples.failing("a"))
    write_differences(differences(old, new), tmp_path / "diff.html")
    page.set_viewport_size({"width": width, "height": 800})
    page.goto((tmp_path / "diff.html").as_uri())
    box = page.locator("main").bounding_box()
    assert box is not None
    assert box["width"] > min(0.8 * width, 1000)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_number_stays_in_its_cell(page: Page, tmp_path: Path) -> None:
    row: list[float | None] = [-1.375e-38, -123.456, 1e-30, -1.5, 1234.0, 0.123456, -8.88e16, 7.0]
    shown = Evidence(expected=[row] * 3, got=[row * 1 for _ in range(9)], worst=(0, 0))
    finding = samples.value_finding(evidence=shown)
    write_html(samples.report(samples.failing(findings=[finding])), tmp_path / "report.html")
    page.goto((tmp_path / "report.html").as_uri())
    wide = """() => [...document.querySelectorAll(".heat text")].filter((text) => {
      const cell = Number(text.parentElement.querySelector("rect").getAttribute("width"));
      return text.getBBox().width > cell;
    }).map((text) => text.textContent)"""
    assert page.locator(".heat text").count() > 50
    assert page.evaluate(wide) == []


def test_a_small_screen_has_a_menu(page: Page, address: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(address)
    menu = page.get_by_role("navigation", name="Contents")
    link = menu.get_by_role("link", name="Method")
    assert link.is_hidden()
    menu.get_by_text("Contents").click()
    link.click()
    assert link.is_hidden()
    assert page.locator("#method-title").bounding_box()["y"] < 844  # type: ignore[index]
    assert menu.get_by_text("Contents").is_visible()


def test_a_copy_button_covers_nothing(page: Page, address: str) -> None:
    page.goto(address)
    block = page.locator(".copyable.block:visible").first
    button, code = block.locator("button").bounding_box(), block.locator("pre").bounding_box()
    assert button is not None
    assert code is not None
    assert button["y"] + button["height"] <= code["y"]


def test_many_expected_failures_are_folded(page: Page, crowded: str) -> None:
    page.goto(crowded)
    known = page.locator("#expected details.fold .known li").first
    assert known.is_hidden()
    page.locator("#expected summary").first.click()
    assert known.is_visible()


def test_a_name_above_a_column_stays_in_it(page: Page, crowded: str) -> None:
    page.goto(crowded)
    wide = """() => [...document.querySelectorAll(".dense thead .name")].filter((name) => {
      const inner = name.getBoundingClientRect();
      const outer = name.parentElement.getBoundingClientRect();
      return inner.left < outer.left || inner.right > outer.right + 1 || inner.top < outer.top;
    }).map((name) => name.textContent)"""
    assert page.evaluate(wide) == []


def test_marks_of_capabilities_have_words(page: Page, crowded: str) -> None:
    page.goto(crowded)
    assert page.evaluate(UNNAMED) == []
    table = page.get_by_role("region", name="Capabilities by implementation")
    assert table.get_by_role("cell", name="claimed, refused or fails", exact=True).count() == 6
    table.locator("td.broken a").first.click()
    assert page.locator("article.card:target h4").inner_text() == (
        "It claims dtype float16 but refuses it"
    )


def test_everything_has_a_name(page: Page, address: str) -> None:
    page.goto(address)
    assert page.evaluate(UNNAMED) == []
    assert page.get_by_role("navigation", name="Contents").is_visible()
    assert page.get_by_role("region", name="Checks by implementation").is_visible()
    assert page.get_by_role("button", name="Copy replay command").count() == 9


def test_regions_have_names_of_their_own(page: Page, address: str) -> None:
    page.goto(address)
    named = page.locator("[role=region]").evaluate_all(
        "found => found.map((e) => e.getAttribute('aria-label'))"
    )
    assert named
    assert len({*named}) == len(named)


def test_copies_the_case(page: Page, address: str) -> None:
    page.goto(address)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy smallest case").first.click()
    page.get_by_text("Copied").first.wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "in0x3x3x1-f1-k3-integers.1"


def test_copies_the_entry(page: Page, address: str) -> None:
    page.goto(address)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_text("Expect this failure").first.click()
    page.get_by_role("button", name="Copy expected-failure entry").first.click()
    page.get_by_text("Copied").first.wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith('[[expected_failure]]\ncheck = "refusals"\n')


def test_a_link_leads_to_its_card(page: Page, address: str) -> None:
    page.goto(address)
    page.locator("td a").first.click()
    card = page.locator("article.card:target")
    assert card.count() == 1
    assert card.bounding_box()["y"] == pytest.approx(24, abs=30)  # type: ignore[index]


def test_lets_no_foreign_script_run(page: Page, address: str) -> None:
    page.goto(address)
    page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
        " document.body.append(s); }"
    )
    assert page.evaluate("window.ran") is None


def test_prints_without_controls(page: Page, address: str) -> None:
    page.goto(address)
    page.emulate_media(media="print")
    assert not page.get_by_role("button").first.is_visible()
    assert page.locator("article.card").last.is_visible()


def test_reads_without_a_script(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("article.card").count() == 9
    assert page.locator("button:visible").count() == 0
    context.close()


def results(page: Page, address: str, query: str = "") -> Page:
    """The page at a query, once its results are there."""
    page.goto(address + query)
    page.locator("#listed tr").first.wait_for()
    return page


def test_all_results_are_listed_200_at_a_time(page: Page, listed: str) -> None:
    results(page, listed)
    rows = page.locator("#listed tr")
    assert rows.count() == 200
    assert page.locator("#found").inner_text() == "20,000 of 20,000 rows, the first 200 are shown"
    page.get_by_role("button", name="Show 200 more").click()
    assert rows.count() == 400
    focused = "document.activeElement === document.getElementById('listed').rows[200].cells[0]"
    assert page.evaluate(focused)


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("status:failed", 4_000),
        ("status:failed impl:mylib check:exact", 2_000),
        ("-status:failed", 16_000),
        ("check:exact -check:shape", 4_000),
        ("k3 status:passed,crashed", 1_778),
        ('padding:"same, odd h"', 3_285),
        ("popular-layer:same", 20_000),
        ("DIFFER", 4_000),
        ("mylib:conv2d", 10_000),
        ('"values differ <b>here</b>"', 4_000),
        ("nothing of the kind", 0),
    ],
)
def test_a_filter_finds_what_matches_all_terms(
    page: Page, listed: str, query: str, number: int
) -> None:
    results(page, listed)
    page.get_by_role("searchbox", name="Filter").fill(query)
    page.keyboard.press("Enter")
    found = page.locator("#found").inner_text()
    assert found.startswith(f"{number:,} of" if number else "No row of 20,000")
    assert page.locator("#listed b").count() == 0


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("foo:bar", "There is no key “foo”, only impl, "),
        ("status:faild", "There is no status “faild”, only failed, crashed, "),
        ("status:failed,pasd", "There is no status “pasd”"),
        ('-status:"pass"', "There is no status “pass”"),
        ("constructor:x", "There is no key “constructor”"),
    ],
)
def test_a_filter_names_what_there_is_not(page: Page, listed: str, query: str, named: str) -> None:
    results(page, listed)
    page.get_by_role("searchbox", name="Filter").fill(query)
    page.keyboard.press("Enter")
    assert named in page.locator("#found").inner_text()


def test_the_query_stands_in_the_address(page: Page, listed: str) -> None:
    results(page, listed)
    page.get_by_role("searchbox", name="Filter").fill('check:"exact_values" status:failed')
    page.keyboard.press("Enter")
    page.get_by_role("button", name="case", exact=True).click()
    page.get_by_role("button", name="case", exact=True).click()
    first = page.locator("#listed tr").first.inner_text()
    assert page.locator("th[aria-sort=descending]").inner_text() == "case"
    again = page.context.new_page()
    results(again, page.url)
    assert again.get_by_role("searchbox").input_value() == 'check:"exact_values" status:failed'
    assert again.locator("#listed tr").first.inner_text() == first
    assert again.locator("#results").bounding_box()["y"] < 100  # type: ignore[index]


def test_sorted_rows_are_in_order(page: Page, listed: str) -> None:
    results(page, listed)
    page.get_by_role("button", name="status", exact=True).click()
    assert page.locator("#listed .status").first.inner_text() == "failed"
    page.get_by_role("button", name="status", exact=True).click()
    assert page.locator("#listed .status").first.inner_text() == "passed"
    page.get_by_role("button", name="case", exact=True).click()
    cases = page.locator("#listed code").all_inner_texts()
    assert cases == sorted(cases)


def test_a_cell_of_the_matrix_leads_to_its_results(page: Page, listed: str) -> None:
    results(page, listed)
    page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    table = page.get_by_role("region", name="Arguments by implementation")
    table.get_by_role("link", name="31 of 33 failed").click()
    page.wait_for_function("document.getElementById('query').value !== ''")
    assert page.get_by_role("searchbox").input_value() == (
        'impl:"mylib:conv2d" padding:"same, odd h" status:crashed,failed,harness_error,timed_out'
    )
    assert page.locator("#results").bounding_box()["y"] < 100  # type: ignore[index]
    names = {*page.locator("#listed .a-name").all_inner_texts()}
    assert names == {"mylib:conv2d"}
    page.go_back()
    assert "q=" not in page.url


def test_the_list_asks_for_nothing_and_has_names(page: Page, listed: str) -> None:
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    results(page, listed)
    assert (complaints, requests) == ([], [listed])
    assert page.evaluate(UNNAMED) == []
    assert page.get_by_role("search", name="Filter of all results").is_visible()


@pytest.mark.parametrize("width", [390, 1000, 1440])
def test_the_list_fits_the_screen(page: Page, listed: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    results(page, listed, "#q=status%3Afailed")
    page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width == 390:
        rows = page.get_by_role("region", name="Rows of all results")
        assert rows.evaluate("(e) => e.scrollWidth - e.clientWidth") == 0


def test_the_list_says_without_a_script_that_it_needs_one(browser: Browser, listed: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(listed)
    assert page.get_by_text("This list needs JavaScript").is_visible()
    assert not page.get_by_label("Filter", exact=True).is_visible()
    table = page.get_by_role("region", name="Arguments by implementation")
    assert table.get_by_role("link", name="31 of 33 failed").is_visible()
    context.close()


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_the_matrix_of_a_conforming_run_begins_on_the_first_screen(
    browser: Browser, tmp_path: Path, width: int, height: int
) -> None:
    known = next(f for f in samples.failing().findings if f.status is Status.EXPECTED_FAILURE)
    findings = [replace(known, reason=f"{known.reason} {n}. " * 9) for n in range(12)]
    keras = samples.conforming(findings=findings, passing={"mended": 3})
    report = samples.report(keras)
    lines = headline([keras], None, measures_keras=True, keras_installed=True)
    write_html(replace(report, headline=lines), tmp_path / "report.html")
    page = browser.new_page(viewport={"width": width, "height": height}, java_script_enabled=False)
    page.goto((tmp_path / "report.html").as_uri())
    box = page.locator("#matrix-title").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < height
    assert page.locator("#expected details.fold").get_by_text("mended").is_hidden()
    page.close()
