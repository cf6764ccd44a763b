"""`make demo` works, also where it was run before."""

import importlib.util
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "tools" / "demo.py"


def test_the_demo_loads_a_table_and_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    assert spec is not None
    assert spec.loader is not None
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    monkeypatch.chdir(tmp_path)  # and back again
    output = tmp_path / "sst"
    monkeypatch.setattr(demo, "OUTPUT", str(output))
    (output / "data").mkdir(parents=True)
    (output / "data" / "from-before.parquet").touch()

    assert demo.main() == 0
    shown = capfd.readouterr().out
    assert "  rows      104,778 read = 104,778 expected; 104,778 rows written" in shown
    assert "2000-01-16 06:00:00 -77.0 -179.0  0.081667" in shown
    assert "\n12    16.84\n" in shown
    assert not (output / "data" / "from-before.parquet").exists()
    assert (output / "manifest.json").exists()
