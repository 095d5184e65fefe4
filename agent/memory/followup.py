"""Questions that lean on the conversation before them, and what they mean without it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.memory.conversations import Turn
from index.words import STOPWORDS, query_terms

_BEGINS = re.compile(
    r"\W*(?:and|but|so|or|also|then|what about|how about|why not|why|how so|more)\b", re.IGNORECASE
)
_POINTS = re.compile(
    r"\b(?:it|its|it's|itself|they|them|their|theirs|this|these|those|that one"
    r"|the (?:same|former|latter|other|first|second)(?: one)?)\b",
    re.IGNORECASE,
)
_POSSESSIVE = re.compile(r"\b(?:its|their|theirs)\b", re.IGNORECASE)
_PERSONAL = re.compile(r"\b(?:it|they|them|itself)\b", re.IGNORECASE)
_NAME = re.compile(
    r"\b(?:EIP|ERC|BIP|CAIP|SLIP|RIP)S?[-_ ]?#?[0-9]+\b"
    r"|\b0x[0-9a-fA-F]{8,}\b"
    r"|\b[A-Z][\w-]*[A-Z0-9][\w-]*\b"
    r"|(?<!^)\b[A-Z][a-z]+(?: (?:v\d+|[A-Z][\w-]+))*\b"
)
_FEW = 4
"""Terms that a question with an opening such as "and" may have and still lean on the one before."""


def leans(question: str) -> bool:
    """Whether a question cannot be understood alone, as far as its words show.

    >>> leans("and what about its successor?"), leans("What is the base fee of EIP-1559?")
    (True, False)
    """
    if names(question):
        return bool(_BEGINS.match(question)) and len(query_terms(question)) <= _FEW
    short = len([term for term in query_terms(question) if term not in STOPWORDS]) <= _FEW
    return bool(_POINTS.search(question)) or (bool(_BEGINS.match(question)) and short)


def names(text: str) -> list[str]:
    """The designations, addresses and proper names in a text, in order, each once.

    >>> names("Does Uniswap v3 follow EIP-1559?")
    ['Uniswap v3', 'EIP-1559']
    """
    return list(dict.fromkeys(match.group() for match in _NAME.finditer(text)))


def resolve(question: str, turns: Sequence[Turn]) -> str:
    """The question with what it leans on named, by the words alone: what was spoken of last stands for `it`.

    >>> resolve("and what is its status?", [Turn("", "What is EIP-1559?", "", "")])
    "and what is EIP-1559's status?"
    """
    if not turns or not leans(question):
        return question
    if names(question):
        return _like_the_last(question, turns[-1].resolved)
    subject = next((found for turn in reversed(turns) if (found := names(turn.resolved))), None)
    if subject is None:
        return f"{turns[-1].resolved.rstrip()} {question}"
    named = " and ".join(subject[:2])
    if _POSSESSIVE.search(question):
        return _POSSESSIVE.sub(f"{named}'s", question, count=1)
    if _PERSONAL.search(question):
        return _PERSONAL.sub(named, question, count=1)
    return f"{named}: {question}"


def _like_the_last(question: str, last: str) -> str:
    """The last question, asked of another thing: "and ERC-721?" takes its words and changes the name."""
    before, now = names(last), names(question)
    if len(before) != 1 or len(now) != 1:
        return f"{last.rstrip()} {question}"
    return last.replace(before[0], now[0])
