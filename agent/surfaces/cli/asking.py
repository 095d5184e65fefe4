"""The commands that answer: ask, and batch for many questions."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.answers.markdown import failure
from agent.surfaces.cli.options import (
    FAULT,
    FOUND_WRONG,
    MODEL_FAILED,
    BudgetOption,
    FallbackOption,
    JsonOption,
    MarkdownOption,
    ModelOption,
    asked_in_words,
    filtered,
    one_form,
    open_library,
    print_answer,
    spoken_to,
)
from agent.surfaces.terminal import console
from agent.text.render import one_line
from index.errors import ChainciteError
from index.values import Filters

if TYPE_CHECKING:
    from agent.answers.values import Answer
    from agent.surfaces.cli.batch import Asked

commands = typer.Typer()


@commands.command()
@filtered
def ask(
    context: typer.Context,
    question: Annotated[str | None, typer.Argument(help="The question.", show_default=False)] = None,
    model: ModelOption = None,
    fallback: FallbackOption = None,
    budget: BudgetOption = None,
    filters: Filters = Filters(),
    stream: Annotated[
        bool | None,
        typer.Option(
            "--stream/--no-stream",
            help="Show steps and provisional text on standard error; else where that is a terminal.",
            show_default=False,
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ask anew, even where the same was answered before.")
    ] = False,
    as_json: JsonOption = False,
    as_markdown: MarkdownOption = False,
) -> None:
    """Answer a question from the library, each sentence with its source, or say that it is not there.

    Exit status 3 when the chat model failed, so that the library was quoted.
    """
    import asyncio

    from agent.answers.events import final
    from agent.session import Session
    from agent.surfaces.chat.screen import watch

    asked = asked_in_words(question, "ask")
    one_form(as_json, as_markdown)
    settings = spoken_to(context.obj, model, fallback, budget)
    events = Session(open_library(settings), settings).ask(asked, filters=filters, fresh=fresh)
    shown = sys.stderr.isatty() if stream is None else stream
    answer = asyncio.run(watch(events, console(stderr=True)) if shown else final(events))
    print_answer(answer, as_json, as_markdown)
    if answer.model_failed:
        raise typer.Exit(MODEL_FAILED)


@commands.command()
@filtered
def batch(
    context: typer.Context,
    questions: Annotated[
        Path,
        typer.Argument(metavar="QUESTIONS.jsonl", help='JSON lines with "id", and "question" or "turns".'),
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="ANSWERS.jsonl", help="Where the answers go, one line each.")
    ],
    concurrency: Annotated[
        int | None,
        typer.Option("--concurrency", min=1, max=64, help="Questions at a time; else the setting."),
    ] = None,
    model: ModelOption = None,
    fallback: FallbackOption = None,
    budget: BudgetOption = None,
    filters: Filters = Filters(),
) -> None:
    """Answer many questions. What stands answered in ANSWERS.jsonl is not asked again.

    `turns` is a list of questions, each asked in one conversation; the last is answered. Exit status 1 when
    questions failed, or their chat model did: the next run asks them again; 2 when lines were at fault.
    """
    import asyncio

    from agent.answers.events import final
    from agent.session import Session
    from agent.surfaces.cli.batch import AnswersFile, read_questions, run

    settings = spoken_to(context.obj, model, fallback, budget)
    asked, faults = read_questions(questions)
    for fault in faults:
        typer.echo(f"chaincite: {fault}", err=True)
    library = open_library(settings)
    library.check(filters)

    async def answer(one: Asked) -> Answer:
        session = Session(library, settings)
        for question in one.before:
            await final(session.ask(question, filters=filters))
        return await final(session.ask(one.question, filters=filters))

    with closing(AnswersFile(out)) as file:
        unanswered = file.open(asked)
        with _tally(len(unanswered), len(asked) - len(unanswered)) as tally:
            asyncio.run(run(unanswered, answer, file, concurrency or settings.concurrency, tally.count))
    if faults:
        raise typer.Exit(FAULT)
    if tally.failed:
        raise typer.Exit(FOUND_WRONG)


class _Tally:
    """What came of the questions of a batch so far. tell: called after each."""

    def __init__(self, tell: Callable[[_Tally], None]) -> None:
        self.answered_by: Counter[str] = Counter()
        self.refused = 0
        self.failed = 0
        self._tell = tell

    @property
    def done(self) -> int:
        return self.answered_by.total() + self.failed

    def count(self, asked: Asked, found: Answer | ChainciteError) -> None:
        """Counts an answer, or names the question that failed."""
        failed = str(found) if isinstance(found, ChainciteError) else failure(found)
        if failed:
            self.failed += 1
            typer.echo(f"chaincite: question {asked.key}: {one_line(failed)}", err=True)
        elif not isinstance(found, ChainciteError):
            self.answered_by[found.answered_by] += 1
            self.refused += found.refused
        self._tell(self)


@contextmanager
def _tally(total: int, there: int) -> Iterator[_Tally]:
    """A bar with rate and time left on a terminal, and at the end, however it comes, what was done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    out = console(stderr=True)
    columns = (
        MofNCompleteColumn(),
        TextColumn("questions, {task.fields[failed]} failed"),
        BarColumn(bar_width=None),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    started = time.monotonic()
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("", total=total, failed=0)
        tally = _Tally(lambda now: bar.update(task, completed=now.done, failed=now.failed))
        try:
            yield tally
        finally:
            bar.stop()
            given = [f"{count} by {name}" for name, count in tally.answered_by.most_common()]
            given += [f"{tally.refused} not in the library"] if tally.refused else []
            counted = f" ({', '.join(given)})" if given else ""
            seconds = time.monotonic() - started
            typer.echo(
                f"{tally.answered_by.total()} answered{counted}, {tally.failed} failed, "
                f"{total - tally.done} left, {there} were there already; {seconds:.1f} s",
                err=True,
            )
