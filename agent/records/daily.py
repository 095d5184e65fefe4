"""Records as JSON lines, one file a day (UTC), each kept for so many days.

A line is written by one `write` to a file opened for appending, under a lock, so several processes may write
at once and a reader sees whole lines. What a power cut tore off in the middle stays a line of its own, which
readers pass over.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any


class Daily:
    """A folder of such files, readable by their owner alone. days: how many are kept, today's included."""

    def __init__(self, folder: Path, days: int) -> None:
        self.folder = folder
        self._days = days

    def append(self, record: Mapping[str, Any], today: date | None = None) -> None:
        """Writes one record, which a kill of the process cannot undo; removes files that are too old.

        Raises OSError when it cannot be written.
        """
        day = today or datetime.now(UTC).date()
        line = json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
        file = self.folder / f"{day}.jsonl"
        if not file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._forget(before=day - timedelta(days=self._days - 1))
        descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size = os.fstat(descriptor).st_size
            torn = size and os.pread(descriptor, 1, size - 1) != b"\n"
            os.write(descriptor, b"\n" + line if torn else line)
        finally:
            os.close(descriptor)

    def files(self) -> list[Path]:
        """The files there are, oldest first."""
        return sorted(self.folder.glob("????-??-??.jsonl"))

    def records(self) -> Iterator[dict[str, Any]]:
        """Every whole record, oldest first."""
        for file in self.files():
            for line in file.read_bytes().splitlines():
                try:
                    yield json.loads(line)
                except ValueError:
                    continue

    def _forget(self, before: date) -> None:
        for file in self.files():
            if file.stem < str(before):
                file.unlink(missing_ok=True)
