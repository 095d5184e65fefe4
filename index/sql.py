"""SQL over one generation: a DuckDB connection that reads this library's tables and nothing else."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from index.errors import LibraryError
from index.events import BIGNUMS, HUGEINTS, SCHEMAS
from index.tables import DOCUMENTS, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_DIGITS = "replace(raw::VARCHAR, '-', '')"
_PADDED = f"lpad({_DIGITS}, greatest(length({_DIGITS}), decimals + 1)::INTEGER, '0')"
UNITS = f"""
    CREATE MACRO units(raw, decimals) AS (
        CASE WHEN raw < 0 THEN '-' ELSE '' END || CASE
            WHEN decimals <= 0 THEN {_DIGITS}
            ELSE rtrim(rtrim(left({_PADDED}, -decimals) || '.' || right({_PADDED}, decimals), '0'), '.')
        END
    )
"""
"""units(600321880000, 6) is '600321.88': an exact amount as text. Null where the decimals are not known."""

_PLACE = "chain, block_number, block_hash, log_index"
_FROM_EVENTS = f"""
    SELECT {_PLACE}, block_timestamp, transaction_hash, address AS token_address, from_address, to_address,
           value, token_id, finality, path, location, retrieved_at
    FROM events WHERE event = 'Transfer' AND from_address IS NOT NULL AND to_address IS NOT NULL
"""  # noqa: S608 - made of constants, as all SQL here
_EITHER = ("block_timestamp", "transaction_hash", "token_address", "from_address", "to_address")
_READ = ("finality", "path", "location", "retrieved_at")
_FROM_BOTH = f"""
    SELECT {_PLACE}, {", ".join(f"coalesce(e.{name}, t.{name}) AS {name}" for name in _EITHER)},
           CASE WHEN e.token_id IS NULL THEN coalesce(e.value, t.value) END AS value, e.token_id,
           {", ".join(f"coalesce(t.{name}, e.{name}) AS {name}" for name in _READ)}
    FROM ({_FROM_EVENTS}) AS e FULL JOIN transfers AS t USING ({_PLACE})
"""  # noqa: S608
_WITH_TOKENS = """
    CREATE VIEW token_transfers AS
    SELECT t.*, k.symbol, k.decimals, units(t.value, k.decimals) AS amount
    FROM ({}) AS t LEFT JOIN tokens AS k ON k.chain = t.chain AND k.address = t.token_address
