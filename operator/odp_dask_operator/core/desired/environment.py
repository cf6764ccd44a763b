"""The environment variables of scheduler, workers and loader: Dask's configuration, the job's own, and the key."""

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
    variables = [*_defaults(plan, role), *own, *_tls(), *_fixed(plan, role)]
    return list({variable["name"]: variable for variable in variables}.values())


def _defaults(plan: Plan, role: Role) -> list[dict[str, Any]]:
    variables = [_plain("HOME", TMP), _plain("DASK_TEMPORARY_DIRECTORY", TMP)]
    if role is Role.WORKER and plan.streaming:
        variables += [_plain(name, value) for name, value in STREAMING_ENVIRONMENT.items()]
    if role is Role.SCHEDULER and plan.spec.load is not None:
        variables += [_plain(name, value) for name, value in SCHEDULER_ENVIRONMENT.items()]
    return variables


def _tls() -> list[dict[str, Any]]:
    """One certificate for all three; distributed checks that the CA signed it, and no host name."""
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
        routes = (_HTTP_API, *_HTTP_ROUTES) if plan.adaptive else _HTTP_ROUTES
        variables.append(_plain("DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES", repr(list(routes))))
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
