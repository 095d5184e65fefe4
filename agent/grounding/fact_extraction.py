"""The facts of a sentence: what a source must hold to the letter.

Addresses, hashes and selectors, designations such as EIP-1559, names as programs spell them, acronyms, code,
addresses of the web, versions, numbers with units, powers, dates, times, quotations. Nothing with a digit in
it is passed over: what no pattern knows is a name that must stand in the source as it is.

Decided: a power is the same only as a power (2^24, 2**24, 2²⁴, not 16777216), save powers of ten, which are
decimal notation; hexadecimal is never read as a number; EIP-20 and ERC-20 are one proposal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from agent.text.normalize import plain, quotable
from agent.text.quantities import SPOKEN, Quantity, attached, quantity, spoken

Kind = Literal[
    "address", "hash", "designation", "name", "acronym", "code", "url", "number", "power", "ordinal", "date",
    "time", "quotation",
]  # fmt: skip

Day = tuple[int | None, int, int | None]
"""Year, month, day of the month; None where a spelling leaves it out."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact as a sentence spells it; key: its meaning, in which two spellings of it are equal."""

    kind: Kind
    text: str
    key: object


_MONTHS = {
    name: at
    for at, names in enumerate(
        [
            "january jan enero janvier januar",
            "february feb febrero février februar",
            "march mar marzo mars märz",
            "april apr abril avril",
            "may mayo mai",
            "june jun junio juin juni",
            "july jul julio juillet juli",
            "august aug agosto août",
            "september sept sep septiembre septembre",
            "october oct octubre octobre oktober",
            "november nov noviembre novembre",
            "december dec diciembre décembre dezember",
        ],
        1,
    )
    for name in names.split()
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DIGITS = r"\d{1,3}(?:,\d{3})+|\d{1,3}(?:'\d{3})+|\d{1,3}(?:[ ]\d{3}){2,}(?!\d)|\d+(?:_\d+)+|\d+"
_NUMBER = rf"(?:{_DIGITS})(?:\.\d+)?(?!\.?\d)"
_EXPONENT = r"\(?-?\d{1,3}\)?(?![\d.]*\d)"
_WORDY = rf"""
      (?P<designation>(?<![A-Za-z0-9])(?P<series>EIP|ERC|BIP|CAIP|SLIP|RIP)(?P<many>s)?
        [-_ ]?\#?(?P<nr>\d{{1,18}})(?!\w)
        (?P<more>(?:(?:/|(?(many)(?:,\ (?:and\ )?|\ and\ |\ or\ |\ &\ )|/))\d{{1,18}}(?!\w|[.,]\d))*))
    | (?<!\w)(?P<hyphened>(?P<stem>[A-Za-z]{{2,12}})-(?P<figure>\d+))(?!\w|[.,-]\d)
    | (?<!\w)(?P<mdy>(?:(?=(?-i:[A-Z]))|(?=[a-z]+\ \d\w*,?\ \d{{4}}))(?P<m3>{_MONTH})\.?\ (?P<d3>\d{{1,2}})
        (?:st|nd|rd|th)?(?!\w|[.,]\d)(?:,?\ (?P<y3>\d{{4}})(?!\d))?)
    | (?<!\w)(?P<my>(?:(?=(?-i:[A-Z]))|(?=\w+\ del?\ ))(?P<m4>{_MONTH})\.?,?\ (?:of\ |de\ |del\ )?
        (?P<y4>\d{{4}})(?!\d))
    | (?<![\w.])(?P<version>v\d+(?:\.\d+)*)(?!\w)
    | (?<!\w)(?P<manifold>twice|thrice)(?!\w)
    | (?P<spoken>{SPOKEN.pattern})
"""
_DIGITAL = rf"""
      (?P<cut>(?<!\w)0x[0-9a-f]*(?:\.{{2,4}}|…)(?!0x)[0-9a-f]*(?!\w))
    | (?P<hex>(?<!\w)0x[0-9a-f]+(?!\w))
    | (?<![\w.])(?P<iso>(?P<y1>\d{{4}})[-/](?P<m1>\d{{2}})[-/](?P<d1>\d{{2}}))(?=\D|$)
    | (?<!\w)(?P<dmy>(?P<d2>\d{{1,2}})(?:st|nd|rd|th|\.)?\ (?:of\ |de\ |(?=(?-i:[A-Z])))(?P<m2>{_MONTH})\b\.?
        (?:,?\ (?:of\ |de\ |del\ )?(?P<y2>\d{{4}})(?!\d))?)
    | (?P<han>(?P<y5>\d{{4}})\s*年\s*(?P<m5>\d{{1,2}})\s*月(?:\s*(?P<d5>\d{{1,2}})\s*日)?)
    | (?:(?<![\w.:])|(?<=\dT))(?P<time>\d{{1,2}}:\d{{2}}(?::\d{{2}})?)(?:\.\d+)?Z?(?![\w:])
    | (?<![\w.])(?P<release>\d+(?:\.\d+){{2,}}(?:-?[a-z]\w*)?)(?!\w)
    | (?<![\w.])(?P<power>(?P<sign1>[-+])?(?P<mantissa>{_NUMBER})\ ?[×x*·]\ ?10(?:\^|\*\*)(?P<ten>{_EXPONENT})
        |(?P<base>{_NUMBER})\ ?(?:\^|\*\*)\ ?(?P<exponent>{_EXPONENT}))
    | (?<![\w.])(?P<scientific>(?P<sign2>(?<![\d)])[-+])?(?P<coefficient>{_NUMBER})
        e(?P<tens>[-+]?\d{{1,3}}))(?!\w)
    | (?<![\w./])(?P<share>(?P<over>\d{{1,6}})\ ?/\ ?(?P<under>\d{{1,6}}))(?![\w/])(?!\.\d)
    | (?<![\w.])(?P<ordinal>(?P<nth>\d{{1,18}})(?:st|nd|rd|th))(?!\w)
    | (?<!\w)(?P<plain>(?P<sign>(?<![\w).])-(?=[\d.]))?(?:(?P<digits>{_NUMBER})|(?P<tail>\.\d+))
        (?P<suffix>[^\W\d_]*)
        (?:[\s-](?:thousand|million|billion|trillion))?)(?!\w)(?:\s?(?:%|百?万|[萬亿億]))?
"""
_NUMERIC = re.compile(
    rf"""(?P<digest>(?<!\w)(?=[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{{32,}}(?!\w))
    |(?<![A-Za-z])(?=[A-Za-z])(?:{_WORDY})|(?=[-+.\d])(?:{_DIGITAL})""",
    re.IGNORECASE | re.VERBOSE,
)
"""What says a number, told apart by its first character, for speed."""

_URL = re.compile(r"\b(?:https?|wss?|ftp|ipfs|git|ssh)://[^\s<>\"'`)\]}，。、）】]+", re.IGNORECASE)
_CODE = re.compile(r"`(?P<code>[^`\n]+)`")
_TOKEN = re.compile(r"\w+(?:[.:@]\w+|-(?=[^\s\d]{0,100}\d)\w+)*(?:\(\))?")
_SPELLED = re.compile(r"[a-z]\d|[^\W_]_+[^\W_]|[a-z][A-Z]|[A-Z]{2}[a-z]{2}|^_+\w|[.:@]\w\w|\(\)$")
_ABBREVIATED = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]?|\w+\.(?:e|g|i)\.?")
_LOUD = frozenset(
    "MUST NOT SHOULD SHALL MAY REQUIRED RECOMMENDED OPTIONAL NOTE AND OR ALL ANY ONLY NO IF IS IN OK".split()  # noqa: SIM905
)
_QUOTATION = re.compile(
    r'"([^"\n]+)"|“([^“”]+)[”“]|„([^„“”]+)[“”]|«([^«»]+)»|「([^「」]+)」|『([^『』]+)』|(?<!\w)‘([^‘]+?)’(?!\w)'
    r"|(?<!\w)'([^'\n]+?)'(?!\w)|``([^`\n]+)''|‹([^‹›]+)›|〝([^〝〞]+)〞|＂([^＂]+)＂"
)
_ELLIPSIS = re.compile(r"(?:(?<!\s)\s+)?(?:\[\s*(?:…|\.\.\.)\s*\]|\(\s*(?:…|\.\.\.)\s*\)|…|\.\.\.)\s*")
_RAISED = re.compile(r"(?<![\w-])[A-Za-z][\w-]*\d ?(?:\^|\*\*) ?\(?-?\d+\)?")
"""A name that ends in digits, raised to a power: SHA-256**24 is not SHA-256."""

