"""How large a local cluster is made: what the preset asks for, clipped to the machine."""

from dataclasses import dataclass

from odp_dask_operator.spec.preset import OdpDaskPreset, Workers

_MEMORY_SHARE = 0.8
"""Of the machine's memory; the rest is for the scheduler, the file cache and whatever else runs."""
_IN_PROCESS = "small"
"""The preset whose tables are loaded before another process would have started."""


@dataclass(frozen=True)
class Machine:
    """What there is to divide."""

    cores: int
    memory_bytes: int


@dataclass(frozen=True)
class ClusterSize:
    """A cluster on this machine."""

    workers: int
    threads: int
    """Of each worker."""
    memory_bytes: int
    """Of each worker."""
    in_process: bool
    """Whether the one worker lives in this process; nothing then enforces its memory."""


def size_cluster(preset: OdpDaskPreset, *, workers: Workers | None, machine: Machine, script: bool = False) -> ClusterSize:
    """The preset's cluster with the job's own number of workers, at most one for each core and 80 % of the memory in all.

    Threads are kept: they wait for the network most of the time. A script needs workers that another process can reach.
    """
    wanted = min((workers or preset.spec.workers).most, preset.spec.limits.max_workers)
    count = max(1, min(wanted, machine.cores))
    memory = min(preset.spec.worker.memory, int(machine.memory_bytes * _MEMORY_SHARE) // count)
    in_process = preset.metadata.name == _IN_PROCESS and wanted == 1 and not script
    return ClusterSize(count, preset.spec.worker.threads, memory, in_process)


def describe_size(size: ClusterSize, preset: OdpDaskPreset, *, workers: Workers | None, machine: Machine) -> str:
    """One line that says what was asked for, what there is, and what came of it."""
    asked = min((workers or preset.spec.workers).most, preset.spec.limits.max_workers)
    worker = preset.spec.worker
    got = f"{_count(size.workers, 'worker')} with {_count(size.threads, 'thread')} and {_gibibytes(size.memory_bytes)}"
    got += " each" if size.workers > 1 else ", in this process" if size.in_process else ""
    if size.workers == asked and size.memory_bytes == worker.memory:
        return f"{preset.metadata.name}: {got}"
    there = f"this machine has {_count(machine.cores, 'core')} and {_gibibytes(machine.memory_bytes)}"
    return f"{preset.metadata.name} asks for {_count(asked, 'worker')} with {_gibibytes(worker.memory)}; {there}: {got}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _gibibytes(size_bytes: int) -> str:
    return f"{size_bytes / 2**30:.3g} GiB"
