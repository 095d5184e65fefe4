"""What may be quoted: the units of the evidence that can stand as an answer, with what is known of each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from agent.answerers.question_terms import QuestionTerms
from agent.answers.cite import passage_at
from agent.answers.packing import Section
from agent.text.corpus import Corpus
from agent.text.sentences import Sentence, Unit, split
from index.reader import InContext
from index.values import Document, Kind, Passage

MOST_SENTENCES, MORE_SENTENCES = 3, 6
"""Sentences of an answer, and of one that is asked for a list."""


_LONG, _RUN = 700, 400
"""Characters of the longest unit quoted, and of the longest run of short units quoted as one."""


_LEAD = 200
"""Characters of its lead that are embedded with a sentence."""


_LICENCE = "SPDX-License-Identifier"
"""What a file of code begins with, which answers nothing."""


_NEAR = 160
"""Characters around a sentence that the reader reads with it."""


_TITLE = re.compile(r"[^.!?:;`]{0,90}$")


_ADDRESS = re.compile(
    r"\W*(?:<?(?:https?|ftp|git)://\S++\W*+)++$"
    r"|\W{0,20}\[[^\]]*\]\([^)]*\)\W*$|\W{0,20}\[\[[^\]]*\]\]\W*$"
)


_CONTENTS = re.compile(r"(?:\.\s?){3}\.\s*(?:\d+\s*)?$")


_ASIDE = re.compile(
    r"(?:copyright|acknowledge?ments?|references?|citations?|licen[cs]e|table of contents"
    r"|change ?log|authors?)",
    re.IGNORECASE,
)
"""Headings of sections that answer nothing but what they are named by."""


OPENING = re.compile(
    r"\b(?:abstract|simple summary|summary|introduction|overview|motivation|purpose|definition"
    r"|specification)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Quote:
    """A verbatim span `section.text[start:end]` that helps to answer.

    lead: the line above its list or table.
    """

    section: Section
    start: int
    end: int
    unit: Unit
    lead: str = ""

    @property
    def text(self) -> str:
        """The quoted words, exactly."""
        return self.section.text[self.start : self.end]


@dataclass(frozen=True)
class Candidate:
    """A sentence that may be quoted.

    stems: of the sentence, in order; around, before: those of its heading and lead, and of the sentence
    before it; named: whether the question names its document, its file or what it declares; opens: whether it
    opens the abstract of what is to be defined.
    """

    section: Section
    passage: Passage
    sentence: Sentence
    stems: tuple[str, ...]
    around: frozenset[str]
    before: frozenset[str] = frozenset()
    named: bool = False
    opens: bool = False

    @cached_property
    def words(self) -> frozenset[str]:
        """The stems of the sentence."""
        return frozenset(self.stems)

    @property
    def quote(self) -> Quote:
        """The sentence as it is quoted."""
        sentence = self.sentence
        return Quote(self.section, sentence.start, sentence.end, sentence.unit, sentence.lead)

    @property
    def text(self) -> str:
        """The sentence, exactly."""
        return self.section.text[self.sentence.start : self.sentence.end]

    @property
    def in_context(self) -> str:
        """What is embedded: the heading and the lead, then the text."""
        above = [*self.passage.heading[-1:], self.sentence.lead[-_LEAD:], self.text]
        return "\n".join(line for line in above if line)

    @property
    def as_read(self) -> InContext:
        """What the reader reads: whose text it is, under which heading, and what stands around it."""
        text, sentence = self.section.text, self.sentence
        before = sentence.lead or text[max(0, sentence.start - _NEAR) : sentence.start]
        return InContext(
            about(self.section.document, self.passage),
            before,
            self.text,
            text[sentence.end : sentence.end + _NEAR],
        )


def about(document: Document, passage: Passage) -> str:
    """Whose text a passage is, in a line: designation, status, title and heading."""
    path = " › ".join([name for name in passage.heading if name != document.title][-2:])
    status = f"({document.status})" if document.status else ""
    name = " ".join(part for part in (document.number or "", status, document.title) if part)
    return f"{name} § {path}" if path else name


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of the selection.

    question: as the reader reads it; subject: the words that sentences are found by;
    defines, compares: whether a thing is to be defined, or several told apart; named: uris of the documents
    that the question names; most: sentences at most.
    """

    question: str
    subject: str
    defines: bool = False
    compares: bool = False
    named: frozenset[str] = frozenset()
    most: int = MOST_SENTENCES


def candidates(
    sections: Sequence[Section], asked: QuestionTerms, corpus: Corpus, wish: Wish
) -> list[Candidate]:
    """All units of the sections that can be quoted, in order."""
    found = []
    for section in sections:
        uri = section.document.uri
        named = uri in wish.named or asked.of(section, corpus)
        defined = wish.defines and uri in wish.named
        text = section.text
        at, before = 0, frozenset[str]()
        heading: tuple[str, ...] = ()
        for sentence in _runs(text, split(text)):
            passage, _ = passage_at(section, sentence.start)
            at = at + 1 if passage.heading == heading else 0
            heading = passage.heading
            body = text[sentence.start : sentence.end]
            if not _quotable(body, sentence) or _aside(section, passage):
                continue
            around = frozenset(corpus.stems(f"{passage.context}\n{sentence.lead}"))
            says = defined and at < 3 and sentence.unit not in ("code", "row")
            opens = says and bool(heading and OPENING.search(heading[-1]))
            stems = tuple(corpus.stems(body))
            found.append(Candidate(section, passage, sentence, stems, around, before, named, opens))
            before = frozenset(stems)
    return found


def _aside(section: Section, passage: Passage) -> bool:
    """Whether a passage stands under a heading such as `Copyright`."""
    return section.document.kind is not Kind.CODE and bool(
        passage.heading and _ASIDE.fullmatch(passage.heading[-1].strip())
    )


def _quotable(body: str, sentence: Sentence) -> bool:
    """Whether a unit can stand as an answer: no front matter, title, address or table of contents."""
    if len(body) > _LONG or sentence.unit == "field" or _LICENCE in body:
        return False
    if _ADDRESS.match(body) or _CONTENTS.search(body):
        return False
    bare = sentence.unit == "prose" and bool(_TITLE.match(body)) and not re.search(r"\d|`", body)
    return not (bare and len(body.split()) < 9)


def _runs(text: str, sentences: Sequence[Sentence]) -> Iterator[Sentence]:
    """Joins short neighbours that are read together: items, lines of code, a table's rows and its head."""
    held: Sentence | None = None
    for sentence in sentences:
        if held is not None and held.unit == sentence.unit and _joins(text, held, sentence):
            held = Sentence(held.start, sentence.end, held.unit, held.lead)
            continue
        if held is not None:
            yield held
        held = sentence
    if held is not None:
        yield held


def _joins(text: str, held: Sentence, after: Sentence) -> bool:
    together = held.lead == after.lead or after.lead == text[held.start : held.start + len(after.lead)]
    apart = re.search(r"\n\s*(?:\n\s*\n|=|#|\|-|<)", text[held.end : after.start])
    runs = held.unit in ("item", "row", "code") and after.end - held.start <= _RUN
    return runs and together and apart is None
