"""What several test files share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conformance.campaign.pool import WorkerProcess


@pytest.fixture(scope="session")
def keras_worker() -> Iterator[WorkerProcess]:
    """Real Keras in a process of its own; starting it costs seconds, so there is one for all."""
    worker = WorkerProcess("keras-tensorflow", 60)
    yield worker
    worker.stop()
