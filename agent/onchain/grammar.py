"""Reads a question: what it names, and for each of its clauses the subject, the aggregate, and the conditions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from agent.onchain import lexicon as lex
from agent.onchain.asked import Absent, Aggregate, Asked, Condition, Known, Measure
from agent.onchain.compose import SUBJECTS
from agent.onchain.entities import ETHER, Named, named, outside, period, words

UNLIMITED = 2**256 - 1
ZERO = "0x" + "0" * 40
_CLAUSES = re.compile(
    r"[?;]|\.(?=\s)|(?:,\s*|\s+)(?:and|out of)\s+(?=(?:which|how|what|who|when|where|the|its|their)\b)",
    re.IGNORECASE,
)
_TOP = re.compile(
    r"\b(?:top|first|last|largest|biggest|highest|smallest|lowest)\s+(\d+|two|three|four|five|ten)\b", re.I
)
_FIGURES = {"two": 2, "three": 3, "four": 4, "five": 5, "ten": 10}
_GIVES = r"(?:from|by|sender|owner|deployer|senders|sent|payer|did|does|has|of the sender)"
_TAKES = r"(?:to|into|for|spender|receiver|recipient|receives?|received|called|calls?|calling|towards?|router|with)"
_OF = r"(?:contract|token|pool|pair|at|of|in|emitted|collection|through)"

KindOf = Callable[[str], str]
"""Whether 32 bytes name a `transaction`, a `block`, or an event's first `topic`; empty: nothing known."""


def read(question: str, known: Known, kind_of: KindOf) -> list[Asked] | Absent | None:
    """What a question asks for; None where it is no question of this grammar; Absent where nothing is there."""
    seen = named(question, known)
    asking, told = _sentences(seen.rest)
    found: list[Asked] = []
    for clause in asking:
        one = _clause(clause, _within(seen, f"{told} {clause}"), known, kind_of, found[0] if found else None)
        if one is not None:
            found.append(one)
    if not found:
        return None
    if (missing := outside(seen, known)) and seen.blocks:
        what = ", ".join(map(str, missing))
        return Absent(f"the library holds blocks {known.first} to {known.last} of {known.chain}, not {what}")
    for digest in seen.hashes:
        if not kind_of(digest) and not lex.NAMED_HASH.search(seen.rest):
            return None
        if not kind_of(digest):
            return Absent(f"no transaction, block or event {digest} is in the library")
    return found


def _sentences(text: str) -> tuple[list[str], str]:
    """The clauses that ask, and what the other sentences tell."""
    sentences = [one.strip() for one in re.split(r"(?<=[?.;!])\s+", text) if one.strip(" ?.;!")]
    asking = [one for one in sentences if one.endswith("?") or lex.ASKS.match(one)] or sentences
    clauses = [part.strip() for one in asking for part in _CLAUSES.split(one) if part and part.strip(" .!")]
    return clauses, " ".join(one for one in sentences if one not in asking)


def _within(seen: Named, text: str) -> Named:
    """What is named in one clause, or in what the question tells beforehand."""
    return replace(
        seen,
        tokens=tuple(one for at, one in enumerate(seen.tokens) if re.search(rf"\bTOKEN{at}\b", text)),
        addresses=tuple(
            a if re.search(rf"\bADDRESS{at}\b", text) else "" for at, a in enumerate(seen.addresses)
        ),
        amounts=seen.amounts if "AMOUNT" in text else (),
    )


def _clause(clause: str, seen: Named, known: Known, kind_of: KindOf, before: Asked | None) -> Asked | None:
    """What one clause asks for. before: what the clause before it did, which `of them` refers to."""
    inherits = bool(before and lex.OF_THEM.search(clause))
    if before and not inherits and lex.ANAPHORA.search(clause):
        return None
    subject = before.subject if before and inherits else _subject(clause, seen, known)
    if subject is None or (before and not inherits and not _own_subject(clause, subject)):
        return None
    aggregate = _aggregate(clause, seen, subject)
    if aggregate is None:
        return None
    places, within = period(seen, known)
    conditions = [*places, *_hashes(seen, subject, kind_of)]
    own = list(_conditions(clause, subject, seen, known))
    if inherits and before:
        if not own or all(one in before.conditions for one in own):
            return None
        conditions, own = list(before.conditions), [one for one in own if one not in before.conditions]
        aggregate = "list"
    else:
        own += [one for one in _addresses(clause, seen, subject, known) if aggregate != "net"]
    asked = Asked(
        subject,
        aggregate,
        tuple(dict.fromkeys([*conditions, *own])),
        within=within,
        party=next((one for one in seen.addresses if one), None),
        transaction=next((one for one in seen.hashes if kind_of(one) == "transaction"), None),
        anchored=seen.anchored or bool(lex.IN_THE_LIBRARY.search(seen.rest)),
        unread=tuple(_unread(clause, known)),
        top=_top(clause),
    )
    return _shaped(asked, clause, seen)


