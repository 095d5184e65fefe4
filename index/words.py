"""The word index: tantivy's BM25 over terms that keep crypto's identifiers findable, whole and by part.

Each generation has a folder of its own. A new one starts as hard links to the segment files of the last,
which tantivy never rewrites: a generation costs what changed, and readers of an older one are not disturbed.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from index.errors import LibraryError
from index.terms import terms
from index.values import Passage

_ALIKE, _LEAST = 0.82, 5
"""Ratio of equal letters (Ratcliff and Metzener 1988) of two spellings of a word; letters of the shortest."""

HEAP_BYTES = 64 * 1024 * 1024
FIELDS = ("text", "context")
_MAGIC = 1337
PASSAGES, DOCUMENTS = "passages", "documents"

Keys = npt.NDArray[np.int64]
Scored = tuple[Keys, npt.NDArray[np.float32]]


class WordWriter:
    """Makes the word index of the next generation from that of the last.

    folder: where it is to be; last: the folder to start from, or None for an empty index.
    """

    def __init__(self, folder: Path, last: Path | None) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self._passages = _Writer(folder / PASSAGES, last and last / PASSAGES)
        self._documents = _Writer(folder / DOCUMENTS, last and last / DOCUMENTS)

    def remove(self, document: int) -> None:
        """Removes the document with this key and all its passages."""
        self._passages.remove(document)
        self._documents.remove(document)

    def add(self, document: int, passages: Sequence[Passage]) -> None:
        """Adds the document with this key, whole, as its passages in order."""
        whole: list[str] = []
        for passage in passages:
            found, names = terms(passage.text), terms(" ".join(passage.identifiers))
            self._passages.add(passage.key, document, found, [*terms(passage.context), *names])
            whole += [*found, *names]
        self._documents.add(document, document, whole, terms(passages[0].context) if passages else [])

    def commit(self) -> int:
        """Writes the index to disk; returns the number of passages in it."""
        self._documents.commit()
        return self._passages.commit()


class _Writer:
    def __init__(self, folder: Path, last: Path | None) -> None:
        import tantivy

        folder.mkdir(parents=True)
        if last is not None:
            _link(last, folder)
        self._folder = folder
        self._tantivy = tantivy
        self._index = tantivy.Index(_schema(), path=str(folder))
        _register(self._index)
        self._writer = self._index.writer(HEAP_BYTES, 1)

    def remove(self, document: int) -> None:
        query = self._tantivy.Query.term_set_query(self._index.schema, "document", [document])
        self._writer.delete_documents_by_query(query)

    def add(self, key: int, document: int, text: Sequence[str], context: Sequence[str]) -> None:
        row = self._tantivy.Document()
        row.add_unsigned("key", key)
        row.add_unsigned("document", document)
        row.add_text("text", " ".join(text))
        row.add_text("context", " ".join(context))
        self._writer.add_document(row)

    def commit(self) -> int:
        self._writer.commit()
        self._writer.wait_merging_threads()
        self._index.reload()
        for lock in self._folder.glob("*.lock"):
            lock.unlink()
        return int(self._index.searcher().num_docs)


class Words:
    """The word index of one generation, open for search: over passages, and over whole documents."""

    def __init__(self, folder: Path) -> None:
        self._passages = _Searcher(folder / PASSAGES)
        self._documents = _Searcher(folder / DOCUMENTS)

    @property
    def count(self) -> int:
        """Passages in the index."""
        return self._passages.count

    def keys(self) -> Keys:
        """The keys of all passages in the index, in no order."""
        return self._passages.keys()

    def stems(self, words: Sequence[str]) -> list[str]:
        """Terms as they stand in the index."""
        return self._passages.stems(words)

    def frequencies(self, stems: Sequence[str]) -> list[int]:
        """In how many passages each stem stands."""
        return self._passages.frequencies(stems)

    def respelled(self, stem: str) -> str | None:
        """The commonest stem that is spelled nearly as this one, or with which it begins; None without."""
        return self._passages.respelled(stem)

    def passages(
        self, words: Sequence[str], k: int, documents: Collection[int] | None = None, context: float = 1.0
    ) -> Scored:
        """The k best passages for these terms by BM25: keys and scores, best first.

        documents: keys of the only documents that may be found; context: weight of a passage's context
        against its text.
        """
        return self._passages.search(words, k, documents, {"text": 1.0, "context": context})

    def documents(self, words: Sequence[str], k: int, documents: Collection[int] | None = None) -> Scored:
        """The k best documents for these terms by BM25 over their whole text, as `passages` does."""
        return self._documents.search(words, k, documents, {"text": 1.0})


def faults(folder: Path) -> Iterator[str]:
    """The files of a word index that are not what tantivy wrote, a line each.

    A file of tantivy ends with a JSON footer that holds the CRC32 of what stands before it, the footer's
    length, and a magic number.
    """
    for file in sorted(folder.glob("*/*")):
        if file.suffix not in (".json", ".lock") and not _intact(file.read_bytes()):
            yield (
                f"the file {file.name} of the word index is not what was written; `chaincite doctor --repair`"
                " makes it again from the tables"
            )


def _intact(body: bytes) -> bool:
    try:
        length, magic = struct.unpack("<II", body[-8:])
        crc = json.loads(body[-8 - length : -8])["crc"]
        return bool(magic == _MAGIC and zlib.crc32(body[: -8 - length]) == crc)
    except (struct.error, ValueError, KeyError, TypeError):
        return False


class _Searcher:
    """BM25 as Lucene has it, k1 1.2 and b 0.75 (Robertson and Zaragoza 2009, section 3)."""

    def __init__(self, folder: Path) -> None:
        import tantivy

        self._tantivy = tantivy
        self._schema = _schema()
        try:
            self._index = tantivy.Index.open(str(folder))
            _register(self._index)
            self._searcher = self._index.searcher()
        except (ValueError, OSError) as error:
            raise LibraryError(
                f"the word index cannot be opened ({error}); `chaincite doctor --repair` makes it again from"
                " the tables"
            ) from error
        self._analyzer = analyzer()

    @property
    def count(self) -> int:
        return int(self._searcher.num_docs)

    def keys(self) -> Keys:
        everything = self._tantivy.Query.all_query()
        return self._keys(self._searcher.search(everything, max(self.count, 1), count=False).hits)

    def stems(self, words: Sequence[str]) -> list[str]:
        return [stem for word in words for stem in self._analyzer.analyze(word)]

    def frequencies(self, stems: Sequence[str]) -> list[int]:
        return [int(self._searcher.doc_freq("text", stem)) for stem in stems]

    def respelled(self, stem: str) -> str | None:
        known = [term for term, _ in self._searcher.terms_with_prefix("text", stem[:1])]
        words = [word for word in known if word.isalpha() and abs(len(word) - len(stem)) <= 2]
        near = get_close_matches(stem, words, n=5, cutoff=_ALIKE)
        near = near or [word for word in known if len(word) >= _LEAST and stem.startswith(word)]
        return max(near, key=lambda word: (int(self._searcher.doc_freq("text", word)), word), default=None)

    def search(
        self, words: Sequence[str], k: int, documents: Collection[int] | None, boosts: Mapping[str, float]
    ) -> Scored:
        query = self._query(self.stems(words), boosts)
        if query is None:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        if documents is not None:
            query = self._restricted(query, documents)
        hits = self._searcher.search(query, k, count=False).hits
        return self._keys(hits), np.array([score for score, _ in hits], np.float32)

    def _keys(self, hits: Sequence[tuple[float, Any]]) -> Keys:
        addresses = [address for _, address in hits]
        return np.array(self._searcher.fast_field_values("key", addresses) if hits else [], np.int64)

    def _query(self, stems: Sequence[str], boosts: Mapping[str, float]) -> Any:
        query, should = self._tantivy.Query, self._tantivy.Occur.Should
        clauses = [
            (should, query.boost_query(query.term_query(self._schema, field, stem), boost))
            for stem in dict.fromkeys(stems)
            for field, boost in boosts.items()
            if boost > 0
        ]
        return query.boolean_query(clauses) if clauses else None

    def _restricted(self, query: Any, documents: Collection[int]) -> Any:
        must = self._tantivy.Occur.Must
        allowed = self._tantivy.Query.term_set_query(self._schema, "document", list(map(int, documents)))
        silent = self._tantivy.Query.const_score_query(allowed, 0.0)
        return self._tantivy.Query.boolean_query([(must, query), (must, silent)])


def _schema() -> Any:
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("key", fast=True, indexed=True)
    builder.add_unsigned_field("document", indexed=True)
    for field in FIELDS:
        builder.add_text_field(field, tokenizer_name="terms", index_option="freq")
    return builder.build()


def analyzer() -> Any:
    """What makes a term the stem under which the index knows it."""
    import tantivy

    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace())
    return builder.filter(tantivy.Filter.stemmer("english")).build()


def _register(index: Any) -> None:
    index.register_tokenizer("terms", analyzer())


def _link(source: Path, target: Path) -> None:
    """Segment files are written once and linked; what tantivy replaces is copied."""
    for file in source.iterdir():
        if file.suffix == ".lock":
            continue
        if file.suffix == ".json":
            shutil.copy2(file, target / file.name)
        else:
            os.link(file, target / file.name)
