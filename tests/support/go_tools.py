"""Small Go programs of tools/, built when a test needs them."""

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
    module, binary = ROOT / "tools" / name, ROOT / ".cache/bin" / name
    newest = max(file.stat().st_mtime for file in module.iterdir())
    if binary.exists() and binary.stat().st_mtime >= newest:
        return binary
    command = ["go", "build", "-C", f"tools/{name}", "-o", "../../.cache/bin/", package]
    if shutil.which("go") is None:
        pytest.skip(f"{name} is not built: install Go 1.26, then run `make tools`")
    binary.parent.mkdir(parents=True, exist_ok=True)
    with (binary.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
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
