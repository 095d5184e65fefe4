"""Who answers a question without a chat model: the first that takes it, and quotations where nobody does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.answerers import catalogue, chain, listing
from agent.answerers.joining import completed
from agent.answerers.quoted import Quoted
from agent.answers.packing import PackingReport
from agent.answers.question import Question, Route
from agent.answers.values import Draft
from agent.requests.budget import count_tokens
from index.reader import READER

if TYPE_CHECKING:
    from index.library import Library

ITSELF = "chaincite"
"""Who answered, where no source was asked."""

_ADVICE = (
    "No advice, opinion or prediction: chaincite reports what the sources in its library say."
    " Ask, for instance, what a proposal specifies or what an audit found."
)
_GREETING = "Hello. Ask a question about {held}; each sentence of the answer comes with its source."
_HELP = (
    "chaincite answers questions from the documents in its library alone: {held}. Each sentence of an answer"
    " carries its source; it gives no advice and no predictions. Ask, for instance,"
    ' "What is EIP-1559?" or "How many transactions failed in block 17173050?"'
)
_NAMES = {
    "proposal": "proposals such as EIPs, ERCs and BIPs",
    "paper": "papers and audits",
    "code": "code",
    "forum": "forum topics",
    "event": "on-chain events",
}


_TAKERS: tuple[tuple[Route, Callable[[Library, Question], Draft | None], str], ...] = (
    ("catalogue", catalogue.answer, "it asks for metadata of documents"),
    ("chain", chain.drafted, "it asks for rows of the tables of a chain"),
    ("quoted", listing.answer, "it asks for a list that stands in one document"),
)


class Answerers:
    """Those who answer from one library without a chat model."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._quoted = Quoted(library, READER)

    def computed(self, question: Question) -> tuple[Question, Draft] | None:
        """The answer of the first who reads the question completely; None where it is one for sources' words.

        Raises what the library raises.
        """
        if line := self._line(question):
            return replace(question, route="none", why=f"it is {question.wants}"), line
        for route, taker, why in _TAKERS:
            if (draft := taker(self._library, question)) is not None:
                taken = replace(question, route=route, why=why)
                return taken, completed(draft, taken, self._quoted.answer)
        return None

    def answer(self, question: Question) -> tuple[Question, Draft]:
        """The question with its route, and the answer. Raises BudgetError, and what the library raises."""
        found = self.computed(question)
        if found is not None:
            return found
        quoted = replace(question, route="quoted", why="the sources' own sentences answer it")
        return quoted, self._quoted.answer(quoted)

    def _line(self, question: Question) -> Draft | None:
        """The one honest line for what no library answers."""
        form = {"advice": _ADVICE, "greeting": _GREETING, "tool": _HELP}.get(question.wants)
        if form is None:
            return None
        kinds = dict.fromkeys(document.kind.value for document in self._library.documents())
        held = ", ".join(_NAMES.get(kind, kind) for kind in kinds) or "nothing yet"
        text = form.format(held=held)
        tokens = count_tokens(question.read_as)
        return Draft(
            text=text,
            sentences=(),
            citations=(),
            packing=PackingReport(question.budget, tokens, 0, 0, ()),
            answered_by=ITSELF,
            refused=question.wants == "advice",
        )
