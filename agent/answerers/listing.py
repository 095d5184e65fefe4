"""Answers questions for a list that one document has, such as what an upgrade includes, with the whole list.

It answers only where one document clearly is the one that is asked about, and where the list stands under a
heading, a lead or a scope of code that says what is asked for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from agent.answerers.catalogue_records import Record, records_of, same_number
from agent.answerers.enumerations import Enumeration, bare, enumerations
from agent.answers.cite import cite
from agent.answers.packing import PackingReport, Section
from agent.answers.question import Question
from agent.answers.values import EXTRACTIVE, Citation, Draft, Sentence
from agent.requests.budget import count_tokens
from agent.text.render import one_line
from index.terms import STOPWORDS

if TYPE_CHECKING:
    from index.library import Library

_How = Literal["named", "titled", "several", "found"]
"""How a question leads to documents; where `several` are so titled, only what one includes is sure."""


_OPENING = re.compile(
    r"\W*(?:(?:please|can you|could you)\s+)?"
    r"(?:which|what(?=\s+(?!are\b|is\b|was\b|were\b))|what (?:are|were|is|was) (?:the|all)|what (?:is|was)|"
    r"list|name|enumerate|show|give|tell)\b"
    r"(?:\s+(?:me|us|all|the|of|every|new|different|various|three|two|four|five))*\s*",
    re.IGNORECASE,
)
_INCLUDED = re.compile(
    r"\b(?:includ\w+|contain\w*|went into|go(?:es)? into|part of|made it into|consists? of|comprises?|shipped"
    r"|bundled?|(?:is|are|was|were) in|s in)\b",
    re.IGNORECASE,
)
_FRAME = frozenset(
    """
    include includes included including contain contains contained went go goes part consist consists comprise
    comprises shipped bundle bundled define defines defined must should may offer offers add adds added
    introduce introduces introduced specify specifies provide provides require requires through need needs
    exist standardize standardizes implement implements list lists support supports use uses used made per
    proposal standard interface document workflow process protocol scheme format
    """.split()  # noqa: SIM905
)
"""Words between a document and what it lists; they tell no list apart."""

_UPGRADE = frozenset(
    ["upgrade", "upgrades", "hard", "fork", "hardfork", "forks", "network", "release", "update"]
)
_MEASURES = frozenset(
    ["numbers", "values", "prices", "costs", "bytes", "bits", "words", "times", "seconds", "hours", "days"]
)
"""Plurals that ask for a figure, not for a list."""

_SAME = {"method": "function"}
_NUMBER = re.compile(r"\b(?:EIP|ERC|BIP)[-_ ]?#?\d+\b", re.IGNORECASE)
_HITS, _BEST = 8, 5
_HALF = 0.5
_LONGEST = 14
"""Words of a question for a list."""

_ABSTRACT = 5
"""Passages of a document, its header included, that say what it is about."""

_MOST = 40
"""Items that are shown of one list."""

_LONG = 600
"""Characters beyond which the first sentence counts the items instead of naming them."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be listed.

    noun: its stem, empty where only what is included is asked; subject, words: the rest; included: that it is
    what the document includes.
    """

    noun: str
    subject: frozenset[str]
    words: tuple[str, ...]
    included: bool


@dataclass(frozen=True, slots=True)
class _Found:
    score: float
    record: Record
    text: str
    lists: tuple[Enumeration, ...]


def answer(library: Library, question: Question) -> Draft | None:
    """The list that one document has, quoted whole; None where no list clearly is the one that is asked for.

    Raises what the library raises.
    """
    asked = _asked(library, question.read_as)
    if asked is None:
        return None
    how, documents = _documents(library, question, asked)
    needed = [same_number(one) for record in documents for one in record.document.requires]
    found = [one for record in documents if (one := _matching(library, record, asked, how))]
    if not found:
        return None
    best = max(found, key=lambda one: (one.score, needed.count(same_number(one.record.name))))
    return _Writer(library, question, best).draft()


def _asked(library: Library, question: str) -> _Asked | None:
    """What the question asks to be listed; None where it asks for no list."""
    opening = _OPENING.match(question)
    rest = question[opening.end() :] if opening else question
    words = re.findall(r"[\w'-]+", _NUMBER.sub(lambda m: re.sub(r"\W", "-", m.group()), rest))
    if not words or len(words) > _LONGEST:
        return None
    noun, before, after = _noun(words)
    lower = {word.lower() for word in words}
    included = bool(_INCLUDED.search(rest)) or words[0].lower() == "in" or after[:1] in (["in"], ["of"])
    if not noun and not (opening and included and lower & (_UPGRADE | {"fork"})):
        return None
    skipped = STOPWORDS | _FRAME | (_UPGRADE if included else frozenset())
    kept = tuple(word for word in after if word.lower() not in skipped) or tuple(before)
    stems = frozenset(library.stems(" ".join(kept)))
    if all(word.isdigit() for word in kept):
        return None
    stem = (library.stems(noun) or [""])[0] if noun else ""
    return _Asked(_SAME.get(stem, stem), stems, kept, included)


def _noun(words: Sequence[str]) -> tuple[str, list[str], list[str]]:
    """The plural at the head of the question, after two words at most; what stands before, and after it."""
    for at, word in enumerate(words[:3]):
        lower = word.lower()
        if lower in STOPWORDS | _FRAME | _MEASURES:
            break
        follows = words[at + 1] if at + 1 < len(words) else ""
        ends = not follows or follows.lower() in STOPWORDS | _FRAME or not follows.islower()
        if len(word) > 3 and lower.endswith("s") and not lower.endswith(("ss", "us", "is")) and ends:
            return lower, list(words[:at]), list(words[at + 1 :])
    return "", [], list(words)


def _documents(library: Library, question: Question, asked: _Asked) -> tuple[_How, list[Record]]:
    """The documents that the question names, or that are so titled, or that search puts first."""
    records = records_of(library, question.filters)
    named = [one for match in _NUMBER.findall(question.read_as) for one in records.numbered(match)]
    if named:
        return "named", named
    begins = [word.lower()[: max(4, len(word) - 2)] for word in asked.words]
    near = [r for r in records.all if all(word in _speaks_of(r).lower() for word in begins)]
    titled = [r for r in near if asked.subject <= set(library.stems(_speaks_of(r)))]
    if titled and len(titled) <= _HITS:
        shared = Counter(one for record in titled for one in record.document.requires)
        base = [one for number, count in shared.items() if count > 1 for one in records.numbered(number)]
        clear = len(titled) == 1 or len(asked.subject) > 1 or base
        return ("titled" if clear else "several"), titled + [r for r in base if r not in titled]
    if asked.included:
        return "titled", []
    hits = library.search(question.read_as, _HITS, question.filters)[:_BEST]
    uris = [hit.document.uri for hit in hits if hit.document.uri in records.by_uri]
    found = [records.by_uri[uri] for uri in dict.fromkeys(uris)]
    needed = {same_number(one) for record in found for one in record.document.requires}
    return "found", [r for r in found if uris.count(r.document.uri) > 1 or same_number(r.name) in needed]


def _speaks_of(record: Record) -> str:
    """The title and the description of a document."""
    description = record.header.get("description")
    return f"{record.document.title} {description.value if description else ''}".replace("/", " ")


def _matching(library: Library, record: Record, asked: _Asked, how: _How) -> _Found | None:
    """What of a document matches best: all lists beside each other under one heading, or one enumeration.

    Where the question names the document, its other words are about what is in it.
    """
    passages = library.passages(record.document.uri)
    text = "".join(passage.text for passage in passages)
    abstract = "" if how == "named" else " ".join(passage.text for passage in passages[:_ABSTRACT])
    title = set(library.stems(f"{_speaks_of(record)} {record.name} {abstract}"))
    score = partial(_score, library, text, replace(asked, subject=asked.subject - title), how)
    scored = [(score(one), one) for one in enumerations(text, record.document.path.endswith(".mediawiki"))]
    best = max((points for points, _ in scored), default=0.0)
    if best <= 0:
        return None
    chosen = [one for points, one in scored if points == best]
    first = chosen[0]
    beside = [one for one in chosen if one.kind == first.kind == "list" and one.path[:-1] == first.path[:-1]]
    return _Found(best, record, text, tuple(beside or [first]))


def _score(library: Library, text: str, asked: _Asked, how: _How, one: Enumeration) -> float:
    """How well an enumeration is what is asked for; 0 where nothing near it says so.

    Of what is asked besides the document, half must stand near the list. Only where the document is beyond
    doubt may the line above the list say what it lists as well as its heading.
    """
    lead = bare(text[slice(*one.lead)]) if one.lead and one.kind == "list" else ""
    own = {_SAME.get(stem, stem) for stem in library.stems(one.label)}
    leads = {_SAME.get(stem, stem) for stem in library.stems(lead)}
    heads = own | set(library.stems(" ".join(one.path[-2:])))
    near = heads | leads
    if asked.included and any(stem.startswith("includ") for stem in heads):
        points = 2.0 + (asked.noun in near) - (one.kind == "headings")
    elif how == "several":
        return 0.0
    elif one.kind == asked.noun:
        points = 1.7
    elif asked.noun and asked.noun in own and one.kind in ("list", "headings"):
        points = 1.6 if one.kind == "headings" else 1.5
    elif how != "found" and asked.noun in leads and lead.endswith(":"):
        points = 1.3
    else:
        return 0.0
    squashed = f"{one.label} {' '.join(one.path[-1:])}".lower().replace("-", "")
    held = sum(stem in near or re.sub("^eip", "erc", stem) in squashed for stem in asked.subject)
    share = held / len(asked.subject) if asked.subject else 1.0
    return points + share if share >= _HALF else 0.0


class _Writer:
    """Writes a list: first whose it is and what it names, then its lead and its items, each as it stands."""

    def __init__(self, library: Library, question: Question, found: _Found) -> None:
        self._found = found
        self._question = question
        self._passages = library.passages(found.record.document.uri)
        self._citations: list[Citation] = []

    def draft(self) -> Draft:
        """The answer."""
        quoted = [sentence for one in self._found.lists for sentence in self._quoted(one)]
        cited = tuple(citation.number for citation in self._citations[:3])
        sentences = (Sentence(self._first(), cited, "computed"), *quoted)
        text = "\n".join(f"{s.text}{''.join(f' [{n}]' for n in s.citations)}" for s in sentences)
        packing = PackingReport(self._question.budget, count_tokens(self._question.read_as), 0, 0, ())
        return Draft(text, sentences, tuple(self._citations), packing, EXTRACTIVE)

    def _first(self) -> str:
        document, lists = self._found.record.document, self._found.lists
        whose = f"{document.number} ({document.title})" if document.number else document.title
        label = lists[0].label if len(lists) == 1 else lists[0].path[-2]
        names = [_name(self._said(one, span), one.kind) for one in lists for span in one.items]
        first = f'{whose} lists under "{label}": {", ".join(names)}.'
        return first if len(first) <= _LONG else f'{whose} lists {len(names)} under "{label}".'

    def _quoted(self, one: Enumeration) -> list[Sentence]:
        """A list is cited once, from its lead to its end; headings and declarations each where they stand."""
        shown = one.items[:_MOST]
        spans = [*([one.lead] if one.lead else []), *shown]
        if one.kind == "list":
            numbers = [self._cited(spans[0][0], spans[-1][1])] * len(spans)
        else:
            numbers = [self._cited(*span) for span in spans]
        return [
            Sentence(self._said(one, span), (number,), "verbatim")
            for span, number in zip(spans, numbers, strict=True)
        ]

    def _said(self, one: Enumeration, span: tuple[int, int]) -> str:
        words = self._found.text[slice(*span)]
        return bare(words.strip("#= ")) if one.kind in ("list", "headings") else one_line(words)

    def _cited(self, start: int, end: int) -> int:
        held = tuple(passage for passage in self._passages if passage.end > start and passage.start < end)
        begin = held[0].start
        section = Section(self._found.record.document, held, 1.0)
        self._citations.append(cite(len(self._citations) + 1, section, start - begin, end - begin))
        return len(self._citations)


def _name(item: str, kind: str) -> str:
    """What an item is called: a declaration's name, or the words before its first colon, dash or bracket."""
    if kind not in ("list", "headings"):
        return str(re.findall(r"\w+", item)[1])
    return re.split(r":\s|\s[-–—]\s|\.\s| (?:REQUIRED|OPTIONAL)\b|\s\(", item, maxsplit=1)[0][:60]
