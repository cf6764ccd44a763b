"""Runs the user's own Dask program, unchanged, in a Python process of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from odp_loader.errors import InvalidLoad
from odp_loader.spec import Script

_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def run_script(script: Script, *, scheduler_address: str | None, config_maps: Mapping[str, Path]) -> int:
    """Run the program to its end; returns its exit status, 128 + n when signal n ended it, as shells do.

    `config_maps` has the folder of each ConfigMap that can be reached, keys as files. With `scheduler_address` the program's
    `Client()` connects there; without, its environment decides. All of Dask's settings (`DASK_...`, TLS among them) and the
    ODP key reach it by the environment too. Output appears as it is written; standard input is empty, as it is in a cluster.
    SIGTERM, SIGINT and SIGHUP are passed on to the program, which alone decides what they mean: call this from the main thread.

    Raises InvalidLoad when the ConfigMap or its key is not there.
    """
    command = [sys.executable, "-u", *_program(script, config_maps), *script.args]
    environment = dict(os.environ)
    if scheduler_address is not None:
        environment["DASK_SCHEDULER_ADDRESS"] = scheduler_address
    child = _Child()
    with child.receiving_signals():
        status = child.run(command, environment)
    return status if status >= 0 else 128 - status


def _program(script: Script, config_maps: Mapping[str, Path]) -> list[str]:
    if script.config_map is None:
        assert script.module is not None
        return ["-m", script.module]
    name, key = script.config_map.name, script.config_map.key
    if name not in config_maps:
        bound = ", ".join(sorted(config_maps)) or "none"
        raise InvalidLoad(
            f"script.configMap.name: no folder stands for the ConfigMap '{name}' (bound are: {bound});"
            f" outside Kubernetes, name one with --config-map {name}=DIR"
        )
    folder = config_maps[name]
    if not (folder / key).is_file():
        # A mounted ConfigMap also holds links such as `..data`, which are no keys.
        keys = sorted(path.name for path in folder.glob("*") if path.is_file()) if folder.is_dir() else []
        there = f"it has {', '.join(keys[:20])}" if keys else f"there is no file in {folder}"
        raise InvalidLoad(f"script.configMap.key: the ConfigMap '{name}' has no key '{key}'; {there}")
    return [str(folder / key)]


class _Child:
    """A process and the signals meant for it, which may come before it is there."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def run(self, command: list[str], environment: Mapping[str, str]) -> int:
        # A process group of its own: Ctrl-C in a terminal goes to a whole group, and the program must not be interrupted twice.
        with subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, process_group=0) as process:  # noqa: S603 # the job's own program
            self._process = process
            while self._early:
                process.send_signal(self._early.pop(0))
            return process.wait()

    @contextmanager
    def receiving_signals(self) -> Iterator[None]:
        """Pass signals on instead of obeying them; one that this process ignores stays ignored (`nohup`)."""
        before = {signum: signal.getsignal(signum) or signal.SIG_DFL for signum in _FORWARDED}
        mine = [signum for signum in _FORWARDED if before[signum] is not signal.SIG_IGN]
        for signum in mine:
            signal.signal(signum, self._receive)
        try:
            yield
        finally:
            for signum in mine:
                signal.signal(signum, before[signum])

    def _receive(self, signum: int, _: FrameType | None) -> None:
        if self._process is None:
            self._early.append(signum)
        else:
            self._process.send_signal(signum)
