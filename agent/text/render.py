"""Source text as plain text: no control sequences, white space as it is read."""

from __future__ import annotations

import re

from agent.text.sentences import Unit

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # operating system commands, such as links and titles
    r"|\x1b[PX^_].*?(?:\x1b\\|$)"
    r"|[\x1b\x9b]\[?[0-?]*[ -/]*[@-~]"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)


def clean(text: str) -> str:
    r"""Source text made safe for a terminal: no escape sequences, control or direction characters.

    >>> clean("red \x1b[31malert\x1b[0m")
    'red alert'
    """
    return _ESCAPES.sub("", text)


def one_line(text: str) -> str:
    r"""Clean text with every run of white space as one space.

    >>> one_line(" a\n  b ")
    'a b'
    """
    return " ".join(clean(text).split())


def readable(quote: str, unit: Unit) -> str:
    r"""A quotation as it stands in an answer: prose in one line, what is laid out in lines with its lines.

    >>> readable("one\n  two", "prose"), readable("- one\n\n- two  ", "item")
    ('one two', '- one\n- two')
    """
    if unit == "prose":
        return one_line(quote)
    return "\n".join(line.rstrip() for line in clean(quote).splitlines() if line.strip())


_MARKUP = tuple(
    (re.compile(pattern), new)
    for pattern, new in [
        (r"<ref[^<>]*/>|<ref[^<>]*>[^<]{0,400}</ref>|<!--[^<]{0,400}-->", ""),
        (r"</?(?:code|tt|source|syntaxhighlight)(?: [^<>]{0,80})?>", "`"),
        (r"<su([pb])>([^<>]{1,40})</su[pb]>", r"\2"),
        (r"</?[a-z][a-z0-9]{0,9}(?: [^<>]{0,120})?/?>", ""),
        (r"!?\[([^\[\]]{1,200})\]\([^()\s]{0,300}\)", r"\1"),
        (r"\[\[[^\[\]|]{1,200}\|([^\[\]|]{1,200})\]\]|\[\[([^\[\]|]{1,200})\]\]", r"\1\2"),
        (r"\[https?://[^\s\]]{1,300} ([^\]]{1,200})\]", r"\1"),
        (r"\'{5}|\'{3}|\'{2}(?!\')", ""),
        (r"(?<![\w*])\*\*(?=\S)([^*\n]{1,200})(?<=\S)\*\*(?![\w*])", r"\1"),
        (r"(?<![\w*`])\*(?=[^\s*])([^*\n]{1,200})(?<=[^\s*])\*(?![\w*`])", r"\1"),
        (r"(?<![\w`])__(?=\S)([^_\n]{1,200})(?<=\S)__(?![\w`])", r"\1"),
        (r"&nbsp;", " "),
        (r"&lt;", "<"),
        (r"&gt;", ">"),
        (r"&amp;", "&"),
    ]
)
_MARKED_UP = re.compile(r"[<\[*&]|''|__")


def rendered(text: str) -> str:
    """Prose with its Markdown, MediaWiki or HTML shown: links by their words, no emphasis, notes left out.

    >>> rendered("The **base fee** is [burned](./eip-1559.md), see [[b.mediawiki|BIP 340]].<ref>x</ref>")
    'The base fee is burned, see BIP 340.'
    """
    if _MARKED_UP.search(text):
        for pattern, new in _MARKUP:
            text = pattern.sub(new, text)
    return text
