"""The options of a kind of source, declared once: for its command, and for its table in a file of sources.

A field is an option of the command `ingest KIND` where it carries `typer.Option` or `typer.Argument`, and a
key of the table `[[KIND]]` unless it says `exclude`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator

if TYPE_CHECKING:
    from index.values import SourceRef
    from ingest.connector import Connector, Doors


def _text(value: object) -> str:
    """A name may hold bytes that are not UTF-8, as `os.fsdecode` has them."""
    if not isinstance(value, str) or not value:
        raise ValueError("should be a text that is not empty")
    return value


Text = Annotated[str, PlainValidator(_text)]
Texts = tuple[Text, ...]


def _chain_id(value: object) -> object:
    import re

    if not isinstance(value, str) or not re.fullmatch(r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}", value):
        raise ValueError(f"should be a CAIP-2 id, as eip155:1 for Ethereum mainnet, but it is {value}")
    return value


Caip2 = Annotated[str, BeforeValidator(_chain_id)]


class Options(BaseModel):
    """One source. The docstring of each kind is the help of its command."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=lambda field: field.replace("_", "-"),
        populate_by_name=True,
    )
    kind_of_source: ClassVar[str]
    connector: ClassVar[str]
    """Module and class of what reads it, loaded when it is needed."""

    scheme: ClassVar[str] = ""
    """What the location of its documents begins with, where that is its own."""

    on_record: ClassVar[bool] = True
    """Whether it is kept on record which documents a source brought; not where they are very many."""

    name: str | None = Field(None, min_length=1)
    if TYPE_CHECKING:
        url: str

    @property
    def label(self) -> str:
        """What a person calls it: its name, or else the place that it is read from."""
        return f"{self.kind_of_source} {self.name or self.place}"

    @property
    def place(self) -> str:
        """Where it is read from: most have one address."""
        return str(self.url)

    @classmethod
    def owns(cls, ref: SourceRef) -> bool:
        """Whether a citation is of a source of this kind."""
        return bool(cls.scheme) and ref.location.startswith(cls.scheme)

    def within(self, _folder: Path) -> Self:
        """The source with its paths seen from a folder."""
        return self

    def open(self, doors: Doors) -> Connector:
        """What reads it. Raises SourceError where it names what is not there, before a library is opened."""
        return cast("Connector", loaded(self.connector)(self, doors))


def loaded(name: str) -> Any:
    """A class by its module and name, as `Options.connector` has it."""
    module, _, inner = name.partition(":")
    return getattr(import_module(module), inner)
