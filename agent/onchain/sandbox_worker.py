"""Runs one query in a process of its own, so that whatever it takes, the process that asked goes on.

Reads a request as JSON from standard input, writes what came of it as JSON to standard output.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.events import SCHEMAS
from index.tables import quoted
from index.values import Filters

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

VIEWS = (
    *(name for name in SCHEMAS if name != "transfers"),
    "token_transfers",
    "documents",
    "orphaned_events",
)
"""What a query may read."""

_TABLE_FUNCTIONS = {"range", "generate_series", "unnest", "json_each", "json_tree"}
_QUERIES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
_EXACT = ("BIGNUM", "HUGEINT", "UHUGEINT", "UBIGINT")
_INEXACT = ("DOUBLE", "FLOAT")
_CONTRACTS = {
    "transactions": ("to_address", "contract_address"),
    "events": ("address",),
    "orphaned_events": ("address",),
    "token_transfers": ("token_address",),
    "tokens": ("address",),
}


class Refused(Exception):
    """A query that may not run, and why."""


def checked(connection: DuckDBPyConnection, sql: str) -> None:
    """Raises Refused for anything but one SELECT over the library's views, as DuckDB's parser reads it."""
    import duckdb

    if "\x00" in sql or any("\ud800" <= character <= "\udfff" for character in sql):
        raise Refused("it holds characters that are no text")
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise Refused(_first_line(error)) from None
    if len(statements) != 1:
        raise Refused(f"{len(statements)} statements were given; give one SELECT")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise Refused(f"a {statements[0].type.name} statement was given; only one SELECT may run")
    row = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone()
    tree = json.loads(row[0] if row else "{}")
    if tree.get("error") is not False:
        raise Refused(f"only one SELECT may run ({tree.get('error_message')})")
    nodes = list(_nodes(tree))
    ctes = {node["key"].lower() for node in nodes if "key" in node and "value" in node}
    for node in nodes:
        _check_node(node, ctes)
    if not any(node.get("type") == "BASE_TABLE" and node["table_name"].lower() in VIEWS for node in nodes):
        raise Refused(f"the query reads no table; there are {', '.join(VIEWS)}")


def _check_node(node: Mapping[str, Any], ctes: set[str]) -> None:
    kind = node.get("type")
    if isinstance(kind, str) and kind.endswith("_NODE") and "modifiers" in node and kind not in _QUERIES:
        raise Refused(f"a {kind.split('_')[0]} stands in the query; it may only read")
    if kind == "BASE_TABLE":
        name = node["table_name"]
        if len(node["qualified_name"]["path"]) != 1 or name.lower() not in {*VIEWS, *ctes}:
            named = ".".join(node["qualified_name"]["path"])
            raise Refused(f"there is no table {named!r}; there are {', '.join(VIEWS)}")
    if kind == "TABLE_FUNCTION" and node["function"].get("function_name", "").lower() not in _TABLE_FUNCTIONS:
        named = node["function"].get("function_name")
        raise Refused(f"the table function {named!r} may not be called; {', '.join(VIEWS)} can be read")


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """All objects of a parse tree, without recursion: a query may nest deeply."""
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def narrow(connection: DuckDBPyConnection, filters: Filters, documents: Sequence[str]) -> None:
    """Puts views that hold only what passes the filters before those of the library.

    documents: the uris that pass.
    """
    connection.execute("CREATE TEMP TABLE passing AS SELECT unnest(?::VARCHAR[]) AS uri", [list(documents)])
    for name in VIEWS:
        where = (
            "uri IN (SELECT uri FROM passing)" if name == "documents" else " AND ".join(_where(filters, name))
        )
        connection.execute(f"CREATE TEMP VIEW {name} AS FROM views.main.{name} WHERE {where or 'true'}")


def _where(filters: Filters, table: str) -> Iterator[str]:
    if filters.chains:
        yield f"lower(chain) IN ({', '.join(quoted(chain.lower()) for chain in filters.chains)})"
    if filters.contracts and table in _CONTRACTS:
        wanted = ", ".join(quoted(one.lower().rpartition(":")[2]) for one in filters.contracts)
        yield f"({' OR '.join(f'{column} IN ({wanted})' for column in _CONTRACTS[table])})"
    if table == "tokens":
        return
    if filters.authors:
        yield "false"
    if filters.statuses:
        yield f"lower(finality) IN ({', '.join(quoted(one.lower()) for one in filters.statuses)})"
    if filters.sources:
        named = (f"{column} GLOB {quoted(one)}" for one in filters.sources for column in ("path", "location"))
        yield f"({' OR '.join(named)})"
    day = "CAST(block_timestamp AS DATE)"
    if filters.published_from:
        yield f"{day} >= DATE '{filters.published_from}'"
    if filters.published_to:
        yield f"{day} <= DATE '{filters.published_to}'"
    if filters.as_of:
        yield f"coalesce({day}, CAST(retrieved_at AS DATE)) <= DATE '{filters.as_of}'"


def run(connection: DuckDBPyConnection, sql: str, rows: int, characters: int) -> dict[str, Any]:
    """The result of a checked query: columns with types, rows as JSON values, whether more were there.

    Integers of more than 64 bits become text; rows stop before they pass `characters` of JSON.
    """
    import duckdb

    try:
        found = connection.execute(sql)
        columns = [(name, str(kind)) for name, kind, *_ in found.description or ()]
        kept: list[list[Any]] = []
        room = characters
        while some := found.fetchmany(1000):
            for values in some:
                row = [_plain(value, kind) for value, (_, kind) in zip(values, columns, strict=True)]
                room -= len(json.dumps(row))
                if len(kept) >= rows or room < 0:
                    return {"columns": columns, "rows": kept, "more": True}
                kept.append(row)
    except duckdb.Error as error:
        raise Refused(_first_line(error)) from None
    return {"columns": columns, "rows": kept, "more": False}


def _plain(value: Any, kind: str) -> Any:
    if value is None or isinstance(value, (bool, str, float)):
        return value
    if isinstance(value, int):
        return str(value) if kind in _EXACT else value
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return [_plain(one, kind.removesuffix("[]")) for one in islice(value, 10_000)]
    if isinstance(value, dict):
        return {str(key): _plain(one, "") for key, one in value.items()}
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _bound(extra: int) -> None:
    """Lets this process take `extra` bytes of memory more than it has, where the system can see to that."""
    try:
        import resource
    except ImportError:
        return
    pages = (
        int(Path("/proc/self/statm").read_text("utf-8").split()[0])
        if Path("/proc/self/statm").exists()
        else None
    )
    if pages is not None:
        most = pages * resource.getpagesize() + extra
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main() -> None:
    """Does what the request asks. What went wrong is told in the reply, under `refused` or `fault`."""
    request = json.loads(sys.stdin.buffer.read())
    from pydantic import TypeAdapter

    from index.errors import ChainciteError
    from index.library import Library

    filters = TypeAdapter(Filters).validate_python(request["filters"])
    reply: dict[str, Any]
    try:
        library = Library(Path(request["library"]), request["embedder"])
        generation = library.generation
        with library.sql(memory=f"{request['megabytes']}MB", threads=2) as connection:
            checked(connection, request["sql"])
            if filters != Filters():
                narrow(connection, filters, [one.uri for one in library.documents(filters)])
            _bound(2 * request["megabytes"] * 1024**2)
            reply = run(connection, request["sql"], request["rows"], request["characters"])
        reply["generation"] = generation
    except Refused as why:
        reply = {"refused": str(why)}
    except ChainciteError as error:
        reply = {"fault": str(error)}
    except MemoryError:
        reply = {"refused": "the query takes too much memory; read fewer rows or columns"}
    sys.stdout.write(json.dumps(reply))


if __name__ == "__main__":
    main()
