"""What the words and names of a clause require of its rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from agent.onchain import lexicon as lex
from agent.onchain.asked import Condition, Known
from agent.onchain.compose import SUBJECTS
from agent.onchain.entities import ETHER, Named
from index.tables import quoted

UNLIMITED = 2**256 - 1
ZERO = "0x" + "0" * 40
_GIVES = r"(?:from|by|sender|owner|deployer|senders|sent|payer|did|does|has|of the sender)"
_TAKES = r"(?:to|into|for|spender|receiver|recipient|receives?|received|called|calls?|calling|router|with)"
_OF = r"(?:contract|token|pool|pair|at|of|in|emitted|collection|through)"


KindOf = Callable[[str], str]
"""Whether 32 bytes name a `transaction`, a `block`, or an event's first `topic`; empty: nothing known."""


def event_named(clause: str, known: Known) -> str | None:
    """The event that a clause names, as `Swap events`, `swaps`, `names renewed`."""
    names = sorted(known.events - {"Transfer", "Approval"}, key=lambda name: (-len(name), name))
    words = re.findall(r"[A-Za-z]\w*", clause)
    if exact := next((name for name in names if name in words), None):
        return exact
    stems = {word.lower().removesuffix("s") for word in words}
    of_events = lex.LOGS.search(clause)
    for name in names:
        parts = {part.lower().removesuffix("s") for part in re.findall(r"[A-Z][a-z]+", name)}
        if len(parts) > 1 and parts - {"event"} <= stems and len(parts - {"event"}) > 1:
            return name
        forms = {f"{name.lower()}{end}" for end in ("s", "es", "ed", *([""] if of_events else []))}
        if forms & {word.lower() for word in words}:
            return name
    return None


def of_hashes(seen: Named, subject: str, kind_of: KindOf) -> Iterator[Condition]:
    """The rows of the transactions, blocks and events that hashes name."""
    columns = {"transaction": "transaction_hash", "block": "block_hash", "topic": "topic0"}
    for one in seen.hashes:
        kind = kind_of(one)
        if kind == "topic" and subject != "logs":
            continue
        if kind and not (kind == "transaction" and subject == "blocks"):
            yield Condition(
                f"{columns[kind]} = '{one}'", f"in {kind} {one}" if kind != "topic" else f"with topic {one}"
            )


def of_words(clause: str, subject: str, seen: Named, known: Known) -> Iterator[Condition]:
    """What the words of a clause require of its subject."""
    if subject == "transactions":
        yield from _of_transactions(clause, seen)
        yield from _of_calls(clause, seen)
    elif subject == "approvals":
        yield from _of_approvals(clause)
    elif subject == "transfers":
        yield from _of_transfers(clause)
    elif subject == "logs":
        yield from _of_logs(clause, known)
    yield from _of_tokens(subject, seen)
    yield from _of_amounts(subject, seen)


def _of_approvals(clause: str) -> Iterator[Condition]:
    if lex.UNLIMITED.search(clause):
        yield Condition(f"value = '{UNLIMITED}'::BIGNUM", "unlimited")
    elif lex.REVOKED.search(clause):
        yield Condition("value = '0'::BIGNUM", "of zero")


def _of_transfers(clause: str) -> Iterator[Condition]:
    if lex.MINTED.search(clause):
        yield Condition(f"from_address = '{ZERO}'", "minted")
    if lex.BURNED.search(clause):
        yield Condition(f"to_address = '{ZERO}'", "burned")
    if lex.NFTS.search(clause):
        yield Condition("token_id IS NOT NULL", "of ERC-721 tokens")
    elif lex.FUNGIBLE.search(clause):
        yield Condition("value IS NOT NULL", "of ERC-20 tokens")


def _of_logs(clause: str, known: Known) -> Iterator[Condition]:
    name = event_named(clause, known)
    if name is None and (standard := re.search(r"\b(Transfer|Approval)s?\b", clause)):
        name = standard[1]
    if name:
        yield Condition(f"event = '{name}'", f"of {name}")
    for declared in known.declared:
        if re.search(rf"\b{re.escape(declared)}\b", clause, re.IGNORECASE):
            yield Condition(f"declared_in = {quoted(declared)}", f"declared by {declared}")
    if re.search(r"\b(?:not decoded|undecoded|unknown)\b", clause):
        yield Condition("event IS NULL", "not decoded")


