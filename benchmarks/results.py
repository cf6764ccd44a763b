"""Writes benchmarks/RESULTS.md: one section per benchmark, each with the machine, the moment and the command it was made by."""

import datetime
import importlib.metadata
import os
import platform
import re
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.race import Results
from benchmarks.work import Account

FILE = Path(__file__).parent / "RESULTS.md"
MB = 1e6
PACKAGES = ("odp-sdk", "pyarrow", "dask", "pandas")
_TITLE = """# What was measured

Written by `make bench`; do not edit. Every contestant runs in a process of its own, in turn with the others (A B A B ...),
against `images/odp-server` on the same machine, through the unmodified odp-sdk. Imports and the start of a cluster are not
timed, for anybody. All write snappy. Ours verifies its rows and keeps its ledger in all of them.

A figure is the median [least - greatest] of the rounds; a ratio is the median of the ratios within a round. A run during
which other programs kept more than 0.15 cores busy is done again, and counted as repeated. MB are 10^6 bytes.
"""


@dataclass(frozen=True)
class Claim:
    """A figure beside its target."""

    what: str
    measured: str
    target: str
    met: bool


@dataclass(frozen=True)
class Section:
    """One benchmark's results."""

    name: str
    title: str
    text: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    claims: tuple[Claim, ...]


def spread(values: Iterable[float], form: str = "{:.2f}") -> str:
    """`median [least - greatest]`."""
    known = list(values)
    return f"{form.format(statistics.median(known))} [{form.format(min(known))} - {form.format(max(known))}]"


def at_least(what: str, value: float, target: float, form: str = "{:.2f}") -> Claim:
    """A claim that is met when the figure is large."""
    return Claim(what, form.format(value), "at least " + form.format(target), value >= target)


def at_most(what: str, value: float, target: float, form: str = "{:.2f}") -> Claim:
    """A claim that is met when the figure is small."""
    return Claim(what, form.format(value), "at most " + form.format(target), value <= target)


def race_rows(results: Results, rows: int, arrow_bytes: int) -> tuple[tuple[str, ...], ...]:
    """A row for each entry, under RACE_HEADER."""

    def of(accounts: Sequence[Account], figure: Callable[[Account], float], form: str) -> str:
        return form.format(statistics.median(map(figure, accounts)))

    return tuple(
        (
            name,
            spread(account.seconds for account in accounts),
            of(accounts, lambda a: rows / a.seconds / 1e6, "{:.1f}"),
            of(accounts, lambda a: arrow_bytes / a.seconds / MB, "{:.0f}"),
            of(accounts, lambda a: a.client_cpu_s, "{:.2f}") + " + " + of(accounts, lambda a: a.server_cpu_s, "{:.2f}"),
            f"{of(accounts, lambda a: a.driver_peak / MB, '{:.0f}')} ({of(accounts, lambda a: a.driver_base / MB, '{:.0f}')})",
            of(accounts, lambda a: a.worker_peak / MB, "{:.0f}") if accounts[0].worker_peak else "",
            of(accounts, lambda a: a.file_bytes / MB, "{:.0f}"),
        )
        for name, accounts in results.accounts.items()
    )


RACE_HEADER = (
    "contestant",
    "s",
    "Mrow/s",
    "MB/s of Arrow",
    "CPU-s client + server",
    "driver MB, peak (before)",
    "largest worker MB",
    "files MB",
)


def write(section: Section, *, command: str, file: Path = FILE, title: str = _TITLE, packages: Sequence[str] = PACKAGES) -> None:
    """Put a section into the file, in place of an older one of the same name; `packages` are those whose versions matter."""
    sections = _sections(file.read_text()) if file.exists() else {}
    sections[section.name] = _markdown(section, command, packages)
    file.write_text(title + "".join(f"\n<!-- {name} -->\n{text.strip()}\n" for name, text in sections.items()))


def _sections(text: str) -> dict[str, str]:
    parts = re.split(r"^<!-- (\w+) -->$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _markdown(section: Section, command: str, packages: Sequence[str]) -> str:
    claims = [(claim.what, claim.measured, claim.target, "met" if claim.met else "**short**") for claim in section.claims]
    parts = [
        f"## {section.title}",
        section.text,
        _table(("claim", "measured", "target", ""), claims) if claims else "",
        _table(section.header, section.rows),
        f"`{command}`, {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC; {machine(packages)}.",
    ]
    return "\n\n".join(part for part in parts if part)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines)


def machine(packages: Sequence[str]) -> str:
    """Cores, memory, and the versions that matter."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB, Linux {platform.release().partition('-')[0]},"
        f" Python {platform.python_version()}, {versions}"
    )
