"""Every source of a file brought up to date, one after another; one that fails does not stop the others."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from index.errors import LibraryError, SourceError
from ingest.connector import Doors, NothingToRead
from ingest.engine import Engine, Report
from ingest.names import shown
from ingest.options import Options
from ingest.sources import Problem

RECORD = "sources.json"
"""The file in a library's folder that says which documents each source brought."""


class Record:
    """Which documents each source of each file brought, kept beside a library.

    library: its folder; file: the file that names the sources. Raises LibraryError where it is damaged.
    """

    def __init__(self, library: Path, file: Path) -> None:
        self._path = library / RECORD
        self._file = str(file.resolve())
        try:
            self._all: dict[str, dict[str, list[str]]] = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            self._all = {}
        except ValueError:
            raise LibraryError(
                f"{self._path} is damaged; remove it: what sources brought is recorded anew, and documents"
                " whose files are gone by then stay until `chaincite forget`"
            ) from None

    def brought(self, label: str) -> set[str]:
        """The uris that a source brought."""
        return set(self._all.get(self._file, {}).get(label, ()))

    def by_others(self, label: str) -> set[str]:
        """The uris that other sources brought, of this file or another."""
        return {
            uri
            for file, sources in self._all.items()
            for name, uris in sources.items()
            if (file, name) != (self._file, label)
            for uri in uris
        }

    def write(self, label: str, uris: Collection[str]) -> None:
        """Keeps what a source brought."""
        self._all.setdefault(self._file, {})[label] = sorted(uris)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(self._all, indent=1), encoding="utf-8")
        os.replace(new, self._path)  # noqa: PTH105 the standard's name for what is atomic

    def left(self, labels: Iterable[str]) -> dict[str, int]:
        """Sources that the file no longer names, with the number of documents that they brought."""
        named = set(labels)
        mine = self._all.get(self._file, {})
        return {label: len(uris) for label, uris in mine.items() if uris and label not in named}


@dataclass(frozen=True)
class Sync:
    """Brings a library up to date with sources. folder: what their paths are relative to."""

    engine: Engine
    record: Record
    folder: Path
    doors: Doors

    def run(self, source: Options) -> Report:
        """Brings one source up to date. Where it cannot be read, the report says why, and nothing goes."""
        before = self.record.brought(source.label)
        others = self.record.by_others(source.label)

        def brought(uri: str) -> bool | None:
            return False if uri in others else True if uri in before else None

        try:
            report = self.engine.run(source.within(self.folder).open(self.doors), brought)
        except NothingToRead as nothing:
            return Report(skipped=list(nothing.problems), notes=list(nothing.notes))
        except SourceError as error:
            return Report(skipped=[Problem(shown(source.place), str(error))])
        if source.on_record:
            self.record.write(source.label, report.uris | before if report.skipped else report.uris)
        return report
