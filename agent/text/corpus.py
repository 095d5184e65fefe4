"""What the analysis of text asks of a library: vectors, stems, and how common a stem is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt


class Corpus(Protocol):
    """What is known of the texts that a question is answered from."""

    @property
    def size(self) -> int:
        """How many passages there are."""
        ...

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Rows of unit length, shape (len(texts), dimension)."""
        ...

    def stems(self, text: str) -> list[str]:
        """The terms of a text as the word index knows them."""
        ...

    def frequencies(self, stems: Sequence[str]) -> Sequence[int]:
        """In how many passages each stem stands."""
        ...


def information(found: int, size: int) -> float:
    """The information of a stem that `found` of `size` passages hold: BM25's idf, 1 for an unknown word."""
    found = min(found, size)
    return math.log(1 + (size - found + 0.5) / (found + 0.5)) / math.log(1 + (size + 0.5) / 0.5)
