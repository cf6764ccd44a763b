"""Alerts by their unit tests, and every query of the dashboard and the alerts on a Prometheus that scraped a running operator."""

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from odp_dask_operator.presets import BUILT_IN
from tests.support.apiserver import ROOT, api_server, until
from tests.support.by_hand import ByHand
from tests.support.chart_variants import VARIANTS
from tests.support.go_tools import ask, go_tool
from tests.support.helm import RELEASE, Chart, only
from tests.support.jobs import load_job
from tests.support.operator_process import operator
from tests.support.prometheus import Prometheus, program, prometheus

FILES = ROOT / "charts/odp-dask-operator/files/monitoring"
ALERTS: list[dict[str, Any]] = yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((FILES / "dashboard.json").read_text())
PANELS = {panel["title"]: panel for panel in DASHBOARD["panels"]}
QUERIES = {
    f"{title} {target['refId']}": target["expr"].replace("$job", ".*").replace("$__rate_interval", "1m")
    for title, panel in PANELS.items()
    for target in panel["targets"]
}
MAY_BE_EMPTY = {"Passes B"}
"""There is no sample of an error before the first one."""


def test_promtool_takes_the_alerts_and_their_unit_tests_pass() -> None:
    done = subprocess.run([program("promtool"), "check", "rules", FILES / "alerts.yaml"], capture_output=True, text=True)
    assert f"{len(ALERTS)} rules found" in done.stdout, done.stdout + done.stderr
    done = subprocess.run([program("promtool"), "test", "rules", ROOT / "tests/chart/alerts.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_seen_to_fire_and_leads_to_its_entry() -> None:
    tests = yaml.safe_load((ROOT / "tests/chart/alerts.yaml").read_text())["tests"]
    fired = {test["alertname"] for each in tests for test in each["alert_rule_test"] if test["exp_alerts"]}
    assert fired == {alert["alert"] for alert in ALERTS}
    for alert in ALERTS:
        assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{alert['alert'].lower()}"


def test_the_chart_carries_the_alerts_with_the_address_of_their_runbook(chart: Chart) -> None:
    rule = only(chart.objects(*VARIANTS["monitored"], "--set=monitoring.runbookURL=https://wiki/odp"), "PrometheusRule", RELEASE)
    (group,) = rule["spec"]["groups"]
    for there, alert in zip(group["rules"], ALERTS, strict=True):
        address = f"https://wiki/odp#{alert['alert'].lower()}"
        assert there == {**alert, "annotations": {**alert["annotations"], "runbook_url": address}}


def test_the_service_monitor_finds_the_metrics_of_the_operator(chart: Chart) -> None:
    things = chart.objects(*VARIANTS["monitored"])
    service, monitor = only(things, "Service", f"{RELEASE}-metrics"), only(things, "ServiceMonitor", RELEASE)
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (port,), (endpoint,) = service["spec"]["ports"], monitor["spec"]["endpoints"]
    assert endpoint == {"port": port["name"], "interval": "30s"}
    pod = only(things, "Deployment", RELEASE)["spec"]["template"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    (container,) = pod["spec"]["containers"]
    (number,) = (each["containerPort"] for each in container["ports"] if each["name"] == port["targetPort"])
    assert f"--metrics-port={number}" in container["args"]


def test_the_prometheus_operators_own_types_take_the_monitor_and_the_rules(chart: Chart) -> None:
    things = chart.objects(*VARIANTS["monitored"])
    monitor, rules = only(things, "ServiceMonitor", RELEASE), only(things, "PrometheusRule", RELEASE)
    wrong = {**monitor, "spec": {**monitor["spec"], "endpoint": []}}
    *fine, refused = ask(go_tool("monitoring-types"), [monitor, rules, wrong])
    assert fine == [{"error": ""}] * 2
    assert "unknown field" in refused["error"]


def test_the_chart_carries_the_dashboard(chart: Chart) -> None:
    carried = only(chart.objects(*VARIANTS["monitored"]), "ConfigMap", f"{RELEASE}-dashboard")
    assert carried["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(carried["data"]["odp-dask-operator.json"]) == DASHBOARD


def test_panels_stand_beside_each_other_and_say_what_they_show() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        assert panel["description"]
        taken |= cells
    assert max(x for x, _ in taken) == 23
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids) == len(PANELS)


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus beside an operator with a job that starts and one that has failed."""
    program("prometheus")
    folder = tmp_path_factory.mktemp("monitoring")
    with api_server(folder) as server, server.namespace() as namespace:
        server.install_crds()
        hand = ByHand(server, namespace)
        raw = BUILT_IN["small"].model_dump(mode="json", by_alias=True, exclude_none=True)
        hand.create({**raw, "metadata": {"name": "small"}})
        with operator(server.kubeconfig, folder, operator_namespace=namespace, namespaces=[namespace]) as process:
            hand.create(load_job("starts"))
            hand.create(load_job("fails", workers={"replicas": 40}))
            hand.is_at("fails", "Failed", "LimitExceeded")
            with prometheus(folder, scrapes=process.metrics_port) as running:
                twice = "min(count_over_time(odp_dask_job_failures_total[1m])) >= 3"
                until(lambda: bool(running.query(twice)), "the operator has been scraped", seconds=120)
                yield running


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_of_the_dashboard_finds_something(scraped: Prometheus, name: str) -> None:
    found = scraped.query(QUERIES[name])
    assert found or name in MAY_BE_EMPTY
    title, _, reference = name.rpartition(" ")
    (legend,) = (target["legendFormat"] for target in PANELS[title]["targets"] if target["refId"] == reference)
    for sample in found:
        assert set(re.findall(r"{{(\w+)}}", legend)) <= sample["metric"].keys()


def test_the_dashboard_tells_what_there_is(scraped: Prometheus) -> None:
    def value(name: str) -> float:
        (sample,) = scraped.query(QUERIES[name])
        return float(sample["value"][1])

    assert (value("Leaders A"), value("Replicas A"), value("Running A")) == (1, 1, 0)
    until(lambda: value("Waiting A") == 1, "the resync has counted the job that starts")
    reasons = {sample["metric"]["reason"] for sample in scraped.query(QUERIES["Failures by reason A"])}
    assert reasons == {"LimitExceeded"}


@pytest.mark.parametrize("alert", [alert["alert"] for alert in ALERTS])
def test_every_alert_asks_for_metrics_that_the_operator_has(scraped: Prometheus, alert: str) -> None:
    (expression,) = (each["expr"] for each in ALERTS if each["alert"] == alert)
    scraped.query(expression)
    for name in re.findall(r"odp_dask_\w+", expression):
        assert scraped.query(name) or name == "odp_dask_reconcile_errors_total"  # of which there is no sample before the first


def test_nothing_is_alarming_about_a_healthy_operator(scraped: Prometheus) -> None:
    meant = {"OdpDaskJobsDoNotStart"}  # nobody plays the Dask operator here
    alarming = {alert["alert"] for alert in ALERTS if alert["alert"] not in meant and scraped.query(alert["expr"])}
    assert alarming == set()
