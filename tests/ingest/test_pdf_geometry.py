"""What the PDF reader makes of places and sizes: powers, columns, tables, running heads, broken sentences."""

from __future__ import annotations

import io
import re
import stat
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from index.embed import load
from index.network import DEFAULT_MODEL
from index.values import Reading
from ingest.chunk import Chunker
from ingest.sources import Limits

Read = Callable[..., Reading]
Draw = Callable[[Canvas], None]


def drawn(*pages: Draw, rotation: int = 0) -> bytes:
    stream = io.BytesIO()
    canvas = Canvas(stream, pagesize=(612, 792))
    for draw in pages:
        canvas.setPageRotation(rotation)
        draw(canvas)
        canvas.showPage()
    canvas.save()
    return stream.getvalue()


def line(canvas: Canvas, x: float, y: float, *parts: str | tuple[str, float]) -> None:
    """Draws parts one after the other; a part with a rise is small, and stands so much higher."""
    for part in parts:
        text, rise = part if isinstance(part, tuple) else (part, 0.0)
        size = 7 if rise else 10
        canvas.setFont("Helvetica", size)
        canvas.drawString(x, y + rise, text)
        x += canvas.stringWidth(text, "Helvetica", size)


@pytest.mark.parametrize(
    ("parts", "written"),
    [
        (["a field of 2", ("128", 4), " elements"], "a field of 2^128 elements"),
        (["1 wei is 10", ("−18", 4), " ether"], "1 wei is 10^−18 ether"),
        (["emits CO", ("2", -2), " and x", ("ij", -2)], "emits CO₂ and x_{ij}"),
        (["grows as y", ("n-1", 4), " does"], "grows as y^{n-1} does"),
        (["the 5", ("th", 4), " epoch"], "the 5th epoch"),
        (["by a vote", ("8", 4), " it"], "by a vote⁽⁸⁾ it"),
        (["a bond of 640", ("7", 4), " tokens"], "a bond of 640⁽⁷⁾ tokens"),
        (["cap 900", ("7", 4), " of 2", ("7", 4)], "cap 900⁽⁷⁾ of 2^7"),
    ],
)
def test_raised_and_lowered_text_is_no_part_of_a_number(
    reading: Read, parts: list[str | tuple[str, float]], written: str
) -> None:
    def page(canvas: Canvas) -> None:
        line(canvas, 72, 700, "The parameters of the scheme were set by its council in May.")
        line(canvas, 72, 688, *parts)
        line(canvas, 72, 90, ("7", 3), " Raised by a later vote of the council.")

    text = reading(drawn(page), "a.pdf").text
    assert written in text
    assert "⁽⁷⁾ Raised by a later vote" in text


COLUMN = re.findall(r"\w+", "the members of each committee sign every header that they see in some seconds")


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("by_row", [True, False])
def test_columns_are_read_one_after_the_other(reading: Read, count: int, by_row: bool) -> None:
    places = [(column, row) for column in range(count) for row in range(9)]

    def page(canvas: Canvas) -> None:
        line(canvas, 200, 750, "A note that has a title over all of its columns")
        for column, row in sorted(places, key=lambda place: place[1]) if by_row else reversed(places):
            words = " ".join(COLUMN[(row + at) % len(COLUMN)] for at in range(4))
            line(canvas, 50 + 520 / count * column, 700 - 12 * row - 2 * column, f"c{column}r{row} {words}")

    found = re.findall(r"c(\d)r(\d)", reading(drawn(page), "a.pdf").text)
    assert [(int(column), int(row)) for column, row in found] == places


def test_a_page_that_is_turned_is_read_upright(reading: Read) -> None:
    def page(canvas: Canvas) -> None:
        canvas.translate(612, 0)
        canvas.rotate(90)
        line(canvas, 72, 500, "The fee of the turned page is 17 bips, and its limit is 10", ("6", 4), ".")

    text = reading(drawn(page, rotation=90), "a.pdf").text
    assert "its limit is 10^6." in text


