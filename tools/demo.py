"""Loads a real ocean table with manifests/examples/quickstart.yaml from an ODP-compatible server, and reads the result back.

The server, the load and everything they start are gone when this ends. What stays is .demo/, made anew each time.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
JOB = "manifests/examples/quickstart.yaml"
TABLE = "tests/data/coads.parquet"
OUTPUT = ".demo/sst"
ENVIRONMENT = {**os.environ, "ODP_API_KEY": "demo"}


def main(output: str = OUTPUT) -> int:
    """Returns the exit status of the load; the dataset is in the folder `output` then."""
    shutil.rmtree(ROOT / output, ignore_errors=True)
    with odp_server() as url:
        print(f"An ODP-compatible server has the COADS climatology: 194 400 rows of real ocean data, at {url}\n")
        status = load(url, output)
    if status == 0:
        show(output)
    return status


@contextmanager
def odp_server() -> Iterator[str]:
    """The address of a server on a free port; it stops when its standard input closes, however this process ends."""
    command = [sys.executable, "-m", "odp_server", TABLE, "--port", "0", "--output", "json", "--exit-on-eof"]
    with subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield json.loads(server.stdout.readline())["url"]
        finally:
            server.stdin.close()


def load(url: str, output: str) -> int:
    """The job as a user would apply it. Of this machine is where it reads and writes, and partitions small enough to be several."""
    settings = (f"source.odp.baseURL={url}", f"sink.parquet.url={output}", "partitions.targetBytes=1Mi")
    command = ["odp-dask", "run", JOB, *(word for setting in settings for word in ("--set", f"spec.load.{setting}"))]
    print(f"$ {shlex.join(command)}", flush=True)
    program = Path(sys.executable).with_name(command[0])
    with subprocess.Popen([program, *command[1:]], cwd=ROOT, env=ENVIRONMENT) as child:
        while True:
            try:
                return child.wait()
            except KeyboardInterrupt:  # it was meant for the load as well, which says what is kept
                continue


def show(output: str) -> None:
    """What anybody would do with the result."""
    import dask
    import dask.dataframe as dd

    os.chdir(ROOT)
    folder = f"{output}/data"
    print(f'\n>>> import dask.dataframe as dd\n>>> ocean = dd.read_parquet("{folder}")\n>>> ocean.head(npartitions=-1)')
    with dask.config.set(scheduler="threads"):
        ocean = dd.read_parquet(folder)
        print(ocean.head(npartitions=-1).to_string())
        print('\n>>> ocean.groupby("month").sst.mean().compute().round(2)')
        print(ocean.groupby("month").sst.mean().compute().round(2).sort_index().to_string())
    print(f"\nThe dataset is in {ROOT / output}: data/ is the table, manifest.json proves it.")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