_HIDDEN = re.compile(r"\d(?:<(?:(?!\d<)[^>])*>|[`~\\|]|\*(?!\*?\s?[\d(])|(?<=\d)\*\*(?=\d*\*))+\d")
_BARE_CODE = re.compile(r"`(-?[\d.][^`\n]*|[A-Z]{3,4}-\d+)`")


@lru_cache(maxsize=1024)
def facts(sentence: str) -> tuple[Fact, ...]:
    """All facts of a sentence, in no particular order, each spelling once.

    >>> [(fact.kind, fact.text) for fact in facts("On 5 August 2021 `burn` used 21,000 gas, EIP-1559 says.")]
    [('code', 'burn'), ('date', '5 August 2021'), ('number', '21,000'), ('designation', 'EIP-1559')]
    """
    found = [Fact("quotation", quoted, tuple(_parts(quoted))) for quoted in quotations(sentence)]
    text = " ".join(plain(_BARE_CODE.sub(r" \1 ", sentence)).split())
    for pattern in (_CODE, _URL):
        for match in pattern.finditer(text):
            written = match.group("code").strip() if pattern is _CODE else match.group().rstrip(".,;:!?*_")
            found.append(Fact("url" if "://" in written else "code", written, "".join(written.split())))
        text = pattern.sub(lambda match: " " * len(match.group()), text)
    found += [Fact("name", match.group(), match.group()) for match in _RAISED.finditer(text)]
    text = _RAISED.sub(lambda match: " " * len(match.group()), text)
    rest = list(text)
    for match in _NUMERIC.finditer(text):
        found += [] if _is_idle(match, text) else _read(match, text)
        rest[match.start() : match.end()] = " " * (match.end() - match.start())
    found += _names("".join(rest))
    return tuple(dict.fromkeys(found))


