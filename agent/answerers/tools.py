"""What a chat model may do: search the library, open a passage, list and compare documents, query the tables.

Nothing else. A tool only reads, only within the question's filters, and its result has a bound. What a tool
finds becomes evidence with a number; the model is told the numbers, and the passages themselves stand with
the evidence of the next request, where they are fenced and counted. A further tool is one more entry in
`tools`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.answerers import chain
from agent.answers.events import Step
from agent.answers.place import place
from agent.onchain import sandbox
from agent.onchain.query import ChainQuery, described
from agent.requests.context import Evidence
from agent.text.render import one_line
from index.errors import SettingsError
from index.values import Document, Filters, Hit, Kind, SourceRef

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from index.library import Library

MOST_FOUND = 10
"""Passages that one search gives."""

MOST_LISTED = 40
"""Documents that one list names."""

_AROUND = 3
"""Passages before and after that an opened one may come with."""

_Words = Annotated[str, Field(min_length=1, max_length=1000)]
_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Source = Annotated[
    str | None,
    Field(
        max_length=200, description="only sources of this designation, title or path, as EIP-1559 or *audit*"
    ),
]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Search(_Arguments):
    """Arguments of `search`."""

    query: _Words = Field(description="what to look for, in the words that a source would use")
    kind: Literal["paper", "proposal", "code", "event", "forum"] | None = Field(
        None, description="only this kind"
    )
    source: _Source = None
    published_from: date | None = Field(None, description="first day of publication, as 2021-08-05")
    published_to: date | None = Field(None, description="last day of publication")
    limit: int = Field(6, ge=1, le=MOST_FOUND, description="how many passages")


class Open(_Arguments):
    """Arguments of `open`."""

    number: int = Field(description="the number of a passage of the evidence")
    before: int = Field(1, ge=0, le=_AROUND, description="how many passages before it")
    after: int = Field(1, ge=0, le=_AROUND, description="how many passages after it")


class ListDocuments(_Arguments):
    """Arguments of `list_documents`."""

    kind: Literal["paper", "proposal", "code", "event", "forum"] | None = Field(
        None, description="only this kind"
    )
    source: _Source = None
    limit: int = Field(20, ge=1, le=MOST_LISTED, description="how many documents")


class Compare(_Arguments):
    """Arguments of `compare`."""

    one: _Name = Field(description="a designation, title or path, as EIP-721")
    other: _Name = Field(description="another one")
    point: _Words = Field(description="the point to compare them on")


class Sql(_Arguments):
    """Arguments of `sql`."""

    select: Annotated[str, Field(min_length=1, max_length=4000)] = Field(description="one SELECT (DuckDB)")


class Figures(_Arguments):
    """Arguments of `query_chain`."""

    query: dict[str, Any] = Field(description="the query, an object as described")


@dataclass
class Desk:
    """What the tools of one question work with.

    filters: those of the question, which no tool can widen; tell: is told each step.
    """

    library: Library
    filters: Filters
    evidence: Evidence
    tell: Callable[[Step], None]

    async def search(
        self,
        query: str,
        kind: str | None = None,
        source: str | None = None,
        published_from: date | None = None,
        published_to: date | None = None,
        limit: int = 6,
    ) -> str:
        """The numbers and places of the best passages for a query."""
        within = f" in {one_line(source)}" if source else ""
        self.tell(Step("search", f'searching for "{one_line(query)}"{within}'))
        wanted = Filters(
            kinds=(Kind(kind),) if kind else (), published_from=published_from, published_to=published_to
        )
        found = await asyncio.to_thread(self._found, query, narrowed(self.filters, wanted), source, limit)
        return self._listed(found) or "Nothing was found; use other words, or fewer filters."

    async def open(self, number: int, before: int = 1, after: int = 1) -> str:
        """The numbers and places of a passage with its neighbours."""
        section = self.evidence.sections.get(number)
        if section is None:
            known = ", ".join(map(str, self.evidence.sections)) or "none yet"
            raise SettingsError(f"there is no passage [{number}]; there are {known}")
        self.tell(Step("open", f"opening {place(SourceRef.of(section.document, section.passages[0]))}"))
        first, last = section.passages[0], section.passages[-1]
        there = await asyncio.to_thread(self.library.passages, first.uri)
        around = there[max(first.ordinal - before, 0) : last.ordinal + after + 1]
        return self._listed([Hit(section.document, passage, section.score) for passage in around])

    async def list_documents(
        self, kind: str | None = None, source: str | None = None, limit: int = 20
    ) -> str:
        """Designations, titles, statuses and days of the documents that match."""
        self.tell(Step("list", f"listing documents{f' of {one_line(source)}' if source else ''}"))
        wanted = Filters(kinds=(Kind(kind),) if kind else ())
        found = await asyncio.to_thread(self._named, narrowed(self.filters, wanted), source)
        lines = [_described(document) for document in found[:limit]]
        more = [f"and {len(found) - limit} more"] if len(found) > limit else []
        return "\n".join([*lines, *more]) or "No document matches."

    async def compare(self, one: str, other: str, point: str) -> str:
        """The numbers and places of the best passages of two documents on a point."""
        self.tell(Step("compare", f"comparing {one_line(one)} and {one_line(other)} on {one_line(point)}"))
        parts = []
        for name in (one, other):
            found = await asyncio.to_thread(self._found, point, self.filters, name, MOST_FOUND // 3)
            parts.append(f"{one_line(name)}:\n{self._listed(found) or 'nothing was found'}")
        return "\n".join(parts)

    async def sql(self, select: str) -> str:
        """The rows of a query, with the numbers of the evidence that holds them."""
        self.tell(Step("sql", f"asking in SQL: {one_line(select)}"))
        found = await asyncio.to_thread(sandbox.query, self.library, select, self.filters)
        rows = await asyncio.to_thread(sandbox.row_hits, self.library, found)
        listed = self._listed([found.hit(), *rows])
        more = "There are more rows; the limit left them out.\n" if found.more else ""
        rough = f"Not exact, for it is floating point: {', '.join(found.inexact)}.\n" if found.inexact else ""
        return f"{listed}\n{found.text}{more}{rough}"

    async def query_chain(self, query: dict[str, Any]) -> str:
        """What a typed query finds, in sentences that restate it, with the numbers of the evidence."""
        try:
            asked = ChainQuery.model_validate(query)
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc'])) or 'query'}: {fault['msg']}"
                for fault in error.errors(include_url=False)[:3]
            )
            raise SettingsError(f"{faults}; the tool's description says what a query may hold") from None
        self.tell(Step("sql", f"asking the tables for {asked.measure} of {asked.subject}"))
        told = await asyncio.to_thread(chain.figures, self.library, asked, self.filters)
        listed = [f"{text}\n{self._listed(hits)}" for text, hits in told]
        return "\n".join(listed) or "No row passes."

    def _found(self, query: str, filters: Filters, source: str | None, limit: int) -> list[Hit]:
        if source is not None:
            uris = [document.uri for document in self._named(filters, source)]
            if not uris:
                raise SettingsError(f"no document is named {source!r}; list_documents says what there is")
            filters = replace(filters, sources=tuple(_literally(uri) for uri in uris))
        return self.library.search(query, limit, filters)

    def _named(self, filters: Filters, name: str | None) -> list[Document]:
        """The documents that a name may mean: of its designation, else with it in path, title or address."""
        there = self.library.documents(filters)
        if name is None:
            return there
        wanted = _plain(name)
        exact = [
            one for one in there if wanted in {_plain(one.number or ""), _plain(one.title), _plain(one.path)}
        ]
        pattern = name.lower() if any(mark in name for mark in "*?[") else f"*{name.lower()}*"
        return exact or [
            one
            for one in there
            if any(fnmatchcase(text.lower(), pattern) for text in (one.path, one.title, one.uri))
        ]

    def _listed(self, hits: Sequence[Hit]) -> str:
        """Takes passages into the evidence, and says under which numbers they stand there."""
        numbers = dict.fromkeys(self.evidence.add(hits))
        sections = self.evidence.sections
        return "\n".join(
            f"[{number}] {place(SourceRef.of(sections[number].document, sections[number].passages[0]))}"
            for number in numbers
        )


def tools(desk: Desk) -> list[BaseTool]:
    """The tools that a model is offered for a question."""
    from langchain_core.tools import StructuredTool

    offered: list[tuple[Callable[..., Awaitable[str]], type[BaseModel], str, str]] = [
        (desk.search, Search, "search", "Search the library. Found passages are added to the evidence."),
        (desk.open, Open, "open", "Read what stands before and after a passage of the evidence."),
        (
            desk.list_documents,
            ListDocuments,
            "list_documents",
            "List documents of the library, not their text.",
        ),
        (desk.compare, Compare, "compare", "Find what two documents say on one point."),
    ]
    if desk.library.events:
        offered += [
            (desk.query_chain, Figures, "query_chain", described()),
            (desk.sql, Sql, "sql", sandbox.described()),
        ]
    return [
        StructuredTool.from_function(coroutine=act, name=name, description=description, args_schema=arguments)
        for act, arguments, name, description in offered
    ]


def narrowed(filters: Filters, wanted: Filters) -> Filters:
    """Filters that let pass only what both let pass. Raises SettingsError where that is nothing by kind."""
    kinds = tuple(kind for kind in wanted.kinds if not filters.kinds or kind in filters.kinds)
    if wanted.kinds and not kinds:
        raise SettingsError(f"this question looks only at: {', '.join(filters.kinds)}")
    starts = [day for day in (filters.published_from, wanted.published_from) if day]
    ends = [day for day in (filters.published_to, wanted.published_to) if day]
    return replace(
        filters,
        kinds=kinds or filters.kinds,
        published_from=max(starts, default=None),
        published_to=min(ends, default=None),
    )


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


def _literally(uri: str) -> str:
    """A shell pattern that matches just this address."""
    return re.sub(r"([*?\[])", r"[\1]", uri)


def _described(document: Document) -> str:
    said = [document.number, document.title, document.status, document.published_at, document.path]
    return one_line(" · ".join(str(part) for part in said if part))
