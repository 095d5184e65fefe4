"""The commands that fill a library and look after it: each module here holds some, this one joins them."""

from __future__ import annotations

import typer

from ingest.commands import chain, forum, papers, repo, sync, upkeep
from ingest.commands.node import rereading

__all__ = ["commands", "rereading"]

commands = typer.Typer()
ingest = typer.Typer(
    no_args_is_help=True, help="Read sources into the library; only what changed costs anything."
)
for part in (papers, repo, forum, chain):
    ingest.add_typer(part.commands)
commands.add_typer(ingest, name="ingest")
commands.add_typer(sync.commands)
commands.add_typer(upkeep.commands)
