"""What the rows say, in sentences with exact figures, each with the rows that it rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any

from agent.onchain import compose
from agent.onchain.asked import Asked, Condition, Measure
from agent.onchain.rows import Row, amount, mean, of_token, row_told, token, unit_of
from agent.onchain.sandbox import Result

Run = Callable[[str], Result]
"""Runs one query of ours."""

LISTED = 12
"""Rows that are told one by one."""

_SUMMED = 6


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence and what it rests on.

    rows: to be cited; kinds: the documents that tell them, best first; result: the query, where the rows are
    not all that was counted; query: what is cited where no document tells the rows, as of logs told together.
    """

    text: str
    rows: tuple[Row, ...] = ()
    kinds: tuple[str, ...] = ()
    result: Result | None = None
    query: Result | None = None


def told(asked: Asked, run: Run) -> list[Statement]:
    """The answer to one thing that was asked, the sentence that says most first."""
    ran: list[Result] = []

    def noted(query: str) -> Result:
        ran.append(run(query))
        return ran[-1]

    return [replace(one, query=ran[0]) for one in list(_told(asked, noted))]


def _told(asked: Asked, run: Run) -> Iterator[Statement]:
    if asked.aggregate == "swap":
        return _swapped(asked, run)
    if asked.aggregate == "net":
        return _net(asked, run)
    if asked.aggregate == "distinct":
        return _distinct(asked, run)
    if asked.aggregate == "change" and asked.measure:
        return _compared(asked, asked.measure, run)
    if asked.group and asked.aggregate in ("max", "min", "count", "list"):
        return _grouped(asked, run)
    if asked.aggregate in ("sum", "average", "median") and asked.measure:
        return _added(asked, asked.measure, run)
    if asked.aggregate in ("max", "min") and asked.measure:
        return _ranked(asked, asked.measure, run)
    return _counted(asked, run)


def _counted(asked: Asked, run: Run) -> Iterator[Statement]:
    """How many there are, in each block, and which: for a list, a count, the first and the last."""
    subject = compose.SUBJECTS[asked.subject]
    result = run(compose.counting(asked))
    found, of_all = (int(value) for value in result.rows[0])
    some = any(not one.wide for one in asked.conditions) or asked.aggregate in ("first", "last")
    one_by_one = (asked.aggregate != "count" and some) or 0 < found <= LISTED
    limit = asked.top if asked.aggregate in ("first", "last") else LISTED
    rows = run(compose.listing(asked, limit)).records() if found else []
    said = _said(asked)
    if asked.subject != "blocks" and asked.aggregate not in ("first", "last") and not asked.transaction:
        count = f"{found} of {of_all}" if said else f"{found}"
        match = f" match: {said}" if said else ""
        parts = run(compose.by_block(asked)).rows if found and " to " in asked.within else ()
        each = "; ".join(f"{n} in block {number}" for number, n in parts) if 1 < len(parts) <= 5 else ""
        share = f", {found / of_all * 100:.6g} per cent" if asked.share and of_all and said else ""
        text = (
            f"In {asked.within}, {count} {_nouns(asked, of_all)}{match}{share}{f' ({each})' if each else ''}."
        )
        cited = rows if found <= LISTED else [rows[0], rows[-1]]
        yield Statement(text, tuple(cited), subject.kinds, None if 0 < found <= LISTED else result)
    elif asked.transaction and asked.subject != "transactions" and asked.aggregate == "count":
        only = f", {said}" if said else ""
        text = f"Transaction {asked.transaction} has {found} {_nouns(asked, found)}{only}."
        yield Statement(text, tuple(rows), subject.kinds, None if 0 < found <= LISTED else result)
    elif not found:
        yield Statement(
            f"In {asked.within}, no {subject.noun} matches: {said or 'anything'}.", (), (), result
        )
    if one_by_one and found:
        for row in rows[:LISTED]:
            yield Statement(row_told(asked.subject, row), (row,), subject.kinds)
        if found > len(rows) and asked.aggregate == "list":
            yield Statement(f"{found - len(rows)} more are not listed.", (), (), result)


