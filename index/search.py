"""Ranking: words and vectors over passages, fused with what is known of their documents.

A passage's score is the sum of

- its BM25 score and its cosine, each divided by the best of the question's candidates (weighted score fusion;
  Bruch, Gai and Ingber 2023, An Analysis of Fusion Functions for Hybrid Retrieval);
- evidence for its document: the sum of the document's best passages, each counting half of the one before;
- the BM25 score of its whole document;
- its document's authority: how settled its status is;
- whether the question names its document, a proposal by its number or a file by its name; where it names
  several, the best passage of each comes first;
- whether an identifier of the question, such as a selector, a topic or a signature, is one of its own, or it
  declares a name that the question has.

Filters hold inside every search, never after. Of passages with the same text only the best is shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from index.catalogue import Catalogue
from index.embed import Vectors
from index.shards import Keys, Shards
from index.terms import code_names, file_names, identifiers, query_terms
from index.values import Filters
from index.words import Words

_SEVERAL = 5
"""Documents that a question names, at most, for the best of each to come first."""

_DECLARED = 0.3
"""What a declared name counts, against a signature or a selector."""

Ranked = tuple[int, float, Mapping[str, float]]
Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Options:
    """How a search ranks. Each weight multiplies a part that lies between 0 and about 1.

    words, vectors: a passage's BM25 and cosine; context: a word in its context against one in its text;
    evidence: the document's best passages; whole: BM25 of the whole document; standing: how settled it is;
    subject: the question names the document, by its number or file;
    per_document: passages of one document at most, 0 for no limit;
    named: one of its identifiers, or a name that it declares, stands in the question;
    depth: candidates that each index gives before fusion.
    """

    words: float = 0.35
    vectors: float = 0.65
    context: float = 0.5
    evidence: float = 0.3
    whole: float = 0.5
    standing: float = 0.2
    subject: float = 0.3
    named: float = 1.0
    per_document: int = 0
    depth: int = 400


class Ranker:
    """Ranks the passages of one generation."""

    def __init__(
        self, catalogue: Catalogue, shards: Shards, words: Words, options: Options = Options()
    ) -> None:
        self._catalogue = catalogue
        self._shards = shards
        self._words = words
        self._options = options

    def rank(self, question: str, vector: Vectors, k: int, filters: Filters) -> Sequence[Ranked]:
        """The k best passages: key, score, and the weighted parts of the score; best first, ties by key.

        vector: the question's, of unit length.
        """
        options = self._options
        documents = self._catalogue.matching(filters)
        if documents is not None and not len(documents):
            return []
        terms, depth = query_terms(question), max(options.depth, 2 * k)
        by_words = self._words.passages(terms, depth, documents, options.context)
        by_vector, _ = self._shards.search(vector, depth // 2, self._passages_of(documents))
        keys = np.union1d(by_words[0], by_vector)
        if not len(keys):
            return []
        at = self._shards.positions(keys)
        of, place = np.unique(self._shards.documents[at], return_inverse=True)
        found = self._catalogue.places(of)
        parts = {
            "words": options.words * _relative(_looked_up(by_words, keys)),
            "vectors": options.vectors * _relative(self._shards.cosines(vector, at)),
        }
        whole = _relative(_looked_up(self._words.documents(terms, depth, documents), of))
        parts |= {
            "evidence": options.evidence
            * _evidence(parts["words"] + parts["vectors"], place, len(of))[place],
            "whole": options.whole * whole[place],
            "standing": options.standing * self._catalogue.standing[found][place],
        }
        if (about := np.isin(self._catalogue.names[found], [*terms, *file_names(question)])).any():
            parts["subject"] = options.subject * about[place].astype(np.float32)
        wanted, declared = identifiers(question), code_names(question)
        if wanted or declared:
            parts["named"] = options.named * self._naming(wanted, declared, at)
        total = np.sum(list(parts.values()), axis=0)
        if 1 < len(np.unique(place[about[place]])) <= _SEVERAL:
            parts["each"] = _lifted(total, place, about)
            total = total + parts["each"]
        order = np.lexsort((keys, -total))
        best = self._first(order, at, place, k)
        return [
            (int(keys[i]), float(total[i]), {name: float(part[i]) for name, part in parts.items()})
            for i in best
        ]

    def _naming(self, wanted: frozenset[str], declared: frozenset[str], positions: Keys) -> Scores:
        """1 for the passages at these positions that have one of these identifiers, 0 for the others.

        In between for those that declare one of these names, which may be declared in many places.
        """
        theirs = self._shards.column("identifiers").take(pa.array(positions)).to_pylist()
        exact = np.array([not wanted.isdisjoint(names or ()) for names in theirs], np.float32)
        if not declared:
            return exact
        bare = [not declared.isdisjoint(name.partition("(")[0] for name in names or ()) for names in theirs]
        return np.asarray(np.maximum(exact, _DECLARED * np.array(bare, np.float32)), np.float32)

    def _first(self, order: Keys, positions: Keys, place: npt.NDArray[np.intp], k: int) -> list[int]:
        """The first k of an order whose texts differ, with as many of one document as the options allow.

        positions: where each passage stands in the shards; place: which document each belongs to.
        """
        texts, most = self._shards.column("text"), self._options.per_document
        taken, seen, chosen = Counter[int](), set[str](), list[int]()
        for i in order:
            if len(chosen) == k:
                break
            text = " ".join(texts[int(positions[i])].as_py().split())
            if text in seen or (most and taken[int(place[i])] == most):
                continue
            taken[int(place[i])] += 1
            seen.add(text)
            chosen.append(int(i))
        return chosen

    def _passages_of(self, documents: Keys | None) -> Keys | None:
        return None if documents is None else self._shards.keys[np.isin(self._shards.documents, documents)]


def _looked_up(scored: tuple[Keys, Scores], keys: Keys) -> Scores:
    """The scores of these keys, 0 for those that were not found."""
    found, scores = scored
    out = np.zeros(len(keys), np.float32)
    if len(found):
        order = np.argsort(found)
        at = np.minimum(np.searchsorted(found[order], keys), len(found) - 1)
        there = found[order][at] == keys
        out[there] = scores[order][at][there]
    return out


def _relative(scores: Scores) -> Scores:
    """Scores divided by the best of them; what is below 0 counts 0.

    >>> _relative(np.array([2.0, 1.0, -1.0], np.float32)).tolist()
    [1.0, 0.5, 0.0]
    """
    positive = np.maximum(scores, 0.0)
    best = float(positive.max(initial=0.0))
    return np.asarray(positive / best, np.float32) if best > 0 else positive


def _evidence(scores: Scores, place: npt.NDArray[np.intp], documents: int, most: int = 3) -> Scores:
    """For each document the sum of its `most` best scores, each counting half of the one before.

    place: which document each score belongs to.

    >>> _evidence(np.array([1.0, 0.5, 0.8], np.float32), np.array([0, 0, 1]), 2).tolist()
    [1.25, 0.800000011920929]
    """
    order = np.lexsort((-scores, place))
    starts = np.searchsorted(place[order], np.arange(documents))
    rank = np.arange(len(order)) - starts[place[order]]
    share = np.where(rank < most, 0.5**rank, 0.0)
    return np.bincount(place[order], scores[order] * share, documents).astype(np.float32)


def _lifted(total: Scores, place: npt.NDArray[np.intp], named: npt.NDArray[np.bool_]) -> Scores:
    """What brings the best passage of each named document to the best score of all.

    place: which document each score belongs to; named: of each document, whether the question names it.

    >>> _lifted(np.array([0.9, 0.8, 0.5], np.float32), np.array([0, 0, 1]), np.array([True] * 2)).tolist()
    [0.0, 0.0, 0.3999999761581421]
    """
    lift = np.zeros(len(total), np.float32)
    for document in np.flatnonzero(named):
        own = np.flatnonzero(place == document)
        best = own[np.argmax(total[own])]
        lift[best] = total.max() - total[best]
    return lift
