"""The objects of a job in flight as a file, and how they are put back as if the operator that made them had just been stopped."""

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.by_hand import PLACES, ByHand

Raw = dict[str, Any]
KINDS = [kind for kind in PLACES if kind not in ("OdpDaskPreset", "Event", "Lease")]
_OF_THE_SERVER = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?=Z|\.\d+Z|[.\d]*\+00:00)")
_FORMAT = "%Y-%m-%dT%H:%M:%S"


@dataclass(frozen=True, kw_only=True)
class Recording:
    """All objects of a namespace with one job."""

    operator: str
    """What made them: a release or a commit."""
    dask_kubernetes: str
    at: datetime.datetime
    namespaces: Mapping[str, str]
    """Those of the `job` and of the `operator`."""
    objects: tuple[Raw, ...]
    """Owners before what they own; the values of Secrets are left out."""

    def write(self, file: Path) -> None:
        """As YAML, which a person can compare with that of another release."""
        document = {**self.__dict__, "at": self.at.strftime(f"{_FORMAT}Z"), "objects": list(self.objects)}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(document, sort_keys=False, width=132))

    @classmethod
    def read(cls, file: Path) -> "Recording":
        """What was written."""
        document = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)
        at = datetime.datetime.strptime(document["at"], f"{_FORMAT}Z").replace(tzinfo=datetime.UTC)
        return cls(**{**document, "at": at, "objects": tuple(document["objects"])})


def objects_of(hand: ByHand) -> tuple[Raw, ...]:
    """All objects of a namespace as a recording has them."""
    found = [raw for kind in KINDS for raw in hand.all(kind)]
    for raw in found:
        raw.setdefault("apiVersion", _api_version(raw["kind"]))
        raw["metadata"].pop("managedFields", None)
        if raw["kind"] == "Secret":
            raw["data"] = dict.fromkeys(raw["data"], "")
    return tuple(_owners_first(found))


def put_back(recording: Recording, hand: ByHand, *, operator_namespace: str) -> Raw:
    """Make the objects again, with their status, as old as they were when they were recorded; returns the job.

    Names and references follow the UIDs that the API server gives. It also numbers generations anew: what was seen of the last one
    then counts as seen.
    """
    spaces = recording.namespaces
    exchanged = {spaces["job"]: hand.namespace, spaces["operator"]: operator_namespace}
    later = datetime.datetime.now(datetime.UTC) - recording.at
    made = {}
    for raw in recording.objects:
        before = raw["metadata"]
        thing = _exchange(raw, exchanged, later)
        new = hand.create(_as_asked_for(thing))
        exchanged[before["uid"]] = new["metadata"]["uid"]
        if raw["kind"] == "OdpDaskJob":
            exchanged[f"{before['name']}-{before['uid'][:5]}"] = f"{before['name']}-{new['metadata']['uid'][:5]}"
        if (status := thing.get("status")) and status != new.get("status"):  # the Dask kinds have no status apart
            for said in (status, *status.get("conditions", ())):
                if said.get("observedGeneration", -1) == before.get("generation"):
                    said["observedGeneration"] = new["metadata"]["generation"]
            hand.patch(raw["kind"], new["metadata"]["name"], status, status=True)
        made[raw["kind"]] = new
    return made["OdpDaskJob"]


def _api_version(kind: str) -> str:
    _, group, *rest = PLACES[kind].split("/")
    return rest[0] if group == "api" else f"{rest[0]}/{rest[1]}"


def _owners_first(things: list[Raw]) -> Iterator[Raw]:
    """In the order of KINDS, but for what is owned by one that comes later."""
    left, there = list(things), {raw["metadata"]["uid"] for raw in things}
    while left:
        waiting = there & {raw["metadata"]["uid"] for raw in left}
        first = next(raw for raw in left if not waiting & {owner["uid"] for owner in raw["metadata"].get("ownerReferences", ())})
        left.remove(first)
        yield first


def _exchange(raw: Raw, exchanged: Mapping[str, str], later: datetime.timedelta) -> Raw:
    def moved(match: re.Match[str]) -> str:
        return (datetime.datetime.strptime(match[0], _FORMAT) + later).strftime(_FORMAT)

    text = _MOMENT.sub(moved, json.dumps(raw))
    for old, new in exchanged.items():
        text = text.replace(old, new)
    found: Raw = json.loads(text)
    return found


def _as_asked_for(raw: Raw) -> Raw:
    """The object without what the API server gives it."""
    thing: Raw = {**raw, "metadata": {name: value for name, value in raw["metadata"].items() if name not in _OF_THE_SERVER}}
    left_out = {"Service": ("clusterIP", "clusterIPs"), "Job": ("selector",)}.get(raw["kind"], ())
    if "spec" in thing:
        thing["spec"] = {name: value for name, value in thing["spec"].items() if name not in left_out}
    if raw["kind"] == "Job":
        template = thing["spec"]["template"]["metadata"]
        own = ("controller-uid", "job-name")
        template["labels"] = {name: value for name, value in template["labels"].items() if name.rpartition("/")[2] not in own}
        thing["metadata"]["labels"] = {
            name: value for name, value in thing["metadata"]["labels"].items() if name.rpartition("/")[2] not in own
        }
    return thing
