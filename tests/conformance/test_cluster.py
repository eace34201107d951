"""A campaign on a Dask cluster of several processes: the same report as here, whoever dies."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from programs import begun, decided, done, results, wait_until

from conformance import UsageError
from conformance.campaign import cluster
from conformance.campaign.findings import findings
from conformance.campaign.run import Settings, run
from conformance.campaign.session import Session
from conformance.campaign.summary import summary
from conformance.journals.fingerprint import versions
from conformance.journals.tally import Tally
from conformance.plan import Asked, Undrawn
from conformance.results import ImplementationResult
from conformance.targets import Target

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("default")  # those of Dask are not ours

EXAMPLES = 40


@pytest.fixture(scope="module")
def workers() -> Iterator[Any]:
    """A cluster of two processes without threads."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as local:
        yield local


def measured(name: str, **changes: Any) -> ImplementationResult:
    folder = changes.pop("folder", None)
    given: dict[str, Any] = {"examples": EXAMPLES, "jobs": 1, "witness": False} | changes
    settings = Settings(implementations=(Target(f"planted:{name}"),), **given)
    (result,) = run(settings, folder=folder).report.implementations
    return result


@pytest.fixture(scope="module")
def here() -> ImplementationResult:
    return measured("off_by_one")


def test_the_report_is_that_of_a_run_here(workers: Any, here: ImplementationResult):
    assert measured("off_by_one", cluster=workers.scheduler_address) == here


def test_crashes_and_refusals_are_those_of_a_run_here(workers: Any):
    for name in ("ends_the_process", "without_groups"):
        address = workers.scheduler_address
        assert measured(name, examples=12, cluster=address) == measured(name, examples=12)


def test_what_leaves_traces_has_a_process_of_its_own_there(workers: Any):
    name = "leaves_one_to_add_as_known"
    assert measured(name, cluster=workers.scheduler_address) == measured(name)


def test_workers_draw_what_is_not_drawn(workers: Any):
    def tallied(draw: bool, connection: cluster.Cluster | None) -> ImplementationResult:
        with Session() as session:
            team = session.team(Target("planted:off_by_one"))
            tally = Tally(team.start())
            batch = Undrawn(0, Asked.of(tally.info), number=3, at=101, end=130)
            steps = batch.drawn() if draw else iter([batch])
            list(session.try_all(team, lambda info: steps, tally, cluster=connection))
            return summary(tally, findings(tally, None))

    connection = cluster.Cluster(workers.scheduler_address)
    try:
        drawn_there = tallied(False, connection)
    finally:
        connection.close()
    assert drawn_there.plan["parts"] == {"free": 30}
    assert drawn_there == tallied(True, None)


def test_what_a_killed_worker_had_is_run_by_another(
    workers: Any, here: ImplementationResult, tmp_path: Path
):
    with distributed.Client(workers, set_as_default=False) as client:
        pids = list(client.run(os.getpid).values())
    killed = threading.Event()

    def kill() -> None:
        while decided(tmp_path) < 20:
            time.sleep(0.02)
        os.kill(pids[0], signal.SIGKILL)
        killed.set()

    thread = threading.Thread(target=kill)
    thread.start()
    result = measured("off_by_one", cluster=workers.scheduler_address, folder=tmp_path)
    thread.join()
    assert killed.is_set()
    assert result == here


def test_who_began_it_is_killed_and_the_rest_is_done_here(workers: Any, tmp_path: Path):
    arguments = (
        *("run", "--impl", "planted:off_by_one", "--examples", str(EXAMPLES), "--no-witness"),
        *("--jobs", "1"),
    )
    on_cluster = ("--cluster", workers.scheduler_address, "--out", "out")
    with begun(*arguments, *on_cluster, cwd=tmp_path) as process:
        wait_until(lambda: decided(tmp_path / "out") > 15, process)
        process.kill()
    known = decided(tmp_path / "out")
    assert known > 15
    last = done(*arguments, "--resume", "--out", "out", cwd=tmp_path)
    assert last.returncode == 1
    (result,) = results(tmp_path / "out")["implementations"]
    assert (result["configurations"], result["interrupted"]) == (EXAMPLES, False)


def test_another_version_on_a_worker_is_refused(workers: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cluster, "versions", lambda: {**versions(), "numpy": "0.1"})
    with pytest.raises(UsageError, match=r"the worker tcp://\S+ of the cluster differs: numpy was"):
        measured("right", cluster=workers.scheduler_address)


def test_what_a_worker_cannot_measure_is_told(
    workers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "only_here.py").write_text("from reference_impl import conv2d\n")
    monkeypatch.syspath_prepend(tmp_path)
    settings = Settings(
        implementations=(Target("only_here:conv2d"),), examples=3, jobs=1, witness=False,
        cluster=workers.scheduler_address,
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"of the cluster cannot measure it: .*only_here"):
        run(settings)


def test_without_a_scheduler_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cluster, "REACHED", 1.0)
    for address in ("tcp://127.0.0.1:9", "no address"):
        with pytest.raises(UsageError, match="no Dask scheduler answers at"):
            measured("right", cluster=address)


def test_without_dask_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"pip install 'conv2d-conformance\[cluster\]'"):
        measured("right", cluster="tcp://127.0.0.1:9")
