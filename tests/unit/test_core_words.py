"""What the loader says, believed only as far as it makes sense."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from odp_dask_operator.core.observed.words import LONGEST_MESSAGE, LastWord, read_last_word, read_progress, text_of
from odp_dask_operator.core.preset import Table
from odp_loader.__main__ import termination_message
from odp_loader.errors import CredentialsRefused
from odp_loader.metrics import progress_to_json
from odp_loader.progress import Progress, Result, Stage
from tests.support.fake_controllers import RESULT

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*RESULT, "result", "x"]), inner, max_size=6),
    max_leaves=20,
)


def test_the_loaders_own_last_word_is_understood() -> None:
    result = Result(**{**RESULT, "notes": ()})
    word = read_last_word(termination_message(result=result).decode())
    assert word is not None
    assert word.finished is not None
    assert (word.reason, word.message) == ("LoadVerified", "")
    assert word.finished.result.model_dump(by_alias=True) == {
        "rows": 990,
        "bytes": 2_100_000,
        "files": 4,
        "dataURL": "s3://bucket/x/data",
        "manifestURL": "s3://bucket/x/manifest.json",
        "manifestSHA256": "ab" * 32,
        "seconds": 1.9,
    }
    assert (word.finished.rows_read, word.finished.rows_expected, word.finished.partitions) == (1000, 1000, 12)
    failed = read_last_word(termination_message(error=CredentialsRefused("no key")).decode())
    assert failed == LastWord("CredentialsRefused", "no key")


def test_the_loaders_own_progress_is_understood() -> None:
    progress = Progress(stage=Stage.LOADING, partitions_done=3, partitions_total=12, rows=300, rows_expected=1000, bytes=4096)
    seen = read_progress(json.dumps(progress_to_json(progress)).encode())
    assert seen is not None
    assert (seen.progress.percent, seen.progress.rows, seen.progress.partitions.total, seen.stage) == (30, 300, 12, "Loading")
    assert seen.table == Table(1000, None)


def test_a_table_may_be_unknown_in_part() -> None:
    body = {"table": {"rows": 5, "bytes": None}}
    seen = read_progress(json.dumps(body).encode())
    assert seen is not None
    assert seen.table == Table(5, None)


@given(st.one_of(st.binary(max_size=200), JSON.map(lambda value: json.dumps(value).encode())))
def test_no_answer_breaks_anything(body: bytes) -> None:
    seen = read_progress(body)
    assert seen is None or len(seen.progress.model_dump_json()) < 500
    word = read_last_word(body.decode(errors="surrogateescape"))
    assert word is None or len(word.message) <= LONGEST_MESSAGE


@given(st.fixed_dictionaries({"result": st.fixed_dictionaries({name: st.just(value) | JSON for name, value in RESULT.items()})}))
def test_a_result_is_whole_or_not_there(document: dict[str, Any]) -> None:
    word = read_last_word(json.dumps(document))
    assert word is not None
    if word.finished is not None:
        result = word.finished.result
        assert 0 <= result.rows < 2**63
        assert result.data_url == document["result"]["data_url"]
        assert len(result.manifest_sha256) == 64


def test_limits_are_kept() -> None:
    assert read_progress(b"[" * 100_000) is None
    assert read_progress(json.dumps({"stage": "x" * 2**17}).encode()) is None
    assert read_last_word("[" * 4000) is None
    huge = read_progress(b'{"rows": 1' + b"0" * 400 + b', "percent": 1e300, "etaSeconds": -5}')
    assert huge is not None
    assert (huge.progress.rows, huge.progress.percent, huge.progress.eta_seconds) == (2**63 - 1, 100, 0)


@given(st.text(max_size=5000))
def test_text_is_printable_and_short(text: str) -> None:
    shown = text_of(text, longest=200)
    assert len(shown) <= 200
    assert all(character.isprintable() or character == "\n" for character in shown)
    json.dumps(shown).encode()


def test_a_caret_below_an_expression_keeps_its_line() -> None:
    assert text_of("no such column\n  a + b\n      ^") == "no such column\n  a + b\n      ^"
