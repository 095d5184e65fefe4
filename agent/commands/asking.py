"""The commands that answer questions: ask."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.commands.options import (
    JsonOption,
    MarkdownOption,
    asked_in_words,
    filtered,
    one_form,
    open_library,
    print_answer,
)
from index.settings import Settings
from index.values import Filters

commands = typer.Typer()


@commands.command()
@filtered
def ask(
    context: typer.Context,
    question: Annotated[str | None, typer.Argument(help="The question.", show_default=False)] = None,
    budget: Annotated[
        int | None,
        typer.Option("--budget", metavar="TOKENS", min=1, help="Tokens for question, evidence and answer."),
    ] = None,
    filters: Filters = Filters(),
    as_json: JsonOption = False,
    as_markdown: MarkdownOption = False,
) -> None:
    """Answer a question from the library, each sentence with its source, or say that it is not there."""
    from agent.answers import Answers
    from agent.ask import ask as answer_from

    settings: Settings = context.obj
    asked = asked_in_words(question, "ask")
    one_form(as_json, as_markdown)
    answer = answer_from(open_library(settings), asked, budget or settings.budget, filters)
    Answers(settings.library).save(answer)
    print_answer(answer, as_json, as_markdown)
