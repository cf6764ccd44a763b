"""Records jobs in flight: what an operator leaves to the next one, phase by phase, for tests/contract/test_upgrade.py.

    python -m tests.contract.record [--checkout FOLDER]

The operator is that of this checkout or of another one, and writes to a real API server beside the real Dask operator; all are then
stopped, and what is there becomes tests/contract/recordings/<release or commit>/<phase>.yaml.
"""

import argparse
import datetime
import importlib.metadata
import os
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

from odp_dask_operator.presets import BUILT_IN
from tests.support.api_proxy import api_proxy
from tests.support.apiserver import DASK_CRDS, ROOT, ApiServer, api_server
from tests.support.by_hand import ByHand
from tests.support.dask_operator import dask_operator
from tests.support.in_flight import PHASES
from tests.support.operator_process import operator
from tests.support.recording import Recording, objects_of

RECORDINGS = Path(__file__).parent / "recordings"


def record(server: ApiServer, folder: Path, *, by: str) -> dict[str, Recording]:
    """Every phase by its name."""
    with ExitStack() as stack:
        system = stack.enter_context(server.namespace())
        for preset in BUILT_IN.values():
            raw = preset.model_dump(mode="json", by_alias=True, exclude_none=True)
            ByHand(server, system).create({**raw, "metadata": {"name": raw["metadata"]["name"]}})
        hands = {name: ByHand(server, stack.enter_context(server.namespace())) for name in PHASES}
        spaces = [hand.namespace for hand in hands.values()]
        kept = [f"/namespaces/{hands[name].namespace}/" for name, phase in PHASES.items() if not phase.deletes]
        with (
            api_proxy(server, folder) as (proxy, kubeconfig),
            dask_operator(server.kubeconfig, folder, namespaces=spaces),
            operator(kubeconfig, folder, operator_namespace=system, namespaces=spaces),
        ):
            proxy.fault = lambda _, method, path: "cut" if method == "DELETE" and any(each in path for each in kept) else None
            for name, phase in PHASES.items():
                phase.reach(hands[name])
        return {
            name: Recording(
                operator=by,
                dask_kubernetes=importlib.metadata.version("dask-kubernetes"),
                at=datetime.datetime.now(datetime.UTC),
                namespaces={"job": hand.namespace, "operator": system},
                objects=objects_of(hand),
            )
            for name, hand in hands.items()
        }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkout", type=Path, default=ROOT, help="whose operator and CRDs (default: this one's)")
    checkout = parser.parse_args().checkout.resolve()
    os.environ["PYTHONPATH"] = os.pathsep.join(str(checkout / place) for place in ("operator", "images/loader"))
    said = subprocess.run(["git", "-C", checkout, "describe", "--tags", "--always", "--dirty"], capture_output=True, check=True)
    by = said.stdout.decode().strip()
    with tempfile.TemporaryDirectory() as place, api_server(Path(place)) as server:
        server.install_crds(checkout / "charts/odp-dask-operator/files/crds", DASK_CRDS)
        for name, recording in record(server, Path(place), by=by).items():
            recording.write(RECORDINGS / by / f"{name}.yaml")


if __name__ == "__main__":
    main()
