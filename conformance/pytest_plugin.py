"""pytest options of the suite. Imports the standard library and pytest alone until it is used."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conformance.targets import Target


class Hooks:
    """What a conftest.py can add to."""

    def pytest_conv2d_implementations(self, config: pytest.Config) -> Any:
        """Return a list of implementations that conformance.suite measures.

        Names as for ``--conv-impl``, functions, layer classes, or `conformance.Implementation`
        objects or classes. Those of every conftest.py and plugin are taken, unless ``--conv-impl``
        names others.
        """


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(Hooks)


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
        default=None,
        metavar="N",
        help="layer configurations for each check (default: all popular layers and pairs)",
    )
    group.addoption(
        "--conv-seed", type=int, default=0, metavar="N", help="what cases are drawn from"
    )
    group.addoption("--conv-xfail", default=None, metavar="FILE", help="expected failures, as TOML")
    parser.addini("conv_impl", "implementations that conformance.suite measures", type="linelist")


def pytest_configure(config: pytest.Config) -> None:
    examples = config.getoption("--conv-examples")
    if examples is not None and examples < 1:
        raise pytest.UsageError("--conv-examples must be at least 1")
    if config.getoption("--conv-seed") < 0:
        raise pytest.UsageError("--conv-seed must not be negative")
    names = config.getoption("--conv-impl")
    if not names or hasattr(config, "workerinput"):  # the controller has looked already
        return
    from conformance.errors import UsageError
    from conformance.processes.process import ObserverProcess
    from conformance.targets import ADAPTERS, refuse_unknown

    duplicates = [name for name in names if names.count(name) > 1]
    if duplicates:
        raise pytest.UsageError(f"--conv-impl {duplicates[0]} is given twice")
    for name in names:
        probe = ObserverProcess(name)
        try:
            refuse_unknown(name)
            if name not in ADAPTERS:
                probe.start()
        except UsageError as error:
            raise pytest.UsageError(str(error)) from None
        finally:
            probe.stop()


def conv2d_implementations(config: pytest.Config) -> list[Target]:
    """Who is measured: those of the command line, else of the ini file and the hook, else Keras.

    Raises:
        conformance.UsageError: something cannot be measured.
    """
    from conformance.targets import target_of

    given: list[Any] = config.getoption("--conv-impl")
    if not given:
        hooked = config.hook.pytest_conv2d_implementations(config=config)
        given = list(config.getini("conv_impl"))
        for returned in hooked:
            given += returned if isinstance(returned, list | tuple) else [returned]
    return [target_of(one) for one in given or ["keras-tensorflow"]]


def pytest_unconfigure(config: pytest.Config) -> None:
    used = sys.modules.get("conformance.campaign.single")
    if used is not None:
        used.close_all()
