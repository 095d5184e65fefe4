"""Conditions as words give them, before it is settled which rows they are about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from agent.onchain.columns import TOKEN_COLUMN, Column, SubjectName, column_of
from agent.onchain.concepts import CONCEPTS, UNLIMITED, ZERO_ADDRESS
from agent.onchain.lexer import Known
from agent.onchain.query import Any, Compare, Condition, Not, Operator, both

_SCALES = {"ether": 18, "gwei": 9, "wei": 0}
_SIDES = {"sender": ("from_address", "owner"), "receiver": ("to_address", "spender")}
"""The arguments of an event that an address is from, or to."""

_LEAST_WEI = 10**9
"""A bare number of at least so many is read as wei."""


class Declined(Exception):
    """The question cannot be read as a whole, or asks for what is not there; the message says which."""


@dataclass(frozen=True, slots=True)
class Term:
    """A condition of some words. resolve: for a subject, None where it has no such column.

    concept: what is compared, where it is one thing; same: what makes two of them alternatives.
    """

    text: str
    resolve: Callable[[SubjectName, tuple[str, ...]], Condition | None]
    concept: str = ""
    same: str = ""
    operator: str = "="


def compared(
    text: str, concept: str, operator: str, numbers: tuple[tuple[Decimal, str | None], ...], known: Known
) -> Term:
    """A column compared with a number, or with two that it lies between."""

    def resolve(subject: SubjectName, tokens: tuple[str, ...]) -> Condition | None:
        column = column_for(subject, concept)
        if column is None:
            return None
        if column.kind in ("address", "text"):
            return None
        signs: tuple[Operator, ...] = (">=", "<=") if operator == "between" else (operator,)  # type: ignore[assignment]
        some: list[Condition] = []
        for sign, (number, unit) in zip(signs, numbers, strict=True):
            raw, token = _raw(number, unit, column, tokens, known, text)
            some.append(Compare(column=column.name, operator=sign, values=(raw,)))
            if token:
                some.append(Compare(column=TOKEN_COLUMN[subject], values=token))
        return both(*some)

    return Term(text, resolve, concept, concept if operator == "=" else "", operator)


def _raw(
    number: Decimal, unit: str | None, column: Column, tokens: tuple[str, ...], known: Known, text: str
) -> tuple[str, tuple[str, ...]]:
    """A number in raw units, and the token that its unit names."""
    scale = 0
    token: tuple[str, ...] = ()
    if column.kind in ("wei", "gwei"):
        scale = _of_wei(number, unit, column, text)
    elif column.kind == "token":
        token = known.symbols.get(unit or "", ())
        scale = _of_token(number, unit, token, tokens, known, text)
    elif unit not in (None, column.kind):
        raise Declined(f'the unit of "{text}" does not fit: a {column.noun} is not in {unit}')
    raw = number.scaleb(scale)
    if column.kind != "percent" and raw != raw.to_integral_value():
        raise Declined(f'"{text}" is finer than the smallest unit of a {column.noun}')
    return f"{raw:f}" if column.kind == "percent" else str(int(raw)), token


def _of_wei(number: Decimal, unit: str | None, column: Column, text: str) -> int:
    if unit is None and number and number < _LEAST_WEI:
        raise Declined(f'the unit of "{text}" is not said; name one, as ETH, gwei or wei')
    if unit is not None and unit not in _SCALES:
        raise Declined(f'the unit of "{text}" does not fit: a {column.noun} is in ETH, gwei or wei')
    return _SCALES[unit or "wei"]


def _of_token(
    number: Decimal,
    unit: str | None,
    token: tuple[str, ...],
    tokens: tuple[str, ...],
    known: Known,
    text: str,
) -> int:
    ether = unit == "ether" and tokens and tokens == known.symbols.get("WETH")
    if not (token or ether or unit in (None, "raw")):
        raise Declined(f'the unit of "{text}" does not fit: an amount is in its token\'s units')
    places = {known.decimals.get(one) for one in token or tokens}
    if unit == "raw" or not number:
        return 0
    one = next(iter(places), None)
    if len(places) != 1 or one is None:
        raise Declined(f'"{text}": amounts are compared for one token of known decimals; name it')
    return one


def column_for(subject: SubjectName, concept: str) -> Column | None:
    """The column of a subject that a concept means there, an argument of an event by its name included."""
    name = CONCEPTS.get(concept, {}).get(subject)
    if concept.startswith("args."):
        return column_of(subject, concept)
    return column_of(subject, name) if name else None


def equals(text: str, concept: str, values: tuple[str, ...], same: str = "") -> Term:
    """A column that holds one of some values."""

    def resolve(subject: SubjectName, _: tuple[str, ...]) -> Condition | None:
        if subject == "logs" and concept in _SIDES:
            return Any(any=tuple(Compare(column=name, values=values) for name in _SIDES[concept]))
        column = column_for(subject, concept)
        return Compare(column=column.name, values=values) if column else None

    return Term(text, resolve, concept, same or concept)


def present(text: str, concept: str) -> Term:
    """A column with a value other than zero."""

    def resolve(subject: SubjectName, _: tuple[str, ...]) -> Condition | None:
        column = column_for(subject, concept)
        if column is None:
            return None
        if column.numeric:
            return Compare(column=column.name, operator=">", values=("0",))
        return Compare(column=column.name, operator="known")

    return Term(text, resolve, concept)


def absent(text: str, concept: str) -> Term:
    """A column that is zero, or has no value."""

    def resolve(subject: SubjectName, _: tuple[str, ...]) -> Condition | None:
        column = column_for(subject, concept)
        if column is None:
            return None
        if column.numeric:
            return Compare(column=column.name, values=("0",))
        return Not(negated=Compare(column=column.name, operator="known"))

    return Term(text, resolve, concept)


def columns_compared(text: str, one: str, operator: str, other: str) -> Term:
    """Two columns of a row compared."""

    def resolve(subject: SubjectName, _: tuple[str, ...]) -> Condition | None:
        first, second = column_for(subject, one), column_for(subject, other)
        if first is None or second is None or first.kind != second.kind:
            return None
        return Compare(column=first.name, operator=operator, other=second.name)  # type: ignore[arg-type]

    return Term(text, resolve)


def involved(text: str, address: str) -> Term:
    """Rows that an address has any part in."""
    columns: dict[SubjectName, tuple[str, ...]] = {
        "transactions": ("from_address", "to_address", "contract_address"),
        "transfers": ("from_address", "to_address"),
        "logs": ("address",),
        "blocks": ("miner",),
    }

    def resolve(subject: SubjectName, _: tuple[str, ...]) -> Condition | None:
        some = tuple(Compare(column=name, values=(address,)) for name in columns[subject])
        return some[0] if len(some) == 1 else Any(any=some)

    return Term(text, resolve)


def negated(text: str, *terms: Term) -> Term:
    """What none of some terms holds of."""

    def resolve(subject: SubjectName, tokens: tuple[str, ...]) -> Condition | None:
        some = [one.resolve(subject, tokens) for one in terms]
        found = [one for one in some if one is not None]
        if len(found) < len(some):
            return None
        return Not(negated=found[0] if len(found) == 1 else Any(any=tuple(found)))

    return Term(text, resolve, terms[0].concept if len(terms) == 1 else "")


def joined(text: str, *terms: Term, union: bool) -> Term:
    """Of terms the one or the other, or all."""

    def resolve(subject: SubjectName, tokens: tuple[str, ...]) -> Condition | None:
        some = [one.resolve(subject, tokens) for one in terms]
        found = tuple(one for one in some if one is not None)
        if len(found) < len(some):
            return None
        return _united(found) if union else both(*found)

    return Term(text, resolve, terms[0].concept, terms[0].same)


def _united(found: tuple[Condition, ...]) -> Condition:
    """Equalities of one column as one membership; else any of them."""
    plain = [one for one in found if isinstance(one, Compare) and one.operator == "=" and one.other is None]
    if len(plain) == len(found) and len({one.column for one in plain}) == 1:
        return Compare(column=plain[0].column, values=tuple(v for one in plain for v in one.values))
    return Any(any=found)


def _eq(column: str, *values: str) -> Compare:
    return Compare(column=column, values=values)


_ADJECTIVES: dict[str, dict[SubjectName, Condition]] = {
    "failed": {"transactions": _eq("status", "0")},
    "succeeded": {"transactions": _eq("status", "1")},
    "legacy": {"transactions": _eq("transaction_type", "0")},
    "access_list": {"transactions": _eq("transaction_type", "1")},
    "dynamic": {"transactions": _eq("transaction_type", "2")},
    "blob": {"transactions": _eq("transaction_type", "3")},
    "creation": {"transactions": Not(negated=Compare(column="to_address", operator="known"))},
    "plain": {
        "transactions": both(_eq("input_size", "0"), Compare(column="value", operator=">", values=("0",)))
    },
    "self": {
        "transactions": Compare(column="from_address", operator="=", other="to_address"),
        "transfers": Compare(column="from_address", operator="=", other="to_address"),
    },
    "unlimited": {"logs": _eq("value", UNLIMITED)},
    "revoked": {"logs": _eq("value", "0")},
    "minted": {"transfers": _eq("from_address", ZERO_ADDRESS)},
    "burned_tokens": {"transfers": _eq("to_address", ZERO_ADDRESS)},
    "nft": {
        "transfers": Compare(column="token_id", operator="known"),
        "logs": _eq("declared_in", "ERC-721"),
    },
    "fungible": {
        "transfers": Compare(column="value", operator="known"),
        "logs": _eq("declared_in", "ERC-20"),
    },
    "erc1155": {"logs": _eq("declared_in", "ERC-1155")},
    "undecoded": {"logs": Not(negated=Compare(column="event", operator="known"))},
    "decoded": {"logs": Compare(column="event", operator="known")},
}

ALTERNATIVES = frozenset({"legacy", "access_list", "dynamic", "blob"})
"""Adjectives of which a row has one: `legacy and blob transactions` are of either type."""


def adjective(text: str, name: str) -> Term:
    """What an adjective says of rows, for the subjects that it fits."""
    found = _ADJECTIVES[name]
    same = "type" if name in ALTERNATIVES else "status" if name in ("failed", "succeeded") else ""
    return Term(text, lambda subject, _: found.get(subject), name, same)
