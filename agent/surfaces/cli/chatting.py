"""The command that talks: chat."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from agent.surfaces.cli.options import (
    FOUND_WRONG,
    BudgetOption,
    FallbackOption,
    ModelOption,
    filtered,
    open_library,
    spoken_to,
)
from agent.surfaces.terminal import console
from index.settings import Settings
from index.values import Filters

if TYPE_CHECKING:
    from agent.answers.verify import Reread

commands = typer.Typer()

HISTORY = "chat_history"
"""The file in the library's folder that keeps the lines typed in chats."""


def add_chat(rereading: Callable[[Settings], Reread]) -> None:
    """Adds the command `chat`. rereading: what reads a source again, made from the settings."""

    @commands.command()
    @filtered
    def chat(
        context: typer.Context,
        model: ModelOption = None,
        fallback: FallbackOption = None,
        budget: BudgetOption = None,
        thread: Annotated[
            str, typer.Option("--thread", metavar="NAME", help="The conversation to go on with.")
        ] = "chat",
        filters: Filters = Filters(),
    ) -> None:
        """Talk with the library at a prompt; through a pipe, each line is a question."""
        import asyncio

        from agent.session import Session
        from agent.surfaces.chat.talk import Chat, converse, listen

        settings = spoken_to(context.obj, model, fallback, budget)
        library = open_library(settings)
        session = Session(library, settings, thread=thread)
        session.filters, session.as_of = replace(filters, as_of=None), filters.as_of
        models = (settings.model, *settings.fallback_models) if settings.api_key or settings.base_url else ()
        talk = Chat(session, library, rereading(settings), models, console())
        if sys.stdin.isatty() and sys.stdout.isatty():
            from agent.surfaces.chat.prompt import Prompt

            asyncio.run(converse(talk, Prompt(talk, settings.library / HISTORY), thread))
        elif listen(talk, sys.stdin.buffer):
            raise typer.Exit(FOUND_WRONG)
