"""How long questions take in a process that stays open.

    python -m evals.latency SYSTEM STORE QUESTIONS

SYSTEM is `chaincite` (the whole search: words, vectors, passages) or `langchain` (dense search alone);
QUESTIONS are JSON lines with `question`. Prints a JSON list of seconds, in the order of the questions.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

RESULTS = 10
WARM_UP = 3
"""Questions that are asked first and not timed: models load at the first one."""

Search = Callable[[str], object]


def latencies(search: Search, questions: Sequence[str]) -> list[float]:
    """Seconds that `search` takes for each question, after a warm-up on the first few."""
    for question in questions[:WARM_UP]:
        search(question)
    return [_seconds(search, question) for question in questions]


def _seconds(search: Search, question: str) -> float:
    began = time.perf_counter()
    search(question)
    return time.perf_counter() - began


def _chaincite(store: Path) -> Search:
    from index.library import Library

    library = Library(store)
    return lambda question: library.search(question, RESULTS)


def _langchain(store: Path) -> Search:
    from evals.langchain_reference import open_store

    opened = open_store(store)
    return lambda question: opened.similarity_search(question, k=RESULTS)


def _main(system: str, store: str, questions: str) -> None:
    lines = Path(questions).read_text(encoding="utf-8").splitlines()
    search = {"chaincite": _chaincite, "langchain": _langchain}[system](Path(store))
    print(json.dumps(latencies(search, [json.loads(line)["question"] for line in lines])))


if __name__ == "__main__":
    _main(*sys.argv[1:])
