"""Judgments that people add to a dataset: JSON lines beside it, `{"id", "path", "grade"}`, never over it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evals.datasets import Question
from evals.results import Ranked, Result
from index.errors import LibraryError, SourceError

GRADES = (0, 1, 2)
"""Not relevant, helpful, answers the question."""


@dataclass(frozen=True, slots=True)
class Judgment:
    """The grade that a person gave a document for a question. id: the question's."""

    id: str
    path: str
    grade: int


@dataclass(frozen=True, slots=True)
class Unjudged:
    """A document among the first of a ranked list that nobody has judged, at its best passage."""

    question: Question
    hit: Ranked
    rank: int


def read(file: Path) -> list[Judgment]:
    """The judgments in a file, none where there is no file. Raises SourceError that names a broken line."""
    if not file.exists():
        return []
    found: dict[tuple[str, str], Judgment] = {}
    for number, line in enumerate(_lines(file), 1):
        try:
            row = json.loads(line)
            judgment = Judgment(**row)
        except (ValueError, TypeError):
            raise SourceError(f"{file}: line {number}: needs an object of id, path and grade") from None
        if judgment.grade not in GRADES:
            raise SourceError(
                f"{file}: line {number}: the grade is {judgment.grade!r}; allowed are 0, 1 and 2"
            )
        if (judgment.id, judgment.path) in found:
            raise SourceError(f"{file}: line {number}: {judgment.id} and {judgment.path} are judged above")
        found[judgment.id, judgment.path] = judgment
    return list(found.values())


def write(file: Path, judgments: Sequence[Judgment]) -> None:
    """Writes the judgments so that the file is there whole. Raises LibraryError where that fails."""
    lines = [
        json.dumps({"id": j.id, "path": j.path, "grade": j.grade}, ensure_ascii=False) for j in judgments
    ]
    draft = file.with_name(f".{file.name}.draft")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        draft.replace(file)
    except OSError as error:
        raise LibraryError(
            f"the judgments cannot be written to {file} ({error.strerror}); choose another file with --out"
        ) from error


def merged(questions: Sequence[Question], file: Path) -> tuple[Question, ...]:
    """The questions with added judgments; where both judge a document, the question's own grade stands.

    Raises SourceError when there is no such file.
    """
    if not file.is_file():
        raise SourceError(f"there is no file of judgments {file}; `chaincite eval review RUN` writes one")
    added: dict[str, dict[str, int]] = {}
    for judgment in read(file):
        added.setdefault(judgment.id, {})[judgment.path] = judgment.grade
    return tuple(
        replace(question, relevant={**added[question.id], **(question.relevant or {})})
        if question.id in added
        else question
        for question in questions
    )


def unjudged(questions: Sequence[Question], results: Mapping[str, Result], k: int) -> Iterator[Unjudged]:
    """What nobody has judged among the first k documents of each question, best first."""
    for question in questions:
        best: dict[str, Ranked] = {}
        for hit in results[question.id].hits if question.id in results else ():
            best.setdefault(hit.path, hit)
        for rank, (path, hit) in enumerate(list(best.items())[:k], 1):
            if path not in (question.relevant or {}):
                yield Unjudged(question, hit, rank)


def share_judged(questions: Sequence[Question], results: Mapping[str, Result], k: int) -> float:
    """The share of judged documents among the first k of each question (`Judged@k`), over all questions."""
    asked = [results[question.id] for question in questions if question.id in results]
    shown = sum(min(len({hit.path for hit in result.hits}), k) for result in asked)
    return 1 - sum(1 for _ in unjudged(questions, results, k)) / shown if shown else 1.0


def _lines(file: Path) -> list[str]:
    try:
        return [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{file} cannot be read ({error}); check the path") from None
