"""The documents run: each block of README, validate.md and reference.md does what it says.

A heading is a scenario with a folder of its own. In it a block with a title is a file; the lines of
a block in sh, and a block in python without a title, are run; and a block without a language right
after them is what they print. There numbers may differ, and "..." stands for lines left out.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field, fields
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.main import get_command

from conformance.capabilities import Capabilities
from conformance.cli import app

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
VALIDATE = ROOT / "docs" / "validate.md"
REFERENCE = ROOT / "docs" / "reference.md"
CAMPAIGNS = ROOT / "docs" / "long-campaigns.md"
README = ROOT / "README.md"
PLUGIN = (
    []
    if any(e.value == "conformance.pytest_plugin" for e in entry_points(group="pytest11"))
    else ["-p", "conformance.pytest_plugin"]
)
# What needs a network, or is what tests run in.
NOT_RUN = re.compile(r"pip install|python3 -m venv|tox run|#")
EXAMPLES_OF_RUN = 20
EXAMPLES_OF_TEST = 5
_BLOCK = re.compile(r"^```(\w*) ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]\d+)?")


@dataclass
class Block:
    """A fenced block: its language, the words after it, its lines, and what it prints."""

    language: str
    words: dict[str, str]
    text: str
    printed: str = ""


@dataclass
class Scenario:
    """What stands under one heading."""

    page: str
    heading: str
    blocks: list[Block] = field(default_factory=list)

    @property
    def runs(self) -> bool:
        return any(b.language == "sh" or _is_script(b) for b in self.blocks)

    def __str__(self) -> str:
        return f"{self.page}: {self.heading}"


def _is_script(block: Block) -> bool:
    return block.language == "python" and "title" not in block.words


def scenarios(path: Path) -> list[Scenario]:
    """The parts of a page, each with its blocks."""
    found = []
    text = path.read_text("utf-8")
    code = [match.span() for match in _BLOCK.finditer(text)]
    starts = [
        match
        for match in re.finditer(r"^##+ (.*)$", text, re.MULTILINE)
        if not any(a <= match.start() < b for a, b in code)
    ]
    for start, end in zip(starts, [*(m.start() for m in starts[1:]), len(text)], strict=True):
        scenario = Scenario(path.name, start[1])
        body, at = text[start.end() : end], 0
        for match in _BLOCK.finditer(body):
            language, words, content = match.groups()
            block = Block(language, dict(re.findall(r'(\w+)="(.*?)"', words)), content)
            follows = not body[at : match.start()].strip() and scenario.blocks
            at = match.end()
            if not language and follows:
                scenario.blocks[-1].printed = content
            else:
                scenario.blocks.append(block)
        found.append(scenario)
    return found


PAGES = [*scenarios(README), *scenarios(VALIDATE), *scenarios(REFERENCE)]


def files(page: str) -> dict[str, str]:
    """The files of a page; of several of one name the last."""
    return {
        block.words["title"]: block.text
        for scenario in PAGES
        if scenario.page == page
        for block in scenario.blocks
        if "title" in block.words
    }


FILES = files("validate.md")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the examples and every module of the pages."""
    for path in EXAMPLES.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    for name, text in FILES.items():
        if name.endswith(".py") and name != "conftest.py":
            (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


@pytest.mark.parametrize("scenario", [s for s in PAGES if s.runs], ids=str)
def test_a_page_does_what_it_says(
    scenario: Scenario, folder: Path, tmp_path_factory: pytest.TempPathFactory
):
    # Real Keras would be asked in every run, which costs seconds; other tests do that.
    hidden = tmp_path_factory.mktemp("hidden")
    (hidden / "sitecustomize.py").write_text(
        "import sys\nsys.modules.update(keras=None, tensorflow=None)\n", "utf-8"
    )
    path = [hidden, ROOT, *filter(None, sys.path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path)), "COLUMNS": "80"}
    session: list[Block] = []
    for block in scenario.blocks:
        if find_spec(block.words.get("needs", "sys")) is None:
            continue
        if "title" in block.words:
            (folder / block.words["title"]).write_text(block.text, "utf-8")
        elif block.language == "sh":
            lines = block.text.strip().splitlines()
            printed = "".join(run(line, folder, environment) for line in lines)
            assert_printed(block.printed, printed)
        elif _is_script(block):
            session.append(block)
    for block, printed in zip(session, script(session, folder, environment), strict=True):
        assert_printed(block.printed, printed)


