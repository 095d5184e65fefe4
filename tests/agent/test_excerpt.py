"""Quotations where they stand, and what the address of a source opens at."""

from __future__ import annotations

import io
import json
import re
import shutil
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from agent.answers.excerpt import Excerpt, at_address, in_context
from agent.answers.place import link
from agent.answers.values import Citation
from agent.surfaces.terminal import show_excerpt
from index.errors import LibraryError
from index.values import SourceRef
from tests.agent.conftest import make_document, make_passages
from tests.agent.terminal import Terminal

TEXT = "".join(f"Line {number} says {number * number}.\n" for number in range(1, 31))
CUTS = (100, 200, 300, 400)
FEE = "How much does the base fee rise when a block is full?"


class Shelf:
    """A library of one document."""

    def __init__(self, text: str = TEXT, cuts: tuple[int, ...] = CUTS, **known: object) -> None:
        self.document = replace(make_document(text), **known)
        self.held = make_passages(self.document, text, cuts)

    def passages(self, uri: str):
        return self.held if uri == self.document.uri else []

    def documents(self):
        return [self.document]


def cite(shelf: Shelf, start: int, end: int) -> Citation:
    passage = next(p for p in shelf.held if p.start <= start < p.end)
    return Citation(1, SourceRef.of(shelf.document, passage), TEXT[start:end], start, end)


def shown(excerpt: Excerpt, number: int | None = None, **terminal: object) -> str:
    out = Console(file=io.StringIO(), width=80, markup=False, highlight=False, **terminal)
    show_excerpt(excerpt, out, number)
    return out.file.getvalue()


@given(st.data())
def test_a_quotation_stands_among_its_neighbours(data: st.DataObject) -> None:
    cuts = tuple(sorted(data.draw(st.sets(st.integers(1, len(TEXT) - 1), max_size=12))))
    start = data.draw(st.integers(0, len(TEXT) - 1))
    end = data.draw(st.integers(start + 1, len(TEXT)))
    shelf = Shelf(cuts=cuts)
    found = in_context(shelf, cite(shelf, start, end))
    assert (found.words, found.note) == (TEXT[start:end], "")
    first, last = start - len(found.before), end + len(found.after)
    assert TEXT[first:last] == found.before + found.words + found.after
    spans = list(pairwise([0, *cuts, len(TEXT)]))
    holding = [at for at, (begin, stop) in enumerate(spans) if begin < end and start < stop]
    assert first == spans[max(holding[0] - 1, 0)][0]
    assert last == spans[min(holding[-1] + 1, len(spans) - 1)][1]
    assert (found.opens, found.ends) == (first == 0, last == len(TEXT))


def test_the_cut_into_passages_may_have_changed_since() -> None:
    citation = cite(Shelf(), 210, 230)
    found = in_context(Shelf(cuts=(50, 220, 260)), citation)
    assert (found.words, found.note) == (citation.quote, "")
    assert found.before + found.words + found.after == TEXT


def test_what_the_library_has_no_more_is_quoted_with_a_note() -> None:
    citation = cite(Shelf(), 210, 230)
    newer = Shelf(TEXT.replace("9", "8"))
    for shelf, why in (
        (newer, newer.document.sha256[:8]),
        (Shelf(uri="https://elsewhere.org/"), "no passage"),
    ):
        found = in_context(shelf, citation)
        assert (found.before, found.words, found.after) == ("", citation.quote, "")
        assert why in found.note
        assert "chaincite verify" in found.note
        assert found.note in " ".join(shown(found).split())


def test_every_address_of_a_citation_opens_at_its_lines() -> None:
    shelf = Shelf()
    lines = TEXT.split("\n")
    for passage in shelf.held:
        source = SourceRef.of(shelf.document, passage)
        found = at_address(shelf, link(source))
        assert found.words == "\n".join(lines[passage.line_start - 1 : passage.line_end])
        assert link(found.source) == link(source)
    assert at_address(shelf, shelf.document.uri).words == TEXT


