"""What the rows say, in sentences with exact figures, each with the rows that it rests on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from typing import Any

from agent.onchain import compose, lexicon
from agent.onchain.asked import Asked, Measure
from agent.sql import Result

Row = dict[str, Any]
Run = Callable[[str], Result]
"""Runs one query of ours."""

LISTED = 12
"""Rows that are told one by one."""

_SUMMED = 6


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence and what it rests on.

    rows: to be cited; kinds: the documents that tell them, best first; result: the query, where the rows are
    not all that was counted.
    """

    text: str
    rows: tuple[Row, ...] = ()
    kinds: tuple[str, ...] = ()
    result: Result | None = None


def told(asked: Asked, run: Run) -> list[Statement]:
    """The answer to one thing that was asked, the sentence that says most first."""
    if asked.aggregate == "swap":
        return list(_swapped(asked, run))
    if asked.aggregate == "net":
        return list(_net(asked, run))
    if asked.aggregate == "distinct":
        return list(_distinct(asked, run))
    if asked.group and asked.aggregate in ("max", "min", "count", "list"):
        return list(_grouped(asked, run))
    if asked.aggregate in ("sum", "average") and asked.measure:
        return list(_added(asked, asked.measure, run))
    if asked.aggregate in ("max", "min") and asked.measure:
        return list(_ranked(asked, asked.measure, run))
    return list(_counted(asked, run))


def _counted(asked: Asked, run: Run) -> Iterator[Statement]:
    """How many there are, in each block, and which: for a list, a count, the first and the last."""
    subject = compose.SUBJECTS[asked.subject]
    result = run(compose.counting(asked))
    found, of_all = (int(value) for value in result.rows[0])
    one_by_one = asked.aggregate != "count" or 0 < found <= LISTED
    limit = asked.top if asked.aggregate in ("first", "last") else LISTED
    rows = run(compose.listing(asked, limit)).records() if found else []
    said = _said(asked)
    if asked.subject != "blocks" and asked.aggregate not in ("first", "last") and not asked.transaction:
        count = f"{found} of {of_all}" if said else f"{found}"
        match = f" match: {said}" if said else ""
        parts = run(compose.by_block(asked)).rows if found and " to " in asked.within else ()
        each = "; ".join(f"{n} in block {number}" for number, n in parts) if 1 < len(parts) <= 5 else ""
        text = f"In {asked.within}, {count} {_nouns(asked, of_all)}{match}{f' ({each})' if each else ''}."
        cited = rows if found <= LISTED else [rows[0], rows[-1]]
        yield Statement(text, tuple(cited), subject.kinds, None if 0 < found <= LISTED else result)
    elif asked.transaction and asked.subject != "transactions" and asked.aggregate == "count":
        text = f"Transaction {asked.transaction} has {found} {_nouns(asked, found)}{f', {said}' if said else ''}."
        yield Statement(text, tuple(rows), subject.kinds, None if 0 < found <= LISTED else result)
    elif not found:
        yield Statement(
            f"In {asked.within}, no {subject.noun} matches: {said or 'anything'}.", (), (), result
        )
    if one_by_one and found:
        for row in rows[:LISTED]:
            yield Statement(_row(asked, row), (row,), subject.kinds)
        if found > len(rows) and asked.aggregate == "list":
            yield Statement(f"{found - len(rows)} more are not listed.", (), (), result)


