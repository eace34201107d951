"""One test for each implementation and check."""

from __future__ import annotations

import pytest

from conformance.api import Checking, checkings
from conformance.errors import UsageError
from conformance.pytest_plugin import conv2d_implementations
from conformance.targets import Target, refuse_unknown


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    config = metafunc.config
    try:
        targets = conv2d_implementations(config)
        for target in targets:
            if target.payload is None:
                refuse_unknown(target.name)
        made = checkings(
            targets,
            examples=config.getoption("--conv-examples"),
            seed=config.getoption("--conv-seed"),
            xfail=config.getoption("--conv-xfail"),
        )
    except UsageError as error:
        raise pytest.Collector.CollectError(str(error)) from None
    metafunc.parametrize(
        ("implementation", "check"),
        [(checking.target, checking) for checking in made],
        ids=list(map(str, made)),
    )


def test_conv2d(implementation: Target, check: Checking) -> None:
    """The check holds for the implementation on every drawn case."""
    check(implementation)
