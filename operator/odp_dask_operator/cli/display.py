"""Shows a load while it runs: a live bar on a terminal, a line now and then anywhere else."""

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Column

from odp_dask_operator.cli import figures
from odp_loader.progress import Progress, Stage

_LINE_EVERY_S = 5.0
_BAR_WIDTH = 14
"""Leaves room for the figures in 80 columns."""


class Display(Protocol):
    """An observer of a load that is open for as long as the load runs."""

    def progress(self, progress: Progress) -> None:
        """The load has come this far."""
        ...

    def note(self, message: str) -> None:
        """Something a person should know."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


def open_display(stream: TextIO, *, plain: bool) -> Display:
    """The display that fits the stream. `plain` asks for lines even on a terminal."""
    console = Console(file=stream, highlight=False)
    if plain or not console.is_terminal or console.is_dumb_terminal:
        return LineDisplay(stream)
    return BarDisplay(console)


def describe_progress(progress: Progress) -> str:
    """`12 of 52 partitions, 1.20 M rows, 345 k rows/s, 12.3 MB/s, 12 s left`."""
    partitions = f"{progress.partitions_done:,} of {figures.count(progress.partitions_total, 'partition')}"
    return ", ".join([partitions, *_details(progress)])


def _details(progress: Progress) -> Iterator[str]:
    yield f"{figures.amount(progress.rows)} rows"
    if progress.rows_per_second:
        yield f"{figures.amount(progress.rows_per_second)} rows/s"
        yield f"{figures.size(progress.bytes_per_second)}/s"
    if progress.eta_seconds is not None and progress.stage is Stage.LOADING:
        yield f"{figures.duration(max(1, round(progress.eta_seconds)))} left"
    if failed := sum(progress.failures.values()):
        yield f"{figures.count(failed, 'attempt')} failed"


class LineDisplay:
    """One line when the stage changes, and every few seconds while something moves."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._stage: Stage | None = None
        self._shown = ""
        self._shown_at = 0.0

    def progress(self, progress: Progress) -> None:
        """Say so, if there is something new and the last line is not too fresh."""
        now = self._clock()
        if progress.stage is self._stage and now - self._shown_at < _LINE_EVERY_S:
            return
        text = progress.stage.value
        if progress.partitions_total:
            text += f" {progress.percent} %: {describe_progress(progress)}"
        if text == self._shown:
            return
        self._stage, self._shown, self._shown_at = progress.stage, text, now
        self.note(text)

    def note(self, message: str) -> None:
        """One line."""
        print(message, file=self._stream, flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing is left open."""


class BarDisplay:
    """A bar with the share of the rows read; notes appear above it."""

    def __init__(self, console: Console) -> None:
        self._bar = Bar(
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=_BAR_WIDTH),
            TextColumn("{task.fields[figures]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=console,
        )
        self._task = self._bar.add_task("Starting", total=None, figures="")

    def progress(self, progress: Progress) -> None:
        """Move the bar; it is drawn by a thread of its own."""
        planned = progress.partitions_total > 0
        partitions = f"{progress.partitions_done:,}/{progress.partitions_total:,}"
        self._bar.update(
            self._task,
            description=progress.stage.value,
            total=100 if planned else None,
            completed=progress.percent if planned else 0,
            figures=f"{progress.percent} %  {partitions}  {'  '.join(_details(progress))}" if planned else "",
        )

    def note(self, message: str) -> None:
        """One line above the bar."""
        self._bar.console.print(message, markup=False, soft_wrap=True)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()
