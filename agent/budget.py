"""Tokens, counted as the chat model counts them, and the budget that a question may spend."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from index.errors import BudgetError

if TYPE_CHECKING:
    from bpe_openai import Encoding

EncodingName = Literal["o200k_base", "cl100k_base"]

_SLICE = 40_000
"""Characters counted in one go: four tokens a character at worst stay under the counter's own limit."""


@cache
def _encoding(name: EncodingName) -> Encoding:
    import bpe_openai

    return bpe_openai.get_encoding(name)


def count_tokens(text: str, encoding: EncodingName = "o200k_base") -> int:
    """The tokens of `text`. Names of special tokens count as the ordinary text they are.

    A text over 40,000 characters is counted in slices, each cut adding at most a token or two.

    >>> count_tokens("hello world")
    2
    """
    encode = _encoding(encoding).encode_ordinary
    return sum(len(encode(text[at : at + _SLICE])) for at in range(0, len(text), _SLICE))


@dataclass(frozen=True, slots=True)
class Budget:
    """The tokens of one question: all of them, the question's own, and what the answer is promised."""

    total: int
    question: int
    reserve: int
    encoding: EncodingName = "o200k_base"

    @classmethod
    def plan(cls, question: str, total: int, encoding: EncodingName = "o200k_base") -> Budget:
        """Sets aside the question, then a fifth of `total` for the answer; the rest is for evidence.

        Raises BudgetError when the question and the reserve leave nothing.

        >>> Budget.plan("hello world", 1000).room
        798
        """
        asked, reserve = count_tokens(question, encoding), total // 5
        if asked + reserve >= total:
            raise BudgetError(
                f"the question takes {asked} tokens and the answer is promised {reserve}, which leaves no "
                f"room for evidence in a budget of {total}; ask in fewer words or raise --budget "
                f"above {asked * 5 // 4 + 1}"
            )
        return cls(total=total, question=asked, reserve=reserve, encoding=encoding)

    @property
    def room(self) -> int:
        """The tokens left for evidence."""
        return self.total - self.question - self.reserve

    def count(self, text: str) -> int:
        """The tokens of `text` in this budget's encoding."""
        return count_tokens(text, self.encoding)
