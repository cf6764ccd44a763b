"""The API server and the types agree about made-up jobs and presets: what one accepts, the other accepts or can explain."""

import os
from collections import Counter
from typing import Any

import pytest

from odp_dask_operator.spec import OdpDaskJob, OdpDaskPreset
from odp_dask_operator.spec.document import Document
from odp_dask_operator.spec.faults import InvalidDocument, validate
from odp_loader.spec import Model
from tests.support.apiserver import ApiServer
from tests.support.jobs import API
from tests.support.specs import made_up, spec_schema

COUNT = int(os.environ.get("FUZZED_SPECS", "2000"))
"""How many; half as many presets beside the jobs."""
UNTYPED = "spec.load.source.odp.vars"
"""The one place that a structural schema cannot describe; what the API server lets through there, the types refuse."""


@pytest.mark.parametrize(("model", "count"), [(OdpDaskJob, COUNT), (OdpDaskPreset, COUNT // 2)])
def test_the_server_and_the_types_agree(server: ApiServer, namespace: str, model: type[Model], count: int) -> None:
    kind = model.__name__
    schema = spec_schema(kind)
    path = f"{API}/namespaces/{namespace}/{kind.lower()}s"
    seen: Counter[tuple[bool, bool]] = Counter()
    for seed in range(count):
        thing = made_up(kind, schema, seed)
        answer = server.request("POST", path, thing, dryRun="All", fieldValidation="Ignore")
        assert answer.status in (201, 400, 422), (seed, answer)
        accepted, faults = answer.status == 201, faults_of(model, thing)
        if accepted:
            stored = faults_of(model, answer.body)
            assert all(fault.startswith(UNTYPED) for fault in stored), (seed, stored)
        if not faults:
            assert accepted, (seed, answer.causes, thing["metadata"])
        seen[accepted, not faults] += 1
    assert min(seen[True, True], seen[False, False]) > count // 10, seen


def faults_of(model: type[Model], thing: dict[str, Any]) -> list[str]:
    """What the types refuse; anything but their own error fails the test."""
    try:
        validate(model, Document(thing))
    except InvalidDocument as error:
        return [str(fault) for fault in error.faults]
    return []
