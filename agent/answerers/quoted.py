"""Answers in quotations: search, pack, choose, and each sentence with whose it is and where it stands."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from agent.answerers.candidates import MORE_SENTENCES, MOST_SENTENCES, OPENING, Quote, Wish
from agent.answerers.selection import Extraction, Scorer, select
from agent.answers.cite import cite
from agent.answers.question import Question
from agent.answers.values import EXTRACTIVE, NOT_IN_LIBRARY, Citation, Draft, Sentence, Usage
from agent.grounding.evidence_selection import IdfWeights
from agent.grounding.source_conflicts import contradicting, disagreements
from agent.memory.followup import has_substance
from agent.requests.budget import Budget
from agent.requests.pack import Packing, pack
from agent.text.corpus import Corpus
from agent.text.normalize import is_foreign
from agent.text.render import readable, rendered
from index.catalogue import STANDING
from index.errors import BudgetError
from index.terms import STOPWORDS, query_terms, terms
from index.values import Document, Filters, Hit, Passage, SourceRef

CANDIDATES = 30
"""Passages that a question may be answered from, before the budget."""

NEAREST = 3
"""Sources named when the answer is refused."""

_OF_ONE = 8
"""Passages of a document that the question names, besides those that the search brings."""

_OPENING_PASSAGES = 3
"""Passages of an abstract or introduction that are read for a definition."""

_LEAD = 160
"""Characters of the longest lead that is shown with its item."""

_ABOUT = 0.6
"""Share of a question's terms that a title must hold to be what is asked for."""

_LONG_WORD = 5
"""Letters of the shortest word whose spelling is looked into."""


class Library(Corpus, Protocol):
    """What quoting needs of a library."""

    def search(self, question: str, k: int = 10, filters: Filters = ...) -> list[Hit]:
        """The k best passages, best first."""
        ...

    def documents(self) -> list[Document]:
        """All documents."""
        ...

    def passages(self, uri: str) -> list[Passage]:
        """All passages of a document in order."""
        ...

    def named(self, designations: Sequence[str]) -> list[Document]:
        """The documents that have these designations."""
        ...

    def respelled(self, stem: str) -> str | None:
        """The commonest stem that is spelled nearly as this one; None without."""
        ...


