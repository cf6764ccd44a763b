"""A container engine: runs an image as a restricted pod would, and shows what is in it."""

import hashlib
import json
import os
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCRIPT = Path(__file__).parents[2] / "tools/engine.sh"
USER = 10001
_AS_RESTRICTED = (
    "mount -o remount,bind,ro / && mount -t tmpfs tmpfs /tmp && "
    f'exec setpriv --reuid {USER} --regid {USER} --clear-groups --bounding-set=-all --no-new-privs "$@"'
)
"""What `buildah run` has no flags for, by a shell in the container."""


@dataclass(frozen=True)
class Engine:
    """docker, podman or buildah."""

    name: str

    def run(self, image: str, *command: str) -> str:
        """What a command prints as user 10001 with no capability, no network, a read-only root and a /tmp. It must succeed."""
        if self.name == "buildah":
            return self._run_by_buildah(image, command)
        restricted = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none")
        head, *rest = command
        return self("run", "--rm", f"--user={USER}:{USER}", *restricted, f"--entrypoint={head}", image, *rest)

    def _run_by_buildah(self, image: str, command: tuple[str, ...]) -> str:
        container = self("from", image).strip()
        try:
            as_root = ("--user=0:0", "--cap-add=CAP_SYS_ADMIN", "--network=none")
            return self("run", *as_root, container, "--", "sh", "-c", _AS_RESTRICTED, "sh", *command)
        finally:
            self("rm", container)

    def config(self, image: str) -> dict[str, Any]:
        """How the image is run: User, Env, Entrypoint, Cmd, Labels."""
        if self.name == "buildah":
            found: dict[str, Any] = json.loads(self("inspect", "--type=image", image))["OCIv1"]["config"]
        else:
            found = json.loads(self("image", "inspect", image))[0]["Config"]
        return found

    def save(self, image: str, archive: Path) -> None:
        """Writes the image as a docker-archive."""
        subprocess.run([_SCRIPT, "save", image, archive], env=os.environ | {"ENGINE": self.name}, check=True, capture_output=True)

    def remove(self, image: str) -> None:
        """Removes the image's name."""
        self(*(("rmi",) if self.name == "buildah" else ("image", "rm")), image)

    def __call__(self, *words: str) -> str:
        """What the engine prints. Raises AssertionError with what it says when it fails."""
        done = subprocess.run([self.name, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1800)
        assert done.returncode == 0, f"{self.name} {' '.join(words)}: {done.stderr[-3000:] or done.stdout[-3000:]}"
        return done.stdout


def find_engine() -> Engine | None:
    """The one that builds images here."""
    done = subprocess.run([_SCRIPT], capture_output=True, text=True)
    return Engine(done.stdout.strip()) if done.returncode == 0 else None


Entry = tuple[bytes, int, int, int, str, str]
"""Type, mode, owner, group, link, SHA-256: what a file is, its time left out."""


def layers(archive: Path) -> list[dict[str, Entry]]:
    """The files of each layer of a docker-archive, by path."""
    with tarfile.open(archive) as whole:
        manifest = whole.extractfile("manifest.json")
        assert manifest is not None
        return [_files(whole, name) for name in json.load(manifest)[0]["Layers"]]


def _files(whole: tarfile.TarFile, name: str) -> dict[str, Entry]:
    with tarfile.open(fileobj=whole.extractfile(name), mode="r:*") as layer:
        return {each.name: _entry(layer, each) for each in layer}


def _entry(layer: tarfile.TarFile, each: tarfile.TarInfo) -> Entry:
    body = layer.extractfile(each) if each.isreg() else None
    digest = hashlib.file_digest(body, "sha256").hexdigest() if body else ""  # type: ignore[arg-type] # reads, all it is asked for
    return each.type, each.mode, each.uid, each.gid, each.linkname, digest
