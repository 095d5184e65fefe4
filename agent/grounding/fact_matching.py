"""Whether a text holds a fact.

A year, or a month of a year, is held by a date in it; a shortened hash by a longer one that begins and ends
so; an acronym by words with its initials; a function's signature by its declaration with named parameters. A
number with a unit is held by the number alone, as in a table or in code, where the unit is named in the same
text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from functools import cached_property, lru_cache

from agent.grounding.fact_extraction import Fact, Kind, numeric_facts
from agent.text.normalize import plain, quotable
from agent.text.quantities import Quantity, units_named

_SAME = {"ETH": "ethers?", "BTC": "bitcoins?", "USD": r"\$|dollars?", "UTC": r"UTC|\dZ\b", "US": r"U\.S\."}
_ORDINAL_WORDS = {
    word: at
    for at, word in enumerate(
        "third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split(),  # noqa: SIM905
        3,
    )
}
_ORDINAL = re.compile(rf"(?<!\w)({'|'.join(_ORDINAL_WORDS)})(?!\w|[\s-]part)", re.IGNORECASE)


class FactIndex:
    """A text that may hold facts: a unit of a source. around: headings and leads that belong to it."""

    def __init__(self, text: str, around: str = "") -> None:
        self._text, self._around = text, around

    def holds(self, fact: Fact) -> bool:
        """Whether the text says this fact, in whatever spelling."""
        return _TESTS[fact.kind](fact, self)

    @cached_property
    def plain(self) -> str:
        """Text and surroundings, in plain spelling, one space between words."""
        return " ".join(plain(f"{self._around}\n{self._text}").replace("`", " ").split())

    @cached_property
    def lower(self) -> str:
        """The same in lower case."""
        return self.plain.lower()

    @cached_property
    def dense(self) -> str:
        """The same without any white space or backquotes."""
        return "".join(self.plain.split())

    @cached_property
    def quotable(self) -> str:
        """The text as quotations are looked for in it."""
        return quotable(self._text)

    @cached_property
    def units(self) -> frozenset[tuple[str, Fraction]]:
        """The units that it names, as dimensions and factors."""
        return units_named(self.plain)

    @cached_property
    def numeric(self) -> dict[Kind, set[object]]:
        """Its numbers, powers, ordinals, dates and designations."""
        here, above = _numeric(self._text), _numeric(self._around)
        return {kind: here.get(kind, set()) | above.get(kind, set()) for kind in here.keys() | above.keys()}

    @cached_property
    def quantities(self) -> list[Quantity]:
        """Its numbers."""
        return [key for key in self.numeric.get("number", ()) if isinstance(key, Quantity)]

    @cached_property
    def signatures(self) -> frozenset[str]:
        """The functions that it declares, as `name(type,type)`."""
        return frozenset(
            f"{name}({','.join(part.split()[0] for part in parts.split(',') if part.split())})"
            for name, parts in re.findall(r"(?<!\w)(\w+)\s*\(([^()]*)\)", self.plain)
        )


@lru_cache(maxsize=16_384)
def _numeric(text: str) -> dict[Kind, set[object]]:
    """What of a text is made of digits or says a number, by kind; a draft and its repair ask for the same."""
    spaced = " ".join(plain(text).replace("`", " ").split())
    found: dict[Kind, set[object]] = {}
    for fact in numeric_facts(spaced):
        found.setdefault(fact.kind, set()).add(fact.key)
        if fact.kind == "name" and (digits := re.fullmatch(r"[A-Za-z]+-(\d{1,18})", fact.text)):
            found.setdefault("number", set()).add(Quantity(Fraction(digits.group(1))))
    for match in _ORDINAL.finditer(spaced):
        found.setdefault("ordinal", set()).add(_ORDINAL_WORDS[match.group().lower()])
    return found


def _held_number(fact: Fact, source: FactIndex) -> bool:
    wanted = fact.key
    assert isinstance(wanted, Quantity)  # noqa: S101
    for held in source.quantities:
        named = not wanted.noun or not held.unit or wanted.noun[:5] in source.lower
        if wanted.agrees(held) and named:
            return True
        if wanted.lacks_unit(held) and (wanted.measure in source.units or not wanted.written):
            return True
    if fact.text[0].isalpha() and _said_otherwise(wanted, source):
        return True
    years = {day[0] for day in source.numeric.get("date", ()) if isinstance(day, tuple)}
    return not wanted.unit and wanted.written in years


_ONE, _ZERO = re.compile(r"\b(?:an?|single|once|each)\b"), re.compile(r"\bzero\w*|\b0x0+\b")


def _said_otherwise(wanted: Quantity, source: FactIndex) -> bool:
    """Whether a source says one or zero without a number: `a single byte`, `the address 0x0`."""
    pattern = _ONE if wanted.written == 1 else _ZERO if wanted.written == 0 else None
    named = not wanted.unit or wanted.written == 0 or wanted.measure in source.units
    return named and pattern is not None and bool(pattern.search(source.lower))


def _held_date(fact: Fact, source: FactIndex) -> bool:
    wanted = fact.key
    assert isinstance(wanted, tuple)  # noqa: S101
    return any(
        isinstance(held, tuple) and all(a is None or a == b for a, b in zip(wanted, held, strict=True))
        for held in source.numeric.get("date", ())
    )


def _held_ordinal(fact: Fact, source: FactIndex) -> bool:
    bare = any(held.written == fact.key and not held.unit for held in source.quantities)
    return fact.key in source.numeric.get("ordinal", ()) or bare


def _held_key(fact: Fact, source: FactIndex) -> bool:
    return fact.key in source.numeric.get(fact.kind, ())


def _held_power(fact: Fact, source: FactIndex) -> bool:
    """Whether the power stands there with the same unit, or with none while the unit is named elsewhere."""
    assert isinstance(fact.key, tuple)  # noqa: S101
    *power, unit = fact.key
    units = {
        held[2]
        for held in source.numeric.get("power", ())
        if isinstance(held, tuple) and [*held[:2]] == power
    }
    return bool(units) and (unit in units or not unit[0] or (("", 1) in units and unit in source.units))


def _held_hash(fact: Fact, source: FactIndex) -> bool:
    held = source.numeric.get("hash", set()) | source.numeric.get("address", set())
    if not isinstance(fact.key, tuple):
        return fact.key in held
    head, tail = fact.key[0].removeprefix("0x"), fact.key[1]
    whole = (str(one).removeprefix("0x") for one in held if not isinstance(one, tuple))
    longer = any(w.startswith(head) and w.endswith(tail) and len(w) > len(head + tail) for w in whole)
    return fact.key in held or (len(head + tail) >= 4 and longer)


def _held_name(fact: Fact, source: FactIndex) -> bool:
    name = str(fact.key)
    if name.endswith("()"):
        return _stands(name[:-2], source.plain)
    simple = re.fullmatch(r"([A-Z]?[a-z]+|[A-Z]+)-?(\d{1,18})", name)
    if not simple:
        return _stands(name, source.plain) or (name[0] in "vV" and _stands(name.lower(), source.lower))
    word, digits = simple.groups()
    if re.search(rf"(?<![\w-]){word}-?{digits}(?!\w|[.,]\d)", source.plain, re.IGNORECASE):
        return True
    bare = any(held.written == int(digits) and not held.unit for held in source.quantities)
    other = re.search(rf"(?<![\w-]){word}-?\d", source.plain, re.IGNORECASE)
    return "-" in name and bare and not other and _stands(word.lower(), source.lower)


def _held_acronym(fact: Fact, source: FactIndex) -> bool:
    letters = str(fact.key)
    spaced = r"\s?".join(letters)
    if re.search(
        rf"(?<![^\W_])(?:{spaced}|{_SAME.get(letters, letters)})s?(?![^\W_])", source.plain, re.IGNORECASE
    ):
        return True
    initials = r"[\s-]+".join(rf"{letter}[a-z]+" for letter in letters)
    return re.search(rf"\b{initials}", source.plain, re.IGNORECASE) is not None


def _held_code(fact: Fact, source: FactIndex) -> bool:
    code = str(fact.key)
    name = code.removesuffix("()")
    if _stands(name, source.plain) or code in source.signatures:
        return True
    spaced = r"\s*".join(map(re.escape, code))
    return code in source.dense and re.search(rf"(?<![\w.]){spaced}(?!\w|[.,]\d)", source.plain) is not None


def _held_url(fact: Fact, source: FactIndex) -> bool:
    url = str(fact.key)
    return re.search(rf"{re.escape(url)}/?(?![\w/?&=%#-])", source.plain) is not None


def _held_quotation(fact: Fact, source: FactIndex) -> bool:
    at = 0
    assert isinstance(fact.key, tuple)  # noqa: S101
    for part in fact.key:
        found = re.compile(rf"(?<!\w){re.escape(part)}(?!\w)").search(source.quotable, at)
        if found is None:
            return False
        at = found.end()
    return True


def _stands(name: str, text: str) -> bool:
    """Whether a name stands in a text by itself, not as a part of a longer one."""
    at = text.find(name)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(name) : at + len(name) + 2]
        edge = (
            before.isalnum()
            or before == "_"
            or (before in ".," and name[:1].isdigit() and text[at - 2].isdigit())
        )
        more = after[:1].isalnum() or after[:1] == "_" or (after[:1] in ".," and after[1:].isdigit())
        if not edge and not (more and after):
            return True
        at = text.find(name, at + 1)
    return False


_TESTS: dict[Kind, Callable[[Fact, FactIndex], bool]] = {
    "address": _held_hash, "hash": _held_hash, "designation": _held_key, "name": _held_name,
    "acronym": _held_acronym, "code": _held_code, "url": _held_url, "number": _held_number,
    "power": _held_power, "ordinal": _held_ordinal, "date": _held_date, "time": _held_key,
    "quotation": _held_quotation,
}  # fmt: skip
