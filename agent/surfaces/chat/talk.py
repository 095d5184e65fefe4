"""The conversation itself: each line is a question or a command, and no fault ends it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import TYPE_CHECKING

from agent.answers.events import final
from agent.answers.values import Answer, Answers
from agent.surfaces.chat.screen import watch
from agent.surfaces.chat.words import filter_words, obey
from agent.surfaces.terminal import console, show_answer
from agent.text.render import clean, one_line
from index.errors import ChainciteError, SettingsError

if TYPE_CHECKING:
    from rich.console import Console

    from agent.answers.verify import Reread
    from agent.session import Session
    from agent.surfaces.chat.prompt import Prompt
    from index.library import Library


class Chat:
    """What a chat is made of, and what it knows.

    models: the chat models that are configured, none where there is no endpoint; over: whether it ends.
    """

    def __init__(
        self, session: Session, library: Library, reread: Reread, models: tuple[str, ...], out: Console
    ) -> None:
        self.session = session
        self.library = library
        self.reread = reread
        self.models = models
        self.out = out
        self.answer: Answer | None = None
        self.over = False
        self._answers = Answers(library.folder)

    def last(self) -> Answer:
        """The last answer of the conversation. Raises SettingsError before the first."""
        if self.answer is None and self.session.turns:
            self.answer = self.stored(self.session.turns[-1].answer_id)
        if self.answer is None:
            raise SettingsError("there is no answer yet; ask something first")
        return self.answer

    def stored(self, answer_id: str) -> Answer:
        """A stored answer. Raises LibraryError."""
        return self._answers.load(answer_id)

    def say(self, line: str) -> None:
        """Prints what is no answer."""
        from rich.text import Text

        self.out.print(Text(clean(line), style="dim"), soft_wrap=True)

    async def take(self, line: str, *, live: bool) -> bool:
        """Answers a question or obeys a command; False, and one line that says why, where that fails.

        live: whether it is shown how the answer comes to be.
        """
        try:
            if line.lstrip().startswith("/"):
                await obey(self, line)
                return True
            events = self.session.ask(line)
            self.answer = await (watch(events, self.out, keep_steps=True) if live else final(events))
        except ChainciteError as error:
            self._complain(str(error))
            return False
        if live:
            self.out.print()
        show_answer(self.answer, self.out, parted=live)
        return True

    def _complain(self, line: str) -> None:
        from rich.text import Text

        console(stderr=True).print(Text(f"chaincite: {one_line(line)}"), soft_wrap=True)

    def state(self) -> str:
        """What the next question will be asked with, in a line."""
        session = self.session
        parts = [
            session.model or (self.models[0] if self.models else "quotations, no model"),
            f"{session.budget:,} tokens",
        ]
        parts += [f"as of {session.as_of}"] if session.as_of else []
        return " · ".join([*parts, *filter_words(session.filters)])


async def converse(chat: Chat, prompt: Prompt, thread: str) -> None:
    """Talks at a terminal until the person leaves. Ctrl-C stops the answer and not the program."""
    _greet(chat, thread)
    with prompt.quiet(), _interruptible() as run:
        while not chat.over:
            try:
                line = await prompt.read()
            except KeyboardInterrupt:
                chat.say("Ctrl-D leaves")
                continue
            except EOFError:
                return
            if line.strip():
                if not await run(chat.take(line, live=True)):
                    chat.say("stopped; ask on")
                chat.out.print()


def listen(chat: Chat, lines: Iterable[bytes]) -> int:
    """Answers lines that come through a pipe, plainly, and returns how many of them failed."""
    failed = 0
    with asyncio.Runner() as runner:
        for raw in lines:
            line = raw.decode("utf-8", "replace").strip()
            if not line:
                continue
            failed += not runner.run(chat.take(line, live=False))
            chat.out.print()
            if chat.over:
                break
    return failed


def _greet(chat: Chat, thread: str) -> None:
    turns = chat.session.turns
    if turns:
        asked = "1 question" if len(turns) == 1 else f"{len(turns)} questions"
        chat.say(f"conversation {thread!r} goes on after {asked}; /new starts afresh")
        chat.say(f"the last: {one_line(turns[-1].question)}")
    else:
        chat.say(f"conversation {thread!r}; ask in words, /help lists commands, Ctrl-D leaves")


@contextlib.contextmanager
def _interruptible() -> Iterator[Callable[[Coroutine[None, None, object]], Coroutine[None, None, bool]]]:
    """Gives what runs a coroutine until it ends or Ctrl-C stops it, and says whether it ended."""
    loop = asyncio.get_running_loop()
    running: set[asyncio.Task[object]] = set()

    async def run(work: Coroutine[None, None, object]) -> bool:
        task = asyncio.create_task(work)
        running.add(task)
        try:
            await asyncio.wait({task})
        finally:
            running.discard(task)
            task.cancel()
        if task.cancelled():
            return False
        task.result()
        return True

    def stop() -> None:
        for task in running:
            task.cancel()

    loop.add_signal_handler(signal.SIGINT, stop)
    try:
        yield run
    finally:
        loop.remove_signal_handler(signal.SIGINT)
