"""The commands that read a library: search, ask, show, history and verify."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from agent import present
from index.errors import SettingsError, SourceError
from index.settings import Settings
from index.values import Filters, Hit, Kind, SourceRef

if TYPE_CHECKING:
    from agent.answers import Answer
    from agent.verify import Check, Reread
    from index.library import Library

BATCH_RESULTS = 100
"""Passages for each question of a batch: measures over documents need depth."""

FOUND_WRONG = 1
FAULT = 2

commands = typer.Typer()

KindOption = Annotated[
    list[str] | None, typer.Option("--kind", help=f"Only this kind: {', '.join(Kind)}. May be repeated.")
]
SourceOption = Annotated[
    list[str] | None,
    typer.Option("--source", metavar="PATTERN", help="Only sources whose address or path matches."),
]
AuthorOption = Annotated[
    list[str] | None, typer.Option("--author", help="Only documents by an author so named.")
]
ChainOption = Annotated[
    list[str] | None, typer.Option("--chain", help="Only this chain (CAIP-2, as eip155:1).")
]
ContractOption = Annotated[
    list[str] | None, typer.Option("--contract", help="Only what concerns this contract.")
]
FromOption = Annotated[
    str | None, typer.Option("--from", metavar="YYYY-MM-DD", help="Only documents of this day or later.")
]
ToOption = Annotated[
    str | None, typer.Option("--to", metavar="YYYY-MM-DD", help="Only documents of this day or earlier.")
]
StatusOption = Annotated[
    list[str] | None, typer.Option("--status", help="Only proposals of this status, as Final.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, with all that a program needs.")]
MarkdownOption = Annotated[bool, typer.Option("--markdown", help="Print Markdown.")]


@commands.command()
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
    kind: KindOption = None,
    source: SourceOption = None,
    author: AuthorOption = None,
    chain: ChainOption = None,
    contract: ContractOption = None,
    since: FromOption = None,
    until: ToOption = None,
    status: StatusOption = None,
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
    filters = _filters(kind, source, author, chain, contract, since, until, status)
    if batch is not None:
        if question is not None:
            raise SettingsError("a question and --batch were both given; give one of them")
        _search_batch(_library(settings), batch, out, k or BATCH_RESULTS, filters)
        return
    if out is not None:
        raise SettingsError("--out was given without --batch, whose answers it is for")
    asked = _question(question, "search")
    library = _library(settings)
    hits = library.search(asked, k or settings.results, filters)
    if as_json:
        results = [_hit_json(rank, hit) for rank, hit in enumerate(hits, 1)]
        _print_json({"question": asked, "generation": library.generation, "results": results})
    elif hits:
        present.show_hits(hits, present.console())
    else:
        typer.echo("Nothing found." if filters == Filters() else "Nothing found that passes these filters.")


@commands.command()
def ask(
    context: typer.Context,
    question: Annotated[str | None, typer.Argument(help="The question.", show_default=False)] = None,
    budget: Annotated[
        int | None,
        typer.Option("--budget", metavar="TOKENS", min=1, help="Tokens for question, evidence and answer."),
    ] = None,
    kind: KindOption = None,
    source: SourceOption = None,
    author: AuthorOption = None,
    chain: ChainOption = None,
    contract: ContractOption = None,
    since: FromOption = None,
    until: ToOption = None,
    status: StatusOption = None,
    as_json: JsonOption = False,
    as_markdown: MarkdownOption = False,
) -> None:
    """Answer a question from the library, each sentence with its source, or say that it is not there."""
    from agent.answers import Answers
    from agent.ask import ask as answer_from

    settings: Settings = context.obj
    filters = _filters(kind, source, author, chain, contract, since, until, status)
    asked = _question(question, "ask")
    _one_form(as_json, as_markdown)
    answer = answer_from(_library(settings), asked, budget or settings.budget, filters)
    Answers(settings.library).save(answer)
    _show(answer, as_json, as_markdown)


@commands.command()
def show(
    context: typer.Context,
    answer: Annotated[str, typer.Argument(help="Id of a stored answer, the beginning of one, or `last`.")],
    as_json: JsonOption = False,
    as_markdown: MarkdownOption = False,
) -> None:
    """Show a stored answer again, or export it."""
    from agent.answers import Answers

    _one_form(as_json, as_markdown)
    _show(Answers(context.obj.library).load(answer), as_json, as_markdown)


@commands.command()
def history(
    context: typer.Context,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, help="How many answers.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List stored answers, newest first."""
    from agent.answers import Answers

    recent = Answers(context.obj.library).recent(limit)
    if as_json:
        rows = [
            {"id": a.id, "asked_at": a.asked_at.isoformat(), "question": a.question, "refused": a.refused}
            for a in recent
        ]
        _print_json(rows)
        return
    out = present.console()
    for one in recent:
        sources = "not in the library" if one.refused else f"{len(one.citations)} citations"
        out.print(f"{one.id}  {sources}")
        out.print(f"    {present.one_line(one.question)}")
    if not recent:
        typer.echo('No answers yet; ask with `chaincite ask "..."`.')


