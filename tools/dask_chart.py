"""Packages the Dask operator's chart out of the installed dask-kubernetes wheel, as the dependency that our chart names.

The chart in the wheel has placeholders for its version and its image's tag. It also knows nothing of our `global` values, so a few
of its lines are exchanged: each must be there exactly once, and a release that words one differently is refused.
"""

import importlib.metadata
import importlib.util
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
OURS = ROOT / "charts/odp-dask-operator"
NAME = "dask-kubernetes-operator"
_PULL_SECRETS = "concat .Values.imagePullSecrets (.Values.global.imagePullSecrets | default list)"
_IMAGE = (
    '{{ with .Values.global.imageRegistry }}{{ trimSuffix "/" . }}/{{ base $.Values.image.name }}'
    "{{ else }}{{ .Values.image.name }}{{ end }}"
)
_KOPF_ARGUMENTS = "          {{- with .Values.kopfArgs }}\n            {{- toYaml . | nindent 12 }}\n"
_NAMESPACE_ARGUMENTS = """          {{- range .Values.global.namespaces }}
            - --namespace={{ . }}
          {{- else }}
            {{- toYaml .Values.kopfArgs | nindent 12 }}
          {{- end }}
          {{- if .Values.global.namespaces }}
            - --standalone
            - /etc/kopf/namespaced.py
"""
_MOUNTS = "            {{- toYaml .Values.volumeMounts | nindent 12 }}\n"
_MOUNTS_AND_SETTINGS = f"""{_MOUNTS}          {{{{- if .Values.global.namespaces }}}}
            - name: kopf
              mountPath: /etc/kopf
              readOnly: true
          {{{{- end }}}}
"""
_VOLUMES = "        {{- toYaml .Values.volumes | nindent 8 }}\n"
_VOLUMES_AND_SETTINGS = f"""{_VOLUMES}      {{{{- if .Values.global.namespaces }}}}
        - name: kopf
          configMap:
            name: {{{{ include "dask_kubernetes_operator.fullname" . }}}}
      {{{{- end }}}}
"""
_PROBE = "          livenessProbe:\n"
_PROBES = """          startupProbe:  # on a busy node it takes longer to begin than the liveness probe has patience
            httpGet:
              path: /healthz
              port: 8080
            periodSeconds: 2
            timeoutSeconds: 5
            failureThreshold: 90
          livenessProbe:
"""
_NAMED = 'metadata:\n  name: {{ include "dask_kubernetes_operator.'
_PLACED = 'metadata:\n  namespace: {{ .Release.Namespace }}\n  name: {{ include "dask_kubernetes_operator.'
_OTHERS = "  # Application: other resources it produces and manipulates.\n"
_OWNERS_AND_OTHERS = f"""\
  # Application: what it makes blocks its owner's deletion, which OpenShift lets those only do who have this right.
  - apiGroups: [kubernetes.dask.org]
    resources: [daskclusters/finalizers, daskworkergroups/finalizers, daskjobs/finalizers, daskautoscalers/finalizers]
    verbs: [update]

{_OTHERS}"""
_CLUSTERWIDE = {".Values.rbac.cluster }}": "(not .Values.global.namespaces) }}"}
_IN_EACH_NAMESPACE = {
    "{{- if and .Values.rbac.create (not .Values.rbac.cluster) }}\n": "{{- range $namespace :="
    " .Values.rbac.create | ternary .Values.global.namespaces list }}\n---\n",
    "metadata:\n": "metadata:\n  namespace: {{ $namespace }}\n",
    'serviceAccountName" . }}-role\n': 'serviceAccountName" $ }}-role\n',
}
CHANGES: Mapping[str, Mapping[str, str]] = {
    "Chart.yaml": {"version: 0.0.1-set.by.chartpress": "version: {version}", 'appVersion: "2022.4.1"': 'appVersion: "{version}"'},
    "values.yaml": {'tag: "set-by-chartpress"': 'tag: "{version}"'},
    "templates/deployment.yaml": {
        _NAMED: _PLACED,
        "with .Values.imagePullSecrets": f"with {_PULL_SECRETS}",
        "{{ .Values.image.name }}": _IMAGE,
        _KOPF_ARGUMENTS: _NAMESPACE_ARGUMENTS,
        _PROBE: _PROBES,
        _MOUNTS: _MOUNTS_AND_SETTINGS,
        _VOLUMES: _VOLUMES_AND_SETTINGS,
    },
    "templates/serviceaccount.yaml": {_NAMED: _PLACED},
    "templates/clusterrole.yaml": {**_CLUSTERWIDE, _OTHERS: _OWNERS_AND_OTHERS},
    "templates/clusterrolebinding.yaml": _CLUSTERWIDE,
    "templates/role.yaml": {**_IN_EACH_NAMESPACE, _OTHERS: _OWNERS_AND_OTHERS},
    "templates/rolebinding.yaml": {
        **_IN_EACH_NAMESPACE,
        'serviceAccountName" . }}-rolebinding\n': 'serviceAccountName" $ }}-rolebinding\n',
        'serviceAccountName" . }}\n    namespace: {{ .Release': 'serviceAccountName" $ }}\n    namespace: {{ $.Release',
    },
}
"""By file of the wheel's chart: what is there, and what we need there."""
ADDITIONS: Mapping[str, str] = {
    "templates/configmap.yaml": """{{- if .Values.global.namespaces }}
apiVersion: v1
kind: ConfigMap
metadata:
  namespace: {{ .Release.Namespace }}
  name: {{ include "dask_kubernetes_operator.fullname" . }}
  labels:
    {{- include "dask_kubernetes_operator.labels" . | nindent 4 }}
data:
  # With Roles only, Kopf would try for two minutes to list namespaces and kinds before it does without.
  namespaced.py: |
    import kopf

    @kopf.on.startup()
    async def do_not_scan(settings, **_):
        settings.scanning.disabled = True
{{- end }}
"""
}
"""Files that the wheel's chart lacks."""


