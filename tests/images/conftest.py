"""The images as `make images` builds them, for the tests that look inside."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.engine import Engine, find_engine

ROOT = Path(__file__).parents[2]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Known only to a run that names this folder."""
    parser.addoption("--built", action="store_true", help="build the images and look inside")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what takes minutes unless it is asked for."""
    asked = config.getoption("--built", default=False)
    for item in items:
        if item.get_closest_marker("built"):
            item.add_marker(pytest.mark.timeout(3600))
            if not asked:
                item.add_marker(pytest.mark.skip(reason="`make images-test` builds the images and looks inside"))


def pytest_configure(config: pytest.Config) -> None:
    """The marker of these tests."""
    config.addinivalue_line("markers", "built: looks inside built images; `make images-test`")


@pytest.fixture(scope="session")
def engine() -> Engine:
    """What builds and runs images here."""
    found = find_engine()
    if found is None:
        pytest.skip("no image can be built here: install docker, podman or buildah, then `make images-test`")
    return found


@pytest.fixture(scope="session")
def build(engine: Engine) -> Iterator[Callable[..., str]]:
    """Builds an image once, whose tag is removed in the end; returns its full name."""
    built = []

    def build_one(name: str, *, tag: str = "images-test", flags: str = "") -> str:
        image = f"localhost/{name}:{tag}"
        if image in built:
            return image
        flags = f"{os.environ.get('BUILD_FLAGS', '')} {flags}"
        environment = {**os.environ, "ENGINE": engine.name, "REGISTRY": "localhost", "TAG": tag, "BUILD_FLAGS": flags}
        done = subprocess.run([ROOT / "tools/images.sh", name], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"tools/images.sh {name}: {done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        built.append(image)
        return image

    yield build_one
    for image in built:
        engine.remove(image)


@pytest.fixture(scope="session")
def loader(build: Callable[..., str]) -> str:
    """The loader's image."""
    return build("odp-loader")


@pytest.fixture(scope="session")
def operator(build: Callable[..., str]) -> str:
    """The operator's image."""
    return build("odp-dask-operator")


@pytest.fixture(scope="session")
def server(build: Callable[..., str]) -> str:
    """The ODP-compatible server's image."""
    return build("odp-server")