def _subject(clause: str, seen: Named, known: Known) -> str | None:
    token = bool(seen.tokens) or bool({*seen.addresses} & known.tokens)
    if lex.AGGREGATES[0][1].search(clause) and any(seen.addresses) and not ETHER.search(clause):
        return "transfers"
    if lex.SWAPS.search(clause) and seen.hashes:
        return "transfers"
    if lex.CREATIONS.search(clause):
        return "transactions"
    if lex.APPROVALS.search(clause) and not re.search(r"\bapprov\w+ calls?\b", clause):
        return "approvals"
    if _event(clause, known) or (lex.LOGS.search(clause) and not _of_transactions(clause)):
        return "logs"
    if lex.FAILED.search(clause) or _of_transactions(clause):
        return "transactions"
    if lex.TRANSFERS.search(clause) and (token or not ETHER.search(clause) or lex.NFTS.search(clause)):
        return "transactions" if re.search(r"\bvalue\b", clause) and not token else "transfers"
    if lex.BLOCK_WORDS.search(clause):
        return "blocks"
    if ETHER.search(clause) or lex.TRANSACTIONS.search(clause) or seen.hashes or seen.selectors:
        return "transactions"
    if token and seen.anchored:
        return "transfers"
    return None


def _own_subject(clause: str, subject: str) -> bool:
    """Whether a later clause says its subject itself, so that it asks for a thing of its own."""
    said = {
        "transfers": lex.TRANSFERS,
        "approvals": lex.APPROVALS,
        "logs": lex.LOGS,
        "blocks": lex.BLOCK_WORDS,
        "transactions": lex.TRANSACTIONS,
    }[subject]
    return bool(said.search(clause)) and any(p.search(clause) for _, p in lex.AGGREGATES[:-1])


def _of_transactions(clause: str) -> bool:
    """Whether transactions are what is looked for, whatever else they are measured by."""
    return bool(
        re.search(
            r"\b(?:which|what|how many|number of|count(?: of)?(?: the)?|average|list|any|distinct|unique|failed|legacy"
            r"|single|one|type[- ]\d)\s+(?:\w+[\s-]){0,3}?(?:transactions?|txs?|txns?)\b",
            clause,
            re.IGNORECASE,
        )
    )


def _event(clause: str, known: Known) -> str | None:
    """The event that a clause names, as `Swap events`, `swaps`, `Sync`; approvals and transfers aside."""
    for word in re.findall(r"[A-Za-z]\w+", clause):
        for name in known.events:
            if name in ("Transfer", "Approval"):
                continue
            plural = word.lower() in (f"{name.lower()}s", f"{name.lower()}es")
            if (
                word == name
                or plural
                or (word.lower() == name.lower() and re.search(r"\bevents?|logs?\b", clause))
            ):
                return name
    return None


def _aggregate(clause: str, seen: Named, subject: str) -> Aggregate | None:
    if subject == "transfers" and seen.hashes and lex.SWAPS.search(clause):
        return "swap"
    clause = lex.UNLIMITED.sub(" ", clause)
    if lex.COUNTS.match(clause) and not lex.AGGREGATES[1][1].search(clause):
        return "count"
    for name, pattern in lex.AGGREGATES:
        if name == "net" and (subject != "transfers" or not any(seen.addresses)):
            continue
        if name == "first" and not re.search(r"\b(?:first|earliest)\b\s+\w", clause, re.IGNORECASE):
            continue
        if pattern.search(clause):
            return name
    return "list" if seen.hashes else None


def _top(clause: str) -> int:
    found = _TOP.search(clause)
    if not found:
        return 1
    said = found[1].lower()
    return min(_FIGURES.get(said) or int(said), 20)


def _hashes(seen: Named, subject: str, kind_of: KindOf) -> Iterator[Condition]:
    columns = {"transaction": "transaction_hash", "block": "block_hash", "topic": "topic0"}
    for one in seen.hashes:
        kind = kind_of(one)
        if kind == "topic" and subject != "logs":
            continue
        if kind and not (kind == "transaction" and subject == "blocks"):
            yield Condition(
                f"{columns[kind]} = '{one}'", f"in {kind} {one}" if kind != "topic" else f"with topic {one}"
            )


