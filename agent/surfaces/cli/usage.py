"""The command that shows what chat models were asked and what it cost."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from agent.records.ledger import CURRENCY, Ledger, Total
from agent.surfaces.cli.options import JsonOption, print_json
from agent.surfaces.terminal import console
from agent.text.render import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

commands = typer.Typer()


class By(StrEnum):
    """What the totals are made by."""

    USER = "user"
    MODEL = "model"
    DAY = "day"


@commands.command()
def usage(
    context: typer.Context,
    by: Annotated[By, typer.Option("--by", help="Totals by user, by model, or by day (UTC).")] = By.MODEL,
    as_json: JsonOption = False,
) -> None:
    """Show what was asked of chat models: calls, tokens, money and time."""
    totals = Ledger(context.obj.library).summary(by.value)
    if as_json:
        rows = [asdict(total) | {"cost": f"{total.cost:f}"} for total in totals]
        print_json({"by": by.value, "currency": CURRENCY, "totals": rows})
    elif totals:
        _show(by, totals)
    else:
        typer.echo("No chat model has been asked yet.")


def _show(by: By, totals: Sequence[Total]) -> None:
    """A table of 80 columns, and what is to be known about its figures."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(by.value.title(), overflow="fold")
    for title in ("Calls", "Failed", "Tokens in", "out", "Cost", "First s", "s"):
        table.add_column(title, justify="right", no_wrap=True)
    for total in totals:
        table.add_row(clean(total.name), *_figures(total))
    out = console()
    out.print(table)
    if unpriced := sum(total.unpriced for total in totals):
        out.print(f"+ {unpriced:,} calls of models whose price is not known; set CHAINCITE_PRICES")


def _figures(total: Total) -> tuple[str, ...]:
    """Cost in US dollars, with a + where some of it is not known; seconds are medians."""
    cost = f"${total.cost:,.4f}{'+' if total.unpriced else ''}"
    if total.unpriced == total.calls:
        cost = "unknown +"
    return (
        f"{total.calls:,}",
        f"{total.failed:,}",
        f"{total.tokens_in:,}",
        f"{total.tokens_out:,}",
        cost,
        "-" if total.first is None else f"{total.first:.2f}",
        f"{total.seconds:.2f}",
    )
