"""Numbers with their units, read exactly: what `12.5 %`, `1 gwei`, `2,048 words` and `one eighth` amount to.

A quantity is a fraction of whole numbers, never a float. Units of one dimension convert (SI and IEC prefixes;
ether by EIP-20's 10^18 wei, bitcoin by its 10^8 satoshi; percent as hundredths); months do not become days.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

_DIMENSIONS: dict[str, dict[str, Fraction | int]] = {
    "second": {
        "ns": Fraction(1, 10**9),
        "us µs μs microsecond": Fraction(1, 10**6),
        "ms millisecond": Fraction(1, 1000),
        "s sec second segundo sekunde sekunden seconde 秒": 1,
        "min minute minuto minuten 分钟 分鐘": 60,
        "h hr hour hora stunde stunden heure 小时 小時": 3600,
        "day día dia tag tage tagen jour 天 日": 86_400,
        "week semana woche wochen semaine 周 週": 604_800,
    },
    "month": {"month mes monat mois 个月 個月": 1, "year yr año jahr jahre jahren an 年": 12},
    "bit": {
        "bit 比特": 1,
        "byte B octet 字节 字節": 8,
        "kB KB kilobyte": 8 * 10**3,
        "MB megabyte": 8 * 10**6,
        "GB gigabyte": 8 * 10**9,
        "TB terabyte": 8 * 10**12,
        "KiB kibibyte": 8 * 2**10,
        "MiB mebibyte": 8 * 2**20,
        "GiB gibibyte": 8 * 2**30,
        "TiB tebibyte": 8 * 2**40,
    },
    "wei": {
        "wei": 1,
        "kwei": 10**3,
        "mwei": 10**6,
        "gwei shannon": 10**9,
        "szabo": 10**12,
        "finney": 10**15,
        "ether eth": 10**18,
    },
    "satoshi": {"sat satoshi": 1, "btc bitcoin": 10**8},
    "percent": {"percent % pct": Fraction(1, 100), "‰": Fraction(1, 1000), "bps": Fraction(1, 10_000)},
    "dollar": {"dollar $ usd": 1},
    "euro": {"euro € eur": 1},
    "times": {"times x × fold": 1},
    "block": {"block bloque blöcke bloc 区块 區塊 个区块": 1},
    "word": {"word palabra wörter 单词 單詞": 1},
}
_COUNTED = (
    "gas epoch slot confirmation character letter digit token validator signature key round node level layer "
    "transaction account contract share blob cell column row point address signer member vote decimal shard "
    "subnet committee peer item entry field element leaf output input path attestation proposal participant "
    "wallet user operator version step bucket opcode instruction parameter argument topic log event message "
    "request withdrawal deposit pool reserve nonce coin"
)

_SINGULAR = frozenset(_COUNTED.split()) - {"gas"}

_EXACT: dict[str, tuple[str, Fraction]] = {}
_ANY_CASE: dict[str, tuple[str, Fraction]] = {name: (name, Fraction(1)) for name in _COUNTED.split()}
for _dimension, _units in _DIMENSIONS.items():
    for _names, _factor in _units.items():
        for _name in _names.split():
            _table = _EXACT if _name != _name.lower() or len(_name) == 1 else _ANY_CASE
            _table[_name] = (_dimension, Fraction(_factor))

_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "k": 10**3, "M": 10**6}
_SCALES |= {"bn": 10**9, "mn": 10**6, "万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8, "百万": 10**6}
_SCALES |= {"millones": 10**6, "millón": 10**6, "millions": 10**6, "Millionen": 10**6, "mil": 10**3}
_STOP = frozenset(
    [
        "of", "in", "for", "and", "or", "to", "per", "is", "are", "was", "were", "be", "by", "on", "at",
        "with", "from", "as", "than", "that", "which", "who", "when", "if", "the", "a", "an", "each",
        "every", "it", "this", "these", "those", "but", "so", "then", "not", "may", "must", "can", "will",
        "has", "have", "had", "into", "until", "after", "before", "while", "where", "since", "between",
        "only", "de", "del", "la", "el", "en", "y", "o", "por", "que", "von", "und", "pro", "der", "die",
        "das",
    ]
)  # fmt: skip
_SCALE = re.compile(
    r"[\s-]?(thousand|million|billion|trillion|millones|millón|millions|Millionen|bn|mn|百万|[万萬亿億])(?![A-Za-z])"
    r"|(k|M)(?![\w.])|\s([kM])(?=\s+[A-Za-z])"
)
_WORD = re.compile(r"[\s-]{0,2}(%|％|‰|[^\W\d_]+|\$|€)")
_RANGE = re.compile(r"\s*(?:-|–|—|to|or|and|a|bis|至|到)\s*(\d[\d,_]*(?:\.\d+)?)", re.IGNORECASE)
_CURRENCY = re.compile(r"(\$|€|\bUSD|\bUS\$|\bEUR)\s?$")
_PER_CENT = re.compile(r"[\s-]?(?:(per\s?cent\b)|basis[\s-]points?\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number and what it counts.

    written: the number as it stands, with its scale word; unit: its dimension, "" where none is known;
    value: in the unit that the dimension is named by; noun: the word that follows where no unit is known.
    """

    written: Fraction
    unit: str = ""
    value: Fraction = Fraction(0)
    noun: str = ""

    def agrees(self, held: Quantity) -> bool:
        """Whether `held`, read from a source, says this quantity without any further word.

        A share may stand as percent or as a plain fraction. A number without a unit agrees with the same
        number of anything, save a percentage; what does not follow is for `lacks_unit`.
        """
        if self.unit == held.unit and self.unit:
            return self.value == held.value
        if {self.unit, held.unit} == {"percent", ""}:
            return self.value == held.value and self.value.denominator > 1
        return not self.unit and held.unit != "percent" and self.written == held.written

    @property
    def measure(self) -> tuple[str, Fraction]:
        """Its unit as a dimension and a factor; the factor of nothing is 1."""
        return self.unit, self.value / self.written if self.written else Fraction(1)

    def lacks_unit(self, held: Quantity) -> bool:
        """Whether `held` is this number with no unit beside it, such as the cell of a table."""
        return bool(self.unit) and not (held.unit or held.noun) and self.written == held.written


