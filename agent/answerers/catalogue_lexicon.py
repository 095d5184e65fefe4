"""The words of questions about metadata: phrases with what they mean, and the tokens of a question."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from agent.text.normalize import plain, quotable


@dataclass(frozen=True, slots=True)
class Item:
    """A part of a question with one meaning.

    kind: what it is, `word` where no meaning is known; value: what it says; text: its words.
    first, last: the days that a date spans.
    """

    kind: str
    value: str
    text: str
    first: date | None = None
    last: date | None = None


_FUNCTION = """
    the a an of that those these there is are was were be been being am do does did done has have had having
    which what list show give enumerate tell find all every each any me us i you your please also currently
    current now still yet already ever exactly altogether with whose as s so listed say says said
    thanks one ones compare people reached
"""
_PHRASES: dict[str, dict[str, str]] = {
    "fn": {
        "": (
            "so far|at the moment|as of today|as of now|right now|can you|tell me about|i wonder|"
            "could you|would you|"
            "will you|in total|meant to|supposed to|intended to|going to|i want to know|"
            "i would like to know|do you know|belong to|belongs to|belonging to|to date|that is|"
            "out there|on file|come under|fall under|falls under|at all|in existence|by now|"
            "have got|designated as|marked as|classified as|with the number"
        ),
    },
    "library": {
        "": (
            "in the library|in your library|in this library|in the corpus|in your index|"
            "do you have|you have|you hold|do you hold|do you know of|you know|you know of|know|"
            "the library|library|in here|does the library have|does the library hold|"
            "the library has|the library holds|hold|holds|contain|contains|in store|available|"
            "your library|in your collection|have you got"
        ),
    },
    "field": {
        "author": "author|authors|authorship|writer|writers|inventor|inventors",
        "created": (
            "when|since when|what year|which year|in what year|in which year|creation date|"
            "how old|date of creation|publication date|date|dates|what date|which date|"
            "on what date|on which date|what day|on what day|from when|year|date of publication|"
            "date created|creation year|assignment date"
        ),
        "status": (
            "status|statuses|stage|pursued|alive|dead|abandoned|in force|being pursued|maturity|"
            "still relevant|still current"
        ),
        "category": "category|categories",
        "type": "type|types|kind|kinds|sort",
        "layer": "layer|layers",
        "license": (
            "license|licence|licensed|licenced|licenses|license terms|under which license|"
            "under what license|under which licence|under what licence"
        ),
        "title": "title|titles|titled|called|named|name|names|entitled",
        "number": "number|numbers|designation",
        "discussion": (
            "discussed|discussion|discussions|discussion thread|discussions to|thread|"
            "discussion link|forum thread"
        ),
        "deadline": "last call deadline|deadline|last call end|last call period end",
        "reason": "why|withdrawal reason|reason for withdrawal|reason for its withdrawal|how come",
        "requires": "dependencies|dependency|prerequisite|prerequisites",
        "replaced by": "replacement|successor|successors",
        "replaces": "predecessor|predecessors",
    },
    "who": {
        "": "who|whom|by whom",
    },
    "where": {
        "": "where",
    },
    "make": {
        "": (
            "wrote|write|writes|written|writing|authored|coauthored|coauthor|authoring|penned|"
            "drafted|devised|invented|created|create|creates|published|publish|proposed|propose|"
            "proposes|introduced|made|started|originated|submitted|assigned|exist|exists|existed|"
            "come up with|came up with|behind|released|first proposed|first published|"
            "first created|co authored|co-authored|co-author|co-wrote|co-written|co author|co wrote|"
            "co written|use|uses|dated|assigned a bip number|"
            "assigned a number|assigned its number|assigned an eip number|filed"
        ),
    },
    "rel": {
        "requires": (
            "require|requires|requiring|need|needs|depend on|depends on|depending on|"
            "dependent on|depend upon|depends upon|depend|depends|build on|builds on|built on|"
            "build upon|builds upon|building on|based on|rely on|relies on|relying on|required"
        ),
        "required by": "required by|needed by|dependency of|prerequisite of|prerequisite for",
        "replaces": (
            "replace|replaces|replaced|replacing|supersede|supersedes|superseded|superseding|"
            "obsolete|obsoletes|obsoleted|replacement for|replacement of|successor of|"
            "successor to|succeeds|succeeded"
        ),
        "replaced by": "replaced by|superseded by|obsoleted by|succeeded by|predecessor of|replaced with",
    },
    "series": {
        "EIP": "eip|ethereum improvement proposal",
        "ERC": "erc|token standard",
        "BIP": "bip|bitcoin improvement proposal",
        "proposal": "proposal|standard|improvement proposal",
        "document": "document|source|text",
        "paper": (
            "paper|whitepaper|white paper|yellow paper|yellowpaper|technical paper|litepaper|"
            "protocol specification"
        ),
        "audit": "audit|audit report|security audit|report|security review",
    },
    "plural": {
        "EIP": "eips|ethereum improvement proposals",
        "ERC": "ercs",
        "BIP": "bips|bitcoin improvement proposals",
        "proposal": "proposals|standards|improvement proposals",
        "document": "documents|sources|docs|texts",
        "paper": "papers|whitepapers|white papers",
        "audit": "audits|audit reports|reports|security audits",
    },
    "not": {
        "": (
            "not|no longer|without|except|excluding|other than|never|nor|neither|none of|"
            "except for|no|apart from"
        ),
    },
    "and": {
        "": "and|as well as|plus|along with|but|and also",
    },
    "or": {
        "": "or|and or",
    },
    "both": {
        "both": "both|jointly|together",
        "either": "either",
    },
    "before": {
        "": "before|prior to|earlier than|older than",
    },
    "after": {
        "": "after|later than|newer than|younger than|more recent than",
    },
    "since": {
        "": "since|starting from|from on|as of|beginning in",
    },
    "until": {
        "": "until|till|up to|through|no later than",
    },
    "between": {
        "": "between",
    },
    "in": {
        "": "in|during|on|in the year|within|under|at",
    },
    "from": {
        "": "from",
    },
    "to": {
        "": "to",
    },
    "by": {
        "": "by",
    },
    "about": {
        "": (
            "about|regarding|concerning|related to|relating to|dealing with|that deal with|"
            "deal with|deals with|on the topic of|on the subject of|with regard to|that concern|"
            "concern|covering|that cover|cover|that address|address|for|mention|mentioning|"
            "to do with|having to do with"
        ),
    },
    "count": {
        "": "how many|count|total number of|number of|count of|how large is the number of",
    },
    "first": {
        "newest": "newest|latest|most recent|most recently|youngest|last",
        "oldest": "oldest|earliest|first",
    },
    "change": {
        "": (
            "changed|new|added|updated|retrieved|ingested|fetched|changes|arrived|change|news|"
            "been added|newly added|refreshed"
        ),
    },
    "it": {
        "": (
            "it|its|they|their|them|this proposal|that proposal|this document|that document|"
            "this one|that one|this eip|that eip|this bip|that bip|this erc|that erc|this"
        ),
    },
    "status": {
        "withdrawn": "withdrawn|been withdrawn",
        "final": "finalized|finalised|final",
        "draft": "draft|drafts|in draft|a draft",
        "stagnant": "stagnant|stagnating",
        "review": "review|under review|reviewed",
        "last call": "last call|last-call",
        "living": "living",
        "deployed": "deployed",
        "complete": "complete|completed",
        "closed": "closed",
        "active": "active",
        "rejected": "rejected",
        "proposed": "status proposed",
        "moved": "moved",
        "obsolete": "status obsolete",
        "replaced": "status replaced",
    },
}
"""What phrases mean: by the kind of item, and by its value, the phrases, parted by `|`."""


def _table() -> Mapping[tuple[str, ...], tuple[str, str]]:
    table: dict[tuple[str, ...], tuple[str, str]] = {(word,): ("fn", "") for word in _FUNCTION.split()}
    for kind, values in _PHRASES.items():
        for value, phrases in values.items():
            for phrase in phrases.split("|"):
                table[tuple(phrase.split())] = kind, value
    return table


_MEANINGS = _table()
_LONGEST = max(map(len, _MEANINGS))

CUES = frozenset(
    ["field", "who", "make", "rel", "series", "plural", "first", "status", "count", "library", "change"]
)
"""Kinds of which one stands in every question about metadata."""

_MONTHS = {name.lower(): at for at, name in enumerate(calendar.month_name) if name} | {
    name.lower(): at for at, name in enumerate(calendar.month_abbr) if name
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_TOKEN = re.compile(
    rf"""(?P<quoted>"[^"]+")
    |(?P<name>\b(?:EIP|ERC|BIP)S?[-_\ ]?\#?[0-9]+\b)
    |(?P<day>\b\d{{4}}-\d{{2}}-\d{{2}}\b)
    |(?P<spoken>\b(?:\d{{1,2}}(?:st|nd|rd|th)?\ (?:of\ )?)?(?:{_MONTH})\.?,?
        \ (?:\d{{1,2}}(?:st|nd|rd|th)?,?\ )?(?:19|20)\d\d\b)
    |(?P<month>\b(?:19|20)\d\d-\d{{2}}\b)
    |(?P<relative>\b(?:this|last)\ (?:year|month)\b)
    |(?P<year>\b(?:19|20)\d\d\b(?![-.,]?\d))
    |(?P<comma>[,;:])
    |(?P<word>[^\W_]+(?:[-_.'’][^\W_]+)*)
    |(?P<end>[?!.])
    |(?P<mark>[^\s\w])""",
    re.IGNORECASE | re.VERBOSE,
)
_NAME = re.compile(r"(EIP|ERC|BIP)S?[-_ ]?#?([0-9]{1,18})", re.IGNORECASE)


def items_of(question: str, today: date) -> list[Item]:
    """The items of a question: designations, dates, phrases of known meaning, and `word` for the rest.

    >>> [(item.kind, item.value) for item in items_of("Who wrote EIP-1?", date(2026, 1, 1))]
    [('who', ''), ('make', ''), ('name', 'EIP-1')]
    """
    found: list[Item] = []
    run: list[str] = []
    for match in _TOKEN.finditer(_prepared(question)):
        kind, text = str(match.lastgroup), match.group()
        if kind == "word":
            run.append(text)
            continue
        found.extend(_phrases(run))
        run = []
        if kind != "end":
            found.append(_token(kind, text, today))
    return [*found, *_phrases(run)]


def _prepared(question: str) -> str:
    text = quotable(plain(question))
    text = re.sub(r"\((co)-?\)\s*", r"\1", text, flags=re.IGNORECASE)
    text = re.sub(r"\b(ca|wo)n't\b", r"\1n not", text, flags=re.IGNORECASE)
    text = re.sub(r"n't\b", " not", text, flags=re.IGNORECASE)
    return re.sub(r"'(s|re|ve|d|ll)\b|(?<=s)'(?=\s)", " s ", text, flags=re.IGNORECASE)


def _token(kind: str, text: str, today: date) -> Item:
    if kind == "name" and (match := _NAME.fullmatch(text)):
        return Item("name", f"{match[1].upper()}-{int(match[2])}", text)
    if kind in ("day", "spoken", "month", "year", "relative"):
        days = _days(kind, text.lower(), today)
        return Item("date", text, text, *days) if days else Item("word", text, text)
    if kind == "quoted":
        return Item("quoted", text[1:-1], text)
    return Item(kind, text, text)


def _days(kind: str, text: str, today: date) -> tuple[date, date] | None:
    """The first and last day that a date in words spans; None for one that no calendar has."""
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    try:
        if kind == "day":
            return date(*numbers), date(*numbers)
        if kind == "year":
            return date(numbers[0], 1, 1), date(numbers[0], 12, 31)
        if kind == "relative":
            year = today.year - text.startswith("last")
            if text.endswith("year"):
                return date(year, 1, 1), date(year, 12, 31)
            before = today.replace(day=1) - timedelta(days=1) if text.startswith("last") else today
            return _month(before.year, before.month)
        if kind == "month":
            return _month(*numbers)
        month = next(_MONTHS[word] for word in re.findall(r"[a-z]+", text) if word in _MONTHS)
        if len(numbers) == 1:
            return _month(numbers[0], month)
        return date(numbers[-1], month, numbers[0]), date(numbers[-1], month, numbers[0])
    except (ValueError, calendar.IllegalMonthError):
        return None


def _month(year: int, month: int) -> tuple[date, date]:
    return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])


def _phrases(words: list[str]) -> Iterator[Item]:
    """The words as items, the longest phrase first."""
    at = 0
    lower = [word.lower() for word in words]
    while at < len(words):
        for length in range(min(_LONGEST, len(words) - at), 0, -1):
            if meaning := _MEANINGS.get(tuple(lower[at : at + length])):
                yield Item(*meaning, " ".join(words[at : at + length]))
                break
        else:
            length = 1
            kind = "count_of" if words[at].isdigit() else "word"
            yield Item(kind, words[at], words[at])
        at += length
