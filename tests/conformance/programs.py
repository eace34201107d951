"""The command line in processes of its own, which can be killed."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from conformance.journals import journal

PATHS = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def begun(*arguments: str, cwd: Path, **given: Any) -> subprocess.Popen[str]:
    """``conv2d-conformance`` with these arguments, under way."""
    return subprocess.Popen(
        [sys.executable, "-m", "conformance", *arguments],
        cwd=cwd,
        env=PATHS | given.pop("env", {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **given,
    )


def done(*arguments: str, cwd: Path, **given: Any) -> subprocess.CompletedProcess[str]:
    """The same when it has ended."""
    with begun(*arguments, cwd=cwd, **given) as process:
        try:
            out, errors = process.communicate(timeout=300)
        finally:
            process.kill()
    return subprocess.CompletedProcess(arguments, process.returncode, out, errors)


def decided(folder: Path) -> int:
    """How many cases the journal there has, with their verdicts."""
    path = folder / journal.NAME
    if not path.exists():
        return 0
    try:
        with closing(sqlite3.connect(path)) as db:
            return int(db.execute("SELECT count(verdicts) FROM tried").fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # its tables are being made


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Until `condition` holds, or the process has ended."""
    limit = time.monotonic() + 120
    while process.poll() is None and not condition():
        assert time.monotonic() < limit
        time.sleep(0.03)


def results(folder: Path) -> Any:
    """The results there, without what may differ between equal runs."""
    content = json.loads((folder / "results.json").read_text("utf-8"))
    del content["run"]
    return content
