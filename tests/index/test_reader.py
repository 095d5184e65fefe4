"""The reader against its torch module, what it reads, and what happens when something is amiss."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from index.convert import reader
from index.errors import ModelError
from index.network import packaged_weights
from index.reader import ADAPTER, Encoder, InContext, Reader
from tests.conftest import HANG

QUESTION = "By how much does the base fee rise after a full block?"
TEXTS = [
    InContext(
        "EIP-1559 (Final) Fee market § Rule", "", "It rises by one eighth when a block is full.", "\nElse"
    ),
    InContext("", "", "a", ""),
    InContext("Tokens", "Transfers emit an event. " * 30, "An allowance is a limit. " * 60, "The end. " * 30),
    InContext("BIP-39", "| bits | words |", "| 256 | 24 |", "\n| 224 | 21 |"),
    InContext("Ω ≈ ∑", "手续费", "🔥 é é 0xddf252ad1be2c89b", ""),
    InContext("", "", "", ""),
]
NEAR = 0.15
"""How far log odds may lie apart where one of the two is computed in bfloat16."""


@pytest.fixture(scope="module")
def shipped() -> Reader:
    return Reader()


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder.of(packaged_weights())


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    found = Tokenizer.from_file(str(packaged_weights() / "tokenizer.json"))
    found.no_truncation()
    found.no_padding()
    return found


@pytest.mark.slow
def test_scores_equal_those_of_the_module_that_is_trained(shipped: Reader, encoder: Encoder) -> None:
    import torch

    module = reader(str(packaged_weights()), str(ADAPTER))
    theirs = []
    for row in encoder.encode(QUESTION, TEXTS):
        mask = [1] * len(row.tokens)
        with torch.no_grad():
            scored = module(*(torch.tensor([part]) for part in (row.tokens, mask, row.types, row.span)))
        theirs.append(float(scored))
    ours = shipped.scores(QUESTION, TEXTS)
    assert ours.shape == (len(TEXTS),)
    assert ours.dtype == np.float32
    assert np.ptp(theirs) > 4 * NEAR
    assert np.allclose(ours, theirs, atol=NEAR)


def test_scores_depend_neither_on_the_order_nor_on_the_company(shipped: Reader) -> None:
    texts = [
        TEXTS[at % len(TEXTS)]._replace(sentence=f"Gas is {at}. " * (1 + 7 * at % 23)) for at in range(40)
    ]
    together = shipped.scores(QUESTION, texts)
    assert np.allclose(shipped.scores(QUESTION, texts[::-1])[::-1], together, atol=NEAR)
    alone = np.concatenate([shipped.scores(QUESTION, [text]) for text in texts[:5]])
    assert np.allclose(alone, together[:5], atol=NEAR)


def test_nothing_is_scored_as_nothing(shipped: Reader) -> None:
    assert shipped.scores(QUESTION, []).shape == (0,)


@pytest.mark.parametrize(
    ("question", "about", "right", "wrong"),
    [
        (
            QUESTION,
            "EIP-1559 (Final) The fee market of EIP-1559 § How the base fee moves",
            "When a block is full, twice its target, the base fee of the next block rises by one eighth, or"
            " 12.5 percent.",
            "A sender also names `max_fee_per_gas`, the most that both fees together may come to; what is not"
            " needed is never charged.",
        ),
        (
            "how long must nodes keep blobs",
            "EIP-4844 (Final) EIP-4844 blob transactions § How long blobs stay",
            "Nodes must serve blob sidecars for 4,096 epochs, which is about 18 days.",
            "The execution layer never stores blobs.",
        ),
        (
            "Why can a blob transaction not create a contract?",
            "EIP-4844 (Final) EIP-4844 blob transactions § What a blob is",
            "A blob transaction cannot create a contract, because its `to` field must be an address.",
            "A transaction of type `0x03` carries only the versioned hash of each blob; the blobs travel"
            " beside the block as sidecars.",
        ),
        (
            "Wie viele Wörter hat die Liste, aus der ein Mnemonic gebildet wird?",
            "BIP-39 mnemonic sentences § From entropy to words",
            "The whole is cut into groups of 11 bits, and each group picks one of 2,048 words.",
            "A wallet draws 128 to 256 bits of entropy, a multiple of 32.",
        ),
    ],
    ids=["how much", "how long", "why", "in German"],
)
def test_an_answer_scores_above_its_neighbour(
    shipped: Reader, question: str, about: str, right: str, wrong: str
) -> None:
    scores = shipped.scores(question, [InContext(about, "", text, "") for text in (wrong, right)])
    assert scores[1] > scores[0] + NEAR


TEXT = st.text(max_size=60) | st.text("ab ₿费", min_size=300, max_size=900)


@given(question=TEXT, text=st.builds(InContext, TEXT, TEXT, TEXT, TEXT))
def test_the_span_is_the_sentence_between_its_marks(
    encoder: Encoder, tokenizer: Tokenizer, question: str, text: InContext
) -> None:
    [row] = encoder.encode(question, [text])
    assert len(row.tokens) == len(row.types) == len(row.span) <= 512
    assert row.types == sorted(row.types)
    at = row.tokens.index(tokenizer.token_to_id("[unused0]")) + 1
    end = at + sum(row.span)
    assert row.span == [0] * at + [1] * (end - at) + [0] * (len(row.span) - end)
    assert row.tokens[end] == tokenizer.token_to_id("[unused1]")
    sentence = tokenizer.encode(text.sentence, add_special_tokens=False).ids
    assert row.tokens[at:end] == sentence[:120]
    assert row.tokens[0] == tokenizer.token_to_id("[CLS]")
    assert row.tokens[row.types.index(1) - 1] == row.tokens[-1] == tokenizer.token_to_id("[SEP]")


def test_a_text_is_encoded_alike_in_any_company(encoder: Encoder) -> None:
    together = encoder.encode(QUESTION, TEXTS)
    assert together == [row for text in TEXTS for row in encoder.encode(QUESTION, [text])]


@pytest.mark.slow
def test_a_damaged_adapter_is_named(tmp_path: Path) -> None:
    file = tmp_path / "reader.safetensors"
    file.write_bytes(ADAPTER.read_bytes()[:100_000])
    with pytest.raises(ModelError, match="pip install --force-reinstall") as caught:
        Reader(file).scores(QUESTION, TEXTS)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_an_adapter_without_a_part_makes_no_module(tmp_path: Path) -> None:
    parts = load_file(ADAPTER)
    for lacking in ("head.weight", "encoder.layer.3.output.dense.B", "encoder.layer.0.output.dense.bias"):
        file = tmp_path / f"without-{lacking}.safetensors"
        save_file({name: value for name, value in parts.items() if name != lacking}, file)
        with pytest.raises(KeyError, match=re.escape(lacking.removesuffix(".B"))):
            reader(str(packaged_weights()), str(file))


def test_an_adapter_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.safetensors cannot be read"):
        Reader(tmp_path / "none.safetensors").scores(QUESTION, TEXTS)


def test_a_cache_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    program = "from index.reader import READER, InContext as I; READER.scores('fee', [I('', '', 'burn', '')])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "file")},
        capture_output=True,
        encoding="utf-8",
        timeout=HANG,
    )
    assert done.returncode != 0
    assert "ModelError" in done.stderr.splitlines()[-1]
    assert "XDG_CACHE_HOME" in done.stderr.splitlines()[-1]