"""
_TRANSFER_COLUMNS = """token_transfers: one row for each transfer of a token (ERC-20, ERC-721)
  chain, block_number, block_hash, block_timestamp, transaction_hash, log_index: where it happened
  token_address VARCHAR: contract of the token
  from_address VARCHAR, to_address VARCHAR: who gave, who received; 0x000… is minting or burning
  value BIGNUM: raw units; null for an ERC-721 token, which token_id BIGNUM names
  symbol VARCHAR, decimals BIGINT: of the token, null where unknown; a symbol is not unique
  amount VARCHAR: value in whole tokens, exact decimal text; order and add by value, never by amount
  finality, path, location, retrieved_at: as in events"""
_RULES = """Rules: hashes and addresses are lower-case text with 0x. BIGNUM adds, subtracts, compares and sums
exactly, but * / // % avg make a float of it: use HUGEINT there, or TRY_CAST(value::VARCHAR AS HUGEINT).
units(raw, decimals) writes an exact decimal amount: units(x, 18) of wei is ETH, units(x, 9) gwei."""
_TITLES = {
    "blocks": "one row for each block",
    "transactions": "one row for each transaction",
    "events": "one row for each log, decoded where its declaration is known",
    "tokens": "what is known of token contracts",
}


def connect(
    folder: Path, files: Mapping[str, Sequence[Path]], *, memory: str = "1GB", threads: int = 2
) -> DuckDBPyConnection:
    """A read-only connection over the views blocks, transactions, events, token_transfers, tokens, documents.

    Also orphaned_events, which reorganisations displaced. Nothing can be written, no other file opened, no
    setting changed. files: the Parquet files of each table; folder: the library, for the error alone.
    memory, threads: what DuckDB may take. Raises LibraryError when the tables cannot be opened.
    """
    import duckdb

    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory,
        "threads": threads,
        "temp_directory": "",
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    try:
        with tempfile.TemporaryDirectory(prefix="chaincite-") as place:
            catalogue = f"{place}/views.duckdb"
            with duckdb.connect(catalogue) as made:
                _make_views(made, files)
            connection = duckdb.connect(catalogue, read_only=True, config=settings)
        allowed = ", ".join(quoted(str(file)) for some in files.values() for file in some)
        for setting in (
            "TimeZone = 'UTC'",
            f"allowed_paths = [{allowed}]",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            connection.execute(f"SET {setting}")
    except (duckdb.Error, OSError, pa.ArrowException) as error:
        raise LibraryError(
            f"the tables of the library at {folder} cannot be opened ({str(error).splitlines()[0]});"
            " `chaincite doctor` says what is damaged"
        ) from error
    return connection


def describe() -> str:
    """What the views hold, a line a column, as a model or a person who writes SQL wants to know it."""
    parts = []
    for name, title in _TITLES.items():
        columns = [
            f"  {field.name} {_sql_type(name, field)}: {field.metadata[b'meaning'].decode()}"
            for field in SCHEMAS[name]
            if field.name != "orphaned_at"
        ]
        parts.append("\n".join([f"{name}: {title}", *columns]))
    return "\n\n".join([*parts, _TRANSFER_COLUMNS, _RULES])


def _make_views(connection: DuckDBPyConnection, files: Mapping[str, Sequence[Path]]) -> None:
    connection.execute(UNITS)
    connection.execute(f"CREATE VIEW documents AS {_scan('documents', DOCUMENTS, files)}")
    for name, schema in SCHEMAS.items():
        standing = "WHERE orphaned_at IS NULL" if "orphaned_at" in schema.names else ""
        connection.execute(f"CREATE VIEW {name} AS FROM ({_scan(name, schema, files)}) {standing}")
    events = _scan("events", SCHEMAS["events"], files)
    connection.execute(f"CREATE VIEW orphaned_events AS FROM ({events}) WHERE orphaned_at IS NOT NULL")
    transfers = _FROM_BOTH if files.get("transfers") else _FROM_EVENTS
    connection.execute(_WITH_TOKENS.format(transfers))


def _scan(name: str, schema: pa.Schema, files: Mapping[str, Sequence[Path]]) -> str:
    """The rows of a table with all its columns; null are those that an older version did not write."""
    columns = ", ".join(f'"{f.name}"::{_sql_type(name, f)} AS "{f.name}"' for f in schema)
    nothing = ", ".join(f'NULL::{_sql_type(name, f)} AS "{f.name}"' for f in schema)
    there = files.get(name, ())
    if not there:
        return f"SELECT {nothing} WHERE false"
    listed = ", ".join(quoted(str(file)) for file in there)
    if all(set(schema.names) <= set(pq.read_schema(file).names) for file in there):
        return f"SELECT {columns} FROM read_parquet([{listed}])"  # noqa: S608
    return (
        f"SELECT {columns} FROM (SELECT {nothing} WHERE false"  # noqa: S608
        f" UNION ALL BY NAME FROM read_parquet([{listed}], union_by_name = true))"
    )


def _sql_type(table: str, field: pa.Field) -> str:
    if (table, field.name) in BIGNUMS:
        return "BIGNUM"
    if (table, field.name) in HUGEINTS:
        return "HUGEINT"
    if pa.types.is_list(field.type):
        return "VARCHAR[]"
    if pa.types.is_timestamp(field.type):
        return "TIMESTAMPTZ"
    return {"string": "VARCHAR", "int64": "BIGINT", "date32[day]": "DATE"}[str(field.type)]
