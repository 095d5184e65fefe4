"""From the words of a question to typed tokens: names, numbers with units, and phrases of the lexicon."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cache

from agent.onchain import lexicon
from agent.onchain.concepts import FUNCTIONS

Blocks = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What a library holds that a question may name.

    first, last: its blocks; symbols: addresses of tokens by symbol; decimals: of tokens by address;
    tokens: those that were transferred; events: names of decoded events; arguments: names of their arguments;
    declared: standards and protocols that declare them; hashes: the kinds of those that a question names.
    """

    chain: str
    first: int
    last: int
    symbols: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    decimals: Mapping[str, int] = field(default_factory=dict)
    tokens: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()
    arguments: frozenset[str] = frozenset()
    declared: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Token:
    """Words of a question. kinds: what they may be, and what they stand for as that."""

    text: str
    kinds: Mapping[str, str]
    number: Decimal | None = None
    unit: str | None = None
    blocks: Blocks = ()

    def value(self, *kinds: str) -> str | None:
        """What it stands for as the first of some kinds that it may be."""
        return next((self.kinds[kind] for kind in kinds if kind in self.kinds), None)


_NUMBER = r"(?:\d{1,3}(?:[,_]\d{3}){1,9}|\d{1,30}(?!\d))"
_PIECE = re.compile(
    rf"0x[0-9a-fA-F]+|\d{{4}}-\d{{2}}-\d{{2}}|{_NUMBER}(?:\.\d+)?(?:e\d{{1,2}})?(?:[kKmM](?![A-Za-z]))?|"
    r"[A-Za-z_][A-Za-z0-9_]*(?:\.[a-z]+\b)?|[<>=!]=|=[<>]|\S"
)
_BLOCKS = re.compile(
    rf"\b(?:(?:across|over|throughout|within)\s+)?(?:the\s+)?blocks?\s+(?:numbers?\s+|no\.?\s*|#)?{_NUMBER}(?![\w]|\.\d)"
    rf"(?:\s*(?:-|–|—|to|through|until|and|,|or|&|vs\.?|versus)(?:\s*and)?\s*(?:(?:the\s+)?block\s+)?{_NUMBER}\b"
    r"(?!\s*(?:gas|eth|gwei|wei|bytes|logs))(?!\.\d))*",
    re.IGNORECASE,
)
_SPAN = re.compile(r"-|–|—|\b(?:to|through|until)\b", re.IGNORECASE)
_SEVERAL = (
    r"\b(?P<apart>in\s+)?(?:(?:across|over|for|of|together in|spanning|throughout|from)\s+)?(?:the\s+)?"
    r"(?P<word>both(?:\s+of\s+the)?|two|these(?:\s+two)?|either of the two|each of the two|all(?:\s+the)?)"
    r"\s+blocks\b"
    r"(?P<after>\s+(?:together|combined|taken together|in total|overall))?"
)
_ORDER = (
    r"\b(?:the|in|of)\s+(?:the\s+)?(?P<word>first|second|earlier|later|last|latest|other|previous|newer|older)\s+block\b"
    r"|\bthan\s+(?:in\s+)?(?:the\s+)?(?P<bare>first|second|earlier|later|last|latest|other|previous)(?:\s+one)?\s*\??$"
)
_LIBRARY = (
    r"\b(?:in|of|from)\s+(?:the|this|my|our)\s+(?:whole\s+)?(?:library|data|dataset|data set|tables|files)\b"
)
_SCALE = {"k": 3, "m": 6, "thousand": 3, "million": 6, "billion": 9}
_UNITS = {
    "eth": "ether",
    "ether": "ether",
    "gwei": "gwei",
    "wei": "wei",
    "percent": "percent",
    "%": "percent",
}
_CONTRACTIONS = (
    (re.compile(r"n['’]t\b"), " not"),
    (re.compile(r"['’]s\b"), " "),
    (re.compile(r"\bcannot\b", re.IGNORECASE), "can not"),
    (re.compile(r"(?<=[a-z])_(?=[a-z])"), " "),
)


def tokens(question: str, known: Known) -> list[Token]:
    """The question as tokens; a word that nobody knows has no kinds."""
    text = question
    for pattern, plain in _CONTRACTIONS:
        text = pattern.sub(plain, text)
    found: list[Token] = []
    at = 0
    for start, end, token in sorted(_scopes(text, known), key=lambda one: one[0]):
        if start >= at:
            found += _plain(text[at:start], known)
            found.append(token)
            at = end
    return found + _plain(text[at:], known)


