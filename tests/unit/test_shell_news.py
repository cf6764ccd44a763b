"""Which jobs are put in line when something is heard."""

from typing import Any

import pytest

from odp_dask_operator.shell.line import Key, Lane
from odp_dask_operator.shell.news import News
from odp_dask_operator.shell.queue import Queue
from odp_dask_operator.shell.world import World

Raw = dict[str, Any]


def thing(kind: str, name: str, version: int, **more: Any) -> Raw:
    labels = {} if kind.startswith("OdpDask") else {"odpdask.dev/job": "sst"}
    meta = {"namespace": "ocean", "name": name, "uid": f"uid-{kind}-{name}", "resourceVersion": str(version), "labels": labels}
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, **more}


class Told(Queue):
    """Keeps what it is told, until it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self._told: list[str] = []

    def hear(self, key: Key, lane: Lane) -> None:
        self._told.append(f"{lane.value} {key.name}")

    def add(self, key: Key, lane: Lane, *, first: bool = False) -> None:
        assert not first
        self._told.append(f"now {lane.value} {key.name}")

    @property
    def told(self) -> list[str]:
        told, self._told = self._told, []
        return told


class Scene:
    """What is heard, and what the queue is told of it."""

    def __init__(self) -> None:
        self.wanted, self.queue = True, Told()
        self.news = News(World(), self.queue, wanted=lambda: self.wanted)

    def hears(self, kind: str, name: str, version: int, *, gone: bool = False, **more: Any) -> list[str]:
        self.news.heard(thing(kind, name, version, **more), gone)
        return self.queue.told


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_news_of_a_job_say_how_far_it_is(scene: Scene) -> None:
    assert scene.hears("Pod", "p", 1) == [], "of a job that nobody knows yet"
    assert scene.hears("OdpDaskJob", "sst", 2) == ["new sst"]
    assert scene.hears("OdpDaskJob", "sst", 3, status={"runs": 1}) == ["begun sst"]
    assert scene.hears("Pod", "p", 4, status={"phase": "Running"}) == ["begun sst"]


def test_what_says_nothing_new_is_no_reason_to_look(scene: Scene) -> None:
    scene.hears("OdpDaskJob", "sst", 1)
    running = {"status": {"phase": "Running"}}
    assert scene.hears("Pod", "p", 3, **running) == ["new sst"]
    assert scene.hears("Pod", "p", 3, **running) == []
    assert scene.hears("Pod", "p", 4, spec={"nodeName": "a"}, **running) == []
    assert scene.hears("Pod", "p", 5, gone=True) == ["new sst"]


def test_a_preset_concerns_the_jobs_that_have_not_begun(scene: Scene) -> None:
    scene.hears("OdpDaskJob", "waits", 1)
    scene.hears("OdpDaskJob", "runs", 2, status={"runs": 1})
    assert scene.hears("OdpDaskPreset", "small", 3) == ["new waits"]


def test_a_job_that_is_gone_gets_a_last_look(scene: Scene) -> None:
    scene.hears("OdpDaskJob", "sst", 1, status={"runs": 1})
    assert scene.hears("OdpDaskJob", "sst", 2, gone=True) == ["new sst"]
    assert scene.news.lane(Key("ocean", "sst")) is None


def test_nothing_stands_in_line_before_all_is_known(scene: Scene) -> None:
    scene.wanted = False
    assert scene.hears("OdpDaskJob", "sst", 1) == []
    scene.news.look_at_all()
    assert scene.queue.told == []
    scene.wanted = True
    scene.news.look_at_all()
    assert scene.queue.told == ["now new sst"]
