"""What is in the images and how they behave in a restricted pod: an ordinary user, a root that is read-only, no network."""

import json
import re
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.engine import USER, Engine, layers

pytestmark = pytest.mark.built
ROOT = Path(__file__).parents[2]
SYFT = ROOT / ".cache/bin/syft"
BUDGET = {"odp-loader": 530e6, "odp-dask-operator": 90e6, "odp-server": 530e6}
"""Bytes at most that an image adds to its base."""
_UNCOMPILED = """
import importlib, pathlib, sys
importlib.import_module(sys.argv[1])
files = [(name, getattr(module, "__cached__", None)) for name, module in sys.modules.items()]
print([name for name, cached in files if cached and not pathlib.Path(cached).exists()])
"""
_TABLES = """
import pathlib
from odp_server.files import find_tables
from odp_server.tables import Table
tables = [Table(files, batch_rows=65536) for files in find_tables([pathlib.Path("/data")])]
print([(table.name, table.statistics()["num_rows"]) for table in tables])
"""
_SIZE = """
import os
print(sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk("/opt/odp") for name in names))
"""


@pytest.mark.parametrize("name", BUDGET)
def test_help(name: str, engine: Engine, build: Callable[..., str]) -> None:
    image = build(name)
    assert "usage:" in engine.run(image, *engine.config(image)["Entrypoint"], "--help").lower()


@pytest.mark.parametrize("role", ["scheduler", "worker"])
def test_the_loaders_image_is_the_schedulers_and_the_workers(role: str, engine: Engine, loader: str) -> None:
    assert f"dask {role}" in engine.run(loader, "python", "-m", "dask", role, "--help")


def test_the_operators_image_has_the_command_line(engine: Engine, operator: str) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", engine.run(operator, "odp-dask", "--version"))


def test_the_operators_image_has_no_runtime_of_the_loader(engine: Engine, operator: str) -> None:
    code = "import importlib.util as util; print([name for name in ('dask', 'pyarrow', 'odp', 'pandas') if util.find_spec(name)])"
    assert engine.run(operator, "python", "-c", code) == "[]\n"


@pytest.mark.parametrize("name", BUDGET)
def test_the_user_has_a_name_and_a_home_it_can_write(name: str, engine: Engine, build: Callable[..., str]) -> None:
    code = (
        "import getpass, os, tempfile; print(os.getuid(), getpass.getuser()); tempfile.TemporaryFile(dir=os.path.expanduser('~'))"
    )
    image = build(name)
    assert engine.run(image, "python", "-c", code) == f"{USER} odp\n"
    assert engine.config(image)["User"] == f"{USER}:{USER}"


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("odp-loader", "odp_loader.run"),
        ("odp-loader", "distributed.cli.dask_worker"),
        ("odp-loader", "distributed.cli.dask_scheduler"),
        ("odp-dask-operator", "odp_dask_operator.shell.process"),
        ("odp-server", "odp_server.__main__"),
    ],
)
def test_nothing_is_compiled_at_the_start(name: str, module: str, engine: Engine, build: Callable[..., str]) -> None:
    assert engine.run(build(name), "python", "-c", _UNCOMPILED, module) == "[]\n"


def test_the_server_has_a_table(engine: Engine, server: str) -> None:
    assert engine.run(server, "python", "-c", _TABLES) == "[('coads', 194400)]\n"


@pytest.mark.parametrize("name", BUDGET)
def test_labels(name: str, engine: Engine, build: Callable[..., str]) -> None:
    found = {key.removeprefix("org.opencontainers.image."): value for key, value in engine.config(build(name))["Labels"].items()}
    assert found["title"] == name
    assert found["source"].startswith("https://")
    assert re.fullmatch(r"[0-9a-f]{40}|unknown", found["revision"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ|unknown", found["created"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", found["version"])
    assert "python" in found["base.name"]


@pytest.mark.parametrize("name", BUDGET)
def test_size(name: str, engine: Engine, build: Callable[..., str]) -> None:
    assert int(engine.run(build(name), "python", "-c", _SIZE)) < BUDGET[name]


def test_an_image_made_from_the_loaders_takes_more_packages(
    engine: Engine, loader: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with zipfile.ZipFile(tmp_path / "seal-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("seal.py", "import odp_loader\nNAME = 'seal'\n")
        wheel.writestr("seal-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: seal\nVersion: 1.0\n")
        wheel.writestr(
            "seal-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("seal-1.0.dist-info/RECORD", "seal.py,,\nseal-1.0.dist-info/METADATA,,\nseal-1.0.dist-info/WHEEL,,\n")
    lines = (f"FROM {loader}", "USER 0", "COPY *.whl /tmp/", "RUN pip install --no-index /tmp/*.whl", f"USER {USER}:{USER}")
    (tmp_path / "Dockerfile").write_text("\n".join(lines))
    image = "localhost/odp-loader:images-test-more"
    engine("build", "--tag", image, str(tmp_path))
    request.addfinalizer(lambda: engine.remove(image))
    assert engine.run(image, "python", "-c", "import seal; print(seal.NAME)") == "seal\n"


@pytest.mark.parametrize("name", BUDGET)
def test_two_builds_are_the_same_but_for_times_and_hold_no_leftovers(
    name: str, engine: Engine, build: Callable[..., str], tmp_path: Path
) -> None:
    archives = tmp_path / "first.tar", tmp_path / "second.tar"
    engine.save(build(name), archives[0])
    engine.save(build(name, tag="images-test-again", flags="--no-cache"), archives[1])
    first, second = map(layers, archives)
    for one, other in zip(first, second, strict=True):
        assert {path for path in one.keys() | other.keys() if one.get(path) != other.get(path)} == set()
    for archive in archives:
        archive.unlink()
    ours = {path for layer in first[1:] for path in layer}
    leftovers = re.compile(r"(^|/)(\.cache|\.git|\.env|build|own|wheels|root/.*)(/|$)|\.whl$|\.lock$|/tests/")
    assert [path for path in ours if leftovers.search(path) and "site-packages" not in path] == []
    assert [path for path in ours if "/tests/" in path] == []


@pytest.mark.parametrize("name", BUDGET)
def test_the_environment_holds_no_secret(name: str, engine: Engine, build: Callable[..., str]) -> None:
    variables = [line.partition("=")[0] for line in engine.config(build(name))["Env"]]
    assert [variable for variable in variables if re.search(r"KEY|TOKEN|SECRET|PASSWORD", variable)] == []


@pytest.mark.skipif(not SYFT.exists(), reason="syft is not built: `make .cache/bin/syft`")
def test_the_bill_of_materials_names_what_the_lock_names(operator: str, tmp_path: Path) -> None:
    subprocess.run([ROOT / "tools/sbom.sh", tmp_path, operator], check=True, capture_output=True)
    written = json.loads((tmp_path / "odp-dask-operator.spdx.json").read_text())
    found = {f"{package['name']}=={package.get('versionInfo')}" for package in written["packages"]}
    locked = re.findall(r"^([a-z0-9.-]+==[^\s;]+)(?!.*win32)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert len(locked) > 30
    assert set(locked) - found == set()
    assert any(name.startswith("odp-dask-operator==") for name in found)
