"""A scheduler that is there already must run the same software where it matters."""

from odp_dask_operator.local.scheduler import mismatches

HERE = {
    "python": "3.11.9.final.0", "odp-loader": "0.1.0", "dask": "2026.8.0", "distributed": "2026.8.0", "cloudpickle": "3.1",
    "msgpack": "1.1", "pyarrow": "18.1.0", "odp-sdk": "0.28.10",
}  # fmt: skip
BARE = {**HERE, "odp-loader": None, "pyarrow": None, "odp-sdk": None}


def test_equal_software_is_fine_and_the_scheduler_needs_no_loader() -> None:
    assert mismatches(client=HERE, scheduler=BARE, workers={"a": HERE, "b": {**HERE, "python": "3.11.2.final.0"}}) == []


def test_each_difference_is_one_line_with_its_cure() -> None:
    worker = {**HERE, "python": "3.12.1.final.0", "odp-loader": None, "pyarrow": "19.0.0"}
    assert mismatches(client=HERE, scheduler={**BARE, "dask": "2025.1.0"}, workers={"a": worker, "b": HERE}) == [
        "python: this machine has 3.11, workers have 3.11, 3.12; use the same Python on both sides",
        "odp-loader: this machine has 0.1.0, workers have 0.1.0, none;"
        " install the same odp-loader in the image of its workers, or start them from the odp-loader image",
        "dask: this machine has 2026.8.0, the scheduler has 2025.1.0; install dask==2026.8.0 there, or theirs here",
        "pyarrow: this machine has 18.1.0, workers have 18.1.0, 19.0.0; install pyarrow==18.1.0 there, or theirs here",
    ]
