"""What the chart renders: images, flags, rights, presets, policies; for every way of setting its values."""

import re
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from odp_dask_operator.core.names import (
    COMPONENT_LABEL,
    DASHBOARD_PORT,
    DASK_COMPONENT_LABEL,
    DASK_SCHEDULER,
    LOADER,
    PROGRESS_PORT,
    SCHEDULER_PORT,
)
from odp_dask_operator.presets import BUILT_IN
from odp_dask_operator.shell.main import app
from odp_dask_operator.spec import OdpDaskPreset
from tests.support.chart_variants import LOCAL_IMAGES, MONITORED, NAMESPACED, TEAMS, VARIANTS
from tests.support.helm import RELEASE, SYSTEM, Chart, Thing, only
from tests.support.rights import OWN, SERVED
from tests.support.yaml_documents import parsed

ROOT = Path(__file__).parents[2]
DASK = f"{RELEASE}-dask-kubernetes-operator"
CLUSTERWIDE = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"}


def deployments(things: list[Thing]) -> dict[str, Thing]:
    """The pod of each Deployment by its name."""
    return {thing["metadata"]["name"]: thing["spec"]["template"]["spec"] for thing in things if thing["kind"] == "Deployment"}


def flags(things: list[Thing]) -> list[str]:
    """What the operator is started with."""
    container = deployments(things)[RELEASE]["containers"][0]
    words: list[str] = container["args"]
    return words


def images(things: list[Thing]) -> set[str]:
    """Every image of the release, the one that jobs run by default among them."""
    found = {container["image"] for pod in deployments(things).values() for container in pod["containers"]}
    return found | {flag.partition("=")[2] for flag in flags(things) if flag.startswith("--default-image=")}


def test_images_are_of_the_release_unless_told_otherwise(chart: Chart) -> None:
    assert images(chart.objects()) == {
        "ghcr.io/hubocean/odp-dask-operator:0.1.0",
        "ghcr.io/hubocean/odp-loader:0.1.0",
        "ghcr.io/dask/dask-kubernetes-operator:2026.3.0",
    }
    assert images(chart.objects(*LOCAL_IMAGES)) == {
        "localhost/odp-dask-operator:dev",
        "localhost/odp-loader:dev",
        "localhost/dask-operator:dev",
    }


def test_one_registry_and_one_login_reach_every_image(chart: Chart) -> None:
    things = chart.objects(*VARIANTS["air-gapped"])
    assert {image.rpartition("/")[0] for image in images(things)} == {"registry.example.org/mirror"}
    assert len(images(things)) == 3
    for name, pod in deployments(things).items():
        assert pod["imagePullSecrets"] == [{"name": "registry"}], name


