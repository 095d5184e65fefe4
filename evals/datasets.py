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
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.rows import UNANSWERABLE, Row, kind_of, row_faults
from index.errors import SourceError

FAULTS_SHOWN = 10


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


def _with_question(row: Row) -> Row:
    """The row with the last of its turns as its question, where it names none."""
    turns = row.get("turns")
    return {"question": turns[-1], **row} if isinstance(turns, list) and turns else row


def _question(row: Row) -> Question:
    spans = tuple(Span(span["path"], span["quote"]) for span in row.get("spans", ()))
    return Question(
        id=row["id"],
        question=row["question"],
        kind=kind_of(row) or "question",
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
