"""What a cluster would have, and the folders that stand for it here."""

import os
from pathlib import Path
from typing import Any

import pytest

from odp_dask_operator.local.bindings import Bindings, bind, import_path, names_in, on_volumes, volumes_of, write_config_map
from odp_dask_operator.local.environment import environment_of, link_secrets, set_environment
from odp_dask_operator.spec import OdpDaskJob
from odp_dask_operator.spec.document import Document
from odp_dask_operator.spec.faults import InvalidDocument, validate
from odp_loader.errors import CredentialsRefused, InvalidLoad, LoadError


def job(**spec: Any) -> OdpDaskJob:
    spec.setdefault("load", {"source": {"odp": {"dataset": "d"}}, "sink": {"parquet": {"url": "/data/out"}}})
    return validate(OdpDaskJob, Document({"metadata": {"name": "a", "namespace": "sea"}, "spec": {"scale": "small", **spec}}))


EVERYTHING: dict[str, Any] = {
    "credentials": {"secretName": "odp"},
    "env": [
        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s1", "key": "k"}}},
        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "c1", "key": "k"}}},
        {"name": "C", "value": "plain"},
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ],
    "envFrom": [{"secretRef": {"name": "s2"}}, {"prefix": "P_", "configMapRef": {"name": "c2", "optional": True}}],
    "volumes": [
        {"name": "v1", "persistentVolumeClaim": {"claimName": "claim"}},
        {"name": "v2", "secret": {"secretName": "s3"}},
        {"name": "v3", "configMap": {"name": "c3"}},
    ],
    "load": {
        "source": {"files": {"url": "s3://b/*.csv", "storage": {"secretName": "in"}}},
        "sink": {"parquet": {"url": "s3://b/x", "storage": {"secretName": "out"}}},
    },
}


def folder(place: Path, **files: str) -> Path:
    place.mkdir(parents=True)
    for name, text in files.items():
        (place / name).write_text(text)
    return place


def test_every_name_that_a_cluster_would_resolve_is_found() -> None:
    names = names_in(job(**EVERYTHING).spec)
    assert names.secrets == {"odp", "s1", "s2", "s3", "in", "out"}
    assert names.config_maps == {"c1", "c2", "c3"}
    assert names.volumes == {"v1", "v2", "v3"}
    assert names_in(job(load=None, script={"configMap": {"name": "code", "key": "main.py"}}).spec).config_maps == {"code"}


def test_flags_bind_names_to_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "keys")
    assert bind(job(**EVERYTHING).spec, secrets=["odp=keys"]).secrets == {"odp": tmp_path / "keys"}


def test_wrong_flags_are_told_all_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidDocument) as caught:
        bind(
            job(credentials={"secretName": "odp-api-key"}).spec,
            secrets=["odp-api-key", "odp-apikey=.", "other=.", f"odp-api-key={tmp_path}/none"],
            volumes=["data=."],
        )
    assert str(caught.value).splitlines() == [
        "--secret: 'odp-api-key' is not NAME=DIR",
        "--secret: the job names no Secret 'odp-apikey'; did you mean \"odp-api-key\"?",
        "--secret: the job names no Secret 'other'; it names odp-api-key",
        f"--secret: {tmp_path}/none is not a folder; odp-api-key needs one",
        "--volume: the job names no volume 'data'; it names none",
    ]


def test_the_environment_is_that_of_the_pods(tmp_path: Path) -> None:
    bindings = Bindings(
        secrets={
            "odp": folder(tmp_path / "odp", ODP_API_KEY="key\n"),
            "s1": folder(tmp_path / "s1", k="one"),
            "s2": folder(tmp_path / "s2", TOKEN="two", OTHER="three"),
            "in": folder(tmp_path / "in"),
            "out": folder(tmp_path / "out"),
        },
        config_maps={"c1": folder(tmp_path / "c1", k="map")},
    )
    assert environment_of(job(**EVERYTHING), bindings, given={}) == {
        "TOKEN": "two",
        "OTHER": "three",
        "A": "one",
        "B": "map",
        "C": "plain",
        "NAME": "a",
        "ODP_API_KEY": "key",
    }


@pytest.mark.parametrize(
    ("spec", "kind", "message"),
    [
        ({}, CredentialsRefused, "no API key for https://api.hubocean.earth/: export ODP_API_KEY=..."),
        (
            {"credentials": {"secretName": "odp"}},
            CredentialsRefused,
            "no API key for https://api.hubocean.earth/: export ODP_API_KEY=..., or bind the job's Secret: --secret odp=DIR"
            " (a folder with a file ODP_API_KEY)",
        ),
        (
            {"load": EVERYTHING["load"]},
            CredentialsRefused,
            "spec.load.source.files.storage.secretName: nothing stands for the Secret 'in' here; add --secret in=DIR"
            " (a folder with one file for each key),"
            " or use this machine's own credentials: --set spec.load.source.files.storage.secretName=",
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
            InvalidLoad,
            "spec.env[0].valueFrom.secretKeyRef: nothing stands for 's' here; add --secret s=DIR",
        ),
        (
            {"envFrom": [{"configMapRef": {"name": "c"}}]},
            InvalidLoad,
            "spec.envFrom[0]: nothing stands for 'c' here; add --config-map c=DIR",
        ),
    ],
)
def test_what_is_missing_is_named_with_the_flag_that_brings_it(spec: dict[str, Any], kind: type[LoadError], message: str) -> None:
    with pytest.raises(kind) as caught:
        environment_of(job(**spec), Bindings(), given={})
    assert str(caught.value) == message


