"""The operator's benchmark reads the audit log right, and says of its figures what they are."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import results
from benchmarks.operator import audit, bare, burst, crowd, life, nodes, steady
from benchmarks.operator.contestants import Account
from odp_dask_operator.spec.document import Document
from odp_dask_operator.spec.faults import validate
from odp_dask_operator.spec.job import OdpDaskJob

OURS = "odp-dask-operator"


def event(verb: str, resource: str, name: str = "", *, at: int = 0, code: int = 201, **more: Any) -> str:
    """A line of the log; answered half a second after it came, `at` seconds after one o'clock."""
    about = {"resource": resource, "name": name, "namespace": "bench"}
    document = {
        "stage": "ResponseComplete",
        "verb": verb,
        "requestURI": "/apis",
        "user": {"username": f"system:serviceaccount:odp-dask-system:{OURS}"},
        "objectRef": about if resource else None,
        "responseStatus": {"code": code},
        "requestReceivedTimestamp": f"2026-01-01T01:00:{at:02}.000000Z",
        "stageTimestamp": f"2026-01-01T01:00:{at:02}.500000Z",
    }
    return json.dumps({**document, **more}) + "\n"


def parsed(*lines: str) -> list[audit.Request]:
    return [request for line in lines if (request := audit.parse(line)) is not None]


def test_a_line_becomes_a_request() -> None:
    (request,) = parsed(event("create", "jobs", "j00001-abcde", at=7))
    assert (request.user, request.verb, request.what, request.name, request.made) == (OURS, "create", "jobs", "j00001-abcde", True)
    assert request.done - request.received == 0.5


def test_a_watch_counts_once_when_it_begins() -> None:
    lines = [event("watch", "pods", code=200, stage=stage) for stage in ("ResponseStarted", "ResponseComplete")]
    assert [request.what for request in parsed(*lines)] == ["pods"]


def test_what_changes_nothing_but_the_progress_is_a_write_of_progress() -> None:
    about = {"resource": "odpdaskjobs", "subresource": "status", "name": "j1"}
    bodies = [{"progress": {"rows": 1}}, {"progress": {"rows": 1}, "phase": "Running"}, {"phase": "Running"}]
    lines = [event("patch", "", code=200, objectRef=about, requestObject={"status": body}) for body in bodies]
    requests = parsed(*lines)
    assert [request.progress_only for request in requests] == [True, False, False]
    assert {request.what for request in requests} == {audit.STATUS}


def test_an_unfinished_line_is_left_for_later(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_text(event("create", "jobs", "a") + '{"stage": "Respo')
    assert [request.name for request in audit.read(log)] == ["a"]


def test_requests_are_those_of_a_user_in_a_time_beside_its_lease() -> None:
    requests = parsed(*(event("patch", what, at=at, code=200) for at, what in enumerate(("leases", "jobs", "jobs", "pods"))))
    first = requests[1].received
    assert [r.what for r in audit.of(requests, OURS)] == ["jobs", "jobs", "pods"]
    assert [r.what for r in audit.of(requests, OURS, since=first, until=first + 2)] == ["jobs", "jobs"]
    assert audit.of(requests, "somebody") == []


def test_a_job_waits_until_its_last_child_and_counts_only_when_it_has_all() -> None:
    requests = parsed(
        event("create", "odpdaskjobs", "j1", at=1),
        event("create", "odpdaskjobs", "j2", at=2),
        event("create", "jobs", "j1-abcde", at=3),
        event("create", "services", "j1-dashboard", at=5),
        event("create", "services", "j1-dashboard", at=9, code=409),
        event("create", "jobs", "j2-abcde", at=4),
    )
    waits = audit.seconds_to_last(requests, kind="odpdaskjobs", children=lambda r: r.what in ("jobs", "services"), each=2)
    assert waits == {"j1": 4.5}
    last = audit.last_create(requests, lambda r: r.what == "jobs")
    assert last - audit.first_create(requests, "odpdaskjobs") == 3.5


def test_requests_for_each_job_are_named_and_discovery_is_one() -> None:
    lines = [event("get", "", requestURI=path, code=200) for path in ("/apis", "/api/v1", "/version")]
    shares = dict(audit.shares(parsed(*lines, event("create", "jobs", "j1")), 2))
    assert shares == {"get discovery": 1.0, "get /version": 0.5, "create jobs": 0.5}


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 2), (0.75, 3), (0.95, 4), (1.0, 4)])
def test_a_percentile_is_one_of_the_values(share: float, expected: float) -> None:
    assert steady.percentile([4, 1, 3, 2], share) == expected


