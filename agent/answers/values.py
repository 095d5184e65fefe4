"""Answers: what was asked, what was said, and each sentence's source; stored whole, exported, read again."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.answers.packing import PackingReport
from index.errors import LibraryError, SourceError
from index.values import Filters, SourceRef

if TYPE_CHECKING:
    from pydantic import TypeAdapter

NOT_IN_LIBRARY = "Not in the library."

UNVERIFIED = "(unverified)"
"""What stands behind a sentence whose meaning nobody has judged."""

EXTRACTIVE = "extractive"
"""Who answered, where no chat model did."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A verbatim quotation: `source` says where, [start, end) are its offsets in the document's text."""

    number: int
    source: SourceRef
    quote: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an answer, and the numbers of the citations that it rests on.

    verified_by: `verbatim` where it is the source's own, `computed` from the cited rows or the catalogue,
    else the judge that confirmed it; None where its facts hold and nobody has judged its meaning.
    beside: the source's own sentence, where it is shown beside one that is not verified.
    """

    text: str
    citations: tuple[int, ...]
    verified_by: str | None = None
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What an answer cost: tokens read and written, seconds from question to answer.

    requests: to chat models; cost: US dollars, None where a price is not known.
    """

    tokens_in: int
    tokens_out: int
    seconds: float
    requests: int = 0
    cost: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two sentences of an answer, by position from 0, that give different values for the same thing.

    The citations of each stand beside it.
    """

    sentences: tuple[int, int]
    values: tuple[str, str]
    citations: tuple[tuple[int, ...], tuple[int, ...]]


class Age(NamedTuple):
    """How old the sources of an answer are: the first and last day of each; None where no day is known."""

    published: tuple[date, date] | None
    retrieved: tuple[date, date] | None


@dataclass(frozen=True, slots=True)
class Draft:
    """What an answerer gives: an answer without the question, the time and the library that it belongs to.

    text: as it is shown, with its marks; refused: nothing was answered, and `text` says which end that is.
    rest: the clauses of the question that are left for another answerer.
    """

    text: str
    sentences: tuple[Sentence, ...]
    citations: tuple[Citation, ...]
    packing: PackingReport
    answered_by: str
    refused: bool = False
    removed: tuple[str, ...] = ()
    nearest: tuple[SourceRef, ...] = ()
    notes: tuple[str, ...] = ()
    usage: Usage = Usage(0, 0, 0.0)
    prompts: Mapping[str, str] = field(default_factory=dict)
    disagreements: tuple[Disagreement, ...] = ()
    rest: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer and all that it took. nearest: the closest sources, where the answer was refused.

    id: the time of asking and the first eight digits of `digest`.
    question: as it was asked; read_as: as it was understood in its conversation, where that is other words.
    text: the answer with its marks, laid out as it was written.
    removed: sentences that were drafted and left out, since no source held them.
    answered_by: the chat model that spoke, or `extractive`; prompts: the prompts used, by name, as hashes.
    notes: what a person should know of how the answer came to be; steps: what was done.
    cached: whether it was given to the same question before.
    model_failed: a chat model was asked and gave no answer, so that the library was quoted; the first of the
    notes says why.
    route, route_reason: who was to answer, and why.
    """

    id: str
    question: str
    asked_at: datetime
    text: str
    sentences: tuple[Sentence, ...]
    refused: bool
    removed: tuple[str, ...]
    citations: tuple[Citation, ...]
    nearest: tuple[SourceRef, ...]
    filters: Filters
    generation: int
    packing: PackingReport
    usage: Usage
    answered_by: str
    read_as: str | None = None
    prompts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    cached: bool = False
    model_failed: bool = False
    route: str = ""
    route_reason: str = ""

    @property
    def age(self) -> Age:
        """How old the cited sources are."""
        published = [c.source.published_at for c in self.citations if c.source.published_at]
        retrieved = [c.source.retrieved_at.date() for c in self.citations]
        return Age(
            (min(published), max(published)) if published else None,
            (min(retrieved), max(retrieved)) if retrieved else None,
        )

    @property
    def intact(self) -> bool:
        """Whether question, text and citations are still those that the id was made from."""
        return self.id == identify(self.asked_at, self.question, self.text, self.citations)


def identify(asked_at: datetime, question: str, text: str, citations: tuple[Citation, ...]) -> str:
    """An id that sorts by time and changes with the content."""
    quotes = [[c.number, c.source.uri, c.source.sha256, c.start, c.end, c.quote] for c in citations]
    content = json.dumps([asked_at.isoformat(), question, text, quotes])
    return f"{asked_at:%Y%m%dT%H%M%SZ}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


@cache
def _adapter() -> TypeAdapter[Answer]:
    from pydantic import TypeAdapter

    return TypeAdapter(Answer)


