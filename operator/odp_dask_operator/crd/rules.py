"""What the API server checks beyond types and bounds: CEL rules, each with a sentence that says what to write instead."""

from collections.abc import Iterable, Mapping
from typing import Any

from odp_dask_operator.spec import meta
from odp_dask_operator.spec.faults import PATTERNS
from odp_dask_operator.spec.job import JobSpec
from odp_dask_operator.spec.pod import API_KEY_VARIABLE, EnvFrom, EnvVar, Volume
from odp_dask_operator.spec.preset import PresetSpec, Workers
from odp_dask_operator.spec.quantity import format_bytes_quantity, format_cpu
from odp_loader.spec import Script
from odp_loader.spec.model import OneOf

Rule = dict[str, Any]

MUTABLE = frozenset(
    {
        "suspend",
        "backoffLimit",
        "activeDeadlineSeconds",
        "startupDeadlineSeconds",
        "progressDeadlineSeconds",
        "ttlSecondsAfterFinished",
    }
)
"""The fields of a job's spec that may change."""


def _rule(rule: str, message: str, **more: str) -> Rule:
    return {"rule": rule, "message": message, **more}


def _exactly_one(names: Iterable[str]) -> Rule:
    names = list(names)
    if len(names) == 1:
        return _rule(f"has(self.{names[0]})", f"set {names[0]}, which is the only kind so far")
    given = ", ".join(f"has(self.{name})" for name in names)
    return _rule(f"[{given}].filter(x, x).size() == 1", f"set exactly one of {', '.join(names)}, and leave the others out")


JOB_NAME = [
    _rule(
        f"size(self.metadata.name) <= 40 && self.metadata.name.matches('{meta.JOB_NAME_PATTERN}')",
        "metadata.name: use at most 40 lower-case letters, digits and '-', a letter first, no '-' last;"
        " the objects made for the job add to its name",
        fieldPath=".metadata",
    )
]

_WORKERS = [
    _rule(
        "!(has(self.replicas) && (has(self.minimum) || has(self.maximum)))",
        "set replicas, or minimum and maximum, not both",
    ),
    _rule("has(self.replicas) || (has(self.minimum) && has(self.maximum))", "set replicas, or both minimum and maximum"),
    _rule(
        "!(has(self.minimum) && has(self.maximum)) || self.minimum <= self.maximum",
        "minimum is greater than maximum; exchange them, or set replicas for a fixed number",
    ),
]

_JOB = [
    _exactly_one(["load", "script"]),
    _rule(
        "!has(self.volumeMounts) || self.volumeMounts.all(m, has(self.volumes) && self.volumes.exists(v, v.name == m.name))",
        "volumeMounts names a volume that is not in volumes; add it there, or correct the name",
    ),
]

_ENV = [
    _rule("!(has(self.value) && has(self.valueFrom))", "set value or valueFrom, not both"),
    _rule(
        f"self.name != '{API_KEY_VARIABLE}' || !has(self.value)",
        "the API key does not belong in a job; put it into a Secret and name that in spec.credentials.secretName",
    ),
]

_PRESET = [
    _rule(
        "!has(self.limits) || ((!has(self.workers.replicas) || self.workers.replicas <= self.limits.maxWorkers)"
        " && (!has(self.workers.maximum) || self.workers.maximum <= self.limits.maxWorkers))",
        "workers asks for more than limits.maxWorkers; raise the limit or ask for fewer",
    )
]

_MODELS: Mapping[type, list[Rule]] = {
    JobSpec: _JOB,
    Workers: _WORKERS,
    Script: [_exactly_one(["configMap", "module"])],
    EnvVar: _ENV,
    EnvFrom: [_exactly_one(["secretRef", "configMapRef"])],
    Volume: [_exactly_one(["configMap", "secret", "persistentVolumeClaim", "emptyDir"])],
    PresetSpec: _PRESET,
}


def of_model(model: type) -> list[Rule]:
    """What is asked of an object as a whole, as the type's own validators ask it."""
    if issubclass(model, OneOf):
        return [_exactly_one(field.alias or name for name, field in model.model_fields.items())]
    return list(_MODELS.get(model, []))


def immutable(fields: Iterable[str]) -> list[Rule]:
    """One rule for each field of a job that never changes; adding and removing it are changes too."""
    return [
        _rule(
            f"has(self.{name}) == has(oldSelf.{name}) && (!has(self.{name}) || self.{name} == oldSelf.{name})",
            f"{name} cannot change once the job exists; make a new job with another name",
            fieldPath=f".{name}",
        )
        for name in fields
        if name not in MUTABLE
    ]


def matching(pattern: str) -> Rule:
    """A text has the form that its type asks for; the sentence is the one that is said offline."""
    return _rule(f"self.matches(r'{pattern}')", PATTERNS[pattern])


def for_keys(names: Mapping[str, Any]) -> list[Rule]:
    """The keys of a map have the length and form that the type of its names asks for."""
    least, most = names.get("minLength", 0), names.get("maxLength")
    asked = [_rule(f"self.all(key, size(key) >= {least} && size(key) <= {most})", f"a name here has {least} to {most} characters")]
    for rule in names.get("x-kubernetes-validations", ()):
        asked.append(_rule(f"self.all(key, {rule['rule'].replace('self.', 'key.')})", f"for the names here {rule['message']}"))
    return asked


_FORMS = {
    "bytes": (r"^[0-9]{1,16}([.][0-9]{1,9})?([kMGT]|[KMGT]i)?$", format_bytes_quantity, "a quantity such as 128Mi or 4Gi"),
    "cpu": (r"^([0-9]{1,9}m|[0-9]{1,9}([.][0-9]{1,3})?)$", format_cpu, "an amount of processor time such as 2 or 500m"),
}


def quantity(kind: str, least: int, most: int) -> Rule:
    """An amount of bytes or of processor time is readable and within its bounds."""
    form, written, words = _FORMS[kind]
    text, low, high = "string(self)", written(least), written(most)
    bounds = f"quantity({text}).compareTo(quantity('{low}')) >= 0 && quantity({text}).compareTo(quantity('{high}')) <= 0"
    return _rule(f"{text}.matches(r'{form}') && {bounds}", f"write {words}, from {low} to {high}")
