"""What the tests of the library share: the real embedding model, and documents made of plain words."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from index.embed import MiniLM
from index.values import Document, Kind, Passage

Made = tuple[Document, tuple[Passage, ...]]


@pytest.fixture(scope="session")
def minilm() -> MiniLM:
    return MiniLM()


@pytest.fixture(scope="session")
def make() -> Callable[..., Made]:
    """A document of the given uri whose passages are the given texts, with other fields as given."""

    def made(uri: str, texts: Sequence[str], **known: Any) -> Made:
        body = "".join(texts)
        fields: dict[str, Any] = {
            "kind": Kind.PAPER,
            "title": uri,
            "path": uri.rpartition("/")[2],
            "location": uri,
            "media_type": "text/plain",
            "retrieved_at": datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC),
            **known,
        }
        sha256 = hashlib.sha256(body.encode()).hexdigest()
        document = Document(uri=uri, sha256=sha256, size=len(body), **fields)
        starts = [sum(map(len, texts[:at])) for at in range(len(texts))]
        return document, tuple(
            Passage(uri, sha256, at, start, start + len(text), text, document.title)
            for at, (start, text) in enumerate(zip(starts, texts, strict=True))
        )

    return made
