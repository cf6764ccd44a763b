"""What is kept of a failed test: objects, events and logs of its namespaces. Never a Secret's content."""

from pathlib import Path

from tests.e2e.cluster import Cluster

_KINDS = (
    "odpdaskjobs,odpdaskpresets,pods,jobs,deployments,services,configmaps,networkpolicies,"
    "daskclusters,daskworkergroups,daskautoscalers"
)


def save(cluster: Cluster, namespace: str, folder: Path) -> None:
    """Writes everything of a namespace into a folder; what cannot be read is noted there."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, words in (
        ("objects.yaml", ("get", _KINDS, "-o", "yaml")),
        ("overview.txt", ("get", _KINDS, "-o", "wide")),
        ("jobs.txt", ("describe", "odpdaskjobs")),
        ("events.txt", ("get", "events", "--sort-by=.lastTimestamp")),
        ("secrets.txt", ("get", "secrets")),
    ):
        done = cluster.try_kubectl("-n", namespace, *words)
        (folder / file).write_text(done.stdout + done.stderr)
    for pod in cluster.try_kubectl("-n", namespace, "get", "pods", "-o", "name").stdout.split():
        for suffix, more in (("log", ()), ("previous.log", ("--previous",))):
            done = cluster.try_kubectl("-n", namespace, "logs", pod, "--all-containers", "--timestamps", *more)
            if done.returncode == 0:
                (folder / f"{pod.removeprefix('pod/')}.{suffix}").write_text(done.stdout)
