"""What is said at the end of a run: what can be trusted, what is kept, and what to do next."""

from odp_dask_operator.cli import figures
from odp_dask_operator.local.interrupt import Interrupted
from odp_dask_operator.local.outcome import Outcome
from odp_loader.progress import Result


def summarise(outcome: Outcome) -> str:
    """The last lines for a person."""
    if isinstance(outcome.stop, Interrupted):
        return f"Stopped.{_kept(outcome) or ' Nothing was finished; run the same command again to start over.'}"
    if outcome.stop is not None:
        return f"Error: {outcome.stop}{_kept(outcome) if outcome.stop.retryable else ''}"
    if outcome.result is None:
        return f"Done: the script ended with exit status 0 after {figures.duration(_seconds(outcome))}"
    return "\n".join(_complete(outcome.result))


def _complete(result: Result) -> list[str]:
    whole = result.rows_read == result.rows_expected
    read = f"{result.rows_read:,} read {'=' if whole else 'of'} {result.rows_expected:,} expected"
    dropped = f", {result.rows_dropped:,} dropped" if result.rows_dropped > 0 else ""
    added = f", {-result.rows_dropped:,} added by map" if result.rows_dropped < 0 else ""
    groups = result.rows_read - result.rows_dropped != result.rows_written
    written = f"{figures.count(result.rows_written, 'row')} written" + (" after aggregating" if groups else "")
    earlier = f"; {_earlier(result)}" if result.resumed_partitions else ""
    return [
        f"{'Complete and verified' if whole else 'Complete, with a difference'}{earlier}",
        f"  rows      {read}{dropped}{added}; {written}",
        f"  files     {figures.count(result.files, 'file')}, {figures.size(result.bytes)}, in {figures.duration(result.seconds)}",
        f"  manifest  {result.manifest_url}",
        *(f"  note      {note}" for note in result.notes),
        f'  read it   dd.read_parquet("{result.data_url}")',
    ]


def _earlier(result: Result) -> str:
    if result.resumed_partitions == result.partitions:
        return "an earlier run had done all of it"
    return f"an earlier run had done {result.resumed_partitions:,} of {figures.count(result.partitions, 'partition')}"


def _kept(outcome: Outcome) -> str:
    progress = outcome.progress
    if progress is None or not progress.partitions_done:
        return ""
    done = f"{progress.partitions_done:,} of {figures.count(progress.partitions_total, 'partition')}"
    return f" {done} are finished and kept; run the same command again to go on from there."


def _seconds(outcome: Outcome) -> float:
    return (outcome.ended - outcome.started).total_seconds()
