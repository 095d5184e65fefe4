"""Surfaces over the sample library, a platform in memory, and the Bot API's double."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from agent.session import Session
from agent.surfaces.bots.channel import Button, File, Incoming
from agent.surfaces.bots.desk import Desk
from agent.surfaces.bots.inbox import Inbox
from agent.surfaces.bots.markup import Plain, TelegramHtml
from agent.surfaces.bots.messages import Format, Part
from agent.surfaces.bots.store import Store
from agent.surfaces.bots.surface import Surface
from index.errors import DeliveryError, Vanished
from index.library import Library
from index.settings import Settings
from index.values import Reading, SourceRef
from ingest.connector import Doors
from ingest.fetch import Fetcher
from ingest.registry import reread
from tests.agent.bots.telegram_double import BotApi


class Memory:
    """A platform in memory. fails: gives the error that a call raises, if any; said: texts by message id."""

    platform = "telegram"
    pace = 0.0

    def __init__(self) -> None:
        self.format: Format = TelegramHtml()
        self.plain: Format = Plain(4096)
        self.said: dict[str, list[str]] = {}
        self.files: list[File] = []
        self.buttons: dict[str, tuple[Button, ...]] = {}
        self.asides: list[str] = []
        self.chats: dict[str, str] = {}
        self.fails: Callable[[str, Part], DeliveryError | None] = lambda _call, _part: None

    async def send(self, incoming: Incoming, part: Part, *, aside: bool = False) -> str:
        await self._may("send", part)
        message = f"m{len(self.said) + 1}"
        self.said[message] = [part.text]
        self.chats[message] = incoming.chat
        self.asides += [message] if aside else []
        return message

    async def lost(self, incoming: Incoming, known: Sequence[str]) -> str | None:
        return None

    async def edit(
        self,
        incoming: Incoming,
        message: str,
        part: Part,
        buttons: Sequence[Button] = (),
        file: File | None = None,
    ) -> None:
        await self._may("edit", part)
        if message not in self.said:
            raise Vanished("there is no such message")
        self.said[message].append(part.text)
        self.buttons[message] = tuple(buttons)
        self.files += [file] if file else []

    async def _may(self, call: str, part: Part) -> None:
        await asyncio.sleep(0)
        if error := self.fails(call, part):
            raise error

    @property
    def last(self) -> str:
        """The text of the newest message."""
        return list(self.said.values())[-1][-1]


class Bot:
    """A desk over the sample library with a platform in memory."""

    def __init__(self, folder: Path, library: Library, **more: object) -> None:
        given = {"bot_allow": ("telegram:*",), "bot_admins": ("telegram:user:1",), **more}
        self.settings = Settings.load(library=folder, **given)
        self.library = library
        self.channel = Memory()
        self.store = Store(folder)
        self.waits: list[float] = []
        self.numbers = 0
        self.surface = Surface(library, self.settings, self.session, self.reread, self.store)
        self.desk = Desk(self.channel, self.surface, Inbox(self.store, "telegram"), self._slept)

    def session(self, user: str, thread: str) -> Session:
        return Session(self.library, self.settings, user=user, thread=thread)

    def reread(self, source: SourceRef) -> Reading:
        return reread(source, Doors(Fetcher()))

    async def _slept(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)

    def incoming(self, text: str, user: int = 7, chat: int | None = None, **more: object) -> Incoming:
        """A message of a user, in a private chat unless a chat is named."""
        self.numbers += 1
        fields = {
            "key": f"telegram:9:{self.numbers}",
            "platform": "telegram",
            "user": str(user),
            "chat": str(chat or user),
            "text": text,
            "private": chat is None,
        }
        return Incoming(**{**fields, **more})  # type: ignore[arg-type]

    async def hears(self, text: str, **more: object) -> str:
        """What the bot says at last to a message."""
        await self.desk.take(self.incoming(text, **more))  # type: ignore[arg-type]
        await self.desk.idle()
        return self.channel.last

    def run(self, *texts: str, **more: object) -> list[str]:
        """What the bot says to messages, one after another."""

        async def all_of_them() -> list[str]:
            return [await self.hears(text, **more) for text in texts]

        return asyncio.run(all_of_them())


@pytest.fixture(scope="session")
def opened(sample_library: Path) -> Library:
    return Library(sample_library)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for what a bot remembers; the library itself lies elsewhere and is only read."""
    made = tmp_path / "library"
    made.mkdir()
    return made


@pytest.fixture
def bot_with(folder: Path, opened: Library) -> Callable[..., Bot]:
    return lambda **more: Bot(folder, opened, **more)


@pytest.fixture
def bot(bot_with: Callable[..., Bot]) -> Bot:
    return bot_with()


@pytest.fixture
def api() -> Iterator[BotApi]:
    with BotApi() as served:
        yield served


@pytest.fixture
def own_library(sample_library: Path, tmp_path: Path) -> Path:
    """A copy of the sample library, for a process of its own."""
    return Path(shutil.copytree(sample_library, tmp_path / "own"))
