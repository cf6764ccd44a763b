"""What stands on this machine for the Secrets, ConfigMaps and volumes that a job names."""

import base64
import binascii
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from odp_dask_operator.spec import JobSpec, shape
from odp_dask_operator.spec.document import Document
from odp_dask_operator.spec.faults import Fault, InvalidDocument
from odp_dask_operator.spec.meta import KEY_PATTERN
from odp_loader.spec import Load, Storage


@dataclass(frozen=True)
class Bindings:
    """Folders by the name that the job knows them by. Secrets and ConfigMaps have one file for each key."""

    secrets: Mapping[str, Path] = field(default_factory=dict)
    config_maps: Mapping[str, Path] = field(default_factory=dict)
    volumes: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Names:
    """What a job names and a cluster would have."""

    secrets: frozenset[str]
    config_maps: frozenset[str]
    volumes: frozenset[str]


def names_in(spec: JobSpec) -> Names:
    """Every Secret, ConfigMap and volume that the job's specification mentions."""
    return Names(frozenset(_secrets(spec)), frozenset(_config_maps(spec)), frozenset(volume.name for volume in spec.volumes))


def _secrets(spec: JobSpec) -> Iterator[str]:
    if spec.credentials:
        yield spec.credentials.secret_name
    for _, storage in storages(spec.load) if spec.load else ():
        if storage.secret_name:
            yield storage.secret_name
    for variable in spec.env:
        if variable.value_from and variable.value_from.secret_key_ref:
            yield variable.value_from.secret_key_ref.name
    for every in spec.env_from:
        if every.secret_ref:
            yield every.secret_ref.name
    for volume in spec.volumes:
        if volume.secret:
            yield volume.secret.secret_name


def _config_maps(spec: JobSpec) -> Iterator[str]:
    if spec.script and spec.script.config_map:
        yield spec.script.config_map.name
    for variable in spec.env:
        if variable.value_from and variable.value_from.config_map_key_ref:
            yield variable.value_from.config_map_key_ref.name
    for every in spec.env_from:
        if every.config_map_ref:
            yield every.config_map_ref.name
    for volume in spec.volumes:
        if volume.config_map:
            yield volume.config_map.name


def storages(load: Load) -> Iterator[tuple[str, Storage]]:
    """The `storage` settings of a load with their paths."""
    files, parquet = load.source.files, load.sink.parquet
    if files and files.storage:
        yield "spec.load.source.files.storage", files.storage
    if parquet and parquet.storage:
        yield "spec.load.sink.parquet.storage", parquet.storage


def bind(spec: JobSpec, *, secrets: Sequence[str] = (), config_maps: Sequence[str] = (), volumes: Sequence[str] = ()) -> Bindings:
    """The bindings that `NAME=DIR` flags ask for. Raises InvalidDocument for a folder or a name that does not exist."""
    names = names_in(spec)
    faults: list[Fault] = []
    bindings = Bindings(
        secrets=_folders("--secret", "Secret", secrets, names.secrets, faults),
        config_maps=_folders("--config-map", "ConfigMap", config_maps, names.config_maps, faults),
        volumes=_folders("--volume", "volume", volumes, names.volumes, faults),
    )
    if spec.script and bindings.volumes:
        message = "a script sees the folders of this machine as they are; pass it the path: --set spec.script.args=[DIR]"
        faults.append(Fault((), message, "--volume"))
    if faults:
        raise InvalidDocument(faults)
    return bindings


def _folders(flag: str, kind: str, values: Sequence[str], names: frozenset[str], faults: list[Fault]) -> dict[str, Path]:
    folders: dict[str, Path] = {}
    for value in values:
        name, separator, folder = value.partition("=")
        if not separator or not name or not folder:
            faults.append(Fault((), f"{value!r} is not NAME=DIR", flag))
        elif not Path(folder).is_dir():
            faults.append(Fault((), f"{folder} is not a folder; {name} needs one", flag))
        elif name not in names:
            close = shape.nearest(name, tuple(names))
            known = f'did you mean "{close}"?' if close else f"it names {', '.join(sorted(names)) or 'none'}"
            faults.append(Fault((), f"the job names no {kind} {name!r}; {known}", flag))
        else:
            folders[name] = Path(folder).absolute()
    return folders


