"""The words of a text as they are aligned: markup gone, signs and phrases of one meaning as one word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from agent.text.normalize import plain
from agent.text.quantities import SPOKEN, spoken

_MARKUP = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), new)
    for pattern, new in [
        (r"<ref\b(?:(?!<ref\b)[^>])*/>|<ref\b(?:(?!<ref\b).)*?</ref>|<!--(?:(?!<!--).)*?-->", ""),
        (r"<code>((?:(?!<code>).)*?)</code>|<tt>((?:(?!<tt>).)*?)</tt>", r"`\1\2`"),
        (r"</?(?:b|i|u|em|strong|sub|sup|br|pre|span|nowiki|small)\b[^<>]*>", ""),
        (r"!?\[([^\[\]]*)\]\([^()\s]*\)", r"\1"),
        (r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]", r"\1"),
        (r"\[https?://(?:(?!\[http)\S)+ ([^\[\]]*)\]", r"\1"),
        (r"^\s*(?:\*\*|''')\[?([\w-]+(?: [\w-]+){0,4}):?\]?:?(?:\*\*|''')\s*[:.]?(?=\s)", r" ‹\1›"),
        (r"(?<!\w)(?:\*\*|(?<!')''++)(?=\w)|(?<=[\w.,:;)])(?:\*\*|''+)(?!\w)", ""),
        (r"(?<!\w)\[[A-Z]+-\d+\](?=\s)", " "),
        (r"\[\d{1,3}\]", ""),
        (r"^\s*(?:///?|\*)(?=\s)|(?<!\s)[^\S\n]*+\n\s*///?", " "),
        (r"\\\s", ". "),
        (r"(?<=\w)--+(?=\w)|(?<=\s)-{1,3}(?=\s[a-z])", " — "),
        (r"\be\.\s?g\.,?|\bex\.(?=\s)", " for example "),
        (r"\bi\.\s?e\.,?", " namely "),
        (r"\b(can)(?:not|['’]t)\b", r"\1 not"),
        (r"\bwon['’]t\b", "will not"),
        (r"n['’]t\b", " not"),
        (r"\b(it|that|there)['’]s\b", r"\1 is"),
        (r"['’]re\b", " are"),
        (r"['’]ve\b", " have"),
        (r"['’]ll\b", " will"),
    ]
)
_WORD = re.compile(
    r"(?P<designation>(?<![A-Za-z0-9])(?P<series>EIP|ERC|BIP|CAIP|SLIP|RIP)[-_ ]?\#?"
    r"0*(?P<nr>(?!0)\d++|0)(?!\w))"
    r"|(?P<hex>0x[0-9a-f]+)"
    r"|(?P<number>(?<![\w.])\d{1,3}(?:[,_]\d{3})+(?:\.\d+)?|\d+(?:_\d+)*(?:\.\d+)?(?:e\d+)?)"
    r"|(?P<possessive>['’]s\b)"
    r"|(?P<word>[^\W\d]\w*(?:\.\w+)*)"
    r"|(?P<operator><<|>>|>=|<=|==|!=|=>|->|\*\*|(?<=\s)-(?=\s)|(?<![\w)])-(?=\d)|(?<=\d)-(?=\d)|\|+|[<>=≤≥≠≈~+*/^%$€&])"
    r"|(?P<mark>[.!?](?=\s|$|['\"”)])|[,;:()—–]|\.{3}|…)"
    r"|(?P<tick>`+)|(?P<open>‹)|(?P<close>›)"
    r"|(?P<symbol>[^\w\s\"'“”‘’«»„\[\]{}#@\\.!?-])",
    re.IGNORECASE,
)
_LARGEST = 10**100
"""The number in words that is written in digits no more."""

_NAME = re.compile(r"[a-z][A-Z]|[^\W_]_+[^\W_]|^_+\w")
"""What keeps its capitals: a name in code."""

_ALIKE = {
    "atleast": ">= ≥|at least|no less than|not less than|no fewer than|greater than or equal to",
    "atmost": "<= ≤|at most|no more than|not more than|less than or equal to|maximum of",
    ">": "> |greater than|more than|larger than|higher than",
    "<": "< |less than|fewer than|smaller than|lower than",
    "eg": "for example|for instance|such as|as for example",
    "to": "in order to|so as to",
    "because of": "due to|because of|owing to|on account of",
    "via": "via |through |by means of",
    "approximately": "approximately |about |roughly |around |≈ ~|approx",
    "currently": "currently |presently |at present|at the moment",
    "several": "several |multiple |a few",
    "1": "single ",
    "must": "must |shall |has to|have to",
    "is": "is |are |be |is set to|are set to|equals ",
    "was": "was |were ",
    "has": "has |have ",
    "does": "does |do ",
    "all": "all of",
    "most": "most of",
    "more": "more of",
    "any": "any of",
    "each": "each of",
    "both": "both of",
    "receives": "receive |receives |get |gets |obtain |obtains ",
    "various": "various |variety of",
    "or": "and or",
    "when": "when |whenever |once ",
    "right before": "right before|immediately before|directly before|immediately preceding",
    "right after": "right after|immediately after|directly after|immediately following",
    "": "on the other hand|note that|in contrast|in addition|as a result|in short|in other words"
    "|it must be noted that|it should be noted that|as mentioned before",
}
"""Phrases that say the same, by the word that stands for them."""

_PHRASES: dict[tuple[str, ...], str] = {}
for _one, _said in _ALIKE.items():
    for _phrase in _said.split("|"):
        for _single in _phrase.split() if " " in _phrase.strip() and _phrase[0] in "<>≈" else [_phrase]:
            _PHRASES[tuple(_single.split())] = _one
_SIZES = {
    first: sorted({len(phrase) for phrase in _PHRASES if phrase[0] == first}, reverse=True)
    for first in {phrase[0] for phrase in _PHRASES}
}
"""How many words a phrase may have that begins with a word."""

_FREE = frozenset(
    """
    a an the this that these those such then also simply thus hence therefore thereby furthermore moreover
    additionally indeed accordingly consequently conversely likewise similarly will does
    """.split()  # noqa: SIM905
)
_OWN = frozenset(["eip", "erc", "bip", "proposal", "standard", "specification", "document", "paper"])


@dataclass(frozen=True, slots=True)
class Word:
    """A word or mark of punctuation. key: what it is compared by; stem, root: without plural, without `ing`.

    code: it stands between backquotes; strong: it is a label; free: it may be left out or added; near: what
    precedes it touches it.
    """

    key: str
    mark: bool = False
    code: bool = False
    strong: bool = False
    number: bool = False
    near: bool = False
    stem: str = ""
    root: str = ""

    @property
    def free(self) -> bool:
        """Whether either side may have it and the other not."""
        return not self.code and self.key in _FREE


@lru_cache(maxsize=8192)
def words(text: str, name: tuple[str, ...] = ()) -> tuple[Word, ...]:
    """The words of a text. name: the names of its document, for which `own name` then stands.

    >>> [word.key for word in words("It **MUST** be >= 1,000 gas, e.g. in [EIP-20](x).", ("EIP-20",))]
    ['it', 'must', 'is', 'atleast', '1000', 'gas', ',', 'eg', 'in', 'own name', '.']
    """
    return _named(_plain_words(text), _names(name)) if name else _plain_words(text)


@lru_cache(maxsize=4096)
def _plain_words(text: str) -> tuple[Word, ...]:
    for pattern, new in _MARKUP:
        text = pattern.sub(new, text)
    return tuple(_merged(_cut(SPOKEN.sub(_digits, plain(text)))))


def _digits(match: re.Match[str]) -> str:
    numbers = spoken(match.group())
    whole = len(numbers) == 1 and numbers[0].denominator == 1 and numbers[0] < _LARGEST
    return f" {numbers[0]} " if whole else match.group()


def _cut(text: str) -> list[Word]:
    found: list[Word] = []
    code = strong = False
    for match in _WORD.finditer(text):
        kind = match.lastgroup or ""
        said = match.group() if _NAME.search(match.group()) else match.group().lower()
        near = match.start() > 0 and not text[match.start() - 1].isspace()
        if kind == "tick":
            code = not code
        elif kind in ("open", "close"):
            strong = kind == "open"
            if kind == "close":
                found.append(Word(":", mark=True, stem=":"))
        elif kind == "mark":
            found.append(Word("—" if said == "–" else said, mark=True, code=code, near=near, stem=said))
        elif match["designation"]:
            series = match["series"].lower().replace("erc", "eip")
            found.append(_word(f"{series}-{match['nr']}", code, strong, near))
        elif match["number"]:
            figure = re.sub("[,_]", "", said)
            found.append(Word(figure, code=code, strong=strong, number=True, near=near, stem=figure))
        elif said == "/" and _between_words(text, match):
            found.append(_word("or", code, strong, near))
        else:
            found.append(_word("|" if said[0] == "|" else said, code, strong, near))
    return found


def _between_words(text: str, match: re.Match[str]) -> bool:
    return bool(re.match(r"[A-Za-z`]/[A-Za-z`]", text[max(match.start() - 1, 0) : match.end() + 1]))


def _word(key: str, code: bool, strong: bool, near: bool) -> Word:
    stem = _singular(key) if key.isalpha() else key
    root = re.sub("(?:ing|e)$", "", stem) if key.isalpha() and len(stem) > 4 else ""
    return Word(key, code=code, strong=strong, near=near, stem=stem, root=root)


def _singular(word: str) -> str:
    """A noun without its plural, a verb without its third person."""
    if len(word) < 4 or word.endswith(("ss", "us", "is")) or not word.endswith("s"):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-2] if re.search("(?:s|x|z|ch|sh)es$", word) else word[:-1]


def _merged(found: list[Word]) -> list[Word]:
    """The words with each phrase as the one word that stands for it."""
    out: list[Word] = []
    at = 0
    while at < len(found):
        sizes = _SIZES.get(found[at].key, ())
        size = next((n for n in sizes if tuple(w.key for w in found[at : at + n]) in _PHRASES), 0)
        if not size:
            out.append(found[at])
            at += 1
            continue
        one = _PHRASES[tuple(word.key for word in found[at : at + size])]
        out += [Word(one, code=found[at].code, number=one == "1", stem=one)] if one else []
        at += size
    return out


@lru_cache(maxsize=256)
def _names(name: tuple[str, ...]) -> dict[str, tuple[tuple[str, ...], ...]]:
    """The names of a document, and `this EIP` for it, as words, by their first word."""
    names = [tuple(word.key for word in _cut(one)) for one in name if one]
    names += [("this", kind) for kind in _OWN]
    return {
        first: tuple(one for one in names if one[:1] == (first,))
        for first in {one[0] for one in names if one}
    }


def _named(found: tuple[Word, ...], names: dict[str, tuple[tuple[str, ...], ...]]) -> tuple[Word, ...]:
    """The words with `own name` for the document's names and for `this EIP`."""
    if not any(word.key in names for word in found):
        return found
    out: list[Word] = []
    at = 0
    while at < len(found):
        likely = names.get(found[at].key, ())
        size = next((len(one) for one in likely if tuple(w.key for w in found[at : at + len(one)]) == one), 0)
        out.append(Word("own name", stem="own name") if size else found[at])
        at += size or 1
    return tuple(out)
