"""Telegram: its messages and buttons to and from the surface, by long polling.

Updates are fetched here and not by the library's Application: Telegram forgets an update as soon as the next
fetch names a higher offset, so that must wait until the desk has it on the disk.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from agent.records.privacy import mask
from agent.surfaces.bots.channel import Button, File, Incoming
from agent.surfaces.bots.desk import Desk
from agent.surfaces.bots.markup import Plain, TelegramHtml
from agent.surfaces.bots.messages import Format, Part
from agent.surfaces.bots.surface import LONGEST
from agent.surfaces.bots.webhook import listening, webhook
from agent.surfaces.bots.words import WORDS, parted
from index.errors import Delayed, DeliveryError, Misread, SettingsError, Vanished

if TYPE_CHECKING:
    from telegram import Bot, InlineKeyboardMarkup, Message, ReplyParameters, Update

Done = TypeVar("Done")

UPDATES = ("message", "callback_query")
"""What is asked of Telegram; the rest (edits, channel posts, ...) is not for this bot."""
_POLL = 30
"""Seconds that a fetch waits for updates."""
_log = logging.getLogger(__name__)


class Telegram:
    """The channel of one bot. url: where the Bot API is. `start` must be awaited before anything else."""

    platform = "telegram"
    format: Format = TelegramHtml()
    plain: Format = Plain(4096)
    pace = 3.0
    alone = 2.0
    """Seconds that others wait while a message is sent: a kill leaves behind all whose ids are not known."""

    def __init__(self, token: str, url: str) -> None:
        from telegram import Bot
        from telegram.error import InvalidToken
        from telegram.request import HTTPXRequest

        try:
            self.bot: Bot = Bot(
                token,
                base_url=f"{url}/bot",
                base_file_url=f"{url}/file/bot",
                request=HTTPXRequest(connection_pool_size=16, pool_timeout=30, read_timeout=30),
                get_updates_request=HTTPXRequest(connection_pool_size=1, read_timeout=_POLL + 10),
            )
        except InvalidToken:
            raise _bad_token() from None
        self._moved: dict[str, str] = {}
        self._desk: Desk | None = None
        self._order = asyncio.Lock()
        self._presses: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Greets Telegram and lists the commands. Raises SettingsError for a token it does not know."""
        from telegram.error import InvalidToken, TelegramError

        try:
            await self.bot.initialize()
        except InvalidToken:
            await self.close()
            raise _bad_token() from None
        except TelegramError as error:
            await self.close()
            raise DeliveryError(f"Telegram does not answer: {mask(str(error))}") from None
        shown = [("ask", "ask a question"), *((n, w.help) for n, w in WORDS.items() if not w.admin)]
        with suppress(TelegramError):
            await self.bot.set_my_commands([one for one in shown if one[0] != "start"])

    async def close(self) -> None:
        """Ends the connections, after presses of buttons are answered."""
        await asyncio.gather(*self._presses)
        await self.bot.shutdown()

    async def send(self, incoming: Incoming, part: Part, *, aside: bool = False) -> str:  # noqa: ARG002
        """Sends a placeholder, after those before it, and returns its id."""
        async with self._order:
            sending = asyncio.ensure_future(self._followed(incoming, part))
            try:
                await asyncio.wait({sending}, timeout=self.alone)
            except asyncio.CancelledError:
                sending.cancel()
                raise
        return await sending

    async def _followed(self, incoming: Incoming, part: Part) -> str:
        """Sends into the chat of what came in, or that which it became."""
        if incoming.chat not in self._moved:
            with suppress(_Elsewhere):
                return await self._told(lambda: self._send(incoming, part), incoming.chat)
        moved = incoming.moved(self._moved[incoming.chat])
        return await self._told(lambda: self._send(moved, part), moved.chat)

    async def _send(self, incoming: Incoming, part: Part) -> str:
        sent = await self.bot.send_message(
            chat_id=incoming.chat,
            text=part.markup,
            parse_mode="HTML",
            message_thread_id=int(incoming.thread) if incoming.thread else None,
            reply_parameters=_answering(incoming),
            link_preview_options=_no_preview(),
        )
        return str(sent.message_id)

    async def lost(self, incoming: Incoming, known: Sequence[str]) -> str | None:  # noqa: ARG002
        """None: Telegram shows bots nothing of a chat."""
        return None

    async def edit(
        self,
        incoming: Incoming,
        message: str,
        part: Part,
        buttons: Sequence[Button] = (),
        file: File | None = None,
    ) -> None:
        """Puts a part, or a file with the part as its caption, in the place of a message."""
        chat = incoming.chat
        if chat in self._moved:
            raise _Elsewhere(self._moved[chat])
        if file is not None:
            await self._told(lambda: self._edit_file(chat, message, part, file), chat)
            return
        with suppress(_Unchanged):
            await self._told(
                lambda: self.bot.edit_message_text(
                    text=part.markup,
                    chat_id=chat,
                    message_id=int(message),
                    parse_mode=None if part.markup == part.text else "HTML",
                    reply_markup=_keyboard(buttons),
                    link_preview_options=_no_preview(),
                ),
                chat,
            )

    async def _edit_file(self, chat: str, message: str, part: Part, file: File) -> object:
        from telegram import InputMediaDocument

        body = file.body.encode("utf-8", "backslashreplace")
        media = InputMediaDocument(body, caption=part.markup, parse_mode="HTML", filename=file.name)
        return await self.bot.edit_message_media(media, chat_id=chat, message_id=int(message))

    async def poll(self, desk: Desk, stopped: asyncio.Event) -> None:
        """Takes updates in until it is stopped. An update is confirmed after it is on the disk.

        Raises SettingsError where another process polls with the same token, or the token is void.
        """
        from telegram.error import Conflict, InvalidToken, RetryAfter, TelegramError

        self._desk = desk
        offset: int | None = None
        wait = 1.0
        with suppress(TelegramError):
            await self.bot.delete_webhook()
        while not stopped.is_set():
            fetch = asyncio.ensure_future(
                self.bot.get_updates(offset=offset, timeout=_POLL, allowed_updates=UPDATES)
            )
            await _first(fetch, stopped)
            if not fetch.done():
                fetch.cancel()
                return
            try:
                updates, wait = fetch.result(), 1.0
            except (Conflict, InvalidToken) as error:
                raise SettingsError(f"Telegram refuses this bot: {mask(str(error))}") from None
            except TelegramError as error:
                wait = (
                    error._retry_after.total_seconds() if isinstance(error, RetryAfter) else min(wait * 2, 60)
                )
                _log.warning("no updates: %s", error)
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), wait)
                continue
            for update in updates:
                if stopped.is_set():
                    break
                await self.take(update, desk)
                offset = update.update_id + 1
        await self._confirm(offset)

    async def hook(self, desk: Desk, stopped: asyncio.Event, url: str, secret: str, address: str) -> None:
        """Takes in what Telegram calls `url` with, which must lead to `address`, until it is stopped.

        Raises SettingsError where Telegram does not take the URL, or the address is taken.
        """
        from telegram.error import TelegramError

        self._desk = desk
        app = webhook(self, desk, url, secret)
        async with listening(app, address):
            try:
                await self.bot.set_webhook(url, secret_token=secret, allowed_updates=UPDATES)
            except TelegramError as error:
                raise SettingsError(f"Telegram does not take the webhook: {mask(str(error))}") from None
            await stopped.wait()

    async def take(self, update: Update, desk: Desk) -> bool:
        """Hands an update to the desk; False where it is nothing for it."""
        self._desk = desk
        if (message := update.message) is not None:
            if message.migrate_to_chat_id is not None:
                self._follow(str(message.chat_id), str(message.migrate_to_chat_id))
            elif message.migrate_from_chat_id is not None:
                self._follow(str(message.migrate_from_chat_id), str(message.chat_id))
        incoming = self.incoming(update)
        new = incoming is not None and await desk.take(incoming)
        if update.callback_query is not None:
            self._presses.add(press := asyncio.create_task(self._pressed(update.callback_query.id)))
            press.add_done_callback(self._presses.discard)
        return new

    def incoming(self, update: Update) -> Incoming | None:
        """An update as the surface takes it; None where it is not for this bot."""
        made = self._heard(update)
        return made.moved(self._moved[made.chat]) if made and made.chat in self._moved else made

    def _heard(self, update: Update) -> Incoming | None:
        if update.callback_query is not None:
            return self._press(update)
        message = update.message
        if message is None or message.from_user is None or message.from_user.is_bot or message.sender_chat:
            return None
        text = self._addressed(message)
        return None if text is None else self._made(update, message, text)

    def _press(self, update: Update) -> Incoming | None:
        from telegram import Message

        query = update.callback_query
        assert query is not None  # noqa: S101
        if not isinstance(query.message, Message) or not query.data:
            return None
        made = self._made(update, query.message, query.data[:64])
        return None if query.from_user.is_bot else replace(made, user=str(query.from_user.id), reply_to="")

    def _made(self, update: Update, message: Message, text: str) -> Incoming:
        replied = message.reply_to_message
        return Incoming(
            key=f"telegram:{self.bot.id}:{update.update_id}",
            platform=self.platform,
            user=str(message.from_user.id) if message.from_user else "",
            chat=str(message.chat_id),
            thread=str(message.message_thread_id) if message.is_topic_message else "",
            text=text[: LONGEST + 64],
            message=str(message.message_id),
            reply_to=str(replied.message_id) if replied else "",
            private=message.chat.type == "private",
        )

    def _addressed(self, message: Message) -> str | None:
        """What is said to this bot; None where it is said to others.

        In a group that is a command, a mention, or a reply to one of its messages.
        """
        text = (message.text or message.caption or "").strip()
        name, rest = parted(text)
        command, at, whom = name.partition("@")
        mine = whom.lower() == (self.bot.username or "").lower()
        if name and at:
            return f"/{command} {rest}".strip() if mine else None
        private = message.chat.type == "private"
        if private or (command in WORDS or command == "ask"):
            return text or ("" if _holds_something(message) else None)
        if command:
            return None
        said = re.sub(rf"@{re.escape(self.bot.username or '')}\b", "", text, flags=re.IGNORECASE)
        replied = message.reply_to_message
        to_me = replied is not None and replied.from_user is not None and replied.from_user.id == self.bot.id
        return said.strip() if said != text or (to_me and text) else None

    async def _pressed(self, query: str) -> None:
        from telegram.error import TelegramError

        with suppress(TelegramError):
            await self.bot.answer_callback_query(query)

    async def _confirm(self, offset: int | None) -> None:
        """Tells Telegram what was taken, so that it is not sent again at the next start."""
        from telegram.error import TelegramError

        if offset is not None:
            with suppress(TelegramError):
                await self.bot.get_updates(offset=offset, timeout=0, limit=1, allowed_updates=UPDATES)

    def _follow(self, old: str, new: str) -> None:
        """Notes that a chat has another id, as an update or a refusal says."""
        if self._desk is None:
            raise Delayed("the chat has another id, and nothing can follow it yet")
        if self._moved.get(old) != new:
            self._desk.moved(old, new)
            self._moved[old] = new

    async def _told(self, call: Callable[[], Awaitable[Done]], chat: str) -> Done:
        """A call of the Bot API, its errors told as a channel tells them; a chat that moved is noted."""
        from telegram.error import (
            BadRequest,
            ChatMigrated,
            Forbidden,
            InvalidToken,
            NetworkError,
            RetryAfter,
            TelegramError,
        )

        try:
            return await call()
        except ChatMigrated as error:
            self._follow(chat, str(error.new_chat_id))
            raise _Elsewhere(str(error.new_chat_id)) from error
        except RetryAfter as error:
            raise Delayed("Telegram asks to wait", error._retry_after.total_seconds()) from error
        except BadRequest as error:
            raise _refused(error.message) from error
        except InvalidToken as error:
            raise Delayed("Telegram does not know the token any more") from error
        except Forbidden as error:
            raise DeliveryError(f"Telegram forbids it: {mask(error.message)}") from error
        except NetworkError as error:
            raise Delayed(f"Telegram does not answer: {mask(error.message)}") from error
        except TelegramError as error:
            raise DeliveryError(f"Telegram refuses it: {mask(error.message)}") from error