def _compared(asked: Asked, measure: Measure, run: Run) -> Iterator[Statement]:
    """How a figure of the blocks changed from the first to the last of them."""
    result = run(compose.listing(asked, 100))
    rows = [row for row in result.records() if row[measure.column] is not None]
    if len(rows) > 1:
        first, last = rows[0], rows[-1]
        before, after = int(first[measure.column]), int(last[measure.column])
        change = f", {(after - before) / before * 100:+.6g} per cent" if before else ""
        yield Statement(
            f"From block {first['block_number']} to block {last['block_number']}{_later(first, last)} the"
            f" {measure.name} went from {amount(before, measure)} to {amount(after, measure)}:"
            f" {amount(after - before, measure)}{change}.",
            (first, last),
            ("header",),
        )
    for row in rows[:2]:
        yield Statement(row_told("blocks", row), (row,), ("header",))


def _later(first: Row, last: Row) -> str:
    if not (first["block_timestamp"] and last["block_timestamp"]):
        return ""
    passed = datetime.fromisoformat(last["block_timestamp"]) - datetime.fromisoformat(
        first["block_timestamp"]
    )
    return f", {passed.total_seconds():g} seconds later,"


def _distinct(asked: Asked, run: Run) -> Iterator[Statement]:
    result = run(compose.distinct(asked))
    found, rows = result.rows[0]
    column = _column_name(asked.group or "")
    said = _said(asked)
    only = f" ({said})" if said else ""
    yield Statement(
        f"In {asked.within}, {rows} {_nouns(asked, int(rows))}{only} have {found} different values of"
        f" {column}.",
        result=result,
    )


def _grouped(asked: Asked, run: Run) -> Iterator[Statement]:
    result = run(compose.grouping(asked, max(asked.top, 1) + 4))
    groups = result.records()
    if not groups:
        yield Statement(
            f"In {asked.within}, no {compose.SUBJECTS[asked.subject].noun} matches.", result=result
        )
    best = groups[: asked.top]
    ties = [one for one in groups[asked.top :] if best and one["amount"] == best[-1]["amount"]]
    said = _said(asked)
    for at, one in enumerate(best + ties):
        unit = asked.measure
        if unit and "tokens" in one:
            unit = of_token(
                unit, {"decimals": one["decimals"], "symbol": one["unit"]} if one["tokens"] == 1 else {}
            )
        figure = f"{amount(int(one['amount']), unit)} over {one['rows']}" if unit else str(one["rows"])
        symbol = f" ({one['symbol']})" if one.get("symbol") else ""
        most = (
            ("the fewest" if asked.aggregate == "min" else "the most") if asked.top == 1 else f"rank {at + 1}"
        )
        most = "as many as the one before" if ties and at >= asked.top else most
        only = f", of those that match: {said}" if said else ""
        rank = f", {most}" if asked.aggregate in ("max", "min") else ""
        yield Statement(
            f"In {asked.within}, {_column_name(asked.group or '')} {one['named']}{symbol} has {figure}"
            f" {_nouns(asked, int(one['rows']))}{rank}{only}.",
            tuple(run(compose.listing(_only(asked, one["named"]), 2)).records()),
            compose.SUBJECTS[asked.subject].kinds,
            result,
        )


def _only(asked: Asked, value: Any) -> Asked:
    sql = f"{asked.group} = {value}" if isinstance(value, int) else f"{asked.group} = '{value}'"
    return replace(asked, aggregate="list", conditions=(*asked.conditions, Condition(sql, "")))