def _scopes(text: str, known: Known) -> Iterator[tuple[int, int, Token]]:
    for one in _BLOCKS.finditer(text):
        numbers = [int(re.sub("[,_]", "", n)) for n in re.findall(_NUMBER, one[0])]
        yield one.start(), one.end(), _scope(one[0], numbers, bool(_SPAN.search(one[0])))
    for one in re.finditer(rf"(?<![\w.,-]){_NUMBER}(?:\s*(?:-|–|to)\s*{_NUMBER})?(?![\w.]|,\d)", text):
        numbers = [int(re.sub("[,_]", "", n)) for n in re.findall(_NUMBER, one[0])]
        if known.first >= 100_000 and all(known.first <= n <= known.last for n in numbers):
            yield one.start(), one.end(), _scope(one[0], numbers, len(numbers) > 1)
    both = [known.first, known.last] if known.last > known.first else [known.first]
    for one in re.finditer(_SEVERAL, text, re.IGNORECASE):
        union = (
            not one["apart"] or one["after"] or not one["word"].lower().startswith(("both", "either", "each"))
        )
        if one["word"].lower().startswith("all") or len(both) == known.last - known.first + 1:
            yield one.start(), one.end(), _scope(one[0], both, True, "union" if union else "both")
    for one in re.finditer(_ORDER, text, re.IGNORECASE):
        word = (one["word"] or one["bare"]).lower()
        if word in ("first", "earlier", "older", "last", "latest", "later", "newer") or len(both) == 2 == (
            known.last - known.first + 1
        ):
            first = word in ("first", "earlier", "older", "previous")
            yield (
                one.start(),
                one.end(),
                _scope(one[0], [known.first if first else known.last], False, "order"),
            )
    for one in re.finditer(_LIBRARY, text, re.IGNORECASE):
        yield one.start(), one.end(), _scope(one[0], both, True, "union")


def _scope(text: str, numbers: list[int], spanned: bool, word: str = "") -> Token:
    if spanned and len(numbers) == 2:
        blocks: Blocks = ((min(numbers), max(numbers)),)
    else:
        blocks = tuple((n, n) for n in dict.fromkeys(numbers))
    return Token(text.strip(), {"scope": word}, blocks=blocks)


def _plain(text: str, known: Known) -> list[Token]:
    pieces = _PIECE.findall(text)
    found: list[Token] = []
    at = 0
    while at < len(pieces):
        length, token = _longest(pieces, at, known)
        found.append(token)
        at += length
    return list(_united(found))


def _longest(pieces: list[str], at: int, known: Known) -> tuple[int, Token]:
    """The token that begins at a piece, and how many pieces it takes."""
    piece = pieces[at]
    if named := _named(piece, known):
        return 1, named
    spread = list(_spread(pieces, at))
    for length in range(len(spread), 0, -1):
        words, taken = spread[length - 1]
        kinds = (
            dict(_phrase(words)) | _event(words, known) | _known_name(words, pieces[at : at + taken], known)
        )
        if kinds:
            return taken, _token(" ".join(pieces[at : at + taken]), kinds)
    if close := _closest(piece.lower()):
        return 1, _token(piece, {**_phrase((close,)), "misspelt": close})
    return 1, Token(piece, {})


def _token(text: str, kinds: Mapping[str, str]) -> Token:
    number = Decimal(kinds["number"]) if "number" in kinds else None
    return Token(text, kinds, number)


def _spread(pieces: list[str], at: int) -> Iterator[tuple[tuple[str, ...], int]]:
    """The words from a piece on, with how many pieces they take; hyphens between words are spaces."""
    words: tuple[str, ...] = ()
    for count, piece in enumerate(pieces[at : at + 10], 1):
        if piece != "-" or not words:
            words = (*words, piece.lower())
        elif count > 1:
            continue
        yield words, count
        if len(words) == 6:
            return


@cache
def _phrase(words: tuple[str, ...]) -> Mapping[str, str]:
    known = lexicon.entries()
    bare = tuple(word for word in words if word not in ("the", "a", "an")) if len(words) > 1 else words
    return dict(known.get(words, known.get(bare, ()))[::-1])


