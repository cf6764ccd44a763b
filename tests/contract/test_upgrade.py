"""Jobs that an earlier operator left in flight, recorded by tests/contract/record.py: today's ends them and makes nothing twice."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.api_proxy import ApiProxy, api_proxy
from tests.support.apiserver import ApiServer, until
from tests.support.by_hand import KEPT, PLACES, ByHand
from tests.support.dask_operator import dask_operator
from tests.support.in_flight import NAME, PHASES, SLOW_S
from tests.support.operator_process import operator
from tests.support.recording import Recording, put_back

pytestmark = pytest.mark.usefixtures("alone")

FOLDER = Path(__file__).parent / "recordings"
FILES = sorted(FOLDER.glob("*/*.yaml"))
IMPATIENT = "import datetime; from odp_dask_operator.core import decide; decide.TABLE_PATIENCE = datetime.timedelta(seconds=5)"
"""A minute, in which a loader may say how large its table is, is long for a test."""


@dataclass
class Flight:
    """A job as it was left."""

    hand: ByHand
    proxy: ApiProxy

    def made(self) -> Counter[str]:
        """How many objects of each kind today's operator has made, those of its own kinds and Events apart."""
        posts = [path for path in self.proxy.writes if path.startswith("POST") and f"/{self.hand.namespace}/" in path]
        kinds = {place.format(self.hand.namespace): kind for kind, place in PLACES.items() if kind != "Event"}
        return Counter(kinds[path.removeprefix("POST ")] for path in posts if path.removeprefix("POST ") in kinds)

    def is_given_back(self) -> bool:
        """Nothing is left that a job which has ended does not keep."""
        self.hand.collect()
        return self.hand.of_jobs() == (KEPT if self.hand.get("OdpDaskJob", NAME) else set())


@pytest.fixture(scope="module")
def flights(server: ApiServer, system: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Path, Flight]]:
    """All of them put back, each in a namespace of its own; then today's operator and that of Dask begin."""
    folder = tmp_path_factory.mktemp("operators")
    with ExitStack() as stack:
        namespaces = [stack.enter_context(server.namespace()) for _ in FILES]
        proxy, kubeconfig = stack.enter_context(api_proxy(server, folder))
        found = {}
        for file, namespace in zip(FILES, namespaces, strict=True):
            hand = ByHand(server, namespace, pods=100)
            put_back(Recording.read(file), hand, operator_namespace=system)
            found[file] = Flight(hand, proxy)
        with (
            dask_operator(server.kubeconfig, folder, namespaces=namespaces) as dask,
            operator(kubeconfig, folder, operator_namespace=system, namespaces=namespaces, prelude=IMPATIENT) as process,
        ):
            # Kopf looks but once a minute whether a timer has ended that runs when its object is deleted.
            until(lambda: "Timer 'daskautoscaler_adapt' failed" in dask.log.read_text(), "the autoscaler rests", seconds=SLOW_S)
            yield found
            assert process.end() == 0
            assert "Traceback" not in process.log.read_text()


def test_every_phase_is_recorded() -> None:
    assert {file.stem for file in FILES} == set(PHASES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_job_that_another_operator_left_is_ended(flights: dict[Path, Flight], file: Path) -> None:
    flight, phase = flights[file], PHASES[file.stem]
    hand = flight.hand
    phase.ends(hand)
    until(flight.is_given_back, "the cluster is given back", seconds=SLOW_S)
    assert flight.made() == Counter(phase.makes)
    if hand.get("OdpDaskJob", NAME):
        hand.delete("OdpDaskJob", NAME)
        until(lambda: hand.collect() or not (hand.of_jobs() or hand.get("OdpDaskJob", NAME)), "nothing is left", seconds=60)  # type: ignore[func-returns-value]