def _added(asked: Asked, measure: Measure, run: Run) -> Iterator[Statement]:
    """A sum or an average, of each token apart."""
    result = run((compose.middle if asked.aggregate == "median" else compose.adding)(asked, measure))
    rows = [row for row in result.records() if row["total"] is not None]
    shown = run(compose.listing(asked, LISTED + 1)).records()
    whole = 0 < len(shown) <= LISTED
    said = _said(asked)
    only = f" ({said})" if said else ""
    if not rows:
        yield Statement(
            f"In {asked.within}, no {compose.SUBJECTS[asked.subject].noun} matches: {said}.", result=result
        )
    for row in rows[:_SUMMED]:
        total, count = int(row["total"]), int(row["rows"])
        unit = of_token(measure, row) if asked.subject in compose.TOKEN_COLUMNS else measure
        what = f"value of {token(row)}" if asked.subject in compose.TOKEN_COLUMNS else measure.name
        if asked.aggregate == "sum":
            text = (
                f"In {asked.within}, the total {what} of the {count} {_nouns(asked, count)}{only} is"
                f" {amount(total, unit)}."
            )
        elif asked.aggregate == "median":
            text = (
                f"In {asked.within}, the median {what} of the {row['found']} {_nouns(asked, 2)}{only} is"
                f" {mean(total, count, unit)}."
            )
        else:
            text = (
                f"In {asked.within}, the average {what} of the {count} {_nouns(asked, count)}{only} is"
                f" {total}/{count} = {mean(total, count, unit)}."
            )
        cited = tuple(shown if whole else shown[:1])
        yield Statement(text, cited, compose.SUBJECTS[asked.subject].kinds, None if whole else result)
    if len(rows) > _SUMMED:
        yield Statement(f"{len(rows) - _SUMMED} more tokens are not listed.", result=result)


def _ranked(asked: Asked, measure: Measure, run: Run) -> Iterator[Statement]:
    result = run(compose.ranking(asked, measure))
    rows = result.records()
    if not rows:
        yield Statement(
            f"In {asked.within}, no {compose.SUBJECTS[asked.subject].noun} matches.", result=result
        )
        return
    ties = [row for row in rows[asked.top :] if row[measure.column] == rows[asked.top - 1][measure.column]]
    best = rows[: asked.top] + ties
    said = _said(asked)
    word = {"max": "largest", "min": "smallest"}[asked.aggregate]
    unit = of_token(measure, best[0]) if asked.subject in ("transfers", "approvals") else measure
    count = f"The {asked.top} " if asked.top > 1 else "The "
    shared = f" (shared by {len(ties) + 1})" if ties else ""
    each = "; ".join(
        amount(int(row[measure.column]), of_token(measure, row) if unit is not measure else measure)
        for row in best[: asked.top]
    )
    of = _nouns(asked, 2)
    only = f" ({said})" if said else ""
    text = f"{count}{word} {measure.name} of {of} in {asked.within}{only}: {each}{shared}."
    kinds = compose.SUBJECTS[asked.subject].kinds
    yield Statement(text, tuple(best), ("events",) if measure.column == "logs" else kinds)
    for row in best:
        yield Statement(row_told(asked.subject, row), (row,), kinds)
    several = asked.subject == "transfers" and len({row["token_address"] for row in rows}) > 1
    if several and not any("token_address" in c.sql for c in asked.conditions):
        yield Statement(
            "Raw units of different tokens were compared, for the question names none.", result=result
        )


def _net(asked: Asked, run: Run) -> Iterator[Statement]:
    result = run(compose.flows(asked))
    moves = run(compose.listing(_moving(asked), LISTED)).records()
    if not result.rows:
        yield Statement(
            f"In {asked.within}, {asked.party} neither gave nor received such tokens.", result=result
        )
    for row in result.records()[:_SUMMED]:
        received, given = int(row["received"]), int(row["given"])
        unit, net = of_token(Measure("value", "value"), row), received - given
        word = "gain" if net >= 0 else "loss"
        cited = tuple(move for move in moves if move["token_address"] == row["token_address"])
        yield Statement(
            f"In {asked.within}, {asked.party} received {amount(received, unit)} and gave"
            f" {amount(given, unit)}: a net {word} of {amount(abs(net), unit)}, {token(row)}.",
            cited,
            ("transfers", "events"),
            None if len(moves) < LISTED else result,
        )