def quantity(number: Fraction, text: str, start: int, end: int) -> tuple[Quantity, int]:
    """The quantity whose digits are `text[start:end]`, and where it ends with its scale and symbol.

    >>> quantity(Fraction(30), "30 days", 0, 2)[0].value, quantity(Fraction(2), "2 million gas", 0, 1)[0].unit
    (Fraction(2592000, 1), 'gas')
    """
    if scale := _SCALE.match(text, end):
        number *= _SCALES[next(filter(None, scale.groups()))]
        end = scale.end()
    if currency := _CURRENCY.search(text, max(0, start - 4), start):
        unit = "euro" if currency.group(1) in ("€", "EUR") else "dollar"
        return Quantity(number, unit, number), end
    found = _unit_after(text, end)
    if found is None and (further := _RANGE.match(text, end)):
        found = _unit_after(text, _after_scale(text, further.end()))
    if found is None:
        return Quantity(number, "", number, _noun(text, end)), end
    dimension, factor = found
    return Quantity(number, dimension, number * factor), end


def units_named(text: str) -> frozenset[tuple[str, Fraction]]:
    """The dimensions and factors of all units named in a text, with or without a number."""
    found = {_named(word) for word in re.findall(r"[^\W\d_]+|[%$€‰]", text)}
    return frozenset(unit for unit in found if unit)


def unit_words(text: str, unit: str) -> list[str]:
    """The words of a text that name a unit of this dimension; none for that without a unit."""
    words = re.findall(r"[^\W\d_]+", text) if unit else []
    return [word for word in words if (found := _named(word)) and found[0] == unit]


def attached(suffix: str) -> bool:
    """Whether letters right after digits are a unit or a scale, as in `12MB` and `5k`."""
    return suffix in ("k", "M", "bn", "mn") or _named(suffix) is not None


def _after_scale(text: str, end: int) -> int:
    scale = _SCALE.match(text, end)
    return scale.end() if scale else end