def write_config_map(document: Document, folder: Path) -> Path:
    """A ConfigMap that came in the job's own file, as a folder with one file for each key. Raises InvalidDocument."""
    folder.mkdir(parents=True)
    for section in ("data", "binaryData"):
        for key, text in _section(document, section).items():
            place = f"{document.source}:{document.line((section, key))}"
            if not isinstance(text, str) or not re.fullmatch(KEY_PATTERN, key) or key in (".", ".."):
                raise InvalidDocument([Fault((section, key), "a ConfigMap has text under plain names; use quotes", place)])
            try:
                content = text.encode() if section == "data" else base64.b64decode(text, validate=True)
            except binascii.Error:
                raise InvalidDocument([Fault((section, key), "is not base64", place)]) from None
            (folder / key).write_bytes(content)
    return folder


def _section(document: Document, name: str) -> dict[str, Any]:
    section = document.value.get(name, {})
    if not isinstance(section, dict):
        place = f"{document.source}:{document.line((name,))}"
        raise InvalidDocument([Fault((name,), "a ConfigMap has text under plain names", place)])
    return section


def volumes_of(spec: JobSpec, bindings: Bindings) -> dict[str, Path]:
    """The folders that stand for the job's volumes: those that flags name, and ConfigMaps that are there already."""
    maps = {volume.name: volume.config_map.name for volume in spec.volumes if volume.config_map}
    own = {volume: bindings.config_maps[name] for volume, name in maps.items() if name in bindings.config_maps}
    return {**own, **bindings.volumes}


def import_path(spec: JobSpec, python_path: str, volumes: Mapping[str, Path]) -> tuple[str, ...]:
    """The entries of a job's PYTHONPATH, each that is on a volume moved to the folder that stands for it."""
    mounts = {mount.mount_path for mount in spec.volume_mounts if mount.name in volumes}
    entries = [entry for entry in python_path.split(os.pathsep) if entry]
    there = [any(PurePosixPath(entry).is_relative_to(mount) for mount in mounts) for entry in entries]
    return tuple(
        _moved(spec, entry, volumes, place="PYTHONPATH") if moves else entry for entry, moves in zip(entries, there, strict=True)
    )


def on_volumes(spec: JobSpec, volumes: Mapping[str, Path]) -> Load | None:
    """The job's load with every path below a volume's mount moved to the folder that stands for it.

    Raises InvalidDocument for a path on a volume that nothing stands for.
    """
    load = spec.load
    if load is None:
        return None
    if load.source.files:
        url = _moved(spec, load.source.files.url, volumes, place="spec.load.source.files.url")
        load = _with(load, source=_with(load.source, files=_with(load.source.files, url=url)))
    if load.sink.parquet:
        url = _moved(spec, load.sink.parquet.url, volumes, place="spec.load.sink.parquet.url")
        load = _with(load, sink=_with(load.sink, parquet=_with(load.sink.parquet, url=url)))
    return load


def _with(model: Any, **changes: Any) -> Any:
    return model.model_copy(update=changes)


def _moved(spec: JobSpec, url: str, volumes: Mapping[str, Path], *, place: str) -> str:
    deepest_first = sorted(spec.volume_mounts, key=lambda mount: len(mount.mount_path), reverse=True)
    for mount in deepest_first:
        path = PurePosixPath(url)
        if not path.is_relative_to(mount.mount_path):
            continue
        if mount.name not in volumes:
            message = f"{url} is on the volume {mount.name!r} of a cluster; say what stands for it: --volume {mount.name}=DIR"
            raise InvalidDocument([Fault((), f"{place}: {message}")])
        return str(volumes[mount.name] / (mount.sub_path or "") / path.relative_to(mount.mount_path))
    return url