def test_a_bound_folder_without_the_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialsRefused, match=f"--secret odp: {tmp_path} has no file ODP_API_KEY; write the key into it"):
        environment_of(job(credentials={"secretName": "odp"}), Bindings(secrets={"odp": tmp_path}), given={})
    env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    with pytest.raises(InvalidLoad, match=f"{tmp_path} has no file k; add it, or correct the key"):
        environment_of(job(env=env), Bindings(secrets={"s": tmp_path}), given={"ODP_API_KEY": "x"})


def test_what_is_optional_may_be_missing() -> None:
    env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": True}}}]
    assert (
        environment_of(
            job(env=env, envFrom=[{"secretRef": {"name": "s", "optional": True}}]), Bindings(), given={"ODP_API_KEY": "x"}
        )
        == {}
    )


def test_the_key_of_this_shell_is_enough_and_is_not_copied() -> None:
    assert environment_of(job(credentials={"secretName": "odp"}), Bindings(), given={"ODP_API_KEY": "x"}) == {}


def test_the_environment_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ODP_TEST_KEPT", "before")
    monkeypatch.delenv("ODP_TEST_NEW", raising=False)
    with set_environment({"ODP_TEST_KEPT": "during", "ODP_TEST_NEW": "x"}):
        assert (os.environ["ODP_TEST_KEPT"], os.environ["ODP_TEST_NEW"]) == ("during", "x")
    assert os.environ["ODP_TEST_KEPT"] == "before"
    assert "ODP_TEST_NEW" not in os.environ


def test_secrets_are_linked_so_that_rotated_files_are_seen(tmp_path: Path) -> None:
    place = folder(tmp_path / "s3", AWS_ACCESS_KEY_ID="old")
    links = link_secrets({"s3": place}, tmp_path / "links")
    (place / "AWS_ACCESS_KEY_ID").write_text("new")
    assert (links / "s3" / "AWS_ACCESS_KEY_ID").read_text() == "new"


def test_a_config_map_that_is_there_stands_for_its_volume_and_python_looks_into_it(tmp_path: Path) -> None:
    spec = job(
        volumes=[{"name": "code", "configMap": {"name": "mine"}}, {"name": "away", "configMap": {"name": "theirs"}}],
        volumeMounts=[{"name": "code", "mountPath": "/code"}, {"name": "away", "mountPath": "/away"}],
    ).spec
    bindings = Bindings(config_maps={"mine": tmp_path})
    volumes = volumes_of(spec, bindings)
    assert volumes == {"code": tmp_path}
    assert import_path(spec, "/code:/code/deep:/away:/codes:", volumes) == (str(tmp_path), f"{tmp_path}/deep", "/away", "/codes")
    assert import_path(spec, "", volumes) == ()
    by_flag = Bindings(config_maps={"mine": tmp_path}, volumes={"code": tmp_path / "mine"})
    assert volumes_of(spec, by_flag) == {"code": tmp_path / "mine"}


def on_volume(url: str, volumes: dict[str, Path]) -> str:
    spec = job(
        volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}, {"name": "deep", "emptyDir": {}}],
        volumeMounts=[{"name": "data", "mountPath": "/data", "subPath": "sub"}, {"name": "deep", "mountPath": "/data/deep"}],
        load={"source": {"files": {"url": url}}, "sink": {"parquet": {"url": "out"}}},
    ).spec
    load = on_volumes(spec, volumes)
    assert load is not None
    assert load.source.files is not None
    assert load.sink.parquet is not None
    assert load.sink.parquet.url == "out"
    return load.source.files.url


def test_paths_on_a_volume_move_to_the_folder_that_stands_for_it(tmp_path: Path) -> None:
    volumes = {"data": tmp_path / "a", "deep": tmp_path / "b"}
    assert on_volume("/data/x/*.csv", volumes) == f"{tmp_path}/a/sub/x/*.csv"
    assert on_volume("/data/deep/x", volumes) == f"{tmp_path}/b/x"
    assert on_volume("/database/x", volumes) == "/database/x"
    assert on_volume("s3://data/x", volumes) == "s3://data/x"
    with pytest.raises(
        InvalidDocument, match="/data/x is on the volume 'data' of a cluster; say what stands for it: --volume data=DIR"
    ):
        on_volume("/data/x", {})


def test_a_config_map_of_the_file_becomes_a_folder(tmp_path: Path) -> None:
    document = Document({"data": {"main.py": "print(1)"}, "binaryData": {"x.bin": "AAE="}})
    place = write_config_map(document, tmp_path / "maps" / "code")
    assert (place / "main.py").read_text() == "print(1)"
    assert (place / "x.bin").read_bytes() == b"\0\1"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"data": {"a": 5}}, "data.a: a ConfigMap has text under plain names; use quotes"),
        ({"data": {"../a": "x"}}, 'data["../a"]: a ConfigMap has text under plain names; use quotes'),
        ({"data": {"..": "x"}}, 'data[".."]: a ConfigMap has text under plain names; use quotes'),
        ({"data": "x"}, "data: a ConfigMap has text under plain names"),
        ({"binaryData": {"a": "?"}}, "binaryData.a: is not base64"),
    ],
)
def test_a_config_map_that_is_none_is_refused(tmp_path: Path, value: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        write_config_map(Document(value, {(): 3}, "job.yaml"), tmp_path / "code")
    assert str(caught.value) == f"job.yaml:3: {message}"


def test_a_script_cannot_have_a_volume_moved_under_it(tmp_path: Path) -> None:
    volumes = [{"name": "data", "emptyDir": {}}]
    with pytest.raises(InvalidDocument) as caught:
        bind(job(load=None, script={"module": "a"}, volumes=volumes).spec, volumes=[f"data={tmp_path}"])
    assert str(caught.value).startswith("--volume: a script sees the folders of this machine as they are; pass it the path")
