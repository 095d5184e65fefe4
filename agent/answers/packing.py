"""The evidence that an answer was made from, and the report on what the budget held of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from agent.answers.place import place
from index.values import Document, Passage, SourceRef

Verdict = Literal["kept", "compressed", "near-duplicate", "no room"]


@dataclass(frozen=True, slots=True)
class PackedItem:
    """What became of one passage, or of a section that begins with it.

    tokens: of its header and text together, as they were sent, or would have been. number: the section's.
    """

    passage_id: str
    path: str
    tokens: int
    verdict: Verdict
    number: int | None = None


@dataclass(frozen=True, slots=True)
class PackingReport:
    """Where the budget went, all in tokens; the parts together are never more than the budget.

    instructions: to the model, with all that frames question and evidence; tools: their schemas;
    history: of the conversation; results: this question's tool calls and what they gave;
    margin: for models whose tokens cannot be counted exactly.
    """

    budget: int
    question: int
    reserve: int
    evidence: int
    items: tuple[PackedItem, ...]
    instructions: int = 0
    tools: int = 0
    history: int = 0
    results: int = 0
    margin: int = 0


@dataclass(frozen=True, slots=True)
class Section:
    """Passages of one document that touch, to be read as one text; score is that of the best of them."""

    document: Document
    passages: tuple[Passage, ...]
    score: float

    @property
    def text(self) -> str:
        """The document's text from the first passage's start to the last one's end."""
        return "".join(passage.text for passage in self.passages)

    @property
    def place(self) -> str:
        """What it is and where it stands, such as `EIP-1559 § Specification, Final, lines 120–141`."""
        first = SourceRef.of(self.document, self.passages[0])
        return place(replace(first, line_end=self.passages[-1].line_end))

    @property
    def header(self) -> str:
        """The line above the text: its place."""
        return f"[{self.place}]"

    def render(self) -> str:
        """Header and text, as they count against the budget."""
        return f"{self.header}\n{self.text}\n\n"
