"""Asks a library: search, pack, pick, and the answer with all that it took."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

from agent.answerers.chain import answered, completed
from agent.answerers.extract import Quote, extract
from agent.answers.cite import cite
from agent.answers.values import EXTRACTIVE, NOT_IN_LIBRARY, Answer, Sentence, Usage, identify
from agent.requests.budget import Budget, count_tokens
from agent.requests.pack import Packing, pack
from agent.text.corpus import Corpus
from agent.text.render import readable
from index.errors import BudgetError, SettingsError
from index.values import Filters, Hit, Kind, SourceRef

CANDIDATES = 30
"""Passages that a question may be answered from, before the budget."""

ENOUGH = 2000
"""Tokens, the question's share aside, after which more evidence makes the choice of quotations worse."""

NEAREST = 3
"""Sources named when the answer is refused."""


class Library(Corpus, Protocol):
    """What answering needs of a library."""

    @property
    def generation(self) -> int:
        """The number of the generation that it serves."""
        ...

    def search(self, question: str, k: int = 10, filters: Filters = ...) -> list[Hit]:
        """The k best passages, best first."""
        ...


def check(question: str) -> None:
    """Raises SettingsError for an empty question."""
    if not question.strip():
        raise SettingsError(
            'the question is empty; ask in words, as in: chaincite ask "What is the base fee?"'
        )


def ask(library: Library, question: str, budget: int, filters: Filters | None = None) -> Answer:
    """The answer to a question without a chat model, within `budget` tokens, or an honest refusal.

    It is computed where the question asks for rows of a chain's tables, else quoted from the library.
    Raises SettingsError for an empty question, BudgetError for one that does not fit, and what the library
    raises.
    """
    check(question)
    filters = filters or Filters()
    computed = answered(library, question, budget, filters)
    if computed is None:
        return _quoted(library, question, budget, filters)
    others = tuple(kind for kind in filters.kinds or Kind if kind is not Kind.EVENT)
    elsewhere = replace(filters, kinds=others)
    return completed(computed, lambda clause, parts: _quoted(library, clause, budget // parts, elsewhere))


def _quoted(library: Library, question: str, budget: int, filters: Filters) -> Answer:
    asked_at, started = datetime.now(UTC), time.perf_counter()
    plan = Budget.plan(question, min(budget, ENOUGH + count_tokens(question) * 5 // 4))
    hits = library.search(question, CANDIDATES, filters)
    packing = pack(hits, plan)
    quotes = _quotes(library, question, packing, plan)
    citations = tuple(cite(number, q.section, q.start, q.end) for number, q in enumerate(quotes, 1))
    sentences = tuple(
        Sentence(readable(quote.text, quote.unit), (number,)) for number, quote in enumerate(quotes, 1)
    )
    text = _text(quotes) or NOT_IN_LIBRARY
    return Answer(
        id=identify(asked_at, question, text, citations),
        question=question,
        asked_at=asked_at,
        text=text,
        sentences=sentences,
        refused=not quotes,
        removed=(),
        citations=citations,
        nearest=() if quotes else nearest(hits),
        filters=filters,
        generation=library.generation,
        packing=replace(packing.report, budget=budget),
        usage=Usage(
            tokens_in=plan.question + packing.report.evidence,
            tokens_out=plan.count(text),
            seconds=round(time.perf_counter() - started, 3),
        ),
        answered_by=EXTRACTIVE,
    )


def _quotes(library: Library, question: str, packing: Packing, plan: Budget) -> tuple[Quote, ...]:
    """What the evidence says in answer; nothing where it does not answer.

    Raises BudgetError where there is evidence, and nothing of it fits.
    """
    found = extract(
        question,
        packing.sections,
        library,
        library.size,
        lambda quotes: plan.count(_text(quotes)) <= plan.reserve,
    )
    if packing.report.items and not packing.sections:
        least = min(item.tokens for item in packing.report.items)
        raise BudgetError(
            f"no passage fits: a budget of {plan.total} leaves {plan.room} tokens for evidence, the shortest "
            f"passage takes {least}; raise --budget to {(plan.question + least) * 5 // 4 + 2} or more"
        )
    if found.support.enough and not found.quotes:
        raise BudgetError(
            f"no sentence fits into the {plan.reserve} tokens that a budget of {plan.total} promises the "
            f"answer; raise --budget, as to {plan.total * 2}"
        )
    return found.quotes if found.support.enough else ()


def _text(quotes: Sequence[Quote]) -> str:
    """The final text: each quotation with its number, and the name of a document new to the text."""
    lines, named = [], set()
    for number, quote in enumerate(quotes, 1):
        document = quote.section.document
        name = f" ({document.number})" if document.number and document.uri not in named else ""
        named.add(document.uri)
        lines.append(f"{readable(quote.text, quote.unit)}{name} [{number}]")
    return "\n".join(lines)


def nearest(hits: Sequence[Hit]) -> tuple[SourceRef, ...]:
    """The best sources of some hits, each once."""
    best: dict[str, SourceRef] = {}
    for hit in hits:
        best.setdefault(hit.document.uri, SourceRef.of(hit.document, hit.passage))
    return tuple(best.values())[:NEAREST]
