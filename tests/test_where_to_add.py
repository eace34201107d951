"""Additions at the places that ARCHITECTURE names, and no others: each made in a copy, and run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RUN = ("run", "--examples", "4", "--jobs", "1", "--no-witness", "--out", "out")


class Copy:
    """A copy of the two packages, to be edited."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for package in ("conformance", "reference_impl"):
            shutil.copytree(
                ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
            )

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a piece of a file that stands there once."""
        file = self.folder / path
        text = file.read_text("utf-8")
        assert text.count(old) == 1, (path, old, text.count(old))
        file.write_text(text.replace(old, new), "utf-8")

    def add(self, path: str, text: str) -> None:
        """Append to a file, or begin one."""
        with (self.folder / path).open("a", encoding="utf-8") as file:
            file.write(text)

    def run(self, *arguments: str, code: int = 0) -> str:
        """What the command of the copy prints."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        done = subprocess.run(
            [sys.executable, "-P", "-m", "conformance", *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def result(self) -> dict[str, object]:
        """The record of the implementation that was run last."""
        content = json.loads((self.folder / "out" / "results.json").read_text("utf-8"))
        return content["implementations"][0]  # type: ignore[no-any-return]


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_a_check(copy: Copy):
    copy.add(
        "conformance/checks/values.py",
        "\n\n@check(after=TYPED)\ndef ordered_values(trial: Trial) -> None:\n"
        '    """The result is in C order."""\n'
        "    if not trial.output.flags.c_contiguous:\n"
        '        raise CheckFailure("returns another order")\n',
    )
    copy.edit(
        "conformance/checks/__init__.py",
        "        values.bounded_values,\n",
        "        values.bounded_values,\n        values.ordered_values,\n",
    )
    assert "ordered_values               The result is in C order." in copy.run("list")
    copy.run(*RUN, "--impl", "reference_impl:conv2d")
    assert copy.result()["checks"]["ordered_values"]["passed"] > 0  # type: ignore[index]
    page = (copy.folder / "out" / "report.html").read_text("utf-8")
    assert "The result is in C order." in page


def test_an_adapter(copy: Copy):
    copy.add(
        "conformance/adapters/twin.py",
        "import reference_impl\nfrom conformance.implementations.adapter import Adapter\n\n\n"
        "class Twin(Adapter):\n"
        '    """The reference function."""\n\n    name = "twin"\n'
        '    summary = "The reference once more."\n'
        "    conv2d = staticmethod(reference_impl.conv2d)\n",
    )
    copy.edit(
        "conformance/targets/shipped.py",
        '    "reference": ',
        '    "twin": "conformance.adapters.twin:Twin",\n    "reference": ',
    )
    assert "twin                         The reference once more." in copy.run("list")
    assert "twin conforms" in copy.run(*RUN, "--impl", "twin")


def test_a_fault(copy: Copy):
    copy.edit(
        "conformance/faults/channels.py",
        '    fault("bias_ignored",',
        '    fault("upside_down", "orientation", "reads the input upside down", "some/where#1", '
        'changed(x=lambda p: p.x[:, ::-1])),\n    fault("bias_ignored",',
    )
    copy.add(
        "wrong.py",
        "import reference_impl\n\n\ndef conv2d(x, kernel, bias=None, **given):\n"
        '    rows = 1 if given["data_format"] == "channels_last" else 2\n'
        "    flipped = x[:, ::-1] if rows == 1 else x[:, :, ::-1]\n"
        "    return reference_impl.conv2d(flipped, kernel, bias, **given)\n",
    )
    copy.run(*RUN, "--impl", "wrong:conv2d", code=1)
    named = {finding["diagnosis"] for finding in copy.result()["findings"]}  # type: ignore[attr-defined]
    assert "upside_down" in named


def test_an_axis(copy: Copy):
    """Without its levels, which would need the design to be made anew."""
    copy.edit(
        "conformance/axes.py",
        "AXES: tuple[Axis, ...] = (\n",
        "AXES: tuple[Axis, ...] = (\n"
        '    Axis(field="mood", pattern="mood\\\\.(calm|wild)", read=str,\n'
        '         write=lambda value: f"mood.{value}",\n'
        '         covered={"mood": lambda c: c.mood or "none"},\n'
        '         terms={"mood": Word(lambda c: c.mood or "none", ("none", "calm", "wild"))},\n'
        '         told={"mood": lambda c: c.mood}),\n',
    )
    copy.edit(
        "conformance/case.py",
        '    data: str = "integers"\n',
        '    mood: str | None = None\n    data: str = "integers"\n',
    )
    copy.edit(
        "conformance/case.py", "_NOT_OF_THE_LAYER = {\n", '_NOT_OF_THE_LAYER = {\n    "mood",\n'
    )
    case = "mood.wild-in1x4x4x1-f1-k2-integers.0"
    assert case in copy.run("replay", case, "--impl", "reference")
    copy.run(*RUN, "--impl", "reference")
    assert set(copy.result()["coverage"]["mood"]) == {"none"}  # type: ignore[index]
    copy.add(
        "expected.toml",
        '[[expected_failure]]\ncheck = "exact_values"\nreason = "moody"\n'
        'when = { mood = "wild" }\n',
    )
    assert "passed" not in [
        line.split()[0]
        for line in copy.run(
            "replay", case, "--impl", "reference", "--xfail", "expected.toml"
        ).splitlines()
        if "exact_values" in line
    ]


def test_a_section_of_the_report(copy: Copy):
    templates = "conformance/report/templates"
    copy.add(
        f"{templates}/seed.html.j2",
        '<section id="seed"><h2>Seed</h2><p>{{ report.settings.seed }}</p></section>\n',
    )
    copy.edit(
        f"{templates}/report.html.j2",
        '{% include "method.html.j2" %}',
        '{% include "seed.html.j2" %}\n{% include "method.html.j2" %}',
    )
    copy.edit(
        f"{templates}/contents.html.j2",
        '<li><a href="#method">',
        '<li><a href="#seed">Seed</a></li>\n<li><a href="#method">',
    )
    copy.run(*RUN, "--impl", "reference_impl:conv2d", "--seed", "7")
    page = (copy.folder / "out" / "report.html").read_text("utf-8")
    assert '<section id="seed"><h2>Seed</h2><p>7</p></section>' in page
