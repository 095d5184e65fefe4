"""What bots remember, in one SQLite file of the library: messages, conversations, access, what was spent.

A change is on the disk when the call that made it returns, so a kill or a power cut undoes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from index.errors import LibraryError

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = "bots.sqlite"

_SCHEMA = """
    create table if not exists inbox (
        number integer primary key, key text unique not null, platform text not null,
        conversation text not null, received_at text not null, state text not null, attempts integer not null,
        incoming text, messages text not null, reply text, plain integer not null
    );
    create index if not exists inbox_by_state on inbox (state, platform);
    create index if not exists inbox_by_conversation on inbox (conversation);
    create table if not exists said (
        number integer primary key, conversation text not null, message text not null,
        answer_id text not null, unique (conversation, message)
    );
    create table if not exists conversations (
        conversation text primary key, last_at text not null, chosen text
    ) without rowid;
    create table if not exists access (subject text primary key, allowed integer not null) without rowid;
    create table if not exists charges (
        key text primary key, day text not null, person text not null, place text not null,
        tokens integer not null, cost real not null
    ) without rowid;
    create index if not exists charges_by_day on charges (day);
    create table if not exists wallets (
        person text primary key, address text, nonce text, expires_at text, balance text, seen_at text
    ) without rowid;
    create table if not exists marks (name text primary key, value text not null) without rowid;
"""
_PATIENCE = 10.0
"""Seconds to wait for another process that writes."""


class Store:
    """The file, open. Every method raises LibraryError where it cannot be read or written."""

    def __init__(self, library: Path) -> None:
        self._file = library / FILE
        with self._told():
            self._open = sqlite3.connect(self._file, timeout=_PATIENCE, isolation_level=None)
            self._file.chmod(0o600)
            for pragma in ("journal_mode = wal", "synchronous = full", "secure_delete = on"):
                self._open.execute(f"pragma {pragma}")
            self._open.executescript(_SCHEMA)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows that a query gives; of a change, those that it returns."""
        with self._told():
            return self._open.execute(query, values).fetchall()

    def change(self, *changes: tuple[str, Iterable[Any]]) -> int:
        """Makes all the changes or none, and says how many rows the last one changed."""
        with self._told(), self._open:
            self._open.execute("begin immediate")
            for query, values in changes:
                changed = self._open.execute(query, tuple(values)).rowcount
            return changed

    def mark(self, name: str) -> str | None:
        """What was noted under a name, such as the last update of a platform."""
        found = self.rows("select value from marks where name = ?", name)
        return str(found[0][0]) if found else None

    def set_mark(self, name: str, value: str) -> None:
        """Notes a value under a name."""
        self.change(("insert or replace into marks values (?, ?)", (name, value)))

    def unmark(self, name: str) -> None:
        """Forgets what was noted under a name."""
        self.change(("delete from marks where name = ?", (name,)))

    def wipe(self) -> None:
        """Takes what was deleted out of the log of changes too, so that it is on the disk no more."""
        self.rows("pragma wal_checkpoint(truncate)")

    def close(self) -> None:
        """Closes the file."""
        self._open.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise LibraryError(
                f"{self._file} cannot be used: {error}; make it writable, or remove it, and the bots forget "
                "their conversations"
            ) from error
