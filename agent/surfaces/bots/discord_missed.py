"""What came while no session of Discord's gateway was there to tell of it: the channels are read for it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from agent.surfaces.bots.desk import Desk
from agent.surfaces.bots.discord_calls import told
from index.errors import Delayed, DeliveryError

if TYPE_CHECKING:
    import discord
    from discord import StageChannel, TextChannel, Thread, VoiceChannel
    from discord.abc import MessageableChannel

Done = TypeVar("Done")

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
        """The id after which messages are to be read, in a new session.

        Nothing before the first start, and nothing older than the keys that are kept.
        """
        from discord.utils import time_snowflake

        if not self._noted:
            self._note(time_snowflake(datetime.now(UTC) + _OVERLAP))
            return self._noted
        heard = self._noted - _apart(_OVERLAP)
        return max(min(heard, self._owed(0) or heard), self._oldest())

    def owe(self, where: int, since: int) -> None:
        """Notes that the messages of a guild after an id are to be read; where: the guild, 0: everywhere.

        It is on the disk, and an earlier debt stands.
        """
        if self._owed(where) is None:
            self._desk.surface.store.set_mark(self._debt(where), str(since))

    def paid(self, where: int) -> None:
        """Notes that they were read."""
        if self._owed(where) is not None:
            self._desk.surface.store.unmark(self._debt(where))

    async def of_guild(
        self, guild: discord.Guild, since: int | None = None
    ) -> AsyncIterator[discord.Message]:
        """The messages of a guild after an id, or after an earlier one, from which on they are owed."""
        owed = [max(one, self._oldest()) for one in (since, self._owed(guild.id)) if one is not None]
        channels: list[TextChannel | VoiceChannel | StageChannel | Thread] = [
            *guild.text_channels,
            *guild.voice_channels,
            *guild.stage_channels,
            *guild.threads,
        ]
        for channel in channels if owed else ():
            if (channel.last_message_id or 0) > min(owed):
                for message in await self._read(channel, min(owed)):
                    yield await self._whole(message, guild)

    async def in_private(self, since: int) -> AsyncIterator[discord.Message]:
        """The messages of private chats after an id."""
        hidden = any(guild.unavailable for guild in self._client.guilds)
        for chat in self._private():
            if hidden and not await self._is_private(chat):
                continue
            for message in await self._read(self._client.get_partial_messageable(chat), since):
                yield message

    async def _read(self, channel: MessageableChannel, since: int) -> list[discord.Message]:
        from discord import Object

        async def read() -> list[discord.Message]:
            found = channel.history(limit=None, after=Object(since), oldest_first=True)
            return [message async for message in found]

        return await self._waited(read, channel.id) or []

    async def _waited(self, call: Callable[[], Awaitable[Done]], channel: int) -> Done | None:
        """What a call gives as soon as Discord answers it; None where it may not be made."""
        while True:
            try:
                return await told(call)
            except Delayed as error:
                _log.warning("missed messages cannot be read yet: %s", error)
                await self._desk.sleep(error.after or 5.0)
            except DeliveryError as error:
                _log.info("channel %s cannot be read: %s", channel, error)
                return None

    def _private(self) -> list[int]:
        query = (
            "select conversation from conversations where conversation like 'discord:%:'"
            " order by last_at desc"
        )
        chats = [int(row[0].split(":")[1]) for row in self._desk.surface.store.rows(query)]
        known = {channel.id for channel in self._client.get_all_channels()}
        return [chat for chat in chats if chat not in known][:_PRIVATE]

    async def _is_private(self, chat: int) -> bool:
        """Whether a chat is private, and not in a guild that lists nothing now."""
        from discord.abc import PrivateChannel

        channel = await self._waited(lambda: self._client.fetch_channel(chat), chat)
        return isinstance(channel, PrivateChannel)

    async def _whole(self, message: discord.Message, guild: discord.Guild) -> discord.Message:
        """A message with the roles of its writer, which the history leaves out."""
        if self._for_it(message):
            with suppress(DeliveryError):
                message.author = await told(lambda: guild.fetch_member(message.author.id))
        return message

    def _oldest(self) -> int:
        from discord.utils import time_snowflake

        return time_snowflake(
            datetime.now(UTC) - timedelta(days=self._desk.surface.settings.bot_retention_days)
        )

    def _debt(self, where: int) -> str:
        return f"{self._mark}:{where}"

    def _owed(self, where: int) -> int | None:
        owed = self._desk.surface.store.mark(self._debt(where))
        return None if owed is None else int(owed)

    def _note(self, message: int) -> None:
        self._desk.surface.store.set_mark(self._mark, str(message))
        self._noted = message


def _apart(time: timedelta) -> int:
    """How far ids are apart that were given in such a time: milliseconds, shifted by 22 bits."""
    return int(time.total_seconds() * 1000) << 22
