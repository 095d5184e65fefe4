"""Brings spellings of the same text together before facts are compared.

`plain` is what facts are read from: invisible characters gone, digits of all scripts as ASCII, superscripts
and LaTeX as plain arithmetic. `visible` is what a person is shown: the same words, with nothing hidden in
them.
"""

from __future__ import annotations

import html
import re
import unicodedata
from functools import lru_cache

from index.normalize import Table, digit, unified, without_marks

_SUBSCRIPT = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_LOWERED = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_SPELLINGS = tuple(
    (re.compile(pattern), new)
    for pattern, new in [
        (r"(?i)<sup>\s*+([^<]{1,12}?)\s*</sup>", r"^\1"),
        (r"(?i)<sub>\s*+([^<]{1,12}?)\s*</sub>", r"_\1"),
        (r"(?<![\w$\\])\$(?!\s)([^$\n]{1,200}?)(?<!\s)\$(?!\d)", r" \1 "),
        (r"\\[dt]?frac\{([^{}]+)\}\{([^{}]+)\}", r"\1/\2"),
        (r"\\(?:text\w*|math\w+|emph|mbox|operatorname)\{([^{}]*)\}", r"\1"),
        (r"(?<=\d)(?:\\[,;!: ]|\{,\}|~)(?=\d{3}(?!\d))", ","),
        (r"(?<![\w*])\*\*(?=\S)([^*\n]{1,80})(?<=\S)\*\*(?![\w*])", r"\1"),
        (r"\^\{([^{}]{1,40})\}", r"^\1"),
        (r"_\{([^{}]{1,40})\}", r"_\1"),
        (r"\\times\b", "×"),
        (r"\\cdot\b", "·"),
        (r"\\(?:le|leq)\b", "≤"),
        (r"\\(?:ge|geq)\b", "≥"),
        (r"\\([%$_#&*~|\[\]])", r"\1"),
    ]
)
_MARKED_UP = re.compile(r"[\\$<]|\*\*|_\{|\^\{|\{,\}")
_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»「」『』〝〞", '"') | dict.fromkeys("‘’‚‛‹›`´′", "'"))
_EMPHASIS = re.compile(r"(?<!\w)[*_~]+(?=\S)|(?<=\S)(?:(?<!_)[*_~]+|[*_~])(?!\w)")
_LINKED = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\)|\[https?://(?:(?!\[http)\S)+ ([^\[\]]*)\]")


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    r"""The text as facts are read from it.

    >>> plain("１６\u200b,777,216 = 2²⁴"), plain(r"$2^{24}$ is 16\,777\,216"), plain("٣٠ days")
    ('16,777,216 = 2^24', ' 2^24  is 16,777,216', '30 days')
    """
    if not text.isascii():
        text = unified(_LOWERED.sub(lambda m: "_" + m.group().translate(_SUBSCRIPT), text))
    if _MARKED_UP.search(text):
        for pattern, new in _SPELLINGS:
            text = pattern.sub(new, text)
    return text


def visible(text: str) -> str:
    r"""The text as it is shown: entities resolved, nothing invisible, letters and digits of one width.

    >>> visible("1&#8203;6 ｇas\u202e, ٣ days")
    '16 gas, 3 days'
    """
    text = html.unescape(text)
    if text.isascii() and text.isprintable():
        return text
    return without_marks(text.translate(_ONE_WIDTH))


def quotable(text: str) -> str:
    r"""The text as quotations are compared: one sort of quote, no emphasis, links by their words, one space.

    >>> quotable("the “base  fee”\n is **burned**") == quotable('the "base fee" is burned')
    True
    """
    text = _LINKED.sub(lambda m: m.group(1) or m.group(2) or "", plain(text))
    return " ".join(_EMPHASIS.sub("", text.replace("`", "")).translate(_QUOTES).split())


def is_foreign(text: str) -> bool:
    """Whether a sentence is by its letters or its commonest words in another language than English.

    >>> is_foreign("La tarifa base se quema con el bloque"), is_foreign("The base fee is burned")
    (True, False)
    """
    letters = [char for char in text if char.isalpha()]
    if sum(not unicodedata.name(char, "").startswith("LATIN") for char in letters) * 2 > len(letters):
        return True
    words = re.findall(r"[^\W\d_]+", text.lower())
    return sum(w in _FOREIGN for w in words) > sum(w in _ENGLISH for w in words)


_ENGLISH = frozenset(
    "the of and to is are in on by with for that which from at be was were it its an as or has".split()  # noqa: SIM905
)
_FOREIGN = frozenset(
    [
        "el", "la", "los", "las", "del", "que", "una", "un", "es", "en", "se", "por", "con", "para", "su",
        "le", "les", "des", "du", "et", "est", "une", "dans", "pour", "sur", "der", "die", "das", "und",
        "ist", "ein", "eine", "den", "dem", "mit", "von", "im", "zu", "nicht", "wird", "o", "os", "da",
        "do", "em", "não", "uma", "il", "di", "che", "è", "per", "sono",
    ]
)  # fmt: skip


def _one_width(char: str) -> str:
    """A letter or digit that only looks different, such as a fullwidth one, as the ASCII one that it is."""
    if char <= "\x7f" or unicodedata.category(char) == "No":
        return char
    folded = unicodedata.normalize("NFKC", digit(char))
    return folded if len(folded) == 1 and folded.isascii() and folded.isprintable() else char


_ONE_WIDTH = Table(_one_width)
