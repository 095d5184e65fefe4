"""A question as terms: what each weighs, and what an answer to it looks like."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from agent.answers.packing import Section
from agent.text.corpus import Corpus, information
from index.normalize import folded
from index.terms import code_names, file_names, query_terms

_NUMBER_WANTED = re.compile(
    r"\bhow (many|much|long|big|large|far|often|high|low|old|fast)\b"
    r"|\b(what|which) (\w+ )?(number|date|year|share|percentage|rate|ratio|amount|price|cost|size|length|"
    r"limit|value|range|version|height)\b"
    r"|\b(when|maximum|max|minimum|min|largest|smallest|threshold|limit|size|length|cost|bytes|bits|"
    r"seconds|percent|highest|lowest|biggest|longest|shortest|fewest|iterations?|gas|fees?|multiplier|denominator|count|duration|delay|percentage|decimals)\b",
    re.IGNORECASE,
)
_NAME_WANTED = re.compile(
    r"\b(address|contract|selector|slot|opcode|function|event|interface|prefix|field|constant|path|record|message|"
    r"type|flag|magic)\b",
    re.IGNORECASE,
)
_HEAD = (
    r"(?i)\b(?:what|which)\b(?: (?!an?\b)[\w'’.-]+){0,5}? (?:%s)"
    r"(?=\s*(?:[?.,;:]|$|(?:of|for|in|at|on|to|that|is|was|are|were|do|does|did|has|will|would|must|may|can)\b))"
    r"|^(?!.*\b(?:what|which|how|why|when|who|is|are|does|do|can)\b)(?:\S+ ){0,8}?(?:%s)\b"
)
_TYPES = tuple(
    (re.compile(_HEAD % (noun, noun)), re.compile(form))
    for noun, form in (
        ("hash|txid|digest", r"(?<![0-9a-fA-F])[0-9a-fA-F]{64}(?![0-9a-fA-F])"),
        ("timestamp", r"(?<![\w.])\d{9,13}(?!\w)"),
        ("date|day|month|year", r"\b(1[89]|2\d)\d\d\b|(?<![\w.])\d{9,13}(?!\w)"),
        (
            "price|payout|bounty|prize",
            r"(?i)[$€£]\s?\d|(?<![\d.,])[.,]*+\d[\d.,]*+\s?([km]\s?)?(usd|dollar|eth|btc|bitcoin|.?wei|sat)",
        ),
    )
)
"""Answers that are known by their form (Prager et al. 2000, Question-Answering by Predictive Annotation).

The noun that `what` or `which` asks for, and the form of what can be an answer.
"""

_REPORTS = re.compile(r"\b(?:says?|said|tells?|mentions?)\b", re.IGNORECASE)
"""Verbs by which a question asks what a source holds; they are not of its subject."""

_NAMED = re.compile(r"(?<!^)(?<![.?!:]\s)\b[A-Z][\w-]+|\b\w*\d\w*\b|\b\w+[A-Z]\w*")
"""Names and numbers in a question, save the word that a sentence begins with."""


_PREFERRED = tuple(
    (re.compile(_HEAD % (noun, noun)), re.compile(form))
    for noun, form in (
        ("address", r"0x[0-9a-fA-F]{40}\b|\b(?:bc1|tb1)[0-9a-z]{20,}"),
        ("selector|interface ?id|interface identifier|magic value", r"0x[0-9a-fA-F]{8}\b"),
        ("opcode|opcode number|byte", r"\b0x[0-9a-fA-F]{1,2}\b"),
        ("slot|storage slot", r"\b0x[0-9a-fA-F]{64}\b"),
    )
)
"""The same for answers that may also be told in other words."""


_LEAST_SIZE = 1000
"""Passages that a smaller library is taken to have: among few, a word that one has is not yet common."""


class QuestionTerms:
    """A question as terms, each weighted by its BM25 idf, on a scale where an unknown word weighs 1."""

    def __init__(self, question: str, corpus: Corpus, size: int) -> None:
        self.weights: dict[str, float] = {}
        stems = corpus.stems(" ".join(query_terms(_REPORTS.sub(" ", question))))
        for stem, found in zip(stems, corpus.frequencies(stems), strict=True):
            if found or folded(stem) not in stems or stem.isascii():
                self.weights[stem] = information(found, max(size, _LEAST_SIZE))
        self.total = sum(self.weights.values()) or 1.0
        self._pairs = frozenset(pairwise(corpus.stems(question)))
        named = frozenset(corpus.stems(" ".join(_NAMED.findall(question))))
        self.names = {stem: weight for stem, weight in self.weights.items() if stem in named}
        self.declared, self.files = code_names(question), file_names(question)
        self.wants_number = bool(_NUMBER_WANTED.search(question))
        self.wants_name = bool(_NAME_WANTED.search(question))
        self.forms = [form for noun, form in _TYPES if noun.search(question)]
        self.preferred = [form for noun, form in (*_TYPES, *_PREFERRED) if noun.search(question)]

    def of(self, section: Section, corpus: Corpus) -> bool:
        """Whether the question names the section: its proposal, its file, or a name that it declares."""
        number, file = section.document.number, section.document.path.rpartition("/")[2].lower()
        if file in self.files or (number and self.names.keys() >= {*corpus.stems(number)}):
            return True
        found = (one.partition("(")[0] for passage in section.passages for one in passage.identifiers)
        return not self.declared.isdisjoint(found)

    def formed(self, text: str) -> bool:
        """Whether a text holds what the answer is known to look like; true where that is not known."""
        return all(form.search(text) for form in self.forms)

    def looks(self, text: str) -> bool:
        """Whether a text holds the form that the answer most likely has; false where none is known."""
        return bool(self.preferred) and all(form.search(text) for form in self.preferred)

    def unnamed(self, words: frozenset[str]) -> float:
        """The share of the question's information that lies in names and numbers outside these words."""
        return sum(weight for stem, weight in self.names.items() if stem not in words) / self.total

    def paired(self, stems: Sequence[str]) -> float:
        """The share of the question's neighbouring words that are neighbours in a text as well."""
        return len(self._pairs & set(pairwise(stems))) / max(len(self._pairs), 1)

    def share(self, words: frozenset[str]) -> float:
        """The share of the question's information that these words hold, 0 to 1."""
        return sum(weight for stem, weight in self.weights.items() if stem in words) / self.total
