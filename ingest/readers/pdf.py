"""PDF: text and structure by pypdfium2, in a child process that cannot take the library down with it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

from index.errors import SourceError
from index.values import Block
from ingest.readers.columns import Line, fragments, in_order
from ingest.readers.furniture import without_furniture
from ingest.readers.layout import front, lay_out
from ingest.readers.ocr import recognised
from ingest.readers.parsed import Parsed
from ingest.readers.preamble import names
from ingest.readers.scripts import Notation, Run, attached
from ingest.sources import Facts, Limits

_WORKER = Path(__file__).with_name("pdf_worker.py")
_GENERIC = re.compile(r"untitled|microsoft word|\.(?:docx?|tex|dvi|pdf|indd|pages)\b|^[\w-]+$", re.IGNORECASE)
_NOBODY = re.compile(r"user|admin\w*|root|owner|author|unknown|anonymous|[^\d@\n]*[\d@].*", re.IGNORECASE)
_NAME = re.compile(r"[A-ZÀ-Þ][\w'’.-]*(?: [A-ZÀ-Þ][\w'’.-]*){1,3}")
_MARKS = re.compile(r"⁽[^⁽⁾]*+⁾|[*∗†‡§¶]")
_PARTED = re.compile(r"(?<!\s)\s++(?:and|&)\s++|\|")
_HELP = 'run the file through OCR, or set ocr = "eng" where Tesseract is installed'
_NO_TEXT = "lost, without a text layer, such as a scan"
_GARBLED = "in a font that does not say which characters it shows"
OCR_MARK = "Read by OCR"
"""The heading of a page whose text was recognised, as citations show it."""

_DEEPEST, _OCR_SIZE = 6, 10.0
_CAPTION = 120
"""Characters that a page beside a picture of its text has at most."""

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAY = re.compile(rf"({'|'.join(_MONTHS)})(?: (\d{{1,2}})(?:st|nd|rd|th)?)?,? (\d{{4}})")


def read_pdf(body: bytes, limits: Limits) -> Parsed:
    """The text of a PDF's pages, parted by a form feed, with headings, paragraphs, lists and tables.

    Columns are read one after the other, running heads are left out, a word that is broken at a line's end is
    made whole, and what is raised or lowered is written as `ingest.readers.scripts` does. A page whose text
    is a picture is named, or recognised where the limits ask for it. Raises SourceError for a PDF that is
    protected by a password, broken, without a text layer, or takes more memory or time than the limits.
    """
    answer = _extract(body, limits)
    found = answer["pages"]
    scanned = _scanned(found)
    read, warnings = _recognised(body, scanned, limits)
    if not read and not any(page["runs"] for page in found):
        why = warnings[0] if warnings else _HELP
        raise SourceError(f"is a PDF of {len(found)} pages without a text layer; {why}")
    pages = _lines(found)
    for number, lines in read.items():
        pages[number - 1] = _recognised_lines(lines)
    parsed = _marked(lay_out(pages))
    lost = {_NO_TEXT: [page for page in scanned if page not in read], _GARBLED: _garbled(found)}
    warnings += (f"{_pages(at, found)} {why}; {_HELP}" for why, at in lost.items() if at)
    if read:
        warnings.append(
            f"{_pages(list(read), found)} read by OCR, which makes mistakes; compare with the scan"
        )
    return replace(
        parsed,
        facts=_facts(answer["metadata"], pages),
        warnings=tuple(warnings),
        lost=tuple((f"pages {why}", len(at)) for why, at in lost.items() if at),
    )


def _recognised(
    body: bytes, scanned: Sequence[int], limits: Limits
) -> tuple[dict[int, list[str]], list[str]]:
    """The lines of scanned pages where OCR is asked for, by page, and why they could not be recognised."""
    if not limits.ocr or not scanned:
        return {}, []
    try:
        return recognised(scanned, partial(_picture, body, limits), limits.ocr), []
    except SourceError as error:
        return {}, [str(error)]


def _recognised_lines(lines: Sequence[str]) -> list[Line]:
    """Lines that were recognised on a page, under a heading that says so."""
    mark = Line(OCR_MARK, 2 * _OCR_SIZE, True, 0.0, 0.0, 100.0)
    placed = enumerate(lines, start=2)
    return [
        mark,
        *(Line(text, _OCR_SIZE, False, 0.0, 1.2 * _OCR_SIZE * at, 500.0) for at, text in placed if text),
    ]


def _marked(parsed: Parsed) -> Parsed:
    """The parsed text in which the headings of recognised pages hold for their page alone."""
    blocks: list[Block] = []
    ends = 0
    for block in parsed.blocks:
        if ends and block.start >= ends:
            blocks.append(Block("heading", ends, ends, _DEEPEST))
            ends = 0
        if block.kind == "heading" and block.title == OCR_MARK:
            ends = next((page for page in parsed.pages if page > block.start), 0)
            block = replace(block, level=_DEEPEST)  # noqa: PLW2901
        blocks.append(block)
    return replace(parsed, blocks=tuple(blocks))


def _lines(found: Sequence[Mapping[str, Any]]) -> list[list[Line]]:
    """The lines of each page in reading order, what is turned against its page last."""
    pieces = [fragments(attached([Run(*run) for run in page["runs"]])) for page in found]
    kept = without_furniture(pieces, [page["height"] for page in found])
    sizes = Counter[float]()
    for run in (run for page in kept for run in page):
        sizes[run.size] += len(run.text)
    usual = sizes.most_common(1)[0][0] if sizes else 0.0
    turned = ([Run(*run) for run in page["turned"]] for page in found)
    return [
        _noted([*in_order(page), *in_order(fragments(aside))], usual)
        for page, aside in zip(kept, turned, strict=True)
    ]


def _noted(lines: Sequence[Line], usual: float) -> list[Line]:
    """Lines with what is raised and lowered in plain notation. usual: font size of running text."""
    notation = Notation([(line.text, line.size) for line in lines], usual)
    return [line._replace(text=notation.written(line.text)) for line in lines]


def _scanned(found: Sequence[Mapping[str, Any]]) -> list[int]:
    """The pages, counted from 1, that show something and hold no text, or a mere caption beside a picture."""
    sizes = [sum(len(run[0]) for run in page["runs"]) for page in found]
    return [
        at
        for at, (page, size) in enumerate(zip(found, sizes, strict=True), start=1)
        if size < (_CAPTION if page["pictures"] > 0.5 else 1) and page["drawn"]
    ]


def _garbled(found: Sequence[Mapping[str, Any]]) -> list[int]:
    """The numbers of the pages whose characters are not known, from 1."""
    sizes = [sum(len(run[0]) for run in page["runs"]) for page in found]
    pairs = enumerate(zip(found, sizes, strict=True), start=1)
    return [at for at, (page, size) in pairs if size and page["unmapped"] > 0.3 * size]


def _pages(numbers: Sequence[int], found: Sequence[object]) -> str:
    return f"{'page' if len(numbers) == 1 else 'pages'} {_listed(numbers)} of {len(found)}"


def _listed(numbers: Sequence[int]) -> str:
    """Page numbers with their ranges.

    >>> _listed([2, 4, 5, 6])
    '2, 4-6'
    """
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][-1] + 1:
            spans[-1] = [spans[-1][0], number]
        else:
            spans.append([number])
    return ", ".join("-".join(map(str, span)) for span in spans)


def _extract(body: bytes, limits: Limits) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(_child(body, limits))
    if "error" in answer:
        raise SourceError(_fault(answer["error"], limits))
    return answer


def _picture(body: bytes, limits: Limits, page: int) -> bytes:
    """The image of a page as PGM."""
    return _child(body, limits, page)


def _child(body: bytes, limits: Limits, *page: int) -> bytes:
    """What the child process makes of a PDF within the limits."""
    seconds = limits.pdf_seconds
    numbers = map(str, (limits.pdf_memory, round(seconds) + 1, limits.text_bytes, *page))
    try:
        child = subprocess.run(
            [sys.executable, "-P", str(_WORKER), *numbers],
            input=body,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SourceError(_fault("time", limits)) from None
    if child.returncode:
        raise SourceError(_fault("time" if child.returncode == -signal.SIGXCPU else "memory", limits))
    return child.stdout


def _fault(fault: str, limits: Limits) -> str:
    return {
        "password": "is protected by a password; take the protection off, and try again",
        "broken": "is a broken PDF; get the file again",
        "long": f"is a PDF of more than {limits.text_bytes / 2**20:.0f} million characters; split it",
        "time": f"is a PDF that takes over {limits.pdf_seconds:.0f} s to open; split it or raise pdf_timeout",
        "memory": f"is a PDF that takes over {limits.pdf_memory / 2**20:.0f} MiB to open or crashes its "
        "reader; split it, or raise pdf_memory_bytes",
    }[fault]


def _facts(metadata: Mapping[str, str], pages: Sequence[Sequence[Line]]) -> Facts:
    """Title, authors and date as the first page prints them, or as the metadata has them."""
    heading, below = front(pages)
    printed = " ".join(" ".join(line.text for line in heading).split())
    first = " ".join(line.text for line in pages[0]).casefold()
    title = " ".join(metadata.get("Title", "").split())
    sensible = not _GENERIC.search(title) and all(word in first for word in title.casefold().split())
    people = _people(below, pages)
    given = tuple(name for name in names(metadata.get("Author", "")) if not _NOBODY.fullmatch(name))
    return Facts(
        title=title if title and sensible else printed or title or None,
        authors=people if set(given) <= set(people) else given,
        published_at=_printed_date(below) or _metadata_date(metadata.get("CreationDate", "")),
    )


def _people(lines: Sequence[Line], pages: Sequence[Sequence[Line]]) -> tuple[str, ...]:
    """The names in lines: capitalised words that the document does not use as common words."""
    prose = " ".join(re.sub(r"(?<!\S)\S*@\S*", "", line.text) for page in pages for line in page)
    common = set(re.findall(r"\b[a-z]+\b", prose))
    smaller = takewhile(lambda line: line.size <= lines[0].size, lines)
    found = (name for line in smaller for name in names(_PARTED.sub(", ", _MARKS.sub("", line.text))))
    people = (name for name in found if _NAME.fullmatch(name))
    return tuple(name for name in people if not all(word.lower() in common for word in name.split()))


def _printed_date(lines: Sequence[Line]) -> date | None:
    for line in lines:
        if match := _DAY.search(line.text):
            try:
                return date(int(match[3]), _MONTHS.index(match[1]) + 1, int(match[2] or 1))
            except ValueError:
                continue
    return None


def _metadata_date(text: str) -> date | None:
    """The day in a PDF date such as `D:20090324113315-06'00'`."""
    match = re.match(r"(?:D:)?(\d{8})", text)
    try:
        return date.fromisoformat(match[1]) if match else None
    except ValueError:
        return None
