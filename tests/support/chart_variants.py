"""The ways in which people set the chart's values."""

from collections.abc import Mapping

MONITORED = tuple(f"--set=monitoring.{part}.enabled=true" for part in ("serviceMonitor", "prometheusRule", "dashboard"))
LOCAL_IMAGES = (
    "--set=global.imageRegistry=localhost",
    "--set=image.tag=dev,loader.image.tag=dev",
    "--set=dask-operator.image.name=dask-operator,dask-operator.image.tag=dev",
)
TEAMS = ("team-a", "team-b")
NAMESPACED = (f"--set=global.namespaces={{{','.join(TEAMS)}}}",)
OPENSHIFT = (
    "--set=user=0",
    "--set=dask-operator.securityContext.runAsUser=null",
    "--set=dask-operator.securityContext.runAsGroup=null",
)
VARIANTS: Mapping[str, tuple[str, ...]] = {
    "default": (),
    "namespaced": NAMESPACED,
    "without-dask-operator": ("--set=dask-operator.enabled=false,daskOperatorNamespace=dask",),
    "air-gapped": ("--set=global.imageRegistry=registry.example.org/mirror/", "--set=global.imagePullSecrets[0].name=registry"),
    "local-images": LOCAL_IMAGES,
    "one-replica": ("--set=replicaCount=1",),
    "monitored": (*MONITORED, "--set=jobs.allowedNamespaces={monitoring,ingress}"),
    "openshift": OPENSHIFT,
    "least": (
        "--set=crds.enabled=false,rbac.create=false,networkPolicy.enabled=false,dask-operator.enabled=false",
        "--set=serviceAccount.create=false,serviceAccount.name=operator",
        "--set=presets.small=null,presets.medium=null,presets.large=null",
    ),
    "most": (
        *MONITORED,
        "--set=commonLabels.team=ocean,podAnnotations.note=x,nodeSelector.disk=ssd,priorityClassName=system-cluster-critical",
        "--set=serviceAccount.annotations.note=x,fullnameOverride=odp,extraArgs[0]=--verbose",
        "--set=extraEnv[0].name=HTTPS_PROXY,extraEnv[0].value=http://proxy.example.org:3128",
        "--set=tolerations[0].key=dedicated,tolerations[0].operator=Exists",
        '--set-json=affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms=[{"matchFields":[]}]',
        "--set=jobs.copyLabels={a/,b},jobs.copyAnnotations={c},monitoring.serviceMonitor.labels.release=prometheus",
    ),
}
