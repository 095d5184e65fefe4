"""Where a person types: a line with history, completion and a status line below. Heavy: import it late."""

from __future__ import annotations

import contextlib
import shlex
import sys
import termios
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, ThreadedCompleter
from prompt_toolkit.document import Document as Line
from prompt_toolkit.history import FileHistory

from agent.surfaces.chat.words import FILTERS, OFF, WORDS
from index.errors import ChainciteError

if TYPE_CHECKING:
    from prompt_toolkit.input import Input
    from prompt_toolkit.output import Output

    from agent.surfaces.chat.talk import Chat
    from index.values import Document

_SHOWN = 50
"""Completions offered at once."""


class Prompt:
    """The line at which a person asks. Lines typed before are found again with the arrow keys.

    history: the file that keeps them. input, output: the terminal, where it is not the process's own.
    """

    def __init__(
        self,
        chat: Chat,
        history: Path,
        *,
        input: Input | None = None,  # noqa: A002
        output: Output | None = None,
    ) -> None:
        self._session: PromptSession[str] = PromptSession(
            [("bold ansicyan", "› ")],
            completer=ThreadedCompleter(Completions(chat)),
            complete_while_typing=False,
            history=_Kept(history),
            bottom_toolbar=lambda: f" {chat.state()}",
            reserve_space_for_menu=6,
            input=input,
            output=output,
        )

    async def read(self) -> str:
        """The next line. Raises KeyboardInterrupt for Ctrl-C and EOFError for Ctrl-D."""
        return await self._session.prompt_async(handle_sigint=False)

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Keys that are typed meanwhile are not painted into the answer; they wait for the next line."""
        try:
            terminal = sys.stdin.fileno()
            before = termios.tcgetattr(terminal)
        except (OSError, ValueError, termios.error):
            yield
            return
        changed = termios.tcgetattr(terminal)
        changed[3] &= ~termios.ECHO
        termios.tcsetattr(terminal, termios.TCSANOW, changed)
        try:
            yield
        finally:
            termios.tcsetattr(terminal, termios.TCSANOW, before)


class _Kept(FileHistory):
    """A history that a full or read-only disk does not stop."""

    def load_history_strings(self) -> Iterable[str]:
        try:
            return super().load_history_strings()
        except OSError:
            return []

    def store_string(self, string: str) -> None:
        with contextlib.suppress(OSError):
            super().store_string(string)


class Completions(Completer):
    """What Tab offers: commands, what may follow them, and designations of the library's documents."""

    def __init__(self, chat: Chat) -> None:
        self._chat = chat

    def get_completions(self, document: Line, complete_event: CompleteEvent) -> Iterable[Completion]:  # noqa: ARG002
        """The words that go on from what stands before the cursor."""
        word, offered = self._offered(document.text_before_cursor.lstrip())
        matching = [one for one in offered if one.casefold().startswith(word.casefold())]
        for one in matching[:_SHOWN]:
            yield Completion(one, start_position=-len(word))

    def _offered(self, before: str) -> tuple[str, Iterable[str]]:
        """The word that is being typed, and what it may become."""
        word = before.rpartition(" ")[2]
        if not before.startswith("/"):
            return word, self._designations if word else ()
        if word == before:
            return word, [f"/{name}{' ' if found.usage else ''}" for name, found in WORDS.items()]
        name = before[1:].partition(" ")[0]
        if name == "filter":
            kind, parted, value = word.partition("=")
            return (value, self._values(kind)) if parted else (word, [*(f"{one}=" for one in FILTERS), OFF])
        if name == "open":
            answer = self._chat.answer
            return word, [str(citation.number) for citation in answer.citations] if answer else ()
        return word, {"model": self._chat.models, "as-of": (OFF,)}.get(name, ())

    def _values(self, name: str) -> list[str]:
        """What a filter of this name may be, as it is typed."""
        found: dict[str, Callable[[Document], Iterable[str | None]]] = {
            "kind": lambda document: [document.kind],
            "author": lambda document: document.authors,
            "status": lambda document: [document.status],
            "chain": lambda document: [document.chain],
            "contract": lambda document: document.contracts,
        }
        if name not in found:
            return []
        values = {value for document in self._documents for value in found[name](document) if value}
        return [shlex.quote(value) for value in sorted(values)]

    @property
    def _documents(self) -> list[Document]:
        try:
            return self._chat.library.documents()
        except ChainciteError:
            return []

    @property
    def _designations(self) -> list[str]:
        numbers = {document.number for document in self._documents if document.number}
        return sorted(numbers, key=lambda number: (len(number), number))
