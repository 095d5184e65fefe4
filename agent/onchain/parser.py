"""Reads a question about a chain as typed queries; each word is consumed, or the question is declined."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import cast

from agent.onchain.clauses import ELSEWHERE, clauses_of
from agent.onchain.columns import SubjectName
from agent.onchain.lexer import Blocks, Known, Token, tokens
from agent.onchain.measures import TOLD, Measured, measure
from agent.onchain.names import Item, KindOf, is_a
from agent.onchain.phrases import Phrases
from agent.onchain.query import EVERYTHING, Compare, Condition, Not, Related, both
from agent.onchain.terms import Declined, Term

_DETAILS = frozenset(
    [
        "quantity",
        "which",
        "column",
        "verb",
        "from",
        "to",
        "pronoun",
        "function",
        "and",
        "unit",
        "raw",
        "with",
        "aggregate",
        "by",
        "distinct",
    ]
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a question. queries: with the party whose flows are asked for, `swap`, or none.

    rest: clauses that ask other sources; corrected: misspelt words, and what they were read as.
    """

    queries: tuple[Measured, ...]
    rest: tuple[str, ...] = ()
    corrected: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Context:
    """What earlier clauses said."""

    blocks: Blocks = ()
    subject: SubjectName | None = None
    where: Condition = EVERYTHING
    found: list[Measured] = field(default_factory=list)


def read(question: str, known: Known, kind_of: KindOf) -> Reading | None:
    """What a question asks of a chain's tables; None where it asks other sources only.

    Raises Declined where it is about these tables, but is not understood as a whole or asks for what they do
    not hold.
    """
    rest: list[str] = []
    corrected: dict[str, str] = {}
    context = _Context()
    for clause in clauses_of(question):
        if ELSEWHERE.search(clause):
            rest.append(clause)
            continue
        found = tokens(clause, known)
        corrected |= {one.text: one.kinds["misspelt"] for one in found if "misspelt" in one.kinds}
        _clause(found, known, kind_of, context)
    return Reading(tuple(context.found), tuple(rest), tuple(corrected.items())) if context.found else None


def _clause(found: list[Token], known: Known, kind_of: KindOf, context: _Context) -> None:
    if beyond := next((one for one in found if _is_beyond(one)), None):
        raise Declined(
            f'this asks about {beyond.kinds["beyond"]} ("{beyond.text}"), which the tables of blocks,'
            " transactions, logs and transfers do not say"
        )
    found = _labelled(found)
    if unknown := [one for one in found if not one.kinds]:
        raise Declined(_not_understood(unknown))
    if context.found and _is_detail(found, context.found[-1]):
        return
    scopes = [one for one in found if "scope" in one.kinds]
    missing = [n for one in scopes for span in one.blocks for n in span if not known.first <= n <= known.last]
    if missing:
        held = f"blocks {known.first} to {known.last}" if known.first < known.last else f"block {known.first}"
        raise Declined(
            f"the library holds {held} of {known.chain}, not {', '.join(map(str, dict.fromkeys(missing)))}"
        )
    items = [one for one in found if set(one.kinds) != {"function"} or one.text.lower() == "whose"]
    phrases = Phrases([one for one in items if isinstance(one, Token)], known, kind_of)
    reading = _queries(phrases.items, known, context)
    context.found.append(reading)
    context.blocks = reading.query.blocks
    context.subject, context.where = reading.query.subject, reading.query.where


_LABELS = frozenset(
    ("router", "pool", "pair", "vault", "wallet", "exchange", "bridge", "v1", "v2", "v3", "v4", "v5", "proxy")
)


def _labelled(found: list[Token]) -> list[Token]:
    """The tokens without the words that only label an address after them: `the Universal Router 0xef1c…`."""
    kept: list[Token] = []
    for one in found:
        if "address_value" in one.kinds:
            if kept and kept[-1].text == "(":
                kept.pop()
            while kept and (
                kept[-1].text.lower() in _LABELS
                or "standard_value" in kept[-1].kinds
                or (not kept[-1].kinds and not kept[-1].text.islower())
            ):
                kept.pop()
        kept.append(one)
    return kept


def _is_beyond(one: Token) -> bool:
    return "beyond" in one.kinds and "arguments" not in one.kinds


def _not_understood(some: list[Token]) -> str:
    words = list(dict.fromkeys(one.text for one in some))
    if symbol := next((word for word in words if re.fullmatch(r"[A-Z][A-Z0-9]{1,9}", word)), None):
        return f"no token or event by the name of {symbol} is known in the library; name it by its address"
    return f"these words were not understood: {', '.join(words)}"


