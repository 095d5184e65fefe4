"""What readers make of text formats: the text as it is, its blocks, and what it states about itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.errors import SourceError
from index.values import Kind, Reading
from ingest.fetch import Fetcher
from ingest.readers import markdown, read
from ingest.sources import Facts, Limits, Source, load
from ingest.targets import find

NOW = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
Read = Callable[..., Reading]

EIP = """---
eip: 1559
title: "Fee market: a change"
author: Ann Lee (@ann), Ben Ray <ben@example.org>, (@cleo), et al.
status: Final
type: Standards Track
category: Core
created: 2019-04-13
requires: 2718, 2930
---

## Abstract

Words of the *abstract*.
"""
BIP = """<pre>
  BIP: 141
  Layer: Consensus (soft fork)
  Title: Segregated Witness (Consensus layer)
  Authors: Eric Lo <eric@example.org>
           Pieter Wu <pieter@example.org>
  Status: Deployed
  Type: Specification
  Assigned: 2015-12-21
  Requires: 9, 16
</pre>

==Abstract==

Words of the ''abstract''.
"""
PIECES = st.sampled_from(
    [
        *("# ", "## A *b* c\n", "==H==\n", "== [[a|b]] ==\n", "```\n", "<pre>", "</pre>\n", "{|\n", "|}\n"),
        *(
            "| a | b |\n|---|---|\n",
            "- item\n",
            "* item\n",
            "1. x\n",
            "> q\n",
            "---\n",
            "    code\n",
            "<div>\n",
        ),
        *("\\section{A $b$ {c}}\n", "\\begin{table}", "\\end{table}\n", "\\begin{document}\n", "% note\n"),
        *(
            "\\end{document}\n",
            "\\title{T}\n",
            "eip: 1\n",
            "  BIP: 7\n",
            "\n",
            "\n\n",
            "\r\n",
            "\r",
            "\u2028",
        ),
        *("\x0c", "\t", " ", "word", "Ünïcode 🧱", "\u3000", "{", "}", "\\", "~", "&amp;"),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=5), min_size=1, max_size=30).map("".join)


def kinds(reading: Reading) -> list[tuple[str, str]]:
    return [(block.kind, reading.text[block.start : block.end]) for block in reading.blocks]


def headings(reading: Reading) -> list[tuple[int, str]]:
    return [(block.level, block.title) for block in reading.blocks if block.kind == "heading"]


@given(TEXTS, st.sampled_from(["note.md", "note.mediawiki", "note.tex", "note.txt"]))
def test_blocks_are_in_order_and_hold_every_word(text: str, name: str) -> None:
    source = Source("/x", name, "file:///x")
    try:
        reading = read(text.encode(errors="replace"), source, retrieved_at=NOW)
    except SourceError:
        return
    position = 0
    for block in reading.blocks:
        assert position <= block.start < block.end <= len(reading.text)
        assert not re.search(r"\w", reading.text[position : block.start])
        span = reading.text[block.start : block.end]
        assert span == span.rstrip()
        if block.kind == "heading":
            assert block.level >= 1
            assert all(word in span or word == "&" for word in block.title.split())
        else:
            assert block.level == 0
            assert block.title in span if block.kind == "table" else block.title == ""
        position = block.end
    assert not re.search(r"\w", reading.text[position:])


@given(st.text())
def test_the_text_of_a_text_format_is_the_decoded_source(text: str) -> None:
    body = text.encode("utf-8", errors="replace")
    for name in ("a.md", "a.mediawiki", "a.tex", "a.txt"):
        try:
            reading = read(body, Source("/x", name, "file:///x"), retrieved_at=NOW)
        except SourceError:
            continue
        assert reading.text == body.removeprefix(b"\xef\xbb\xbf").decode()


def test_front_matter_becomes_facts(reading: Read) -> None:
    read = reading(EIP, "eips/eip-1559.md")
    document = read.document
    assert (document.kind, document.number, document.title) == (
        Kind.PROPOSAL,
        "EIP-1559",
        "Fee market: a change",
    )
    assert document.authors == ("Ann Lee", "Ben Ray", "cleo")
    assert (document.status, document.category, document.published_at) == ("Final", "Core", date(2019, 4, 13))
    assert document.requires == ("EIP-2718", "EIP-2930")
    assert read.text == EIP
    assert [kind for kind, _ in kinds(read)] == ["preamble", "heading", "paragraph"]


@pytest.mark.parametrize(
    ("name", "category", "number"),
    [("ercs/erc-20.md", "Core", "ERC-20"), ("eip-20.md", "ERC", "ERC-20"), ("eip-20.md", "Core", "EIP-20")],
)
def test_an_erc_is_told_by_its_category_or_its_name(
    reading: Read, name: str, category: str, number: str
) -> None:
    assert reading(f"---\neip: 20\ntitle: T\ncategory: {category}\n---\nx\n", name).document.number == number


@pytest.mark.parametrize("name", ["bip-0141.mediawiki", "bip-0141.md"])
def test_a_bip_preamble_becomes_facts(reading: Read, name: str) -> None:
    text = (
        BIP
        if name.endswith("wiki")
        else BIP.replace("<pre>", "```").replace("</pre>", "```").replace("==", "# ", 1)
    )
    read = reading(text, name)
    document = read.document
    assert (document.kind, document.number) == (Kind.PROPOSAL, "BIP-141")
    assert document.title == "Segregated Witness (Consensus layer)"
    assert document.authors == ("Eric Lo", "Pieter Wu")
    assert (document.status, document.category) == ("Deployed", "Consensus (soft fork)")
    assert (document.published_at, document.requires) == (date(2015, 12, 21), ("BIP-9", "BIP-16"))
    assert read.blocks[0].kind == "preamble"
    assert read.text == text


def test_a_preamble_may_come_after_a_notice(reading: Read) -> None:
    read = reading("RECENT CHANGES:\n* one\n\n" + BIP, "bip.mediawiki")
    assert read.document.number == "BIP-141"
    assert [kind for kind, _ in kinds(read)] == ["paragraph", "list", "preamble", "heading", "paragraph"]


@pytest.mark.parametrize(
    "matter",
    [
        "[" * 5000,
        "- " * 5000 + "a",
        "a: &a [x]\nb: *a",
        "title: @unquoted: colon: 1",
        "- just\n- a list",
        "&a [*a]",
        "\t:",
        'title: "\\uD800"',
    ],
)
def test_odd_front_matter_does_no_harm(reading: Read, matter: str) -> None:
    read = reading(f"---\n{matter}\n---\n\n# Heading\n\nWords.\n")
    assert read.blocks[0].kind == "preamble"
    assert headings(read) == [(1, "Heading")]
    assert read.document.title.encode()


@pytest.mark.parametrize(
    "spelled",
    [
        *("2021/08/05", "August 5, 2021", "5 Aug 2021", "20210805", "2021-8-5", "2021-08-05T23:30:00-05:00"),
        *("5. August 2021", "5 août 2021", "2021年8月5日", "Thu, 05 Aug 2021 10:00:00 GMT"),
    ],
)
@pytest.mark.parametrize("matter", ["---\ndate: {}\n---\nWords.\n", "+++\ndate = '{}'\n+++\nWords.\n"])
def test_a_date_is_read_as_people_spell_it(reading: Read, spelled: str, matter: str) -> None:
    assert reading(matter.format(spelled)).document.published_at == date(2021, 8, 5)


@pytest.mark.parametrize("spelled", ["soon", "2021", "2021-13-45", "version 2 of 2021"])
def test_what_is_no_date_gives_none(reading: Read, spelled: str) -> None:
    assert reading(f"---\ndate: {spelled}\n---\nWords.\n").document.published_at is None


@pytest.mark.parametrize(
    "body",
    [
        "---\n\n# Memo\n\nThe rebate is 37 points.\n\n---\n\n## End\n",
        "---\nThe rebate is 37 points for all makers.\n---\n# Memo\n",
    ],
)
def test_text_between_rules_is_no_front_matter(reading: Read, body: str) -> None:
    read = reading(body)
    assert read.document.title == "Memo"
    assert "preamble" not in [kind for kind, _ in kinds(read)]


def test_markdown_without_front_matter_has_its_first_heading_as_title(reading: Read) -> None:
    read = reading("Some words first.\n\n## Lower ##\n\n# The `title` of *it* [all](x) #\n\ntext\n")
    assert read.document.title == "The title of it all"
    assert read.document.kind == Kind.PAPER
    assert headings(read) == [(2, "Lower"), (1, "The title of it all")]


def test_a_file_without_a_heading_is_called_by_its_name(reading: Read) -> None:
    assert reading("only words", "notes/my-note.md").document.title == "my-note"


@pytest.mark.parametrize("name", ["what#1?.md", "https://example.org/a.md?raw=1", "A.MD"])
def test_the_extension_decides_where_nothing_else_does(reading: Read, name: str) -> None:
    assert reading("# A\n", name).blocks[0].kind == "heading"


def test_markdown_structure(reading: Read) -> None:
    pieces = [
        ("heading", "Setext\n======"),
        ("paragraph", "One\ntwo."),
        ("list", "- a\n- b\n\n  still b"),
        ("table", "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("code", "```python\n# no heading\n\n| no | table |\n```"),
        ("paragraph", "> quoted\n> words"),
        ("list", "1. x\n2. y"),
        ("table", "<table>\n<tr><td>cell</td></tr>\n</table>"),
        ("paragraph", "[ref]: https://example.org"),
    ]
    text = "\n\n".join(piece for _, piece in pieces) + "\n\n---\n"
    assert kinds(reading(text)) == pieces


def test_a_window_of_lines_changes_nothing(reading: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n\n".join(
        f"# H{i}\n\n- a\n- b\n\n```\n" + "code\n" * 40 + f"```\n\npara {i}\nline" for i in range(9)
    )
    whole = reading(text).blocks
    monkeypatch.setattr(markdown, "_WINDOW", 7)
    assert reading(text).blocks == whole


def test_mediawiki_structure(reading: Read) -> None:
    pieces = [
        ("heading", "==A ''title''=="),
        ("paragraph", "One\ntwo."),
        ("list", "* a\n** b\n#: c"),
        ("table", '{| class="wikitable"\n! a\n{|\n| inner\n|}\n|-\n| 1\n|}'),
        ("code", "<source lang=python>\n== no heading ==\n\n* no list\n</source>"),
        ("code", " preformatted"),
        ("heading", "=== Deeper ==="),
        ("paragraph", "<pre> never closed\nand on."),
    ]
    read = reading("\n\n".join(piece for _, piece in pieces) + "\n", "a.mediawiki")
    assert kinds(read) == pieces
    assert headings(read) == [(2, "A title"), (3, "Deeper")]


def test_latex_structure(reading: Read) -> None:
    title = "\\title{On \\emph{ledgers} \\\\ and $\\sigma$}\n"
    preamble = f"\\documentclass{{article}}\n{title}\\author{{Ann Lee\\thanks{{x}} \\and Ben Ray}}\n"
    pieces = [
        ("preamble", preamble + "\\begin{document}"),
        ("heading", "\\begin{abstract}"),
        ("paragraph", "Short.\n\\end{abstract}"),
        ("heading", "\\section[s]{The {first} part}"),
        ("paragraph", "\\label{x}\nWords."),
        ("paragraph", "More words."),
        ("code", "\\begin{equation}\n\na = b\n\\end{equation}"),
        ("list", "\\begin{itemize}\n\\item \\begin{itemize}\\item a\\end{itemize}\n\\end{itemize}"),
        ("preamble", "% a comment\n% of two lines"),
        ("heading", "\\subsection{Deeper}"),
        ("paragraph", "\\begin{table} never closed"),
        ("preamble", "\\end{document}\nrest"),
    ]
    read = reading("\n\n".join(piece for _, piece in pieces), "a.tex")
    assert kinds(read) == pieces
    assert read.document.title == "On ledgers and σ"
    assert read.document.authors == ("Ann Lee", "Ben Ray")
    assert headings(read) == [(2, "Abstract"), (2, "The first part"), (3, "Deeper")]


def test_plain_text_is_parted_by_blank_lines(reading: Read) -> None:
    read = reading("One\r\ntwo\r\n\r\nthree\n \t\nfour\n\n---\n", "a.txt")
    assert kinds(read) == [("paragraph", "One\r\ntwo"), ("paragraph", "three"), ("paragraph", "four")]


PAGE = """<!doctype html><html><head><title>Fee markets</title><meta name="author" content="Ann Lee">
<meta property="article:published_time" content="2024-03-05T10:00:00Z"></head><body>
<nav><a href="/">Home page link</a></nav><article><h1>Fee markets</h1>
<p>A base fee is burned with each block, and a tip is paid to the proposer of the block in question.</p>
<h2>How it moves</h2><p>It rises by at most one eighth from one block to the next, when a block was full.</p>
<ul><li>first item of the list</li><li>second item</li></ul></article>
<footer>Copyright notice</footer></body></html>"""


@pytest.mark.parametrize(("name", "media_type"), [("page.html", None), ("page", "text/html"), ("page", None)])
def test_a_web_page_gives_its_main_text(reading: Read, name: str, media_type: str | None) -> None:
    read = reading(PAGE, name, media_type=media_type)
    assert read.document.title == "Fee markets"
    assert read.document.authors == ("Ann Lee",)
    assert read.document.published_at == date(2024, 3, 5)
    assert headings(read) == [(1, "Fee markets"), (2, "How it moves")]
    assert "Home page link" not in read.text
    assert "list" in [kind for kind, _ in kinds(read)]


def test_a_web_page_loses_no_list_table_definition_or_power(reading: Read) -> None:
    page = (
        "<html><body><h1>Rates</h1><ul><li>a stake of 812 tokens</ul><ol><li><p>five of nine</p></li></ol>"
        "<p>A field of 2<sup>255</sup>, CO<sub>2</sub>, a bond of 250<sup><a href='#f'>9</a></sup>.</p>"
        "<pre><code>if (x) {\n    y();\n}</code></pre><dl><dt>Epoch<dd>32 slots</dl>"
        "<table><tr><th>Tier<th>Delay</tr><tr><td rowspan=2>Gold<td><ul><li>11 blocks</ul></tr>"
        "<tr><td>12 blocks</tr></table><details><summary>Fees</summary>3 bips</details>"
        "<div class='cookie-banner'>We use cookies</div><iframe src=x></iframe></body></html>"
    )
    read = reading(page, "a.html")
    for text in (
        "- a stake of 812 tokens",
        "1. five of nine",
        "2^255, CO₂, a bond of 250⁽⁹⁾.",
        "if (x) {\n    y();\n}",
        "Epoch\n:   32 slots",
        "| Gold | 11 blocks |\n| Gold | 12 blocks |",
        "3 bips",
    ):
        assert text in read.text
    assert "cookies" not in read.text
    assert "iframe" in read.warnings[0]
    assert sum(count for _, count in read.lost) > 0


def test_a_web_page_without_text_is_refused(reading: Read) -> None:
    with pytest.raises(SourceError, match="without readable text"):
        reading("<html><body><script>x()</script></body></html>", "a.html")


@pytest.mark.parametrize(
    "body",
    [b"\xff\xfe" + "# Köpfe\n\nWörter\n".encode("utf-16-le"), "# Köpfe\n\nWörter\n".encode("utf-8-sig")],
)
def test_a_byte_order_mark_is_dropped(reading: Read, body: bytes) -> None:
    read = reading(body)
    assert read.text == "# Köpfe\n\nWörter\n"
    assert read.document.size == len(body)
    assert not read.warnings


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("# Title\n\nGrüße an alle, die dies hier lesen, und “mehr”.\n", "cp1252"),
        ("# Обзор\n\nКомиссия сети снижается после обновления протокола.\n", "cp1251"),
        ("# 概要\n\n手数料はブロックごとに燃やされます。検証者は三十二を預けます。\n", "shift_jis"),
        ("# -*- coding: iso-8859-15 -*-\n\nDas kostet 5 €.\n", "iso8859-15"),
    ],
)
def test_another_encoding_is_declared_or_detected_and_named(reading: Read, text: str, encoding: str) -> None:
    read = reading(text.encode(encoding))
    assert read.text == text
    assert encoding in read.warnings[0]


def test_stray_bytes_in_utf8_are_replaced_and_flagged(reading: Read) -> None:
    read = reading("# Títle\n\nGrüße – an alle, die dies".encode() + b" \xff\xfa lesen.\n")
    assert read.text.count("\ufffd") == 2
    assert "2 places" in read.warnings[0]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b" \n\n\t\n", "no text"),
        (b"# Title\n\0binary", "binary"),
        (bytes(range(1, 256)) * 40, "binary"),
        ("€uro wörter".encode("utf-16-be") * 9, "binary"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(128, 256)) * 9, "not"),
        (bytes(range(160, 256)) * 9, "not UTF-8"),
    ],
)
def test_what_is_not_text_is_refused(reading: Read, body: bytes, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        reading(body)


def test_a_body_over_the_limit_is_refused(reading: Read) -> None:
    with pytest.raises(SourceError, match="limit"):
        reading(b"word " * 1000, limits=Limits(text_bytes=4999))


def test_what_is_stated_from_outside_wins(reading: Read) -> None:
    stated = Facts(
        kind=Kind.FORUM, title="Given", authors=("Zoe",), chain="eip155:1", licence="CC0-1.0", commit="abc"
    )
    document = reading(EIP, stated=stated).document
    assert (document.kind, document.title, document.authors) == (Kind.FORUM, "Given", ("Zoe",))
    assert (document.chain, document.licence, document.commit) == ("eip155:1", "CC0-1.0", "abc")
    assert document.number == "EIP-1559"


@pytest.mark.parametrize("name", ["a.tex", "a.md", "a.mediawiki"])
@pytest.mark.parametrize(
    "piece",
    ["\\section{" + "{" * 3000, "== [[{{" * 300 + "==\n", "# " + "[*" * 3000, "> " * 5000, "{|\n" * 5000],
)
def test_deep_nesting_is_survived(reading: Read, name: str, piece: str) -> None:
    assert reading(piece + "\n\nWords.\n", name).text.endswith("Words.\n")


@pytest.mark.corpus
def test_every_proposal_of_the_shared_corpus_is_read_with_its_facts(shared: Path) -> None:
    found = find([], manifest=shared / "corpus/MANIFEST.json")
    proposals = [source for source in found.sources if source.path.startswith("proposals/")]
    for source in proposals[::10]:
        fetched = load(source, Fetcher())
        reading = read(fetched.body, source, retrieved_at=NOW)
        document = reading.document
        assert (
            re.sub(r"\D", "", document.path.rpartition("/")[2]).lstrip("0")
            == str(document.number).partition("-")[2]
        )
        assert document.title
        assert document.authors
        assert document.status
        assert document.category
        assert document.published_at
        assert reading.text == fetched.body.decode()
        assert any(block.kind == "heading" for block in reading.blocks)


def test_a_number_too_long_to_be_one_names_no_proposal(reading: Read) -> None:
    long = "9" * 6000
    document = reading(f"---\neip: {long}\ntitle: T\nrequires: 20, {long}\n---\nx\n").document
    assert (document.title, document.number, document.requires) == ("T", None, ("EIP-20",))
