"""Questions that lean on the conversation before them."""

from __future__ import annotations

import re

from index.terms import STOPWORDS, designations, query_terms

_BEGINS = re.compile(
    r"\W*(?:and|but|so|or|also|then|what about|how about|more|again|und|et|y|e)\b"
    r"|\W*(?:why|why not|how so|how|since when|where|when)\W*$",
    re.IGNORECASE,
)
_POINTS = re.compile(
    r"\b(?:it|its|it's|itself|they|them|their|theirs|he|she|his|her|that one|this one"
    r"|(?:this|that|these|those)(?= (?:is|are|was|were|do|does|did|can|will|mean\w*|work\w*|differ\w*"
    r"|more|again|one|proposals?|standards?|eips?|ercs?|bips?|documents?|in|to|for|and|or)\b|\W*$)"
    r"|the (?:same|former|latter|other|previous)(?: one)?(?=\W*$| (?:is|are|was|do|does))"
    r"|the (?:first|second) one)\b",
    re.IGNORECASE,
)
_IMPERSONAL = re.compile(
    r"\b(?:is|was|be|does|would|will|did|should|makes?|find|means?) it\b"
    r"(?= (?:an? |ok |so |more |less |too )?[\w-]+.{0,80}"
    r"\b(?:to|that|for|when|if)\b)",
    re.IGNORECASE,
)
"""An `it` that points at nothing, as in "is it possible to"."""

_SUBJECT = re.compile(
    r"\b(?:do|does|did|is|are|was|were|can|will|should|must|has|have|would) (?:it|they|he|she)\b",
    re.IGNORECASE,
)
_OWNER = re.compile(
    r"\b(?:do|does|did|is|are|was|were|can|will|should|must|has|have) (?:its|their|his|her)\b", re.IGNORECASE
)
"""The subject of a clause by whose it is, as in "which part do their addresses use"."""
_NAME = re.compile(
    r"\b0x[0-9a-fA-F]{8,}\b"
    r"|\b[A-Z][\w-]*[A-Z0-9][\w-]*\b"
    r"|\b\w+_\w+\b"
    r"|(?<!^)\b[A-Z][a-z]+(?: (?:v\d+|[A-Z][\w-]+))*\b"
)
_DISCOURSE = frozenset(
    [
        "more", "detail", "details", "simply", "simple", "simpler", "shorter", "longer", "example",
        "examples", "elaborate", "continue", "again", "explain", "explanation", "summarize",
        "summarise", "please", "further", "word", "words", "give", "show", "tell", "one", "way", "say",
        "clarify", "expand", "plain", "english", "short", "briefly", "brief", "mean", "else",
        "anything", "next", "previous", "last", "answer", "reason",
    ]
)  # fmt: skip
"""Words that ask for more of what was said, and name no subject."""
_FEW = 4
"""Terms that a question with an opening such as "and" may have and still lean on the one before."""


def needs_context(question: str) -> bool:
    """Whether a question cannot be understood alone, as far as its words show.

    It can where it names its subject. A pronoun has one where words of substance stand before it.

    >>> [needs_context(q) for q in ("and its successor?", "who wrote it?", "explain that more simply")]
    [True, True, True]
    >>> [needs_context(q) for q in ("Why was EIP-3074 withdrawn?", "What does a node do when it restarts?")]
    [False, False]
    """
    opened = bool(_BEGINS.match(question)) and len(_substance(question)) <= _FEW
    if opened:
        return True
    pointed = _POINTS.search(_IMPERSONAL.sub("", question))
    before = question[: pointed.start()] if pointed else ""
    if pointed and not names(before):
        few = len(_substance(before))
        asked = _SUBJECT.search(question) or _OWNER.search(question)
        ends = not question[pointed.end() :].strip(" ?!.")
        if not few or (asked and few < _FEW) or (ends and len(_substance(question)) < 3):
            return True
    return not names(question) and not _substance(question)


def has_substance(question: str) -> bool:
    """Whether a question has words of its own, beside those that ask for more of what was said."""
    return bool(_substance(question))


def _substance(text: str) -> list[str]:
    return [term for term in query_terms(text) if term not in STOPWORDS and term not in _DISCOURSE]


def names(text: str) -> list[str]:
    """The designations, addresses and proper names in a text, each once.

    >>> names("Does Uniswap v3 follow EIP-1559?")
    ['EIP-1559', 'Uniswap v3']
    """
    found = (match.group() for match in _NAME.finditer(text))
    return list(dict.fromkeys([*designations(text), *found]))
