"""Go programs of .cache/bin, built when a test needs them."""

import fcntl
import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def go_tool(name: str, *, package: str = ".") -> Path:
    """The program of tools/`name`, built anew when its sources are newer; skips the test where it cannot be built."""
    newest = max(file.stat().st_mtime for file in (ROOT / "tools" / name).iterdir())
    return built(name, ["go", "build", "-C", f"tools/{name}", "-o", "../../.cache/bin/", package], not_before=newest)


def built(name: str, command: Sequence[str], *, not_before: float = 0.0) -> Path:
    """A program of .cache/bin, made by `command` where it is missing or older than that time; skips the test where it cannot be."""
    binary = ROOT / ".cache/bin" / name

    def there() -> bool:
        return binary.exists() and binary.stat().st_mtime >= not_before

    if there():
        return binary
    if shutil.which("go") is None:
        pytest.skip(f"{name} is not built: install Go, then run `{' '.join(command)}`")
    binary.parent.mkdir(parents=True, exist_ok=True)
    with (binary.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not there():  # else another test run has built it meanwhile
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"{name} cannot be built with `{' '.join(command)}`: {done.stderr[-300:]}")
            binary.touch()
    return binary


def ask(program: Path, objects: Sequence[Any], *arguments: Path) -> list[dict[str, str]]:
    """What a program says about objects, in their order."""
    done = subprocess.run(
        [program, *arguments], input=json.dumps(objects), capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, str]] = json.loads(done.stdout)
    return answers
