"""The pictures of the README, taken with Chromium: `python tools/pictures.py`.

`reports/published/report.html` must be there, and `reports/mylib/report.html`, the report on the
five lines of the README: `conv2d-conformance run --impl mylib:conv2d --out reports/mylib`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[1]
# Picture -> the report, what is shown of it, and how many pixels of that.
PICTURES = {
    "report.png": ("mylib", "article.card", 690),
    "compatibility.png": ("published", "#verdict", 900),
}


def take(browser: Browser, name: str, report: str, selector: str, height: int) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 1000})
    page.goto((ROOT / "reports" / report / "report.html").as_uri())
    box = page.locator(selector).first.bounding_box()
    assert box is not None
    clip = {"x": box["x"] - 12, "y": box["y"] - 12, "width": box["width"] + 24, "height": height}
    page.screenshot(path=ROOT / "docs" / name, clip=clip, full_page=True)
    page.close()


with sync_playwright() as playwright:
    chromium = playwright.chromium.launch(
        executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
    )
    for picture, shown in PICTURES.items():
        take(chromium, picture, *shown)
    chromium.close()
