"""Whether a difference is found, located, mended or reported."""

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pytest

from odp_loader.errors import VerificationFailed
from odp_loader.partition import Partition, Predicate, Selection
from odp_loader.receipt import Receipt
from odp_loader.sources import Cut, TableDescription
from odp_loader.spec import Partitions, Verify
from odp_loader.verify import verify

PARTITIONS = {
    0: Partition(0, Predicate("range", "t", high=10)),
    1: Partition(1, Predicate("range", "t", low=10)),
}


def receipt(index: int, rows: int, *, dropped: int = 0, written: int | None = None) -> Receipt:
    return Receipt(
        partition=index,
        rows_read=rows,
        rows_dropped=dropped,
        rows_written=rows - dropped if written is None else written,
        bytes_read=8 * rows,
        files=(),
    )


class CountingSource:
    """A source that only counts, and remembers what it was asked."""

    def __init__(self, *counts: int) -> None:
        self.counts = list(counts)
        self.asked: list[Selection | None] = []

    def count(self, selection: Selection | None) -> int:
        self.asked.append(selection)
        if selection is None:
            return sum(self.counts)
        return self.counts[[p.selection for p in PARTITIONS.values()].index(selection)]

    def describe(self) -> TableDescription:
        raise NotImplementedError

    def preview(self) -> pa.RecordBatch | None:
        raise NotImplementedError

    def divide(self, description: TableDescription, partitions: Partitions, *, bytes_per_row: float) -> Cut:
        raise NotImplementedError

    def read(self, selection: Selection) -> Iterator[pa.RecordBatch]:
        raise NotImplementedError


class Load:
    """A load in the state before its verification; reading a partition again brings what `second` says."""

    def __init__(self, source: CountingSource, *receipts: Receipt, second: dict[int, int] | None = None) -> None:
        self.source = source
        self.receipts = {r.partition: r for r in receipts}
        self.second = second or {}
        self.reread: list[list[int]] = []
        self.notes: list[str] = []

    def verify(self, expected: int, *, moved: bool = False, policy: Verify = Verify.STRICT, aggregated: bool = False):
        def reread(indices: list[int]) -> None:
            self.reread.append(indices)
            for index in indices:
                rows = self.second.get(index, self.receipts[index].rows_read)
                self.receipts[index] = replace(self.receipts[index], rows_read=rows, rows_written=rows)

        return verify(
            self.source,
            PARTITIONS,
            self.receipts,
            expected=expected,
            moved=moved,
            policy=policy,
            aggregated=aggregated,
            reread=reread,
            note=self.notes.append,
        )


def test_equal_numbers_need_no_count():
    load = Load(CountingSource(6, 4), receipt(0, 6), receipt(1, 4))
    verdict = load.verify(10)
    assert (verdict.expected, verdict.notes, load.source.asked) == (10, (), [])


def test_stale_statistics_are_noted_with_both_values_and_nothing_is_read_again():
    load = Load(CountingSource(6, 4), receipt(0, 6), receipt(1, 4))
    verdict = load.verify(12)
    assert verdict.expected == 10
    assert verdict.notes == ("the source spoke of 12 rows before and counts 10 now",)
    assert load.reread == []


def test_a_short_partition_is_located_and_only_it_is_read_again():
    load = Load(CountingSource(6, 4), receipt(0, 6), receipt(1, 3), second={1: 4})
    load.verify(10)
    assert load.reread == [[1]]
    assert load.notes == ["9 rows read, 10 expected: partition 1 was read again"]


def test_what_stays_different_fails_and_names_the_partition():
    load = Load(CountingSource(6, 4), receipt(0, 6), receipt(1, 3))
    with pytest.raises(VerificationFailed) as failure:
        load.verify(10)
    assert str(failure.value).startswith("9 rows read but 10 expected (partition 1: 3 read, 4 counted). If the table is still")
    assert failure.value.exit_code == 4
    assert load.reread == [[1], [1]]


def test_what_stays_different_is_noted_under_warn():
    load = Load(CountingSource(6, 4), receipt(0, 6), receipt(1, 3))
    verdict = load.verify(10, policy=Verify.WARN)
    assert verdict.notes[-1] == "9 rows read but 10 expected (partition 1: 3 read, 4 counted)"
    assert load.notes == list(verdict.notes)


def test_a_table_that_grew_is_read_again_where_it_grew():
    load = Load(CountingSource(6, 9), receipt(0, 6), receipt(1, 4), second={1: 9})
    verdict = load.verify(10, moved=True)
    assert verdict.expected == 15
    assert load.reread == [[1]]


def test_two_faults_that_cancel_out_in_the_sum_of_written_rows_are_found():
    load = Load(CountingSource(6, 4), receipt(0, 6, written=5), receipt(1, 4, written=5))
    with pytest.raises(VerificationFailed, match=r"partition 0: 6 rows read and 0 dropped, yet 5 written; partition 1"):
        load.verify(10)


def test_groups_are_not_rows():
    load = Load(CountingSource(6, 4), receipt(0, 6, written=2), receipt(1, 4, written=2))
    assert load.verify(10, aggregated=True).expected == 10


def test_dropped_rows_account_for_themselves():
    load = Load(CountingSource(6, 4), receipt(0, 6, dropped=5), receipt(1, 4, dropped=4))
    assert load.verify(10).notes == ()


def test_equal_numbers_of_a_table_that_moved_are_counted_again():
    load = Load(CountingSource(6, 5), receipt(0, 6), receipt(1, 4), second={1: 5})
    assert load.verify(10, moved=True).expected == 11
    assert load.reread == [[1]]


def test_statistics_that_moved_without_a_row_are_noted():
    load = Load(CountingSource(6, 4), receipt(0, 6), receipt(1, 4))
    assert load.verify(10, moved=True).notes == ("the source's statistics changed during the load; it still counts 10 rows",)
    assert load.reread == []
