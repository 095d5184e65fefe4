"""Rows and amounts in words: exact decimals, with the raw integer where that is another figure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Any

from agent.onchain.concepts import FUNCTIONS

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unit:
    """What a figure is told in. decimals: 18 for ETH, 9 for gwei, where no name is given; None: as it is."""

    decimals: int | None
    name: str = ""


def of_token(row: Row) -> Unit:
    """The unit of a row's token: raw units where its decimals are not known."""
    decimals = row.get("decimals")
    return Unit(None if decimals is None else int(decimals), row.get("symbol") or "raw units")


def token(row: Row) -> str:
    """The token of a row by its address."""
    return f"token {row['token_address']}"


def unit_of(measure: Unit) -> str:
    """The name of the unit that an amount is told in."""
    return measure.name or {18: "ETH", 9: "gwei"}.get(measure.decimals or 0, "")


def amount(raw: int, measure: Unit | None) -> str:
    """An exact amount: in its unit, and raw where that is another figure."""
    if measure is None or measure.decimals is None:
        unit = measure.name if measure else ""
        return f"{raw} {unit}".strip()
    shown = f"{plain(raw, measure.decimals)} {unit_of(measure)}".strip()
    base = "wei" if not measure.name else "raw units"
    return f"{shown} ({raw} {base})" if measure.decimals else shown


def plain(raw: int, decimals: int) -> str:
    """An exact decimal without trailing zeros.

    >>> plain(600321880000, 6), plain(-5, 1), plain(10, 0)
    ('600321.88', '-0.5', '10')
    """
    digits = str(abs(raw)).rjust(decimals + 1, "0")
    whole, part = digits[: len(digits) - decimals], digits[len(digits) - decimals :].rstrip("0")
    return ("-" if raw < 0 else "") + (f"{whole}.{part}" if part else whole)


def mean(total: int | float | str | Decimal, count: int, measure: Unit) -> str:
    """A mean, to 15 digits."""
    with localcontext(prec=60):
        raw = Decimal(str(total)) / count
        scaled = raw.scaleb(-(measure.decimals or 0))
    base = f" ({raw:.15g} {'wei' if not measure.name else 'raw units'})" if measure.decimals else ""
    return f"{scaled:.15g} {unit_of(measure)}{base}".replace("  ", " ")


def row_told(subject: str, row: Row) -> str:
    """What a row of a subject says."""
    return {
        "transactions": _transaction,
        "transfers": _transfer,
        "logs": _log,
        "blocks": _block,
    }[subject](row)


_ETH = Unit(18)
_GWEI = Unit(9)


def _transaction(row: Row) -> str:
    ended = {0: "failed", 1: "succeeded"}.get(row["status"], "ended unknown")
    parts = [
        f"Transaction {row['transaction_hash']}, index {row['transaction_index']} in block"
        f" {row['block_number']}, {ended}: from {row['from_address']}"
    ]
    if row["to_address"]:
        name = FUNCTIONS.get(row["selector"] or "", "")
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
        f", value {amount(int(row['value']), _ETH)}, gas used {row['gas_used']} of a limit of {row['gas']}"
    )
    if row["effective_gas_price"] is not None:
        parts.append(f", effective gas price {amount(int(row['effective_gas_price']), _GWEI)}")
        parts.append(f", fee {amount(int(row['fee']), _ETH)}")
    if row["tip"] is not None:
        parts.append(
            f", tip {amount(int(row['tip']), _ETH)} above the base fee of"
            f" {amount(int(row['base_fee_per_gas']), _GWEI)}"
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
        amount(int(row["value"]), of_token(row))
        if row["value"] is not None
        else f"token number {row['token_id']}"
    )
    return (
        f"{what[:1].upper()}{what[1:]} from {row['from_address']} to {row['to_address']}:"
        f" log {row['log_index']} of transaction {row['transaction_hash']} in block"
        f" {row['block_number']}, {token(row)}."
    )


def _approval(row: Row) -> str:
    value = int(row["value"])
    what = "unlimited" if value == 2**256 - 1 else amount(value, of_token(row))
    token = f"{row['symbol']} ({row['address']})" if row["symbol"] else row["address"]
    return (
        f"Owner {row['owner']} approved spender {row['spender']} for {what} of token {token}: log"
        f" {row['log_index']} of transaction {row['transaction_hash']} in block {row['block_number']}."
    )


def _log(row: Row) -> str:
    if row["event"] == "Approval" and row["owner"] and row["spender"] and row["value"] is not None:
        return _approval(row)
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
    full = f" ({row['gas_used'] / row['gas_limit'] * 100:.6g} per cent)" if row["gas_limit"] else ""
    parts.append(f": gas used {row['gas_used']} of a limit of {row['gas_limit']}{full}")
    if row["base_fee_per_gas"] is not None:
        parts.append(f", base fee per gas {amount(int(row['base_fee_per_gas']), _GWEI)}")
        parts.append(f", base fees burnt {amount(int(row['burnt']), _ETH)}")
    if row["transaction_count"] is not None:
        failed = f" ({row['failed']} failed)" if row["found"] == row["transaction_count"] else ""
        parts.append(f", {row['transaction_count']} transactions{failed}")
    if row["tips"] is not None and row["found"] == row["transaction_count"]:
        parts.append(f", tips {amount(int(row['tips']), _ETH)}")
    parts.append(f", fee recipient {row['miner']}, {row['size']} bytes, parent {row['parent_hash']}")
    return "".join(parts) + "."
