"""The environment variables of scheduler, workers and loader: Dask's configuration, the job's own, and the key.

What a DaskCluster says the Dask operator writes again into an annotation, a worker group and its annotation, and every Deployment:
scheduler and workers are told in few words.
"""

from enum import Enum
from typing import Any

from odp_dask_operator.core.names import Child
from odp_dask_operator.core.plan import OWN_FOLDER, TMP, Plan
from odp_dask_operator.spec.pod import API_KEY_VARIABLE
from odp_loader.memory import STREAMING_ENVIRONMENT
from odp_loader.scheduling import SCHEDULER_ENVIRONMENT

TLS_FOLDER = f"{OWN_FOLDER}/tls"
SECRETS_FOLDER = f"{OWN_FOLDER}/secrets"
"""One folder for each storage Secret."""
CONFIG_MAPS_FOLDER = f"{OWN_FOLDER}/config-maps"
"""One folder for each ConfigMap with a script."""
JOB_FOLDER = f"{OWN_FOLDER}/job"
JOB_FILE = "job.json"

_SECRETS_VARIABLE = "ODP_LOADER_SECRETS"
"""Where the loader looks for storage Secrets (`odp_loader.store.secret`, which reads files and is not imported here)."""
_ROUTES_VARIABLE = "DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES"
_HTTP_ROUTES = (
    "distributed.http.scheduler.prometheus",
    "distributed.http.scheduler.info",
    "distributed.http.scheduler.json",
    "distributed.http.health",
    "distributed.http.proxy",
    "distributed.http.statics",
)
"""distributed's own default. The variable replaces the list, so it has to be repeated."""
_HTTP_API = "distributed.http.scheduler.api"
"""By which the Dask operator asks how many workers an adaptive job needs and which may go. It has no login."""


class Role(Enum):
    """What a pod is for."""

    SCHEDULER = "scheduler"
    WORKER = "worker"
    LOADER = "loader"

    @property
    def computes(self) -> bool:
        """Whether rows, and therefore credentials, come here. The scheduler sees neither."""
        return self is not Role.SCHEDULER


def environment(plan: Plan, role: Role) -> list[dict[str, Any]]:
    """The variables of a role. A job may change the first ones and add its own; the last ones it may not touch."""
    own = [variable.model_dump(mode="json", by_alias=True, exclude_defaults=True) for variable in plan.spec.env]
    tls = _tls() if role is Role.LOADER or (role is Role.WORKER and plan.spec.script) else []
    variables = [*_defaults(plan, role), *own, *tls, *_fixed(plan, role)]
    return list({variable["name"]: variable for variable in variables}.values())


def _defaults(plan: Plan, role: Role) -> list[dict[str, Any]]:
    variables = [_plain("HOME", TMP)]
    if role is Role.WORKER and plan.streaming:
        variables += [_plain(name, value) for name, value in STREAMING_ENVIRONMENT.items()]
    if role is Role.SCHEDULER and plan.spec.load is not None:
        variables += [_plain(name, value) for name, value in SCHEDULER_ENVIRONMENT.items()]
    return variables


def tls_arguments() -> list[str]:
    """Of scheduler and workers, which listen and connect with them. No variable of a job's own can change them."""
    return ["--tls-ca-file", f"{TLS_FOLDER}/ca.crt", "--tls-cert", f"{TLS_FOLDER}/tls.crt", "--tls-key", f"{TLS_FOLDER}/tls.key"]


def _tls() -> list[dict[str, Any]]:
    """For programs that make a Client: the loader, a script, a script's tasks.

    One certificate for all three; distributed checks that the CA signed it, and no host name.
    """
    comm = "DASK_DISTRIBUTED__COMM__"
    return [
        _plain(f"{comm}DEFAULT_SCHEME", "tls"),
        _plain(f"{comm}REQUIRE_ENCRYPTION", "True"),
        _plain(f"{comm}TLS__CA_FILE", f"{TLS_FOLDER}/ca.crt"),
        *(
            _plain(f"{comm}TLS__{who}__{what}", f"{TLS_FOLDER}/{file}")
            for who in ("SCHEDULER", "WORKER", "CLIENT")
            for what, file in (("CERT", "tls.crt"), ("KEY", "tls.key"))
        ),
    ]


def _fixed(plan: Plan, role: Role) -> list[dict[str, Any]]:
    variables = []
    if role is Role.SCHEDULER:
        if plan.adaptive:
            variables.append(_plain(_ROUTES_VARIABLE, repr([_HTTP_API, *_HTTP_ROUTES])))
        elif plan.spec.env_from or any(variable.name == _ROUTES_VARIABLE for variable in plan.spec.env):
            variables.append(_plain(_ROUTES_VARIABLE, repr(list(_HTTP_ROUTES))))  # or the job could turn the API on
    else:
        variables.append(_plain("DASK_SCHEDULER_ADDRESS", plan.names.scheduler_address))
        variables.append(_plain(_SECRETS_VARIABLE, SECRETS_FOLDER))
    if role.computes and plan.spec.credentials:
        key = {"name": plan.spec.credentials.secret_name, "key": API_KEY_VARIABLE}
        variables.append({"name": API_KEY_VARIABLE, "valueFrom": {"secretKeyRef": key}})
    return variables


def _plain(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "value": value}


def tls_secret(plan: Plan) -> str:
    """The Secret with the certificate of the run."""
    return plan.names.of(Child.SECRET, run=plan.run)
