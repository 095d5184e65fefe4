"""The commands that answer in chats: bot telegram, bot discord."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from agent.surfaces.cli.options import open_library
from index.errors import SettingsError
from index.settings import Settings

if TYPE_CHECKING:
    from pydantic import SecretStr

    from agent.answers.verify import Reread

commands = typer.Typer()
_bot = typer.Typer(no_args_is_help=True, help="Answer in chats, from the library, with a source each.")
commands.add_typer(_bot, name="bot")

HealthOption = Annotated[
    str, typer.Option("--health", metavar="HOST:PORT", help="Where GET /health answers; empty: nowhere.")
]


def add_bot(rereading: Callable[[Settings], Reread]) -> None:
    """Adds the commands of `bot`. rereading: what reads a source again, made from the settings."""

    @_bot.command()
    def telegram(
        context: typer.Context,
        webhook: Annotated[
            str | None,
            typer.Option(
                "--webhook", metavar="URL", help="Let Telegram call this https:// URL; else poll it."
            ),
        ] = None,
        listen: Annotated[
            str,
            typer.Option("--listen", metavar="HOST:PORT", help="Where the webhook is served, behind TLS."),
        ] = "127.0.0.1:8443",
        health: HealthOption = "127.0.0.1:8787",
    ) -> None:
        """Answer on Telegram, until it is stopped. The token is TELEGRAM_BOT_TOKEN."""
        from agent.surfaces.bots.service import desk_of, log_to_stderr, serve
        from agent.surfaces.bots.telegram import Telegram

        settings: Settings = context.obj
        token = given(settings.telegram_token, "TELEGRAM_BOT_TOKEN", "@BotFather gives one")
        log_to_stderr(settings)
        desk_for = open_library(settings), settings, rereading(settings)

        async def run() -> None:
            channel = Telegram(token, settings.telegram_url)
            await channel.start()
            try:
                desk = desk_of(channel, *desk_for)
                if webhook is None:
                    await serve(desk, lambda stopped: channel.poll(desk, stopped), health)
                else:
                    secret = settings.webhook_secret
                    shown = secret.get_secret_value() if secret else secrets.token_urlsafe(32)
                    await serve(
                        desk, lambda stopped: channel.hook(desk, stopped, webhook, shown, listen), health
                    )
            finally:
                await channel.close()

        asyncio.run(run())

    @_bot.command()
    def discord(context: typer.Context, health: HealthOption = "127.0.0.1:8788") -> None:
        """Answer on Discord, until it is stopped. The token is DISCORD_BOT_TOKEN."""
        from agent.surfaces.bots.discord import Discord
        from agent.surfaces.bots.service import desk_of, log_to_stderr, serve

        settings: Settings = context.obj
        source = "https://discord.com/developers/applications gives one"
        token = given(settings.discord_token, "DISCORD_BOT_TOKEN", source)
        log_to_stderr(settings)
        desk_for = open_library(settings), settings, rereading(settings)

        async def run() -> None:
            channel = Discord(token, settings.discord_url)
            await channel.start()
            try:
                desk = desk_of(channel, *desk_for)
                await serve(desk, lambda stopped: channel.poll(desk, stopped), health)
            finally:
                await channel.close()

        asyncio.run(run())


def given(token: SecretStr | None, variable: str, source: str) -> str:
    """The token of a bot. Raises SettingsError where there is none."""
    if token is None:
        raise SettingsError(f"there is no token for this bot; set {variable} ({source})")
    return token.get_secret_value()