class Quoted:
    """Answers from the passages of a library, without a chat model."""

    def __init__(self, library: Library, reader: Scorer) -> None:
        self._library, self._reader = library, reader

    def answer(self, question: Question) -> Draft:
        """What the library says in answer, or an honest refusal.

        Raises BudgetError where nothing fits, and what the library raises.
        """
        asked = question.read_as
        plan = Budget.plan(asked, question.budget)
        named = self._library.named(_designations(question))
        subject, notes = self._subject(question)
        hits = self._hits(question, subject, named)
        if question.entities.documents and not named and question.wants == "definition":
            names = " or ".join(question.entities.documents)
            return _refused(plan, pack(hits, plan), hits, f"{NOT_IN_LIBRARY[:-1]}: it holds no {names}.")
        if question.wants == "definition":
            named = list(named) or self._defining(subject, hits)
            hits = self._openings(named, self._with(named, hits, subject, question.filters))
        packing = pack(hits, plan)
        wish = Wish(
            question=f"{question.before} {asked}".strip(),
            subject=subject,
            defines=question.wants == "definition",
            compares=question.wants == "comparison",
            named=frozenset(document.uri for document in named),
            most=MORE_SENTENCES if question.wants == "list" else MOST_SENTENCES,
        )
        found = select(
            wish,
            packing.sections,
            self._library,
            self._reader,
            lambda quotes: plan.count(lines(*_cited(quotes))) <= plan.reserve,
        )
        _check_room(packing, plan, found)
        if not found.support.enough and not (found.quotes and _is_told(question, named)):
            return _refused(plan, packing, hits, NOT_IN_LIBRARY)
        draft = _draft(plan, packing, found.quotes, notes)
        if wish.compares or len(wish.named) > 1:
            return draft
        return _disputed(draft, found, plan, IdfWeights(self._library))

    def _subject(self, question: Question) -> tuple[str, tuple[str, ...]]:
        """What passages are found by: the question, its words as the library spells them.

        Of a question in another language only the words that the library knows, and of a follow-up also those
        of the question before it.
        """
        text = " ".join(said for said in (substance(question), question.before) if said)
        words = list(dict.fromkeys(re.findall(r"[^\W\d_]{4,}", text)))
        stems = [self._library.stems(word) for word in words]
        counts = self._library.frequencies([stem for some in stems for stem in some[:1]])
        unknown = {
            word: some[0]
            for word, some, count in zip(words, stems, counts, strict=True)
            if not count and word.lower() not in STOPWORDS
        }
        if is_foreign(question.read_as):
            known = [word for word in query_terms(text) if word not in map(str.lower, unknown)]
            return " ".join(known) or text, ()
        respelled = {
            word: near
            for word, stem in unknown.items()
            if len(word) >= _LONG_WORD and word.islower() and (near := self._library.respelled(stem))
        }
        for word, near in respelled.items():
            text = re.sub(rf"\b{word}\b", near, text)
        note = ", ".join(f"{near} for {word}" for word, near in respelled.items())
        return text, ((f"spelling read as {note}",) if note else ())

    def _hits(self, question: Question, subject: str, named: Sequence[Document]) -> list[Hit]:
        hits = self._library.search(subject, CANDIDATES, question.filters)
        if question.before:
            first = self._library.search(question.before, 1, question.filters)
            named = [*named, *(hit.document for hit in first)]
        return self._with(named, hits, subject, question.filters)

    def _with(
        self, documents: Iterable[Document], hits: Sequence[Hit], subject: str, filters: Filters
    ) -> list[Hit]:
        """The best passages of some documents, then the hits that are not among them."""
        first: dict[str, Hit] = {}
        for document in documents:
            within = replace(filters, sources=(document.uri,)) if not filters.sources else filters
            for hit in self._library.search(f"{subject} abstract", _OF_ONE, within):
                if hit.document.uri == document.uri:
                    first.setdefault(hit.passage.id, hit)
        return [*first.values(), *(hit for hit in hits if hit.passage.id not in first)]

    def _openings(self, documents: Iterable[Document], hits: Sequence[Hit]) -> list[Hit]:
        """The passages in which some documents say what they are, then the hits that are not among them."""
        first: dict[str, Hit] = {}
        for document in documents:
            passages = self._library.passages(document.uri)
            opening = [one for one in passages if one.heading and OPENING.search(one.heading[-1])]
            for passage in (opening or passages[1:])[:_OPENING_PASSAGES]:
                first[passage.id] = Hit(document, passage, max((hit.score for hit in hits), default=1.0))
        return [*first.values(), *(hit for hit in hits if hit.passage.id not in first)]

    def _defining(self, subject: str, hits: Sequence[Hit]) -> list[Document]:
        """The document whose title is the thing that is to be defined; of several, what others build on."""
        words = query_terms(subject)
        wanted = {word: set(self._library.stems(word)) for word in words}
        places = {hit.document.uri: at for at, hit in reversed(list(enumerate(hits)))}
        documents = {hit.document.uri: hit.document for hit in hits}
        every = self._library.documents()
        documents |= {one.uri: one for one in every if _may_be(one.title, words)}
        shares = {uri: self._share(wanted, document.title) for uri, document in documents.items()}

        required = Counter(term for one in every for name in one.requires for term in terms(name)[:1])

        def rank(uri: str) -> tuple[float, int]:
            document = documents[uri]
            cover = self._cover(words, document.title)
            built_on = math.log1p(max((required[term] for term in terms(document.number or "")), default=0))
            known = 0.5 * cover + 0.15 * built_on + 0.2 * _settled(document)
            return shares[uri] + known, -places.get(uri, len(hits))

        best = max(shares, key=rank, default="")
        return [documents[best]] if best and shares[best] >= _ABOUT else []

    def _share(self, wanted: Mapping[str, set[str]], title: str) -> float:
        """The share of words that a title holds, or spells out where they are acronyms."""
        stems = set(self._library.stems(title))
        initials = _initials(title)
        held = [not stems.isdisjoint(some) or (len(w) > 2 and w in initials) for w, some in wanted.items()]
        return sum(held) / len(held) if held else 0.0

    def _cover(self, words: Sequence[str], title: str) -> float:
        """The share of a title's words that these words are, or stand for as an acronym."""
        stems = {stem for word in words for stem in self._library.stems(word)}
        parts = re.findall(r"[^\W_]+", title)
        held = sum(not stems.isdisjoint(self._library.stems(part)) for part in parts)
        initials = _initials(title)
        spelled = max((len(word) for word in words if len(word) > 2 and word in initials), default=0)
        return max(held, spelled) / max(len(parts), 1)


def _is_told(question: Question, named: Sequence[Document]) -> bool:
    """Whether the documents that a question names tell what it wants by being what they are."""
    return len(named) >= {"definition": 1, "comparison": 2}.get(question.wants, len(named) + 1)


def _designations(question: Question) -> tuple[str, ...]:
    """The documents that a question names, and those of the one before where it leans on or compares them."""
    own, context = question.entities.documents, question.context.documents
    return (*own, *context) if question.wants == "comparison" or not own else own


