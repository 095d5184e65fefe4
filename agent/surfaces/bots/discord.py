"""Discord: its messages, slash commands and buttons to and from the surface, over the gateway.

After a drop the gateway replays what was missed. Where it does not, after a new start or a session that it
refuses to resume, the channels are read from the last message that was heard; what was heard twice is
answered once, by its id.
"""

from __future__ import annotations

import asyncio
import io
import logging
import re
import sys
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agent.records.privacy import mask
from agent.surfaces.bots.channel import Button, File, Incoming
from agent.surfaces.bots.desk import Desk
from agent.surfaces.bots.discord_calls import (
    HOME,
    LASTS,
    Call,
    Lapsed,
    bad_token,
    commands,
    connected,
    lead_to,
    told,
    unnoted,
    view,
)
from agent.surfaces.bots.discord_missed import Missed
from agent.surfaces.bots.markup import DiscordMarkdown, Plain
from agent.surfaces.bots.messages import Format, Part
from agent.surfaces.bots.surface import LONGEST
from index.errors import ChainciteError, Delayed, DeliveryError, Vanished

if TYPE_CHECKING:
    import discord

_log = logging.getLogger(__name__)


class Discord:
    """The channel of one bot. url: where Discord is. `start` must be awaited before anything else."""

    platform = "discord"
    format: Format = DiscordMarkdown()
    plain: Format = Plain(2000)
    pace = 1.5
    haste = 1.5
    """Seconds after which an interaction is told that it was heard; Discord waits for 3."""
    listing = 30.0
    """Seconds that the others are waited for after a new start, until all guilds are listed."""

    def __init__(self, token: str, url: str = HOME) -> None:
        import discord

        if url != HOME:
            lead_to(url)
        self._token = token
        self.client = discord.Client(
            intents=discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=True),
            member_cache_flags=discord.MemberCacheFlags.none(),
            allowed_mentions=discord.AllowedMentions.none(),
            chunk_guilds_at_startup=False,
            max_messages=None,
        )
        for heard in (
            self.on_connect,
            self.on_guild_available,
            self.on_guild_unavailable,
            self.on_guild_remove,
            self.on_message,
            self.on_interaction,
            self.on_error,
        ):
            self.client.event(heard)
        self._calls: OrderedDict[str, Call] = OrderedDict()
        self._holds: set[asyncio.Task[None]] = set()
        self._inward = asyncio.Lock()
        self._listed = asyncio.Event()
        self._failed: asyncio.Future[None]
        self._desk: Desk | None = None
        self._missed: Missed

    async def start(self) -> None:
        """Greets Discord and lists the commands. Raises SettingsError for a token it does not know."""
        import discord
        from aiohttp import ClientError

        try:
            await self.client.login(self._token)
        except (discord.LoginFailure, ValueError):
            await self.close()
            raise bad_token() from None
        except (discord.HTTPException, ClientError, OSError) as error:
            await self.close()
            raise DeliveryError(f"Discord does not answer: {mask(str(error))}") from None
        try:
            await self.client.http.bulk_upsert_global_commands(self._me, commands())
        except discord.HTTPException as error:
            _log.warning("the slash commands are not listed: %s", error)

    async def close(self) -> None:
        """Ends the connections."""
        await self.client.close()

    async def send(self, incoming: Incoming, part: Part, *, aside: bool = False) -> str:
        """Sends a placeholder and returns its id."""
        import discord

        if (call := self._call(incoming)) is not None:
            try:
                return await told(lambda: call.send(part.markup, aside=aside))
            except Lapsed:
                call.over = True
        place = int(incoming.thread or incoming.chat)
        reference: Any = None
        if incoming.message and not incoming.private:
            reference = discord.MessageReference(
                message_id=int(incoming.message), channel_id=place, fail_if_not_exists=False
            )
        channel = self.client.get_partial_messageable(place)
        sent = await told(
            lambda: channel.send(
                part.markup,
                reference=reference,
                suppress_embeds=True,
                allowed_mentions=discord.AllowedMentions.none(),
            )
        )
        return str(sent.id)

    async def lost(self, incoming: Incoming, known: Sequence[str]) -> str | None:
        """A message to what came in of which only Discord knows, found in the history of the chat."""
        channel = self.client.get_partial_messageable(int(incoming.thread or incoming.chat))
        try:
            if not incoming.ticket:
                return await unnoted(channel, self._me, incoming, known)
            call = self._call(incoming)
            found = await call.first() if call is not None else None
        except Delayed:
            raise
        except DeliveryError as error:
            _log.info("no answer is found that was not noted: %s", error)
            return None
        return None if found in (*known, incoming.message) else found

    async def edit(
        self,
        incoming: Incoming,
        message: str,
        part: Part,
        buttons: Sequence[Button] = (),
        file: File | None = None,
    ) -> None:
        """Puts a part, with a file where there is one, in the place of a message."""
        import discord

        def content() -> dict[str, Any]:
            body = io.BytesIO(file.body.encode("utf-8", "backslashreplace")) if file else None
            return {
                "content": part.markup,
                "view": view(buttons),
                "attachments": [discord.File(body, file.name)] if file and body else [],
                "allowed_mentions": discord.AllowedMentions.none(),
            }

        if (call := self._call(incoming)) is not None:
            try:
                await told(lambda: call.followup.edit_message(int(message), **content()))
            except (Lapsed, Vanished) as error:
                call.over = isinstance(error, Lapsed)
            else:
                return
        channel = self.client.get_partial_messageable(int(incoming.thread or incoming.chat))
        await told(lambda: channel.get_partial_message(int(message)).edit(**content()))

    async def poll(self, desk: Desk, stopped: asyncio.Event) -> None:
        """Takes in what the gateway tells until it is stopped.

        Raises SettingsError where Discord refuses the bot, LibraryError where nothing can be noted.
        """
        self._desk = desk
        self._missed = Missed(self.client, desk, lambda message: self.incoming(message) is not None)
        self._failed = asyncio.get_running_loop().create_future()
        connection = asyncio.create_task(self.client.connect())
        ending = asyncio.create_task(stopped.wait())
        ends: set[asyncio.Future[Any]] = {connection, ending, self._failed}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        self._desk = None
        ending.cancel()
        if not connection.done():
            connection.cancel()
        with suppress(asyncio.CancelledError):
            await connected(connection)
        if self._failed.done():
            self._failed.result()

    # What the gateway tells

    async def on_connect(self) -> None:
        """A new session: what came since the last message heard is read, before anything newer is taken."""
        async with self._inward:
            since = self._missed.since()
            self._missed.owe(0, since)
            with suppress(TimeoutError):
                async with asyncio.timeout(self.listing):
                    while any(guild.unavailable for guild in self.client.guilds):
                        self._listed.clear()
                        await self._listed.wait()
            for guild in self.client.guilds:
                if guild.unavailable:
                    self._missed.owe(guild.id, since)
                else:
                    await self._catch_up(guild, since)
            async for message in self._missed.in_private(since):
                await self._hear(message)
            if self._desk is not None:
                self._missed.paid(0)

    async def on_guild_available(self, guild: discord.Guild) -> None:
        """A guild is listed, at the start or after an outage: what was said meanwhile is read."""
        self._listed.set()
        async with self._inward:
            await self._catch_up(guild)

    async def on_guild_unavailable(self, guild: discord.Guild) -> None:
        """An outage of a guild."""
        async with self._inward:
            self._missed.owe(guild.id, self._missed.since())

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """The bot is in a guild no more."""
        self._missed.paid(guild.id)

    async def _catch_up(self, guild: discord.Guild, since: int | None = None) -> None:
        async for message in self._missed.of_guild(guild, since):
            await self._hear(message)
        if self._desk is not None:
            self._missed.paid(guild.id)

    async def on_message(self, message: discord.Message) -> None:
        """A message; each is on the disk before the next is looked at."""
        async with self._inward:
            await self._hear(message)

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        """A slash command, or a button that was pressed."""
        incoming = self.called(interaction)
        if incoming is None or self._desk is None or incoming.key in self._calls:
            return
        call = self._calls[incoming.key] = Call(interaction.followup, interaction.response)
        if await self._desk.take(incoming):
            hold = asyncio.create_task(call.hold(self.haste))
            self._holds.add(hold)
            hold.add_done_callback(self._holds.discard)

    async def on_error(self, event: str, *_: object, **__: object) -> None:
        """A fault of the library ends the bot, since nothing can be taken; others are logged."""
        error = sys.exc_info()[1]
        if isinstance(error, ChainciteError) and not self._failed.done():
            self._failed.set_exception(error)
        else:
            _log.exception("%s could not be taken", event)

    async def _hear(self, message: discord.Message) -> None:
        if self._desk is None:
            return
        incoming = self.incoming(message)
        if incoming is not None:
            await self._desk.take(incoming)
        self._missed.heard(message, taken=incoming is not None)

    # As the surface takes it

    @property
    def _me(self) -> int:
        assert self.client.user is not None  # noqa: S101
        return self.client.user.id

    def incoming(self, message: discord.Message) -> Incoming | None:
        """A message as the surface takes it; None where it is not for this bot."""
        from discord import MessageType

        if message.author.bot or message.webhook_id or self.client.user is None:
            return None
        if message.type not in (MessageType.default, MessageType.reply):
            return None
        text = self._addressed(message)
        if text is None:
            return None
        made = self._made(message.id, message.author, message.channel, message.guild)
        replied = message.reference.message_id if message.reference else None
        return replace(made, text=text[: LONGEST + 64], message=str(message.id), reply_to=str(replied or ""))

    def _addressed(self, message: discord.Message) -> str | None:
        """What is said to this bot: all in private, and in a guild a mention or a reply to it."""
        text = message.content.strip()
        if message.guild is None:
            return text
        role = message.guild.self_role
        said = re.sub(rf"<@!?{self._me}>|<@&{role.id if role else self._me}>", "", text).strip()
        replied = message.reference.resolved if message.reference else None
        writer = getattr(replied, "author", None)
        return said if said != text or (writer is not None and writer.id == self._me) else None

    def called(self, interaction: discord.Interaction) -> Incoming | None:
        """A command or a button as the surface takes it; None where it is neither."""
        from discord import InteractionType

        data: Any = interaction.data or {}
        if interaction.type is InteractionType.application_command:
            words = [str(option.get("value", "")) for option in data.get("options", [])]
            text = " ".join([f"/{data['name']}", *words])
        elif interaction.type is InteractionType.component:
            text = str(data["custom_id"])
        else:
            return None
        if interaction.channel is None or interaction.user.bot:
            return None
        made = self._made(interaction.id, interaction.user, interaction.channel, interaction.guild)
        message = str(interaction.message.id) if interaction.message else ""
        return replace(made, text=text[: LONGEST + 64], message=message, ticket=interaction.token)

    def _made(self, number: int, user: Any, channel: Any, guild: discord.Guild | None) -> Incoming:
        from discord import Thread

        thread = isinstance(channel, Thread)
        groups = (f"guild:{guild.id}",) if guild else ()
        return Incoming(
            key=f"discord:{self._me}:{number}",
            platform=self.platform,
            user=str(user.id),
            chat=str(channel.parent_id if thread else channel.id),
            thread=str(channel.id) if thread else "",
            text="",
            private=guild is None,
            groups=(*groups, *(f"role:{role.id}" for role in getattr(user, "roles", ()))),
        )

    def _call(self, incoming: Incoming) -> Call | None:
        """The interaction that a message was, while it can be answered as such."""
        while self._calls and _ended(next(iter(self._calls))):
            self._calls.popitem(last=False)
        if not incoming.ticket or _ended(incoming.key):
            return None
        if incoming.key not in self._calls:
            self._calls[incoming.key] = Call.again(self.client, incoming.ticket)
        call = self._calls[incoming.key]
        return None if call.over else call


def _ended(key: str) -> bool:
    """Whether the interaction of this key is too old to be answered as such."""
    from discord.utils import snowflake_time, utcnow

    return utcnow() - snowflake_time(int(key.rpartition(":")[2])) > LASTS
