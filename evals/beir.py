"""A library of a BEIR folder's corpus, made once and brought up to date whenever the corpus changes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import quote

from evals.datasets import corpus
from index.errors import SourceError

CORPORA = "beir"
"""The folder, inside another library's, of the libraries made from corpora."""


def build(folder: Path, cache: Path, embedder: str) -> tuple[Path, tuple[str, ...]]:
    """The folder of a library that holds the corpus, and a line for each document that was left out.

    folder: BEIR's; cache: where such libraries are kept, each named by the content of its corpus. Documents
    are named by their ids. What the library has already costs nothing.
    """
    from index.library import Library
    from ingest.connector import Doors
    from ingest.engine import Engine
    from ingest.fetch import Fetcher
    from ingest.papers import Documents
    from ingest.sources import Facts, Found, Source

    with (folder / "corpus.jsonl").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    home = cache / CORPORA / f"{folder.name}-{digest[:12]}"
    texts = home / "documents"
    sources = []
    for name, title, text in corpus(folder):
        path = texts / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.txt"
        _write_once(path, text or title)
        uri = f"beir:{quote(folder.name)}/{quote(name, safe='')}"
        sources.append(Source(str(path), name, uri, Facts(title=title or None)))
    with Library.writer(home / "library", embedder) as writer:
        report = Engine(writer).run(Documents(Found(tuple(sources)), Doors(Fetcher())))
    return home / "library", tuple(str(problem) for problem in report.skipped)


def _write_once(path: Path, text: str) -> None:
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise SourceError(
            f"the corpus cannot be written to {path.parent} ({error.strerror}); choose another --library"
        ) from error
