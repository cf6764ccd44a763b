"""One copy of the chart for what the documents install."""

import pytest

from tests.support.helm import Chart, copy_of_chart


@pytest.fixture(scope="session")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Chart:
    """The chart with the Dask operator's in it."""
    return copy_of_chart(tmp_path_factory.mktemp("chart"))