def _may_be(title: str, words: Sequence[str]) -> bool:
    """Whether a title begins with the words, or with what they stand for as an acronym."""
    first = words[0] if words else ""
    return len(first) > 2 and (title.lower().startswith(first) or _initials(title).startswith(first))


def substance(question: Question) -> str:
    """What a question is about; nothing where it only asks for more of what was said before."""
    return question.subject if not question.before or has_substance(question.text) else ""


def _initials(title: str) -> str:
    return "".join(word[0] for word in re.findall(r"[^\W_]+", title)).lower()


def _settled(document: Document) -> float:
    return STANDING.get((document.status or "").lower(), 0.0)


def _check_room(packing: Packing, plan: Budget, found: Extraction) -> None:
    """Raises BudgetError where there is evidence, and nothing of it fits."""
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


def _disputed(draft: Draft, found: Extraction, plan: Budget, weights: IdfWeights) -> Draft:
    """The draft with the best of the other sentences that gives another value for what it says, told as such.

    Where documents are to be told apart, that they differ is what was asked, and no news.
    """
    said, others = (list(zip(*_cited(some), strict=True)) for some in (found.quotes, found.others))
    against = contradicting(said, others, weights)
    more = found.quotes if against is None else (*found.quotes, found.others[against])
    fits = plan.count(lines(*_cited(more))) <= plan.reserve
    sentences, citations = _cited(more if fits else found.quotes)
    text = lines(sentences, citations)
    return replace(
        draft,
        text=text,
        sentences=sentences,
        citations=citations,
        disagreements=disagreements(sentences, citations, weights),
        usage=replace(draft.usage, tokens_out=plan.count(text)),
    )


def _draft(plan: Budget, packing: Packing, quotes: Sequence[Quote], notes: tuple[str, ...]) -> Draft:
    sentences, citations = _cited(quotes)
    text = lines(sentences, citations)
    return Draft(
        text=text,
        sentences=sentences,
        citations=citations,
        packing=packing.report,
        answered_by=EXTRACTIVE,
        notes=notes,
        usage=Usage(plan.question + packing.report.evidence, plan.count(text), 0.0),
    )


def _refused(plan: Budget, packing: Packing, hits: Sequence[Hit], text: str) -> Draft:
    return Draft(
        text=text,
        sentences=(),
        citations=(),
        packing=packing.report,
        answered_by=EXTRACTIVE,
        refused=True,
        nearest=nearest(hits),
        usage=Usage(plan.question + packing.report.evidence, plan.count(text), 0.0),
    )


def _cited(quotes: Sequence[Quote]) -> tuple[tuple[Sentence, ...], tuple[Citation, ...]]:
    """Each quotation as a sentence with the citation that it is from."""
    citations = tuple(cite(number, q.section, q.start, q.end) for number, q in enumerate(quotes, 1))
    sentences = tuple(
        Sentence(_shown(quote), (number,), verified_by="verbatim") for number, quote in enumerate(quotes, 1)
    )
    return sentences, citations


def lines(sentences: Sequence[Sentence], citations: Sequence[Citation]) -> str:
    """Quotations as they are shown: each with its number, and whose it is where that is new."""
    told, named = [], set()
    for sentence, citation in zip(sentences, citations, strict=True):
        source = citation.source
        name = f" ({label(source)})" if source.designation and source.uri not in named else ""
        named.add(source.uri)
        told.append(f"{sentence.text}{name} [{citation.number}]")
    return "\n".join(told)


def label(source: SourceRef) -> str:
    """Whose words they are: designation, status and date, as far as they are known."""
    date = f"{source.published_at}" if source.published_at else ""
    return ", ".join(part for part in (source.designation or source.title, source.status or "", date) if part)


def _shown(quote: Quote) -> str:
    """A quotation as a person reads it: rendered, a row below its header, an item behind its short lead."""
    text = readable(rendered(quote.text) if quote.unit != "code" else quote.text, quote.unit)
    lead = readable(rendered(quote.lead), "prose")
    if quote.unit == "row" and lead and lead not in text:
        return f"{lead}\n{text}"
    if quote.unit == "item" and lead.endswith((":", "：")) and len(lead) <= _LEAD and lead not in text:
        return f"{lead} {text}"
    return text


def nearest(hits: Sequence[Hit]) -> tuple[SourceRef, ...]:
    """The best sources of some hits, each once."""
    best: dict[str, SourceRef] = {}
    for hit in hits:
        best.setdefault(hit.document.uri, SourceRef.of(hit.document, hit.passage))
    return tuple(best.values())[:NEAREST]
