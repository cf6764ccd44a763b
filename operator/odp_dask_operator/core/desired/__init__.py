"""The objects that a job should have, one module a kind, each made from the plan."""

from odp_dask_operator.core.desired.manifest import applied, manifest, wanted
from odp_dask_operator.core.desired.secret import Certificate

__all__ = ["Certificate", "applied", "manifest", "wanted"]
