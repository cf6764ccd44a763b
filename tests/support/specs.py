"""Objects made up from a schema: most of them right, each with a few things that are wrong, the same for the same seed."""

import random
import re
from typing import Any

from tests.support.apiserver import CRDS
from tests.support.yaml_documents import parsed

_WORDS = """
small auto a a-b a.b a/b example.com/team A Team_1 -a a- 1a é ø.b package.module package.module:function a:b:c é:f /user/ada/ user
日本 / 10Gi 1.5Gi 1ki 2Pi 0 00 1e3 \u0663 1d80-1817 s3://bucket/sst out true null $a \U0001f30a metadata.name ODP_API_KEY
"""
TEXTS = (
    *_WORDS.split(),
    "",
    "a b",
    "1 Gi",
    "a\n",
    "/\n",
    "\u0000",
    "9" * 17,
    "é" * 253,
    *("x" * n for n in (40, 41, 63, 64, 253, 254, 318)),
)
BYTES: tuple[Any, ...] = ("128Mi", "1.5Gi", "2Gi", 2**20, 134217728)
CPU: tuple[Any, ...] = ("500m", "2", "0.5", 1)
_AMOUNTS = "64Ki 1Ki 1ki 2Pi \u0663Mi 1.2345 0 0m 9999999999m 1001 .5 5. 1e3 -1 +1"
AMOUNTS = (*BYTES, *CPU, *_AMOUNTS.split(), "", "2 Gi", " 2Gi", "2Gi\n", "9" * 400, 0, -1, 2**51, 2**63)
WHOLE = (
    *(-(2**63), -1, 0, 1, 2, 3, 5, 20, 21, 42, 100, 101, 256, 1000, 1001, 1024, 100_000),
    *(2**31 - 1, 2**31, 10**12, 2**63 - 1, 2**63, 10**20),
)
WRONG = (True, 0, 1.5, "text", [], [1], {}, {"a": 1}, "")
ANYTHING = ("text", "", 3, -0.5, True, 10**20, "2024-01-01T00:00:00Z", [1], {"a": {"b": None}})


def spec_schema(kind: str) -> dict[str, Any]:
    """The schema of a kind's spec, as the API server has it."""
    (definition,) = parsed((CRDS / f"{kind.lower()}s.yaml").read_text())
    found: dict[str, Any] = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def made_up(kind: str, schema: dict[str, Any], seed: int, *, name: str = "a") -> dict[str, Any]:
    """A job or a preset."""
    chance = random.Random(seed)
    wrong = chance.choice((0, 0, 0.01, 0.05))
    spec = make(schema, chance, wrong)
    if isinstance(spec, dict) and chance.random() >= wrong:
        name_mounts(spec)
    name = chance.choice(TEXTS) if chance.random() < wrong else name
    return {"apiVersion": "odpdask.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def name_mounts(spec: dict[str, Any]) -> None:
    """Let the mounts name volumes that are there."""
    volumes, mounts = spec.get("volumes"), spec.get("volumeMounts")
    if isinstance(volumes, list) and isinstance(mounts, list):
        names = [volume["name"] for volume in volumes if isinstance(volume, dict) and "name" in volume]
        if not names:
            del spec["volumeMounts"]
        for mount in mounts:
            if isinstance(mount, dict) and names:
                mount["name"] = names[0]


def make(schema: dict[str, Any], chance: random.Random, wrong: float) -> Any:
    """A value for a schema; with the probability `wrong`, at each place, one that is not right there."""
    if chance.random() < wrong / 2:
        return chance.choice(WRONG)
    careless = chance.random() < wrong
    if schema.get("x-kubernetes-int-or-string"):
        right = CPU if "processor" in schema["x-kubernetes-validations"][0]["message"] else BYTES
        return chance.choice(AMOUNTS if careless else right)
    if "enum" in schema:
        return chance.choice(TEXTS if careless else schema["enum"])
    match schema["type"]:
        case "string":
            return chance.choice(TEXTS if careless else [text for text in TEXTS if _fits(text, schema)])
        case "integer":
            least, most = schema.get("minimum", -(2**63)), schema.get("maximum", 2**63 - 1)
            return chance.choice(WHOLE if careless else [number for number in WHOLE if least <= number <= most])
        case "boolean":
            return chance.random() < 0.5
        case "array":
            count = chance.randint(0 if careless else schema.get("minItems", 0), 3)
            return [make(schema["items"], chance, wrong) for _ in range(count)]
        case _:
            return _object(schema, chance, wrong, careless)


def _object(schema: dict[str, Any], chance: random.Random, wrong: float, careless: bool) -> dict[str, Any]:
    if values := schema.get("additionalProperties"):
        keys = [text for text in TEXTS if careless or _is_key(text, schema)]
        count = chance.randint(0 if careless else schema.get("minProperties", 0), 2)
        return {key: make(values, chance, wrong) for key in chance.sample(keys, min(count, len(keys)))}
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return {chance.choice(TEXTS): chance.choice(ANYTHING) for _ in range(chance.randint(0, 2))}
    fields = schema["properties"]
    present = set(fields) if careless else _chosen(schema, chance)
    made = {name: make(field, chance, wrong) for name, field in fields.items() if name in present}
    if careless and made:
        made.pop(chance.choice(sorted(made)))
    if chance.random() < wrong / 4:
        made["unknown"] = chance.choice(ANYTHING)
    return made


def _chosen(schema: dict[str, Any], chance: random.Random) -> set[str]:
    """What is required, some of the rest, and one of those of which exactly one is asked."""
    fields = set(schema["properties"])
    present = set(schema.get("required", [])) | {name for name in sorted(fields) if chance.random() < 0.25}
    if {"replicas", "minimum", "maximum"} == fields:
        return {"replicas"} if chance.random() < 0.5 else {"minimum", "maximum"}
    for rule in schema.get("x-kubernetes-validations", []):
        if rule["message"].startswith("set ") and "oldSelf" not in rule["rule"]:
            several = sorted(re.findall(r"has\(self\.(\w+)\)", rule["rule"]))
            present = present - set(several) | {chance.choice(several)}
    if "volumeMounts" in present:
        present.add("volumes")
    return present


def _fits(text: str, schema: dict[str, Any]) -> bool:
    within = schema.get("minLength", 0) <= len(text) <= schema["maxLength"]
    return within and all(re.search(pattern, text) for pattern in _patterns(schema, "self.matches"))


def _is_key(text: str, schema: dict[str, Any]) -> bool:
    return 1 <= len(text) <= 64 and all(re.search(pattern, text) for pattern in _patterns(schema, "key.matches"))


def _patterns(schema: dict[str, Any], call: str) -> list[str]:
    rules = "\n".join(rule["rule"] for rule in schema.get("x-kubernetes-validations", []))
    return re.findall(re.escape(call) + r"\(r'(.*?)'\)", rules)
