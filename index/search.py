"""Ranking: words and vectors, fused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from index.catalogue import Catalogue
from index.embed import Vectors
from index.shards import Shards
from index.values import Filters
from index.words import Words, query_terms

Ranked = tuple[int, float, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Options:
    """How a search ranks. Weights are relative to each other.

    depth: passages taken from each index before fusion; words, vectors: weight of each.
    """

    depth: int = 200
    words: float = 0.5
    vectors: float = 0.5
    context: float = 0.7


def rank(
    question: str,
    vector: Vectors,
    k: int,
    filters: Filters,
    options: Options,
    catalogue: Catalogue,
    shards: Shards,
    words: Words,
) -> Sequence[Ranked]:
    """The k best passages: key, score, and the parts of the score, best first, ties by key."""
    documents = catalogue.matching(filters)
    allowed = None
    if documents is not None:
        allowed = shards.keys[np.isin(np.asarray(shards.column("document")), documents)]
        if not len(allowed):
            return []
    depth = max(options.depth, k)
    word_keys, word_scores = words.search(
        query_terms(question), depth, documents, {"text": 1.0, "context": options.context}
    )
    vector_keys, vector_scores = shards.search(vector, depth, allowed)
    by_words = dict(zip(word_keys.tolist(), _scaled(word_scores), strict=True))
    by_vectors = dict(zip(vector_keys.tolist(), _scaled(vector_scores), strict=True))
    fused = [
        (key, options.words * by_words.get(key, 0.0) + options.vectors * by_vectors.get(key, 0.0))
        for key in by_words.keys() | by_vectors.keys()
    ]
    fused.sort(key=lambda pair: (-pair[1], pair[0]))
    return [
        (key, score, {"words": by_words.get(key, 0.0), "vectors": by_vectors.get(key, 0.0)}) for key, score in fused[:k]
    ]


def _scaled(scores: npt.NDArray[np.float32]) -> list[float]:
    """Scores between 0 (the last) and 1 (the first)."""
    if not len(scores):
        return []
    low, high = float(scores[-1]), float(scores[0])
    return [1.0 if high == low else float((s - low) / (high - low)) for s in scores]
