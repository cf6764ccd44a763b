"""What follows a file has its digest and its size at the end, in however many steps it was written."""

import hashlib
import random
from pathlib import Path

import pytest

from odp_loader.sink.trail import Trail, settle


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("steps", [[0], [1], [5, 0, 700_000], [262_144, 262_144, 1], [3_000_000, 17]])
def test_digest_and_size(tmp_path: Path, steps: list[int], durable: bool):
    trail, path, whole = Trail(durable=durable), tmp_path / "file", b""
    for number, size in enumerate(steps):
        data = random.Random(number).randbytes(size)
        with path.open("ab") as file:
            file.write(data)
        whole += data
        if number == 1:
            path = path.rename(tmp_path / "renamed")
        trail.follow(path)
    assert (trail.bytes, trail.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())
    settle(path)
    assert path.read_bytes() == whole
