"""The reader's training: its questions, its sentences, its loss, and what comes out of it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from evals.reader import QUESTIONS, examples, read_questions
from index.library import Library
from index.reader import ADAPTER, InContext, Reader
from tests.conftest import HANG, ROOT

ANSWERS = [
    ("How does the base fee move?", "eip-1559-fee-market.md", "When a block is full, twice its target"),
    ("Who gets the priority fee?", "eip-1559-fee-market.md", "The priority fee goes to"),
    ("how long do blobs stay", "eip-4844-blobs.md", "Nodes must serve blob sidecars"),
    ("How many words does a sentence draw from?", "bip-39-mnemonics.md", "The whole is cut into groups"),
]
"""Questions over the sample notes, and how the sentences that answer them begin."""


@pytest.fixture(scope="module")
def library(sample_library: Path) -> Library:
    return Library(sample_library)


@pytest.fixture(scope="module")
def questions(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    documents = {document.path: document for document in library.documents()}
    lines = []
    for question, path, begins in ANSWERS:
        text = "".join(passage.text for passage in library.passages(documents[path].uri))
        start = text.index(begins)
        answer = {"path": path, "start": start, "end": text.index(".", start) + 1}
        lines.append(json.dumps({"question": question, "kind": "fact", "answers": [answer]}))
    file = tmp_path_factory.mktemp("questions") / "questions.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def training(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "evals.reader", *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        timeout=HANG,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_the_right_sentences_are_found_among_others(library: Library, questions: Path) -> None:
    found = list(examples(read_questions(questions), library))
    assert [example.question for example in found] == [question for question, _, _ in ANSWERS]
    for example, (_, _, begins) in zip(found, ANSWERS, strict=True):
        assert len(example.texts) == len(example.words) == len(example.right) > 3
        assert [begins in text.sentence for text in example.texts] == example.right.tolist()
        assert example.words.tolist() == sorted(example.words, reverse=True)


@pytest.mark.slow
def test_two_steps_make_a_reader(sample_library: Path, questions: Path, tmp_path: Path) -> None:
    out = tmp_path / "reader.safetensors"
    words = ("--library", sample_library, "--questions", questions, "--out", out, "--seeds", "1")
    ran = training(*words, "--epochs", "2", "--limit", "1")
    assert ran.returncode == 0, ran.stderr
    assert "step 2 of 2" in ran.stderr
    made, shipped = load_file(out), load_file(ADAPTER)
    assert {name: value.shape for name, value in made.items()} == {
        name: value.shape for name, value in shipped.items()
    }
    assert sum(abs(value.astype(np.float32)).sum() for name, value in made.items() if name.endswith(".B")) > 0
    scores = Reader(out).scores("fee", [InContext("", "", text, "") for text in ("The fee.", "Blobs stay.")])
    assert np.isfinite(scores).all()
    assert scores[0] != scores[1]


@settings(max_examples=30)
@given(data=st.data(), lists=st.integers(1, 4))
def test_the_loss_is_what_plain_numpy_computes(data: st.DataObject, lists: int) -> None:
    import torch

    from evals.reader import LIST, loss

    right, there = np.zeros((2, lists, LIST), bool)
    rows = []
    for at in range(lists):
        size = data.draw(st.integers(1, LIST))
        yes = data.draw(st.integers(1, size))
        there[at, :size], right[at, :yes] = True, True
        rows.append(np.array(data.draw(st.lists(st.floats(-9, 9), min_size=size, max_size=size)), np.float32))
    expected = -np.mean([_listwise(row, yes.sum()) for row, yes in zip(rows, right, strict=True)])
    flat, labels = np.concatenate(rows).astype(float), right[there]
    alone = np.where(labels, 3 * np.logaddexp(0, -flat), np.logaddexp(0, flat)).mean()
    seen = loss(torch.from_numpy(np.concatenate(rows)), torch.from_numpy(right), torch.from_numpy(there))
    assert float(seen) == pytest.approx(expected + 0.3 * alone, rel=1e-3, abs=1e-3)


def _listwise(row: np.ndarray[tuple[int], np.dtype[np.float32]], yes: int) -> float:
    logs = row.astype(float) - np.log(np.exp(row.astype(float)).sum())
    return float(0.5 * np.log(np.exp(logs[:yes]).sum()) + 0.5 * logs[:yes].mean())


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (lambda row: row.pop("answers"), "line 2: answers"),
        (lambda row: row["answers"].clear(), "line 2: answers"),
        (lambda row: row["answers"][0].update(start=-1), r"line 2: answers\.0\.start"),
    ],
    ids=["no answers", "none of them", "before the start"],
)
def test_a_line_at_fault_is_named(
    questions: Path, tmp_path: Path, fault: Callable[[dict[str, object]], object], named: str
) -> None:
    lines = questions.read_text(encoding="utf-8").splitlines()
    row = json.loads(lines[1])
    fault(row)
    file = tmp_path / "faulty.jsonl"
    file.write_text("\n".join([lines[0], json.dumps(row)]), encoding="utf-8")
    ran = training("--library", tmp_path, "--questions", file)
    assert ran.returncode == 2
    assert re.search(named, ran.stderr.splitlines()[-1])


def test_the_shipped_questions_are_whole_and_belong_to_nobody() -> None:
    asked = read_questions(QUESTIONS)
    assert len({question.question for question in asked}) == len(asked) == 1599
    assert sum(question.held for question in asked) == 172
    assert all(answer.start < answer.end for question in asked for answer in question.answers)
    rows = [json.loads(line) for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    assert all(set(row) == {"question", "kind", "answers"} for row in rows)
    assert all(set(answer) == {"path", "start", "end"} for row in rows for answer in row["answers"])


def test_the_card_tells_the_shipped_file() -> None:
    card = (ROOT / "evals" / "data" / "reader.md").read_text(encoding="utf-8")
    assert hashlib.sha256(ADAPTER.read_bytes()).hexdigest() in card
