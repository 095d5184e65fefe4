"""Cheap checks that a sentence does not turn its source around: negation, direction, strength of obligation.

They see words, not grammar: who does what to whom is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

_OPPOSITES = [
    tuple(frozenset(side.split()) for side in pair.split("|"))
    for pair in [
        "increase rise raise grow higher more greater above up"
        "|decrease fall reduce lower shrink less fewer below drop down",
        "exceed above over atleast|atmost",
        "below under atmost|atleast",
        "minimum min least smallest lowest floor|maximum max most largest biggest highest ceiling cap",
        "before earlier prior|after later following",
        "always|never",
        "required mandatory compulsory|optional",
        "lock|unlock",
        "enable|disable",
        "allow permit|forbid disallow prohibit",
        "accept|reject refuse",
        "valid|invalid",
        "include|exclude",
        "inclusive|exclusive",
        "add|remove subtract",
        "deposit|withdraw withdrawal",
        "mint create|burn destroy",
        "encode|decode",
        "encrypt|decrypt",
        "succeed|fail",
        "true|false",
        "first|last",
        "public|private",
        "secure safe|insecure unsafe",
        "mutable|immutable",
        "proposer|attester",
        "buy|sell",
        "start begin|end stop",
        "multiply|divide",
        "compatible|incompatible",
    ]
]
_NEGATION = re.compile(
    r"\b(?:not|never|no|nor|neither|without|cannot|none|nothing|nobody)\b|n't\b|不|没有|沒有|無法|无法|\bsin\b"
)
_NEGATIVE = re.compile(
    r"\b(?:in(?:valid|correct|secure|compatible|dependent|activ|sufficient)|im(?:possible|mutable)|un|non-?|dis)\w+"
    r"|\b(?:prevent|forbid|forbade|prohibit|lack|fail|except|avoid|stop|reject|refus|only|rather|instead|unlike|until"
    r"|0\b|zero|empty|missing|absent|exclu|ignor|remov|omit|skip|revert|abort|deni|deny|unless|beyond|too|hardly|few|less)",
    re.IGNORECASE,
)
"""Words in which a source may say what a sentence says with `not`."""

_BOUNDED = (
    (re.compile(r"\b(?:not|never|no)(?: be| have)? exceed(?:ed|ing)?\b"), "atmost"),
    (re.compile(r"\b(?:not|never|no)(?: be| have)? (?:more|larger|greater|higher|longer) than"), "atmost"),
    (re.compile(r"\b(?:not|never|no)(?: be| have)? (?:less|lower|smaller|fewer|shorter) than"), "atleast"),
)
"""Bounds that are said by a negation, as the words that are checked instead."""

_DENIES = frozenset(["reject", "forbid", "prohibit", "disallow", "prevent", "revert", "fail", "invalid"])
"""Verbs with which a source says no of all that stands in their clause."""

_NAUGHT = re.compile(r"\b(?:are|is|were|was|has|have)\s+(?:0|zero)\s+[a-z]")

_BREAK = re.compile(r"[.,;:!?()]|\b(?:but|however|unless|except|although|while|and|or|if|when|because|so)\b")
_MODALS = {"must": 3, "shall": 3, "should": 2, "may": 1, "can": 1, "might": 1}
_FILLER = frozenset(
    [
        "be", "been", "being", "is", "are", "was", "were", "has", "have", "had", "do", "does", "did",
        "will", "would", "can", "could", "may", "might", "must", "should", "shall", "a", "an", "the", "any",
        "to", "of", "in", "on", "by", "for", "it", "its", "that", "this", "these", "those", "longer", "yet",
        "only", "also", "ever", "more", "less", "than", "able", "allowed",
    ]
)  # fmt: skip
_SCOPE = 2


def conflict(sentence: str, source: str) -> str | None:
    """Where a sentence says the opposite of its source, in words for a repair; None where none is seen.

    >>> conflict("Clients must accept it.", "Clients MUST NOT accept it.")
    'it affirms "accept", which the source negates'
    >>> conflict("The base fee rises.", "The base fee falls."), conflict("It is burned.", "It is burned.")
    ('it says "rise", the source "fall"', None)
    """
    sentence, source = _bounded(sentence), _bounded(source)
    return _negated(sentence, source) or _turned(sentence, source) or _strengthened(sentence, source)


def _bounded(text: str) -> str:
    text = re.sub(r"n't\b|\bcannot\b", " not", text.lower().replace("’", "'"))
    for pattern, word in _BOUNDED:
        text = pattern.sub(word, text)
    return text


def _negated(sentence: str, source: str) -> str | None:
    (here, here_not), (there, there_not) = _polar(sentence), _polar(source, _DENIES)
    if here_not and not there_not and not _NEGATIVE.search(source):
        return f'it negates "{min(here_not)}", and its source negates nothing'
    if _most_negations(sentence) > max(1, _most_negations(source)):
        return "it negates twice in one clause, and its source does not"
    for word in sorted(here_not - here):
        if word in there and word not in there_not:
            return f'it negates "{word}", which the source affirms'
    for word in sorted(there_not - there):
        if word in here and word not in here_not:
            return f'it affirms "{word}", which the source negates'
    return None


def _most_negations(text: str) -> int:
    """The most negations of one clause."""
    return max(len(_NEGATION.findall(clause)) for clause in _BREAK.split(text))


def _polar(text: str, denies: frozenset[str] = frozenset()) -> tuple[frozenset[str], frozenset[str]]:
    """The words of a text outside and inside the reach of a negation: the next two words of substance.

    denies: roots of verbs that put all other words of their clause on both sides.
    """
    plain: set[str] = set()
    negated: set[str] = set()
    for clause in _BREAK.split(text):
        before, *after = (list(_roots(part)) for part in _NEGATION.split(clause))
        for roots in after:
            negated.update(roots[:_SCOPE] or before[-1:])
            before = before if roots else before[:-1]
            plain.update(roots[_SCOPE:])
        plain.update(before)
        if denies and (_NAUGHT.search(clause) or denies.intersection(before)):
            negated.update(set(before) - denies)
    return frozenset(plain), frozenset(negated)


def _turned(sentence: str, source: str) -> str | None:
    here, there = frozenset(_roots(sentence)), frozenset(_roots(source))
    for one, other in _OPPOSITES:
        for mine, theirs in ((one, other), (other, one)):
            if here & mine and there & theirs and not here & theirs and not there & mine:
                return f'it says "{min(here & mine)}", the source "{min(there & theirs)}"'
    return None


def _strengthened(sentence: str, source: str) -> str | None:
    """A duty that the source only recommends or allows, or the reverse; `can` and `might` weaken none."""
    here = {word for word in re.findall(r"\w+", sentence) if _MODALS.get(word, 0)}
    there = {word for word in re.findall(r"\w+", source) if _MODALS.get(word, 0)}
    levels = {_MODALS[w] for w in here}, {_MODALS[w] for w in there}
    if levels[0] and levels[1] and max(levels[0]) == 3 and max(levels[1]) < 3:
        return f'it says "{min(here)}", the source only "{min(there)}"'
    if here & {"should", "may"} and levels[1] and max(levels[0]) < 3 and min(levels[1]) == 3:
        return f'it says "{min(here)}", the source "{min(there)}"'
    return None


def _roots(text: str) -> Iterator[str]:
    """Words without the commonest endings, irregular forms of the words above as their root."""
    for word in re.findall(r"[a-z]{2,}", text):
        if word in _FILLER and word not in ("more", "less"):
            continue
        yield _IRREGULAR.get(word) or _root(word)


_IRREGULAR = {
    "exceed": "exceed",
    "fell": "fall",
    "fallen": "fall",
    "rose": "rise",
    "risen": "rise",
    "grew": "grow",
    "began": "begin",
}
_IRREGULAR |= {
    "sold": "sell",
    "bought": "buy",
    "rises": "rise",
    "rising": "rise",
    "raised": "raise",
    "less": "less",
}


@lru_cache(maxsize=4096)
def _root(word: str) -> str:
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            stem = word[: -len(ending)]
            if stem[-1] == stem[-2] and stem[-1] not in "sl":
                stem = stem[:-1]
            return _ENDED.get(stem, stem)
    return _ENDED.get(word, word)


_ENDED = {
    word.removesuffix("e"): word
    for pair in _OPPOSITES
    for side in pair
    for word in side
    if word.endswith("e")
}
