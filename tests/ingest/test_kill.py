"""`kill -9` at random moments: nothing is lost, doubled, or embedded twice but for the batch in flight.

KILL_FOLDER names another folder to read, KILL_BATCHES how many batches an attempt may begin at most.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from index import doctor
from index.cache import BATCH
from index.embed import MiniLM
from index.library import Library
from ingest.chunk import Chunker
from ingest.fetch import Fetcher
from ingest.readers import read
from ingest.sources import load
from ingest.targets import find

FOLDER = os.environ.get("KILL_FOLDER")
BATCHES = int(os.environ.get("KILL_BATCHES", "12"))
CHECKPOINT = 1024 if FOLDER else 128
KILLS = 20

OBSERVED = """
import sys
from hashlib import sha256
from index import writer
from index.embed import MiniLM
import chaincite
log, writer.CHECKPOINT, sys.argv = open(sys.argv[1], "a"), int(sys.argv[2]), sys.argv[2:]
embed = MiniLM.embed
def observed(self, texts):
    print(*(sha256(text.encode()).hexdigest() for text in texts), file=log, flush=True)
    return embed(self, texts)
MiniLM.embed = observed
sys.exit(chaincite.main())
"""
"""Runs the command line, and notes down each batch of texts before the model sees it."""


class Attempts:
    """Ingestion of one folder, over and over, in processes that are killed."""

    def __init__(self, sources: Path, library: Path, log: Path) -> None:
        self.sources, self.library, self.log = sources, library, log
        self.batches: list[list[str]] = []
        self.in_flight: set[str] = set()

    def start(self, batches: float = float("inf"), spell: float = 1.0) -> bool:
        """Whether the process had to be killed; one that ends by itself must have succeeded.

        It is killed when it has begun so many batches, which is looked after once in a spell of seconds.
        """
        self.log.write_text("")
        command = [sys.executable, "-c", OBSERVED, self.log, str(CHECKPOINT)]
        with subprocess.Popen(
            [*command, "--library", self.library, "ingest", "papers", self.sources],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as process:
            while process.returncode is None:
                try:
                    _, errors = process.communicate(timeout=spell)
                except subprocess.TimeoutExpired:
                    if len(self._begun()) >= batches:
                        process.kill()
                        process.wait()
                else:
                    assert process.returncode == 0, errors
        begun = self._begun()
        self.batches += begun
        killed = process.returncode != 0
        if killed and begun:
            self.in_flight |= set(begun[-1])
        return killed

    def _begun(self) -> list[list[str]]:
        return [line.split() for line in self.log.read_text("utf-8").splitlines()]


def passages_of(sources: Path) -> dict[str, str]:
    """What the library should hold: the ids of all passages, with the sha256 of what is embedded."""
    model = MiniLM()
    chunker = Chunker(model.tokenizer, model.max_tokens)
    now = datetime.now(UTC)
    return {
        passage.id: hashlib.sha256(passage.indexed_text.encode()).hexdigest()
        for source in find([str(sources)]).sources
        for passage in chunker.passages(read(load(source, Fetcher()).body, source, retrieved_at=now))
    }


WORDS = (
    "gas",
    "fee",
    "block",
    "burn",
    "validator",
    "bridge",
    "oracle",
    "token",
    "swap",
    "pool",
    "blob",
    "proof",
)


def write_notes(folder: Path, rng: random.Random) -> None:
    """Work for about ten seconds; where notes have been written before, all of it anew."""
    folder.mkdir(exist_ok=True)
    for at in range(2500):
        body = "\n\n".join(f"## Part {part}\n\n{' '.join(rng.choices(WORDS, k=15))}." for part in range(4))
        (folder / f"note-{at:04}.md").write_text(f"# Note {at}\n\n{body}\n")


@pytest.mark.slow
def test_killed_at_any_moment_nothing_is_lost_doubled_or_embedded_twice(tmp_path: Path) -> None:
    rng = random.Random(20240229)
    sources = Path(FOLDER or tmp_path / "notes")
    if not FOLDER:
        write_notes(sources, rng)
    library = tmp_path / "library"
    with Library.writer(library):
        pass
    attempts = Attempts(sources, library, tmp_path / "log")
    generations = [0]
    while len(generations) <= KILLS:
        if not attempts.start(rng.randint(1, BATCHES), rng.uniform(0.05, 0.3)):
            assert not FOLDER, "no work was left; set KILL_BATCHES lower"
            write_notes(sources, rng)
            continue
        assert list(doctor.faults(library)) == []
        generations.append(Library(library).generation)
    assert generations == sorted(generations)
    assert generations[-1] > 0, "no attempt reached a checkpoint; set KILL_BATCHES higher"
    assert not attempts.start()
    assert list(doctor.faults(library)) == []

    wanted = passages_of(sources)
    reader = Library(library)
    held = [passage.id for document in reader.documents() for passage in reader.passages(document.uri)]
    assert sorted(held) == sorted(wanted)
    seen = Counter(text for batch in attempts.batches for text in batch)
    assert seen.keys() >= set(wanted.values())
    again = {text for text, times in seen.items() if times > 1}
    assert again <= attempts.in_flight
    assert max(map(len, attempts.batches)) <= BATCH
    print(
        f"{KILLS} kills, {len(held)} passages, {len(seen)} texts, {seen.total() - len(seen)} embedded again,"
        f" {generations[-1]} generations before the last attempt, {reader.generation} in the end"
    )
    assert not attempts.start()
    assert Counter(text for batch in attempts.batches for text in batch) == seen
