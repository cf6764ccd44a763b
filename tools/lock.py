"""Resolve the lock files: the operator's image, the loader's, everything together for laptops and tests, and what builds images.

Needs uv. A lock is a hash-pinned requirements file that names no package index, so pip and uv both install it from any.
"""

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OWN = "odp-loader"
"""Comes from this repository, so no lock can name it."""


def requirements(project: Path, *extras: str) -> list[str]:
    """What a project and some of its extras need, without the projects of this repository."""
    table = tomllib.loads(project.read_text())["project"]
    found = [*table["dependencies"], *(need for extra in extras for need in table["optional-dependencies"][extra])]
    return [need for need in found if not need.startswith(OWN)]


def lock(needs: list[str], target: Path, *, within: Path | None = None) -> None:
    """Resolve `needs` for every platform and Python version we support, to the versions of another lock where it is given."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "requirements.in"
        source.write_text("\n".join(needs) + "\n")
        command = ["uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header", "--no-annotate"]
        options = ["--python-version", "3.11", "--output-file", str(target), *sys.argv[1:]]
        options += ["--constraints", str(within)] if within else []
        subprocess.run([*command, *options, str(source)], check=True)


def main() -> None:
    """Write all of them; arguments go to uv, `--upgrade` for one."""
    loader = requirements(ROOT / "images/loader/pyproject.toml", "runtime")
    operator = requirements(ROOT / "pyproject.toml") + requirements(ROOT / "images/loader/pyproject.toml")
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())
    dev = table["dependency-groups"]["dev"]
    everything = ROOT / "requirements-dev.lock"
    lock(operator, ROOT / "requirements.lock")
    lock(loader, ROOT / "images/loader/requirements.lock")
    lock(sorted({*operator, *loader, *dev}), everything)
    lock(table["build-system"]["requires"], ROOT / "images/build.lock", within=everything)
    dask_operator = [need for need in dev if need.startswith("dask-kubernetes")]
    lock(dask_operator, ROOT / "tests/e2e/images/dask-operator/requirements.lock", within=everything)


if __name__ == "__main__":
    main()