def test_pods_never_pull_an_image_that_is_there(chart: Chart) -> None:
    pods = deployments(chart.objects(*LOCAL_IMAGES)).values()
    assert [container["imagePullPolicy"] for pod in pods for container in pod["containers"]] == ["IfNotPresent", "IfNotPresent"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_operator_knows_every_flag_that_it_is_given(chart: Chart, variant: str) -> None:
    known = {name for option in get_command(app).params for name in (*option.opts, *option.secondary_opts)}
    given = [flag.partition("=")[0] for flag in flags_of_any(chart.objects(*VARIANTS[variant]))]
    assert set(given) <= known
    assert {"--default-image", "--operator-namespace", "--dask-operator-namespace", "--lease-name"} <= set(given)


def flags_of_any(things: list[Thing]) -> list[str]:
    """What the operator is started with, whatever the release is called."""
    (words,) = (
        container["args"]
        for pod in deployments(things).values()
        for container in pod["containers"]
        if container["name"] == "operator"
    )
    found: list[str] = words
    return found


@pytest.mark.parametrize(("variant", "namespace"), [("default", SYSTEM), ("namespaced", SYSTEM), ("without-dask-operator", "dask")])
def test_the_operator_lets_the_dask_operator_in_where_it_runs(chart: Chart, variant: str, namespace: str) -> None:
    assert f"--dask-operator-namespace={namespace}" in flags(chart.objects(*VARIANTS[variant]))


def test_presets_are_those_of_the_laptop(chart: Chart) -> None:
    rendered = [thing for thing in chart.objects() if thing["kind"] == "OdpDaskPreset"]
    assert {thing["metadata"]["name"]: OdpDaskPreset.model_validate(bare(thing)).spec for thing in rendered} == {
        name: preset.spec for name, preset in BUILT_IN.items()
    }


def bare(thing: Thing) -> Thing:
    """Without what Helm and the API server need beside it."""
    return {**thing, "metadata": {"name": thing["metadata"]["name"]}}


def test_presets_are_made_after_their_kind_by_every_revision(chart: Chart) -> None:
    found = [thing["metadata"]["annotations"] for thing in chart.objects() if thing["kind"] == "OdpDaskPreset"]
    hook = {"helm.sh/hook": "post-install,post-upgrade,post-rollback", "helm.sh/hook-delete-policy": "before-hook-creation"}
    assert found == [hook, hook, hook]


def test_the_operator_has_the_rights_that_its_calls_need_and_no_others(chart: Chart) -> None:
    things = chart.objects()
    assert only(things, "ClusterRole", f"{RELEASE}-jobs")["rules"] == SERVED
    assert only(things, "Role", RELEASE)["rules"] == OWN
    granted = [verb for rule in (*SERVED, *OWN) if "secrets" in rule["resources"] for verb in rule["verbs"]]
    assert granted == ["create", "delete"]
    assert not any("*" in (*rule["resources"], *rule["verbs"], *rule["apiGroups"]) for rule in (*SERVED, *OWN))


def test_each_rule_names_the_call_that_needs_it() -> None:
    for name in ("served", "own"):
        lines = (ROOT / f"charts/odp-dask-operator/files/rbac/{name}.yaml").read_text().splitlines()
        rules = [index for index, line in enumerate(lines) if line.startswith("- ")]
        assert [lines[index] for index in rules if not lines[index - 1].startswith("# ")] == []


def test_a_namespaced_install_has_roles_only(chart: Chart) -> None:
    things = chart.objects(*NAMESPACED, "--set=crds.enabled=false")
    assert {thing["kind"] for thing in things} & CLUSTERWIDE == set()
    for team in TEAMS:
        (rules,) = (thing["rules"] for thing in things if named(thing) == ("Role", team, f"{RELEASE}-jobs"))
        assert rules == SERVED
    bound = {named(thing)[1]: thing["subjects"] for thing in things if thing["kind"] == "RoleBinding" and DASK in named(thing)[2]}
    assert bound == {team: [{"kind": "ServiceAccount", "name": DASK, "namespace": SYSTEM}] for team in TEAMS}
    (dask,) = deployments(things)[DASK]["containers"]
    assert [word for word in dask["args"] if word.startswith("--namespace=")] == [f"--namespace={team}" for team in TEAMS]
    assert [word for word in flags(things) if word.startswith("--namespace=")] == [f"--namespace={team}" for team in TEAMS]


def named(thing: Thing) -> tuple[str, str, str]:
    """Kind, namespace, name."""
    return thing["kind"], thing["metadata"].get("namespace", ""), thing["metadata"]["name"]


@pytest.mark.parametrize("variant", ["default", "namespaced"])
def test_people_gain_no_right_on_secrets_or_pods(chart: Chart, variant: str) -> None:
    roles = [thing for thing in chart.objects(*VARIANTS[variant]) if re.search("-(editor|viewer)$", thing["metadata"]["name"])]
    assert len(roles) == (2 if variant == "default" else 2 * len(TEAMS))
    for role in roles:
        reads = role["metadata"]["name"].endswith("viewer")
        granted = {resource: set(rule["verbs"]) for rule in role["rules"] for resource in rule["resources"]}
        assert granted["odpdaskpresets"] == {"get", "list", "watch"}
        assert (granted["odpdaskjobs"] == {"get", "list", "watch"}) is reads
        assert granted.keys() == {"odpdaskjobs", "odpdaskpresets"}
        aggregated = {label for label in role["metadata"]["labels"] if "aggregate-to" in label}
        expected = {"edit", "admin", *(["view"] if reads else [])} if role["kind"] == "ClusterRole" else set()
        assert aggregated == {f"rbac.authorization.k8s.io/aggregate-to-{name}" for name in expected}


def test_the_metrics_are_open_to_the_allowed_namespaces_only(chart: Chart) -> None:
    policy = only(chart.objects(*VARIANTS["monitored"]), "NetworkPolicy", RELEASE)
    (rule,) = policy["spec"]["ingress"]
    names = [peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for peer in rule["from"]]
    assert names == [SYSTEM, "monitoring", "ingress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 9090}]


def test_both_operators_reach_names_the_api_server_and_jobs_only(chart: Chart) -> None:
    things = chart.objects("--set=networkPolicy.apiServerPorts={16443}")
    reached = {}
    for name in (RELEASE, f"{RELEASE}-dask"):
        names, server, jobs = only(things, "NetworkPolicy", name)["spec"]["egress"]
        assert {port["port"] for port in names["ports"]} == {53, 5353}
        assert server == {"ports": [{"protocol": "TCP", "port": 16443}]}
        (peer,) = jobs["to"]
        reached[name] = (peer["podSelector"]["matchLabels"], {port["port"] for port in jobs["ports"]})
    assert reached == {
        RELEASE: ({COMPONENT_LABEL: LOADER}, {PROGRESS_PORT}),
        f"{RELEASE}-dask": ({DASK_COMPONENT_LABEL: DASK_SCHEDULER}, {SCHEDULER_PORT, DASHBOARD_PORT}),
    }
    assert "ingress" not in only(things, "NetworkPolicy", f"{RELEASE}-dask")["spec"]


@pytest.mark.parametrize("variant", ["default", "most"])
def test_each_network_policy_selects_a_pod(chart: Chart, variant: str) -> None:
    things = chart.objects(*VARIANTS[variant])
    labels = [thing["spec"]["template"]["metadata"]["labels"].items() for thing in things if thing["kind"] == "Deployment"]
    for thing in things:
        if thing["kind"] in ("NetworkPolicy", "PodDisruptionBudget"):
            selector = thing["spec"].get("podSelector") or thing["spec"]["selector"]
            assert len([pod for pod in labels if selector["matchLabels"].items() <= pod]) == 1, named(thing)


@pytest.mark.parametrize("name", [RELEASE, "dask-operator", "dask-kubernetes-operator", "odp", "x"])
def test_no_release_name_makes_two_objects_one(chart: Chart, name: str) -> None:
    done = chart.run("template", name, chart.folder, "--namespace=a", *MONITORED)
    names = [named(thing) for thing in parsed(done.stdout)]
    assert len(names) == len(set(names)) > 20


@pytest.mark.parametrize("variant", VARIANTS)
def test_all_objects_say_where_they_belong_and_whose_they_are(chart: Chart, variant: str) -> None:
    for thing in chart.objects(*VARIANTS[variant]):
        assert ("namespace" in thing["metadata"]) is (thing["kind"] not in CLUSTERWIDE), named(thing)
        if DASK not in thing["metadata"]["name"] and "dask-kubernetes" not in thing["metadata"]["name"]:
            assert thing["metadata"]["labels"]["app.kubernetes.io/instance"] == RELEASE, named(thing)
            assert thing["metadata"]["labels"].get("team") == ("ocean" if variant == "most" else None), named(thing)


def test_helm_shows_the_dask_operators_kinds_as_kubectl_applies_them(chart: Chart) -> None:
    shown = parsed(chart.run("show", "crds", chart.folder).stdout)
    names = {thing["spec"]["names"]["kind"] for thing in shown}
    assert names == {"DaskCluster", "DaskWorkerGroup", "DaskAutoscaler", "DaskJob"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_helm_lint_is_strict_and_content(chart: Chart, variant: str) -> None:
    done = chart.run("lint", "--strict", chart.folder, *VARIANTS[variant])
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("flag", "sentence"),
    [
        ("--set=presets.small.threads=1", "additional properties 'threads' not allowed"),
        ("--set=image.pullPolicy=Sometimes", "value must be one of 'Always', 'IfNotPresent', 'Never'"),
        ("--set=replicaCount=0", "minimum: got 0, want 1"),
        ("--set=global.namespaces={Team}", "does not match pattern"),
        ("--set=replicas=3", "additional properties 'replicas' not allowed"),
        ("--set=global.imagePullSecrets={registry}", "got string, want object"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(chart: Chart, flag: str, sentence: str) -> None:
    assert sentence in chart.refusal(flag)


def test_a_kubernetes_that_is_too_old_is_refused(chart: Chart) -> None:
    assert "Kubernetes v1.30.1 is too old" in chart.refusal("--kube-version=1.30.1")
    assert chart.objects("--kube-version=1.31.0")


def test_every_value_is_used(chart: Chart) -> None:
    texts = [file.read_text() for file in (chart.folder / "templates").iterdir()]
    used = {match for text in texts for match in re.findall(r"\.Values\.([a-zA-Z]+)", text)}
    values = yaml.safe_load((chart.folder / "values.yaml").read_text())
    assert used | {"dask-operator"} == set(values)
