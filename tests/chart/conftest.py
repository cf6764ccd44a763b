"""One copy of the chart for all its tests."""

import pytest

from tests.support.helm import Chart, copy_of_chart

_BUILD_SECONDS = 1800
"""Helm, its checkers and the API server are built from their sources when nobody brings them."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests time to build what they need; all but the first find it there."""
    for item in items:
        if "chart" in item.path.parts and "chart" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(_BUILD_SECONDS))


@pytest.fixture(scope="session")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Chart:
    """The chart with the Dask operator's in it."""
    return copy_of_chart(tmp_path_factory.mktemp("chart"))
