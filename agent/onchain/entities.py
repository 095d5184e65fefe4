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
    rf"\bblocks?\s+(?:numbers?\s+|no\.?\s*|#)?{_NUMBER}"
    rf"((?:\s*(?:-|–|—|to|through|until|and|,|or|&)(?:\s+and)?\s*(?:block\s+)?{_NUMBER}\b)*)",
    re.IGNORECASE,
)
_SPAN = re.compile(r"-|–|—|\b(?:to|through|until)\b", re.IGNORECASE)
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

    blocks: first and last; apart: each number; spanned: those between are meant too; hashes: of 32 bytes;
    tokens: symbol and addresses; amounts: comparison, number and unit; rest: the text, each of these
    replaced by a mark.
    """

    blocks: tuple[int, int] | None
    apart: tuple[int, ...]
    spanned: bool
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
    numbers: list[int] = []
    spanned = False
    for one in _BLOCKS.finditer(question):
        numbers += [_number(one[1]), *(_number(found[0]) for found in re.finditer(_NUMBER, one[2]))]
        spanned = spanned or bool(_SPAN.search(one[2]))
    rest = _BLOCKS.sub(" BLOCKS ", question)
    days = [date(int(y), int(m), int(d)) for y, m, d in _DAY.findall(rest) if _is_day(y, m, d)]
    rest = _DAY.sub(" DAY ", rest)
    if "block" in question.lower() or known.first >= 100_000:
        bare = [
            one
            for one in re.findall(r"(?<![\w.,])\d{4,}(?![\w.]|,\d)", rest)
            if known.first <= int(one) <= known.last
        ]
        numbers += map(int, bare)
        rest = re.sub(rf"\b(?:{'|'.join(bare)})\b", " BLOCKS ", rest) if bare else rest
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
    tokens, rest = _tokens(_AMOUNT.sub(r" AMOUNT \3 ", rest), rest, known)
    return Named(
        blocks=(min(numbers), max(numbers)) if numbers else None,
        spanned=spanned,
        apart=tuple(sorted(set(numbers))),
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
            if not named.spanned
            else f"block_number BETWEEN {first} AND {last}"
        )
        conditions.append(Condition(sql, "", wide=True))
        joined = ", ".join(map(str, apart[:-1])) + f" and {last}"
        within = (
            f"block {first}"
            if first == last
            else f"blocks {first} to {last}"
            if named.spanned or last - first + 1 == len(apart)
            else f"blocks {joined}"
        )
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
