"""Shards against brute force in NumPy."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from index import shards, tables
from index.embed import Vectors
from index.errors import LibraryError

Rows = tuple[Any, Vectors]

whole_numbers = st.integers(-3, 3).map(np.float32)
"""Small whole numbers: their products are exact in float32, and many of them tie."""


def rows_of(make: Callable[..., Any], uri: str, vectors: Vectors) -> Any:
    _, passages = make(uri, [f"passage {at} of {uri}. " for at in range(len(vectors))])
    return tables.passage_rows(passages, vectors)


def matrices(rows: st.SearchStrategy[int]) -> st.SearchStrategy[Vectors]:
    return rows.flatmap(lambda n: arrays(np.float32, (n, 4), elements=whole_numbers))


def brute_force(keys: Any, vectors: Vectors, query: Vectors, k: int) -> tuple[list[int], list[float]]:
    scores = vectors @ query
    best = np.lexsort((keys, -scores))[:k]
    return keys[best].tolist(), scores[best].tolist()


@settings(max_examples=60)
@given(
    batches=st.lists(matrices(st.integers(1, 12)), min_size=1, max_size=5),
    query=arrays(np.float32, 4, elements=whole_numbers),
    k=st.integers(1, 30),
    data=st.data(),
)
def test_search_is_brute_force_with_ties_by_key_inside_a_filter(
    make: Callable[..., Any], batches: list[Vectors], query: Vectors, k: int, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made: tuple[shards.Shard, ...] = ()
        for at, vectors in enumerate(batches):
            rows = rows_of(make, f"doc:{at}", vectors)
            made = shards.extend(Path(folder), made, (), rows, vectors)
        opened = shards.Shards(Path(folder), made)
        keys = opened.keys
        vectors = np.concatenate([shards.Opened(Path(folder), shard).matrix for shard in made])
        found, scores = opened.search(query, k)
        assert (found.tolist(), scores.tolist()) == brute_force(keys, vectors, query, k)

        allowed = np.array(sorted(data.draw(st.sets(st.sampled_from(keys.tolist())))), np.int64)
        inside = np.isin(keys, allowed)
        found, scores = opened.search(query, k, allowed)
        assert (found.tolist(), scores.tolist()) == brute_force(keys[inside], vectors[inside], query, k)


@settings(max_examples=40)
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8), gone=st.sets(st.integers(0, 7)))
def test_merging_and_deleting_keep_every_other_row_with_its_vector(
    make: Callable[..., Any], sizes: list[int], gone: set[int]
) -> None:
    rng = np.random.default_rng(sum(sizes))
    wanted: dict[int, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        made: tuple[shards.Shard, ...] = ()
        for at, size in enumerate(sizes):
            vectors = rng.normal(size=(size, 4)).astype(np.float32)
            rows = rows_of(make, f"doc:{at}", vectors)
            made = shards.extend(Path(folder), made, (), rows, vectors)
            if at not in gone:
                wanted |= dict(zip(rows["key"].to_pylist(), vectors.tolist(), strict=True))
        documents = {tables.document_key(f"doc:{at}") for at in gone}
        nothing = rows_of(make, "doc:none", np.empty((0, 4), np.float32))
        left = shards.extend(Path(folder), made, documents, nothing, np.empty((0, 4), np.float32))
        seen: dict[int, list[float]] = {}
        for shard in left:
            part = shards.Opened(Path(folder), shard)
            assert list(part.faults()) == []
            seen |= dict(zip(part.rows["key"].to_pylist(), part.matrix.tolist(), strict=True))
        assert seen == wanted
        assert sum(shard.count for shard in left) == len(wanted)


def test_many_small_additions_leave_few_shards(make: Callable[..., Any], tmp_path: Path) -> None:
    made: tuple[shards.Shard, ...] = ()
    for at in range(64):
        vectors = np.full((1, 4), at, np.float32)
        made = shards.extend(tmp_path, made, (), rows_of(make, f"doc:{at}", vectors), vectors)
    assert sum(shard.count for shard in made) == 64
    assert len(made) <= 7


def test_a_passage_that_is_not_there_is_never_answered_with_another(
    make: Callable[..., Any], tmp_path: Path
) -> None:
    vectors = np.eye(4, dtype=np.float32)
    opened = shards.Shards(
        tmp_path, shards.extend(tmp_path, (), (), rows_of(make, "doc:a", vectors), vectors)
    )
    there = sorted(opened.keys.tolist())
    assert [passage.key for passage in opened.passages(reversed(there))] == there[::-1]
    for absent in (there[0] - 1, there[0] + 1, there[-1] + 1):
        with pytest.raises(KeyError):
            opened.passages([absent])


@pytest.mark.parametrize("suffix", [".faiss", ".arrow"])
def test_a_missing_file_names_the_command_that_mends_it(
    make: Callable[..., Any], tmp_path: Path, suffix: str
) -> None:
    vectors = np.eye(4, dtype=np.float32)
    [shard] = shards.extend(tmp_path, (), (), rows_of(make, "doc:a", vectors), vectors)
    (tmp_path / f"{shard.name}{suffix}").unlink()
    with pytest.raises(LibraryError, match="doctor --repair"):
        shards.Shards(tmp_path, [shard]).search(vectors[0], 1)
    assert len(list(shards.Opened(tmp_path, shard).faults())) == 1