def _distinct(asked: Asked, run: Run) -> Iterator[Statement]:
    result = run(compose.distinct(asked))
    found, rows = result.rows[0]
    column = _column_name(asked.group or "")
    said = _said(asked)
    only = f" ({said})" if said else ""
    yield Statement(
        f"In {asked.within}, {rows} {_nouns(asked, int(rows))}{only} have {found} different values of {column}.",
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
        amount = (
            f"{_amount(int(one['amount']), asked.measure)} over {one['rows']}"
            if asked.measure
            else str(one["rows"])
        )
        symbol = f" ({one['symbol']})" if one.get("symbol") else ""
        most = (
            ("the fewest" if asked.aggregate == "min" else "the most") if asked.top == 1 else f"rank {at + 1}"
        )
        most = f"as many as the one before" if ties and at >= asked.top else most
        only = f", of those that match: {said}" if said else ""
        rank = f", {most}" if asked.aggregate in ("max", "min") else ""
        yield Statement(
            f"In {asked.within}, {_column_name(asked.group or '')} {one['named']}{symbol} has {amount}"
            f" {_nouns(asked, int(one['rows']))}{rank}{only}.",
            tuple(run(compose.listing(_only(asked, one["named"]), 2)).records()),
            compose.SUBJECTS[asked.subject].kinds,
            result,
        )


def _only(asked: Asked, value: Any) -> Asked:
    from agent.onchain.asked import Condition

    sql = f"{asked.group} = {value}" if isinstance(value, int) else f"{asked.group} = '{value}'"
    return replace(asked, aggregate="list", conditions=(*asked.conditions, Condition(sql, "")))


def _added(asked: Asked, measure: Measure, run: Run) -> Iterator[Statement]:
    """A sum or an average, of each token apart."""
    result = run(compose.adding(asked, measure))
    rows = [row for row in result.records() if row["total"] is not None]
    shown = run(compose.listing(asked, LISTED + 1)).records()
    whole = 0 < len(shown) <= LISTED
    said = _said(asked)
    only = f" that match ({said})" if said else ""
    if not rows:
        yield Statement(
            f"In {asked.within}, no {compose.SUBJECTS[asked.subject].noun} matches: {said}.", result=result
        )
    for row in rows[:_SUMMED]:
        total, count = int(row["total"]), int(row["rows"])
        unit = _of_token(measure, row) if asked.subject == "transfers" else measure
        what = _token(row) if asked.subject == "transfers" else measure.name
        if asked.aggregate == "sum":
            text = f"In {asked.within}, the {count} {_nouns(asked, count)}{only} sum to {_amount(total, unit)}, {what}."
        else:
            text = (
                f"In {asked.within}, the average {what} of the {count} {_nouns(asked, count)}{only} is"
                f" {total}/{count} = {_mean(total, count, unit)}."
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
    unit = _of_token(measure, best[0]) if asked.subject in ("transfers", "approvals") else measure
    count = f"The {asked.top} " if asked.top > 1 else "The "
    shared = f" (shared by {len(ties) + 1})" if ties else ""
    each = "; ".join(
        _amount(int(row[measure.column]), _of_token(measure, row) if unit is not measure else measure)
        for row in best[: asked.top]
    )
    of = _nouns(asked, 2)
    text = f"{count}{word} {measure.name} of {of} in {asked.within}{f' ({said})' if said else ''}: {each}{shared}."
    kinds = compose.SUBJECTS[asked.subject].kinds
    yield Statement(text, tuple(best), ("events",) if measure.column == "logs" else kinds)
    for row in best:
        yield Statement(_row(asked, row), (row,), kinds)
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
        unit, net = _of_token(Measure("value", "value"), row), received - given
        word = "gain" if net >= 0 else "loss"
        cited = tuple(move for move in moves if move["token_address"] == row["token_address"])
        yield Statement(
            f"In {asked.within}, {asked.party} received {_amount(received, unit)} and gave {_amount(given, unit)}:"
            f" a net {word} of {_amount(abs(net), unit)}, {_token(row)}.",
            cited,
            ("transfers", "events"),
            None if len(moves) < LISTED else result,
        )


def _moving(asked: Asked) -> Asked:
    from agent.onchain.asked import Condition

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
            (got if net > 0 else gave).append((abs(net), _of_token(Measure("value", "value"), row)))
    if int(sent["value"]):
        gave.append((int(sent["value"]), Measure("value", "value", 18)))
    unwrapped = run(
        f"SELECT sum(value) AS total FROM events WHERE transaction_hash = '{asked.transaction}'"
        " AND event = 'Withdrawal' AND declared_in = 'WETH'"
    ).rows[0][0]
    texts = [" and ".join(_amount(*one) for one in side) or "no token" for side in (gave, got)]
    rates = f": {_rates(gave[0], got[0])}" if len(gave) == len(got) == 1 else ""
    yield Statement(
        f"In transaction {asked.transaction} (block {sent['block_number']}) the sender {sent['from_address']} gave"
        f" {texts[0]} and received {texts[1]}{rates}.",
        tuple(moves),
        ("transfers", "events"),
    )
    if unwrapped and not got:
        paid = (int(unwrapped), Measure("value", "value", 18))
        rate = f": {_rates(gave[0], paid)}" if len(gave) == 1 else ""
        yield Statement(f"The transaction unwrapped WETH into {_amount(*paid)}{rate}.", (sent,), ("events",))
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
    yield Statement(_transaction(sent), (sent,), ("transaction",))


def _in_transaction(asked: Asked) -> Asked:
    kept = tuple(one for one in asked.conditions if one.wide or "transaction_hash" in one.sql)
    return replace(asked, conditions=kept)


def _rates(gave: tuple[int, Measure], got: tuple[int, Measure]) -> str:
    if gave[1].decimals is None or got[1].decimals is None:
        return "no rate, for decimals are not known"
    with localcontext(prec=50):
        one, other = (Decimal(raw).scaleb(-(unit.decimals or 0)) for raw, unit in (gave, got))
        forth, back = other / one, one / other
    return f"{forth:.12g} {_unit(got[1])} for one {_unit(gave[1])}, {back:.12g} {_unit(gave[1])} for one {_unit(got[1])}"


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


def _of_token(measure: Measure, row: Row) -> Measure:
    decimals = row.get("decimals")
    return replace(
        measure, decimals=None if decimals is None else int(decimals), unit=row.get("symbol") or "raw units"
    )


def _token(row: Row) -> str:
    return f"token {row['token_address']}"


def _unit(measure: Measure) -> str:
    return measure.unit or {18: "ETH", 9: "gwei"}.get(measure.decimals or 0, "")


def _amount(raw: int, measure: Measure | None) -> str:
    """An exact amount: in its unit, and raw where that is another figure."""
    if measure is None or measure.decimals is None:
        unit = measure.unit if measure else ""
        return f"{raw} {unit}".strip()
    shown = f"{plain(raw, measure.decimals)} {_unit(measure)}".strip()
    base = "wei" if not measure.unit else "raw units"
    return f"{shown} ({raw} {base})" if measure.decimals else shown


def plain(raw: int, decimals: int) -> str:
    """An exact decimal without trailing zeros.

    >>> plain(600321880000, 6), plain(-5, 1), plain(10, 0)
    ('600321.88', '-0.5', '10')
    """
    digits = str(abs(raw)).rjust(decimals + 1, "0")
    whole, part = digits[: len(digits) - decimals], digits[len(digits) - decimals :].rstrip("0")
    return ("-" if raw < 0 else "") + (f"{whole}.{part}" if part else whole)


def _mean(total: int, count: int, measure: Measure) -> str:
    with localcontext(prec=60):
        mean = Decimal(total) / count
        scaled = mean.scaleb(-(measure.decimals or 0))
    base = f" ({mean:.15g} {'wei' if not measure.unit else 'raw units'})" if measure.decimals else ""
    return f"{scaled:.15g} {_unit(measure)}{base}".replace("  ", " ")


def _row(asked: Asked, row: Row) -> str:
    return {
        "transactions": _transaction,
        "transfers": _transfer,
        "approvals": _approval,
        "logs": _log,
        "blocks": _block,
    }[asked.subject](row)


_ETH = Measure("", "", 18)
_GWEI = Measure("", "", 9)


def _transaction(row: Row) -> str:
    ended = {0: "failed", 1: "succeeded"}.get(row["status"], "ended unknown")
    parts = [
        f"Transaction {row['transaction_hash']} in block {row['block_number']} {ended}: from {row['from_address']}"
    ]
    if row["to_address"]:
        name = lexicon.FUNCTIONS.get(row["selector"] or "", "")
        call = (
            f", calling {name or 'the function'} {row['selector']}"
            if row["selector"]
            else ", without call data"
        )
        symbol = f" ({row['symbol']})" if row.get("symbol") else ""
        parts.append(f" to {row['to_address']}{symbol}{call}")
    else:
        parts.append(f", creating the contract {row['contract_address']}")
    parts.append(
        f", value {_amount(int(row['value']), _ETH)}, gas used {row['gas_used']} of a limit of {row['gas']}"
    )
    if row["effective_gas_price"] is not None:
        parts.append(f", effective gas price {_amount(int(row['effective_gas_price']), _GWEI)}")
        parts.append(f", fee {_amount(int(row['fee']), _ETH)}")
    if row["tip"] is not None:
        parts.append(
            f", tip {_amount(int(row['tip']), _ETH)} above the base fee of"
            f" {_amount(int(row['base_fee_per_gas']), _GWEI)}"
        )
    if row["logs"]:
        most = (
            f", {row['from_most']} of them from contract {row['most_from']}"
            if row["contracts"] > 1
            else (f", from contract {row['most_from']}")
        )
        parts.append(f"; {row['logs']} event log{'s' if row['logs'] != 1 else ''}{most}")
    return "".join(parts) + "."


def _transfer(row: Row) -> str:
    what = (
        _amount(int(row["value"]), _of_token(Measure("", ""), row))
        if row["value"] is not None
        else f"token number {row['token_id']}"
    )
    return (
        f"{what[:1].upper()}{what[1:]} from {row['from_address']} to {row['to_address']}: log {row['log_index']} of"
        f" transaction {row['transaction_hash']} in block {row['block_number']}, {_token(row)}."
    )


def _approval(row: Row) -> str:
    value = int(row["value"])
    what = "unlimited" if value == 2**256 - 1 else _amount(value, _of_token(Measure("", ""), row))
    token = f"{row['symbol']} ({row['address']})" if row["symbol"] else row["address"]
    return (
        f"Owner {row['owner']} approved spender {row['spender']} for {what} of token {token}: log"
        f" {row['log_index']} of transaction {row['transaction_hash']} in block {row['block_number']}."
    )


def _log(row: Row) -> str:
    name = f"{row['event']} ({row['declared_in']})" if row["event"] else f"An event of topic {row['topic0']}"
    values = json.loads(row["args"]) if row["args"] else {}
    said = ", ".join(
        f"{key} {value if isinstance(value, str) else json.dumps(value)}" for key, value in values.items()
    )
    said = f": {said}" if 0 < len(said) <= 400 else ""
    return (
        f"{name} of contract {row['address']}, log {row['log_index']} of transaction"
        f" {row['transaction_hash']} in block {row['block_number']}{said}."
    )


def _block(row: Row) -> str:
    parts = [f"Block {row['block_number']} ({row['block_hash']})"]
    if row["block_timestamp"]:
        parts.append(f" of {str(row['block_timestamp']).replace('T', ' ')[:19]} UTC")
    parts.append(f": gas used {row['gas_used']} of a limit of {row['gas_limit']}")
    if row["base_fee_per_gas"] is not None:
        parts.append(f", base fee per gas {_amount(int(row['base_fee_per_gas']), _GWEI)}")
        parts.append(f", base fees burnt {_amount(int(row['burnt']), _ETH)}")
    if row["transaction_count"] is not None:
        failed = f" ({row['failed']} failed)" if row["found"] == row["transaction_count"] else ""
        parts.append(f", {row['transaction_count']} transactions{failed}")
    if row["tips"] is not None and row["found"] == row["transaction_count"]:
        parts.append(f", tips {_amount(int(row['tips']), _ETH)}")
    parts.append(f", fee recipient {row['miner']}, {row['size']} bytes, parent {row['parent_hash']}")
    return "".join(parts) + "."


def cut(statements: Sequence[Statement], fits: Callable[[str], bool]) -> list[Statement]:
    """The first statements whose text together fits; those after the first that does not are left out."""
    kept: list[Statement] = []
    for statement in statements:
        if not fits("\n".join(one.text for one in [*kept, statement])):
            break
        kept.append(statement)
    return kept
