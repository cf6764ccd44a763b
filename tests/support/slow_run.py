"""`odp-dask` with a load that never ends, not even when it is interrupted."""

import threading
import time
from typing import Any

from odp_dask_operator.cli import main
from odp_dask_operator.local import run
from odp_loader.progress import Observer, Progress, Stage


def _wait(number: int) -> int:
    time.sleep(3600)
    return number


def _endless(load: Any, client: Any, *, observer: Observer) -> None:
    tasks = client.map(_wait, range(8), pure=False)
    try:
        observer.progress(Progress(stage=Stage.LOADING, partitions_done=3, partitions_total=8))
        observer.note("waiting")
        client.gather(tasks)
    except KeyboardInterrupt:
        observer.note("first interrupt")
        threading.Event().wait()


if __name__ == "__main__":
    run.run_load = _endless  # type: ignore[assignment]
    main()
