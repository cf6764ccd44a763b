"""Connects to a Dask scheduler that is there already, and checks that a load can run on it."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import distributed

from odp_dask_operator.local.cluster import quiet
from odp_loader.errors import InvalidLoad, LoadError
from odp_loader.scheduler import greet

_CONNECT_S = 10.0
_WORKER_S = 60.0
_EQUAL = ("odp-loader", "dask", "distributed", "cloudpickle", "msgpack")
"""Packages whose objects or protocol travel between client, scheduler and workers."""
_EQUAL_ON_WORKERS = ("pyarrow", "odp-sdk")
"""Packages that decide what the files look like; the scheduler needs none of them."""

Versions = Mapping[str, str | None]


@contextmanager
def remote_cluster(address: str, *, script: bool, verbose: bool) -> Iterator[distributed.Client]:
    """A client of the scheduler at `address`, checked. TLS comes from Dask's own configuration (`distributed.comm.tls`).

    Raises LoadError when it does not answer or has no workers, InvalidLoad when its software does not fit.
    """
    with quiet(not verbose):
        client = _connect(address)
        with client:
            _await_worker(client, address)
            found: Any = client.get_versions(packages=["odp-loader", "pyarrow", "odp-sdk"])
            problems = (
                []
                if script
                else mismatches(
                    client=found["client"]["packages"],
                    scheduler=found["scheduler"]["packages"],
                    workers={name: info["packages"] for name, info in found["workers"].items()},
                )
            )
            if problems:
                raise InvalidLoad(f"the cluster at {address} cannot run this load:\n" + "\n".join(f"  {line}" for line in problems))
            yield client


def _connect(address: str) -> distributed.Client:
    try:
        greet(address, patience_s=_CONNECT_S)
        return distributed.Client(address, timeout=_CONNECT_S)
    except (TypeError, ValueError) as error:  # what distributed raises for an unknown protocol, and for TLS without certificates
        hint = (
            "; set DASK_DISTRIBUTED__COMM__TLS__CA_FILE and ...__CLIENT__CERT, ...__CLIENT__KEY"
            if address.startswith("tls")
            else ""
        )
        raise InvalidLoad(f"--scheduler {address}: {error}{hint}") from None
    except OSError as error:
        cause = str(error).splitlines()[0]
        raise LoadError(
            f"the scheduler at {address} does not answer within {_CONNECT_S:.0f} s ({cause}); is the address right, and tls:// or tcp://?"
        ) from None


def _await_worker(client: distributed.Client, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=_WORKER_S)
    except TimeoutError:
        raise LoadError(
            f"the scheduler at {address} has no worker after {_WORKER_S:.0f} s; start some, then run this again"
        ) from None


def mismatches(*, client: Versions, scheduler: Versions, workers: Mapping[str, Versions]) -> list[str]:
    """What keeps a load from running there: one line for each package that is missing or of another version."""
    problems = []
    for package in ("python", *_EQUAL, *_EQUAL_ON_WORKERS):
        here = _short(package, client.get(package))
        on_workers = {_short(package, packages.get(package)) for packages in workers.values()}
        on_scheduler = {_short(package, scheduler.get(package))} if _matters_to_scheduler(package) else set()
        if (on_workers | on_scheduler) <= {here}:
            continue
        where = [f"workers have {_list(on_workers)}"] if on_workers != {here} else []
        where += [f"the scheduler has {_list(on_scheduler)}"] if on_scheduler - {here} else []
        problems.append(f"{package}: this machine has {here}, {' and '.join(where)}; {_remedy(package, here)}")
    return problems


def _matters_to_scheduler(package: str) -> bool:
    return package in _EQUAL and package != "odp-loader"


def _short(package: str, version: Any) -> str:
    """Python's patch level does not matter."""
    if version is None:
        return "none"
    return ".".join(str(version).split(".")[:2]) if package == "python" else str(version)


def _list(versions: Iterable[str]) -> str:
    return ", ".join(sorted(versions))


def _remedy(package: str, here: str) -> str:
    if package == "odp-loader":
        return "install the same odp-loader in the image of its workers, or start them from the odp-loader image"
    return "use the same Python on both sides" if package == "python" else f"install {package}=={here} there, or theirs here"