def run(line: str, folder: Path, environment: dict[str, str]) -> str:
    """What a line of a block prints, with fewer examples than it would make."""
    command, _, note = line.partition("  # ")
    if NOT_RUN.match(command):
        if command == "pip install .":
            install(folder)
        return ""
    wanted = int(note.removeprefix("exit code ")) if note.startswith("exit code") else 0
    program, _, rest = command.partition(" ")
    python = f'"{sys.executable}" -m'
    if program == "cc" and shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    elif program == "pytest":
        more = " ".join([*PLUGIN, "-p", "no:cacheprovider", f"--conv-examples {EXAMPLES_OF_TEST}"])
        command = f"{python} pytest {more} {rest}"
    elif program == "conv2d-conformance":
        draws, measures = ("run", "vectors export"), ("run", "vectors verify")
        command = f"{python} conformance {rest}"
        command += f" --examples {EXAMPLES_OF_RUN}" * rest.startswith(draws)
        command += " --jobs 1" * rest.startswith(measures)
    else:
        assert program in ("cc", "cd", "./conv2d"), f"nobody runs this line: {line}"
    if program == "cd":
        assert (ROOT / rest).is_dir()
        return ""
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == wanted, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


def script(blocks: list[Block], folder: Path, environment: dict[str, str]) -> list[str]:
    """What each of the blocks prints in a Python that is given all of them, as a notebook would."""
    if not blocks:
        return []
    end = "-- end of block --\n"
    text = "".join(f"{block.text}\nprint({end!r}, end='')\n" for block in blocks)
    done = subprocess.run(
        [sys.executable, "-"],
        input=re.sub(r"examples=\d+", f"examples={EXAMPLES_OF_TEST}", text),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split(end)[:-1]


def install(folder: Path) -> None:
    """What ``pip install .`` leaves behind, as far as it matters here."""
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(head, "utf-8")
    lines = []
    for group, names in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in names.items())]
    (info / "entry_points.txt").write_text("\n".join(lines), "utf-8")


def assert_printed(wanted: str, printed: str) -> None:
    """Every stretch of `wanted` stands in `printed`, one after the other."""
    got = [_plain(line) for line in printed.splitlines()]
    at = 0
    for stretch in re.split(r"^\.\.\.$", wanted.strip(), flags=re.MULTILINE):
        lines = [_plain(line) for line in stretch.strip("\n").splitlines()]
        places = [i for i in range(at, len(got) + 1) if got[i : i + len(lines)] == lines]
        assert places, f"{stretch}\nis not printed; this is:\n{printed}"
        at = places[0] + len(lines)


def _plain(line: str) -> str:
    """A line without what may differ: numbers, their plurals, the width of columns, the extent."""
    line = re.sub(r" on \S+ .* of what it claims", "", line)
    line = re.sub(r"\s+", " ", _NUMBER.sub("0", line)).strip()
    return re.sub(r"\b0 (\w+?)s\b", r"0 \1", line)


@pytest.mark.parametrize("name", sorted(p.name for p in EXAMPLES.glob("*.py")))
def test_the_examples_are_those_of_the_page(name: str):
    assert FILES[name] == (EXAMPLES / name).read_text("utf-8")


@pytest.mark.parametrize("page", ["README.md", "reference.md"])
def test_the_files_of_other_pages_are_those_of_the_page(page: str):
    assert files(page).items() <= FILES.items()


def test_the_table_of_capabilities_is_complete():
    (table,) = re.findall(r"\| field \| default .*?\n\n", VALIDATE.read_text("utf-8"), re.DOTALL)
    named = re.findall(r"^\| `(\w+)`", table, re.MULTILINE)
    assert named == [f.name for f in fields(Capabilities)]


@pytest.mark.parametrize(
    "path",
    [README, VALIDATE, REFERENCE, CAMPAIGNS, *sorted(ROOT.glob("[AC]*.md"))],
    ids=lambda p: p.name,
)
def test_options_and_links_lead_somewhere(path: Path):
    text = path.read_text("utf-8")
    known = _options()
    for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*", text):
        assert option in known, option
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


def _options() -> set[str]:
    """The options of the commands and of the plugin, and of pytest and tools that are named."""
    found = {
        "--pyargs",
        "--no-build-isolation",
        "--recreate",
        "--strict",
        "--nworkers",
        "--nthreads",
    }
    commands = [get_command(app)]
    while commands:
        command = commands.pop()
        commands += getattr(command, "commands", {}).values()
        for parameter in command.params:
            found |= {*parameter.opts, *parameter.secondary_opts}
    plugin = (ROOT / "conformance" / "pytest_plugin.py").read_text("utf-8")
    return found | set(re.findall(r'"(--conv-\w+)"', plugin))


def _anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}
