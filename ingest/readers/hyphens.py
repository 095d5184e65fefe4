"""Words broken at the end of a line made whole, hyphens of their own kept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache

from index.network import packaged_weights

HYPHEN = "\ufffe"
"""What stands for a hyphen at the end of a line until its word is known; no text has it."""

_WORDS = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_BROKEN = re.compile(r"(?<=[^\W_])[-‐\u00ad]$")
_BOUND = frozenset("com con de dis em en ex im in ir mis ob per pre pro re sub sur trans un".split())  # noqa: SIM905
"""Beginnings of words that stand alone in a vocabulary but seldom before a hyphen."""


def marked(line: str) -> str:
    """A line with `HYPHEN` for a hyphen at its end that may break a word."""
    return _BROKEN.sub(HYPHEN, line)


class Hyphens:
    """The words of a document, which tell whether a word broken at a line's end has a hyphen of its own.

    lines: all lines of the document in order, broken ones ending with `HYPHEN`.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._counts: Counter[str] = Counter()
        broken = False
        for line in lines:
            text = re.sub(r"^\w+", "", line) if broken else line
            broken = text.endswith(HYPHEN)
            whole = re.sub(rf"(?<!\w)\w*{HYPHEN}$", "", text)
            self._counts.update(word.lower() for word in _WORDS.findall(whole))

    def joined(self, lines: Sequence[str]) -> str:
        """Lines as one text, a line each but for the words that are whole again."""
        text = ""
        for line in lines:
            if text.endswith(HYPHEN):
                text = self.continued(text, line)
            else:
                text = f"{text}\n{line}" if text else line
        return text

    def continued(self, head: str, tail: str) -> str:
        r"""A text with what follows it, on a new line where no word is broken between them.

        >>> Hyphens([]).continued("the commit" + HYPHEN, "ments of back"), Hyphens([]).continued("a", "b")
        ('the commitments of back', 'a\nb')
        """
        if not head.endswith(HYPHEN):
            return f"{head}\n{tail}"
        head = head.removesuffix(HYPHEN)
        if not tail[:1].isalnum():
            return f"{head}-\n{tail}"
        return head + self._mark(head, tail) + tail

    def _mark(self, head: str, tail: str) -> str:
        """What belongs between the halves of a broken word: a hyphen of its own, or nothing."""
        first, second = _halves(head, tail)
        if self._counts[first + second]:
            return ""
        address = "://" in head.split(" ")[-1]
        if address or self._counts[f"{first}-{second}"] or not tail[0].islower():
            return "-"
        before = first.rpartition("-")[2]
        if "-" not in first and first + second in _vocabulary():
            return ""
        own = before not in _BOUND and self._is_word(before) and self._is_word(second)
        return "-" if own else ""

    def _is_word(self, text: str) -> bool:
        return bool(self._counts[text]) or (len(text) > 1 and text in _vocabulary())


@cache
def _vocabulary() -> frozenset[str]:
    """Common English words: those that the packaged embedding model has a token of their own for."""
    from tokenizers import Tokenizer

    return frozenset(Tokenizer.from_file(str(packaged_weights() / "tokenizer.json")).get_vocab())


def _halves(head: str, tail: str) -> tuple[str, str]:
    """The last word of one line and the first of the next, in lower case.

    >>> _halves("a proof-Of", "work system")
    ('proof-of', 'work')
    """
    left, right = re.search(r"(?<![\w-])[\w-]*$", head), re.match(r"\w*", tail)
    return (left[0] if left else "").lower(), (right[0] if right else "").lower()
