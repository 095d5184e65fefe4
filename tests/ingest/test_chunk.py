"""Chunking: a partition of the text into passages that the model reads whole and a person can find again."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.embed import MiniLM
from index.values import Block, BlockKind, Document, Kind, Passage, Reading
from ingest.chunk import CONTEXT_TOKENS, Chunker
from ingest.fetch import Fetcher
from ingest.readers import read
from ingest.sources import find, load

DOCUMENT = Document(
    uri="https://example.org/eip-1.md",
    kind=Kind.PROPOSAL,
    title="A title of the document",
    sha256="0" * 64,
    size=1,
    media_type="text/markdown",
    path="eip-1.md",
    location="https://example.org/eip-1.md",
    retrieved_at=datetime(2025, 1, 1, tzinfo=UTC),
    number="EIP-1",
)
MODEL = MiniLM()
CHUNKER = Chunker(MODEL.tokenizer, MODEL.max_tokens)


def tokens(text: str) -> int:
    return len(MODEL.tokenizer.encode(text).ids)


def check(reading: Reading, passages: tuple[Passage, ...], limit: int = MODEL.max_tokens) -> None:
    """What holds for the passages of any document."""
    assert "".join(passage.text for passage in passages) == reading.text
    at = 0
    for ordinal, passage in enumerate(passages):
        assert (passage.ordinal, passage.start) == (ordinal, at)
        assert passage.text == reading.text[passage.start : passage.end]
        assert passage.text
        assert tokens(passage.indexed_text) <= limit
        assert passage.page == page_of(reading, passage.start)
        if passage.page != page_of(reading, passage.end - 1):
            assert "\f" not in reading.text[reading.pages[passage.page or 0] : passage.end - 1]
        assert (passage.line_start is None) == (passage.line_end is None) == bool(reading.pages)
        if not reading.pages:
            check_lines(reading.text, passage)
        at = passage.end
    assert len({passage.id for passage in passages}) == len(passages)


def page_of(reading: Reading, at: int) -> int | None:
    """The page that a character stands on, counted out."""
    return sum(start <= at for start in reading.pages) or None


def check_lines(text: str, passage: Passage) -> None:
    """The lines named hold the passage's words, and the first and the last of them hold some of these."""
    lines = text.split("\n")
    assert passage.line_start is not None
    assert passage.line_end is not None
    assert 1 <= passage.line_start <= passage.line_end <= len(lines)
    words = passage.text.strip()
    if words:
        named = "\n".join(lines[passage.line_start - 1 : passage.line_end])
        assert words in named
        assert words.split("\n")[0] in lines[passage.line_start - 1]
        assert words.split("\n")[-1] in lines[passage.line_end - 1]


def headings_of(reading: Reading, at: int) -> tuple[str, ...]:
    """The path of headings over a character, from the definition: the last of each level not closed since."""
    path: list[Block] = []
    for block in reading.blocks:
        if block.kind == "heading" and block.start <= at:
            path = [one for one in path if one.level < block.level] + [block]
    return tuple(block.title for block in path if block.title)


words = st.one_of(
    st.sampled_from(
        ["gas", "the", "base fee", "EIP-1559", "x" * 300, "0x" + "ab" * 32, "手续费", "🔥👩‍🚀", "é"]
    ),
    st.text(max_size=20),
)
prose = st.lists(words, max_size=60).map(" ".join)
kinds: st.SearchStrategy[BlockKind] = st.sampled_from(["paragraph", "list", "table", "code", "preamble"])


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    """Texts of headings and blocks with odd white space between, and perhaps pages."""
    text, blocks = draw(st.sampled_from(["", "\n", " \r\n"])), []
    for _ in range(draw(st.integers(0, 14))):
        start = len(text)
        if draw(st.booleans()):
            title, level = draw(words | st.just("")), draw(st.integers(1, 4))
            text += f"{'#' * level} {title}"
            blocks.append(Block("heading", start, len(text), level, title))
        else:
            text += draw(prose.filter(bool))
            blocks.append(Block(draw(kinds), start, len(text)))
        text += draw(st.sampled_from(["\n", "\n\n", "\r\n\r\n", " ", "\n \n\n"]))
    pages = draw(st.none() | st.lists(st.integers(0, len(text)), max_size=4))
    starts = () if pages is None else (0, *sorted(pages))
    return Reading(DOCUMENT, text, tuple(blocks), starts)


@settings(max_examples=150)
@given(reading=readings())
def test_any_document_is_cut_into_passages_that_are_the_document(reading: Reading) -> None:
    passages = CHUNKER.passages(reading)
    check(reading, passages)
    assert passages == CHUNKER.passages(reading)


@settings(max_examples=40)
@given(reading=readings())
def test_the_heading_of_a_passage_stands_over_all_of_it(reading: Reading) -> None:
    starts = [block.start for block in reading.blocks if block.kind == "heading"]
    for passage in CHUNKER.passages(reading):
        inside = [at for at in starts if passage.start < at < passage.end]
        over = [headings_of(reading, at) for at in (passage.start, *inside)]
        if not inside:
            assert passage.heading == over[0]
        else:
            assert any(passage.heading == path[: len(passage.heading)] for path in over)