@lru_cache(maxsize=1024)
def numeric_facts(text: str) -> tuple[Fact, ...]:
    """The facts of a text that are made of digits or say a number; `text` is plain already."""
    return tuple(fact for match in _NUMERIC.finditer(text) for fact in _read(match, text))


def quotations(sentence: str) -> list[str]:
    """What stands in quotation marks of any sort; all between the first and the last where they nest.

    >>> quotations('It says "burned", not "paid".'), quotations('""a" of "b"; c"')
    (['burned', 'paid'], ['a', 'b', '"a" of "b"; c'])
    """
    found = [next(filter(None, match.groups())) for match in _QUOTATION.finditer(sentence)]
    nested = '""' in sentence or sentence.count('"') % 2
    return [*found, *filter(str.strip, re.findall('"(.+)"', sentence))] if nested else found


def hides_a_number(sentence: str) -> bool:
    """Whether markup stands between two digits, so that a reader sees a number that no check has seen.

    >>> hides_a_number("16<b>777</b>"), hides_a_number("2**24 and 10<sup>9</sup>")
    (True, False)
    """
    return bool(_HIDDEN.search(plain(sentence)))


def _is_idle(match: re.Match[str], text: str) -> bool:
    """Whether a number claims nothing: `one` as a pronoun, or `the two` that were named before."""
    said = match.group().lower()
    if said in ("two", "three", "four"):
        return bool(_ANAPHORIC.search(text, 0, match.start()))
    if said != "one":
        return False
    after = re.match(r"[\s-]([a-z]+)", text[match.end() :])
    return after is None or not attached(after.group(1))