def _named(piece: str, known: Known) -> Token | None:
    """An address, a hash, a selector, a day, a number, a token."""
    low = piece.lower()
    if low.startswith("0x"):
        kind = {66: "hash", 42: "address_value", 10: "selector_value"}.get(len(low))
        return Token(piece, {kind: low} if kind else {})
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", piece):
        try:
            return Token(piece, {"day": date.fromisoformat(piece).isoformat()})
        except ValueError:
            return Token(piece, {})
    if number := re.fullmatch(rf"({_NUMBER}(?:\.\d+)?(?:e\d+)?)([kKmM]?)", piece):
        value = Decimal(re.sub("[,_]", "", number[1])).scaleb(_SCALE.get(number[2].lower(), 0))
        return Token(piece, {"number": piece}, value)
    symbols = {
        one.lower(): one for one in known.symbols if re.search("usd|eth|btc|dai|pepe|shib", one.lower())
    }
    symbol = piece if piece in known.symbols else symbols.get(low)
    return Token(piece, {"token_value": symbol}) if symbol else None


def _event(words: tuple[str, ...], known: Known) -> dict[str, str]:
    """The event that words name: `Swap`, `swaps`, `names renewed`. events: in the plural, it stands alone."""
    joined = "".join(words)
    for name in sorted(known.events):
        if name == "Transfer" and joined == "transfers":
            continue
        if joined.removesuffix("s") == name.lower() and words[-1].removesuffix("s") == "event":
            continue
        if joined == name.lower() and (len(words) > 1 or name.lower() != "permit"):
            return {"event_value": name}
        if joined in (f"{name.lower()}s", f"{name.lower()}es"):
            return {"events_value": name}
        parts = [part.lower() for part in re.findall(r"[A-Z][a-z]+", name)]
        if len(parts) == 2 and words in ((f"{parts[0]}s", parts[1]), (parts[1], f"{parts[0]}s")):
            return {"events_value": name}
    return {}


def _known_name(words: tuple[str, ...], pieces: list[str], known: Known) -> dict[str, str]:
    """A standard that declares events, an argument of an event, a function by its name."""
    found = {}
    joined = " ".join(words)
    for name in known.declared:
        if joined == name.lower().replace("-", " "):
            found["standard_value"] = name
    if len(words) == 1:
        name = pieces[0]
        if name in known.arguments and (re.search("[A-Z0-9]", name) or not _phrase(words)):
            found["argument"] = name
        if {f"{words[0].removesuffix('s')}{digit}" for digit in "01"} <= known.arguments:
            found["arguments"] = name
        if name in FUNCTIONS.values():
            found["function_value"] = name
    return found


def _united(found: list[Token]) -> Iterator[Token]:
    """Numbers with their scale and unit."""
    at = 0
    while at < len(found):
        token, taken = found[at], 1
        if (
            token.number is not None
            and at + taken < len(found)
            and (scale := _SCALE.get(found[at + taken].text.lower()))
        ):
            token = Token(f"{token.text} {found[at + taken].text}", token.kinds, token.number.scaleb(scale))
            taken += 1
        if token.number is not None and at + taken < len(found):
            after = found[at + taken]
            unit = _UNITS.get(after.text.lower()) or after.value("token_value")
            if unit:
                token = Token(f"{token.text} {after.text}", token.kinds, token.number, unit)
                taken += 1
        yield token
        at += taken


@cache
def _vocabulary() -> frozenset[str]:
    return frozenset(
        word for words in lexicon.entries() for word in words if len(word) >= 5 and word.isalpha()
    )


def _closest(word: str) -> str | None:
    """The one word of the lexicon at one edit from a misspelt one, if that is an entry by itself."""
    if len(word) < 5 or not word.isalpha():
        return None
    near = {one for one in _edits(word) if one in _vocabulary() and one[0] == word[0] and _phrase((one,))}
    meanings = {tuple(sorted(_phrase((one,)).items())) for one in near}
    return min(near) if len(meanings) == 1 else None


def _edits(word: str) -> Iterator[str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    for at in range(len(word) + 1):
        head, tail = word[:at], word[at:]
        if tail:
            yield head + tail[1:]
            yield from (head + letter + tail[1:] for letter in letters)
        if len(tail) > 1:
            yield head + tail[1] + tail[0] + tail[2:]
        yield from (head + letter + tail for letter in letters)