def test_tables_are_rows_under_their_headers_on_every_page(reading: Read) -> None:
    rows = [
        ["Asset", "Collateral factor", "Cap"],
        *([f"TOK{n}", f"{50 + n} %", f"{n},000"] for n in range(90)),
    ]

    def page(part: list[list[str]]) -> Draw:
        def draw(canvas: Canvas) -> None:
            for at, (asset, factor, cap) in enumerate(part):
                line(canvas, 90, 720 - 14 * at, asset)
                line(canvas, 200, 720 - 14 * at, factor)
                canvas.drawRightString(400, 720 - 14 * at, cap)

        return draw

    read = reading(drawn(page(rows[:45]), page(rows[45:])), "a.pdf")
    assert "| TOK7 | 57 % | 7,000 |\n| TOK8 |" in read.text
    header = "| Asset | Collateral factor | Cap |"
    assert [block.title for block in read.blocks if block.kind == "table"] == [header, header]
    embedder = load(DEFAULT_MODEL)
    passages = Chunker(embedder.tokenizer, embedder.max_tokens).passages(read)
    assert len(passages) > 3
    assert all(header in passage.text or header in passage.context for passage in passages)


def test_a_sentence_over_pages_is_whole_and_each_page_begins_where_it_does(reading: Read) -> None:
    def page(number: int) -> Draw:
        def draw(canvas: Canvas) -> None:
            line(canvas, 72, 765, "A. Lee and B. Ray" if number % 2 else "The marten protocol")
            line(canvas, 290, 30, f"Page {number} of 4")
            line(canvas, 72, 700, f"was voted on in round {number} of the commit-")
            line(canvas, 72, 688, "tee. A sentence that begins and ends on this page stands here.")
            line(canvas, 72, 676, "The next sentence is about the deposit of all members, which")
            line(canvas, 72, 80, (str(number), 3), " A footnote that is set at the foot of the page.")

        return draw

    read = reading(drawn(*map(page, (1, 2, 3, 4))), "a.pdf")
    assert "deposit of all members, which\nwas voted on in round 3 of the committee." in read.text
    assert "Page 2" not in read.text
    assert "protocol" not in read.text
    starts = [*read.pages, len(read.text)]
    assert all(f"round {n}" in read.text[a:b] for n, (a, b) in enumerate(pairwise(starts), start=1))
    embedder = load(DEFAULT_MODEL)
    passages = Chunker(embedder.tokenizer, embedder.max_tokens).passages(read)
    assert [passage.page for passage in passages] == [1, 2, 3, 4]


def scan() -> bytes:
    pixel = ImageReader(io.BytesIO(_PIXEL))
    return drawn(
        lambda canvas: line(canvas, 72, 700, "The first page has words about the heron fund."),
        lambda canvas: canvas.drawImage(pixel, 0, 0, 612, 792),
        lambda canvas: None,
        lambda canvas: line(canvas, 72, 700, "The last page names its auditors."),
    )


_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8ffff3f0005"
    "fe02fe0def46b80000000049454e44ae426082"
)


def test_a_scanned_page_among_others_is_named(reading: Read) -> None:
    [warning] = reading(scan(), "a.pdf").warnings
    assert warning.startswith("page 2 of 4 lost")


def test_a_scanned_page_is_recognised_where_that_is_asked_for_and_marked(
    reading: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "tesseract"
    program.write_text("#!/bin/sh\nhead -c 2 | grep -q P5 && echo 'The heron fund pays in June.'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    read = reading(scan(), "a.pdf", limits=Limits(ocr="eng"))
    assert "page 2 of 4 read by OCR" in read.warnings[0]
    embedder = load(DEFAULT_MODEL)
    passages = Chunker(embedder.tokenizer, embedder.max_tokens).passages(read)
    marked = [
        (passage.page, "heron fund pays" in passage.text)
        for passage in passages
        if "Read by OCR" in passage.heading
    ]
    assert marked == [(2, True)]


def test_without_tesseract_the_other_pages_are_read(
    reading: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    read = reading(scan(), "a.pdf", limits=Limits(ocr="eng"))
    assert "not installed" in read.warnings[0]
    assert "auditors" in read.text