_ANAPHORIC = re.compile(r"\b(?:the|these|those|all|both)\s$", re.IGNORECASE)


def _parts(quoted: str) -> Iterator[str]:
    """The pieces of a quotation that must stand in the source, in order; what was left out divides them."""
    for piece in _ELLIPSIS.split(quoted):
        if folded := quotable(piece).strip(" .,;:!?"):
            yield folded


def _read(match: re.Match[str], text: str) -> Iterator[Fact]:
    """The facts that a match of the numeric pattern stands for."""
    groups = {name: value for name, value in match.groupdict().items() if value is not None}
    kind = next(name for name in _READERS if name in groups)
    try:
        yield from _READERS[kind](groups, match.group(), text, match)
    except ValueError:  # more digits than Python reads as a number
        yield Fact("name", match.group(), match.group())


_Reader = Callable[[dict[str, str], str, str, "re.Match[str]"], Iterator[Fact]]


def _hex(_groups: dict[str, str], written: str, _text: str, _match: re.Match[str]) -> Iterator[Fact]:
    digits = written.lower()
    kind: Kind = "address" if len(digits.removeprefix("0x")) == 40 else "hash"
    yield Fact(kind, written, digits.removeprefix("0x") if len(digits) >= 32 else digits)


def _cut(_groups: dict[str, str], written: str, _text: str, _match: re.Match[str]) -> Iterator[Fact]:
    head, tail = re.split(r"\.{2,4}|…", written.lower())
    yield Fact("hash", written, (head, tail))


def _designation(groups: dict[str, str], _written: str, _text: str, _match: re.Match[str]) -> Iterator[Fact]:
    series = groups["series"].upper()
    for number in [groups["nr"], *re.findall(r"\d+", groups["more"])]:
        same = "EIP" if series == "ERC" else series
        yield Fact("designation", f"{series}-{int(number)}", (same, int(number)))


def _date(groups: dict[str, str], written: str, _text: str, _match: re.Match[str]) -> Iterator[Fact]:
    at = next(at for at in "12345" if f"m{at}" in groups)
    month = groups[f"m{at}"].lower()
    year, day = groups.get(f"y{at}"), groups.get(f"d{at}")
    found = (int(year) if year else None, _MONTHS.get(month) or int(month), int(day) if day else None)
    try:
        date(found[0] or 2000, found[1], found[2] or 1)
    except ValueError:
        yield Fact("name", written, written)
    else:
        yield Fact("date", written, found)


def _time(groups: dict[str, str], written: str, _text: str, _match: re.Match[str]) -> Iterator[Fact]:
    yield Fact("time", written, groups["time"])


def _version(_groups: dict[str, str], written: str, _text: str, _match: re.Match[str]) -> Iterator[Fact]:
    yield Fact("name", written, written)


def _power(groups: dict[str, str], written: str, text: str, match: re.Match[str]) -> Iterator[Fact]:
    exponent = int(groups.get("ten", groups.get("exponent", "0")).strip("()"))
    base = _number(groups.get("mantissa") or groups["base"])
    if not base:
        yield Fact("name", written, written)
    elif "ten" in groups or base == 10:
        mantissa = base if "ten" in groups else Fraction(1)
        yield from _quantity(mantissa * Fraction(10) ** exponent, written, text, match)
    else:
        unit = quantity(Fraction(1), text, match.start(), match.end())[0].measure
        yield Fact("power", written, (base, exponent, unit))


def _scientific(groups: dict[str, str], written: str, text: str, match: re.Match[str]) -> Iterator[Fact]:
    number = _number(groups["coefficient"]) * Fraction(10) ** int(groups["tens"])
    if not number:
        yield Fact("name", written, written)
        return
    yield from _quantity(-number if groups.get("sign2") == "-" else number, written, text, match)


def _share(groups: dict[str, str], written: str, text: str, match: re.Match[str]) -> Iterator[Fact]:
    if int(groups["under"]):
        yield from _quantity(Fraction(int(groups["over"]), int(groups["under"])), written, text, match)
    else:
        yield Fact("name", written, written)


