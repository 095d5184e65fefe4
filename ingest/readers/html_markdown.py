"""Elements of HTML as Markdown: what markdownify writes, and what numbers and tables need beyond it."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from markdownify import MarkdownConverter

from ingest.readers.scripts import lowered, raised

if TYPE_CHECKING:
    from bs4 import Tag


@cache
def converter() -> MarkdownConverter:
    """The converter for all pages."""
    return _Converter(
        heading_style="ATX",
        bullets="-",
        strip=["a", "img"],
        table_infer_header=True,
        escape_asterisks=False,
        escape_underscores=False,
        escape_misc=False,
        code_language_callback=_language,
    )


class _Converter(MarkdownConverter):
    """Writes powers, indices and footnotes as the reader of PDF does; a cell of a table is one line."""

    def convert_sup(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        if "_noformat" in parent_tags:
            return text
        before = "".join(map(str, el.find_all_previous(string=True, limit=1)))
        return raised(before, text.strip(" []"), noted=el.find("a") is not None or text.strip()[:1] == "[")

    def convert_sub(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        if "_noformat" in parent_tags:
            return text
        before = "".join(map(str, el.find_all_previous(string=True, limit=1)))
        return lowered(before, text.strip())

    def convert_math(self, el: Tag, text: str, parent_tags: set[str]) -> str:  # noqa: ARG002 called so
        source = el.select_one("annotation[encoding*=tex]")
        return f"${source.get_text().strip()}$" if source is not None else text

    def convert_td(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return str(super().convert_td(el, _one_line(text), parent_tags))  # type: ignore[misc]

    def convert_th(self, el: Tag, text: str, parent_tags: set[str]) -> str:
        return str(super().convert_th(el, _one_line(text), parent_tags))  # type: ignore[misc]


def _one_line(text: str) -> str:
    r"""The text of a cell without line breaks, the items of a list parted by semicolons.

    >>> _one_line("- 11 blocks\n- 12 hours")
    '11 blocks; 12 hours'
    """
    lines = [re.sub(r"^(?:[-*+]|\d{1,3}\.)\s+", "", line.strip()) for line in text.split("\n")]
    listed = re.search(r"^[ \t]*+(?:[-*+]|\d{1,3}\.)\s", text, re.MULTILINE)
    return ("; " if listed else " ").join(line for line in lines if line).replace("|", "\\|")


def _language(el: Any) -> str:
    """The language that the class of a block of code names, as in `language-solidity`."""
    classes = [*(el.get("class") or []), *((el.code or {}).get("class") or [])]
    return next((name.partition("-")[2] for name in classes if re.match(r"lang(?:uage)?-\w", name)), "")
