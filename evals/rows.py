"""What may stand in a row of a dataset, and what is wrong with one."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Any

UNANSWERABLE = "unanswerable"
"""The kind of a question that the library cannot answer: nothing is relevant."""

MOST_RELEVANT, MOST_SPANS, MOST_FACTS = 8, 4, 3

SHORTEST_QUOTE, LONGEST_QUOTE = 40, 300

_KEYS = {"id", "question", "kind", "relevant", "spans", "answer", "must_contain"}

_JUDGED = _KEYS - {"id", "question", "kind"}

EXPECTED = ("answer", "refuse", "decline", "help")
"""What may be expected of an answer: that it is one, a refusal, that advice is declined, or help."""

_TEXTS = ("must_contain", "first_must_contain", "must_not_contain", "accept_contain")

_EXPECTING = {"expect", "note", *_TEXTS}

_SPAN_KEYS = {"path", "quote", "page", "log_index"}

Row = dict[str, Any]


def plain(text: str) -> str:
    """The form in which required strings are compared: lower case, no digit grouping.

    >>> plain("Up to 16_777,216 Gas")
    'up to 16777216 gas'
    """
    return re.sub(r"(?<=\d)[,_](?=\d{3})", "", text).lower()


def row_faults(row: Row) -> Iterator[str]:
    """What is wrong with the form of a row, apart from what other rows hold."""
    known = _KEYS | _EXPECTING | {"turns", "type"}
    unknown = set(row) - known
    if unknown:
        yield f"unknown key {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}"
    yield from _question_faults(row)
    given = _JUDGED & set(row)
    if "expect" in row:
        yield from _expectation_faults(row)
    elif stray := (_EXPECTING - _JUDGED) & set(row):
        yield f"{', '.join(sorted(stray))} need `expect`: {', '.join(EXPECTED)}"
    elif given and (given != _JUDGED or not kind_of(row)):
        missing = (_JUDGED | {"kind"}) - given - ({"kind"} if kind_of(row) else set())
        needed = ", ".join(sorted(_JUDGED | {"kind"}))
        yield f"a judged row needs {needed}; missing {', '.join(sorted(missing))}"
    elif given:
        yield from _judgement_faults(row)


def _question_faults(row: Row) -> Iterator[str]:
    turns = row.get("turns")
    if turns is not None and (
        not isinstance(turns, list)
        or not turns
        or not all(map(_is_text, turns))
        or row.get("question", turns[-1]) != turns[-1]
    ):
        yield "`turns` must be a list of questions that are not empty, the last of them `question`, if given"
    for key in ("id", "question"):
        if not _is_text(row.get(key)) and (key == "id" or turns is None):
            yield f"`{key}` must be a text that is not empty"
    for key in ("kind", "type"):
        if key in row and not _is_text(row[key]):
            yield f"`{key}` must be a text that is not empty"
    if {"kind", "type"} <= set(row):
        yield "`kind` and `type` were both given; give one of them"


def _expectation_faults(row: Row) -> Iterator[str]:
    """What is wrong with a row that expects something of the answer."""
    if row["expect"] not in EXPECTED:
        yield f"`expect` is {row['expect']!r:.40}; allowed are {', '.join(EXPECTED)}"
    for key in _TEXTS:
        texts = row.get(key, [])
        if not isinstance(texts, list) or not all(map(_is_text, texts)):
            yield f"`{key}` must be a list of texts that are not empty"
    relevant, spans = row.get("relevant", {}), row.get("spans", [])
    if not isinstance(relevant, dict) or not isinstance(spans, list):
        yield "`relevant` must be an object, and `spans` a list"
        return
    yield from _path_faults(relevant)
    for span in spans:
        yield from _span_faults(span, {path for path, grade in relevant.items() if grade == 2})


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def kind_of(row: Row) -> str | None:
    """The kind of a row, by either of its names; None where it has none."""
    return row.get("kind", row.get("type"))


def _judgement_faults(row: Row) -> Iterator[str]:
    relevant, spans, facts, answer = (row[key] for key in ("relevant", "spans", "must_contain", "answer"))
    if not isinstance(answer, str) or not answer.strip():
        yield "`answer` must be a text that is not empty"
    if not (isinstance(relevant, dict) and isinstance(spans, list) and isinstance(facts, list)):
        yield "`relevant` must be an object, `spans` and `must_contain` lists"
        return
    if kind_of(row) == UNANSWERABLE:
        if relevant or spans or facts:
            yield "an unanswerable question has nothing in relevant, spans or must_contain"
        return
    yield from _fact_faults(facts, str(answer))
    yield from _grade_faults(relevant, str(kind_of(row)))
    if not 1 <= len(spans) <= MOST_SPANS:
        yield f"{len(spans)} spans; allowed are 1 to {MOST_SPANS}"
    best = {path for path, grade in relevant.items() if grade == 2}
    for span in spans:
        yield from _span_faults(span, best)


def _fact_faults(facts: list[Any], answer: str) -> Iterator[str]:
    if len(facts) > MOST_FACTS or not all(isinstance(fact, str) and fact for fact in facts):
        yield f"`must_contain` must be 0 to {MOST_FACTS} texts that are not empty"
        return
    for fact in facts:
        if plain(fact) not in plain(answer):
            yield f"must_contain {fact!r} is not in the answer"


def _grade_faults(relevant: dict[str, Any], kind: str) -> Iterator[str]:
    if not 1 <= len(relevant) <= MOST_RELEVANT:
        yield f"{len(relevant)} relevant documents; allowed are 1 to {MOST_RELEVANT}"
    yield from _path_faults(relevant)
    best = sum(grade == 2 for grade in relevant.values())
    if not best:
        yield "no document has grade 2"
    elif kind == "multihop" and best < 2:
        yield "a multihop question needs two documents of grade 2"


def _path_faults(relevant: dict[str, Any]) -> Iterator[str]:
    for path, grade in relevant.items():
        if type(grade) is not int or grade not in (1, 2):
            yield f"the grade of {path} is {grade!r}; allowed are 1 and 2"
        if not _is_path(path):
            yield f"{path!r} is no plain relative path"


def _span_faults(span: Any, best: set[str]) -> Iterator[str]:
    if not isinstance(span, dict) or not {"path", "quote"} <= set(span) <= _SPAN_KEYS:
        yield f"a span needs path and quote, and may have page and log_index; it is {span!r:.80}"
        return
    path, quote, page = span["path"], span["quote"], span.get("page")
    if not isinstance(quote, str) or not SHORTEST_QUOTE <= len(quote) <= LONGEST_QUOTE:
        yield f"a quote must be a text of {SHORTEST_QUOTE} to {LONGEST_QUOTE} characters; it is {quote!r:.60}"
    if path not in best:
        yield f"a span is from {path!r}, which has not grade 2"
    if str(path).endswith(".pdf"):
        if type(page) is not int or page < 1:
            yield f"a span of {path} needs a page from 1 on; it has {page!r}"
    elif "page" in span:
        yield f"a span of {path}, which is no PDF, has a page"
    if "log_index" in span and not str(path).endswith(".jsonl"):
        yield f"a span of {path}, which is no .jsonl, has a log_index"


def _is_path(path: str) -> bool:
    return ".." not in path.split("/") and path == posixpath.normpath(path) and not path.startswith("/")
