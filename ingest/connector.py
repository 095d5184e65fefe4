"""What every kind of source is to the engine that reads it: items with versions, each read on its own.

A new kind is a module with an `Options` and a `Connector`, and one entry in `ingest.registry`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from index.errors import SourceError
from index.values import Document, Passage, Reading, SourceRef
from ingest.fetch import Fetcher
from ingest.names import shown
from ingest.sources import Limits, Problem

if TYPE_CHECKING:
    from index.library import Library
    from index.writer import Writer
    from ingest.chain.node import Node

Nodes = Callable[[Sequence[str], str | None], "Node"]
"""Opens nodes at some URLs, or those known for a chain (CAIP-2); whoever gives them closes them."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something of a source that becomes a document.

    key: what its connector knows it by; name: what a person is told; version: names all that the result
    depends on, as far as that is known before it is read.
    settled: whether the version says everything, so that an item of the same version is not read again.
    """

    key: Any
    name: str
    version: str
    settled: bool = True


class Note(Problem):
    """One line that is worth knowing, about something that is read all the same."""


@dataclass(frozen=True, slots=True)
class Lost:
    """What of a source or an item is not read: why, and how often."""

    what: str
    reason: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Vanished:
    """A document of the library, by its uri, that its source has no more."""

    uri: str


@dataclass(frozen=True, slots=True)
class Expected:
    """How many items there will be, where that is known before they are listed."""

    items: int


@dataclass(frozen=True, slots=True)
class Count:
    """A figure that belongs to the report, such as rows of a table."""

    name: str
    number: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What was read of the source, in the words of its kind."""

    text: str


Found = Item | Problem | Lost | Vanished | Expected | Count | Summary
Made = Reading | tuple[Document, Sequence[Passage]] | Lost | None


@dataclass(frozen=True, slots=True)
class Held:
    """A document that the library holds.

    version: that of the item that it was made of; None where readers or cuts are others by now.
    brought: whether the source that is read brought it; None where that is not on record.
    """

    document: Document
    version: str | None
    brought: bool | None = None


class Shelf:
    """What the library holds as a source is about to be read.

    writer: for connectors that keep rows; fingerprint: of readers and cuts; brought: see `Held`.
    """

    def __init__(self, writer: Writer, fingerprint: str, brought: Callable[[str], bool | None]) -> None:
        self.writer = writer
        self._fingerprint = fingerprint
        self._brought = brought
        self._documents: tuple[int, dict[str, Held]] | None = None

    @property
    def documents(self) -> dict[str, Held]:
        """The published documents by uri."""
        now = self.writer.generation.number
        if self._documents is None or self._documents[0] != now:
            held = {
                uri: Held(document, self._version(recipe), self._brought(uri))
                for uri, (document, recipe) in self.writer.known().items()
            }
            self._documents = now, held
        return self._documents[1]

    def recipe(self, item: Item) -> str:
        """What is stored beside a document, to be compared by the next reading."""
        return f"{self._fingerprint}:{item.version}"

    def _version(self, recipe: str) -> str | None:
        made_by, _, version = recipe.partition(":")
        return version if made_by == self._fingerprint else None


class NoNode(SourceError):
    """No node is known for a chain."""

    def __init__(self, chain: str | None) -> None:
        super().__init__(f"no node is known for {chain or 'the chain'}; name one with --rpc URL")


def _no_node(_: Sequence[str], chain: str | None) -> NoReturn:
    raise NoNode(chain)


@dataclass(frozen=True)
class Doors:
    """Whatever a connector reaches its source through.

    nodes: raises `NoNode` where none is known; library: where the rows of a citation stand; wait: sleeps for
    some seconds.
    """

    fetcher: Fetcher
    limits: Limits = Limits()
    nodes: Nodes = _no_node
    library: Callable[[], Library] | None = None
    wait: Callable[[float], None] = time.sleep


class Connector(Protocol):
    """One source of one kind."""

    def discover(self, shelf: Shelf) -> Iterator[Found]:
        """The items of the source, and what else is to be reported, one after another.

        Raises SourceError where the source cannot be listed; nothing is removed then.
        """

    def read(self, item: Item, held: Document | None, /) -> Made:
        """What an item says; None where it is what the library holds, Lost where it is not to be read.

        held: the library's document, where its version is that of the item. Raises Gone where the item is
        there no more, and SourceError where it cannot be read; the library then keeps what it has.
        """

    def link(self, item: Item) -> str:
        """The uri of an item: the address that a person opens, and by which the library knows it."""

    @classmethod
    def reread(cls, ref: SourceRef, doors: Doors) -> Reading:
        """The source of a citation as it is now.

        Raises Gone when it is there no more, Unreachable when it could not be had, and SourceError when what
        is there now cannot be read.
        """


class NothingToRead(SourceError):
    """A source that names nothing that is there. problems, notes: a line for each thing at fault."""

    def __init__(self, problems: Collection[Problem], notes: Collection[Problem] = ()) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = tuple(problems)
        self.notes = tuple(notes)


def fault(error: Exception) -> str:
    """One line for what is wrong with an item in a way that its reader does not foresee."""
    said = shown(" ".join(str(error).split())[:200])
    kind = type(error).__name__
    return f"defeats its reader ({f'{kind}: {said}' if said else kind}); leave it out, or convert it"