def _is_detail(found: list[Token], shown: Measured) -> bool:
    """Whether a further clause only asks for details of rows that are shown whole: `and to whom?`."""
    before = shown.query
    rows = before.measure == "rows" or before.group is not None
    idle = (
        *_DETAILS,
        "misspelt",
        *(("adjective", "subject") if rows else ()),
        *(("swap",) if shown.swap else ()),
    )
    told = all(one.kinds["column"] in TOLD[before.subject] for one in found if set(one.kinds) & {"column"})
    return (
        told
        and all(set(one.kinds) & set(idle) for one in found)
        and any(
            is_a(one, "quantity", "which", "adjective", "aggregate", *(("column",) if rows else ()))
            for one in found
        )
    )


def _queries(items: list[Item], known: Known, context: _Context) -> Measured:
    """The query of one clause, for the first subject that all of its words fit."""
    faults: list[str] = []
    for subject in _subjects(items, context):
        try:
            return _built(list(items), subject, known, context)
        except Declined as fault:
            faults.append(str(fault))
        except ValueError as fault:
            faults.append(_plainly(fault))
    faults.sort(key=lambda one: "does not fit" in one)
    raise Declined(faults[0] if faults else "it does not say which rows it is about")


def _plainly(fault: ValueError) -> str:
    return str(fault).replace("\n", " ").partition("Value error, ")[2].partition(" [type")[0] or str(fault)


_OF_LOGS = ("log_index", "topic", "topics", "event", "standard", "owner", "spender")


def head_of(items: list[Item]) -> SubjectName | None:
    """What the rows are, as the first noun says it that is not counted for each of another."""
    nouns = [at for at, one in enumerate(items) if is_a(one, "subject")]
    if not nouns:
        return None
    own = [at for at in nouns if not is_a(items[at - 1] if at else None, "each")] or nouns
    return _subject_at(items, own[0])


def _subjects(items: list[Item], context: _Context) -> list[SubjectName]:
    """The subjects to try, best first."""
    kinds = {kind for one in items if isinstance(one, Token) for kind in one.kinds}
    head = head_of(items)
    if any(isinstance(one, Token) and one.kinds.get("events_value") for one in items) and head in (
        None,
        "logs",
    ):
        return ["logs"]
    if head == "blocks":
        return ["blocks", "transactions", "logs", "transfers"]
    if head:
        return [head]
    if any(
        isinstance(one, Token) and (one.kinds.get("column") in _OF_LOGS or "argument" in one.kinds)
        for one in items
    ):
        return ["logs", "transactions"]
    if context.subject and not any(isinstance(one, Term) for one in items):
        return [context.subject, "blocks", "transactions"]
    if (
        "aggregate" in kinds
        or "superlative" in kinds
        or "distinct" in kinds
        or any(isinstance(one, Term) for one in items)
    ):
        order: list[SubjectName] = ["transactions", "transfers", "logs", "blocks"]
        concepts = {one.kinds.get("column") for one in items if isinstance(one, Token)}
        if concepts & {"base_fee", "size", "miner", "fullness", "parent_hash"}:
            order = ["blocks", "transactions"]
        return order
    return ["blocks", "transactions", "transfers", "logs"]


@dataclass(slots=True)
class _Sorted:
    """The items of a clause: terms before and after its noun, those of related rows, and what is left."""

    before: list[Term] = field(default_factory=list)
    after: list[Term] = field(default_factory=list)
    related: list[Condition] = field(default_factory=list)
    left: list[Item] = field(default_factory=list)


def _built(items: list[Item], subject: SubjectName, known: Known, context: _Context) -> Measured:
    blocks, word, items = _scope(items, context)
    sorted_ = _sort(items, subject)
    symbols = _tokens_of([*sorted_.before, *sorted_.after])
    before = both(*(_resolved(one, subject, symbols) for one in sorted_.before))
    after = both(*(_resolved(one, subject, symbols) for one in sorted_.after), *sorted_.related)
    if any(is_a(one, "pronoun") for one in sorted_.left) and context.found and context.subject == subject:
        before = both(context.where, before)
    return measure(sorted_.left, subject, before, after, blocks, word, known)


def _scope(items: list[Item], context: _Context) -> tuple[Blocks, str, list[Item]]:
    """The blocks that a clause names, how it names them, and its other items."""
    scopes = [one for one in items if isinstance(one, Token) and "scope" in one.kinds]
    rest = [one for one in items if not (isinstance(one, Token) and "scope" in one.kinds)]
    if not scopes:
        return context.blocks, "", rest
    blocks = tuple(dict.fromkeys(span for one in scopes for span in one.blocks))
    word = next((one.kinds["scope"] for one in scopes if one.kinds["scope"]), "")
    return blocks, word, _between_scopes(items)


