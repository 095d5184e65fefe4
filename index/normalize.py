"""One normalisation of text for documents, questions and words: the same words, however they are written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

_UP = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_SUPERSCRIPT = str.maketrans(_UP + "⁻⁺ⁿ", "0123456789-+n")
_RAISED = re.compile(rf"(?<=[\w)\]}}])[⁺⁻]?[{_UP}ⁿ]+")
_FOOTNOTE = re.compile(rf"⁽[{_UP},a-z–-]+⁾")
_GROUPED = re.compile(r"(?<![\w.,])\d{1,3}(?:[\u00a0\u2007\u2008\u2009\u202f']\d{3})+(?![\w])")
_FRACTION = re.compile("[¼½¾⅐-⅞]")
_STACKED = re.compile("(?<=[0-9])[\u0300-\u036f\u1ab0-\u1aff\u20d0-\u20ff\ufe00-\ufe0f]+")
"""Marks on a digit, which would hide that it belongs to the next one."""

_JOINERS = frozenset("\u200c\u200d")
_SOFT_BREAK = re.compile("\u00ad[ \t]*\r?\n[ \t]*")
_DASHES = dict.fromkeys([0x2010, 0x2011, 0x2012, 0x2013, 0x2212, 0xFE58, 0xFE63], "-")
WIDE = r"\u0e00-\u0eff\u1000-\u11ff\u1780-\u17ff\u2e80-\u2fff\u3005-\u9fff\uac00-\ud7af\uf900-\ufaff"
"""Scripts that put no space between words, as the inside of a character class."""

_WIDE_BORDER = re.compile(rf"(?<=[{WIDE}])(?=[\dA-Za-z$])|(?<=[\dA-Za-z%])(?=[{WIDE}])")
_WIDE_SCRIPT = re.compile(f"[{WIDE}]")
_ACCENT = re.compile("[\u0300-\u036f]")
_PLAIN_LETTERS = str.maketrans(
    {"ł": "l", "đ": "d", "ð": "d", "ø": "o", "ı": "i", "ß": "ss", "æ": "ae", "œ": "oe", "þ": "th"}
)


def unified(text: str) -> str:
    r"""The text in Unicode's compatibility form (NFKC) without what changes its numbers or is not seen.

    Soft hyphens, zero-width characters and the marks of footnotes are gone, digits of all scripts are ASCII,
    raised numbers are powers, dashes inside words are hyphens.

    >>> unified("１６\u200b,777,216 = 2²⁴"), unified("liqui\u00addity of ﬁve\u2011day 250⁽⁹⁾ bonds")
    ('16,777,216 = 2^24', 'liquidity of five-day 250 bonds')
    """
    if text.isascii():
        return text
    text = _SOFT_BREAK.sub("", _FOOTNOTE.sub("", text))
    text = _RAISED.sub(lambda m: "^" + m.group().translate(_SUPERSCRIPT), text)
    text = _GROUPED.sub(lambda m: re.sub(r"\D", ",", m.group()), text)
    text = _FRACTION.sub(lambda m: " " + unicodedata.normalize("NFKC", m.group()), text)
    text = without_marks(unicodedata.normalize("NFKC", text.translate(_DIGITS)))
    text = text.translate({0x2044: "/", **_DASHES})
    return _WIDE_BORDER.sub(" ", text) if _WIDE_SCRIPT.search(text) else text


def without_marks(text: str) -> str:
    """The text without invisible characters, and without marks on digits."""
    return _STACKED.sub("", text.translate(_SHOWN))


def folded(word: str) -> str:
    """A word in lower case without its accents, and with Latin letters of their own as plain ones.

    >>> folded("möbius"), folded("łódź"), folded("straße"), folded("naïve")
    ('mobius', 'lodz', 'strasse', 'naive')
    """
    if word.isascii():
        return word
    bare = _ACCENT.sub("", unicodedata.normalize("NFD", word.translate(_PLAIN_LETTERS)))
    return unicodedata.normalize("NFC", bare)


def digit(char: str) -> str:
    """A decimal digit of any script as ASCII, anything else as it is."""
    return str(unicodedata.decimal(char)) if char > "\x7f" and char.isdecimal() else char


def _shows(char: str) -> bool:
    """Whether a character is seen, or joins letters that are."""
    if char < "\x7f" or char.isspace():
        return char >= " " or char.isspace()
    if char in _JOINERS or "\ufe00" <= char <= "\ufe0f":
        return False
    return unicodedata.category(char) not in ("Cf", "Cc", "Me", "Co", "Cs", "Cn")


class Table(dict[int, str]):
    """What becomes of each character, for `str.translate`; worked out when it is first met."""

    def __init__(self, becomes: Callable[[str], str]) -> None:
        self._becomes = becomes

    def __missing__(self, code: int) -> str:
        found = self[code] = self._becomes(chr(code))
        return found


_DIGITS = Table(digit)
_SHOWN = Table(lambda char: char if _shows(char) else "")
