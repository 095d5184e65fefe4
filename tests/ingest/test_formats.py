"""Office files, books, notebooks, records, mail, transcripts, archives: what is read and what refused."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from datetime import date

import pptx
import pytest

from index.embed import load
from index.errors import SourceError
from index.network import DEFAULT_MODEL
from index.values import Reading
from ingest.chunk import Chunker
from ingest.sources import Limits

Read = Callable[..., Reading]

_W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def zipped(members: dict[str, str | bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return stream.getvalue()


def docx() -> bytes:
    def words(text: str, look: str = "") -> str:
        return f'<w:r><w:rPr>{look}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'

    raised = '<w:vertAlign w:val="superscript"/>'
    rows = "".join(
        f"<w:tr>{''.join(f'<w:tc><w:p>{words(cell)}</w:p></w:tc>' for cell in row)}</w:tr>"
        for row in (("Tier", "Delay"), ("Gold", "11 blocks"))
    )
    body = f"<w:p>{words('A space of 2')}{words('128', raised)}{words(' keys.')}</w:p><w:tbl>{rows}</w:tbl>"
    return zipped(
        {
            "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Override'
            f' PartName="/word/document.xml" ContentType="{_TYPE}"/></Types>',
            "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1"'
            f' Type="{_OFFICE}" Target="word/document.xml"/></Relationships>',
            "word/document.xml": f"<w:document {_W}><w:body>{body}</w:body></w:document>",
            "docProps/core.xml": "<c xmlns:dc='d'><dc:title>Alder</dc:title>"
            "<dc:creator>Ann Lee</dc:creator></c>",
        }
    )


def slides() -> bytes:
    deck = pptx.Presentation()
    for title, text in (("Fees", "The fee is 4 bips"), ("Limits", "The cap is 900 tokens")):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = text
    slide.notes_slide.notes_text_frame.text = "Say that it was 800."
    stream = io.BytesIO()
    deck.save(stream)
    return stream.getvalue()


def book() -> bytes:
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container><rootfile full-path="o/c.opf"/></container>',
            "o/c.opf": '<package><metadata xmlns:dc="d"><dc:title>Cedar</dc:title>'
            "<dc:date>2023-02-03</dc:date></metadata><manifest>"
            '<item id="a" href="a.xhtml"/><item id="b" href="b%20c.xhtml"/></manifest>'
            '<spine><itemref idref="b"/><itemref idref="a"/></spine></package>',
            "o/a.xhtml": "<html><body><h1>Second</h1><p>It ends.</p></body></html>",
            "o/b c.xhtml": "<html><body><h1>First</h1><p>Blocks take 3 s.</p></body></html>",
        }
    )


def test_a_word_document_keeps_powers_tables_and_what_it_says_of_itself(reading: Read) -> None:
    read = reading(docx(), "a.docx")
    assert (read.document.title, read.document.authors) == ("Alder", ("Ann Lee",))
    assert "A space of 2^128 keys." in read.text
    assert "| Tier | Delay |\n| --- | --- |\n| Gold | 11 blocks |" in read.text


def test_each_slide_is_a_page(reading: Read) -> None:
    read = reading(slides(), "a.pptx")
    embedder = load(DEFAULT_MODEL)
    passages = Chunker(embedder.tokenizer, embedder.max_tokens).passages(read)
    assert [(passage.page, passage.heading) for passage in passages] == [(1, ("Fees",)), (2, ("Limits",))]
    assert "900 tokens" in passages[1].text
    assert "it was 800" in passages[1].text


def test_the_chapters_of_a_book_stand_in_reading_order(reading: Read) -> None:
    read = reading(book(), "a.epub")
    assert (read.document.title, read.document.published_at) == ("Cedar", date(2023, 2, 3))
    assert [block.title for block in read.blocks if block.kind == "heading"] == ["First", "Second"]


@pytest.mark.parametrize(
    ("name", "body", "texts"),
    [
        (
            "a.csv",
            'Asset;Factor\nETH;"82\n%"\nDAI;75 %\n',
            ["| Asset | Factor |\n| ETH | 82 % |\n| DAI | 75 % |"],
        ),
        ("a.tsv", "a\tb\n1\t2\n", ["| a | b |\n| 1 | 2 |"]),
        ("a.json", '{"fee": {"bips": 5}, "caps": [1, 2]}', ["fee.bips: 5", "caps: 1, 2"]),
        (
            "a.json",
            '{"m": [{"asset": "ETH", "cap": 9}, {"asset": "DAI", "cap": 8}]}',
            ["| asset | cap |\n| ETH | 9 |"],
        ),
        ("a.jsonl", '{"t": "Fir pays."}\n{"t": "It stops.", "x": [1]}\n', ["line 2\n\n- t: It stops."]),
        ("a.rst", "Gum\n===\n\nThe fee::\n\n    code = 1\n\n- item\n", ["Gum\n===\n\nThe fee::"]),
        ("a.org", "#+TITLE: Gum\n* Fees\nTwo bips.\n| a | b |\n", ["* Fees\nTwo bips."]),
        (
            "a.ipynb",
            json.dumps(
                {"cells": [{"cell_type": "code", "source": ["x = 1"], "outputs": [{"text": ["1\n"]}]}]}
            ),
            ["```python\nx = 1\n```\n\n```\n1\n```"],
        ),
    ],
)
def test_records_and_markup_are_read(reading: Read, name: str, body: str, texts: list[str]) -> None:
    read = reading(body, name)
    assert all(text in read.text for text in texts)


def test_a_transcript_is_cited_by_its_times(reading: Read) -> None:
    body = (
        "WEBVTT - A call\n\n1\n00:00:01.000 --> 00:00:06.000\n<v Ann>Welcome to all.</v>\n\n"
        "00:12:03.000 --> 00:12:09.000\nThe limit goes to <b>sixty</b>\n\n"
        "00:12:09.000 --> 00:12:12.000\nmillion.\n"
    )
    read = reading(body, "a.vtt")
    embedder = load(DEFAULT_MODEL)
    passages = Chunker(embedder.tokenizer, embedder.max_tokens).passages(read)
    assert [passage.heading for passage in passages] == [("00:00:01",), ("00:12:03",)]
    assert "Ann: Welcome to all." in passages[0].text
    assert "goes to sixty\nmillion." in passages[1].text
    assert passages[1].line_start is None


def test_a_mail_says_who_wrote_it_when_and_what_was_left_out(reading: Read) -> None:
    body = (
        "From: Ann Lee <ann@example.org>\nSubject: =?utf-8?q?Re=3A_f=C3=A9es?=\n"
        "Date: Thu, 05 Aug 2021 23:30:00 -0500\nContent-Type: multipart/mixed; boundary=x\n\n--x\n"
        "Content-Type: text/html; charset=utf-8\n\n<p>The fee is 3 bips.</p>\n--x\n"
        "Content-Disposition: attachment; filename=a.pdf\n\nxx\n--x--\n"
    )
    read = reading(body, "a.eml")
    document = read.document
    assert (document.title, document.authors) == ("fées", ("Ann Lee",))
    assert document.published_at == date(2021, 8, 5)
    assert "The fee is 3 bips." in read.text
    assert "'a.pdf' not read" in read.warnings[0]
    assert read.lost == (("attachments", 1),)


def test_of_an_archive_what_can_be_read_is_read_and_the_rest_named(reading: Read) -> None:
    members: dict[str, str | bytes] = {
        "docs/a.md": "# Maple\n\nThe fee is 12 bips.\n",
        "b.bin": b"\0",
        "in/a.docx": docx(),
        "zeros.txt": bytes(4 << 20),
        "inner.zip": zipped({"a.md": "x"}),
    }
    read = reading(zipped(members), "a.zip")
    headings = [block.title for block in read.blocks if block.kind == "heading" and block.level == 1]
    assert headings == ["docs/a.md", "in/a.docx"]
    assert "2^128" in read.text
    assert all(
        any(name in warning for warning in read.warnings) for name in ("b.bin", "zeros.txt", "inner.zip")
    )
    assert read.lost == (("members of an archive", 3),)


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [
        ("a.zip", zipped({"zeros.txt": bytes(4 << 20)}), "zeros.txt"),
        ("a.docx", zipped({"word/document.xml": bytes(4 << 20)}), "word/document.xml"),
        ("a.docx", b"\xd0\xcf\x11\xe0" + bytes(600), "old or protected"),
        ("a.docx", b"PK\x03\x04broken", "broken archive"),
        ("a.epub", zipped({"a.txt": "x"}), "container.xml"),
        ("a.pptx", zipped({"ppt/presentation.xml": "<a/>"}), "broken presentation"),
        ("a.json", '{"a": [1,', "not JSON"),
        ("a.ipynb", "[]", "no notebook"),
        ("a.srt", "no times", "no transcript"),
        ("a.eml", "Subject: x\n\n", "no message"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_line(reading: Read, name: str, body: bytes, reason: str) -> None:
    with pytest.raises(SourceError, match=reason) as caught:
        reading(body, name)
    assert "\n" not in str(caught.value)


def test_an_archive_of_too_much_is_refused(reading: Read) -> None:
    members = {f"{n}.md": f"# {n}\n\n" + "some words here " * 40 for n in range(9)}
    read = reading(zipped(members), "a.zip", limits=Limits(text_bytes=2000))
    assert "over the limit" in read.warnings[-1]
    assert "# 0" in read.text
