"""`make demo` works, also where it was run before."""

import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parents[2] / "tools" / "demo.py"


def test_the_demo_loads_a_table_and_shows_it(tmp_path: Path) -> None:
    output = tmp_path / "sst"
    (output / "data").mkdir(parents=True)
    (output / "data" / "from-before.parquet").touch()

    demo = subprocess.run([sys.executable, DEMO, output], cwd=tmp_path, stdout=subprocess.PIPE, text=True, timeout=280, check=True)
    assert "  rows      104,778 read = 104,778 expected; 104,778 rows written" in demo.stdout
    assert "2000-01-16 06:00:00 -77.0 -179.0  0.081667" in demo.stdout
    assert "\n12    16.84\n" in demo.stdout
    assert not (output / "data" / "from-before.parquet").exists()
    assert (output / "manifest.json").exists()
