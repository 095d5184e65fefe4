"""The command that asks the tables of a chain: in SQL, or by contract, event and blocks."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from agent.surfaces.cli.options import JsonOption, filtered, open_library, print_json
from index.errors import SettingsError
from index.values import Filters

if TYPE_CHECKING:
    from agent.onchain.sandbox import Result

commands = typer.Typer()

MOST_ROWS = 100_000
_COLUMNS = "block_number, transaction_hash, log_index, address, event, args"


@commands.command()
@filtered
def events(
    context: typer.Context,
    sql: Annotated[
        str | None, typer.Argument(help="One SELECT; --tables says what can be read.", show_default=False)
    ] = None,
    event: Annotated[
        str | None, typer.Option("--event", help="Only events of this name, signature or first topic.")
    ] = None,
    from_block: Annotated[int | None, typer.Option("--from-block", min=0, help="First block.")] = None,
    to_block: Annotated[int | None, typer.Option("--to-block", min=0, help="Last block.")] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=MOST_ROWS, help="How many rows.")] = 100,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, max=3600, help="Seconds it may take.")] = 60,
    tables: Annotated[bool, typer.Option("--tables", help="Say which tables and columns there are.")] = False,
    filters: Filters = Filters(),
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Ask the on-chain events of the library: in SQL, or by contract, event and blocks.

    Nothing can be written and no other file read. Integers are exact.
    """
    if tables:
        from index.sql import describe

        typer.echo(describe())
        return
    chosen = (event, from_block, to_block)
    if sql is not None and any(one is not None for one in chosen):
        raise SettingsError("SQL and --event or blocks were both given; put them into the WHERE of the SQL")
    if as_json and as_csv:
        raise SettingsError("--json and --csv were both given; give one of them")
    if sql is None and not (any(one is not None for one in chosen) or filters != Filters()):
        raise SettingsError(
            'nothing to ask; give SQL, as in: chaincite events "SELECT count(*) FROM events", or --contract,'
            " --event, --from-block, --to-block"
        )
    from agent.onchain.sandbox import Limits, query

    limits = Limits(limit, characters=50_000_000, seconds=timeout, megabytes=2048)
    found = query(open_library(context.obj), sql or _selecting(*chosen), filters, limits)
    if as_json:
        print_json(
            {
                "generation": found.generation,
                "sql": found.sql,
                "columns": dict(found.columns),
                "rows": found.records(),
                "more": found.more,
            }
        )
    elif as_csv:
        sys.stdout.write(found.csv())
    else:
        _show(found)
    _warn(found)


def _selecting(event: str | None, first: int | None, last: int | None) -> str:
    """The SQL that these options mean. Raises SettingsError for what is no name of an event."""
    where = " AND ".join(_conditions(event, first, last)) or "true"
    return f"SELECT {_COLUMNS} FROM events WHERE {where} ORDER BY chain, block_number, log_index"  # noqa: S608


def _conditions(event: str | None, first: int | None, last: int | None) -> Iterator[str]:
    if first is not None and last is not None and first > last:
        raise SettingsError(f"--from-block {first} is after --to-block {last}; no block lies between them")
    if event is not None:
        if not re.fullmatch(r"0x[0-9a-fA-F]{64}|\w+(\([\w,()\[\]]*\))?", event):
            raise SettingsError(
                f"--event {event!r} is no event; give a name, as Transfer, a signature, as"
                " Transfer(address,address,uint256), or a first topic"
            )
        column = "topic0" if event.startswith("0x") else "signature" if "(" in event else "event"
        yield f"{column} = '{event.lower() if column == 'topic0' else event}'"
    if first is not None:
        yield f"block_number >= {first}"
    if last is not None:
        yield f"block_number <= {last}"


def _show(found: Result) -> None:
    from rich.table import Table

    from agent.surfaces.terminal import console
    from agent.text.render import one_line

    out = console()
    table = Table(box=None, pad_edge=False)
    for name, kind in found.columns:
        numeric = kind.endswith("INT") or kind in ("BIGNUM", "DOUBLE") or kind.startswith("DECIMAL")
        table.add_column(one_line(name), overflow="fold", justify="right" if numeric else "left")
    for row in found.rows:
        table.add_row(*(one_line("" if value is None else str(value)) for value in row))
    if found.rows:
        out.print(table)
    else:
        typer.echo("No rows.")


def _warn(found: Result) -> None:
    if found.more:
        typer.echo(f"note     only the first {len(found.rows):,} rows; --limit gives more", err=True)
    for name in found.inexact:
        typer.echo(f"note     {name} is a floating-point number and not exact", err=True)
