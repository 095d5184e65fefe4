"""Many questions at once: read from JSON lines, answered side by side, each answer kept as it comes."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from agent.answers.values import Answer, to_json
from index.errors import ChainciteError, SourceError

_BEGINNING = b'{"id": '
"""What every line of an answers file begins with; a half-written last line is known by it."""


class Asked(NamedTuple):
    """A question and the id, any JSON value, that its answer is known by.

    before: the questions that precede it in its conversation.
    """

    id: Any
    question: str
    before: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The id as text: the same for equal ids only."""
        return json.dumps(self.id, sort_keys=True)

    @property
    def words(self) -> dict[str, Any]:
        """The question as its line in an answers file says it."""
        return {"question": self.question} | ({"turns": [*self.before, self.question]} if self.before else {})


def asked(line: bytes) -> Asked | None:
    """The question on a line; None for an empty one. Raises ValueError with what is wrong.

    >>> asked(b'{"id": 7, "question": "What is gas?"}')
    Asked(id=7, question='What is gas?', before=())
    >>> asked(b'{"id": 7, "turns": ["What is gas?", "Who pays it?"]}').before
    ('What is gas?',)
    """
    if not line.strip():
        return None
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from None
    except RecursionError:
        raise ValueError("not JSON of a sane depth") from None
    if not isinstance(row, dict) or "id" not in row or not {"question", "turns"} & set(row):
        raise ValueError('not an object with "id", and "question" or "turns"')
    turns = row.get("turns", [row.get("question")])
    if not isinstance(turns, list) or not turns:
        raise ValueError('"turns" is no list of questions with at least one in it')
    if row.get("question", turns[-1]) != turns[-1]:
        raise ValueError('"question" is not the last of "turns"; give one of them')
    for turn in turns:
        _check(turn)
    return Asked(row["id"], turns[-1], tuple(turns[:-1]))


def _check(question: object) -> None:
    """Raises ValueError for what is no question."""
    if not isinstance(question, str):
        raise ValueError(f"a question must be a text, not {question!r:.40}")
    if not question.strip():
        raise ValueError("the question is empty")
    if any("\ud800" <= character <= "\udfff" for character in question):
        raise ValueError("the question holds half of a surrogate pair")


def read_questions(file: Path) -> tuple[list[Asked], list[str]]:
    """The questions of a file of JSON lines, and what is wrong with the lines that are none.

    Of two questions with one id the first counts. Raises SourceError when the file cannot be read.
    """
    found: dict[str, Asked] = {}
    faults: list[str] = []
    first: dict[str, int] = {}
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise SourceError(
            f"{file}: {error.strerror}; give a file of JSON lines with id, and question or turns"
        ) from None
    for number, line in enumerate(lines, 1):
        try:
            one = asked(line)
            if one is not None and one.key in found:
                raise ValueError(f"the id {one.key} is that of line {first[one.key]} already")
        except ValueError as error:
            faults.append(f"{file} line {number}: {error}; it was passed over")
            continue
        if one is not None:
            found[one.key], first[one.key] = one, number
    return list(found.values()), faults


