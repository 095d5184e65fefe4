"""What is seen while an answer is made: steps, and provisional text, plainly marked until it is checked."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from agent.answers.events import Draft, Event, Final, Step, Withdrawn
from agent.text.render import clean, one_line
from index.errors import ModelError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from agent.answers.values import Answer

PROVISIONAL = "provisional, not yet checked against its sources"

MARK = "┊ "
"""Begins each line of provisional text, so that it is known without colour too."""

_SEEN = 6_000
"""Characters of provisional text, from its end, that are laid out anew for each picture."""

_FRAMES = 12
"""Pictures a second."""


async def watch(events: AsyncGenerator[Event, None], out: Console, *, keep_steps: bool = False) -> Answer:
    """Shows the events of a question until its answer, which is returned and not shown.

    On a terminal the provisional text moves, and is gone at the end; elsewhere it is printed line by line.
    keep_steps: whether the steps stay on the screen.
    """
    moving = out.is_terminal and not out.is_dumb_terminal
    stage = Moving(out, keep_steps) if moving else Lines(out)
    async with aclosing(events) as coming:
        with stage:
            async for event in coming:
                if isinstance(event, Final):
                    return event.answer
                stage.show(event)
    raise ModelError("the answer ended without a result; ask again")


def step_line(step: Step) -> str:
    """A step as one line for people."""
    return f"· {one_line(step.text)}"


class Lines:
    """Where nothing can be taken back: whole lines, each marked as what it is."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self._line = ""

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def show(self, event: Event) -> None:
        """Prints a step, the lines of a draft that are whole, or that a draft is void."""
        if isinstance(event, Draft):
            *whole, self._line = (self._line + event.text).split("\n")
            for line in whole:
                self._print(f"{MARK}{clean(line)}")
            return
        self._end()
        if isinstance(event, Step):
            self._print(step_line(event))
        elif isinstance(event, Withdrawn):
            self._print(f"{MARK}[withdrawn: {one_line(event.reason)}]")

    def _end(self) -> None:
        if self._line:
            self._print(f"{MARK}{clean(self._line)}")
        self._line = ""

    def _print(self, line: str) -> None:
        self._out.print(line, soft_wrap=True)


class Moving:
    """The last steps and the end of the draft, painted over while they change."""

    def __init__(self, out: Console, keep_steps: bool) -> None:
        from rich.live import Live
        from rich.spinner import Spinner

        self._out = out
        self._keep_steps = keep_steps
        self._draft = ""
        self._spinner = Spinner("dots", style="dim")
        self._doing = "looking"
        self._live = Live(
            console=out,
            transient=True,
            refresh_per_second=_FRAMES,
            get_renderable=self._picture,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Moving:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, event: Event) -> None:
        """Takes the event into the picture."""
        from rich.text import Text

        if isinstance(event, Draft):
            self._draft += event.text
            self._doing = PROVISIONAL
        elif isinstance(event, Withdrawn):
            self._draft = ""
            self._doing = f"withdrawn: {one_line(event.reason)}"
        elif isinstance(event, Step):
            self._doing = one_line(event.text)
            if self._keep_steps:
                self._out.print(Text(step_line(event), style="dim"))

    def _picture(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        self._spinner.update(text=Text(self._doing, style="dim", no_wrap=True, overflow="ellipsis"))
        return Group(*self._draft_lines(), self._spinner)

    def _draft_lines(self) -> list[Text]:
        """The last lines of the draft that the screen has room for."""
        from rich.text import Text

        text = Text(clean(self._draft[-_SEEN:]).strip(), style="dim italic")
        width = max(self._out.width - len(MARK) - 1, 10)
        lines = list(text.wrap(self._out, width)) if text else []
        return [Text(MARK, style="dim") + line for line in lines[-max(self._out.height - 4, 1) :]]
