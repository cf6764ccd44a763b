"""Runs what the documents tell people to run on their own machine: each document in a folder of its own, from top to bottom."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.documents import ROOT, Block, Document, documents
from tests.support.odp_server import OdpServer, odp_server

DEADLINE_S = 600
"""Of one block; some seconds on an idle machine."""
WITH_COMMANDS = [document for document in documents() if any(block.use == "run" for block in document.blocks)]


@pytest.fixture(scope="session")
def platform() -> Iterator[OdpServer]:
    """Has the table that the documents name, under the same id."""
    with odp_server({"coads": ROOT / "tests/data/coads.parquet"}) as server:
        yield server


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("document", WITH_COMMANDS, ids=str)
def test_commands_do_what_the_document_says(document: Document, tmp_path: Path, platform: OdpServer) -> None:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ODP_", "DASK_", "JUPYTERHUB_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**inherited, "PATH": path, "NO_COLOR": "1", "ODP_API_KEY": platform.api_key, "ODP_BASE_URL": platform.url}
    (tmp_path / "manifests").symlink_to(ROOT / "manifests")
    printed = ""
    for block in document.blocks:
        match block.use:
            case "file":
                (tmp_path / block.argument).write_text(block.text)
            case "run":
                printed = _run(block, tmp_path, environment)
            case "prints":
                for line in block.text.splitlines():
                    assert line.strip() in printed, f"{block} is not in:\n{printed}"


def _run(block: Block, folder: Path, environment: dict[str, str]) -> str:
    """What the commands print; `run odp` lets loads read from the server of the test instead of from the platform."""
    here = r"\g<0> --set spec.load.source.odp.baseURL=$ODP_BASE_URL"
    text = re.sub(r"odp-dask run [^|\n]*", here, block.text) if block.argument == "odp" else block.text
    command = [sys.executable, "-c", text] if block.language == "python" else ["bash", "-euo", "pipefail", "-c", text]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0, f"{block}:\n{done.stdout}"
    return done.stdout
