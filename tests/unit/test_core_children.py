"""The children of a job: golden pairs, and what the API servers' own schemas say about them."""

import functools
import importlib.resources
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from odp_dask_operator.core.desired import Certificate, manifest, wanted
from odp_dask_operator.core.names import Child
from odp_dask_operator.core.plan import Plan, make_plan
from odp_dask_operator.core.record import read_job
from odp_dask_operator.core.settings import Settings
from tests.support import openapi
from tests.support.operator_jobs import SETTINGS, job, presets, read_documents

CASES = sorted((Path(__file__).parent / "golden" / "children" / "input").glob("*.yaml"))
CERTIFICATE = Certificate(ca=b"the CA", certificate=b"the certificate", key=b"the key")
CLUSTER_UID = "c0ffee00-0000-4000-8000-000000000000"


def plan_of(raw: Mapping[str, Any], *more: Mapping[str, Any], settings: Settings = SETTINGS) -> Plan:
    plan = make_plan(read_job(raw), presets=presets(*more), settings=settings)
    assert isinstance(plan, Plan), plan
    return plan


def children(plan: Plan) -> dict[Child, dict[str, Any]]:
    return {child: manifest(child, plan, certificate=CERTIFICATE, cluster_uid=CLUSTER_UID) for child in wanted(plan)}


