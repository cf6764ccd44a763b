"""The custom resource definitions, made from the types: what `kubectl apply` checks and `kubectl explain` shows."""

from odp_dask_operator.crd.definition import job_definition, preset_definition
from odp_dask_operator.crd.text import to_yaml

__all__ = ["job_definition", "preset_definition", "to_yaml"]
