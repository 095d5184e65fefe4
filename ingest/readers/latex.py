"""LaTeX: sections, environments and comments, located by rule; pylatexenc reads titles and names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from index.values import Block, BlockKind
from ingest.readers.parsed import Parsed, whole
from ingest.sources import Facts

if TYPE_CHECKING:
    from pylatexenc.latex2text import LatexNodes2Text

_LEVELS = {"part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4, "paragraph": 5}
_ENVIRONMENTS: dict[str, BlockKind] = {
    **dict.fromkeys(("verbatim", "lstlisting", "minted", "alltt", "algorithm"), "code"),
    **dict.fromkeys(("equation", "align", "eqnarray", "multline", "gather", "displaymath"), "code"),
    **dict.fromkeys(("table", "tabular", "tabularx", "tabu", "longtable"), "table"),
    **dict.fromkeys(("itemize", "enumerate", "description", "thebibliography"), "list"),
}
_MARK = re.compile(
    rf"""^[ \t]*(?:
        \\(?P<section>{"|".join(_LEVELS)})\*?\s*(?:\[[^\]]{{0,500}}\])?(?=\{{)
      | \\begin\{{(?P<environment>{"|".join(_ENVIRONMENTS)})(?P<star>\*?)\}}
      | \\begin\{{(?P<abstract>abstract)\}}
      | (?P<comment>%[^\n]*(?:\n[ \t]*%[^\n]*)*)
    )""",
    re.MULTILINE | re.VERBOSE,
)
_LONGEST_TITLE = 500
_LONGEST_PREAMBLE = 50_000
_BEGIN = re.compile(r"^[ \t]*\\begin\{document\}[ \t]*\r?\n?", re.MULTILINE)
_END = re.compile(r"^[ \t]*\\end\{document\}", re.MULTILINE)


def read_latex(text: str, _: str) -> Parsed:
    """The structure of a LaTeX text; the text stays as it is, preamble and comments included."""
    begin, end = _BEGIN.search(text), _END.search(text)
    start, stop = (begin.end() if begin else 0), (end.start() if end else len(text))
    blocks = [Block("preamble", 0, start)] if start else []
    blocks.extend(_blocks(text, start, stop))
    if stop < len(text):
        blocks.append(Block("preamble", stop, len(text)))
    facts = Facts(title=_plain(_command(text, "title")) or None, authors=_authors(text))
    return Parsed(text, whole(text, blocks), facts)


def _blocks(text: str, start: int, stop: int) -> Iterator[Block]:
    position = start
    unclosed: set[str] = set()
    while mark := _MARK.search(text, position, stop):
        position = mark.end()
        if section := mark["section"]:
            title, end = _group(text, mark.end())
            yield Block("heading", mark.start(), min(end, stop), _LEVELS[section], _plain(title))
            position = min(end, stop)
        elif mark["abstract"]:
            yield Block("heading", mark.start(), mark.end(), 2, "Abstract")
        elif mark["comment"]:
            yield Block("preamble", mark.start(), mark.end())
        elif (environment := mark["environment"] + mark["star"]) not in unclosed:
            if end := _closing(text, mark.end(), stop, environment):
                yield Block(_ENVIRONMENTS[mark["environment"]], mark.start(), end)
                position = end
            else:
                unclosed.add(environment)


def _closing(text: str, start: int, stop: int, environment: str) -> int:
    """Where the environment that is open at `start` ends; 0 where it does not."""
    depth = 1
    for mark in re.compile(rf"\\(begin|end)\{{{re.escape(environment)}\}}").finditer(text, start, stop):
        depth += 1 if mark[1] == "begin" else -1
        if depth == 0:
            return mark.end()
    return 0


def _group(text: str, start: int, longest: int = _LONGEST_TITLE) -> tuple[str, int]:
    r"""The inside of the braces that open at `start`, and where they end.

    >>> _group(r"{a {b} \} c} d", 0)
    ('a {b} \\} c', 12)
    """
    depth = 0
    for brace in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, start, start + longest):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return text[start + 1 : brace.start()], brace.end()
    line = text[start + 1 : start + longest].partition("\n")[0]
    return line, start + 1 + len(line)


def _command(text: str, name: str) -> str:
    r"""The argument of the first `\name[…]{…}` in a text, or nothing."""
    pattern = re.compile(rf"^[^%\n]*?\\{name}\s*+(?:\[[^\]]{{0,500}}\]\s*+)?(?=\{{)", re.MULTILINE)
    match = pattern.search(text, 0, _LONGEST_PREAMBLE)
    return _group(text, match.end(), _LONGEST_PREAMBLE)[0] if match else ""


def _authors(text: str) -> tuple[str, ...]:
    parts = re.split(r"\\and\b|\\And\b|\\AND\b|,", _command(text, "author"))
    names = (_plain(re.split(r"\\\\|\\thanks|\n\s*\n", part.strip())[0]) for part in parts)
    return tuple(name for name in names if 0 < len(name) < 80 and "@" not in name)


def _plain(latex: str) -> str:
    """The words of a piece of LaTeX."""
    if re.search(r"[\\${}~]", latex):
        try:
            latex = _converter().latex_to_text(latex)
        except RecursionError:
            latex = re.sub(r"[\\${}~]", " ", latex)
    return " ".join(latex.split())


@cache
def _converter() -> LatexNodes2Text:
    from pylatexenc.latex2text import LatexNodes2Text

    return LatexNodes2Text()