def _unit_after(text: str, end: int) -> tuple[str, Fraction] | None:
    """The unit within the next three words, as its dimension and factor."""
    if share := _PER_CENT.match(text, end):
        return "percent", Fraction(1, 100 if share.group(1) else 10_000)
    for nth in range(3):
        word = _WORD.match(text, end)
        if word is None or word.group(1).lower() in _STOP:
            return None
        unit = _named(word.group(1)) if nth == 0 or _heads(word.group(1)) else None
        if unit is not None:
            return unit
        end = word.end()
    return None


def _heads(word: str) -> bool:
    """Whether a unit some words after its number is what is counted, not so in `2 spent signature checks`."""
    return len(word) > 2 and word.lower() not in _SINGULAR


def _named(word: str) -> tuple[str, Fraction] | None:
    """The dimension and factor of a unit's name, in the singular or plural."""
    if word in _EXACT:
        return _EXACT[word]
    lower = word.lower()
    if found := _ANY_CASE.get(lower) or _ANY_CASE.get(lower.removesuffix("s")):
        return found
    if lower.endswith("es"):
        return _ANY_CASE.get(lower[:-3] + "y") or _ANY_CASE.get(lower[:-2])
    if not word.isascii() and len(word) > 1:
        start = next((word[:n] for n in (3, 2, 1) if word[:n] in _WIDE_NAMES), "")
        return _ANY_CASE.get(start) or _EXACT.get(start)
    return None


_WIDE_NAMES = frozenset(name for name in (*_EXACT, *_ANY_CASE) if name[0] > "\u2e7f")


def _noun(text: str, end: int) -> str:
    """The word after a number, where it may say what is counted."""
    word = _WORD.match(text, end)
    found = word.group(1).lower() if word else ""
    return "" if found in _STOP or len(found) < 3 else found


_SMALL = {
    word: value
    for value, word in enumerate(
        [
            "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
            "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
        ]
    )
} | {"dozen": 12}  # fmt: skip
_TENS = {
    word: 10 * at
    for at, word in enumerate("twenty thirty forty fifty sixty seventy eighty ninety".split(), 2)  # noqa: SIM905
}
_LARGE = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_PARTS = {
    word: at
    for at, word in enumerate("half third quarter fifth sixth seventh eighth ninth tenth".split(), 2)  # noqa: SIM905
} | {"halve": 2, "hundredth": 100, "thousandth": 1000}
_COUNT = "|".join([*_SMALL, *_TENS, *_LARGE])
_PART = rf"(?:{'|'.join(_PARTS)})s?"
SPOKEN = re.compile(
    rf"(?<![\w-])(?:half\s+an?\s+(?:{'|'.join(_LARGE)})|(?:an?\s+)?(?:{_COUNT})(?:(?:[\s-]|(?<=hundred)\sand\s|(?<=thousand)\sand\s)(?:{_COUNT}))*"
    rf"(?:[\s-]{_PART})?|an?\s+(?:{_PART}(?=\s+of\b)|quarter|eighth|tenth)|half)(?![\w])",
    re.IGNORECASE,
)
"""A number in words: `twenty-four`, `two hundred and fifty`, `three quarters`, `an eighth`, `half`."""


def spoken(words: str) -> list[Fraction]:
    """The numbers that a match of SPOKEN says; more than one where the words do not make one number.

    >>> [str(n) for n in spoken("two hundred and fifty-six") + spoken("three quarters") + spoken("one two")]
    ['256', '3/4', '1', '2']
    """
    found: list[Fraction] = []
    total, part, last = 0, 0, ""
    said = re.findall(r"[a-z]+", words.lower())
    if said[0] == "half" and said[-1] in _LARGE:
        return [Fraction(_LARGE[said[-1]], 2)]
    for word in said:
        if (divisor := _PARTS.get(word) or _PARTS.get(word.removesuffix("s"))) is not None:
            return [*found, Fraction((total + part) or 1, divisor)]
        if word in _LARGE:
            if word == "hundred":
                part = (part or 1) * 100
            else:
                total, part = total + (part or 1) * _LARGE[word], 0
        elif word in _SMALL or word in _TENS:
            if last in _SMALL or (last in _TENS and word in _TENS):
                found.append(Fraction(total + part))
                total, part = 0, 0
            part += _SMALL.get(word, 0) + _TENS.get(word, 0)
        else:
            continue
        last = word
    return [*found, Fraction(total + part)] if last else found or [Fraction(1)]
