"""What passes between the surface and a platform: what came in, what goes out, and what a platform can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from agent.surfaces.bots.messages import Format, Part, Text


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message to the bot, or a button that was pressed, which stands for the command that it holds.

    key: names it for ever, so that it is answered once; it begins with the platform, as `telegram:7:1042`.
    user, chat, thread, message, reply_to: ids of the platform as text; reply_to: the message it replies to.
    private: between the bot and one person; groups: where else the user belongs, as `guild:7`, `role:9`.
    ticket: what the platform wants to be shown with what is said to it, a secret.
    """

    key: str
    platform: str
    user: str
    chat: str
    text: str
    thread: str = ""
    message: str = ""
    reply_to: str = ""
    private: bool = False
    groups: tuple[str, ...] = ()
    ticket: str = field(default="", repr=False)

    @property
    def conversation(self) -> str:
        """The conversation it belongs to: one for each chat and thread of a platform."""
        return f"{self.platform}:{self.chat}:{self.thread}"

    @property
    def person(self) -> str:
        """Who wrote it, as lists of access and the ledger name people."""
        return f"{self.platform}:user:{self.user}"

    @property
    def place(self) -> str:
        """The chat, as lists of access name it."""
        return f"{self.platform}:chat:{self.chat}"

    def moved(self, chat: str) -> Incoming:
        """The same where its chat got another id: messages of the old one are named by that, too."""
        replied = f"{self.chat}:{self.reply_to}" if self.reply_to else ""
        return replace(self, chat=chat, message="", reply_to=replied)

    @property
    def subjects(self) -> tuple[str, ...]:
        """All that access may be given to, or withheld from."""
        return self.person, self.place, *(f"{self.platform}:{group}" for group in self.groups)


@dataclass(frozen=True, slots=True)
class Button:
    """A button. command: what pressing it says, at most 64 bytes, as `/sources 20260101T000000Z-0123abcd`."""

    label: str
    command: str


@dataclass(frozen=True, slots=True)
class File:
    """A text file."""

    name: str
    body: str


@dataclass(frozen=True, slots=True)
class Progress:
    """What may be shown until the reply is there; the next one, or the reply, takes its place."""

    text: Text


@dataclass(frozen=True, slots=True)
class Reply:
    """The whole reply. answer_id: the answer it shows; aside: for the user alone, where possible."""

    text: Text
    buttons: tuple[Button, ...] = ()
    file: File | None = None
    answer_id: str = ""
    aside: bool = False


class Channel(Protocol):
    """A platform. A message is first sent as a placeholder and then edited, which may be done twice.

    plain: the format when its own was refused; pace: seconds between two edits of a message.
    Each method raises Delayed where trying again helps, Vanished where the message to edit is gone, Misread
    where the markup was refused, and else DeliveryError.
    """

    platform: str
    format: Format
    plain: Format
    pace: float

    async def send(self, incoming: Incoming, part: Part, *, aside: bool = False) -> str:
        """Sends a message into the chat of what came in, as a reply to it, and returns its id."""

    async def lost(self, incoming: Incoming, known: Sequence[str]) -> str | None:
        """The id of a message that was sent for what came in and is not known; None where none is found."""

    async def edit(
        self,
        incoming: Incoming,
        message: str,
        part: Part,
        buttons: Sequence[Button] = (),
        file: File | None = None,
    ) -> None:
        """Puts a part in the place of a message; the same part twice is no error."""
