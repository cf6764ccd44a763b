"""What the API server says about wrong jobs and presets: each sentence, as a person sees it."""

import json
import os
from pathlib import Path
from typing import Any

from tests.support.apiserver import ApiServer
from tests.support.jobs import API, changed, load_job, odp_job, preset, script_job

GOLDEN = Path(__file__).parent / "golden" / "wrong.txt"

SINK = "spec.load.sink.parquet"
ODP = "spec.load.source.odp"
SECRET = {"secretKeyRef": {"name": "s", "key": "k"}}

WRONG: list[tuple[dict[str, Any], dict[str, Any]]] = [
    # exactly one of several
    (load_job(), {"spec.load": None}),
    (load_job(), {"spec.script": {"module": "a"}}),
    (load_job(), {"spec.load.source": {}}),
    (load_job(), {"spec.load.source.odp": {"dataset": "a"}}),
    (load_job(), {"spec.load.sink": {}}),
    (script_job(), {"spec.script": {}}),
    (script_job(), {"spec.script.configMap": {"name": "code", "key": "main.py"}}),
    (load_job(), {"spec.workers": {}}),
    (load_job(), {"spec.workers": {"replicas": 2, "minimum": 1}}),
    (load_job(), {"spec.workers": {"minimum": 1}}),
    (load_job(), {"spec.workers": {"maximum": 1}}),
    (load_job(), {"spec.workers": {"minimum": 3, "maximum": 2}}),
    (load_job(), {"spec.volumes": [{"name": "data"}]}),
    (load_job(), {"spec.volumes": [{"name": "data", "emptyDir": {}, "secret": {"secretName": "s"}}]}),
    (load_job(), {"spec.env": [{"name": "A", "value": "b", "valueFrom": SECRET}]}),
    (load_job(), {"spec.env": [{"name": "A", "valueFrom": {}}]}),
    (load_job(), {"spec.env": [{"name": "A", "valueFrom": {**SECRET, "fieldRef": {"fieldPath": "metadata.name"}}}]}),
    (load_job(), {"spec.envFrom": [{"prefix": "A_"}]}),
    (load_job(), {"spec.envFrom": [{"secretRef": {"name": "a"}, "configMapRef": {"name": "a"}}]}),
    # what depends on another field
    (load_job(), {"spec.volumeMounts": [{"name": "data", "mountPath": "/data"}]}),
    (load_job(), {"spec.volumes": [{"name": "a", "emptyDir": {}}], "spec.volumeMounts": [{"name": "b", "mountPath": "/b"}]}),
    (preset(), {"spec.workers.replicas": 21}),
    (preset(), {"spec.workers": {"minimum": 1, "maximum": 3}, "spec.limits": {"maxWorkers": 2}}),
    # the key stays out of the job
    (load_job(), {"spec.env": [{"name": "ODP_API_KEY", "value": "secret"}]}),
    # missing
    (load_job(), {"spec": None}),
    (load_job(), {"spec.scale": None}),
    (load_job(), {"spec.load.source": None}),
    (load_job(), {"spec.load.sink": None}),
    (load_job(), {f"{SINK}.url": None}),
    (odp_job(), {f"{ODP}.dataset": None}),
    (load_job(), {"spec.load.transform.aggregate": {"by": ["a"]}}),
    (load_job(), {"spec.dashboard.ingress": {}}),
    (load_job(), {"spec.credentials": {}}),
    (preset(), {"spec.worker.memory": None}),
    (preset(), {"spec.scheduler": {"cpu": 1}}),
    # names
    (load_job(), {"metadata.name": "a" * 41}),
    (load_job(), {"metadata.name": "1a"}),
    (load_job(), {"metadata.name": "a.b"}),
    (load_job(), {"spec.scale": "Small"}),
    (load_job(), {"spec.scale": ""}),
    (load_job(), {"spec.credentials": {"secretName": "My_Secret"}}),
    (load_job(), {"spec.imagePullSecrets": [{"name": "a/b"}]}),
    (load_job(), {"spec.serviceAccountName": "a b"}),
    (load_job(), {"spec.volumes": [{"name": "a.b", "emptyDir": {}}]}),
    (load_job(), {"spec.env": [{"name": "5A", "value": "b"}]}),
    (load_job(), {"spec.podLabels": {"a b": "x"}}),
    (load_job(), {"spec.podLabels": {"a": "-x"}}),
    (load_job(), {"spec.nodeSelector": {"": "x"}}),
    (load_job(), {"spec.podAnnotations": {"a" * 318: "x"}}),
    (script_job(), {"spec.script": {"configMap": {"name": "code", "key": "a/b"}}}),
    (script_job(), {"spec.script.module": "a b"}),
    (odp_job(), {f"{ODP}.dataset": "a b"}),
    # words
    (load_job(), {"spec.keepCluster": "never"}),
    (load_job(), {"spec.load.verify": "strict"}),
    (load_job(), {f"{SINK}.ifExists": "resume"}),
    (load_job(), {f"{SINK}.compression": "gzip"}),
    (load_job(), {"spec.load.transform.aggregate": {"by": ["a"], "columns": {"b": ["avg"]}}}),
    (load_job(), {"spec.load.source": {"files": {"url": "a", "format": "parquet"}}}),
    (load_job(), {"spec.dashboard.service.type": "ClusterIp"}),
    (load_job(), {"spec.tolerations": [{"operator": "exists"}]}),
    # forms
    (load_job(), {"spec.load.transform.map": "function"}),
    (load_job(), {"spec.dashboard.jupyterHubPrefix": "user/ada"}),
    (load_job(), {"spec.load.partitions.targetBytes": "12Q"}),
    (load_job(), {"spec.load.partitions.targetBytes": "1Ki"}),
    (load_job(), {"spec.load.partitions.targetBytes": 1}),
    (load_job(), {"spec.load.partitions.targetBytes": 1.5}),
    (load_job(), {"spec.volumes": [{"name": "a", "emptyDir": {"sizeLimit": "much"}}]}),
    (preset(), {"spec.worker.cpu": "two"}),
    (preset(), {"spec.worker.cpu": 0}),
    (preset(), {"spec.worker.cpu": 0.5}),
    (preset(), {"spec.worker.memory": "2Pi"}),
    (preset(), {"spec.worker.memory": "1Ki"}),
    # types
    (load_job(), {"spec.scale": 3}),
    (load_job(), {"spec.suspend": "true"}),
    (load_job(), {"spec.backoffLimit": "4"}),
    (odp_job(), {f"{ODP}.columns": "time"}),
    (odp_job(), {f"{ODP}.streams": 2.5}),
    (odp_job(), {f"{ODP}.vars": ["a"]}),
    (load_job(), {"spec.load": []}),
    (load_job(), {"spec.affinity": "node"}),
    # bounds
    (load_job(), {"spec.workers": {"replicas": 0}}),
    (load_job(), {"spec.workers": {"replicas": 1001}}),
    (load_job(), {"spec.backoffLimit": -1}),
    (load_job(), {"spec.startupDeadlineSeconds": 0}),
    (load_job(), {"spec.activeDeadlineSeconds": 2**31}),
    (load_job(), {"spec.load.partitions.maximum": 100_001}),
    (load_job(), {"spec.load.transform.filter": ""}),
    (load_job(), {"spec.load.transform.filter": "a" * 4097}),
    (odp_job(), {f"{ODP}.columns": []}),
    (load_job(), {"spec.load.transform.aggregate": {"by": [], "columns": {}}}),
    (load_job(), {"spec.load.transform.derive": {"a" * 257: "1"}}),
    (load_job(), {f"{SINK}.partitionOn": ["a", "b", "c", "d", "e"]}),
    (load_job(), {"spec.affinity": {"a": {}, "b": {}, "c": {}, "d": {}}}),
    (preset(), {"spec.worker.threads": 257}),
]


def test_each_wrong_object_is_refused_with_these_sentences(server: ApiServer, namespace: str) -> None:
    lines = []
    for thing, changes in WRONG:
        wrong = changed(thing, changes)
        answer = server.request("POST", f"{API}/namespaces/{namespace}/{thing['kind'].lower()}s", wrong, dryRun="All")
        assert answer.status == 422, wrong
        lines += ["", f"{thing['kind']} {_short(changes)}", *(f"  {field}: {sentence}" for field, sentence in answer.causes)]
    text = "\n".join(lines[1:]) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 200 else f"{text[:160]} ... {text[-20:]}"
