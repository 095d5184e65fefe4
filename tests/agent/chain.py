"""A small chain in files of ethereum-etl's form, made for tests, and a library of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CHAIN = "eip155:1"
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
APPROVAL = "0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925"
USDT = "0xdac17f958d2ee523a2206206994597c13d831ec7"
WETH = "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2"
ODD = "0x" + "0dd" * 13 + "0"
PEOPLE = [f"0x{name * 20}" for name in ("a1", "b2", "c3", "d4")]
UNLIMITED = 2**256 - 1
TIME = 1_700_000_000


def _topic(address: str) -> str:
    return "0x" + address[2:].rjust(64, "0")


def block(number: int) -> dict[str, Any]:
    return {
        "number": number,
        "hash": f"0x{number:064x}",
        "parent_hash": f"0x{number - 1:064x}",
        "miner": PEOPLE[3],
        "size": 1000 + number,
        "gas_limit": 30_000_000,
        "gas_used": 100_000 * number,
        "timestamp": TIME + 12 * number,
        "transaction_count": 4,
        "base_fee_per_gas": 20_000_000_000 + number,
    }


def transaction(number: int, index: int) -> dict[str, Any]:
    creates = number == 101 and index == 3
    return {
        "hash": f"0x{number * 1000 + index:064x}",
        "nonce": index,
        "transaction_index": index,
        "from_address": PEOPLE[index % 3],
        "to_address": None if creates else [USDT, WETH, PEOPLE[1], ODD][index],
        "value": index * 10**18 + number,
        "gas": 100_000,
        "gas_price": 30_000_000_000 + index * 10**9,
        "max_fee_per_gas": None,
        "max_priority_fee_per_gas": None,
        "input": ["0xa9059cbb" + "00" * 64, "0xd0e30db0", "0x", "0x12345678"][index],
        "block_timestamp": TIME + 12 * number,
        "block_number": number,
        "block_hash": f"0x{number:064x}",
        "transaction_type": 2 if index else 0,
        "receipt_gas_used": 21_000 + 1000 * index + number,
        "receipt_contract_address": ODD if creates else None,
        "receipt_status": 0 if (number + index) % 5 == 0 else 1,
        "receipt_effective_gas_price": 25_000_000_000 + number * index * 10**6,
    }


def log(number: int, index: int) -> dict[str, Any]:
    """Of eight logs in a block six are transfers, the last two approvals."""
    giver, taker = PEOPLE[index % 4], PEOPLE[(index * number + 1) % 4]
    value = 10**30 if index == 4 else (index + 1) * 1_234_567 * number
    approval = index >= 6
    if approval:
        value = UNLIMITED if index == 7 else 5_000_000
    return {
        "log_index": index,
        "transaction_hash": f"0x{number * 1000 + index // 2:064x}",
        "transaction_index": index // 2,
        "address": [USDT, WETH, USDT, USDT, ODD, WETH, USDT, WETH][index],
        "data": f"0x{value:064x}",
        "topics": [APPROVAL if approval else TRANSFER, _topic(giver), _topic(taker)],
        "block_number": number,
        "block_timestamp": TIME + 12 * number,
        "block_hash": f"0x{number:064x}",
    }


def write(folder: Path, numbers: range = range(100, 104)) -> Path:
    """Writes blocks.jsonl, transactions.jsonl and logs.jsonl into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {
        "blocks": [block(number) for number in numbers],
        "transactions": [transaction(number, index) for number in numbers for index in range(4)],
        "logs": [log(number, index) for number in numbers for index in range(8)],
    }
    for name, some in rows.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some))
    return folder
