"""Which of some documents speak of a topic, by the words of their titles, descriptions and abstracts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.answerers.catalogue_records import Record
from agent.text.corpus import information
from index.terms import STOPWORDS, terms

if TYPE_CHECKING:
    from index.library import Library

_FEW = 60
"""Documents of which the first passages are read too; of more, the title and the description alone."""

_BODY = 4
"""Passages of a document, its header included, that say what it is about."""

_BODY_WEIGHT = 0.8
"""What a word in the first passages counts, against one in the title or the description."""

_LEAST = 0.5
_NEAR_BEST = 0.75
"""The share of a topic that a document must cover, and the share of what the best one covers."""


def about(library: Library, topics: Sequence[str], among: Sequence[Record]) -> list[Record]:
    """The records that speak of one of the topics, in order.

    A topic's words weigh by their information. Where few documents are left by other conditions, the best of
    them are kept; among many, only those whose title and description hold every word.
    """
    found: dict[str, Record] = {}
    for topic in topics:
        for record in _speaking(library, topic, among):
            found.setdefault(record.document.uri, record)
    return [record for record in among if record.document.uri in found]


def _speaking(library: Library, topic: str, among: Sequence[Record]) -> list[Record]:
    wanted = _stems(library, topic)
    weights = dict(
        zip(wanted, (information(n, library.size) for n in library.frequencies(wanted)), strict=True)
    )
    total = sum(weights.values())
    if not total:
        return []
    few = len(among) <= _FEW
    shares = [
        sum(weights[s] * n for s, n in _held(library, record, wanted, few).items()) / total
        for record in among
    ]
    least = max(_LEAST, _NEAR_BEST * max(shares, default=0)) if few else 0.99
    return [record for record, share in zip(among, shares, strict=True) if share >= least]


def _held(library: Library, record: Record, wanted: Sequence[str], body: bool) -> dict[str, float]:
    """What each wanted stem counts in a document."""
    description = record.header.get("description")
    head = set(_stems(library, f"{record.document.title} {description.value if description else ''}"))
    found = {stem: 1.0 for stem in wanted if stem in head}
    if body and len(found) < len(wanted):
        passages = library.passages(record.document.uri)[1:_BODY]
        text = set(_stems(library, " ".join(passage.text for passage in passages)))
        found = {stem: _BODY_WEIGHT for stem in wanted if stem in text} | found
    return found


def _stems(library: Library, text: str) -> list[str]:
    words = " ".join(word for word in terms(text) if word not in STOPWORDS)
    return list(dict.fromkeys(library.stems(words)))
