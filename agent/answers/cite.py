"""Makes the citation of a verbatim span of evidence: passage, lines, and offsets in the document's text."""

from __future__ import annotations

from dataclasses import replace

from agent.answers.packing import Section
from agent.answers.values import Citation
from index.values import Passage, SourceRef


def passage_at(section: Section, offset: int) -> tuple[Passage, int]:
    """The passage in which this offset of the section's text lies, and where that passage begins in it."""
    begin = 0
    for passage in section.passages[:-1]:
        if offset < begin + len(passage.text):
            return passage, begin
        begin += len(passage.text)
    return section.passages[-1], begin


def cite(number: int, section: Section, start: int, end: int) -> Citation:
    """Cites `section.text[start:end]` by the passage in which it begins, with the lines of the quotation."""
    quote = section.text[start:end]
    passage, begin = passage_at(section, start)
    source = SourceRef.of(section.document, passage)
    if passage.line_start is not None:
        first = passage.line_start + passage.text[: start - begin].lstrip().count("\n")
        source = replace(source, line_start=first, line_end=first + quote.count("\n"))
    at = passage.start + start - begin
    return Citation(number, source, quote, at, at + len(quote))
