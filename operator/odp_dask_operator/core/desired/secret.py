"""The Secret with the certificate by which a run's pods know each other."""

import base64
from dataclasses import dataclass, field
from typing import Any

from odp_dask_operator.core.desired.metadata import metadata, run_label
from odp_dask_operator.core.names import Child
from odp_dask_operator.core.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A certificate for client and server use, its key, and the CA that signed it and is then forgotten. PEM, all three."""

    ca: bytes
    certificate: bytes
    key: bytes = field(repr=False)


def tls_secret(plan: Plan, certificate: Certificate) -> dict[str, Any]:
    """Created once; the operator cannot read it back."""
    resource = Child.SECRET.resource
    files = {"ca.crt": certificate.ca, "tls.crt": certificate.certificate, "tls.key": certificate.key}
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": metadata(plan, Child.SECRET, labels=run_label(plan)),
        "type": "Opaque",
        "immutable": True,
        "data": {name: base64.b64encode(content).decode() for name, content in files.items()},
    }
