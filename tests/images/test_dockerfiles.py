"""What the Dockerfiles say: bases by an exact tag, packages by hash, an ordinary user, labels, nothing bound to a machine."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCTS = {
    "images/loader/Dockerfile": "images/loader/requirements.lock",
    "images/operator/Dockerfile": "requirements.lock",
    "images/odp-server/Dockerfile": "images/loader/requirements.lock",
}
LOCKS = {**PRODUCTS, "tests/e2e/images/dask-operator/Dockerfile": "tests/e2e/images/dask-operator/requirements.lock"}
"""Each Dockerfile over Python, and where it gets its packages from."""
ALL = (*LOCKS, "tests/e2e/images/versitygw/Dockerfile")
BASE = re.compile(r"^ARG PYTHON_IMAGE=(python:3\.11\.\d+-slim-bookworm)$", re.MULTILINE)
LABELS = ("title", "description", "source", "version", "revision", "created", "base.name")


def instructions(path: str) -> list[tuple[str, str]]:
    """Each instruction with its arguments, continued lines joined, comments left out."""
    lines = [line for line in (ROOT / path).read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())]


def test_every_dockerfile_is_known_here() -> None:
    found = {str(path.relative_to(ROOT)) for folder in ("images", "tests/e2e") for path in (ROOT / folder).rglob("Dockerfile")}
    assert found == set(ALL)


def test_all_have_the_same_base_by_an_exact_tag() -> None:
    bases = {path: BASE.findall((ROOT / path).read_text()) for path in LOCKS}
    assert all(len(found) == 1 for found in bases.values()), bases
    assert len({found[0] for found in bases.values()}) == 1, bases


@pytest.mark.parametrize("path", ALL)
def test_a_stage_begins_with_the_base_or_another_stage(path: str) -> None:
    stages = [rest.split() for word, rest in instructions(path) if word == "FROM"]
    names = {words[2] for words in stages if len(words) > 1}
    assert {words[0] for words in stages} <= {"${PYTHON_IMAGE}", *names} or stages == [["scratch"]]


@pytest.mark.parametrize(("path", "lock"), LOCKS.items())
def test_packages_come_from_the_lock(path: str, lock: str) -> None:
    found = instructions(path)
    copied = [source for word, rest in found if word == "COPY" for source in rest.split()[:-1]]
    assert lock in copied
    commands = [rest for word, rest in found if word == "RUN"]
    assert any("environment.sh lock requirements.lock" in command for command in commands)
    assert not [command for command in commands if re.search(r"\b(pip3? install|uv|apt-get|curl|wget)\b", command)]


def test_the_one_script_that_installs_checks_hashes_and_builds_nothing() -> None:
    script = (ROOT / "images/environment.sh").read_text()
    assert len(re.findall(r"\binstall --no-compile --no-deps --only-binary :all: ", script)) == 1
    calls = re.findall(r"^\s+install \S+ (.*)$", script, re.MULTILINE)
    assert calls == [
        '--require-hashes -r "$1"',
        "--require-hashes -r images/build.lock",
        "--no-index --prefix /own /tmp/wheels/*.whl",
    ]


@pytest.mark.parametrize("lock", sorted({*LOCKS.values(), "images/build.lock"}))
def test_a_lock_pins_every_package_by_hash_and_names_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text()
    entries = text.replace("\\\n", " ").splitlines()
    assert entries
    assert [entry for entry in entries if not re.match(r"^[a-z0-9.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry)] == []
    assert "index" not in text
    assert "://" not in text


def test_what_images_need_besides_has_the_versions_of_the_tests() -> None:
    def pins(lock: str) -> set[str]:
        return set(re.findall(r"^([a-z0-9.-]+==[^\s;]+)", (ROOT / lock).read_text(), re.MULTILINE))

    for lock in ("images/build.lock", "tests/e2e/images/dask-operator/requirements.lock"):
        assert pins(lock) <= pins("requirements-dev.lock")


@pytest.mark.parametrize("path", ALL)
def test_the_user_is_a_number_and_not_root(path: str) -> None:
    users = [rest for word, rest in instructions(path) if word == "USER"]
    assert len(users) == 1
    assert re.fullmatch(r"([1-9]\d{3,}):\1", users[0])


@pytest.mark.parametrize("path", PRODUCTS)
def test_labels(path: str) -> None:
    found = instructions(path)
    labels = dict(re.findall(r'org\.opencontainers\.image\.([a-z.]+)="([^"]+)"', dict(found)["LABEL"]))
    assert tuple(labels) == LABELS
    arguments = {rest.partition("=")[0] for word, rest in found if word == "ARG"}
    assert {value.removeprefix("$") for value in labels.values() if value.startswith("$")} <= arguments


@pytest.mark.parametrize("path", [*ALL, "images/environment.sh"])
def test_nothing_is_bound_to_an_architecture(path: str) -> None:
    assert not re.search(r"amd64|x86|arm64|aarch64|--platform", (ROOT / path).read_text())


def test_the_context_holds_what_dockerfiles_copy_and_nothing_else() -> None:
    first, *allowed = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert first == "*"
    kept = [line.removeprefix("!") for line in allowed if line.startswith("!")]
    sources = {
        source
        for path in ALL
        for word, rest in instructions(path)
        if word == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    }
    assert [source for source in sources if not any(source == path or source.startswith(f"{path}/") for path in kept)] == []
    assert [path for path in kept if not any(source == path or source.startswith(f"{path}/") for source in sources)] == []


def test_without_an_engine_it_says_what_to_install(tmp_path: Path) -> None:
    for name in ("dirname", "sh"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}" if Path(f"/usr/bin/{name}").exists() else f"/bin/{name}")
    environment = {**os.environ, "PATH": str(tmp_path), "ENGINE": ""}
    done = subprocess.run(["/bin/sh", ROOT / "tools/images.sh", "odp-loader"], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert "install docker with buildx (and start it), podman or buildah" in done.stderr


def test_an_unknown_image_is_refused() -> None:
    environment = {**os.environ, "ENGINE": "buildah"}
    done = subprocess.run([ROOT / "tools/images.sh", "loader"], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "there is no image loader" in done.stderr
