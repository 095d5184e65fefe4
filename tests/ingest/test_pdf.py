"""What the PDF reader makes of good, odd and hostile files."""

from __future__ import annotations

import json
import re
import zlib
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reportlab.lib.pdfencrypt import StandardEncryption

from index.errors import SourceError
from index.values import Kind, Reading
from ingest.fetch import Fetcher
from ingest.readers import read
from ingest.readers.columns import Line
from ingest.readers.hyphens import HYPHEN
from ingest.readers.layout import lay_out
from ingest.sources import Limits, find, load

NOW = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
FILES = Path(__file__).with_name("files")
BODY = "The protocol keeps a ledger of accounts, and each of them has a balance"
Read = Callable[..., Reading]
Pdf = Callable[..., bytes]


def paper() -> list[list[tuple[str, int, bool]]]:
    """Two pages: a title, people, a date, sections, paragraphs, a list, running heads."""
    running = ("Ledgers, a draft", 8, False)
    first = [
        ("On Ledgers and the People", 20, False),
        ("Who Keep Them", 20, False),
        ("Ann Lee, Ben Ray", 12, False),
        ("ann@example.org", 12, False),
        ("March 5th, 2024", 12, False),
        ("Abstract", 10, True),
        *[(f"{BODY} {n}.", 10, False) for n in range(4)],
        ("1 Introduction", 14, True),
        *[(f"{BODY} {n}.", 10, False) for n in range(4, 9)],
        ("1.1 Why", 12, True),
        ("• a first reason", 10, False),
        ("• a second reason", 10, False),
    ]
    later = [("2 Design", 14, True), *[(f"{BODY} {n}.", 10, False) for n in range(9, 14)]]
    return [[running, *page, ("7", 8, False)] for page in (first, later, later)]


def headings(reading: Reading) -> list[tuple[int, str]]:
    return [(block.level, block.title) for block in reading.blocks if block.kind == "heading"]


def test_pages_headings_and_people_are_found(reading: Read, pdf: Pdf) -> None:
    read = reading(pdf(paper(), title="untitled", author="anonymous"), "ledgers.pdf")
    document = read.document
    assert (document.kind, document.media_type) == (Kind.PAPER, "application/pdf")
    assert document.title == "On Ledgers and the People Who Keep Them"
    assert document.authors == ("Ann Lee", "Ben Ray")
    assert document.published_at == date(2024, 3, 5)
    assert headings(read) == [
        (1, "On Ledgers and the People Who Keep Them"),
        (2, "Abstract"),
        (2, "1 Introduction"),
        (3, "1.1 Why"),
        (2, "2 Design"),
        (2, "2 Design"),
    ]
    begun = [read.text[start:].strip().partition("\n")[0] for start in read.pages]
    assert begun == ["On Ledgers and the People", "2 Design", "2 Design"]
    assert read.text.count("\f") == 2
    lists = [read.text[block.start : block.end] for block in read.blocks if block.kind == "list"]
    assert lists == ["• a first reason\n• a second reason"]


def test_running_heads_and_page_numbers_are_left_out(reading: Read, pdf: Pdf) -> None:
    read = reading(pdf(paper()), "ledgers.pdf")
    assert "Ledgers, a draft" not in read.text
    assert not re.search(r"^7$", read.text, re.MULTILINE)
    assert all(f"{BODY} {n}." in read.text for n in range(14))


def test_metadata_gives_what_the_first_page_confirms(reading: Read, pdf: Pdf) -> None:
    page = [[("Ledgers: a study", 20, False), (f"{BODY}, which is how it was always kept.", 10, False)]]
    document = reading(pdf(page, title="Ledgers: A Study", author="Cleo May"), "x.pdf").document
    assert (document.title, document.authors) == ("Ledgers: A Study", ("Cleo May",))
    other = reading(pdf(page, title="Microsoft Word - draft3.doc", author="admin"), "x.pdf").document
    assert (other.title, other.authors) == ("Ledgers: a study", ())


@pytest.mark.parametrize("strength", [40, 128])
def test_a_pdf_sealed_without_a_password_opens(reading: Read, pdf: Pdf, strength: int) -> None:
    seal = StandardEncryption("", ownerPassword="owner", strength=strength)
    assert "a ledger of accounts" in reading(pdf([[(BODY, 10, False)]], producer=seal), "x.pdf").text


def test_aes_without_a_password_opens() -> None:
    source = find([str(FILES / "aes-open.pdf")]).sources[0]
    assert b"/AESV3" in (body := load(source, Fetcher()).body)
    assert read(body, source, retrieved_at=NOW).text == "Sealed, yet open to read."


def bomb() -> bytes:
    """A small PDF whose one page holds half a gigabyte of drawing."""
    packer = zlib.compressobj(1)
    stream = b"".join(packer.compress(b"q " * (1 << 22)) for _ in range(64)) + packer.flush()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>",
        b"<</Length %d/Filter/FlateDecode>>stream\n%b\nendstream" % (len(stream), stream),
    ]
    body = b"%PDF-1.4\n"
    for number, content in enumerate(objects, start=1):
        body += b"%d 0 obj%b endobj\n" % (number, content)
    return body + b"trailer<</Root 1 0 R/Size 5>>\n%%EOF"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"%PDF-1.7\nthe rest is lost", "broken"),
        (b"%PDF-1.7\n" + bytes(1000), "broken"),
        (b"this never was one", "is none"),
        ((FILES / "aes-password.pdf").read_bytes(), "password"),
    ],
)
def test_a_pdf_that_cannot_be_opened_is_refused(reading: Read, body: bytes, reason: str) -> None:
    with pytest.raises(SourceError, match=reason) as caught:
        reading(body, "x.pdf")
    assert "\n" not in str(caught.value)