class _Elsewhere(Vanished):
    """The chat has another id, and its messages have others there."""


class _Unchanged(DeliveryError):
    """The message reads so already."""


def _refused(message: str) -> DeliveryError:
    """What a channel raises for a bad request of this wording."""
    said = message.lower()
    if "not modified" in said:
        return _Unchanged(message)
    if (
        "message to edit not found" in said
        or "message can't be edited" in said
        or "message_id_invalid" in said
    ):
        return Vanished("Telegram has this message no more")
    if "entit" in said or "unsupported start tag" in said:
        return Misread(f"Telegram does not understand the markup: {mask(message)}")
    return DeliveryError(f"Telegram refuses it: {mask(message)}")


def _bad_token() -> SettingsError:
    return SettingsError(
        "Telegram does not know the token of the bot; set TELEGRAM_BOT_TOKEN to the one that @BotFather gave"
    )


def _answering(incoming: Incoming) -> ReplyParameters | None:
    from telegram import ReplyParameters

    heard = incoming.message and not incoming.private
    return ReplyParameters(int(incoming.message), allow_sending_without_reply=True) if heard else None


def _no_preview() -> Any:
    from telegram import LinkPreviewOptions

    return LinkPreviewOptions(is_disabled=True)


def _keyboard(buttons: Sequence[Button]) -> InlineKeyboardMarkup | None:
    from telegram import InlineKeyboardButton, InlineKeyboardMarkup

    row = [InlineKeyboardButton(one.label, callback_data=one.command) for one in buttons]
    return InlineKeyboardMarkup([row]) if row else None


def _holds_something(message: Message) -> bool:
    """Whether it is a picture, a voice or the like, and no note of the chat itself, such as who joined."""
    return message.effective_attachment is not None or message.text is not None


async def _first(fetch: asyncio.Future[Any], stopped: asyncio.Event) -> None:
    """Waits until the fetch is done, or it is to stop."""
    stop = asyncio.ensure_future(stopped.wait())
    await asyncio.wait({fetch, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
