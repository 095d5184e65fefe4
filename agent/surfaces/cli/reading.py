"""The commands that read a library and its stored answers: search, show and history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from agent.answers.excerpt import at_address, cited, in_context
from agent.answers.place import link
from agent.surfaces.cli.options import (
    FAULT,
    JsonOption,
    MarkdownOption,
    asked_in_words,
    filtered,
    one_form,
    open_library,
    print_answer,
    print_json,
)
from agent.surfaces.terminal import console, show_excerpt, show_hits
from agent.text.render import one_line
from index.errors import SettingsError, SourceError
from index.settings import Settings
from index.values import Filters, Hit, SourceRef

if TYPE_CHECKING:
    from agent.answers.excerpt import Excerpt
    from index.library import Library

BATCH_RESULTS = 100
"""Passages for each question of a batch: measures over documents need depth."""

commands = typer.Typer()


@commands.command()
@filtered
def search(
    context: typer.Context,
    question: Annotated[str | None, typer.Argument(help="What to look for.", show_default=False)] = None,
    k: Annotated[
        int | None,
        typer.Option(
            "-k",
            min=1,
            max=1000,
            help=f"How many passages; else the setting `results`, or {BATCH_RESULTS} with --batch.",
        ),
    ] = None,
    filters: Filters = Filters(),
    as_json: JsonOption = False,
    batch: Annotated[
        Path | None,
        typer.Option(
            "--batch", metavar="FILE", help='Read questions from JSON lines with "id" and "question".'
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Where the answers to --batch go; else printed."),
    ] = None,
) -> None:
    """Find the passages that best answer a question."""
    settings: Settings = context.obj
    if batch is not None:
        if question is not None:
            raise SettingsError("a question and --batch were both given; give one of them")
        library = open_library(settings)
        library.check(filters)
        _search_batch(library, batch, out, k or BATCH_RESULTS, filters)
        return
    if out is not None:
        raise SettingsError("--out was given without --batch, whose answers it is for")
    asked = asked_in_words(question, "search")
    library = open_library(settings)
    library.check(filters)
    hits = library.search(asked, k or settings.results, filters)
    if as_json:
        results = [_hit_json(rank, hit) for rank, hit in enumerate(hits, 1)]
        print_json({"question": asked, "generation": library.generation, "results": results})
    elif hits:
        show_hits(hits, console())
    else:
        typer.echo("Nothing found." if filters == Filters() else "Nothing found that passes these filters.")


@commands.command()
def show(
    context: typer.Context,
    answer: Annotated[
        str,
        typer.Argument(
            help="Id of a stored answer, the beginning of one, or `last`; or the address of a source, as "
            "citations give it, with its page (#page=3) or lines (#L10-L20)."
        ),
    ],
    number: Annotated[
        int | None,
        typer.Argument(metavar="[N]", help="Citation to show where it stands, its words marked."),
    ] = None,
    as_json: JsonOption = False,
    as_markdown: MarkdownOption = False,
) -> None:
    """Show a stored answer again, a citation of it in its source, or a page or lines of a source."""
    from agent.answers.values import Answers

    one_form(as_json, as_markdown)
    settings: Settings = context.obj
    if as_markdown and (number is not None or _is_address(answer)):
        raise SettingsError("--markdown is for whole answers; leave it out here, or give --json")
    if _is_address(answer):
        if number is not None:
            raise SettingsError(
                "an address and a citation were both given; an address names its place itself"
            )
        _show_excerpt(at_address(open_library(settings), answer), as_json, None)
        return
    stored = Answers(settings.library).load(answer)
    if number is None:
        print_answer(stored, as_json, as_markdown)
        return
    excerpt = in_context(open_library(settings), cited(stored, number))
    _show_excerpt(excerpt, as_json, number)


def _is_address(name: str) -> bool:
    return ":" in name


def _show_excerpt(excerpt: Excerpt, as_json: bool, number: int | None) -> None:
    if not as_json:
        show_excerpt(excerpt, console(), number)
        return
    source = excerpt.source
    print_json(
        {
            **({} if number is None else {"number": number}),
            "title": source.title,
            "uri": source.uri,
            "url": link(source),
            "page": source.page,
            "lines": None if source.line_start is None else [source.line_start, source.line_end],
            "status": source.status,
            "published_at": source.published_at and source.published_at.isoformat(),
            "sha256": source.sha256,
            "before": excerpt.before,
            "quote": excerpt.words,
            "after": excerpt.after,
            "note": excerpt.note or None,
        }
    )


@commands.command()
def history(
    context: typer.Context,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="How many answers.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List stored answers, newest first."""
    from agent.answers.values import Answers

    recent = Answers(context.obj.library).recent(limit)
    if as_json:
        rows = [
            {"id": a.id, "asked_at": a.asked_at.isoformat(), "question": a.question, "refused": a.refused}
            for a in recent
        ]
        print_json(rows)
        return
    out = console()
    for one in recent:
        sources = "not in the library" if one.refused else f"{len(one.citations)} citations"
        out.print(f"{one.id}  {sources}")
        out.print(f"    {one_line(one.question)}")
    if not recent:
        typer.echo('No answers yet; ask with `chaincite ask "..."`.')