@pytest.fixture(params=CASES, ids=lambda path: path.stem)
def case(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_children_are_as_recorded(case: Path, golden: Callable[[str, str], None]) -> None:
    made = children(plan_of(*(lambda raw, more: (raw, *more))(*read_documents(case))))
    plain = json.loads(json.dumps(list(made.values())))
    golden(f"children/output/{case.name}", yaml.safe_dump_all(plain, sort_keys=False, width=120))


@functools.cache
def spec_schema(kind: str) -> Mapping[str, Any]:
    chart = importlib.resources.files("dask_kubernetes") / "operator" / "deployment" / "helm" / "dask-kubernetes-operator"
    crd = yaml.load((chart / "crds" / f"{kind.lower()}.yaml").read_text(), Loader=yaml.CSafeLoader)
    version = next(version for version in crd["spec"]["versions"] if version["name"] == "v1")
    schema: Mapping[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema


def test_dask_objects_fit_the_schema_of_their_crds(case: Path) -> None:
    raw, more = read_documents(case)
    for child, made in children(plan_of(raw, *more)).items():
        if child in (Child.CLUSTER, Child.AUTOSCALER):
            assert list(openapi.faults(made["spec"], spec_schema(child.resource.kind))) == []


def test_the_schema_finds_what_is_wrong() -> None:
    made = children(plan_of(job()))[Child.CLUSTER]["spec"]
    made["worker"]["spec"]["containers"][0]["tipo"] = made["worker"]["replicas"] = "2"
    del made["scheduler"]["service"]["ports"][0]["port"]
    assert list(openapi.faults(made, spec_schema("DaskCluster"))) == [
        ".scheduler.service.ports[0].port: is required",
        ".worker.replicas: str where integer is expected",
        ".worker.spec.containers[0].tipo: unknown field, the API server would drop it",
    ]


@pytest.fixture(scope="session")
def kubernetes_reads() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Kubernetes' own types, generated from the API server's OpenAPI document: what they do not know, they drop."""
    from kubernetes import client

    api = client.ApiClient()
    types = {"Service": "V1Service", "Ingress": "V1Ingress", "NetworkPolicy": "V1NetworkPolicy", "ConfigMap": "V1ConfigMap"}
    types |= {"Secret": "V1Secret", "Job": "V1Job"}

    def read(made: dict[str, Any]) -> dict[str, Any]:
        back: dict[str, Any] = api.sanitize_for_serialization(
            api.deserialize(json.dumps(made), types[made["kind"]], "application/json")
        )
        return back

    return read


def test_kubernetes_objects_fit_its_own_types(case: Path, kubernetes_reads: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    raw, more = read_documents(case)
    for child, made in children(plan_of(raw, *more)).items():
        if child not in (Child.CLUSTER, Child.AUTOSCALER):
            assert kubernetes_reads(made) == made


def pod_specs(made: Mapping[Child, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    pods = {"loader": made[Child.JOB]["spec"]["template"]["spec"]}
    if Child.CLUSTER in made:
        pods |= {role: made[Child.CLUSTER]["spec"][role]["spec"] for role in ("scheduler", "worker")}
    return pods


def test_every_pod_meets_the_restricted_standard_and_has_no_token(case: Path) -> None:
    raw, more = read_documents(case)
    for spec in pod_specs(children(plan_of(raw, *more))).values():
        assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        kinds = {kind for volume in spec["volumes"] for kind in volume if kind != "name"}
        assert kinds <= {"configMap", "secret", "emptyDir", "persistentVolumeClaim"}
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["requests"] == container["resources"]["limits"]
            mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
            assert len(set(mounts)) == len(mounts)
            names = [variable["name"] for variable in container["env"]]
            assert len(set(names)) == len(names)


def test_the_key_is_an_environment_variable_where_rows_are_and_nowhere_else(case: Path) -> None:
    raw, more = read_documents(case)
    credentials = raw["spec"].get("credentials")
    for role, spec in pod_specs(children(plan_of(raw, *more))).items():
        found = [variable for variable in spec["containers"][0]["env"] if variable["name"] == "ODP_API_KEY"]
        wanted = credentials is not None and role != "scheduler"
        reference = {"secretKeyRef": {"name": "odp-api-key", "key": "ODP_API_KEY"}}
        assert found == ([{"name": "ODP_API_KEY", "valueFrom": reference}] if wanted else [])


def test_only_an_adaptive_job_has_the_http_api() -> None:
    for workers, on in (({"minimum": 1, "maximum": 2}, True), ({"replicas": 2}, False)):
        made = children(plan_of(job(workers=workers)))
        assert ("distributed.http.scheduler.api" in (routes_of(made) or "")) is on
        assert (Child.AUTOSCALER in made) is on
        asked_from = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": SETTINGS.dask_namespace}}}
        rules = made[Child.NETWORK_POLICY]["spec"]["ingress"]
        assert ([asked_from] in [rule.get("from") for rule in rules]) is on


def routes_of(made: Mapping[Child, Any]) -> str | None:
    """The scheduler's HTTP routes; None where they are distributed's own, unsaid."""
    environment = {variable["name"]: variable.get("value") for variable in pod_specs(made)["scheduler"]["containers"][0]["env"]}
    return environment.get("DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES")


@pytest.mark.parametrize(
    "more",
    [
        {"env": [{"name": "DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES", "value": "['distributed.http.scheduler.api']"}]},
        {"envFrom": [{"secretRef": {"name": "anything"}}]},
    ],
)
def test_no_variable_of_a_job_turns_the_http_api_on(more: dict[str, Any]) -> None:
    routes = routes_of(children(plan_of(job(**more))))
    assert routes is not None
    assert "distributed.http.scheduler.api" not in routes


def test_the_routes_are_distributeds_own_and_the_api() -> None:
    import ast

    import dask
    import distributed  # noqa: F401 # brings its defaults into the configuration

    routes = ast.literal_eval(routes_of(children(plan_of(job(workers={"minimum": 1, "maximum": 2})))) or "")
    assert routes == ["distributed.http.scheduler.api", *dask.config.get("distributed.scheduler.http.routes")]


def test_an_ingress_publishes_pages_that_exist_and_no_api() -> None:
    from distributed.dashboard.scheduler import applications

    made = children(plan_of(job(dashboard={"ingress": {"host": "sst.example.org"}})))
    paths = [path["path"] for path in made[Child.INGRESS]["spec"]["rules"][0]["http"]["paths"]]
    assert set(paths) - set(applications) == {"/info", "/static", "/statics"}
    assert not {"/", "/api", "/proxy"} & set(paths)


def test_what_a_platform_assigns_is_left_to_it() -> None:
    from dataclasses import replace

    for spec in pod_specs(children(plan_of(job(), settings=replace(SETTINGS, user=None)))).values():
        assert spec["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}


def test_names_are_those_that_the_dask_operator_gives() -> None:
    """Built by its own functions from our DaskCluster, as its controller calls them."""
    from dask_kubernetes.operator.controller import controller
    from dask_kubernetes.operator.validation import validate_cluster_name

    plan = plan_of(job("a" * 40))
    cluster = children(plan)[Child.CLUSTER]
    name, labels = cluster["metadata"]["name"], cluster["metadata"]["labels"]
    validate_cluster_name(name)
    scheduler = controller.build_scheduler_deployment_spec(name, cluster["spec"]["scheduler"]["spec"], {}, labels)
    service = controller.build_scheduler_service_spec(name, cluster["spec"]["scheduler"]["service"], {}, labels)
    worker = controller.build_worker_deployment_spec(
        f"{name}-default", "ocean", name, "0123456789", cluster["spec"]["worker"]["spec"], {}, labels
    )
    assert scheduler["metadata"]["name"] == service["metadata"]["name"] == plan.names.scheduler
    assert plan.names.scheduler_address == f"tls://{service['metadata']['name']}.ocean.svc:8786"
    pod = scheduler["spec"]["template"]["metadata"]["labels"]
    assert plan.names.scheduler_pod.items() <= pod.items()
    assert plan.names.labels.items() <= pod.items()
    assert plan.names.pods.items() <= worker["spec"]["template"]["metadata"]["labels"].items()
    environment = {variable["name"]: variable["value"] for variable in worker["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert environment["DASK_WORKER_NAME"] == worker["metadata"]["name"]
    assert environment["DASK_SCHEDULER_ADDRESS"] == plan.names.scheduler_address
    assert max(map(len, (name, plan.names.dashboard, plan.names.scheduler, plan.names.of(Child.SECRET, run=9999)))) <= 63


def test_the_work_reads_back_as_the_loader_reads_it(case: Path, tmp_path: Path) -> None:
    from odp_loader.__main__ import read_job as loader_reads

    plan = plan_of(*(lambda raw, more: (raw, *more))(*read_documents(case)))
    file = tmp_path / "job.json"
    file.write_text(children(plan)[Child.CONFIG_MAP]["data"]["job.json"])
    assert loader_reads(file) == (plan.spec.load or plan.spec.script)


def test_the_loader_is_started_with_arguments_that_it_knows() -> None:
    from odp_loader.metrics import DEFAULT_PORT
    from odp_loader.store.secret import SECRETS_VARIABLE

    plan = plan_of(job())
    container = SimpleNamespace(**pod_specs(children(plan))["loader"]["containers"][0])
    assert container.command == ["python", "-m", "odp_loader"]
    assert container.args[:3] == ["/etc/odp-dask/job/job.json", "--port", str(DEFAULT_PORT)]
    assert SECRETS_VARIABLE in {variable["name"] for variable in container.env}
