"""A running load on a terminal, and anywhere else."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from odp_dask_operator.cli import figures
from odp_dask_operator.cli.display import BarDisplay, LineDisplay, describe_progress, open_display
from odp_loader.progress import Progress, Stage

LOADING = Progress(
    stage=Stage.LOADING, partitions_done=12, partitions_total=52, rows=1_200_000, rows_expected=5_200_000, bytes=60_000_000,
    rows_per_second=345_000, bytes_per_second=17_250_000, eta_seconds=11.6,
)  # fmt: skip
TEXT = "12 of 52 partitions, 1.20 M rows, 345 k rows/s, 17.2 MB/s, 12 s left"


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_progress_in_one_line() -> None:
    assert describe_progress(LOADING) == TEXT
    assert describe_progress(replace(LOADING, rows_per_second=0, eta_seconds=None)) == "12 of 52 partitions, 1.20 M rows"
    assert describe_progress(replace(LOADING, failures={"w1": 2, "w2": 1})).endswith("12 s left, 3 attempts failed")


def test_lines_come_when_the_stage_changes_and_then_every_few_seconds_if_something_moved() -> None:
    stream, clock = io.StringIO(), Clock()
    display = LineDisplay(stream, clock=clock)
    display.progress(Progress())
    display.progress(LOADING)
    for clock.now in (101.0, 104.9):
        display.progress(replace(LOADING, rows=2_000_000))
    clock.now = 105.0
    display.progress(LOADING)
    clock.now = 106.0
    display.progress(replace(LOADING, rows=2_600_000))
    display.note("partition 3 is read again")
    display.progress(replace(LOADING, stage=Stage.VERIFYING))
    assert stream.getvalue().splitlines() == [
        "Planning",
        f"Loading 23 %: {TEXT}",
        "Loading 50 %: 12 of 52 partitions, 2.60 M rows, 345 k rows/s, 17.2 MB/s, 12 s left",
        "partition 3 is read again",
        "Verifying 23 %: 12 of 52 partitions, 1.20 M rows, 345 k rows/s, 17.2 MB/s",
    ]


def test_the_bar_moves_with_the_rows_and_notes_stand_above_it() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=140, color_system=None)
    with BarDisplay(console) as display:
        display.note("[medium] 2 workers")
        display.progress(LOADING)
        display.progress(replace(LOADING, stage=Stage.FINISHED, partitions_done=52))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "[medium] 2 workers" in shown
    assert "Finished" in shown
    assert "100 %" in shown


@pytest.mark.parametrize(
    ("terminal", "plain", "kind"), [(False, False, LineDisplay), (True, True, LineDisplay), (True, False, BarDisplay)]
)
def test_only_a_terminal_gets_a_bar(terminal: bool, plain: bool, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    assert type(open_display(stream, plain=plain)) is kind


@pytest.mark.parametrize(
    ("function", "number", "text"),
    [
        (figures.amount, 0, "0"),
        (figures.amount, 999, "999"),
        (figures.amount, 12_345, "12.3 k"),
        (figures.amount, 4_560_000, "4.56 M"),
        (figures.amount, 7.8e11, "780 G"),
        (figures.size, 0, "0 B"),
        (figures.size, 999, "999 B"),
        (figures.size, 1_230_000, "1.23 MB"),
        (figures.size, 4.5e16, "45.0 PB"),
        (figures.duration, 0.42, "0.42 s"),
        (figures.duration, 3, "3 s"),
        (figures.duration, 59.4, "59 s"),
        (figures.duration, 185, "3:05"),
        (figures.duration, 7385, "2:03:05"),
    ],
)
def test_figures_are_short(function: object, number: float, text: str) -> None:
    assert callable(function)
    assert function(number) == text
