"""Reads the project's Markdown: headings, links, words set as code, and blocks of code with what a comment asks of them.

A comment on the line before a block says what a test does with it, here or in `tests/docs`:

    <!-- test: file job.yaml -->   it becomes this file in the folder in which the document's commands run
    <!-- test: run -->             its commands are run there, in the order of the document
    <!-- test: prints -->          each of its lines is part of what the last commands printed
    <!-- test: values -->          it is a values file of the chart
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
_MARK = re.compile(r"<!-- test: (\w+) ?(.*?) -->\s*")
_READER = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Block:
    """A block of code."""

    document: str
    line: int
    language: str
    text: str
    use: str = ""
    """What the comment before it asks for; empty without one."""
    argument: str = ""

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


@dataclass(frozen=True)
class Document:
    """A Markdown file, by its path from the root of the project."""

    name: str

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> Path:
        return ROOT / self.name

    @cached_property
    def _tokens(self) -> list[Token]:
        return _READER.parse(self.path.read_text())

    @property
    def blocks(self) -> Iterator[Block]:
        """All blocks of code."""
        before: Token | None = None
        for token in self._tokens:
            if token.type == "fence":
                assert token.map
                mark = _MARK.fullmatch(before.content) if before and before.type == "html_block" else None
                use, argument = mark.groups() if mark else ("", "")
                yield Block(self.name, token.map[0] + 1, token.info, token.content, use, argument)
            before = token

    @property
    def headings(self) -> list[tuple[int, str]]:
        """Level and text of each."""
        return [(int(opening.tag[1]), text.content) for opening, text in pairwise(self._tokens) if opening.type == "heading_open"]

    @cached_property
    def anchors(self) -> frozenset[str]:
        """What a link can name after `#`, made from the headings as GitHub makes it."""
        found: list[str] = []
        for _, heading in self.headings:
            anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            again = sum(other == anchor for other in found)
            found.append(anchor)
            if again:
                found.append(f"{anchor}-{again}")
        return frozenset(found)

    @property
    def links(self) -> Iterator[str]:
        """Where links and images lead."""
        for token in self._inline():
            if token.type in ("link_open", "image"):
                yield str(token.attrGet("href") or token.attrGet("src"))

    @property
    def code(self) -> Iterator[str]:
        """Words that are set as code within the prose."""
        return (token.content for token in self._inline() if token.type == "code_inline")

    def section(self, heading: str) -> str:
        """What stands below a heading, up to the next of its level or above."""
        lines = self.path.read_text().split("\n")
        starts = [
            (token, text) for token, text in zip(self._tokens, self._tokens[1:], strict=False) if token.type == "heading_open"
        ]
        for index, (token, text) in enumerate(starts):
            if text.content == heading:
                end = next((other.map[0] for other, _ in starts[index + 1 :] if other.map and other.tag <= token.tag), len(lines))
                assert token.map
                return "\n".join(lines[token.map[1] : end])
        raise AssertionError(f"{self.name} has no heading {heading!r}")

    def _inline(self) -> Iterator[Token]:
        for token in self._tokens:
            yield from token.children or ()


def documents() -> list[Document]:
    """The Markdown that people read: at the root, in docs, and beside the manifests and the chart."""
    places = ("*.md", "docs/**/*.md", "manifests/**/*.md", "charts/odp-dask-operator/*.md")
    return [Document(str(path.relative_to(ROOT))) for place in places for path in sorted(ROOT.glob(place))]


def commands(block: Block) -> Iterator[str]:
    """The commands of a block of shell: lines joined where a backslash says so, without comments and what `<<END` brings."""
    end = None
    for line in block.text.replace("\\\n", " ").split("\n"):
        if end is not None:
            end = None if line == end else end
            continue
        if line.strip() and not line.startswith("#"):
            yield line.strip()
        if found := re.search(r"<<'?(\w+)'?", line):
            end = found[1]