def test_a_pdf_of_pictures_is_refused(reading: Read, pdf: Pdf) -> None:
    with pytest.raises(SourceError, match="2 pages without a text layer"):
        reading(pdf([[], []]), "scan.pdf")


def test_a_bomb_is_stopped(reading: Read) -> None:
    body = bomb()
    assert len(body) < 4 << 20
    with pytest.raises(SourceError, match="256 MiB to open"):
        reading(body, "bomb.pdf", limits=Limits(pdf_memory=256 << 20))


def test_a_pdf_that_takes_too_long_is_stopped(reading: Read, pdf: Pdf) -> None:
    with pytest.raises(SourceError, match="s to open"):
        reading(pdf(paper()), "x.pdf", limits=Limits(pdf_seconds=0.001))


def test_a_pdf_of_too_much_text_is_refused(reading: Read, pdf: Pdf) -> None:
    with pytest.raises(SourceError, match="characters"):
        reading(pdf(paper()), "x.pdf", limits=Limits(text_bytes=100))


def lines(*texts: str) -> list[Line]:
    return [Line(text, 10.0, False, 60.0, 100.0 + 12 * at, 500.0) for at, text in enumerate(texts)]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (f"growth with{HYPHEN}", "out limit", "growth without limit"),
        (f"a non{HYPHEN}", "custodial pool", "a non-custodial pool"),
        (f"a proof-of{HYPHEN}", "work system", "a proof-of-work system"),
        (f"as in EIP{HYPHEN}", "1559 of old", "as in EIP-1559 of old"),
        (f"an imple{HYPHEN}", "mentation", "an implementation"),
        (f"see https://example.org/a{HYPHEN}", "page for it", "see https://example.org/a-page for it"),
        ("the ﬁrst ﬂow of oﬃce", "next", "the first flow of office\nnext"),
    ],
)
def test_broken_words_are_whole_again(before: str, after: str, expected: str) -> None:
    known = f"without non custodial proof work of syl{HYPHEN}", "lable syllable"
    text = lay_out([lines(*known, before, after)]).text
    assert " ".join(text.split()).endswith(" ".join(f"syllable syllable {expected}".split()))


def test_where_no_word_is_broken_in_syllables_a_hyphen_is_a_hyphen() -> None:
    assert lay_out([lines(f"a back{HYPHEN}", "running bot")]).text == "a back-running bot"


LINES = st.builds(
    Line,
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1)
    .filter(str.strip)
    .map(str.rstrip)
    | st.sampled_from(
        ["1 Introduction", "Abstract", "• item", f"bro{HYPHEN}", "7", "Words of a line.", "TITLE LINE"]
    ),
    st.sampled_from([8.0, 10.0, 10.0, 12.0, 18.0]),
    st.booleans(),
    st.floats(0, 300),
    st.floats(0, 800),
    st.floats(300, 600),
)


@settings(max_examples=200)
@given(st.lists(st.lists(LINES, max_size=8), min_size=1, max_size=5))
def test_any_layout_gives_ordered_blocks_and_keeps_all_words(pages: list[list[Line]]) -> None:
    parsed = lay_out(pages)
    position = 0
    for block in parsed.blocks:
        assert position <= block.start < block.end <= len(parsed.text)
        assert "\f" not in parsed.text[block.start : block.end].strip("\f")
        if block.kind == "heading":
            assert block.title == " ".join(parsed.text[block.start : block.end].split())
        position = block.end
    assert len(parsed.pages) == len(pages)
    assert list(parsed.pages) == sorted(parsed.pages)
    letters = Counter(re.sub(r"[\W_]|[ﬀ-ﬆ]", "", "".join(line.text for page in pages for line in page)))
    assert not letters - Counter(parsed.text)


@pytest.mark.corpus
def test_gold_quotes_stand_on_their_pages(shared: Path) -> None:
    found = find([], manifest=shared / "corpus/MANIFEST.json")
    sources = {source.path: source for source in found.sources}
    rows = (json.loads(line) for line in (shared / "evals/dev.jsonl").read_text("utf-8").splitlines())
    spans = [span for row in rows for span in row["spans"] if "page" in span]
    readings = {
        path: read(load(sources[path], Fetcher()).body, sources[path], retrieved_at=NOW)
        for path in {span["path"] for span in spans}
    }
    for span in spans:
        reading = readings[span["path"]]
        bounds = [*reading.pages, len(reading.text)]
        page = reading.text[bounds[span["page"] - 1] : bounds[span["page"]]]
        assert words(span["quote"]) in words(page), span


def words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


@pytest.mark.corpus
def test_papers_state_who_wrote_them_and_when(shared: Path) -> None:
    found = find([str(shared / "corpus/papers/*.pdf")])
    read_all = [read(load(source, Fetcher()).body, source, retrieved_at=NOW) for source in found.sources]
    documents = {reading.document.path: reading.document for reading in read_all}
    assert documents["bitcoin.pdf"].title == "Bitcoin: A Peer-to-Peer Electronic Cash System"
    assert documents["bitcoin.pdf"].authors == ("Satoshi Nakamoto",)
    assert documents["uniswap-v4.pdf"].authors[:2] == ("Hayden Adams", "Moody Salem")
    assert documents["peercoin.pdf"].published_at == date(2012, 8, 19)
    for reading in read_all:
        assert len([block for block in reading.blocks if block.kind == "heading"]) >= 10
