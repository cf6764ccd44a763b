"""Whether a load is complete: rows read against rows expected, rows written against rows read, partition by partition."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from odp_loader.errors import VerificationFailed
from odp_loader.partition import Partition
from odp_loader.receipt import Receipt
from odp_loader.sources import Source
from odp_loader.spec import Verify

_PARALLEL_COUNTS = 8
_ADVICE = ". If the table is still being written to, give source a filter that leaves the newest rows out, or set verify: Warn"
_ROUNDS = 2
"""How often differing partitions are read again."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A partition that does not hold what the source says it should."""

    partition: int
    read: int
    counted: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a verification that did not fail."""

    expected: int
    notes: tuple[str, ...] = ()
    """What a person should know: statistics that were wrong or moved, and under Warn what does not add up."""


def unwritten(receipts: Iterable[Receipt], *, aggregated: bool) -> list[Receipt]:
    """Receipts that account for another number of rows than they read; groups are no rows."""
    return [] if aggregated else [r for r in receipts if r.rows_read - r.rows_dropped != r.rows_written]


def verify(
    source: Source,
    partitions: Mapping[int, Partition],
    receipts: dict[int, Receipt],
    *,
    expected: int,
    moved: bool,
    policy: Verify,
    aggregated: bool,
    reread: Callable[[list[int]], None],
    note: Callable[[str], None],
) -> Verdict:
    """Compare, count again where the numbers differ, read again what is short, and judge what remains.

    `expected` is what the source said before the load, `moved` whether its statistics have changed since: then even equal
    numbers are counted again, and what comes out is the table as it is at the end. `reread` reads the given partitions once
    more and replaces their receipts in `receipts`. Raises VerificationFailed when a difference remains and `policy` is Strict.
    """
    notes: list[str] = []

    def say(sentence: str) -> None:
        notes.append(sentence)
        note(sentence)

    differences: list[Difference] = []
    for round_ in range(_ROUNDS + 1):
        read = sum(receipt.rows_read for receipt in receipts.values())
        if read == expected and not moved:
            break
        counted = source.count(None)
        if counted != expected:
            say(f"the source spoke of {expected:,} rows before and counts {counted:,} now")
            expected = counted
        elif moved:
            say(f"the source's statistics changed during the load; it still counts {counted:,} rows")
        moved = False
        if read == expected:
            break
        differences = locate(source, partitions, receipts)
        if round_ < _ROUNDS and differences:
            say(f"{read:,} rows read, {expected:,} expected: {_names(differences)} read again")
            reread([difference.partition for difference in differences])
    problems = _problems(receipts, expected, differences, aggregated=aggregated)
    if problems and policy is Verify.STRICT:
        raise VerificationFailed("; ".join(problems) + _ADVICE)
    for problem in problems:
        say(problem)
    return Verdict(expected, tuple(notes))


def locate(source: Source, partitions: Mapping[int, Partition], receipts: Mapping[int, Receipt]) -> list[Difference]:
    """Count every partition at the source and name those that were read differently."""
    ordered = sorted(receipts)
    with ThreadPoolExecutor(_PARALLEL_COUNTS) as pool:
        counts = pool.map(lambda index: source.count(partitions[index].selection), ordered)
        pairs = [Difference(index, receipts[index].rows_read, counted) for index, counted in zip(ordered, counts, strict=True)]
    return [difference for difference in pairs if difference.read != difference.counted]


def _problems(receipts: Mapping[int, Receipt], expected: int, differences: list[Difference], *, aggregated: bool) -> list[str]:
    read = sum(receipt.rows_read for receipt in receipts.values())
    problems = []
    if read != expected:
        where = "; ".join(f"partition {d.partition}: {d.read:,} read, {d.counted:,} counted" for d in differences[:10])
        problems.append(f"{read:,} rows read but {expected:,} expected" + (f" ({where})" if where else ""))
    for receipt in unwritten(receipts.values(), aggregated=aggregated):
        problems.append(
            f"partition {receipt.partition}: {receipt.rows_read:,} rows read and {receipt.rows_dropped:,} dropped,"
            f" yet {receipt.rows_written:,} written"
        )
    return problems


def _names(differences: list[Difference]) -> str:
    if len(differences) == 1:
        return f"partition {differences[0].partition} was"
    names = ", ".join(str(difference.partition) for difference in differences[:10])
    return f"partitions {names}" + (f" and {len(differences) - 10} more were" if len(differences) > 10 else " were")