def test_a_pair_of_bursts_is_compared_within_its_round() -> None:
    ours = Account(children_s=10, deployments_s=40, cpu_s=0.05, requests=12, resident_mb=100, machine_cpu_s=0.5)
    theirs = replace(ours, children_s=40, deployments_s=60)
    accounts = {"ours": [ours, replace(ours, children_s=20)], "DaskJob": [theirs, replace(theirs, children_s=40)]}
    section = burst.section(accounts, jobs=100)
    assert [(claim.measured, claim.met) for claim in section.claims] == [("3.00", True), ("1.50", True)]
    assert [row[0] for row in section.rows] == ["ours", "DaskJob"]
    bound = [replace(ours, children_s=20, cpu_s=math.nan)] * 2
    last = [replace(ours, children_s=8, deployments_s=math.nan)] * 2
    section = burst.section(accounts | {burst.BARE: bound, burst.BARE_CLUSTERS_LAST: last}, jobs=100)
    assert "2.00 times as fast as DaskJob to the children, and 1.50 times to the Deployments" in section.text
    assert "before the end: 5.00 times" in section.text
    assert (section.rows[2][3], section.rows[3][2]) == ("", ""), "what was not measured"


def test_a_client_that_only_creates_makes_all_children_of_each_job() -> None:
    plans = [crowd.plan_of(number) for number in range(3)]
    whole, clusters_last = (bare.requests_of(plans, clusters_last=last) for last in (False, True))
    assert [len(job) for job in whole] == [len(crowd.OUR_CHILDREN)] * 3
    assert {path.rpartition("/")[2] for path, _ in whole[0]} == set(crowd.OUR_CHILDREN)
    assert [len(job) for job in clusters_last] == [len(crowd.OUR_CHILDREN) - 1] * 3 + [1] * 3
    assert {json.loads(body)["kind"] for ((_, body),) in clusters_last[3:]} == {"DaskCluster"}


def test_the_slower_restart_and_the_larger_peak_are_claimed() -> None:
    restarts = {
        "SIGTERM": steady.Restart(seconds=4, peak_mb=260, requests=30),
        "SIGKILL": steady.Restart(seconds=31, peak_mb=200, requests=30),
    }
    account = steady.Account(waits_s=[1.0] * 95 + [9.0] * 5, resident_mb=140, peak_mb=150, restarts=restarts)
    measured = [(claim.measured, claim.met) for claim in steady.section(account, jobs=100).claims]
    assert measured == [("1.00", True), ("140", True), ("31.0", False), ("260", False)]


def test_progress_writes_are_left_out_of_the_requests_of_a_life(tmp_path: Path) -> None:
    ours = life.Account(cpu_s=0.09, requests=23.5, progress_writes=4, mix=[("create jobs", 1.0), ("rare", 0.01)], dask_cpu_s=0.2)
    theirs = life.Account(cpu_s=0.3, requests=69, progress_writes=0, mix=[("get discovery", 14.0)])
    section = life.life_section(ours, theirs, jobs=10)
    assert [(claim.measured, claim.met) for claim in section.claims] == [("19.5", True), ("0.090", True)]
    file = tmp_path / "OPERATOR.md"
    results.write(section, command="python -m benchmarks.operator", file=file, title="# Title\n", packages=["kopf"])
    text = file.read_text()
    assert text.startswith("# Title\n")
    assert "1.0 create jobs" in text
    assert "rare" not in text
    assert "kopf " in text


def test_what_finished_jobs_cost_is_claimed_by_the_minute() -> None:
    account = life.Idle(cpu_s=0.2, resident_mb=120, per_minute=3.5, idle_cpu_s=0.1)
    assert [claim.met for claim in life.idle_section(account, jobs=1000).claims] == [True, False]


def test_the_jobs_of_the_benchmark_are_valid_and_their_names_lead_back() -> None:
    document: Any = crowd.our_job(7)
    validate(OdpDaskJob, Document(document))
    assert audit.job_of(f"{document['metadata']['name']}-abcde-1") == document["metadata"]["name"] == crowd.name(7)
    assert crowd.dask_job(7)["spec"]["cluster"]["spec"]["worker"]["replicas"] == document["spec"]["workers"]["replicas"]


def test_a_dask_job_of_our_pods_has_all_that_ours_have_but_certificates() -> None:
    spec = crowd.dask_job_of_our_pods(7)["spec"]
    assert spec["cluster"]["spec"]["worker"]["replicas"] == crowd.WORKERS
    assert spec["cluster"]["spec"]["scheduler"]["service"]["selector"]["dask.org/cluster-name"] == crowd.name(7)
    for pod in (spec["job"]["spec"], *(spec["cluster"]["spec"][part]["spec"] for part in ("scheduler", "worker"))):
        (container,) = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]} != set()
        assert container["env"]
        assert "tls" not in json.dumps(pod).lower()


def test_only_the_pods_that_do_the_work_end_by_themselves() -> None:
    assert nodes.works({"odpdask.dev/component": "loader"})
    assert nodes.works({"dask.org/component": "job-runner"})
    assert not nodes.works({"dask.org/component": "worker"})
