"""What an installation of the operator says about all jobs."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Facts of one installation; the same for every job."""

    image: str
    """Image of scheduler, workers and loader, for jobs that name none."""
    namespace: str
    """Where the operator runs; its pods ask loaders for their progress."""
    dask_namespace: str
    """Where the Dask operator runs; its pods ask the scheduler of an adaptive job which workers may go."""
    allowed_namespaces: tuple[str, ...] = ()
    """Whose pods may open dashboards and metrics: an Ingress controller's, a monitoring system's, a JupyterHub's."""
    copied_labels: tuple[str, ...] = ("app.kubernetes.io/part-of",)
    """Labels that children take over from their job; an entry that ends in `/` stands for all keys with this prefix."""
    copied_annotations: tuple[str, ...] = ()
    """Annotations likewise."""
    user: int | None = 10001
    """User and group of the pods' processes; None where the platform assigns them, as OpenShift does."""