def _conditions(clause: str, subject: str, seen: Named, known: Known) -> Iterator[Condition]:
    """What the words of a clause require of its subject."""
    if subject == "transactions":
        yield from _of_transaction(clause, seen)
    if subject == "approvals":
        if lex.UNLIMITED.search(clause):
            yield Condition(
                f"value = {UNLIMITED}::BIGNUM".replace(str(UNLIMITED), f"'{UNLIMITED}'"), "unlimited"
            )
        elif lex.REVOKED.search(clause):
            yield Condition("value = '0'::BIGNUM", "of zero")
    if subject == "transfers":
        if lex.MINTED.search(clause):
            yield Condition(f"from_address = '{ZERO}'", "minted")
        if lex.BURNED.search(clause):
            yield Condition(f"to_address = '{ZERO}'", "burned")
        if lex.NFTS.search(clause):
            yield Condition("token_id IS NOT NULL", "of ERC-721 tokens")
        elif lex.FUNGIBLE.search(clause):
            yield Condition("value IS NOT NULL", "of ERC-20 tokens")
    if subject == "logs":
        if name := _event(clause, known):
            yield Condition(f"event = '{name}'", f"of {name}")
        elif re.search(r"\b(?:Transfer|Approval)s?\b", clause):
            name = "Transfer" if "Transfer" in clause else "Approval"
            yield Condition(f"event = '{name}'", f"of {name}")
        if re.search(r"\b(?:not decoded|undecoded|unknown)\b", clause):
            yield Condition("event IS NULL", "not decoded")
    yield from _of_tokens(subject, seen)
    yield from _amounts(subject, seen)


def _of_transaction(clause: str, seen: Named) -> Iterator[Condition]:
    if lex.FAILED.search(clause):
        yield Condition("status = 0", "failed")
    elif lex.SUCCEEDED.search(clause):
        yield Condition("status = 1", "succeeded")
    if lex.CREATIONS.search(clause):
        yield Condition("to_address IS NULL", "created a contract")
    if lex.PLAIN.search(clause) and not seen.tokens and not lex.CREATIONS.search(clause):
        yield Condition("input = '0x' AND value > 0", "only sent ETH, without call data")
    for pattern, kind in lex.TYPES:
        if pattern.search(clause):
            yield Condition(f"transaction_type = {kind}", f"were of type {kind}")
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


def _amounts(subject: str, seen: Named) -> Iterator[Condition]:
    for sign, number, unit in seen.amounts:
        said = f"{sign} {number} {unit}".strip()
        lower = unit.lower()
        if subject == "transactions" and lower in ("eth", "ether", "gwei", "gas", "logs", "events"):
            column, scale = {
                "eth": ("value", 18), "ether": ("value", 18), "gwei": ("effective_gas_price", 9),
                "gas": ("gas_used", 0), "logs": ("logs", 0), "events": ("logs", 0),
            }[lower]  # fmt: skip
            yield Condition(
                f"{column} {sign} {int(number.scaleb(scale))}", f"with {column.replace('_', ' ')} {said}"
            )
        elif subject in ("transfers", "approvals") and number == int(number):
            raw = f"CASE WHEN decimals IS NULL THEN NULL ELSE ('{int(number)}' || repeat('0', decimals::INTEGER))::BIGNUM END"
            yield Condition(f"value {sign} {raw}", f"of {said}")
        elif subject in ("transfers", "approvals"):
            shift = -int(number.as_tuple().exponent)
            digits = int(number.scaleb(shift))
            raw = f"('{digits}' || repeat('0', greatest(decimals - {shift}, 0)::INTEGER))::BIGNUM"
            yield Condition(f"value {sign} {raw}", f"of {said}")


def _addresses(clause: str, seen: Named, subject: str, known: Known) -> Iterator[Condition]:
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
        gives = [m.end() for m in re.finditer(rf"\b{_GIVES}\b", lead)]
        takes = [m.end() for m in re.finditer(rf"\b{_TAKES}\b", lead)]
        about = [m.end() for m in re.finditer(rf"\b{_OF}\b", lead)]
        last = max([*gives, *takes, *about], default=0)
        columns, verb = parts.about, "of" if subject == "logs" else "with"
        if subject == "logs":
            pass
        elif last and last in gives:
            columns, verb = parts.giver, "from"
        elif last and last in takes:
            columns, verb = parts.taker, "to"
        yield Condition(" OR ".join(f"{column} = '{address}'" for column in columns), f"{verb} {address}")


def _unread(clause: str, known: Known) -> Iterator[str]:
    """The words of a clause that nothing in the grammar reads."""
    rest = clause
    for pattern in _ALL:
        rest = pattern.sub(" ", rest)
    events = {name.lower() for name in known.events}
    marks = {"blocks", "day", "hash", "selector", "amount"}
    for word in words(rest):
        stem = word.removesuffix("'s").removesuffix("s")
        if not {word, stem} & (lex.STOP | marks | events) and not re.fullmatch(r"(?:address|token)\d*", word):
            yield word


