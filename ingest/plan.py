"""The file that names every source of a library: what may stand in it, and how a mistake is reported."""

from __future__ import annotations

import datetime
import difflib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from index.errors import SettingsError
from index.values import Kind
from ingest.sources import Facts, is_url

_Texts = tuple[Annotated[str, Field(min_length=1)], ...]
_Caip2 = Annotated[str, Field(pattern=r"^[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}$")]


class _Table(BaseModel):
    """One source. Its keys are the options of the command that reads it."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=lambda field: field.replace("_", "-")
    )
    kind_of_source: ClassVar[str]

    name: str | None = Field(None, min_length=1)

    @property
    def label(self) -> str:
        """What a person calls it: its name, or else the place that it is read from."""
        return f"{self.kind_of_source} {self.name or self.place}"

    @property
    def place(self) -> str:
        """Where it is read from."""
        raise NotImplementedError


class Papers(_Table):
    """Papers and proposals, as `ingest papers` reads them."""

    kind_of_source: ClassVar[str] = "papers"

    paths: _Texts = ()
    manifest: Path | None = None
    base_url: str | None = None
    kind: Kind | None = None
    authors: _Texts = ()
    chain: _Caip2 | None = None
    licence: str | None = None
    date: datetime.date | None = None

    @property
    def place(self) -> str:
        """Its first path, or its manifest."""
        return (*self.paths, str(self.manifest))[0]

    @property
    def stated(self) -> Facts:
        """What is stated of each document."""
        return Facts(
            kind=self.kind,
            authors=self.authors,
            chain=self.chain,
            licence=self.licence,
            published_at=self.date,
        )

    def targets(self, folder: Path) -> list[str]:
        """The paths, seen from a folder, and URLs."""
        return [path if is_url(path) else str(folder / path) for path in self.paths]

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.paths and self.manifest is None:
            raise ValueError("needs `paths` or `manifest`")
        return self


class Repo(_Table):
    """A repository, as `ingest repo` reads it."""

    kind_of_source: ClassVar[str] = "repo"

    url: str
    ref: str | None = None
    include: _Texts = ()
    exclude: _Texts = ()
    history: int = Field(0, ge=0, le=10_000)

    @property
    def place(self) -> str:
        """Its address."""
        return self.url


class Forum(_Table):
    """A topic, a category or the whole of a forum, as `ingest forum` reads it."""

    kind_of_source: ClassVar[str] = "forum"

    url: str
    limit: int = Field(100, ge=1, le=10_000)

    @property
    def place(self) -> str:
        """Its address."""
        return self.url


class Chain(_Table):
    """Files of a chain, or logs from a node, as `ingest chain` reads them."""

    kind_of_source: ClassVar[str] = "chain"

    chain: _Caip2
    files: _Texts = ()
    manifest: Path | None = None
    rpc: _Texts = ()
    address: _Texts = ()
    from_block: int | None = Field(None, ge=0)
    to_block: Annotated[int, Field(ge=0)] | Literal["latest", "safe", "finalized"] = "latest"
    receipts: bool = False
    abi: tuple[Path, ...] = ()
    passages: int = Field(2000, ge=0)

    @property
    def place(self) -> str:
        """The chain, with the first file or contract."""
        first = (*self.files, *self.address, str(self.manifest or "all contracts"))[0]
        return f"{self.chain} {first}"

    @model_validator(mode="after")
    def _files_or_node(self) -> Self:
        has_files = bool(self.files or self.manifest)
        if has_files == (self.from_block is not None):
            raise ValueError("needs either `files` or `manifest`, or `from-block` to read from a node")
        if has_files and (self.rpc or self.address):
            raise ValueError("reads files; leave out `rpc` and `address`, or `files` and `manifest`")
        return self


Source = Papers | Repo | Forum | Chain


def _list(value: object) -> object:
    """A table of its own as a list of one."""
    return [value] if isinstance(value, dict) else value


class Plan(BaseModel):
    """What the file says. Sources are read in this order, so that code is there before what it declares."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    papers: Annotated[tuple[Papers, ...], BeforeValidator(_list)] = ()
    repo: Annotated[tuple[Repo, ...], BeforeValidator(_list)] = ()
    forum: Annotated[tuple[Forum, ...], BeforeValidator(_list)] = ()
    chain: Annotated[tuple[Chain, ...], BeforeValidator(_list)] = ()

    def __iter__(self) -> Iterator[Source]:  # type: ignore[override]
        """Each source in turn."""
        yield from self.papers
        yield from self.repo
        yield from self.forum
        yield from self.chain


def read_plan(file: Path) -> Plan:
    """The sources that a TOML file names.

    Raises SettingsError with one line for a file that cannot be read, an unknown key, or a wrong value.
    """
    try:
        plan = Plan.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsError(f"cannot read {file} ({error.strerror}); check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not TOML: {error}; mend it") from None
    except ValidationError as error:
        faults = [_told(fault) for fault in error.errors(include_url=False)]
        raise SettingsError(f"{file}: {'; '.join(faults)}") from None
    labels = [source.label for source in plan]
    if not labels:
        raise SettingsError(f"{file} names no source; write tables {_headings(Plan)}")
    if twice := sorted({label for label in labels if labels.count(label) > 1}):
        raise SettingsError(f"{file}: {', '.join(twice)} stands twice; give each a `name` of its own")
    return plan


def _told(fault: Any) -> str:
    """A mistake: where it is, and what is allowed there. Values are not shown, as they may be secret."""
    where = [part for part in fault["loc"] if part not in ("int", "literal['latest','safe','finalized']")]
    tables = _tables()
    known = tables.get(str(where[0]))
    place = f"[[{where[0]}]]" + (f" number {int(where[1]) + 1}" if len(where) > 1 else "")
    if fault["type"] == "extra_forbidden" and len(where) == 1:
        return f"unknown table {place}; {_nearest(str(where[0]), list(tables))}"
    if fault["type"] == "extra_forbidden" and known is not None:
        key = str(where[-1])
        keys = [name.replace("_", "-") for name in known.model_fields]
        return f"{place}: unknown key `{key}`; {_nearest(key, keys)}"
    said = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    key = f" `{where[2]}`" if len(where) > 2 else ""
    return f"{place}:{key} {'is missing' if fault['type'] == 'missing' else said}"


def _tables() -> dict[str, type[_Table]]:
    return {table.kind_of_source: table for table in get_args(Source)}


def _headings(plan: type[Plan]) -> str:
    return ", ".join(f"[[{name}]]" for name in plan.model_fields)


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean `{close[0]}`?" if close else f"known are {', '.join(known)}"