def _of_transactions(clause: str, seen: Named) -> Iterator[Condition]:
    if lex.FAILED.search(clause):
        yield Condition("status = 0", "failed")
    elif lex.SUCCEEDED.search(clause):
        yield Condition("status = 1", "succeeded")
    if lex.CREATIONS.search(clause):
        yield Condition("to_address IS NULL", "created a contract")
    elif lex.PLAIN.search(clause) and not seen.tokens:
        yield Condition("input = '0x' AND value > 0", "only sent ETH, without call data")
    elif lex.ZERO_VALUE.search(clause):
        yield Condition("value = 0", "sent no ETH")
    for pattern, kind in lex.TYPES:
        if pattern.search(clause):
            yield Condition(f"transaction_type = {kind}", f"were of type {kind}")


def _of_calls(clause: str, seen: Named) -> Iterator[Condition]:
    for pattern, selector, name in lex.CALLS:
        if pattern.search(clause):
            yield Condition(f"selector = '{selector}'", f"called {name} ({selector})")
            break
    for selector in seen.selectors:
        yield Condition(f"selector = '{selector}'", f"called {selector}")


def _of_tokens(subject: str, seen: Named) -> Iterator[Condition]:
    column = {"transfers": "token_address", "approvals": "address", "logs": "address"}.get(subject)
    if subject == "transactions":
        column = "to_address" if not ETHER.search(" ".join(s for s, _ in seen.tokens)) else None
    if column is None or not seen.tokens:
        return
    wanted = [address for _, some in seen.tokens for address in some]
    names = " or ".join(symbol for symbol, _ in seen.tokens)
    verb = "called" if subject == "transactions" else "of"
    yield Condition(
        f"{column} IN ({', '.join(repr(one) for one in wanted)})", f"{verb} {names} ({', '.join(wanted)})"
    )


_UNITS = {
    "eth": ("value", 18),
    "ether": ("value", 18),
    "gwei": ("effective_gas_price", 9),
    "gas": ("gas_used", 0),
    "logs": ("logs", 0),
    "events": ("logs", 0),
}


def _of_amounts(subject: str, seen: Named) -> Iterator[Condition]:
    for sign, number, unit in seen.amounts:
        said = f"{sign} {number} {unit}".strip()
        if subject == "transactions" and unit.lower() in _UNITS:
            column, scale = _UNITS[unit.lower()]
            raw = int(number.scaleb(scale))
            yield Condition(f"{column} {sign} {raw}", f"with {column.replace('_', ' ')} {said}")
        elif subject in ("transfers", "approvals"):
            places = max(-int(number.as_tuple().exponent), 0)
            digits = int(number.scaleb(places))
            zeros = f"repeat('0', greatest(decimals - {places}, 0)::INTEGER)"
            yield Condition(f"value {sign} ('{digits}' || {zeros})::BIGNUM", f"of {said}")


def of_addresses(seen: Named, subject: str, known: Known) -> Iterator[Condition]:
    """The part that each address plays, by the words before it in the question."""
    parts = SUBJECTS[subject]
    token = {"transfers": "token_address", "approvals": "address", "logs": "address"}.get(subject)
    for at, address in enumerate(seen.addresses):
        if not address:
            continue
        found = re.search(rf"((?:\S+\s+){{0,4}})ADDRESS{at}\b", seen.rest)
        lead = found[1].lower() if found else ""
        if token and address in known.tokens and not re.search(rf"\b(?:{_GIVES}|{_TAKES})\s+$", lead):
            yield Condition(f"{token} = '{address}'", f"of token {address}")
            continue
        after = re.search(
            rf"ADDRESS{at}\s+(?:(receiv|get|got|gain)|(send|sent|sell|sold|giv|gave|pay|paid))", seen.rest
        )
        gives = [m.end() for m in re.finditer(rf"\b{_GIVES}\b", lead)]
        takes = [m.end() for m in re.finditer(rf"\b{_TAKES}\b", lead)]
        about = [m.end() for m in re.finditer(rf"\b{_OF}\b", lead)]
        last = max([*gives, *takes, *about], default=0)
        columns, verb = parts.about, "of" if subject == "logs" else "with"
        if subject == "logs":
            pass
        elif after:
            columns, verb = (parts.taker, "to") if after[1] else (parts.giver, "from")
        elif last and last in gives:
            columns, verb = parts.giver, "from"
        elif last and last in takes:
            columns, verb = parts.taker, "to"
        yield Condition(" OR ".join(f"{column} = '{address}'" for column in columns), f"{verb} {address}")