_ALL = [
    *(pattern for _, pattern in lex.AGGREGATES),
    *(pattern for _, pattern, _ in lex.MEASURES),
    *(pattern for pattern, _ in lex.GROUPS),
    *(pattern for pattern, _ in lex.TYPES),
    *(pattern for pattern, _, _ in lex.CALLS),
    *(lex.BLOCK_WORDS, lex.SWAPS, lex.APPROVALS, lex.TRANSFERS, lex.LOGS, lex.TRANSACTIONS, lex.CREATIONS),
    *(lex.FAILED, lex.SUCCEEDED, lex.UNLIMITED, lex.REVOKED, lex.MINTED, lex.BURNED, lex.NFTS, lex.FUNGIBLE),
    *(lex.PLAIN, lex.ANAPHORA, lex.IN_THE_LIBRARY),
]


def _shaped(asked: Asked, clause: str, seen: Named) -> Asked | None:
    """The same with its measure, and with the column that it groups by, as its aggregate needs them."""
    measure = _measure(asked, clause)
    group = _group(asked.subject, clause)
    if asked.aggregate == "distinct":
        return replace(asked, group=group or SUBJECTS[asked.subject].giver[0])
    if asked.aggregate in ("max", "min"):
        return _ranked(asked, clause, measure, group)
    if asked.aggregate in ("sum", "average"):
        if asked.subject == "approvals" or (asked.subject == "logs"):
            return replace(asked, aggregate="count") if asked.aggregate == "sum" else None
        if measure is None and asked.subject != "transfers":
            return replace(asked, aggregate="count") if asked.aggregate == "sum" else None
        return replace(asked, measure=measure or Measure("value", "value"))
    if asked.aggregate in ("count", "list") and (by := lex.BY_EACH.search(clause)):
        return replace(asked, group=_group(asked.subject, clause[by.end() :]), top=20)
    return replace(asked, measure=measure)


def _ranked(asked: Asked, clause: str, measure: Measure | None, group: str | None) -> Asked | None:
    """The best row, or the best group where something is counted or added up for each."""
    own = {"transactions": "transaction_hash", "blocks": "block_number"}.get(asked.subject)
    counts = re.search(
        r"\b(?:most|fewest|highest number of|largest number of|top|least)\s+(?:\w+\s+){0,2}?"
        r"(?:transactions?|txs?|transfers?|approvals?|logs?|events?|often|frequent\w*|times|swaps?|calls?|deposits?)\b"
        r"|\b(?:sent|made|called|used|active|frequently|transferred|moved|emitted|approved|common|popular)\s+most\b"
        r"|\bmost\s+(?:\w+ )?(?:active|used|called|common|popular|often|transferred|approved|emitted|frequent)\b",
        clause,
        re.IGNORECASE,
    )
    if asked.subject == "blocks":
        return replace(asked, measure=measure or Measure("gas_used", "gas used", None, "gas"))
    if counts and group and group != own:
        return replace(asked, group=group)
    if asked.subject == "logs":
        return replace(asked, group=group or "address") if counts or group else None
    if (
        group
        and group != own
        and re.search(r"\b(?:total|sum|volume|altogether|in all|combined)\b", clause, re.I)
    ):
        return replace(asked, group=group, measure=measure or Measure("value", "value", 18))
    if asked.subject == "transactions":
        return replace(asked, measure=measure or Measure("value", "value", 18))
    return replace(asked, measure=Measure("value", "value"))


def _measure(asked: Asked, clause: str) -> Measure | None:
    if asked.subject not in ("transactions", "blocks"):
        return None
    for subject, pattern, measure in lex.MEASURES:
        if subject == asked.subject and pattern.search(clause):
            return measure
    return None


def _group(subject: str, clause: str) -> str | None:
    parts = SUBJECTS[subject]
    columns = {
        "giver": parts.giver[0],
        "taker": parts.taker[0],
        "token": {"transfers": "token_address", "approvals": "address", "logs": "address"}.get(subject),
        "contract": {"transfers": "token_address", "transactions": "to_address"}.get(subject, "address"),
        "event": "event" if subject == "logs" else None,
        "selector": "selector" if subject == "transactions" else None,
        "block": "block_number",
        "transaction": "transaction_hash",
    }
    focus = re.search(
        r"\b(?:which|what|who|distinct|different|unique|top(?: \d+)?|most active)\b(.*)", clause, re.I
    )
    for text in ((focus[0] if focus else ""), clause):
        best: tuple[int, str] | None = None
        for pattern, part in lex.GROUPS:
            found = pattern.search(text)
            column = columns[part]
            if found and column and (best is None or found.start() < best[0]):
                best = (found.start(), column)
        if best:
            return best[1]
    return None
