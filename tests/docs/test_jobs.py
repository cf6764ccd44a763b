"""Every YAML in the documents can be read, and every job and preset among it is valid."""

import pytest

from odp_dask_operator.spec import API_VERSION, OdpDaskJob, OdpDaskPreset
from odp_dask_operator.spec.document import read_documents
from odp_dask_operator.spec.faults import validate
from tests.support.documents import Block, documents

BLOCKS = [block for document in documents() for block in document.blocks if block.language == "yaml"]
KINDS = {"OdpDaskJob": OdpDaskJob, "OdpDaskPreset": OdpDaskPreset}


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_jobs_and_presets_are_valid(block: Block) -> None:
    found = read_documents(block.text.encode(), source=str(block))
    assert found
    for document in found:
        if document.value.get("apiVersion") == API_VERSION:
            validate(KINDS[document.value["kind"]], document)
        elif block.use != "values":
            assert document.value.keys() >= {"apiVersion", "kind"}, "a part of a file cannot be applied: show the whole of it"


def test_the_readme_shows_a_job_of_ten_lines() -> None:
    (job,) = [block for block in BLOCKS if block.document == "README.md" and "kind: OdpDaskJob" in block.text]
    assert len(job.text.splitlines()) <= 10