class AnswersFile:
    """The answers of a batch on disk: JSON lines, one for each question, in the order they were finished.

    An answered line holds the fields of an exported answer; `id` is the question's, `answer_id` the answer's.
    A failed one holds `error` instead, or, where the chat model failed, `model_failed` beside what the
    library says. Opening mends a half-written last line, drops the lines of questions that are to be asked
    again, and keeps every other batch out of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._out: BinaryIO | None = None

    def open(self, questions: Sequence[Asked]) -> list[Asked]:
        """Opens the file, and returns the questions that no line answers in the words they have now.

        Raises SourceError for a file that cannot be written, is not of a batch, or is in use by another.
        """
        try:
            self._out = self._locked()
            body = self._out.read()
            rows = self._rows(body)
            open_questions = [one for one in questions if rows.get(one.key, (b"", None))[1] != one.words]
            for one in open_questions:
                rows.pop(one.key, None)
            kept = b"".join(line for line, _ in rows.values())
            if kept != body:
                _replace(self._path, kept)
                self.close()
                self._out = self._locked()
        except OSError as error:
            self.close()
            raise self._fault(error) from None
        except SourceError:
            self.close()
            raise
        return open_questions

    def close(self) -> None:
        """Lets other batches in."""
        if self._out:
            self._out.close()

    def write(self, one: Asked, fields: Mapping[str, Any]) -> None:
        """Adds the line of a question, and returns when it is on the disk. Raises SourceError."""
        if self._out is None:
            raise SourceError(f"{self._path} was not opened")
        line = json.dumps({"id": one.id, **one.words, **fields}, ensure_ascii=False)
        try:
            self._out.write(f"{line}\n".encode("utf-8", "backslashreplace"))
            self._out.flush()
            os.fsync(self._out.fileno())
        except OSError as error:
            raise self._fault(error) from None

    def _locked(self) -> BinaryIO:
        """The file, made where it is missing, read from its beginning and written at its end."""
        if self._path.exists() and not self._path.is_file():
            raise SourceError(f"{self._path} is no file; give --out a file of JSON lines")
        while True:
            file = self._path.open("a+b")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                raise SourceError(
                    f"{self._path} is in use by another batch; wait for it or give another --out"
                ) from None
            if _is_still(self._path, file):
                file.seek(0)
                return file
            file.close()

    def _rows(self, body: bytes) -> dict[str, tuple[bytes, dict[str, Any] | None]]:
        """The lines by the key of the question, each with the words that it answers; None where it failed."""
        rows: dict[str, tuple[bytes, dict[str, Any] | None]] = {}
        for number, line in enumerate(body.splitlines(keepends=True), 1):
            if _half_written(line):
                continue
            try:
                one = asked(line)
                row = json.loads(line) if one else {}
                if one is None or ("answer_id" in row) == ("error" in row):
                    raise ValueError
            except ValueError:
                raise SourceError(
                    f"{self._path} line {number} is no line of a batch; give another --out"
                ) from None
            answered = None if "error" in row or row.get("model_failed") else one.words
            rows[one.key] = (line.rstrip(b"\n") + b"\n", answered)
        return rows

    def _fault(self, error: OSError) -> SourceError:
        return SourceError(
            f"{self._path} cannot be written: {error.strerror}; make room there or give another --out"
        )


async def run(
    questions: Iterable[Asked],
    answer: Callable[[Asked], Awaitable[Answer]],
    out: AnswersFile,
    concurrency: int,
    tell: Callable[[Asked, Answer | ChainciteError], None],
) -> None:
    """Answers the questions, so many at a time; one that fails gets a line that says why.

    tell: called with each question and what came of it, once that is on the disk. Raises SourceError when
    `out` cannot be written.
    """
    waiting = iter(questions)

    async def work() -> None:
        for one in waiting:
            try:
                found = await answer(one)
            except ChainciteError as error:
                out.write(one, {"error": str(error), "retry": error.retry})
                tell(one, error)
            else:
                fields = to_json(found)
                out.write(one, {"answer_id": fields.pop("id"), **fields, **one.words})
                tell(one, found)

    await asyncio.gather(*(work() for _ in range(concurrency)))


def _half_written(line: bytes) -> bool:
    """Whether a last line is the beginning of one that was cut off."""
    if line.endswith(b"\n") or not _BEGINNING.startswith(line[: len(_BEGINNING)]):
        return False
    try:
        json.loads(line)
    except ValueError:
        return True
    return False


def _is_still(path: Path, file: BinaryIO) -> bool:
    """Whether the open file is what the path names, and not one that was replaced meanwhile."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _replace(path: Path, body: bytes) -> None:
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".draft")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(body)
            out.flush()
            os.fchmod(out.fileno(), path.stat().st_mode & 0o777)
            os.fsync(out.fileno())
        Path(draft).replace(path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
