"""Web pages: all of the main text as Markdown, without navigation."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from index.errors import SourceError
from ingest.readers.markdown import read_markdown
from ingest.readers.parsed import Parsed
from ingest.readers.preamble import day_of, names
from ingest.sources import Facts

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

_DROPPED = (
    "script, style, noscript, template, nav, footer, button, select, dialog, svg, iframe, object, embed,"
    " canvas, [hidden], [aria-hidden=true], [role=navigation], [role=banner], [role=contentinfo],"
    " [role=search], .lineno, .linenos, .gutter"
)
_EMBEDDED = "iframe, object, embed, canvas"
_AROUND = re.compile(
    r"(?:^|[-_ ])(?:nav|navbar|menu|sidebar|side-bar|breadcrumbs?|footer|cookies?|banner|share|sharing|social"
    r"|related|promo|advert(?:isement)?|ads|subscribe|newsletter|comments|pagination|skip-link)(?:$|[-_ ])",
    re.IGNORECASE,
)
_SHORT = 300
"""Characters of a box of navigation, at most, unless it is made of links."""

_MAIN = ("main", "[role=main]", "article")
_SPACE = re.compile(r"(?<![ \t])[ \t]*+\n(?:[^\S\n]*+\n)++\s*+")


def read_html(body: bytes, url: str) -> Parsed:
    """The main text of a page in Markdown, and the title, authors and date it states.

    Headings, lists, tables, definitions and code keep their structure; powers, indices and marks of footnotes
    are written as those of a PDF. Raises SourceError when a page holds no text.
    """
    import trafilatura

    soup = parsed_html(body)
    embedded = Counter(tag.name for tag in soup.select(_EMBEDDED))
    text = as_markdown(_main(soup))
    if not re.search(r"\w", text):
        raise SourceError("is a web page without readable text; give the page that holds the text")
    found = trafilatura.extract_metadata(body, default_url=url)
    stated = Facts(
        title=found.title, authors=names(found.author or ""), published_at=day_of(found.date or "")
    )
    parsed = read_markdown(text, url)
    lost = tuple((f"embedded <{name}>", count) for name, count in embedded.items())
    warnings = tuple(f"{count} {what} not read" for what, count in lost)
    return replace(parsed, facts=stated.over(parsed.facts), warnings=warnings, lost=lost)


def parsed_html(body: bytes | str) -> BeautifulSoup:
    """The elements of a page or fragment, in the encoding that it declares, or else is in."""
    from bs4 import BeautifulSoup, XMLParsedAsHTMLWarning

    warnings.filterwarnings("ignore", category=XMLParsedAsHTMLWarning)
    return BeautifulSoup(body, "lxml")


def parsed_xml(body: bytes) -> BeautifulSoup:
    """The elements of an XML document, such as a part of an Office file."""
    from bs4 import BeautifulSoup

    return BeautifulSoup(body, "xml")


def as_markdown(element: Tag) -> str:
    """An element as Markdown, without links and pictures; nothing is escaped."""
    from ingest.readers.html_markdown import converter

    for table in element.select("table"):
        if _is_layout(table):
            for part in [*_own(table, "tbody, thead, tr, td"), table]:
                part.name = "div"
        else:
            _fill_spans(table)
    text: str = converter().convert_soup(element)
    return "\n".join(line.rstrip() for line in re.sub(r"\n{3,}", "\n\n", text).strip().split("\n"))


def _main(soup: BeautifulSoup) -> Tag:
    """The element that holds the text, without what stands around it."""
    for tag in soup.select(_DROPPED):
        tag.decompose()
    root = next((found[0] for name in _MAIN if len(found := soup.select(name)) == 1), soup.body or soup)
    for tag in [*root.select("header, aside, form, div, section, ul")]:
        if not tag.decomposed and _is_around(tag):
            tag.decompose()
    return root


def _is_around(tag: Tag) -> bool:
    """Whether an element is navigation and the like: by its name, and by being short or made of links."""
    text = tag.get_text(" ", strip=True)
    linked = sum(len(link.get_text(" ", strip=True)) for link in tag.select("a"))
    if tag.name in ("header", "form"):
        return len(text) < _SHORT and tag.find(["h1", "h2", "p"]) is None
    if tag.name == "aside":
        return tag.find_parent("article") is None and 2 * linked > len(text)
    called = " ".join([str(tag.get("id") or ""), *_classes(tag)])
    return bool(_AROUND.search(called)) and (len(text) < _SHORT or 2 * linked > len(text))


def _classes(tag: Tag) -> Iterator[str]:
    found: str | list[str] = tag.get("class") or []
    yield from [found] if isinstance(found, str) else found


def _is_layout(table: Tag) -> bool:
    """Whether a table only places parts of the page: a cell holds headings, several paragraphs or a table."""
    if table.get("role") == "presentation":
        return True
    built = (cell.select_one("h1, h2, h3, h4, table, p ~ p, pre") for cell in _own(table, "td"))
    return not _own(table, "th") and any(part is not None for part in built)


def _own(table: Tag, parts: str) -> list[Tag]:
    """The parts of a table that are not those of a table in it."""
    return [part for part in table.select(parts) if part.find_parent("table") is table]


def _fill_spans(table: Tag) -> None:
    """Repeats each cell in the rows that it spans."""
    held: dict[int, tuple[int, Tag]] = {}
    for row in _own(table, "tr"):
        column = 0
        cells = row.find_all(["td", "th"], recursive=False)
        for cell in [*cells, None]:
            while column in held:
                left, spanning = held.pop(column)
                copy = spanning.__copy__()
                row.append(copy) if cell is None else cell.insert_before(copy)
                if left > 1:
                    held[column] = left - 1, spanning
                column += 1
            if cell is not None:
                rows = str(cell.get("rowspan") or "1")
                del cell["rowspan"]
                if rows.isdigit() and 1 < int(rows) < 1000:
                    held[column] = int(rows) - 1, cell
                column += 1
