"""Calls of Discord's API: what it refuses told as a channel tells it, interactions, commands, buttons."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from agent.records.privacy import mask
from agent.surfaces.bots.channel import Button, Incoming
from agent.surfaces.bots.words import WORDS
from index.errors import Delayed, DeliveryError, SettingsError, Vanished

if TYPE_CHECKING:
    import discord

Done = TypeVar("Done")

HOME = "https://discord.com"

LASTS = timedelta(minutes=15)
"""How long an interaction can be answered as such."""

PENDING = ("_…", "…")
"""How placeholders begin."""

_LOOKED = 200
"""Messages after a question that are searched for its answer."""

_LAPSED = {10015, 10062, 40060, 50027}
"""Codes of an interaction that cannot be answered as such any more."""


class Call:
    """An interaction: its first answer goes another way than the others.

    response: None where another process took the interaction. over: it cannot be answered as such any more.
    """

    def __init__(self, followup: discord.Webhook, response: discord.InteractionResponse[Any] | None) -> None:
        self.followup = followup
        self.over = False
        self._response = response
        self._order = asyncio.Lock()

    @classmethod
    def again(cls, client: discord.Client, ticket: str) -> Call:
        """The interaction of this token, which another process took."""
        from discord import Webhook

        data: Any = {"id": client.application_id, "type": 3, "token": ticket}
        return cls(Webhook.from_state(data, client._connection), None)

    async def hold(self, seconds: float) -> None:
        """Tells Discord that it was heard, unless it is answered by then."""
        await asyncio.sleep(seconds)
        with suppress(DeliveryError):
            async with self._order:
                if self._response and not self._response.is_done():
                    await told(partial(self._response.defer, thinking=True))

    async def send(self, markup: str, *, aside: bool) -> str:
        """Answers, for the user alone where it is aside, and returns the id of the message."""
        async with self._order:
            if self._response and not self._response.is_done():
                made = await self._response.send_message(markup, ephemeral=aside, suppress_embeds=True)
                return str(made.message_id)
            sent = await self.followup.send(markup, ephemeral=aside, suppress_embeds=True, wait=True)
            return str(sent.id)

    async def first(self) -> str:
        """The id of its first answer. Raises DeliveryError where it has none."""
        from discord.webhook.async_ import async_context

        place, ticket = self.followup.id, self.followup.token or ""
        call = async_context.get().get_original_interaction_response
        made = await told(lambda: call(place, ticket, session=self.followup.session))
        return str(made["id"])


class Lapsed(DeliveryError):
    """The interaction cannot be answered as such any more."""


def commands() -> list[dict[str, object]]:
    """The slash commands as Discord lists them; those of admins are written out in a message."""
    shown = {name: word for name, word in WORDS.items() if not word.admin and name != "start"}
    listed = [("ask", "QUESTION", "ask a question"), *((n, w.usage, w.help) for n, w in shown.items())]
    return [
        {
            "name": name,
            "description": told[:100],
            "type": 1,
            "contexts": [0, 1],
            "integration_types": [0],
            "options": [{"type": 3, "name": "text", "description": usage[:100], "required": usage[0] != "["}]
            if usage
            else [],
        }
        for name, usage, told in listed
    ]


async def unnoted(
    channel: discord.PartialMessageable, me: int, incoming: Incoming, known: Sequence[str]
) -> str | None:
    """The id of a message of this bot to what came in that is not known. Raises DeliveryError.

    In private, where it replies to nothing, it is one that is a placeholder still.
    """
    from discord import Object

    def mine(message: discord.Message) -> bool:
        to = message.reference and message.reference.message_id
        meant = message.content.startswith(PENDING) if incoming.private else str(to) == incoming.message
        return meant and message.author.id == me and str(message.id) not in known

    async def look() -> str | None:
        after = channel.history(limit=_LOOKED, after=Object(int(incoming.message)), oldest_first=True)
        return next((str(message.id) for message in [one async for one in after] if mine(message)), None)

    return await told(look)


async def connected(connection: asyncio.Task[None]) -> None:
    """The end of a connection, its errors told. Raises SettingsError."""
    import discord

    try:
        await connection
    except discord.PrivilegedIntentsRequired:
        raise SettingsError(
            "Discord does not give this bot the text of messages; switch the Message Content Intent on, on "
            "the page Bot of the application, at https://discord.com/developers/applications"
        ) from None
    except discord.ConnectionClosed as error:
        if error.code == 4004:
            raise bad_token() from None
        raise SettingsError(f"Discord refuses this bot: the gateway closed with {error.code}") from None


async def told(call: Callable[[], Awaitable[Done]]) -> Done:
    """A call of Discord, its errors told as a channel tells them."""
    import discord
    from aiohttp import ClientError

    try:
        return await call()
    except discord.RateLimited as error:
        raise Delayed("Discord asks to wait", error.retry_after) from error
    except discord.HTTPException as error:
        raise _refused(error) from error
    except (ClientError, OSError, TimeoutError) as error:
        raise Delayed(f"Discord does not answer: {mask(str(error))}") from error
    except RuntimeError as error:
        raise Delayed("the connection to Discord is closed") from error


def _refused(error: discord.HTTPException) -> DeliveryError:
    """What a channel raises for an answer of Discord."""
    if error.code in _LAPSED:
        return Lapsed("the interaction is over")
    if error.code == 10008:
        return Vanished("Discord has this message no more")
    if error.status == 429:
        with suppress(ValueError):
            return Delayed("Discord asks to wait", float(error.response.headers.get("Retry-After", "")))
    if error.status in (401, 429) or error.status >= 500:
        return Delayed(f"Discord does not answer: status {error.status}")
    return DeliveryError(f"Discord refuses it: {mask(error.text or str(error.status))}")


def bad_token() -> SettingsError:
    """What is told of a token that Discord does not know."""
    return SettingsError(
        "Discord does not know the token of the bot; set DISCORD_BOT_TOKEN to the one on the page Bot of the "
        "application, at https://discord.com/developers/applications"
    )


def view(buttons: Sequence[Button]) -> discord.ui.View | None:
    """The buttons. They are no views that wait: a press comes as an interaction, also after a restart."""
    from discord import ui

    if not buttons:
        return None
    made = ui.View(timeout=None)
    for button in buttons:
        made.add_item(ui.Button(label=button.label, custom_id=button.command))
    made.stop()
    return made


def lead_to(url: str) -> None:
    """Leads the library to another place than Discord's; it has one place for the whole process."""
    from discord.gateway import DiscordWebSocket
    from discord.http import Route

    place = type(DiscordWebSocket.DEFAULT_GATEWAY)(url)
    Route.BASE = f"{url}/api/v10"
    DiscordWebSocket.DEFAULT_GATEWAY = (
        place.with_scheme("wss" if place.scheme == "https" else "ws") / "gateway"
    )