def to_json(answer: Answer) -> dict[str, Any]:
    """The answer as JSON values: the form in which it is stored and exported.

    `answer` is the text; each citation is one flat object, with `lines` as [first, last] or null; `age` holds
    the first and last day on which the cited sources were published and retrieved.
    """
    data: dict[str, Any] = _adapter().dump_python(answer, mode="json")
    data["answer"] = data.pop("text")
    data["age"] = {
        name: days and [day.isoformat() for day in days] for name, days in answer.age._asdict().items()
    }
    data["citations"] = [
        {
            "number": c["number"],
            **_with_lines(c["source"]),
            **{key: c[key] for key in ("quote", "start", "end")},
        }
        for c in data["citations"]
    ]
    data["nearest"] = [_with_lines(source) for source in data["nearest"]]
    return data


def from_json(data: object) -> Answer:
    """The inverse of `to_json`. Raises SourceError when `data` is no answer."""
    from pydantic import ValidationError

    try:
        fields = dict(data)  # type: ignore[call-overload]
        fields["text"] = fields.pop("answer")
        fields.pop("age", None)
        fields["citations"] = [
            {**citation, "source": _without_lines(citation)} for citation in fields["citations"]
        ]
        fields["nearest"] = [_without_lines(source) for source in fields["nearest"]]
        return _adapter().validate_python(fields)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise SourceError(f"this is not an answer of chaincite: `{where}`: {fault['msg']}") from error
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise SourceError(
            f"this is not an answer of chaincite: {type(error).__name__} at {error}; "
            "make one with `chaincite ask QUESTION --json`"
        ) from error


def _with_lines(source: dict[str, Any]) -> dict[str, Any]:
    first, last = source["line_start"], source["line_end"]
    flat = {key: value for key, value in source.items() if key not in ("line_start", "line_end")}
    return {**flat, "lines": None if first is None else [first, last]}


def _without_lines(flat: dict[str, Any]) -> dict[str, Any]:
    first, last = flat.get("lines") or (None, None)
    return {**flat, "line_start": first, "line_end": last}


def read(file: Path) -> Answer:
    """The answer in an exported JSON file. Raises SourceError when it is not there or not an answer."""
    try:
        return from_json(json.loads(file.read_bytes()))
    except OSError as error:
        raise SourceError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SourceError(f"{file} is not JSON: {error}") from error
    except SourceError as error:
        raise SourceError(f"{file}: {error}") from error


class Answers:
    """The answers of one library, one JSON file each, in the library's folder `answers`."""

    def __init__(self, library: Path) -> None:
        self._folder = library / "answers"

    def save(self, answer: Answer) -> None:
        """Writes the answer so that it is there whole or not at all. Raises LibraryError."""
        body = json.dumps(to_json(answer), ensure_ascii=False, indent=1)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _write_whole(self._folder / f"{answer.id}.json", body.encode("utf-8", "backslashreplace"))
        except OSError as error:
            raise LibraryError(
                f"the answer cannot be stored in {self._folder}: {error.strerror}; "
                "make room there or choose another --library"
            ) from error

    def load(self, name: str) -> Answer:
        """The answer with this id, a prefix of just one id, or `last`. Raises LibraryError."""
        found = self._ids()[:1] if name == "last" else [one for one in self._ids() if one.startswith(name)]
        if name in found:
            found = [name]
        if not found or not name:
            raise LibraryError(
                f"no answer {name!r} in {self._folder}; `chaincite history` lists what there is"
            )
        if len(found) > 1:
            raise LibraryError(
                f"{name!r} begins {len(found)} ids, from {found[-1]} to {found[0]}; give more of it"
            )
        try:
            return read(self._folder / f"{found[0]}.json")
        except SourceError as error:
            raise LibraryError(f"a stored answer is damaged: {error}") from error

    def remove(self, ids: Iterable[str]) -> None:
        """Erases the answers of these ids, as far as they are there. Raises LibraryError."""
        try:
            for one in ids:
                (self._folder / f"{one}.json").unlink(missing_ok=True)
        except OSError as error:
            raise LibraryError(f"an answer in {self._folder} cannot be erased: {error.strerror}") from error

    def recent(self, limit: int) -> list[Answer]:
        """The newest answers, newest first; no more than `limit` files are read. Raises LibraryError."""
        return [self.load(one) for one in self._ids()[:limit]]

    def _ids(self) -> list[str]:
        """All ids, newest first: by the second in the id, then by when the file was written."""
        written = [
            (file.stem.partition("-")[0], _written(file), file.stem) for file in self._folder.glob("*.json")
        ]
        return [one for *_, one in sorted(written, reverse=True)]


def _written(file: Path) -> int:
    """When a file was written, in nanoseconds; 0 where it is gone meanwhile."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _write_whole(file: Path, body: bytes) -> None:
    handle, draft = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".draft")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(body)
            out.flush()
            os.fsync(out.fileno())
        now = time.time_ns()
        os.utime(draft, ns=(now, now))
        Path(draft).replace(file)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
