"""Makes the environment that the operator's image has: requirements.lock and nothing else, so that its memory is its own."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.lock"
SOURCES = (ROOT / "operator", ROOT / "images/loader")


def operator_python(cache: Path = ROOT / ".cache/benchmarks") -> Path:
    """The interpreter of that environment, which is made once for each lock."""
    folder = cache / f"operator-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    python = folder / "bin/python"
    if not python.exists():
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        for command in _commands(unfinished):
            subprocess.run(command, check=True)
        unfinished.rename(folder)
    return python


def _commands(folder: Path) -> list[list[str]]:
    """With uv where it is, with pip otherwise. The environment is moved when it is complete; nothing runs its scripts."""
    wanted = ["--quiet", "--require-hashes", "-r", str(LOCK)]
    if shutil.which("uv"):
        python = ["--python", str(folder / "bin/python")]
        return [["uv", "venv", "--quiet", "--python", sys.executable, str(folder)], ["uv", "pip", "install", *python, *wanted]]
    return [[sys.executable, "-m", "venv", str(folder)], [str(folder / "bin/python"), "-m", "pip", "install", *wanted]]


def variables() -> dict[str, str]:
    """What the operator's process finds in its environment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "PYTHON", "VIRTUAL_ENV"))}
    return {**kept, "PYTHONPATH": os.pathsep.join(map(str, SOURCES))}
