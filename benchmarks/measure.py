"""Reads memory and CPU time of processes, and how busy the machine is, from Linux's /proc."""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

QUIET_CORES = 0.15
"""As many may be busy on a machine that counts as quiet; a run during which others had more of them is done again."""
_MOMENT_S = 1.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """What a process has in memory now."""
    return _status(pid, "VmRSS")


def peak_bytes(pid: int) -> int:
    """The most a process has had in memory since it began, or since `forget_peak`."""
    return _status(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Let the peak begin at what is resident now (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def cpu_s(pid: int) -> float:
    """User and system time of a process and its finished children."""
    # The command's name may hold spaces and brackets; fields are counted from behind it.
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return sum(int(ticks) for ticks in after_name[11:15]) / _TICKS_PER_S


def busy_s() -> float:
    """Time that all cores together have been busy since the machine started."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = (
        int(ticks) for ticks in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / _TICKS_PER_S


def wait_for_quiet(patience_s: float) -> None:
    """Wait until others have left the machine alone for a moment, but no longer than `patience_s`."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        before = busy_s()
        time.sleep(_MOMENT_S)
        if (busy_s() - before) / _MOMENT_S <= QUIET_CORES:
            return


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"process {pid} has no {name}: it is gone")


@dataclass(frozen=True)
class CpuTimes:
    """CPU seconds so far, of those who take part and of the whole machine."""

    client: float
    server: float
    machine: float

    @classmethod
    def read(cls, clients: Iterable[int], server: int) -> "CpuTimes":
        """The times now."""
        return cls(client=sum(map(cpu_s, clients)), server=cpu_s(server), machine=busy_s())

    def __sub__(self, earlier: "CpuTimes") -> "CpuTimes":
        return CpuTimes(self.client - earlier.client, self.server - earlier.server, self.machine - earlier.machine)

    @property
    def foreign(self) -> float:
        """What others used."""
        return max(0.0, self.machine - self.client - self.server)
