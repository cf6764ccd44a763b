"""A local cluster has the preset's size, clipped to the machine."""

import pytest

from odp_dask_operator.local.sizing import ClusterSize, Machine, describe_size, size_cluster
from odp_dask_operator.presets import BUILT_IN
from odp_dask_operator.spec import Workers

GIB = 2**30
BIG = Machine(cores=64, memory_bytes=256 * GIB)
LAPTOP = Machine(cores=2, memory_bytes=10 * GIB)
TINY = Machine(cores=1, memory_bytes=1 * GIB)


@pytest.mark.parametrize(
    ("preset", "workers", "machine", "size"),
    [
        ("small", None, BIG, ClusterSize(1, 4, 2 * GIB, in_process=True)),
        ("medium", None, BIG, ClusterSize(2, 8, 4 * GIB, in_process=False)),
        ("large", None, BIG, ClusterSize(4, 16, 8 * GIB, in_process=False)),
        ("large", None, LAPTOP, ClusterSize(2, 16, 4 * GIB, in_process=False)),
        ("medium", None, LAPTOP, ClusterSize(2, 8, 4 * GIB, in_process=False)),
        ("large", None, TINY, ClusterSize(1, 16, int(0.8 * GIB), in_process=False)),
        ("small", {"replicas": 3}, BIG, ClusterSize(3, 4, 2 * GIB, in_process=False)),
        ("small", {"replicas": 3}, TINY, ClusterSize(1, 4, int(0.8 * GIB), in_process=False)),
        ("medium", {"minimum": 2, "maximum": 12}, BIG, ClusterSize(12, 8, 4 * GIB, in_process=False)),
        ("medium", {"replicas": 100}, BIG, ClusterSize(20, 8, 4 * GIB, in_process=False)),
    ],
)
def test_workers_and_memory_are_clipped_and_threads_kept(
    preset: str, workers: dict[str, int] | None, machine: Machine, size: ClusterSize
) -> None:
    asked = Workers.model_validate(workers) if workers else None
    assert size_cluster(BUILT_IN[preset], workers=asked, machine=machine) == size


def test_a_script_never_runs_beside_its_workers_in_one_process() -> None:
    assert not size_cluster(BUILT_IN["small"], workers=None, machine=BIG, script=True).in_process


@pytest.mark.parametrize(
    ("preset", "machine", "line"),
    [
        ("small", BIG, "small: 1 worker with 4 threads and 2 GiB, in this process"),
        ("medium", BIG, "medium: 2 workers with 8 threads and 4 GiB each"),
        (
            "large",
            LAPTOP,
            "large asks for 4 workers with 8 GiB; this machine has 2 cores and 10 GiB: 2 workers with 16 threads and 4 GiB each",
        ),
        (
            "large",
            TINY,
            "large asks for 4 workers with 8 GiB; this machine has 1 core and 1 GiB: 1 worker with 16 threads and 0.8 GiB",
        ),
    ],
)
def test_one_line_says_what_was_asked_for_and_what_came_of_it(preset: str, machine: Machine, line: str) -> None:
    size = size_cluster(BUILT_IN[preset], workers=None, machine=machine)
    assert describe_size(size, BUILT_IN[preset], workers=None, machine=machine) == line
