"""On-chain rows: the schemas of the chain's tables, and what their columns mean.

Integers of 256 bits are decimal text in the tables, and exact in SQL: `BIGNUM` or `HUGEINT`, never a float.
Hashes and addresses are lower-case hex with 0x. Chains are CAIP-2. Times are UTC.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

_TEXT = pa.string()
_TIME = pa.timestamp("us", "UTC")
_NUMBER = pa.int64()


def _column(name: str, kind: pa.DataType, meaning: str) -> pa.Field:
    return pa.field(name, kind, metadata={"meaning": meaning})


_BLOCK = (
    _column("chain", _TEXT, "CAIP-2 id, eip155:1 is Ethereum mainnet"),
    _column("block_number", _NUMBER, "number of the block"),
    _column("block_hash", _TEXT, "hash of the block"),
    _column("block_timestamp", _TIME, "time of the block (UTC), null where unknown"),
)
_READ = (
    _column("finality", _TEXT, "latest, safe or finalized; null for rows read from files"),
    _column("orphaned_at", _TIME, "when a reorganisation displaced the block; the views leave such rows out"),
    _column("path", _TEXT, "short name of the file or node that the row came from"),
    _column("location", _TEXT, "where the row is read again: a local path or a URL"),
    _column("retrieved_at", _TIME, "when the row was read (UTC)"),
)

BLOCKS = pa.schema(
    [
        *_BLOCK,
        _column("parent_hash", _TEXT, "hash of the block before"),
        _column("miner", _TEXT, "address that the block's fees go to"),
        _column("gas_limit", _NUMBER, "gas that the block may use"),
        _column("gas_used", _NUMBER, "gas that the block used"),
        _column("base_fee_per_gas", _TEXT, "base fee in wei, HUGEINT in SQL"),
        _column("size", _NUMBER, "bytes of the block"),
        _column("transaction_count", _NUMBER, "how many transactions the block holds"),
        *_READ,
    ]
)

TRANSACTIONS = pa.schema(
    [
        *_BLOCK,
        _column("transaction_hash", _TEXT, "hash of the transaction"),
        _column("transaction_index", _NUMBER, "place in the block, from 0"),
        _column("from_address", _TEXT, "sender"),
        _column("to_address", _TEXT, "receiver or contract called; null where a contract is created"),
        _column("value", _TEXT, "wei sent along, HUGEINT in SQL"),
        _column("nonce", _NUMBER, "how many transactions the sender had sent before"),
        _column("gas", _NUMBER, "gas limit of the transaction"),
        _column("gas_price", _TEXT, "price offered for one gas in wei, HUGEINT in SQL"),
        _column("max_fee_per_gas", _TEXT, "highest price in wei (EIP-1559), HUGEINT in SQL"),
        _column("max_priority_fee_per_gas", _TEXT, "highest tip in wei (EIP-1559), HUGEINT in SQL"),
        _column("effective_gas_price", _TEXT, "price paid for one gas in wei, HUGEINT in SQL"),
        _column("gas_used", _NUMBER, "gas used; times effective_gas_price it is the fee"),
        _column("status", _NUMBER, "1: succeeded, 0: failed (reverted)"),
        _column("contract_address", _TEXT, "contract that the transaction created, else null"),
        _column("transaction_type", _NUMBER, "0 legacy, 1 access list, 2 EIP-1559, 3 blob, 4 set code"),
        _column("selector", _TEXT, "first four bytes of the input: the function called, null where none"),
        _column("input", _TEXT, "call data"),
        *_READ,
    ]
)

EVENTS = pa.schema(
    [
        *_BLOCK,
        _column("transaction_hash", _TEXT, "hash of the transaction"),
        _column("transaction_index", _NUMBER, "place of the transaction in the block, from 0"),
        _column("log_index", _NUMBER, "place of the log in the block, from 0"),
        _column("address", _TEXT, "contract that emitted the log; for a Transfer the token"),
        _column("topic0", _TEXT, "first topic: hash of the event's signature"),
        _column("topic1", _TEXT, "second topic"),
        _column("topic2", _TEXT, "third topic"),
        _column("topic3", _TEXT, "fourth topic"),
        _column("data", _TEXT, "the log's data"),
        _column("event", _TEXT, "name of the event, as Transfer, Approval, Swap; null where not decoded"),
        _column("signature", _TEXT, "as Transfer(address,address,uint256); null where not decoded"),
        _column("declared_in", _TEXT, "standard, contract or file whose declaration decoded it, as ERC-20"),
        _column("args", _TEXT, "arguments by name as JSON; integers are text: args->>'amount0'"),
        _column("undecoded", _TEXT, "why a log is kept raw, null where it is decoded"),
        _column("lenient", _TEXT, "how a decoded log departs from the ABI; null where it does not"),
        _column("from_address", _TEXT, "argument from or src"),
        _column("to_address", _TEXT, "argument to or dst"),
        _column("owner", _TEXT, "argument owner"),
        _column("spender", _TEXT, "argument spender"),
        _column("value", _TEXT, "argument value, wad or amount in raw units, BIGNUM in SQL"),
        _column("token_id", _TEXT, "argument tokenId or id, BIGNUM in SQL"),
        *_READ,
    ]
)

TRANSFERS = pa.schema(
    [
        *_BLOCK,
        _column("transaction_hash", _TEXT, "hash of the transaction"),
        _column("log_index", _NUMBER, "place of the log in the block, from 0"),
        _column("token_address", _TEXT, "contract of the token"),
        _column("from_address", _TEXT, "who gave"),
        _column("to_address", _TEXT, "who received"),
        _column("value", _TEXT, "raw units, or the number of an ERC-721 token; BIGNUM in SQL"),
        *_READ,
    ]
)

TOKENS = pa.schema(
    [
        _column("chain", _TEXT, "CAIP-2 id"),
        _column("address", _TEXT, "contract of the token"),
        _column("symbol", _TEXT, "symbol the contract states: untrusted text, not unique"),
        _column("decimals", _NUMBER, "raw units are divided by 10 ** decimals; null where unknown"),
        _column("name", _TEXT, "name the contract states: untrusted text"),
        _column("origin", _TEXT, "built-in, or the node that was asked"),
        _column("retrieved_at", _TIME, "when it was read (UTC)"),
    ]
)

SCHEMAS: Mapping[str, pa.Schema] = {
    "blocks": BLOCKS,
    "transactions": TRANSACTIONS,
    "events": EVENTS,
    "transfers": TRANSFERS,
    "tokens": TOKENS,
}
"""The chain's tables. `path` and `retrieved_at` say where a row came from."""

KEYS: Mapping[str, tuple[str, ...]] = {
    "blocks": ("chain", "block_number", "block_hash"),
    "transactions": ("chain", "block_number", "block_hash", "transaction_hash"),
    "events": ("chain", "block_number", "block_hash", "log_index"),
    "transfers": ("chain", "block_number", "block_hash", "log_index"),
    "tokens": ("chain", "address"),
}
"""What names a row: a second row of the same key is not added. Of a token the later row counts."""

BIGNUMS = frozenset({("events", "value"), ("events", "token_id"), ("transfers", "value")})
"""Columns that may need 256 bits: BIGNUM in SQL, which adds and compares exactly."""

HUGEINTS = frozenset(
    {("blocks", "base_fee_per_gas"), ("transactions", "value")}
    | {("transactions", name) for name in TRANSACTIONS.names if name.endswith(("_price", "_per_gas"))}
)
"""Columns in wei: HUGEINT in SQL, which multiplies and divides exactly as well."""
