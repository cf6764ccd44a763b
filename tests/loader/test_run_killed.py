"""Pull the plug at any moment: the same command goes on, reads only what is missing, and ends with the table."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import distributed
import pyarrow.parquet as pq
import pytest

from odp_loader import publish
from odp_loader.errors import InvalidLoad, LoadError, OutputExists
from odp_loader.run import run_load
from odp_loader.spec import Load
from tests.support.apiserver import until
from tests.support.loads import load_of, rows_of, same_rows
from tests.support.odp_server import OdpServer

COADS = Path(__file__).parent.parent / "data" / "coads.parquet"
CHILD = Path(__file__).parent.parent / "support" / "run_child.py"
KEYS = ("time", "lat", "lon")
DEADLINE_S = 120


def slow_load(server: OdpServer, url: Path) -> Load:
    server.settings(bytes_per_s=2_500_000)  # a partition takes about a third of a second
    source = {"odp": {"dataset": server.table_id("coads"), "baseURL": server.url, "streams": 2}}
    return load_of(source, url, partitions={"targetBytes": "1Mi"})


def whole(url: Path) -> bool:
    return same_rows(rows_of(url, *KEYS), pq.read_table(COADS).sort_by([(key, "ascending") for key in KEYS]))


def start(load: Load, folder: Path) -> subprocess.Popen[str]:
    job = folder / "load.json"
    job.write_text(load.model_dump_json(by_alias=True))
    return subprocess.Popen([sys.executable, str(CHILD), str(job)], stdout=subprocess.PIPE, env=os.environ, text=True)


def kill_when(condition: Callable[[], bool], child: subprocess.Popen[str]) -> None:
    end = time.monotonic() + DEADLINE_S
    with child:
        while not condition():
            assert child.poll() is None, "it ended before the moment came"
            assert time.monotonic() < end, "the moment never came"
            time.sleep(0.005)
        child.kill()


def receipts(url: Path) -> set[str]:
    return {path.name for path in url.glob("receipts/*/*.json")}


def partitions_read(server: OdpServer) -> int:
    """Selects of a partition; the preview of the whole table is none."""
    return sum(1 for each in server.counters()["selects"]["each"] if each["query"])


@pytest.mark.parametrize("at", ["the plan", "the first file", "half of the receipts"])
def test_a_killed_process_is_continued_and_only_what_is_missing_is_read(server: OdpServer, tmp_path: Path, at: str):
    url = tmp_path / "out"
    load = slow_load(server, url)
    moments: dict[str, Callable[[], bool]] = {
        "the plan": (url / "plan.json").exists,
        "the first file": lambda: any(url.glob("tmp/*/work/*/*.parquet")),
        "half of the receipts": lambda: len(receipts(url)) >= 6,
    }
    kill_when(moments[at], start(load, tmp_path))
    assert not (url / "data").exists()
    assert not (url / "manifest.json").exists()
    kept = receipts(url)
    server.reset()
    with start(load, tmp_path) as second:
        out, _ = second.communicate(timeout=DEADLINE_S)
    assert second.returncode == 0
    counts = json.loads(out)
    assert counts["resumed"] == len(kept)
    assert partitions_read(server) == counts["partitions"] - len(kept)
    assert whole(url)
    assert not (url / "tmp").exists()


@pytest.mark.parametrize("stop_before", ["rename", "write_manifest", "tidy"])
def test_a_run_stopped_while_publishing_is_finished_by_the_next(
    server: OdpServer, client: distributed.Client, tmp_path: Path, stop_before: str, monkeypatch: pytest.MonkeyPatch
):
    """Between any two steps of publication, over an older dataset that is being replaced."""
    run_load(load_of({"synthetic": {"rows": 1000}}, tmp_path), client)
    source = {"odp": {"dataset": server.table_id("coads"), "baseURL": server.url}}
    load = load_of(source, tmp_path, sink_ifExists="Overwrite")

    class Unplugged(BaseException):
        pass

    def unplug(*_: object, **__: object) -> None:
        raise Unplugged

    with monkeypatch.context() as patch:
        if stop_before == "rename":
            patch.setattr(publish, "_delete_all_but", unplug)
        elif stop_before == "write_manifest":
            patch.setattr(publish, "encode", unplug)
        else:
            patch.setattr(publish, "tidy", unplug)
        with pytest.raises(Unplugged):
            run_load(load, client)
    server.reset()
    result = run_load(load_of(source, tmp_path) if stop_before == "tidy" else load, client)
    assert partitions_read(server) == 0, "everything was there already"
    assert result.rows_written == 194400
    assert whole(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"data", "manifest.json", "plan.json", "receipts"}


def test_twice_the_same_load_at_once_is_refused(server: OdpServer, client: distributed.Client, tmp_path: Path):
    url = tmp_path / "out"
    load = slow_load(server, url)
    with start(load, tmp_path) as first:
        try:
            end = time.monotonic() + DEADLINE_S
            while not receipts(url):
                assert time.monotonic() < end
                time.sleep(0.01)
            with pytest.raises(OutputExists, match="another process that runs this same load"):
                run_load(load, client)
            first.communicate(timeout=DEADLINE_S)
        finally:
            first.kill()
    assert first.returncode == 0
    assert whole(url)


def test_an_output_that_another_load_takes_over_is_not_published(server: OdpServer, client: distributed.Client, tmp_path: Path):
    url = tmp_path / "out"
    with start(slow_load(server, url), tmp_path) as first:
        end = time.monotonic() + DEADLINE_S
        while not receipts(url):
            assert time.monotonic() < end
            time.sleep(0.01)
        run_load(load_of({"synthetic": {"rows": 1000}}, url, sink_ifExists="Overwrite"), client)
        first.communicate(timeout=DEADLINE_S)
    assert first.returncode != 0
    assert rows_of(url).num_rows == 1000


def test_a_file_in_the_place_of_the_output_is_named(client: distributed.Client, tmp_path: Path):
    (tmp_path / "sst").write_text("notes")
    with pytest.raises(InvalidLoad, match=r"/sst/tmp"):
        run_load(load_of({"synthetic": {"rows": 10}}, tmp_path / "sst"), client)
    assert (tmp_path / "sst").read_text() == "notes"


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs root on Linux, to mount a file system read-only")
def test_a_folder_that_cannot_be_written_to_is_named(client: distributed.Client, tmp_path: Path):
    fixed = tmp_path / "fixed"
    fixed.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(fixed)], check=True)
    try:
        with pytest.raises(InvalidLoad, match="/fixed/out/tmp"):
            run_load(load_of({"synthetic": {"rows": 10}}, fixed / "out"), client)
    finally:
        subprocess.run(["umount", str(fixed)], check=True)


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs root on Linux, to mount a small tmpfs")
def test_a_full_disk_ends_the_load_with_its_name_and_the_next_run_goes_on(client: distributed.Client, tmp_path: Path):
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)], check=True)
    try:
        load = load_of({"synthetic": {"rows": 400_000}}, small / "out")
        with pytest.raises(LoadError, match=r"(?i)full|no space") as failure:
            run_load(load, client)
        assert failure.value.retryable
        assert not (small / "out" / "data").exists()
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        assert run_load(load, client).rows_written == 400_000
    finally:
        # The thread of a partition that was cancelled may be about to close its file.
        until(lambda: subprocess.run(["umount", str(small)], check=False).returncode == 0, "nothing there is in use", pause_s=0.2)
