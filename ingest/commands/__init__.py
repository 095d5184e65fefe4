"""The commands that fill a library and look after it: each module here holds some, this one joins them."""

from __future__ import annotations

import typer

from ingest.commands import reading, sync, upkeep
from ingest.commands.running import rereading

__all__ = ["commands", "rereading"]

commands = typer.Typer()
commands.add_typer(reading.commands, name="ingest")
commands.add_typer(sync.commands)
commands.add_typer(upkeep.commands)
