"""A real API server takes every object that the documents show."""

import pytest

from odp_dask_operator.spec.document import read_documents
from tests.support.apiserver import ApiServer
from tests.support.documents import Block, documents
from tests.support.helm import path_in_api
from tests.support.jobs import changed

BLOCKS = [block for document in documents() for block in document.blocks if block.language == "yaml" and block.use != "values"]


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_what_a_document_shows_can_be_applied(server: ApiServer, namespace: str, block: Block) -> None:
    for document in read_documents(block.text.encode(), source=str(block)):
        thing = changed(document.value, {"metadata.namespace": namespace})
        answer = server.apply(thing, path_in_api(thing), fieldManager="kubectl", fieldValidation="Strict", dryRun="All")
        assert answer.status == 201, answer.causes
        assert [warning for warning in answer.warnings if "unrecognized format" not in warning] == []
