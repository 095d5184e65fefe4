"""The commands that read a library: each module here holds some, this one joins them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from agent.surfaces.cli import asking, bot, chatting, events, prompts, reading, usage, verifying
from index.settings import Settings

if TYPE_CHECKING:
    from agent.answers.verify import Reread

commands = typer.Typer()
for part in (asking, chatting, bot, events, reading, verifying, usage, prompts):
    commands.add_typer(part.commands)


def add_verify(rereading: Callable[[Settings], Reread]) -> None:
    """Adds `verify`, and `chat` and `bot`, which can verify too. rereading: what reads a source again."""
    rereading = _with_queries(rereading)
    verifying.add_verify(rereading)
    chatting.add_chat(rereading)
    bot.add_bot(rereading)


def _with_queries(rereading: Callable[[Settings], Reread]) -> Callable[[Settings], Reread]:
    """The same, and a query is run again on the library that the settings name."""

    def made(settings: Settings) -> Reread:
        from agent.onchain.sandbox import rereading as asking_again
        from agent.surfaces.cli.options import open_library

        return asking_again(lambda: open_library(settings), rereading(settings))

    return made
