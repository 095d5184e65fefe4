"""What came while no session of Discord's gateway was there to tell of it: the channels are read for it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from agent.bots.desk import Desk
from agent.bots.discord_calls import told
from index.errors import Delayed, DeliveryError

if TYPE_CHECKING:
    import discord
    from discord import StageChannel, TextChannel, Thread, VoiceChannel
    from discord.abc import MessageableChannel

_OVERLAP = timedelta(minutes=1)
"""How much before the last message heard the channels are read again: ids are in order only roughly."""

_NOTED = timedelta(seconds=10)
"""How far the last message heard may be ahead of what is on the disk."""

_PRIVATE = 200
"""Private chats that are read, those of the last messages first."""

_log = logging.getLogger(__name__)


class Missed:
    """The messages that a bot missed. for_it: whether a message is for the bot."""

    def __init__(self, client: discord.Client, desk: Desk, for_it: Callable[[discord.Message], bool]) -> None:
        assert client.user is not None  # noqa: S101
        self._client = client
        self._desk = desk
        self._for_it = for_it
        self._mark = f"discord:{client.user.id}:heard"
        self._noted = int(desk.surface.store.mark(self._mark) or 0)

    def heard(self, message: discord.Message, *, taken: bool) -> None:
        """Notes that all up to a message was heard and what is for the bot is on the disk."""
        if message.id > self._noted and (taken or message.id > self._noted + _apart(_NOTED)):
            self._note(message.id)

    def since(self) -> int:
        """The id after which messages are to be read.

        Nothing before the first start, and nothing older than the keys that are kept.
        """
        from discord.utils import time_snowflake

        now = datetime.now(UTC)
        if not self._noted:
            self._note(time_snowflake(now + _OVERLAP))
            return self._noted
        oldest = time_snowflake(now - timedelta(days=self._desk.surface.settings.bot_retention_days))
        return max(self._noted - _apart(_OVERLAP), oldest)

    async def messages(self, since: int) -> AsyncIterator[discord.Message]:
        """The messages after an id, wherever the bot may read."""
        for guild in self._client.guilds:
            channels: list[TextChannel | VoiceChannel | StageChannel | Thread] = [
                *guild.text_channels,
                *guild.voice_channels,
                *guild.stage_channels,
                *guild.threads,
            ]
            for channel in channels:
                if (channel.last_message_id or 0) > since:
                    for message in await self._read(channel, since):
                        yield await self._whole(message, guild)
        for chat in self._private():
            for message in await self._read(self._client.get_partial_messageable(chat), since):
                yield message

    async def _read(self, channel: MessageableChannel, since: int) -> list[discord.Message]:
        from discord import Object

        async def read() -> list[discord.Message]:
            found = channel.history(limit=None, after=Object(since), oldest_first=True)
            return [message async for message in found]

        while True:
            try:
                return await told(read)
            except Delayed as error:
                _log.warning("missed messages cannot be read yet: %s", error)
                await self._desk.sleep(error.after or 5.0)
            except DeliveryError as error:
                _log.info("channel %s cannot be read: %s", channel.id, error)
                return []

    def _private(self) -> list[int]:
        query = (
            "select conversation from conversations where conversation like 'discord:%:'"
            " order by last_at desc"
        )
        chats = [int(row[0].split(":")[1]) for row in self._desk.surface.store.rows(query)]
        known = {channel.id for channel in self._client.get_all_channels()}
        return [chat for chat in chats if chat not in known][:_PRIVATE]

    async def _whole(self, message: discord.Message, guild: discord.Guild) -> discord.Message:
        """A message with the roles of its writer, which the history leaves out."""
        if self._for_it(message):
            with suppress(DeliveryError):
                message.author = await told(lambda: guild.fetch_member(message.author.id))
        return message

    def _note(self, message: int) -> None:
        self._desk.surface.store.set_mark(self._mark, str(message))
        self._noted = message


def _apart(time: timedelta) -> int:
    """How far ids are apart that were given in such a time: milliseconds, shifted by 22 bits."""
    return int(time.total_seconds() * 1000) << 22
