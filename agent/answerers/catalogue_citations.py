"""The lines of sources that bear out what a catalogue's answer says, each cited once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.answerers.catalogue_query import Field
from agent.answerers.catalogue_records import Record
from agent.answers.cite import cite
from agent.answers.packing import Section
from agent.answers.values import Citation
from index.values import Passage

if TYPE_CHECKING:
    from index.library import Library

_PASSAGES = 4
"""Passages at the beginning of a document without a header in which a value is looked for."""

_LINES: dict[str, tuple[Field, ...]] = {
    "class": ("category", "type", "layer"),
    "topic": ("title",),
    "replaced by": ("replaced by", "reason"),
    "created": ("created",),
}


class CitedLines:
    """Collects citations. citations: those so far, numbered from 1."""

    def __init__(self, library: Library) -> None:
        self.citations: list[Citation] = []
        self._library = library
        self._numbers: dict[tuple[str, int, int], int] = {}

    def header(self, record: Record, fields: Sequence[str]) -> tuple[int, ...]:
        """The header's lines from the first to the last that says one of the fields; else its title."""
        names = [name for field in fields for name in _LINES.get(field, (field,))]
        lines = [line for name in names if (line := record.line(name))]  # type: ignore[arg-type]
        if not lines and (title := record.line("title")):
            lines = [title]
        if not lines:
            return self.beginning(record, [record.document.title])
        start, end = min(line.start for line in lines), max(line.end for line in lines)
        return self._cited(record, record.head, start, end)

    def beginning(self, record: Record, values: Sequence[str]) -> tuple[int, ...]:
        """Where the beginning of a document says one of some values; else its first line."""
        passages = self._library.passages(record.document.uri)[:_PASSAGES]
        for passage in passages:
            for value in values:
                if (at := passage.text.find(value)) >= 0:
                    return self._cited(record, (passage,), at, at + len(value))
        if record.line("title"):
            return self.header(record, ())
        return self._first_line(record, passages[0]) if passages else ()

    def license(self, record: Record, name: str) -> tuple[int, ...]:
        """The last place at which a document names its licence, as `CC0-1.0` or `CC0`; else its title."""
        short = name.partition("-")[0]
        for passage in reversed(self._library.passages(record.document.uri)):
            if (at := passage.text.rfind(short)) >= 0:
                start = passage.text.rfind("\n", 0, at) + 1
                line = passage.text[start:].partition("\n")[0].rstrip()
                return self._cited(record, (passage,), start, start + len(line))
        return self.header(record, ())

    def _first_line(self, record: Record, passage: Passage) -> tuple[int, ...]:
        start = len(passage.text) - len(passage.text.lstrip())
        end = start + len(passage.text[start:].partition("\n")[0].rstrip())
        return self._cited(record, (passage,), start, end)

    def _cited(self, record: Record, passages: tuple[Passage, ...], start: int, end: int) -> tuple[int, ...]:
        key = passages[0].id, start, end
        if key not in self._numbers:
            self._numbers[key] = len(self.citations) + 1
            section = Section(record.document, passages, 1.0)
            self.citations.append(cite(self._numbers[key], section, start, end))
        return (self._numbers[key],)
