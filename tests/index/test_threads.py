"""One library asked by many threads at once answers each as it would answer alone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from threading import Barrier, Event
from typing import Any

import numpy as np
import pytest

from index.embed import load
from index.library import Library
from index.once import once
from index.values import Filters, Hit
from tests.conftest import HANG

THREADS = 8
QUESTIONS = [
    f"{asked} of {name}{' in every block that is mined after the fork' * (at % 3)}?"
    for asked in ("What is the base fee", "Which signature has the token", "Who owns the bridge")
    for at, name in enumerate(("doc a", "doc b", "the second passage", "number 7"))
]

Found = list[tuple[str, float]]


def at_once(work: Callable[[int], Any]) -> list[Any]:
    """What `work` gives for 0 to 7, all begun at the same time."""
    start = Barrier(THREADS)

    def run(number: int) -> Any:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def found(hits: list[Hit]) -> Found:
    return [(hit.passage.id, hit.score) for hit in hits]


def in_turn(number: int) -> list[str]:
    """The questions, each thread beginning with another."""
    return QUESTIONS[number:] + QUESTIONS[:number]


@pytest.fixture
def folder(make: Callable[..., Any], tmp_path: Path) -> Path:
    with Library.writer(tmp_path) as writer:
        for name in "abcdef":
            parts = [f"The base fee of {name} is {len(name)} gwei. ", f"A second passage, about {name}. "]
            writer.add(*make(f"doc:{name}", parts))
    return tmp_path


def test_threads_find_what_one_thread_finds(folder: Path) -> None:
    alone = Library(folder)
    wanted = {question: found(alone.search(question)) for question in QUESTIONS}
    shared = Library(folder)

    def ask(number: int) -> dict[str, Found]:
        return {question: found(shared.search(question)) for question in in_turn(number)}

    for got in at_once(ask):
        assert got == wanted


def test_threads_embed_what_one_thread_embeds() -> None:
    model = load()
    wanted = {question: model.embed_queries([question])[0] for question in QUESTIONS}
    shared = load()

    def embed(number: int) -> bool:
        rows = shared.embed(in_turn(number))
        return all(
            np.array_equal(shared.embed_queries([question])[0], wanted[question])
            and float(row @ wanted[question]) > 0.999
            for question, row in zip(in_turn(number), rows, strict=True)
        )

    assert at_once(embed) == [True] * THREADS


def test_threads_see_whole_generations_while_a_writer_publishes(
    folder: Path, make: Callable[..., Any]
) -> None:
    """Two passages are replaced together: each new pair is seen, and never one passage of each."""
    shared, done = Library(folder), Event()
    seen: SimpleQueue[list[str]] = SimpleQueue()

    def watch() -> None:
        while not done.is_set():
            hits = shared.search("the second passage", 100, Filters(sources=("doc:changing",)))
            seen.put(sorted(hit.passage.text for hit in hits))

    states = [[f"Version {n}, first. ", f"Version {n}, second. "] for n in range(4)]
    with ThreadPoolExecutor(THREADS) as pool:
        watching = [pool.submit(watch) for _ in range(THREADS)]
        try:
            for state in states:
                with Library.writer(folder) as writer:
                    writer.add(*make("doc:changing", state))
                while (pair := seen.get(timeout=HANG)) != state:
                    assert pair in [[], *states]
        finally:
            done.set()
        assert [one.result() for one in watching] == [None] * THREADS


def test_what_is_made_once_is_made_once_for_all_threads() -> None:
    class Thing:
        made = 0

        @once
        def part(self) -> object:
            self.made += 1
            return object()

    thing, other = Thing(), Thing()
    parts = at_once(lambda number: (thing, other)[number % 2].part)
    assert (thing.made, other.made, len(set(parts))) == (1, 1, 2)
