"""The reader: a small cross-encoder that tells how well a sentence, in its context, answers a question.

It is all-MiniLM-L6-v2 with a low-rank adapter (`reader.safetensors`, made by `evals.reader`), over

    [CLS] question [SEP] about, what stands before [unused0] sentence [unused1] what stands after [SEP]

and a linear head over the first token and the mean of the sentence's tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from index.network import Network, batches_by_length, packaged_weights, padded
from index.once import once

ADAPTER = Path(__file__).with_name("reader.safetensors")
_QUESTION, _ABOUT, _BEFORE, _SENTENCE, _AFTER = 56, 40, 36, 120, 20
"""Tokens that are read of each part."""


class InContext(NamedTuple):
    """A sentence with what helps to read it: its document and heading, and the text around it."""

    about: str
    before: str
    sentence: str
    after: str


class Encoding(NamedTuple):
    """Token ids; 0 for the question and 1 for the rest; 1 for the tokens of the sentence."""

    tokens: list[int]
    types: list[int]
    span: list[int]


class Encoder:
    """Turns questions and sentences into what the reader reads."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        names = ("[CLS]", "[SEP]", "[unused0]", "[unused1]")
        self._cls, self._sep, self._opens, self._closes = (int(tokenizer.token_to_id(n) or 0) for n in names)

    @classmethod
    def of(cls, weights: Path) -> Encoder:
        """The encoder of the model in a folder."""
        tokenizer = Tokenizer.from_file(str(weights / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return cls(tokenizer)

    def encode(self, question: str, texts: Sequence[InContext]) -> list[Encoding]:
        """One encoding for each text."""
        asked = self._ids([question])[0][:_QUESTION]
        parts = self._ids([part for text in texts for part in text])
        return [self._encoded(asked, *parts[at : at + 4]) for at in range(0, len(parts), 4)]

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def _encoded(
        self, asked: list[int], about: list[int], before: list[int], sentence: list[int], after: list[int]
    ) -> Encoding:
        first = [self._cls, *asked, self._sep]
        above = [*about[:_ABOUT], *before[-_BEFORE:], self._opens]
        words = sentence[:_SENTENCE]
        below = [self._closes, *after[:_AFTER], self._sep]
        tokens = [*first, *above, *words, *below]
        types = [0] * len(first) + [1] * (len(tokens) - len(first))
        span = [0] * len(first + above) + [1] * len(words) + [0] * len(below)
        return Encoding(tokens, types, span)


class Reader:
    """The reader, ready to score; threads may share it."""

    def __init__(self, adapter: Path = ADAPTER) -> None:
        self._adapter = adapter

    def scores(self, question: str, texts: Sequence[InContext]) -> npt.NDArray[np.float32]:
        """How well each text answers, shape (len(texts),): log odds, higher is better.

        Raises ModelError where the model cannot be prepared.
        """
        out = np.empty(len(texts), np.float32)
        rows = self._encoder.encode(question, texts)
        for batch in batches_by_length([len(row.tokens) for row in rows]):
            some = [rows[i] for i in batch]
            tokens, mask, types, span = padded(*([row[part] for row in some] for part in range(3)))
            out[batch] = self._network.run(tokens, mask, types, span)[:, 0]
        return out

    @once
    def _encoder(self) -> Encoder:
        return Encoder.of(packaged_weights())

    @once
    def _network(self) -> Network:
        return Network(packaged_weights(), threads=0, adapter=self._adapter)


READER = Reader()
"""The shipped reader; its model is loaded when it is first asked."""
