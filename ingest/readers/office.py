"""Word, PowerPoint and EPUB: their text as Markdown."""

from __future__ import annotations

import io
import posixpath
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from index.errors import SourceError
from index.values import Block
from ingest.readers.archive import Archive
from ingest.readers.html import as_markdown, parsed_html, parsed_xml
from ingest.readers.markdown import read_markdown
from ingest.readers.parsed import Parsed
from ingest.readers.preamble import day_of, names
from ingest.sources import Facts, Limits

if TYPE_CHECKING:
    from bs4 import Tag

_STYLES = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh"


def read_docx(body: bytes, limits: Limits) -> Parsed:
    """The text of a Word document with headings, lists, tables and footnotes.

    Raises SourceError for one that is broken or unpacks to more than the limits.
    """
    import mammoth

    archive = Archive(body, limits)
    archive.check()
    try:
        page = mammoth.convert_to_html(io.BytesIO(body), style_map=_STYLES)
    except Exception as error:  # noqa: BLE001 mammoth raises what the parts of a broken file make it raise
        raise SourceError(f"is a broken Word document ({error}); save it again") from None
    soup = parsed_html(page.value)
    pictures = len(soup.select("img"))
    parsed = read_markdown(as_markdown(soup), "")
    lost = (("pictures", pictures),) if pictures else ()
    warnings = tuple(f"{count} {what} not read" for what, count in lost)
    facts = _properties(archive).over(parsed.facts)
    return Parsed(parsed.text, parsed.blocks, facts, warnings=warnings, lost=lost)


def _properties(archive: Archive) -> Facts:
    """What an Office document says about itself."""
    name = "docProps/core.xml"
    if name not in archive.names():
        return Facts()
    core = parsed_xml(archive.read(name))
    told = {tag.name: tag.get_text().strip() for tag in core.find_all(True)}
    return Facts(
        title=told.get("title") or None,
        authors=names(told.get("creator", "")),
        published_at=day_of(told.get("modified") or told.get("created", "")),
    )


def read_pptx(body: bytes, limits: Limits) -> Parsed:
    """The text of a presentation, a page for each slide: title, text, tables, and the speaker's notes.

    Raises SourceError for one that is broken or unpacks to more than the limits.
    """
    import pptx

    archive = Archive(body, limits)
    archive.check()
    try:
        slides = [_slide(slide) for slide in pptx.Presentation(io.BytesIO(body)).slides]
    except Exception as error:  # noqa: BLE001 python-pptx raises what a broken file makes its parts raise
        raise SourceError(f"is a broken presentation ({error}); save it again") from None
    text, starts, blocks = "", list[int](), list[Block]()
    for slide in slides:
        text += "\n\f" if starts else ""
        starts.append(len(text))
        blocks += [
            replace(block, start=block.start + len(text), end=block.end + len(text))
            for block in read_markdown(slide, "").blocks
        ]
        text += slide
    title = next((block.title for block in blocks if block.kind == "heading"), None)
    facts = _properties(archive).over(Facts(title=title))
    return Parsed(text, tuple(blocks), facts, tuple(starts))


def _slide(slide: Any) -> str:
    title = slide.shapes.title
    parts = (
        [f"# {' '.join(title.text_frame.text.split())}"] if title is not None and title.has_text_frame else []
    )
    parts += [part for shape in slide.shapes if shape != title for part in _shape(shape)]
    if slide.has_notes_slide and (notes := slide.notes_slide.notes_text_frame.text.strip()):
        parts.append(f"Notes: {notes}")
    return "\n\n".join(parts).replace("\f", " ")


def _shape(shape: Any) -> Iterator[str]:
    if getattr(shape, "shapes", None) is not None:
        for part in shape.shapes:
            yield from _shape(part)
    elif getattr(shape, "has_table", False) and shape.has_table:
        rows = [[" ".join(cell.text.split()) for cell in row.cells] for row in shape.table.rows]
        yield "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], ["---"] * len(rows[0]), *rows[1:]])
    elif shape.has_text_frame and shape.text_frame.text.strip():
        lines = [line for line in shape.text_frame.paragraphs if line.text.strip()]
        items = [f"{'  ' * line.level}- {' '.join(line.text.split())}" for line in lines]
        yield "\n".join(items) if len(items) > 1 else lines[0].text.strip()


def read_epub(body: bytes, limits: Limits) -> Parsed:
    """The text of a book's chapters in reading order. Raises SourceError for one that is broken or locked."""
    archive = Archive(body, limits)
    if "META-INF/encryption.xml" in archive.names() and "META-INF/rights.xml" in archive.names():
        raise SourceError("is a book under a copy protection; get one without it")
    container = parsed_xml(archive.read("META-INF/container.xml"))
    root = container.find("rootfile")
    if root is None:
        raise SourceError("is a broken book: its container names no contents; get the file again")
    package = str(root["full-path"])
    contents = parsed_xml(archive.read(package))
    there, chapters, missing = set(archive.names()), [], Counter[str]()
    for name in _spine(contents, posixpath.dirname(package)):
        if name in there:
            chapters.append(as_markdown(_body(archive.read(name))))
        else:
            missing[name] += 1
    text = "\n\n".join(chapter for chapter in chapters if re.search(r"\w", chapter))
    parsed = read_markdown(text, "")
    warnings = tuple(f"chapter {name!r} is not in the book" for name in missing)
    lost = (("missing chapters", len(missing)),) if missing else ()
    return Parsed(text, parsed.blocks, _told(contents).over(parsed.facts), warnings=warnings, lost=lost)


def _spine(contents: Tag, folder: str) -> Iterator[str]:
    """The names of the chapters in reading order."""
    items = {str(item.get("id")): str(item.get("href", "")) for item in contents.select("manifest item")}
    for reference in contents.select("spine itemref"):
        href = items.get(str(reference.get("idref")), "")
        yield posixpath.normpath(posixpath.join(folder, unquote(href.partition("#")[0])))


def _body(page: bytes) -> Tag:
    soup = parsed_html(page)
    for tag in soup.select("script, style, nav, svg"):
        tag.decompose()
    return soup.body or soup


def _told(contents: Tag) -> Facts:
    def first(name: str) -> str:
        tag = contents.find(name)
        return "" if tag is None else tag.get_text().strip()

    people = tuple(tag.get_text().strip() for tag in contents.find_all("creator"))
    return Facts(title=first("title") or None, authors=people, published_at=day_of(first("date")))
