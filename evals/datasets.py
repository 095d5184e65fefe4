"""Judged questions: JSON lines of our own, and the folders of BEIR.

A line is an object with `id` and `question`, and, where it is judged, `kind`, `relevant` (path to grade, 1
or 2), `spans` (verbatim evidence: path, quote, and page or log_index), `answer` and `must_contain`. Where
something is expected of the answer, `expect` says what (see `evals.expectations`), and all but the question
is optional; `turns`, the questions of a conversation of which the last is answered, may stand in place of
`question`, `type` in place of `kind`. A BEIR folder holds corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from index.errors import SourceError

UNANSWERABLE = "unanswerable"
"""The kind of a question that the library cannot answer: nothing is relevant."""

MOST_RELEVANT, MOST_SPANS, MOST_FACTS = 8, 4, 3
SHORTEST_QUOTE, LONGEST_QUOTE = 40, 300
FAULTS_SHOWN = 10

_KEYS = {"id", "question", "kind", "relevant", "spans", "answer", "must_contain"}
_JUDGED = _KEYS - {"id", "question", "kind"}
EXPECTED = ("answer", "refuse", "decline", "help")
"""What may be expected of an answer: that it is one, a refusal, that advice is declined, or help."""
_TEXTS = ("must_contain", "first_must_contain", "must_not_contain", "accept_contain")
_EXPECTING = {"expect", "note", *_TEXTS}
_SPAN_KEYS = {"path", "quote", "page", "log_index"}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of evidence: a verbatim quotation from the document at `path`."""

    path: str
    quote: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question and what is known of its answer.

    relevant: grade of each judged document by path, None where nothing was judged.
    must_contain: strings that a right answer holds.
    before: the questions that precede it in its conversation.
    expect: one of `EXPECTED`, None where nothing is; first_must_contain, must_not_contain, accept_contain:
    what its first sentence holds, what it does not hold, and what makes an answer as good as a refusal.
    """

    id: str
    question: str
    kind: str = "question"
    relevant: Mapping[str, int] | None = None
    spans: tuple[Span, ...] = ()
    answer: str = ""
    must_contain: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    expect: str | None = None
    first_must_contain: tuple[str, ...] = ()
    must_not_contain: tuple[str, ...] = ()
    accept_contain: tuple[str, ...] = ()

    @property
    def answerable(self) -> bool:
        """Whether a document is known that answers it."""
        return bool(self.relevant) and any(grade > 0 for grade in (self.relevant or {}).values())

    @property
    def answered_when_right(self) -> bool | None:
        """Whether a right answer is one, or a refusal; None where neither is known."""
        if self.expect is not None:
            return {"answer": True, "help": None}.get(self.expect, False)
        return True if self.answerable else False if self.kind == UNANSWERABLE else None


@dataclass(frozen=True, slots=True)
class Dataset:
    """Questions in order, each id once. sha256: of the files; folder: of a BEIR corpus."""

    name: str
    sha256: str
    questions: tuple[Question, ...]
    folder: Path | None = None


def load(path: Path, split: str | None = None) -> Dataset:
    """The dataset in a file of JSON lines or in a BEIR folder.

    split: which of a BEIR folder's qrels; `test` where it is not given.
    Raises SourceError that names each fault by the number of its line.
    """
    if path.is_dir():
        return _beir(path, split)
    if split is not None:
        raise SourceError(f"--split {split} was given, but {path} is no BEIR folder; leave it out")
    body = _bytes(path)
    faults: list[str] = []
    rows = [(number, _with_question(row)) for number, row in _rows(path, body, faults)]
    for number, row in rows:
        faults += [f"line {number} ({row.get('id', '?')}): {fault}" for fault in row_faults(row)]
    faults += _repeated([(n, row) for n, row in rows if "turns" not in row], "question")
    faults += _repeated(rows, "id")
    _refuse(path, faults)
    if not rows:
        raise SourceError(f"{path} holds no question; write one JSON object a line")
    return Dataset(path.stem, hashlib.sha256(body).hexdigest(), tuple(_question(row) for _, row in rows))


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
    elif given and (given != _JUDGED or not _kind(row)):
        missing = (_JUDGED | {"kind"}) - given - ({"kind"} if _kind(row) else set())
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


def _kind(row: Row) -> str | None:
    return row.get("kind", row.get("type"))


def _with_question(row: Row) -> Row:
    """The row with the last of its turns as its question, where it names none."""
    turns = row.get("turns")
    return {"question": turns[-1], **row} if isinstance(turns, list) and turns else row


def _judgement_faults(row: Row) -> Iterator[str]:
    relevant, spans, facts, answer = (row[key] for key in ("relevant", "spans", "must_contain", "answer"))
    if not isinstance(answer, str) or not answer.strip():
        yield "`answer` must be a text that is not empty"
    if not (isinstance(relevant, dict) and isinstance(spans, list) and isinstance(facts, list)):
        yield "`relevant` must be an object, `spans` and `must_contain` lists"
        return
    if _kind(row) == UNANSWERABLE:
        if relevant or spans or facts:
            yield "an unanswerable question has nothing in relevant, spans or must_contain"
        return
    yield from _fact_faults(facts, str(answer))
    yield from _grade_faults(relevant, str(_kind(row)))
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


def _question(row: Row) -> Question:
    spans = tuple(Span(span["path"], span["quote"]) for span in row.get("spans", ()))
    return Question(
        id=row["id"],
        question=row["question"],
        kind=_kind(row) or "question",
        relevant=row.get("relevant"),
        spans=spans,
        answer=row.get("answer", ""),
        must_contain=tuple(row.get("must_contain", ())),
        before=tuple(row.get("turns", ())[:-1]),
        expect=row.get("expect"),
        first_must_contain=tuple(row.get("first_must_contain", ())),
        must_not_contain=tuple(row.get("must_not_contain", ())),
        accept_contain=tuple(row.get("accept_contain", ())),
    )


def _beir(folder: Path, split: str | None) -> Dataset:
    qrels = _qrels_file(folder, split)
    grades, digest = _qrels(qrels), hashlib.sha256()
    queries = folder / "queries.jsonl"
    faults: list[str] = []
    rows = list(_rows(queries, _bytes(queries), faults))
    wanted = {"_id": str, "text": str}
    faults += [f"line {number}: {fault}" for number, row in rows for fault in _typed(row, wanted)]
    faults += _repeated(rows, "_id")
    _refuse(queries, faults)
    unknown = sorted(set(grades) - {row["_id"] for _, row in rows})
    if unknown:
        raise SourceError(f"{qrels} judges {len(unknown)} queries that {queries} lacks, as {unknown[0]!r}")
    for file in (folder / "corpus.jsonl", queries, qrels):
        digest.update(hashlib.sha256(_bytes(file)).digest())
    questions = tuple(
        Question(id=row["_id"], question=row["text"], relevant=grades[row["_id"]])
        for _, row in rows
        if row["_id"] in grades
    )
    return Dataset(f"{folder.resolve().name}-{qrels.stem}", digest.hexdigest(), questions, folder.resolve())


def _qrels_file(folder: Path, split: str | None) -> Path:
    there = {file.stem: file for file in sorted((folder / "qrels").glob("*.tsv"))}
    if not there:
        raise SourceError(
            f"{folder} is no BEIR folder: it needs corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv"
        )
    name = split or ("test" if "test" in there else min(there))
    if name not in there:
        raise SourceError(f"{folder} has no split {name!r}; it has {', '.join(there)}")
    return there[name]


def _qrels(file: Path) -> dict[str, dict[str, int]]:
    grades: dict[str, dict[str, int]] = {}
    faults = []
    for number, line in enumerate(_text(file, _bytes(file)).splitlines(), 1):
        cells = line.split("\t")
        if number == 1 and cells[-1].strip() == "score":
            continue
        if len(cells) != 3 or not re.fullmatch(r"-?\d{1,9}", cells[2].strip()):
            faults.append(f"line {number}: needs query-id, corpus-id and a whole score between tabs")
        elif cells[1] in grades.setdefault(cells[0], {}):
            faults.append(f"line {number}: {cells[0]} and {cells[1]} are judged above already")
        else:
            grades[cells[0]][cells[1]] = max(int(cells[2]), 0)
    _refuse(file, faults)
    if not any(grade for of in grades.values() for grade in of.values()):
        raise SourceError(f"{file} judges no document relevant; without judgments nothing can be measured")
    return grades


def corpus(folder: Path) -> Iterator[tuple[str, str, str]]:
    """The id, title and text of each document of a BEIR folder. Raises SourceError for a broken line."""
    file = folder / "corpus.jsonl"
    faults: list[str] = []
    seen: set[str] = set()
    for number, row in _rows(file, _bytes(file), faults):
        faults += [f"line {number}: {fault}" for fault in _typed(row, {"_id": str, "text": str})]
        if str(row.get("_id")) in seen:
            faults.append(f"line {number}: the id {row['_id']!r} stands above already")
        _refuse(file, faults)
        seen.add(row["_id"])
        yield row["_id"], str(row.get("title") or ""), row["text"]
    _refuse(file, faults)


def _typed(row: Row, wanted: Mapping[str, type]) -> Iterator[str]:
    for key, kind in wanted.items():
        if not isinstance(row.get(key), kind):
            yield f"`{key}` must be a text"


def _rows(file: Path, body: bytes, faults: list[str]) -> Iterator[tuple[int, Row]]:
    """The objects in JSON lines, with the numbers of their lines; what is none goes to `faults`."""
    for number, line in enumerate(_text(file, body).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            faults.append(f"line {number}: not JSON: {error}")
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            faults.append(f"line {number}: not an object but {type(row).__name__}")


def _repeated(rows: list[tuple[int, Row]], *keys: str) -> Iterator[str]:
    forms: dict[str, Callable[[Any], str]] = {"question": lambda text: " ".join(str(text).split()).lower()}
    for key in keys:
        first: dict[str, int] = {}
        for number, row in rows:
            if key not in row:
                continue
            value = forms.get(key, str)(row[key])
            if first.setdefault(value, number) != number:
                what = f"the {key.strip('_')} {value[:60]!r}"
                yield f"line {number}: {what} stands on line {first[value]} already"


def _refuse(file: Path, faults: list[str]) -> None:
    if faults:
        more = f"; and {len(faults) - FAULTS_SHOWN} more" if len(faults) > FAULTS_SHOWN else ""
        raise SourceError(f"{file}: " + "; ".join(faults[:FAULTS_SHOWN]) + more)


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SourceError(f"{file} cannot be read ({error.strerror}); check the path") from None


def _text(file: Path, body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise SourceError(f"{file}: line {line}: not UTF-8; convert the file to UTF-8") from None
