"""Renders the chart into manifests for `kubectl apply --server-side`: everything but the presets, and the presets.

Two files, because kubectl asks for every kind of a file before it sends the first object of it.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import dask_chart
import yaml

ROOT = Path(__file__).resolve().parent.parent
HELM = ROOT / ".cache/bin/helm"
NAMESPACE = "odp-dask-system"
_HEADER = "# Rendered from charts/odp-dask-operator by tools/generate.py.\n"
_NAMESPACE = f"""---
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
"""
_OF_HELM = re.compile(r"^( *helm\.sh/chart: .*| *app\.kubernetes\.io/managed-by: Helm|# Source: .*)\n", re.MULTILINE)
_HOOK = re.compile(r"^  annotations:\n    helm\.sh/hook: .*\n    helm\.sh/hook-delete-policy: .*\n", re.MULTILINE)


def manifests() -> dict[str, str]:
    """The files by their path from the root. Needs Helm; exits with what it says when the chart cannot be rendered."""
    dask_chart.package(dask_chart.OURS / "charts")
    command = [HELM, "template", "odp-dask-operator", dask_chart.OURS, f"--namespace={NAMESPACE}", "--include-crds"]
    command += ["--set=crds.keep=false"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr.strip())
    documents = [_plain(text) for text in re.split(r"^---\n", done.stdout, flags=re.MULTILINE) if _kind(text)]
    presets = [text for text in documents if _kind(text) == "OdpDaskPreset"]
    others = [text for text in documents if _kind(text) != "OdpDaskPreset"]
    others.sort(key=lambda text: _kind(text) != "CustomResourceDefinition")
    return {
        "manifests/install.yaml": _HEADER + _NAMESPACE + "".join(f"---\n{text}" for text in others),
        "manifests/presets.yaml": _HEADER + "".join(f"---\n{text}" for text in presets),
    }


def _plain(document: str) -> str:
    """Without what only Helm reads. The Dask operator's kinds are 900 kB of indentation: they are written without it."""
    if "\n  group: kubernetes.dask.org\n" in document:
        return json.dumps(yaml.load(document, Loader=yaml.CSafeLoader), separators=(",", ":")) + "\n"
    return _HOOK.sub("", _OF_HELM.sub("", document))


def _kind(document: str) -> str:
    found = re.search(r"^kind: (\w+)$|\"kind\":\"(CustomResourceDefinition)\"", document, re.MULTILINE)
    return found[1] or found[2] if found else ""
