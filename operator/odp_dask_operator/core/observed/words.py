"""Parses what the loader says: its last word in the termination message, and its progress while it runs.

A script of the user's may have written either: nothing is believed of size, shape or type, and what makes no sense is left out.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from odp_dask_operator.core.preset import Table
from odp_dask_operator.spec import LoadProgress, LoadResult, PartitionCounts

MAX_BODY_BYTES = 2**16
"""Of an answer of /progress; a termination message has at most 4 KiB by itself."""
LONGEST_MESSAGE = 1500
_LONGEST_URL = 4096
_MOST = 2**63 - 1
_REASON = re.compile(r"[A-Z][A-Za-z0-9]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Finished:
    """What a load left behind, and how its rows add up."""

    result: LoadResult
    rows_read: int
    rows_expected: int
    partitions: int


@dataclass(frozen=True)
class LastWord:
    """The loader's termination message."""

    reason: str = ""
    """CamelCase, or empty."""
    message: str = ""
    finished: Finished | None = None


@dataclass(frozen=True)
class ProgressSeen:
    """What the loader says while it runs."""

    progress: LoadProgress
    stage: str = ""
    """A value of `odp_loader.progress.Stage`, or empty."""
    table: Table | None = None
    """None until the loader has asked the source."""


def read_last_word(text: str) -> LastWord | None:
    """`{"reason", "message", "result"}` as `odp_loader.__main__` writes it; None for anything else."""
    document = _json(text.encode(errors="replace"))
    if not isinstance(document, dict):
        return None
    reason = document.get("reason")
    return LastWord(
        reason=reason if isinstance(reason, str) and _REASON.fullmatch(reason) else "",
        message=text_of(document.get("message")),
        finished=_finished(document.get("result")),
    )


def read_progress(body: bytes | None) -> ProgressSeen | None:
    """What `odp_loader.metrics.progress_to_json` writes, and `table` beside it; None when there is nothing to be read."""
    document = _json(body) if body is not None else None
    if not isinstance(document, dict):
        return None
    partitions, eta = document.get("partitions"), document.get("etaSeconds")
    counts = partitions if isinstance(partitions, dict) else {}
    progress = LoadProgress(
        percent=min(100, _count(document.get("percent"))),
        partitions=PartitionCounts(done=_count(counts.get("done")), total=_count(counts.get("total"))),
        rows=_count(document.get("rows")),
        bytes=_count(document.get("bytes")),
        rows_per_second=_count(document.get("rowsPerSecond")),
        eta_seconds=_count(eta) if _is_number(eta) else None,
    )
    stage = document.get("stage")
    known = stage if isinstance(stage, str) and _REASON.fullmatch(stage) else ""
    return ProgressSeen(progress, known, _table(document.get("table")))


def text_of(value: object, *, longest: int = LONGEST_MESSAGE) -> str:
    """Text fit for a condition: printable, and not too long. Empty for what is no text."""
    if not isinstance(value, str):
        return ""
    printable = value.strip()
    if not printable.isprintable():
        printable = "".join(character for character in value[: 4 * longest] if character.isprintable() or character == "\n").strip()
    return printable if len(printable) <= longest else f"{printable[: longest - 4]} ..."


def _table(value: object) -> Table | None:
    if not isinstance(value, dict):
        return None
    rows, size = value.get("rows"), value.get("bytes")
    return Table(_count(rows) if _is_number(rows) else None, _count(size) if _is_number(size) else None)


def _finished(value: object) -> Finished | None:
    if not isinstance(value, dict):
        return None
    data_url, manifest_url, digest = (value.get(key) for key in ("data_url", "manifest_url", "manifest_sha256"))
    if not (_is_url(data_url) and _is_url(manifest_url) and isinstance(digest, str) and _SHA256.fullmatch(digest)):
        return None
    result = LoadResult.model_validate(
        {
            "rows": _count(value.get("rows_written")),
            "bytes": _count(value.get("bytes")),
            "files": _count(value.get("files")),
            "dataURL": data_url,
            "manifestURL": manifest_url,
            "manifestSHA256": digest,
            "seconds": _seconds(value.get("seconds")),
        }
    )
    return Finished(result, _count(value.get("rows_read")), _count(value.get("rows_expected")), _count(value.get("partitions")))


def _json(body: bytes) -> Any:
    if len(body) > MAX_BODY_BYTES:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _is_url(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_URL and value.isprintable()


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)))


def _seconds(value: Any) -> float:
    return round(max(0.0, min(float(_MOST), value)), 3) if _is_number(value) else 0.0


def _count(value: Any) -> int:
    """A whole number that is not negative and that the API can store; 0 for anything else."""
    return max(0, min(_MOST, int(value))) if _is_number(value) else 0
