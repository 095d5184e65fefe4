"""Sources, passages and a small library in memory for the tests of answering."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, date, datetime
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from index.terms import terms
from index.values import Document, Filters, Hit, Kind, Passage
from tests.agent.endpoint import Endpoint, Script

NOTES = {
    "EIP-1": (
        "The fee note",
        "# The fee note\n\nThe base fee is burned by the protocol. "
        "A block may hold 30,000,000 gas at most.\n\n"
        "Wallets read the fee from the header.\n",
    ),
    "EIP-2": (
        "The seed note",
        "# The seed note\n\nA seed phrase of 24 words holds 256 bits of entropy. "
        "Eight bits are its checksum.\n\n"
        "- The words come from a list of 2048.\n- The list is sorted.\n",
    ),
    "EIP-3": (
        "The bridge note",
        "# The bridge note\n\nA bridge locks tokens on one chain. It mints claims on another chain.\n",
    ),
}


class MemoryLibrary:
    """Ranks by shared words; embeds by hashed words, so that equal words are near."""

    def __init__(self, hits: Sequence[Hit]) -> None:
        self.generation = 7
        self.hits = list(hits)

    def search(self, question: str, k: int = 10, filters: Filters = Filters()) -> list[Hit]:
        asked = set(self.stems(question))
        scored = [
            Hit(h.document, h.passage, len(asked & set(self.stems(h.passage.text))) / len(asked), {})
            for h in self.hits
            if not filters.kinds or h.document.kind in filters.kinds
        ]
        return sorted(scored, key=lambda hit: -hit.score)[:k]

    def documents(self, filters: Filters = Filters()) -> list[Document]:
        found = {hit.document.uri: hit.document for hit in self.hits}
        return [one for _, one in sorted(found.items()) if not filters.kinds or one.kind in filters.kinds]

    def passages(self, uri: str) -> list[Passage]:
        found = [hit.passage for hit in self.hits if hit.document.uri == uri]
        return sorted(found, key=lambda passage: passage.ordinal)

    def openings(self, uris: Sequence[str]) -> dict[str, Passage]:
        return {uri: self.passages(uri)[0] for uri in uris}

    def named(self, designations: Sequence[str]) -> list[Document]:
        return [one for name in designations for one in self.documents() if one.number == name]

    def respelled(self, stem: str) -> str | None:
        return None

    def stems(self, text: str) -> list[str]:
        return [term.rstrip("s") for term in terms(text)]

    def frequencies(self, stems: Sequence[str]) -> list[int]:
        found = [set(self.stems(hit.passage.text)) for hit in self.hits]
        return [sum(stem in one for one in found) for stem in stems]

    @property
    def size(self) -> int:
        return len(self.hits)

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        rows = np.full((len(texts), 64), 1e-3, np.float32)
        for row, text in zip(rows, texts, strict=True):
            for stem in self.stems(text):
                row[int(hashlib.sha256(stem.encode()).hexdigest(), 16) % 64] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def make_document(text: str, name: str = "EIP-1", title: str = "The fee note") -> Document:
    path = f"notes/{name.lower()}.md"
    return Document(
        uri=f"https://github.com/someone/notes/blob/0123456789abcdef/{path}",
        kind=Kind.PROPOSAL,
        title=title,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        size=len(text.encode()),
        media_type="text/markdown",
        path=path,
        location=f"/notes/{path}",
        retrieved_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        published_at=date(2024, 3, 13),
        number=name,
        commit="0123456789abcdef",
    )


def make_passages(document: Document, text: str, cuts: Sequence[int] = ()) -> list[Passage]:
    borders = [0, *cuts, len(text)]
    passages = []
    for ordinal, (start, end) in enumerate(pairwise(borders)):
        body = text[start:end]
        first = start + len(body) - len(body.lstrip())
        passages.append(
            Passage(
                uri=document.uri,
                sha256=document.sha256,
                ordinal=ordinal,
                start=start,
                end=end,
                text=body,
                context=f"{document.number}: {document.title}",
                line_start=text.count("\n", 0, first) + 1,
                line_end=text.count("\n", 0, start + len(body.rstrip())) + 1,
            )
        )
    return passages


@pytest.fixture
def hit_of() -> Callable[..., Hit]:
    """Makes a hit of one passage that is a whole document."""

    def make(text: str, name: str = "EIP-1", score: float = 1.0) -> Hit:
        document = make_document(text, name)
        return Hit(document, make_passages(document, text)[0], score)

    return make


@pytest.fixture
def hits_of() -> Callable[..., list[Hit]]:
    """Makes hits of the passages of one document, cut at these offsets."""

    def make(text: str, cuts: Sequence[int], name: str = "EIP-1") -> list[Hit]:
        document = make_document(text, name)
        return [Hit(document, passage, 1.0) for passage in make_passages(document, text, cuts)]

    return make


@pytest.fixture
def library() -> MemoryLibrary:
    """Three short notes, one passage each."""
    hits = []
    for name, (title, text) in NOTES.items():
        document = make_document(text, name, title)
        hits += [Hit(document, passage, 0.0) for passage in make_passages(document, text)]
    return MemoryLibrary(hits)


@pytest.fixture
def notes() -> dict[str, str]:
    """The text of each note by the path of its document."""
    return {f"notes/{name.lower()}.md": text for name, (_, text) in NOTES.items()}


@pytest.fixture
def endpoint() -> Iterator[Callable[[Script], Endpoint]]:
    """Starts a scripted endpoint, which ends with the test."""
    with ExitStack() as stack:
        yield lambda script, key=None: stack.enter_context(Endpoint(script, key))
