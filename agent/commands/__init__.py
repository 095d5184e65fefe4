"""The commands that read a library: each module here holds some, this one joins them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from agent.commands import asking, bot, chatting, reading, usage, verifying
from index.settings import Settings

if TYPE_CHECKING:
    from agent.verify import Reread

commands = typer.Typer()
for part in (asking, chatting, bot, reading, verifying, usage):
    commands.add_typer(part.commands)


def add_verify(rereading: Callable[[Settings], Reread]) -> None:
    """Adds `verify`, and `chat` and `bot`, which can verify too. rereading: what reads a source again."""
    verifying.add_verify(rereading)
    chatting.add_chat(rereading)
    bot.add_bot(rereading)