def _ordinal(groups: dict[str, str], written: str, _text: str, _match: re.Match[str]) -> Iterator[Fact]:
    yield Fact("ordinal", written, int(groups["nth"]))


def _plain(groups: dict[str, str], written: str, text: str, match: re.Match[str]) -> Iterator[Fact]:
    suffix = groups.get("suffix", "")
    if suffix and not attached(suffix) and suffix.isascii():
        yield Fact("name", written, written)
        return
    number = _number(groups.get("digits") or "0" + groups["tail"])
    end = match.end("digits") if "digits" in groups else match.end("tail")
    found, _ = quantity(-number if "sign" in groups else number, text, match.start(), end)
    yield Fact("number", written, found)


def _hyphened(_groups: dict[str, str], written: str, _text: str, _match: re.Match[str]) -> Iterator[Fact]:
    """A name such as SHA-256; the number in it is a fact of a source, not of a sentence."""
    yield Fact("name", written, written)


def _manifold(_groups: dict[str, str], written: str, _text: str, _match: re.Match[str]) -> Iterator[Fact]:
    factor = Fraction(2 if written.lower() == "twice" else 3)
    yield Fact("number", written, Quantity(factor, "times", factor))


def _words(_groups: dict[str, str], written: str, text: str, match: re.Match[str]) -> Iterator[Fact]:
    *before, last = spoken(written)
    for number in before:
        yield Fact("number", written, Quantity(number, "", number))
    yield from _quantity(last, written, text, match)


def _quantity(number: Fraction, written: str, text: str, match: re.Match[str]) -> Iterator[Fact]:
    yield Fact("number", written, quantity(number, text, match.start(), match.end())[0])


_READERS: dict[str, _Reader] = {
    "cut": _cut, "hex": _hex, "digest": _hex, "designation": _designation, "hyphened": _hyphened,
    "iso": _date, "dmy": _date, "mdy": _date, "my": _date, "han": _date, "time": _time,
    "version": _version, "release": _version, "power": _power, "scientific": _scientific,
    "share": _share, "ordinal": _ordinal, "plain": _plain, "manifold": _manifold, "spoken": _words,
}  # fmt: skip


def _number(digits: str) -> Fraction:
    """The number that digits say; of more than Python reads, one that no others say."""
    bare = re.sub("[,_' ]", "", digits)
    return Fraction(bare) if len(bare) <= _MOST_DIGITS else Fraction(int(bare.replace(".", "f"), 16))


_MOST_DIGITS = 4000


def _names(text: str) -> Iterator[Fact]:
    """Words that are no words of a language, but names: with digits, capitals within, underscores, dots."""
    latin = _is_latin(text)
    for match in _TOKEN.finditer(text):
        word = match.group()
        if _ABBREVIATED.fullmatch(word) or (attached(word) and not any(map(str.isdecimal, word))):
            continue
        bare = word.removesuffix("s") if re.fullmatch(r"[A-Z]{2,}s", word) else word
        if re.fullmatch(r"[A-Z]{2,}", bare):
            if bare not in _LOUD:
                yield Fact("acronym", word, bare)
        elif (
            any(unicodedata.category(char)[0] == "N" for char in word)
            or _SPELLED.search(word)
            or (len(word) > 1 and latin and not _is_latin(word))
            or _mixes_scripts(word)
        ):
            yield Fact("name", word, word)


def _is_latin(text: str) -> bool:
    """Whether at least half of the letters are Latin ones."""
    if text.isascii():
        return True
    letters = [char for char in text if char.isalpha()]
    return 2 * sum("LATIN" in unicodedata.name(char, "") for char in letters) >= len(letters)


def _mixes_scripts(word: str) -> bool:
    """Whether Latin letters stand beside Cyrillic or Greek ones that look like them."""
    return (
        not word.isascii()
        and any(char.isascii() and char.isalpha() for char in word)
        and any("\u0370" <= char <= "\u058f" or "\u13a0" <= char <= "\u13ff" for char in word)
    )
