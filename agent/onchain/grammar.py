"""Reads a question: what it names, and for each clause the subject, the aggregate, the conditions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from agent.onchain import lexicon as lex
from agent.onchain.asked import Absent, Aggregate, Asked, Known, Measure, Reading
from agent.onchain.compose import SUBJECTS
from agent.onchain.conditions import KindOf, event_named, of_addresses, of_hashes, of_words
from agent.onchain.entities import ETHER, Named, named, outside, period, words

_CLAUSES = re.compile(
    r"[?;]|\.(?=\s)|,\s*(?=(?:how|what)\b)"
    r"|(?:,\s*|\s+)(?:and|out of)\s+(?=(?:which|how|what|who|when|where|the|its|their)\b)",
    re.IGNORECASE,
)
_TOP = re.compile(
    r"\b(?:top|first|last|largest|biggest|highest|smallest|lowest|which)\s+(\d+|two|three|four|five|ten)\b",
    re.IGNORECASE,
)
_PLACE = re.compile(r"\b(?:BLOCKS|DAY|HASH|SELECTOR|ADDRESS\d+|TOKEN\d+)\b")
"""Marks of what a clause names on a chain; one without, that has unknown words, asks for something else."""

_FIGURES = {"two": 2, "three": 3, "four": 4, "five": 5, "ten": 10}


def read(question: str, known: Known, kind_of: KindOf) -> Reading | Absent | None:
    """What a question asks for; None where it is none of this grammar; Absent where nothing is there."""
    seen = named(question, known)
    anchored = seen.anchored or bool(lex.IN_THE_LIBRARY.search(seen.rest))
    if lex.NOT_COMPUTED.search(seen.rest) or (
        not anchored and (lex.GENERAL.search(seen.rest) or not (seen.tokens or seen.amounts))
    ):
        return None
    asking, told = _sentences(seen.rest)
    found: list[Asked] = []
    read_at: list[int] = []
    for at, clause in enumerate(asking):
        one = _clause(clause, _within(seen, f"{told} {clause}"), known, kind_of, found[0] if found else None)
        if one is not None and (len(asking) == 1 or not one.unread or _PLACE.search(clause)):
            found.append(one)
            read_at.append(at)
    if not found:
        return None
    if (missing := outside(seen, known)) and seen.blocks:
        what = ", ".join(map(str, missing))
        return Absent(f"the library holds blocks {known.first} to {known.last} of {known.chain}, not {what}")
    if unknown := [
        one for one in lex.SYMBOL.findall(seen.rest) if one.rstrip("0123456789") not in lex.NO_SYMBOLS
    ]:
        return Absent(
            f"no token with the symbol {unknown[0]} is known in the library; name it by its address"
        )
    for digest in seen.hashes:
        if not kind_of(digest) and not lex.NAMED_HASH.search(seen.rest):
            return None
        if not kind_of(digest):
            return Absent(f"no transaction, block or event {digest} is in the library")
    own, _ = _sentences(question)
    left = [at for at in range(len(asking)) if at not in read_at and len(own) == len(asking)]
    strange = {at: len(list(_unread(asking[at], known))) for at in left}
    rest = [
        at
        for at in left
        if lex.ELSEWHERE.search(own[at]) or (strange[at] > 1 and not lex.ANAPHORA.search(own[at]))
    ]
    unread = [own[at] for at in left if strange[at] and at not in rest]
    return Reading(tuple(found), tuple(own[at] for at in rest), tuple(unread))


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
    one_thing = lex.ANAPHORA.search(clause) and not lex.PLURAL.search(clause)
    if before and not inherits and not one_thing and (further := _further(clause, seen, before)):
        return further
    if before and not inherits and lex.ANAPHORA.search(clause):
        return None
    subject = before.subject if before and inherits else _subject(clause, seen, known)
    if subject is None or (before and not inherits and not _own_subject(clause, subject)):
        return None
    aggregate = _aggregate(clause, seen, subject)
    if aggregate is None:
        return None
    places, within = period(seen, known)
    conditions = [*places, *of_hashes(seen, subject, kind_of)]
    own = list(of_words(clause, subject, seen, known))
    if inherits and before:
        if not own or all(one in before.conditions for one in own):
            return None
        conditions, own = list(before.conditions), [one for one in own if one not in before.conditions]
        aggregate = "list"
    else:
        own += [one for one in of_addresses(seen, subject, known) if aggregate != "net"]
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
        share=bool(lex.SHARE.search(clause)),
    )
    return _shaped(asked, clause)


def _further(clause: str, seen: Named, before: Asked) -> Asked | None:
    """The same rows asked for another figure, as in `how many swaps, and what total amount`."""
    named_more = re.search(r"\b(?:TOKEN|ADDRESS)\d|\b(?:SELECTOR|AMOUNT)\b", clause)
    aggregate = _aggregate(clause, seen, before.subject)
    if (
        named_more
        or aggregate not in ("sum", "average", "median", "max", "min")
        or _own_subject(clause, before.subject)
    ):
        return None
    if not re.search(r"\b(?:amounts?|values?|volume|gas|fees?|size|sum|total)\b", clause, re.IGNORECASE):
        return None
    found = _shaped(replace(before, aggregate=aggregate, group=None, measure=None, top=1), clause)
    return found if found and found != before and found.aggregate == aggregate else None


def _subject(clause: str, seen: Named, known: Known) -> str | None:
    """The first subject whose words the clause holds; the order settles what words alone do not."""
    token = bool(seen.tokens) or bool({*seen.addresses} & known.tokens)
    address, ether = any(seen.addresses), bool(ETHER.search(clause))
    moved = lex.TRANSFERS.search(clause) and (token or not ether or lex.NFTS.search(clause))
    alone = not address and not seen.hashes
    choices = (
        ("transfers", lex.AGGREGATES[0][1].search(clause) and address and not ether),
        ("transfers", lex.SWAPS.search(clause) and seen.hashes),
        ("blocks", lex.SHARE.search(clause) and lex.GAS_LIMIT.search(clause)),
        ("blocks", lex.MORE_OR_LESS.search(clause) and clause.count("BLOCKS") > 1 and not address),
        ("blocks", lex.BLOCK_ONLY.search(clause) and alone and not _of_transactions(clause)),
        (
            "transfers",
            token and seen.amounts and lex.TRANSFERS.search(clause) and not lex.APPROVALS.search(clause),
        ),
        ("transactions", lex.CREATIONS.search(clause)),
        ("approvals", lex.APPROVALS.search(clause) and not lex.APPROVE_CALLS.search(clause)),
        ("logs", event_named(clause, known) or (lex.LOGS.search(clause) and not _of_transactions(clause))),
        ("transactions", lex.FAILED.search(clause) or _of_transactions(clause)),
        (
            "transactions",
            not token and not lex.OF_TOKENS.search(clause) and (seen.hashes or lex.TXS.search(clause)),
        ),
        ("transactions", moved and not token and re.search(r"\bvalue\b", clause)),
        ("transactions", not token and lex.CALLED.search(clause)),
        ("transfers", moved),
        ("blocks", lex.BLOCK_WORDS.search(clause) and not address),
        ("transactions", ether or lex.TRANSACTIONS.search(clause) or seen.hashes or seen.selectors),
        ("transfers", token and seen.anchored),
    )
    return next((subject for subject, holds in choices if holds), None)


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
    return bool(lex.LOOKED_FOR.search(clause))


def _aggregate(clause: str, seen: Named, subject: str) -> Aggregate | None:
    clause = lex.UNLIMITED.sub(" ", clause)
    if special := _special(clause, seen, subject):
        return special
    for name, pattern in lex.AGGREGATES:
        if pattern.search(clause) and name not in ("net", "change"):
            return name
    return "list" if seen.hashes else "sum" if "BLOCKS" in clause and _measured(subject, clause) else None


def _special(clause: str, seen: Named, subject: str) -> Aggregate | None:
    """The aggregates that only some subjects have."""
    words = dict(lex.AGGREGATES)
    if subject == "transfers" and seen.hashes and lex.SWAPS.search(clause):
        return "swap"
    if subject == "transfers" and any(seen.addresses) and words["net"].search(clause):
        return "net"
    if subject == "blocks" and words["change"].search(clause) and not seen.hashes:
        return "change"
    if subject == "blocks" and (compared := lex.MORE_OR_LESS.search(clause)):
        return "max" if compared["more"] else "min"
    if lex.HOW_MANY_TOKENS.search(clause):
        return "sum"
    return "count" if lex.COUNTS.match(clause) and not words["distinct"].search(clause) else None


def _top(clause: str) -> int:
    found = _TOP.search(clause)
    if not found:
        return 1
    said = found[1].lower()
    return min(_FIGURES.get(said) or int(said), 20)


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


def _shaped(asked: Asked, clause: str) -> Asked | None:
    """The same with its measure, and with the column that it groups by, as its aggregate needs them."""
    measure = _measured(asked.subject, clause)
    group = _group(asked.subject, clause)
    if asked.transaction and asked.subject == "transactions" and asked.aggregate != "distinct":
        kept = tuple(one for one in asked.conditions if one.wide or "transaction_hash" in one.sql)
        return replace(asked, aggregate="list", conditions=kept)
    if asked.aggregate == "change":
        return replace(asked, measure=measure or Measure("gas_used", "gas used", None, "gas"))
    if asked.aggregate == "distinct":
        return replace(asked, group=group or SUBJECTS[asked.subject].giver[0])
    if asked.aggregate in ("max", "min"):
        return _ranked(asked, clause, measure, group)
    if asked.aggregate in ("sum", "average", "median"):
        if measure is None and asked.subject not in ("transfers", "logs"):
            return replace(asked, aggregate="count") if asked.aggregate == "sum" else None
        return replace(asked, measure=measure or Measure("value", "value"))
    if asked.aggregate in ("count", "list") and (by := lex.BY_EACH.search(clause)):
        return replace(asked, group=_group(asked.subject, clause[by.end() :]), top=20)
    everything = asked.aggregate == "list" and all(one.wide for one in asked.conditions)
    if asked.subject == "transactions" and everything and measure:
        return replace(asked, measure=measure, aggregate="average" if measure.decimals == 9 else "sum")
    return replace(asked, measure=measure)


def _ranked(asked: Asked, clause: str, measure: Measure | None, group: str | None) -> Asked | None:
    """The best row, or the best group where something is counted or added up for each."""
    own = {"transactions": "transaction_hash", "blocks": "block_number"}.get(asked.subject)
    if asked.subject == "blocks":
        return replace(asked, measure=measure or Measure("gas_used", "gas used", None, "gas"))
    counts = lex.COUNTED_MOST.search(clause)
    if counts and group and group != own:
        return replace(asked, group=group)
    if asked.subject in ("transfers", "transactions") and not _of_transactions(clause):
        amounts = measure if asked.subject == "transactions" else Measure("value", "value")
        if amounts and amounts.column == "value" and lex.RECEIVED_MOST.search(clause):
            return replace(asked, group=SUBJECTS[asked.subject].taker[0], measure=amounts)
        if amounts and amounts.column == "value" and lex.SENT_MOST.search(clause):
            return replace(asked, group=SUBJECTS[asked.subject].giver[0], measure=amounts)
    if asked.subject == "logs":
        return replace(asked, group=group or "address") if counts or group else None
    if (
        group
        and group != own
        and re.search(r"\b(?:total|sum|volume|altogether|in all|combined)\b", clause, re.IGNORECASE)
    ):
        return replace(asked, group=group, measure=measure or Measure("value", "value", 18))
    if asked.subject == "transactions":
        return replace(asked, measure=measure or Measure("value", "value", 18))
    return replace(asked, measure=Measure("value", "value"))


def _measured(subject: str, clause: str) -> Measure | None:
    """The column that the words name, of transactions and blocks."""
    for one, pattern, measure in lex.MEASURES:
        if one == subject and pattern.search(clause):
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
    focus = lex.FOCUS.search(clause)
    for text in ((focus[0] if focus else ""), clause):
        for groups in (lex.GROUPS, lex.ANYBODY):
            found = [
                (match.start(), column)
                for pattern, part in groups
                if (match := pattern.search(text)) and (column := columns[part])
            ]
            if found:
                return min(found)[1]
    return None