def _between_scopes(items: list[Item]) -> list[Item]:
    """The items without those that only join two blocks: `from block 1 to block 2`, `than block 2`."""
    kept: list[Item] = []
    for at, one in enumerate(items):
        after = items[at + 1] if at + 1 < len(items) else None
        if is_a(one, "scope"):
            if kept and is_a(kept[-1], "only"):
                kept.append(Token("only", {"only_in": "", "function": ""}))
            continue
        if is_a(one, "from", "to", "range", "and", "or", "by") and is_a(after, "scope"):
            continue
        if is_a(one, "negation") and is_a(after, "scope"):
            kept.append(Token(one.text, {"only_in": ""}))
            continue
        kept.append(one)
    return kept


def _tokens_of(some: list[Term]) -> tuple[str, ...]:
    """The one token that the terms name, by its addresses."""
    for one in some:
        if one.concept == "token":
            try:
                found = one.resolve("transfers", ())
            except Declined:
                continue
            if isinstance(found, Compare):
                return found.values
    return ()


def _resolved(term: Term, subject: SubjectName, symbols: tuple[str, ...]) -> Condition:
    found = term.resolve(subject, symbols)
    if found is None:
        raise Declined(f'"{term.text}" does not fit {subject}')
    return found


def _sort(items: list[Item], subject: SubjectName) -> _Sorted:
    """Terms to the noun that they belong to; those of rows of another kind become related conditions."""
    nouns = [at for at, one in enumerate(items) if is_a(one, "subject")]
    own = [at for at in nouns if _subject_at(items, at) == subject]
    other = [at for at in nouns if _subject_at(items, at) != subject and _relates(items, at, subject)]
    other = [at for at in other if own and own[0] < at]
    head = own[0] if own else len(items)
    found = _Sorted()
    starts = {_start(items, at): at for at in other}
    at = 0
    while at < len(items):
        if at in starts:
            at = _relate(
                items,
                at,
                starts[at],
                min([one for one in starts if one > at], default=len(items)),
                found,
            )
            continue
        one = items[at]
        if isinstance(one, Term):
            (found.before if at < head else found.after).append(one)
        else:
            found.left.append(one)
        at += 1
    return found


def _start(items: list[Item], noun: int) -> int:
    """Where the phrase of a related noun begins: its terms, `no` or `at least one`, and what joins it."""
    at = noun
    while at and isinstance(items[at - 1], Term):
        at -= 1
    one = items[at - 1]
    two = items[at - 2]
    if isinstance(one, Token) and one.number == 1 and isinstance(two, Token) and two.value("compare") == ">=":
        at -= 2
    elif isinstance(one, Token) and one.value("negation") in ("no", "not"):
        at -= 1
    while at and is_a(items[at - 1], "by", "from", "with", "and") and not is_a(items[at - 1], "subject"):
        at -= 1
    return at


def _relate(items: list[Item], start: int, noun: int, end: int, found: _Sorted) -> int:
    """Makes one related condition of a noun and its terms; returns where it ends."""
    related = _subject_at(items, noun)
    inner = [one for one in items[start:end] if isinstance(one, Term)]
    negative = any(is_a(one, "negation") for one in items[start:noun])
    found.left += [one for one in items[noun + 1 : end] if not isinstance(one, Term)]
    symbols = _tokens_of(inner)
    fitting: list[Condition] = []
    for one in inner:
        condition = _fitting(one, related, symbols)
        if condition is None:
            found.after.append(one)
        else:
            fitting.append(condition)
    condition = Related(related=related, where=both(*fitting) if fitting else EVERYTHING)
    found.related.append(Not(negated=condition) if negative else condition)
    return end


def _fitting(term: Term, subject: SubjectName, symbols: tuple[str, ...]) -> Condition | None:
    try:
        return term.resolve(subject, symbols)
    except Declined:
        return None


def _subject_at(items: list[Item], at: int) -> SubjectName:
    one = items[at]
    return cast("SubjectName", one.value("subject")) if isinstance(one, Token) else "transactions"


def _relates(items: list[Item], at: int, subject: SubjectName) -> bool:
    """Whether a noun names rows of the same transaction, rather than what is counted or grouped by."""
    if "blocks" in (subject, _subject_at(items, at)):
        return False
    before = items[at - 1] if at else None
    return not is_a(before, "superlative", "each", "quantity", "compare", "difference", "share", "aggregate")