def _moving(asked: Asked) -> Asked:
    party = Condition(f"'{asked.party}' IN (from_address, to_address)", "")
    return replace(asked, aggregate="list", conditions=(*asked.conditions, party))


def _swapped(asked: Asked, run: Run) -> Iterator[Statement]:
    """What the sender of a transaction gave and received in it, and the rates."""
    sending = replace(asked, subject="transactions", aggregate="list")
    found = run(compose.listing(_in_transaction(sending), 1)).records()
    if not found:
        return
    sent = found[0]
    moving = replace(_in_transaction(asked), party=sent["from_address"])
    flows = run(compose.flows(moving)).records()
    moves = run(compose.listing(_moving(moving), LISTED)).records()
    gave: list[tuple[int, Measure]] = []
    got: list[tuple[int, Measure]] = []
    for row in flows:
        net = int(row["received"]) - int(row["given"])
        if net:
            (got if net > 0 else gave).append((abs(net), of_token(Measure("value", "value"), row)))
    if int(sent["value"]):
        gave.append((int(sent["value"]), Measure("value", "value", 18)))
    unwrapped = run(compose.unwrapping(asked)).rows[0][0]
    texts = [" and ".join(amount(*one) for one in side) or "no token" for side in (gave, got)]
    rates = f": {_rates(gave[0], got[0])}" if len(gave) == len(got) == 1 else ""
    yield Statement(
        f"In transaction {asked.transaction} (block {sent['block_number']}) the sender"
        f" {sent['from_address']} gave {texts[0]} and received {texts[1]}{rates}.",
        tuple(moves),
        ("transfers", "events"),
    )
    if unwrapped and not got:
        paid = (int(unwrapped), Measure("value", "value", 18))
        rate = f": {_rates(gave[0], paid)}" if len(gave) == 1 else ""
        yield Statement(f"The transaction unwrapped WETH into {amount(*paid)}{rate}.", (sent,), ("events",))
    partners = dict.fromkeys(
        move[side]
        for move in moves
        for side in ("from_address", "to_address")
        if move[side] != sent["from_address"]
    )
    if partners:
        yield Statement(
            f"The other side of these transfers: {', '.join(partners)}.",
            tuple(moves),
            ("transfers", "events"),
        )
    yield Statement(row_told("transactions", sent), (sent,), ("transaction",))


def _in_transaction(asked: Asked) -> Asked:
    kept = tuple(one for one in asked.conditions if one.wide or "transaction_hash" in one.sql)
    return replace(asked, conditions=kept)


def _rates(gave: tuple[int, Measure], got: tuple[int, Measure]) -> str:
    if gave[1].decimals is None or got[1].decimals is None:
        return "no rate, for decimals are not known"
    with localcontext(prec=50):
        one, other = (Decimal(raw).scaleb(-(unit.decimals or 0)) for raw, unit in (gave, got))
        forth, back = other / one, one / other
    paid, received = unit_of(gave[1]), unit_of(got[1])
    return f"{forth:.12g} {received} for one {paid}, {back:.12g} {paid} for one {received}"


def _said(asked: Asked) -> str:
    return ", ".join(dict.fromkeys(one.said for one in asked.conditions if one.said))


def _nouns(asked: Asked, count: int) -> str:
    noun = compose.SUBJECTS[asked.subject].noun
    return noun if count == 1 else f"{noun}s"


def _column_name(column: str) -> str:
    return {
        "from_address": "sender",
        "to_address": "receiver",
        "address": "contract",
        "token_address": "token",
    }.get(column, column.replace("_", " "))


def cut(statements: Sequence[Statement], fits: Callable[[str], bool]) -> list[Statement]:
    """The first statements whose text together fits; those after the first that does not are left out."""
    kept: list[Statement] = []
    for statement in statements:
        if not fits("\n".join(one.text for one in [*kept, statement])):
            break
        kept.append(statement)
    return kept