def test_an_address_with_a_page_opens_at_the_page() -> None:
    shelf = Shelf()
    shelf.held = [
        replace(p, page=page, line_start=None, line_end=None)
        for p, page in zip(shelf.held, (1, 1, 2, 4, 4), strict=True)
    ]
    assert [at_address(shelf, f"{shelf.document.uri}#page={n}").words for n in (1, 2, 4)] == [
        TEXT[:200],
        TEXT[200:300],
        TEXT[300:],
    ]
    for fragment, said in (("page=3", "on 1 to 4"), ("page=0", "on 1 to 4"), ("L3", "#page=1")):
        with pytest.raises(LibraryError, match=said):
            at_address(shelf, f"{shelf.document.uri}#{fragment}")


@pytest.mark.parametrize("fragment", ["#L0", "#L5-L4", "#L32", "#page=1", "#nowhere", "/more"])
def test_an_address_that_opens_nothing_is_one_clear_line(fragment: str) -> None:
    shelf = Shelf()
    with pytest.raises(LibraryError) as caught:
        at_address(shelf, shelf.document.uri + fragment)
    assert "; " in str(caught.value)


def test_the_words_are_marked_with_and_without_colour() -> None:
    shelf = Shelf()
    excerpt = in_context(shelf, cite(shelf, 210, 255))
    words = " ".join(excerpt.words.split())
    plain = shown(excerpt, 1)
    assert "\x1b" not in plain
    assert re.search(r"»(.*)«", " ".join(plain.split()))[1] == words
    assert plain.startswith("[1] EIP-1")
    assert max(len(line) for line in plain.splitlines() if "://" not in line) <= 80
    assert not re.search(r" \n", plain)
    coloured = shown(excerpt, 1, force_terminal=True, color_system="standard", no_color=False)
    assert "»" not in coloured
    reversed_parts = re.findall(r"\x1b\[7m(.*?)\x1b\[0m", coloured, re.DOTALL)
    assert " ".join(" ".join(reversed_parts).split()) == words


def test_source_text_cannot_steer_the_terminal() -> None:
    evil = "A \x1b]0;title\x07fee \x1b[31mred\x9b2J and \u202eback.\n"
    shelf = Shelf(evil, ())
    citation = Citation(1, SourceRef.of(shelf.document, shelf.held[0]), evil[2:20], 2, 20)
    printed = shown(in_context(shelf, citation), 1)
    assert not set(printed) & set("\x1b\x07\x9b\u202e")


@pytest.mark.slow
def test_show_puts_a_citation_and_an_address_in_their_place(chaincite, sample_library, tmp_path) -> None:
    library = shutil.copytree(sample_library, tmp_path / "library")
    answer = json.loads(chaincite("--library", library, "ask", FEE, "--json").stdout)
    [first, *_] = answer["citations"]
    found = json.loads(chaincite("--library", library, "show", "last", "1", "--json").stdout)
    assert (found["quote"], found["note"], found["lines"]) == (first["quote"], None, first["lines"])
    assert found["before"] or found["after"]
    plain = chaincite("--library", library, "show", "last", "1").stdout
    assert " ".join(first["quote"].split()) in re.search(r"»(.*)«", " ".join(plain.split()))[1]
    [line, _] = first["lines"]
    address = chaincite("--library", library, "show", f"{found['uri']}#L{line}", "--json")
    assert first["quote"] in json.loads(address.stdout)["quote"]
    with Terminal("--library", library, "show", "last", "1", NO_COLOR="") as terminal:
        terminal.until("12.5 percent")
    assert "\x1b[7m" in terminal.raw
    assert "»" not in terminal.text


@pytest.mark.slow
def test_what_cannot_be_shown_is_one_clear_line(chaincite, sample_library, tmp_path) -> None:
    library = shutil.copytree(sample_library, tmp_path / "library")
    chaincite("--library", library, "ask", FEE)
    for arguments, said in (
        (("last", "99"), "has no citation [99]"),
        (("last", "1", "--markdown"), "whole answers"),
        (("https://example.org/none", "1"), "address"),
        (("https://example.org/none",), "holds no source"),
    ):
        ran = chaincite("--library", library, "show", *arguments)
        assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
        assert said in ran.stderr
