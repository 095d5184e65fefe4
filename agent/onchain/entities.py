"""What a question names: blocks, days, hashes, addresses, selectors, tokens, amounts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from agent.onchain.asked import Condition, Known

_NUMBER = r"(\d{1,3}(?:[,_]\d{3})+|\d+)"
_BLOCKS = re.compile(
    rf"\bblocks?\s+(?:number\s+|no\.?\s*|#)?{_NUMBER}(?:\s*(-|–|—|to|through|until|and|,|or|&)\s*(?:block\s+)?{_NUMBER})?",
    re.IGNORECASE,
)
_HEX = re.compile(r"\b0x[0-9a-fA-F]+\b")
_DAY = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_AMOUNT = re.compile(
    r"\b(more than|over|above|at least|greater than|exceeding|less than|under|below|at most|exactly)\s+"
    r"([\d,_]+(?:\.\d+)?)\s*(\w+)?",
    re.IGNORECASE,
)
_SIGN = {"at least": ">=", "at most": "<=", "exactly": "=", "less than": "<", "under": "<", "below": "<"}
_LOWER_SYMBOLS = re.compile(r"[A-Za-z]*(?:usd|eth|btc|dai|pepe|shib)[A-Za-z]*", re.IGNORECASE)
ETHER = re.compile(r"\b(?:ETH|Ether|ether|eth)\b")


@dataclass(frozen=True, slots=True)
class Named:
    """The things that a question names, and the question without them.

    blocks: first and last; spelled: the block numbers as written; hashes: of 32 bytes; tokens: symbol and
    addresses; amounts: comparison, number and unit. rest: the text, each of these replaced by a mark.
    """

    blocks: tuple[int, int] | None
    apart: tuple[int, ...]
    days: tuple[date, date] | None
    hashes: tuple[str, ...]
    addresses: tuple[str, ...]
    selectors: tuple[str, ...]
    tokens: tuple[tuple[str, tuple[str, ...]], ...]
    amounts: tuple[tuple[str, Decimal, str], ...]
    rest: str

    @property
    def anchored(self) -> bool:
        """Whether it names a place on a chain."""
        return bool(self.blocks or self.hashes or any(self.addresses))


def named(question: str, known: Known) -> Named:
    """Finds what a question names."""
    spans = [
        (_number(one[1]), _number(one[3]) if one[3] else None, one[2]) for one in _BLOCKS.finditer(question)
    ]
    rest = _BLOCKS.sub(" BLOCKS ", question)
    days = [date(int(y), int(m), int(d)) for y, m, d in _DAY.findall(rest) if _is_day(y, m, d)]
    rest = _DAY.sub(" DAY ", rest)
    amounts = tuple(
        (_SIGN.get(sign.lower(), ">"), Decimal(number.replace(",", "").replace("_", "")), unit or "")
        for sign, number, unit in _AMOUNT.findall(rest)
    )
    found: dict[int, list[str]] = {64: [], 40: [], 8: []}

    def mark(match: re.Match[str]) -> str:
        digits = len(match[0]) - 2
        if digits not in found:
            return match[0]
        if match[0].lower() not in found[digits]:
            found[digits].append(match[0].lower())
        return {
            64: " HASH ",
            40: f" ADDRESS{found[40].index(match[0].lower()) if digits == 40 else ''} ",
        }.get(digits, " SELECTOR ")

    rest = _HEX.sub(mark, rest)
    tokens, rest = _tokens(_AMOUNT.sub(" AMOUNT ", rest), rest, known)
    return Named(
        blocks=_spanned(spans),
        apart=tuple(sorted({n for first, last, word in spans for n in (first, last) if n is not None})),
        days=(min(days), max(days)) if days else None,
        hashes=tuple(found[64]),
        addresses=tuple(found[40]),
        selectors=tuple(found[8]),
        tokens=tokens,
        amounts=amounts,
        rest=rest,
    )


def _number(text: str) -> int:
    return int(re.sub(r"[,_]", "", text))


def _is_day(year: str, month: str, day: str) -> bool:
    try:
        date(int(year), int(month), int(day))
    except ValueError:
        return False
    return True


def _spanned(spans: list[tuple[int, int | None, str]]) -> tuple[int, int] | None:
    numbers = [number for first, last, _ in spans for number in (first, last) if number is not None]
    return (min(numbers), max(numbers)) if numbers else None


def _tokens(bare: str, text: str, known: Known) -> tuple[tuple[tuple[str, tuple[str, ...]], ...], str]:
    """The tokens that the words name by symbol; a symbol in small letters only where it is no other word."""
    by_lower = {symbol.lower(): symbol for symbol in known.symbols if _LOWER_SYMBOLS.fullmatch(symbol)}
    found: dict[str, tuple[str, ...]] = {}
    for word in re.findall(r"[A-Za-z][\w.]*", text):
        symbol = word if word in known.symbols else by_lower.get(word.lower())
        if symbol is not None:
            found[symbol] = known.symbols[symbol]
            mark = f" TOKEN{list(found).index(symbol)} "
            bare = re.sub(rf"\b{re.escape(word)}\b", mark, bare)
    return tuple(found.items()), " ".join(bare.split())


def period(named: Named, known: Known) -> tuple[list[Condition], str]:
    """The blocks or days that a question keeps to, as conditions and in words."""
    conditions = []
    if named.blocks:
        first, last = named.blocks
        apart = named.apart
        sql = (
            f"block_number = {first}"
            if first == last
            else f"block_number IN ({', '.join(map(str, apart))})"
            if len(apart) > 2
            else f"block_number BETWEEN {first} AND {last}"
        )
        conditions.append(Condition(sql, "", wide=True))
        within = f"block {first}" if first == last else f"blocks {first} to {last}"
    elif known.first == known.last:
        within = f"block {known.first}, the only one in the library"
    else:
        within = f"blocks {known.first} to {known.last}, all in the library"
    if named.days:
        first_day, last_day = named.days
        conditions.append(
            Condition(
                f"block_timestamp >= TIMESTAMPTZ '{first_day}' AND"
                f" block_timestamp < TIMESTAMPTZ '{last_day + timedelta(days=1)}'",
                "",
                wide=True,
            )
        )
        within = (
            f"{within} ({first_day} to {last_day})" if first_day != last_day else f"{within} ({first_day})"
        )
    return conditions, within


def outside(named: Named, known: Known) -> list[int]:
    """The blocks that are named and that the library does not reach."""
    return [number for number in named.apart if not known.first <= number <= known.last]


def words(text: str) -> Iterator[str]:
    """The words of a text in small letters."""
    return (word.lower() for word in re.findall(r"[A-Za-z][A-Za-z'-]*", text))
