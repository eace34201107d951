"""pytest options of the suite. Imports the standard library and pytest alone until it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conformance.campaign.pool import WorkerProcess

DEFAULT_EXAMPLES = 100
_workers = pytest.StashKey["dict[str, WorkerProcess]"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conv2d-conformance")
    group.addoption(
        "--conv-impl",
        action="append",
        default=[],
        metavar="NAME|module:attr",
        help="implementation that conformance.suite measures; repeatable",
    )
    group.addoption(
        "--conv-examples",
        type=int,
        default=DEFAULT_EXAMPLES,
        metavar="N",
        help=f"layer configurations for each check (default: {DEFAULT_EXAMPLES})",
    )
    group.addoption(
        "--conv-seed", type=int, default=0, metavar="N", help="what cases are drawn from"
    )
    parser.addini("conv_impl", "implementations that conformance.suite measures", type="linelist")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--conv-examples") < 1:
        raise pytest.UsageError("--conv-examples must be at least 1")
    if config.getoption("--conv-seed") < 0:
        raise pytest.UsageError("--conv-seed must not be negative")
    names = config.getoption("--conv-impl")
    if not names or hasattr(config, "workerinput"):  # the controller has looked already
        return
    from conformance.campaign.pool import WorkerProcess
    from conformance.errors import UsageError
    from conformance.implementations import BUILT_IN

    duplicates = [name for name in names if names.count(name) > 1]
    if duplicates:
        raise pytest.UsageError(f"--conv-impl {duplicates[0]} is given twice")
    for name in names:
        if name not in BUILT_IN:
            probe = WorkerProcess(name, case_limit=1)
            try:
                probe.start()
            except UsageError as error:
                raise pytest.UsageError(str(error)) from None
            finally:
                probe.stop()


def conv2d_implementations(config: pytest.Config) -> list[str]:
    """The names to measure: of the command line, else of the ini file, else real Keras."""
    return config.getoption("--conv-impl") or config.getini("conv_impl") or ["keras-tensorflow"]


def conv2d_worker(config: pytest.Config, name: str, case_limit: float) -> WorkerProcess:
    """The process that runs `name`, shared by the tests of this pytest process."""
    from conformance.campaign.pool import WorkerProcess

    workers = config.stash.setdefault(_workers, {})
    if name not in workers:
        workers[name] = WorkerProcess(name, case_limit)
    return workers[name]


def pytest_unconfigure(config: pytest.Config) -> None:
    for worker in config.stash.get(_workers, {}).values():
        worker.abort()
