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
