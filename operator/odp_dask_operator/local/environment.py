"""The environment variables that a job's pods would have, for this process and the workers it starts."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from odp_dask_operator.local.bindings import Bindings, storages
from odp_dask_operator.spec import OdpDaskJob
from odp_dask_operator.spec.pod import API_KEY_VARIABLE, EnvFrom, EnvVar, KeyRef
from odp_loader.errors import CredentialsRefused, InvalidLoad


def environment_of(job: OdpDaskJob, bindings: Bindings, *, given: Mapping[str, str]) -> dict[str, str]:
    """What has to be added to the environment `given`.

    Raises CredentialsRefused when the API key or a storage's Secret is missing, InvalidLoad for another missing object.
    """
    added: dict[str, str] = {}
    for index, every in enumerate(job.spec.env_from):
        added |= _all_of(every, bindings, place=f"spec.envFrom[{index}]")
    for index, variable in enumerate(job.spec.env):
        value = _value(job, variable, bindings, place=f"spec.env[{index}]")
        if value is not None:
            added[variable.name] = value
    key = _api_key(job, bindings)
    if key is not None:
        added[API_KEY_VARIABLE] = key
    _require_credentials(job, bindings, {**given, **added})
    return added


@contextmanager
def set_environment(added: Mapping[str, str]) -> Iterator[None]:
    """Sets variables of this process, which its children inherit, and puts back what was there."""
    before = {name: os.environ.get(name) for name in added}
    os.environ.update(added)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def link_secrets(secrets: Mapping[str, Path], folder: Path) -> Path:
    """A folder as the pods would see it: one link for each Secret, so that rotated files are seen."""
    folder.mkdir()
    for name, place in secrets.items():
        (folder / name).symlink_to(place, target_is_directory=True)
    return folder


def _all_of(every: EnvFrom, bindings: Bindings, *, place: str) -> dict[str, str]:
    ref, folders, flag = (
        (every.secret_ref, bindings.secrets, "--secret")
        if every.secret_ref
        else (every.config_map_ref, bindings.config_maps, "--config-map")
    )
    assert ref is not None
    if ref.name not in folders:
        if ref.optional:
            return {}
        raise InvalidLoad(f"{place}: nothing stands for {ref.name!r} here; add {flag} {ref.name}=DIR")
    return {f"{every.prefix or ''}{file.name}": file.read_text() for file in sorted(folders[ref.name].iterdir()) if file.is_file()}


def _value(job: OdpDaskJob, variable: EnvVar, bindings: Bindings, *, place: str) -> str | None:
    source = variable.value_from
    if source is None:
        return variable.value or ""
    if source.secret_key_ref:
        return _key_of(source.secret_key_ref, bindings.secrets, "--secret", place=f"{place}.valueFrom.secretKeyRef")
    if source.config_map_key_ref:
        return _key_of(source.config_map_key_ref, bindings.config_maps, "--config-map", place=f"{place}.valueFrom.configMapKeyRef")
    assert source.field_ref is not None
    fields = {"metadata.name": job.metadata.name, "metadata.namespace": job.metadata.namespace or "default"}
    return fields.get(source.field_ref.field_path)


def _key_of(ref: KeyRef, folders: Mapping[str, Path], flag: str, *, place: str) -> str | None:
    if ref.name not in folders:
        if ref.optional:
            return None
        raise InvalidLoad(f"{place}: nothing stands for {ref.name!r} here; add {flag} {ref.name}=DIR")
    file = folders[ref.name] / ref.key
    if file.is_file():
        return file.read_text()
    if ref.optional:
        return None
    raise InvalidLoad(f"{place}: {folders[ref.name]} has no file {ref.key}; add it, or correct the key")


def _api_key(job: OdpDaskJob, bindings: Bindings) -> str | None:
    name = job.spec.credentials and job.spec.credentials.secret_name
    if not name or name not in bindings.secrets:
        return None
    file = bindings.secrets[name] / API_KEY_VARIABLE
    if not file.is_file():
        raise CredentialsRefused(f"--secret {name}: {bindings.secrets[name]} has no file {API_KEY_VARIABLE}; write the key into it")
    return file.read_text().strip()


def _require_credentials(job: OdpDaskJob, bindings: Bindings, environment: Mapping[str, str]) -> None:
    load = job.spec.load
    if load is None:
        return
    if load.source.odp and not environment.get(API_KEY_VARIABLE):
        name = job.spec.credentials.secret_name if job.spec.credentials else None
        other = f", or bind the job's Secret: --secret {name}=DIR (a folder with a file {API_KEY_VARIABLE})" if name else ""
        raise CredentialsRefused(f"no API key for {load.source.odp.base_url}: export {API_KEY_VARIABLE}=...{other}")
    for path, storage in storages(load):
        if storage.secret_name and storage.secret_name not in bindings.secrets:
            raise CredentialsRefused(
                f"{path}.secretName: nothing stands for the Secret {storage.secret_name!r} here;"
                f" add --secret {storage.secret_name}=DIR (a folder with one file for each key),"
                f" or use this machine's own credentials: --set {path}.secretName="
            )
