"""The commands that read a library: each module here holds some, this one joins them."""

from __future__ import annotations

import typer

from agent.commands import asking, reading, verifying
from agent.commands.verifying import add_verify

__all__ = ["add_verify", "commands"]

commands = typer.Typer()
for part in (reading, asking, verifying):
    commands.add_typer(part.commands)
