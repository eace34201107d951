"""What several test files share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conformance.processes.limits import Limits
from conformance.processes.worker import Worker


@pytest.fixture(scope="session")
def keras_worker() -> Iterator[Worker]:
    """Real Keras in a process of its own; starting it costs seconds, so there is one for all."""
    worker = Worker("keras-tensorflow", Limits(case=60))
    yield worker
    worker.stop()
