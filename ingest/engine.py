"""The engine of ingestion: items compared with the library, read, cut, written, removed and reported.

One item that fails costs itself alone, whatever is wrong with it; what did not change costs nothing.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from importlib.metadata import version

from index.errors import ChainciteError, Gone, SourceError
from index.values import Document, Passage, Reading
from index.writer import Writer
from ingest.chunk import Chunker
from ingest.connector import (
    Connector,
    Count,
    Expected,
    Held,
    Item,
    Lost,
    Note,
    Shelf,
    Summary,
    Vanished,
    fault,
)  # fmt: skip
from ingest.sources import Problem
from ingest.time_limit import time_limit

READERS = "2"
"""Part of every document's recipe: raise it when a reader makes something else of the same bytes."""

PARSERS = (
    "beautifulsoup4", "charset-normalizer", "dateparser", "mammoth", "markdown-it-py", "markdownify",
    "mwparserfromhell", "pylatexenc", "pypdfium2", "python-pptx", "trafilatura", "tree-sitter",
    "tree-sitter-solidity",
)  # fmt: skip
"""Libraries that have a say in what is read, so that another version of one reads again."""

CUT_SECONDS = 120.0
"""Time that cutting one document may take."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: sources read, of how many; passages they gave, and how many of these are embedded."""

    sources: int
    total: int
    passages: int
    indexed: int

    @property
    def expected(self) -> int:
        """About how many passages there will be."""
        return max(self.passages * self.total // max(self.sources, 1), self.indexed, 1)


@dataclass(slots=True)
class Report:
    """What came of a source. embedded: texts that the model has seen.

    skipped: input at fault; notes: worth knowing; lost: what of source and items was not read; counts:
    figures of the kind of source, such as rows; uris: of the documents that the source has now; summary: what
    was read of it, in the words of its kind.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    skipped: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    passages: int = 0
    embedded: int = 0
    seconds: float = 0.0
    uris: set[str] = field(default_factory=set)
    summary: str = ""

    def add(self, other: Report) -> None:
        """Takes in the report of a later reading of the same source."""
        for one in fields(self):
            mine, more = getattr(self, one.name), getattr(other, one.name)
            if isinstance(mine, set):
                mine |= more
            elif one.name == "summary":
                self.summary = more or mine
            else:
                setattr(self, one.name, mine + more)

    @property
    def lost_by_reason(self) -> Counter[str]:
        """How often something was lost for each reason, the most frequent first."""
        total: Counter[str] = Counter()
        for one in self.lost:
            total[one.reason] += one.count
        return Counter(dict(total.most_common()))

    def as_json(self) -> dict[str, object]:
        """The report as scripts read it; `lost` is by reason, `lost_items` says of what."""
        told = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in ("uris", "lost")}
        lines = {name: [asdict(line) for line in told[name]] for name in ("skipped", "notes")}
        items = [asdict(one) for one in self.lost]
        return {
            **told, **lines, "read": self.added + self.changed,
            "lost": self.lost_by_reason, "lost_items": items, "seconds": round(self.seconds, 3),
        }  # fmt: skip


class Engine:
    """Brings a library up to date with sources. progress: called as passages are embedded."""

    def __init__(self, writer: Writer, progress: Callable[[Progress], None] = lambda _: None) -> None:
        self._writer = writer
        self._progress = progress
        self._chunker = Chunker(writer.embedder.tokenizer, writer.embedder.max_tokens)
        self._report = Report()
        self._total = 0
        self._at = 0
        parsers = " ".join(f"{name} {version(name)}" for name in PARSERS)
        parts = (READERS, self._chunker.fingerprint, parsers)
        self._fingerprint = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def run(self, connector: Connector, brought: Callable[[str], bool | None] = lambda _: None) -> Report:
        """Reads every item that is new or has changed, and removes what is gone.

        brought: whether the source brought a document by an earlier run; None where that is not on record.
        Raises SourceError when the source cannot be listed; what the library holds of it then stays.
        """
        began, embedded = time.monotonic(), self._writer.embedded
        self._report, self._total, self._at = Report(), 0, 0
        self._writer.chunker = self._chunker.fingerprint
        shelf = Shelf(self._writer, self._fingerprint, brought)
        for found in connector.discover(shelf):
            if isinstance(found, Item):
                self._item(connector, found, shelf)
            elif isinstance(found, Vanished):
                self._remove(found.uri)
            else:
                self._note(found)
        self._writer.publish()
        self._report.embedded = self._writer.embedded - embedded
        self._report.seconds = time.monotonic() - began
        return self._report

    def _note(self, found: Problem | Lost | Expected | Count | Summary) -> None:
        if isinstance(found, Note):
            self._report.notes.append(found)
        elif isinstance(found, Problem):
            self._report.skipped.append(found)
        elif isinstance(found, Lost):
            self._report.lost.append(found)
        elif isinstance(found, Expected):
            self._total = found.items
        elif isinstance(found, Summary):
            self._report.summary = found.text
        else:
            self._report.counts[found.name] += found.number

    def _item(self, connector: Connector, item: Item, shelf: Shelf) -> None:
        """Brings the document of one item up to date."""
        self._at += 1
        uri = connector.link(item)
        held = shelf.documents.get(uri)
        same = held is not None and held.version == item.version
        if same and item.settled:
            self._unchanged(uri)
            return
        try:
            made = connector.read(item, held.document if held and same else None)
            cut = self._cut(made, item) if made is not None and not isinstance(made, Lost) else None
        except Gone as error:
            self._gone(uri, held, Problem(item.name, str(error)))
        except ChainciteError as error:
            if not isinstance(error, SourceError):
                raise
            self._failed(uri, held, Problem(item.name, str(error)))
        except Exception as error:  # noqa: BLE001 whatever is wrong with one item, the others are read
            self._failed(uri, held, Problem(item.name, fault(error)))
        else:
            if isinstance(made, Lost):
                self._report.lost.append(made)
                if held:
                    self._remove(uri)
            elif cut is None:
                self._unchanged(uri)
            else:
                self._write(uri, held, *cut, shelf.recipe(item))

    def _cut(self, made: Reading | tuple[Document, Sequence[Passage]], item: Item) -> _Cut:
        """The document and its passages, of which every word can be stored."""
        if isinstance(made, tuple):
            document, passages = made
        else:
            document = made.document
            with time_limit(CUT_SECONDS):
                passages = self._chunker.passages(made)
            self._report.notes += [Note(item.name, warning) for warning in made.warnings]
            self._report.lost += [Lost(item.name, reason, count) for reason, count in made.lost]
        for passage in passages:
            _ = passage.digest
        json.dumps(asdict(document), ensure_ascii=False, default=str).encode()
        return document, passages

    def _write(
        self, uri: str, held: Held | None, document: Document, passages: Sequence[Passage], recipe: str
    ) -> None:
        report = self._report
        report.passages += len(passages)
        self._writer.progress = partial(self._tell, self._at, max(self._total, self._at), report.passages)
        if held is not None and document.uri != uri:
            self._writer.remove([uri])
        self._writer.add(document, passages, recipe)
        report.uris.add(document.uri)
        if held is None:
            report.added += 1
        else:
            report.changed += 1

    def _unchanged(self, uri: str) -> None:
        self._report.unchanged += 1
        self._report.uris.add(uri)

    def _gone(self, uri: str, held: Held | None, why: Problem) -> None:
        if held is None:
            self._report.skipped.append(why)
        else:
            self._remove(uri)

    def _failed(self, uri: str, held: Held | None, why: Problem) -> None:
        self._report.skipped.append(why)
        if held is not None:
            self._report.uris.add(uri)

    def _remove(self, uri: str) -> None:
        self._writer.remove([uri])
        self._report.removed += 1

    def _tell(self, sources: int, total: int, passages: int, embedded: int) -> None:
        self._progress(Progress(sources, total, passages, embedded))


_Cut = tuple[Document, Sequence[Passage]]