def _hit_json(rank: int, hit: Hit) -> dict[str, Any]:
    """A hit as a program needs it; `lines` is [first, last] or null."""
    document, passage = hit.document, hit.passage
    return {
        "rank": rank,
        "score": hit.score,
        "parts": dict(hit.parts),
        "path": document.path,
        "uri": document.uri,
        "url": link(SourceRef.of(document, passage)),
        "title": document.title,
        "number": document.number,
        "kind": document.kind,
        "authors": document.authors,
        "status": document.status,
        "chain": document.chain,
        "contracts": document.contracts,
        "published_at": document.published_at.isoformat() if document.published_at else None,
        "retrieved_at": document.retrieved_at.isoformat(),
        "commit": document.commit,
        "sha256": document.sha256,
        "passage_id": passage.id,
        "heading": passage.heading,
        "page": passage.page,
        "lines": None if passage.line_start is None else [passage.line_start, passage.line_end],
        "start": passage.start,
        "end": passage.end,
        "text": passage.text,
    }


class _Asked(NamedTuple):
    id: Any
    question: str


def _search_batch(library: Library, batch: Path, out: Path | None, k: int, filters: Filters) -> None:
    """Writes a line for each question. A line at fault is named and passed over, and the exit status is 2."""
    faults = 0
    sink = None
    try:
        lines = batch.read_bytes().splitlines()
        sink = out.open("w", encoding="utf-8", errors="backslashreplace") if out else None
        for number, line in enumerate(lines, 1):
            try:
                asked = _asked(line)
            except ValueError as error:
                faults += 1
                typer.echo(f"chaincite: {batch} line {number}: {error}; it was passed over", err=True)
                continue
            if asked is None:
                continue
            hits = library.search(asked.question, k, filters)
            results = [_hit_json(rank, hit) for rank, hit in enumerate(hits, 1)]
            typer.echo(json.dumps({"id": asked.id, "results": results}, ensure_ascii=False), file=sink)
    except OSError as error:
        raise SourceError(
            f"{error.filename}: {error.strerror}; give files that can be read and written"
        ) from None
    finally:
        if sink:
            sink.close()
    if faults:
        raise typer.Exit(FAULT)


def _asked(line: bytes) -> _Asked | None:
    """The question on a line; None for an empty one. Raises ValueError with what is wrong."""
    if not line.strip():
        return None
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from None
    if not isinstance(row, dict) or "id" not in row or not isinstance(row.get("question"), str):
        raise ValueError('not an object with "id" and "question"')
    if not row["question"].strip():
        raise ValueError("the question is empty")
    return _Asked(row["id"], row["question"])
