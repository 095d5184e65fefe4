"""Options that several commands share, and what becomes of them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from datetime import date
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.answers.markdown import to_markdown
from agent.surfaces.terminal import console, show_answer
from index.errors import SettingsError
from index.settings import Settings
from index.values import Filters, Kind

if TYPE_CHECKING:
    from agent.answers.values import Answer
    from index.library import Library

FOUND_WRONG = 1
FAULT = 2
MODEL_FAILED = 3

Many = list[str] | None

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, with all that a program needs.")]
MarkdownOption = Annotated[bool, typer.Option("--markdown", help="Print Markdown.")]
BudgetOption = Annotated[
    int | None,
    typer.Option("--budget", metavar="TOKENS", min=1, help="Tokens for question, evidence and answer."),
]
ModelOption = Annotated[str | None, typer.Option("--model", help="Chat model that answers.")]
FallbackOption = Annotated[
    Many, typer.Option("--fallback", metavar="MODEL", help="Chat model when that fails. May be repeated.")
]


def filters_of(
    kind: Annotated[
        Many, typer.Option("--kind", help=f"Only this kind: {', '.join(Kind)}. May be repeated.")
    ] = None,
    source: Annotated[
        Many,
        typer.Option("--source", metavar="PATTERN", help="Only sources whose address or path matches."),
    ] = None,
    author: Annotated[Many, typer.Option("--author", help="Only documents by an author so named.")] = None,
    chain: Annotated[Many, typer.Option("--chain", help="Only this chain (CAIP-2, as eip155:1).")] = None,
    contract: Annotated[Many, typer.Option("--contract", help="Only what concerns this contract.")] = None,
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="YYYY-MM-DD", help="Only documents of this day or later."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--to", metavar="YYYY-MM-DD", help="Only documents of this day or earlier."),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", metavar="YYYY-MM-DD", help="Only what was published or retrieved by then."),
    ] = None,
    status: Annotated[Many, typer.Option("--status", help="Only proposals of this status, as Final.")] = None,
) -> Filters:
    """The filters that these options make. Raises SettingsError for a value that is not allowed."""
    filters = Filters(
        kinds=tuple(kind_named("--kind", name) for name in kind or ()),
        sources=tuple(source or ()),
        authors=tuple(author or ()),
        statuses=tuple(status or ()),
        chains=tuple(chain or ()),
        contracts=tuple(contract or ()),
        published_from=day("--from", since),
        published_to=day("--to", until),
        as_of=day("--as-of", as_of),
    )
    if filters.published_from and filters.published_to and filters.published_from > filters.published_to:
        raise SettingsError(f"--from {since} is after --to {until}; no day lies between them")
    return filters


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the options of `filters_of` in the place of its parameter `filters`."""
    own = list(inspect.signature(command, eval_str=True).parameters.values())
    options = list(inspect.signature(filters_of, eval_str=True).parameters.values())
    place = next(i for i, parameter in enumerate(own) if parameter.name == "filters")
    names = [option.name for option in options]

    @wraps(command)
    def with_options(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in names}
        command(**given, filters=filters_of(**chosen))

    signature = inspect.Signature([*own[:place], *options, *own[place + 1 :]])
    with_options.__signature__ = signature  # type: ignore[attr-defined]
    with_options.__annotations__ = {name: one.annotation for name, one in signature.parameters.items()}
    return with_options


def kind_named(option: str, name: str) -> Kind:
    """The kind of source of this name. Raises SettingsError with the names that there are."""
    try:
        return Kind(name.lower())
    except ValueError:
        raise SettingsError(f"{option} {name!r} is no kind of source; known are {', '.join(Kind)}") from None


def day(option: str, text: str | None) -> date | None:
    """The day that an option gives as YYYY-MM-DD. Raises SettingsError for what is no day."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"{option} {text!r} is no day; write it as YYYY-MM-DD, as in 2024-03-13"
        ) from None


def spoken_to(
    settings: Settings, model: str | None, fallback: list[str] | None, budget: int | None = None
) -> Settings:
    """The settings with the models and the budget of the command line.

    Raises SettingsError where models are named and there is no endpoint that could have them.
    """
    if (model or fallback) and not (settings.api_key or settings.base_url):
        raise SettingsError(
            "a model was named, but there is no endpoint; set OPENAI_API_KEY, or OPENAI_BASE_URL for one of "
            "your own, or ask without --model and --fallback"
        )
    return Settings.load(
        library=settings.library,
        model=model,
        fallback_models=tuple(fallback) if fallback else None,
        budget=budget,
    )


def one_form(as_json: bool, as_markdown: bool) -> None:
    """Raises SettingsError where --json and --markdown were both given."""
    if as_json and as_markdown:
        raise SettingsError("--json and --markdown were both given; give one of them")


def asked_in_words(question: str | None, command: str) -> str:
    """The question. Raises SettingsError where there is none."""
    if not (question or "").strip():
        raise SettingsError(
            f'the question is empty; ask in words, as in: chaincite {command} "What is the base fee?"'
        )
    return str(question)


def open_library(settings: Settings) -> Library:
    """The library that the settings name. Raises LibraryError."""
    from index.library import Library

    return Library(settings.library, settings.embedder)


def print_json(value: object) -> None:
    """Prints a value as JSON for people and programs."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2).encode("utf-8", "backslashreplace"))


def print_answer(answer: Answer, as_json: bool, as_markdown: bool) -> None:
    """Prints an answer in the form that was asked for."""
    from agent.answers.values import to_json

    if as_json:
        print_json(to_json(answer))
    elif as_markdown:
        typer.echo(to_markdown(answer), nl=False)
    else:
        show_answer(answer, console())