@settings(max_examples=30)
@given(reading=readings(), limit=st.integers(24, 64))
def test_a_model_that_reads_little_still_reads_every_passage_whole(reading: Reading, limit: int) -> None:
    check(reading, Chunker(MODEL.tokenizer, limit).passages(reading), limit)


HEX = "0x" + "0123456789abcdef" * 625
PATHOLOGICAL = {
    "one long line": "word " * 40_000,
    "one long word": "w" * 200_000,
    "no white space": "ab,cd;" * 33_000,
    "only white space": " \n\t" * 20_000,
    "only line breaks": "\n" * 50_000,
    "emoji": "👩‍🚀🔥" * 5_000,
    "combining characters": "e" + "́" * 20_000 + "a",
    "hexadecimal": HEX,
    "many hexadecimal lines": "\n".join([HEX[:200]] * 500),
    "carriage returns": "A line of words.\r\n" * 3_000,
    "lone carriage returns": "A line of words.\r" * 3_000,
    "right to left": "מחיר הגז " * 5_000,
    "no word at all": "|-+" * 30_000,
    "list of one-letter lines": "- a\n" * 20_000,
    "one character": "x",
}


@pytest.mark.parametrize("name", PATHOLOGICAL)
def test_a_strange_text_is_cut_soon(name: str) -> None:
    reading = Reading(DOCUMENT, PATHOLOGICAL[name], (Block("paragraph", 0, len(PATHOLOGICAL[name])),))
    began = time.process_time()
    passages = CHUNKER.passages(reading)
    assert time.process_time() - began < 60
    check(reading, passages)


def test_headings_without_end_give_way_to_the_text() -> None:
    text, blocks = "", []
    for level in range(1, 60):
        title = f"A heading of level {level} with many words"
        blocks.append(Block("heading", len(text), len(text) + len(title), level, title))
        text += title + "\n"
    reading = Reading(
        replace(DOCUMENT, title="very long title " * 50), text + "the text itself", tuple(blocks)
    )
    passages = CHUNKER.passages(reading)
    check(reading, passages)
    for passage in passages:
        assert tokens(passage.context) - 2 <= CONTEXT_TOKENS


def test_the_context_names_the_document_and_the_headings_and_is_not_in_the_text() -> None:
    text = "# Specification\n\n## Gas\n\n" + "The base fee is burned. " * 30
    blocks = (
        Block("heading", 0, 15, 1, "Specification"),
        Block("heading", 17, 23, 2, "Gas"),
        Block("paragraph", 25, len(text)),
    )
    passages = CHUNKER.passages(Reading(DOCUMENT, text, blocks))
    assert {passage.context for passage in passages} == {
        "EIP-1: A title of the document › Specification › Gas"
    }
    assert all(passage.heading == ("Specification", "Gas") for passage in passages)
    assert all("A title" not in passage.text for passage in passages)


def test_cuts_fall_between_paragraphs_where_they_can() -> None:
    paragraphs = [f"Paragraph {at}. " + "It has a few words. " * 12 for at in range(12)]
    text = "\n\n".join(paragraphs)
    starts = [text.index(paragraph) for paragraph in paragraphs]
    blocks = tuple(
        Block("paragraph", start, start + len(p)) for start, p in zip(starts, paragraphs, strict=True)
    )
    passages = CHUNKER.passages(Reading(DOCUMENT, text, blocks))
    assert len(passages) > 1
    assert {passage.start for passage in passages} <= set(starts)


def test_an_edit_changes_the_passages_of_its_section_only() -> None:
    def made(word: str) -> tuple[Passage, ...]:
        text, blocks = "", []
        for at in range(6):
            blocks.append(Block("heading", len(text), len(text) + 9, 1, f"Section {at}"))
            text += f"Section {at}\n" + f"Words of section {at} and {word if at == 3 else 'more'}. " * 60
        return CHUNKER.passages(Reading(DOCUMENT, text, tuple(blocks)))

    before = {passage.indexed_text for passage in made("gas")}
    after = made("fee")
    changed = [passage for passage in after if passage.indexed_text not in before]
    assert changed
    assert {passage.heading for passage in changed} == {("Section 3",)}


@pytest.mark.slow
@pytest.mark.corpus
def test_every_document_of_the_corpus_is_cut_into_passages_that_are_the_document(shared: Path) -> None:
    manifest = shared / "corpus" / "MANIFEST.json"
    kept = [
        source
        for source in find([], manifest=manifest).sources
        if not source.path.startswith("proposals") or int(source.sha256 or "0", 16) % 12 == 0
    ]
    assert len(kept) > len(json.loads(manifest.read_text("utf-8"))) // 20
    for source in kept:
        body = load(source, Fetcher()).body
        reading = read(body, source, retrieved_at=DOCUMENT.retrieved_at)
        check(reading, CHUNKER.passages(reading))
