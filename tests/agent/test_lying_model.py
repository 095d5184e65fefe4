"""The whole way with a model that lies: what it is sent, it spoils; what is shown at the end must hold."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import shutil
from collections.abc import Iterator

import pytest

from agent.answers.events import final
from agent.answers.values import Answer
from agent.session import Session
from agent.text.sentences import split
from index.library import Library
from index.settings import Settings
from tests.agent.endpoint import Reply, Request, say
from tests.agent.test_adversary import IN_WORDS, SPOILERS, True_, derivable, digits_of

QUESTIONS = (
    "How does the base fee move when a block is full?",
    "What do blobs cost, and how long are they kept?",
    "How many words does a seed phrase have, and what is its checksum?",
    "Which storage slots does a proxy use?",
    "What does a vault round, and in which direction?",
    "Who may call transferFrom, and what does it return?",
)
CASES = 48


class Liar:
    """Answers each request with a sentence of its evidence, spoilt, beside a true one."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._spoilers = itertools.cycle(SPOILERS)
        self.lies: list[tuple[str, str]] = []

    def __call__(self, request: Request) -> Reply:
        if "Divide the question" in request.text:
            return say("the question itself")
        if request.text.startswith("Decide for each sentence"):
            return say("all of it is true")
        true = list(self._true(request))
        for spoiler in itertools.islice(self._spoilers, 3 * len(SPOILERS)):
            made = next(filter(None, (spoiler(self._rng.choice(true), self._rng) for _ in range(60))), None)
            if made:
                draft, lie = made
                self.lies.append((spoiler.__name__, lie))
                kept = self._rng.choice(true)
                return say(f"{kept.text} [{kept.number}]. {draft}")
        raise AssertionError("nothing to spoil")

    @staticmethod
    def _true(request: Request) -> Iterator[True_]:
        [said] = [str(m["content"]) for m in request.body["messages"] if "Evidence from" in str(m["content"])]
        blocks = re.split(r"^--- \w+ (?:\[(\d+)\] .*|end)$", said, flags=re.MULTILINE)
        for number, text in zip(blocks[1::2], blocks[2::2], strict=True):
            for unit in split(text) if number else ():
                sentence = text[unit.start : unit.end]
                if unit.unit == "prose" and sentence.endswith(".") and "\n" not in sentence:
                    yield True_(sentence.rstrip("."), int(number))


def faults_of(answer: Answer, library: Library) -> list[str]:
    """What an outsider finds wrong with an answer."""
    found = {citation.number: citation for citation in answer.citations}
    wrong = []
    for citation in answer.citations:
        text = "".join(passage.text for passage in library.passages(citation.source.uri))
        if text[citation.start : citation.end] != citation.quote:
            wrong.append(f"{citation.quote!r} is not at its place")
    for sentence in answer.sentences:
        if not sentence.citations or not set(sentence.citations) <= set(found):
            wrong.append(f"{sentence.text!r} cites {sentence.citations}")
            continue
        passages = [library.passage(found[number].source.passage_id) for number in sentence.citations]
        source = "\n".join(f"{passage.context}\n{passage.text}" for passage in passages)
        wrong += [d for d in digits_of(sentence.text) if not derivable(d, source)]
    marks = re.findall(r"\[(\d+)\]", re.sub(r"`[^`]*`", "", answer.text))
    return wrong + [f"mark [{mark}]" for mark in marks if int(mark) not in found]


@pytest.mark.slow
def test_no_lie_of_a_model_is_verified_or_shown_unmarked(endpoint, sample_library, tmp_path):
    folder = shutil.copytree(sample_library, tmp_path / "library")
    library = Library(folder)
    known = "\n".join(
        passage.text for document in library.documents() for passage in library.passages(document.uri)
    )
    liar = Liar(seed=11)
    settings = Settings.load(library=folder, base_url=endpoint(liar).url)
    kept = 0
    for at, question in zip(range(CASES), itertools.cycle(QUESTIONS), strict=False):
        liar.lies.clear()
        session = Session(library, settings, keep=False)
        answer = asyncio.run(final(session.ask(question, fresh=True)))
        assert not faults_of(answer, library), (at, answer.text)
        for name, lie in liar.lies:
            for sentence in answer.sentences if lie and lie not in known else ():
                told = lie in sentence.text
                assert not told or (name in IN_WORDS and not sentence.verified_by), (at, lie, answer.text)
        kept += bool(answer.sentences)
    assert kept >= 0.9 * CASES
