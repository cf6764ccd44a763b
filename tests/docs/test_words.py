"""What the documents name exists: files, headings, flags, fields, targets of make, values of the chart."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from odp_dask_operator.cli.app import app as cli
from odp_dask_operator.core import names
from odp_dask_operator.shell.main import app as operator
from odp_dask_operator.spec import OdpDaskJob, OdpDaskPreset, shape
from odp_dask_operator.spec.path import parse_path
from tests.support.documents import ROOT, Block, Document, commands, documents
from tests.support.yaml_documents import parsed

DOCUMENTS = documents()
SHELL = [block for document in DOCUMENTS for block in document.blocks if block.language == "sh"]
HOMES = [ROOT, ROOT / "images/loader", ROOT / "images/odp-server", ROOT / "operator"]
"""Where a path set as code begins."""
FOREIGN_FLAGS = {
    "--create-namespace",
    "--dry-run",
    "--force",
    "--force-conflicts",
    "--previous",
    "--server-side",
    "--take-ownership",
    "--wait",
}
"""Of kubectl and Helm, set as code in the prose."""


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_somewhere(document: Document) -> None:
    for link in document.links:
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (document.path.parent / name).resolve() if name else document.path
        assert target.exists(), link
        if anchor:
            assert anchor in Document(str(target.relative_to(ROOT))).anchors, link


@pytest.mark.parametrize(
    "document", [document for document in DOCUMENTS if not document.name.startswith("docs/reference")], ids=str
)
def test_fields_set_as_code_exist(document: Document) -> None:
    for word in document.code:
        if re.fullmatch(r"(spec|status)\.[\w.\[\]]+", word):
            path = parse_path(word)
            assert any(shape.at(kind, path) is not None for kind in (OdpDaskJob, OdpDaskPreset)), word


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_paths_set_as_code_exist(document: Document) -> None:
    made = re.findall(r"writes ([\w./-]+)", (ROOT / "Makefile").read_text())  # by somebody who runs make, at some time
    for word in (word for word in document.code if word not in made):
        first, slash, _ = word.partition("/")
        homes = [home for home in HOMES if slash and (home / first).is_dir() and re.fullmatch(r"\w[\w./-]*", word)]
        assert not homes or any((home / word).exists() for home in homes), word


@pytest.mark.parametrize("document", [document for document in DOCUMENTS if not document.name.startswith("charts")], ids=str)
def test_flags_set_as_code_exist(document: Document) -> None:
    known = {flag for flags in _flags().values() for flag in flags} | FOREIGN_FLAGS
    for word in document.code:
        if word.startswith("--"):
            assert re.split(r"[ =]", word)[0] in known, word


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_metrics_set_as_code_exist(document: Document) -> None:
    known = {*Document("docs/reference/metrics.md").code}
    for word in document.code:
        if re.match("odp_(dask|load)_(?!operator)", word):
            assert word in known, word


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_commands_have_the_flags_that_they_are_given(block: Block) -> None:
    for command in _simple_commands(block):
        program, *words = command
        if program in ("odp-dask", "odp-dask-operator"):
            name = " ".join([program, words.pop(0)]) if program == "odp-dask" and not words[0].startswith("-") else program
            assert name in _flags(), command
            assert {word.partition("=")[0] for word in words if re.match("--?[a-z]", word)} <= _flags()[name], command
        if program == "make":
            assert {word for word in words if "=" not in word} <= _targets(), command


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_commands_name_files_of_the_project_that_are_there(block: Block) -> None:
    chart = yaml.safe_load((ROOT / "charts/odp-dask-operator/Chart.yaml").read_text())
    for word in (word for command in _simple_commands(block) for word in command):
        if word.startswith("dist/"):
            assert word == f"dist/{chart['name']}-{chart['version']}.tgz"
        elif re.match(r"(\./)?(manifests|charts|docs|tests|tools|benchmarks|images)/", word):
            assert (ROOT / word).exists(), word


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_commands_set_values_that_the_chart_has(block: Block) -> None:
    for command in _simple_commands(block):
        if command[0] == "helm":
            for flag, value in pairwise(command):
                if flag in ("--set", "--set-string", "--set-json"):
                    _check_value(value.partition("=")[0])


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_values_files_have_values_that_the_chart_has(document: Document) -> None:
    for block in document.blocks:
        if block.use == "values":
            for path in _leaves(yaml.safe_load(block.text)):
                _check_value(path)


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_commands_select_what_there_is(block: Block) -> None:
    known = {f"{names.COMPONENT_LABEL}={names.LOADER}", f"{names.DASK_COMPONENT_LABEL}={names.DASK_WORKER}"}
    known |= {f"{key}={value}" for labels in _deployments().values() for key, value in labels.items()}
    for command in _simple_commands(block):
        for flag, value in pairwise(command):
            if flag == "--selector":
                assert {label for label in value.split(",") if not label.startswith(names.JOB_LABEL)} <= known, value
        assert {word for word in command if word.startswith("deployment/")} <= _deployments().keys(), command


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def _simple_commands(block: Block) -> Iterator[list[str]]:
    """Words of each command, pipelines and lists taken apart, variables in front left out."""
    for line in commands(block):
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word[0] not in "|&;":
                words.append(word.strip("()$"))
                continue
            while words and re.match(r"\w+=", words[0]):
                words.pop(0)
            if words:
                yield [Path(words[0]).name if words[0].startswith(".venv/bin/") else words[0], *words[1:]]
            words = []


@cache
def _flags() -> dict[str, set[str]]:
    """The flags of each of our commands."""
    group: Any = typer.main.get_command(cli)
    known = {f"odp-dask {name}": command for name, command in group.commands.items()}
    known |= {"odp-dask": group, "odp-dask-operator": typer.main.get_command(operator)}
    return {
        name: {"--help", "-h"} | {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
        for name, command in known.items()
    }


@cache
def _deployments() -> dict[str, dict[str, str]]:
    """The labels of the pods of each Deployment of an installation."""
    installed = parsed((ROOT / "manifests/install.yaml").read_text())
    deployments = [thing for thing in installed if thing["kind"] == "Deployment"]
    return {f"deployment/{each['metadata']['name']}": each["spec"]["template"]["metadata"]["labels"] for each in deployments}


@cache
def _targets() -> frozenset[str]:
    return frozenset(re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@cache
def _values() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((ROOT / "charts/odp-dask-operator/values.yaml").read_text())
    return values


def _check_value(path: str) -> None:
    """A list or an empty mapping takes anything; so do the section of the Dask operator's own chart and a preset of one's own."""
    at: Any = _values()
    for part in re.split(r"\.|\[", path):
        if not isinstance(at, dict) or not at or path.startswith(("dask-operator.", "presets.")):
            return
        assert part in at, f"values.yaml has no {path}"
        at = at[part]


def _leaves(values: dict[str, Any], before: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{before}{name}.")
        else:
            yield f"{before}{name}"
