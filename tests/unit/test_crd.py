"""The custom resource definitions as text: structural, bounded, small, documented, and the same as the files in the chart."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from odp_dask_operator.crd import job_definition, preset_definition, to_yaml
from odp_dask_operator.crd.rules import MUTABLE
from odp_dask_operator.spec import JobSpec, PresetSpec
from odp_dask_operator.spec.faults import PATTERNS

ROOT = Path(__file__).parents[2]
DEFINITIONS = [job_definition(), preset_definition()]
KINDS = [definition["spec"]["names"]["kind"] for definition in DEFINITIONS]
each_definition = pytest.mark.parametrize("definition", DEFINITIONS, ids=KINDS)


def schema_of(definition: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def places(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema within a schema, with its path."""
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from places(field, f"{path}.{name}")
    for name in ("items", "additionalProperties"):
        if name in schema:
            yield from places(schema[name], f"{path}[]")


@each_definition
def test_every_place_has_a_type_and_only_words_of_a_structural_schema(definition: dict[str, Any]) -> None:
    known = {"type", "format", "description", "properties", "required", "items", "additionalProperties", "default", "enum"}
    known |= {"minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}
    known |= {"x-kubernetes-validations", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"}
    known |= {"x-kubernetes-list-type", "x-kubernetes-list-map-keys"}
    for path, place in places(schema_of(definition)):
        assert set(place) <= known, path
        assert ("type" in place) != ("x-kubernetes-int-or-string" in place), path


@each_definition
def test_every_list_map_and_text_has_a_bound(definition: dict[str, Any]) -> None:
    for path, place in places(schema_of(definition)):
        match place.get("type"):
            case "string":
                assert "enum" in place or "maxLength" in place or path in (".apiVersion", ".kind"), path
            case "array":
                assert "maxItems" in place, path
                assert place["x-kubernetes-list-type"] == ("map" if path == ".status.conditions" else "atomic"), path
            case "object":
                assert "properties" in place or "maxProperties" in place, path


@each_definition
def test_nothing_is_added_to_the_items_of_a_list(definition: dict[str, Any]) -> None:
    """GitOps tools compare lists as a whole; what the API server added would look like a change for ever."""
    assert [path for path, place in places(schema_of(definition)) if "[]" in path and "default" in place] == []


def test_what_is_not_typed_is_what_kubernetes_cannot_type() -> None:
    untyped = [path for path, place in places(schema_of(DEFINITIONS[0])) if "x-kubernetes-preserve-unknown-fields" in place]
    assert untyped == [".spec.load.source.odp.vars", ".spec.affinity"]


@each_definition
def test_every_field_says_what_it_is(definition: dict[str, Any]) -> None:
    silent = [path for path, place in places(schema_of(definition)) if not place.get("description") and not path.endswith("[]")]
    assert silent == [".metadata", ".metadata.name"]


def test_the_words_of_an_enumeration_are_explained() -> None:
    field = schema_of(DEFINITIONS[0])["properties"]["spec"]["properties"]["keepCluster"]
    assert field["description"] == (
        "Whether the cluster outlives the job.\nNever: It is deleted when the job ends.\n"
        "OnFailure: It is kept for `keepClusterSeconds` when the job fails, to look into it."
    )


@each_definition
def test_it_is_small(definition: dict[str, Any]) -> None:
    assert len(json.dumps(definition, separators=(",", ":"))) < 256 * 1024


@pytest.mark.parametrize("model", [JobSpec, PresetSpec])
def test_every_pattern_has_a_sentence(model: Any) -> None:
    patterns = {place["pattern"] for place in dictionaries(model.model_json_schema()) if isinstance(place.get("pattern"), str)}
    assert patterns
    assert patterns <= set(PATTERNS)


def dictionaries(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from dictionaries(part)


def test_each_field_of_a_job_is_either_mutable_or_guarded() -> None:
    spec = schema_of(DEFINITIONS[0])["properties"]["spec"]
    guarded = {rule["fieldPath"].removeprefix(".") for rule in spec["x-kubernetes-validations"] if "oldSelf" in rule["rule"]}
    assert guarded | MUTABLE == set(spec["properties"])
    assert not guarded & MUTABLE


@each_definition
def test_it_reads_back_as_it_was_written(definition: dict[str, Any]) -> None:
    assert yaml.safe_load(to_yaml(definition)) == definition


def test_the_generated_files_are_those_of_the_code() -> None:
    done = subprocess.run([sys.executable, "tools/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_generating_does_not_depend_on_the_hash_seed() -> None:
    program = "from odp_dask_operator.crd import *; print(to_yaml(job_definition()) + to_yaml(preset_definition()))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert outputs == {"".join(map(to_yaml, DEFINITIONS)) + "\n"}
