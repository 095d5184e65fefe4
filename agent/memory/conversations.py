"""What a library remembers of its users: their conversations, and which questions were answered already.

It is one SQLite file in the library's folder. A turn is four short texts, and the answers themselves are
stored elsewhere: so to forget a conversation is to delete rows, which a log of a graph's states would not be.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from index.errors import LibraryError

FILE = "memory.sqlite"

_SCHEMA = """
    create table if not exists turns (
        thread text not null, asked_at text not null, question text not null, resolved text not null,
        answer_id text not null, text text not null
    );
    create index if not exists turns_of_thread on turns (thread);
    create table if not exists answered (key text primary key, answer_id text not null) without rowid;
"""
_PATIENCE = 10.0
"""Seconds to wait for another process that writes."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question of a conversation, as it was asked and as it was understood, and its answer."""

    question: str
    resolved: str
    answer_id: str
    text: str


class Memory:
    """The memory of the library in a folder. Each method raises LibraryError where it cannot be used."""

    def __init__(self, library: Path) -> None:
        self._file = library / FILE

    def turns(self, thread: str) -> tuple[Turn, ...]:
        """The conversation so far, the oldest turn first."""
        query = "select question, resolved, answer_id, text from turns where thread = ? order by rowid"
        with self._opened() as file:
            return tuple(Turn(*row) for row in file.execute(query, (thread,)))

    def add(self, thread: str, turn: Turn) -> None:
        """Adds a turn to the end of a conversation."""
        asked_at = datetime.now(UTC).isoformat()
        row = (thread, asked_at, turn.question, turn.resolved, turn.answer_id, turn.text)
        with self._opened() as file:
            file.execute("insert into turns values (?, ?, ?, ?, ?, ?)", row)

    def forget(self, thread: str) -> None:
        """Erases a conversation."""
        with self._opened() as file:
            file.execute("delete from turns where thread = ?", (thread,))

    def move(self, thread: str, to: str) -> None:
        """Gives a conversation another name."""
        with self._opened() as file:
            file.execute("update turns set thread = ? where thread = ?", (to, thread))

    def forget_before(self, moment: datetime) -> int:
        """Erases the conversations whose last turn is older, and says how many there were."""
        with self._opened() as file:
            old = [
                thread
                for (thread,) in file.execute(
                    "select thread from turns group by thread having max(asked_at) < ?",
                    (moment.astimezone(UTC).isoformat(),),
                )
            ]
            file.executemany("delete from turns where thread = ?", [(thread,) for thread in old])
        return len(old)

    def answered(self, key: str) -> str | None:
        """The id of the answer that was given to the question of this key."""
        with self._opened() as file:
            row = file.execute("select answer_id from answered where key = ?", (key,)).fetchone()
        return row and str(row[0])

    def keep(self, key: str, answer_id: str) -> None:
        """Notes which answer was given to the question of this key."""
        with self._opened() as file:
            file.execute("insert or replace into answered values (?, ?)", (key, answer_id))

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            with contextlib.closing(sqlite3.connect(self._file, timeout=_PATIENCE)) as file:
                file.execute("pragma journal_mode = wal")
                file.execute("pragma secure_delete = on")
                file.executescript(_SCHEMA)
                with file:
                    yield file
        except sqlite3.Error as error:
            raise LibraryError(
                f"{self._file} cannot be used: {error}; make it writable, or remove it and lose conversations"
            ) from error