def source() -> Path:
    """The chart in the installed wheel. Exits with the next step when the wheel is not installed."""
    found = importlib.util.find_spec("dask_kubernetes")
    if found is None or found.origin is None:
        sys.exit("dask-kubernetes is not installed: run `make install`")
    return Path(found.origin).parent / "operator/deployment/helm" / NAME


def version() -> str:
    """Of the Dask operator: the wheel's, which must be the one that our chart asks for."""
    installed = importlib.metadata.version("dask-kubernetes")
    asked = {entry["name"]: entry["version"] for entry in yaml.safe_load((OURS / "Chart.yaml").read_text())["dependencies"]}
    if asked[NAME] != installed:
        sys.exit(f"Chart.yaml asks for {NAME} {asked[NAME]}, but dask-kubernetes {installed} is installed: change one of them")
    return installed


def adapted(name: str, text: str, *, version: str) -> str:
    """A file of the wheel's chart as we need it. Exits when a line that has to be exchanged is not there exactly once."""
    for there, wanted in CHANGES.get(name, {}).items():
        if text.count(there) != 1:
            sys.exit(f"{NAME} {version}: {name} has {there!r} {text.count(there)} times instead of once; adapt tools/dask_chart.py")
        text = text.replace(there, wanted.replace("{version}", version))
    return f"---\n{text}" if name.startswith("crds/") else text  # `helm show crds` puts nothing between two files


def chart() -> dict[str, str]:
    """The files of the chart as we need it, by their path in it."""
    number = version()
    files = {path.relative_to(source()).as_posix(): path for path in sorted(source().rglob("*")) if path.is_file()}
    return {name: adapted(name, path.read_text(), version=number) for name, path in files.items()} | ADDITIONS


def package(target: Path) -> None:
    """Writes the chart into a folder of its name below `target`, unless it is there already as it should be."""
    folder, files = target / NAME, chart()
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    if there.keys() == files.keys() and all(path.read_text() == files[name] for name, path in there.items()):
        return
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


if __name__ == "__main__":
    package(OURS / "charts")