def add_verify(rereading: Callable[[Settings], Reread]) -> None:
    """Adds the command `verify`. rereading: what reads a source again, made from the settings."""

    @commands.command("verify")
    def verify_command(
        context: typer.Context,
        answer: Annotated[
            str, typer.Argument(help="Id of a stored answer, its beginning, `last`, or a JSON file.")
        ],
        as_json: JsonOption = False,
    ) -> None:
        """Check the sources of an answer: OK, CHANGED, GONE or UNREACHABLE. Exit status 0 when all are OK."""
        from agent.verify import verify

        found = _stored_or_exported(context.obj, answer)
        checks = verify(found, rereading(context.obj))
        if as_json:
            _print_json(
                {"id": found.id, "intact": found.intact, "checks": [asdict(check) for check in checks]}
            )
        else:
            _show_checks(found, checks)
        if not found.intact or any(check.verdict != "OK" for check in checks):
            raise typer.Exit(FOUND_WRONG)


def _show_checks(answer: Answer, checks: Iterable[Check]) -> None:
    out = present.console()
    sources = {citation.number: citation.source for citation in answer.citations}
    for check in checks:
        out.print(f"[{check.number}] {check.verdict}  {present.place(sources[check.number])}")
        if check.verdict != "OK":
            out.print(f"    {present.clean(check.message)}")
        if check.change is not None:
            out.print(f"    {present.clean(check.change)}")
    if not answer.citations:
        out.print("The answer cites nothing: it was refused.")
    if not answer.intact:
        out.print("ALTERED  the question, the text or a citation is no longer what the id was made from")


def _stored_or_exported(settings: Settings, name: str) -> Answer:
    from agent import answers

    file = Path(name)
    if file.suffix == ".json" or file.is_file():
        return answers.read(file)
    return answers.Answers(settings.library).load(name)


def _show(answer: Answer, as_json: bool, as_markdown: bool) -> None:
    from agent.answers import to_json

    if as_json:
        _print_json(to_json(answer))
    elif as_markdown:
        typer.echo(present.to_markdown(answer), nl=False)
    else:
        present.show_answer(answer, present.console())


def _one_form(as_json: bool, as_markdown: bool) -> None:
    if as_json and as_markdown:
        raise SettingsError("--json and --markdown were both given; give one of them")


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2).encode("utf-8", "backslashreplace"))


def _library(settings: Settings) -> Library:
    from index.library import Library

    return Library(settings.library, settings.embedder)


def _question(question: str | None, command: str) -> str:
    if not (question or "").strip():
        raise SettingsError(
            f'the question is empty; ask in words, as in: chaincite {command} "What is the base fee?"'
        )
    return str(question)


def _filters(
    kinds: list[str] | None,
    sources: list[str] | None,
    authors: list[str] | None,
    chains: list[str] | None,
    contracts: list[str] | None,
    since: str | None,
    until: str | None,
    statuses: list[str] | None,
) -> Filters:
    filters = Filters(
        kinds=tuple(_kind(kind) for kind in kinds or ()),
        sources=tuple(sources or ()),
        authors=tuple(authors or ()),
        statuses=tuple(statuses or ()),
        chains=tuple(chains or ()),
        contracts=tuple(contracts or ()),
        published_from=_day("--from", since),
        published_to=_day("--to", until),
    )
    if filters.published_from and filters.published_to and filters.published_from > filters.published_to:
        raise SettingsError(f"--from {since} is after --to {until}; no day lies between them")
    return filters


def _kind(name: str) -> Kind:
    try:
        return Kind(name.lower())
    except ValueError:
        raise SettingsError(f"--kind {name!r} is no kind of source; known are {', '.join(Kind)}") from None


def _day(option: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise SettingsError(
            f"{option} {text!r} is no day; write it as YYYY-MM-DD, as in 2024-03-13"
        ) from None


def _hit_json(rank: int, hit: Hit) -> dict[str, Any]:
    """A hit as a program needs it; `lines` is [first, last] or null."""
    document, passage = hit.document, hit.passage
    return {
        "rank": rank,
        "score": hit.score,
        "parts": dict(hit.parts),
        "path": document.path,
        "uri": document.uri,
        "url": present.link(SourceRef.of(document, passage)),
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
