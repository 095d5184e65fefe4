"""What a run gives for each question: the ranked list, the packed evidence, and the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from index.values import Hit


@dataclass(frozen=True, slots=True)
class Ranked:
    """A passage in a ranked list. path, uri: of its document; [start, end): offsets in its text."""

    path: str
    uri: str
    id: str
    start: int
    end: int
    score: float
    text: str

    @classmethod
    def of(cls, hit: Hit) -> Ranked:
        """A hit as it is saved."""
        passage = hit.passage
        return cls(
            hit.document.path,
            passage.uri,
            passage.id,
            passage.start,
            passage.end,
            float(hit.score),
            passage.text,
        )


@dataclass(frozen=True, slots=True)
class Answered:
    """What of an answer is measured.

    citations: path and quotation of each; cost: in US dollars; sentences: its text without marks.
    """

    text: str
    refused: bool
    citations: tuple[tuple[str, str], ...]
    tokens: int
    answered_by: str
    cost: float = 0.0
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one question.

    hits: best first; packed: by budget, the ids of the passages in each section of the evidence; held: how
    many passages the library has of each relevant document; error: why the question failed, None where it did
    not.
    """

    id: str
    hits: tuple[Ranked, ...] = ()
    packed: Mapping[int, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    held: Mapping[str, int] = field(default_factory=dict)
    answer: Answered | None = None
    error: str | None = None

    def packed_texts(self, budget: int) -> list[tuple[str, str]]:
        """Path and text of each section of the evidence packed for this budget."""
        hits = {hit.id: hit for hit in self.hits}
        return [
            (hits[section[0]].path, "".join(hits[one].text for one in section))
            for section in self.packed.get(budget, ())
        ]
