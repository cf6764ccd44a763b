"""Partitions wait at the scheduler, not at a worker whose threads are busy; Dask keeps still meanwhile."""

import time

import dask
import distributed
import pytest

from odp_loader.scheduling import CALM_SETTINGS, SCHEDULER_ENVIRONMENT, SCHEDULER_SETTINGS

_DEADLINE_S = 120
_THREADS = 2
_PARTITIONS = 9
"""More than two for each thread of two workers: then Dask keeps tasks at the scheduler at all."""


@pytest.fixture
def client():
    with (
        dask.config.set(SCHEDULER_SETTINGS | CALM_SETTINGS),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=_THREADS, processes=False, dashboard_address=None, scheduler_port=0
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def test_a_worker_is_given_no_more_partitions_than_it_has_threads(client):
    def handed_out(dask_scheduler):
        return len(dask_scheduler.tasks), sorted(len(worker.processing) for worker in dask_scheduler.workers.values())

    def wait_for(name):
        distributed.Event(name).wait(_DEADLINE_S)

    keys = [f"odp-load-0-{index:05d}-0" for index in range(_PARTITIONS)]
    futures = client.map(wait_for, ["go"] * _PARTITIONS, key=keys, pure=False)
    end = time.monotonic() + _DEADLINE_S
    while (known := client.run_on_scheduler(handed_out))[0] < _PARTITIONS:
        assert time.monotonic() < end, known
        time.sleep(0.01)
    assert known[1] == [_THREADS, _THREADS]
    distributed.Event("go", client=client).set()
    distributed.wait(futures, timeout=_DEADLINE_S)


def test_event_loops_wake_up_no_more_often_than_they_are_told(client):
    def pauses_ms(server):
        return {name: server.periodic_callbacks[name].callback_time for name in ("tick", "monitor")}

    expected = {"tick": 500, "monitor": 2000}
    assert client.run_on_scheduler(lambda dask_scheduler: pauses_ms(dask_scheduler)) == expected
    assert list(client.run(lambda dask_worker: pauses_ms(dask_worker)).values()) == [expected, expected]


def test_the_environment_says_what_the_settings_say():
    from_environment = dask.config.collect_env(SCHEDULER_ENVIRONMENT)
    assert {name: dask.config.get(name, config=from_environment) for name in SCHEDULER_SETTINGS} == SCHEDULER_SETTINGS
