"""What is known of chat models without asking anybody: windows, encodings and prices.

Prices and windows come with the package genai-prices; it fetches newer ones only where `UpdatePrices` is
started, which nothing here does.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING

from agent.requests.budget import EncodingName

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, Provider

UNKNOWN_WINDOW = 8192
"""Tokens that a model of unknown size is trusted to take."""

_MILLION = 1_000_000
_NANO = Decimal("1e-9")


def encoding(model: str) -> EncodingName:
    """The encoding of a model's tokens; `o200k_base` where it is not known, as for other makers' models.

    >>> encoding("gpt-4"), encoding("gpt-4.1-mini"), encoding("some-llama")
    ('cl100k_base', 'o200k_base', 'o200k_base')
    """
    from tiktoken.model import encoding_name_for_model

    try:
        return "cl100k_base" if encoding_name_for_model(model) == "cl100k_base" else "o200k_base"
    except KeyError:
        return "o200k_base"


def window(model: str) -> int:
    """The tokens that a model can take, question and answer together; UNKNOWN_WINDOW where it is not known.

    Where the tokens of a model cannot be counted exactly, being no OpenAI model, a fifth is left unused.
    """
    known = _found(model, None)
    if known is None or known[1].context_window is None:
        return UNKNOWN_WINDOW
    provider, info = known
    exact = provider.id == "openai"
    return info.context_window if exact else info.context_window * 4 // 5  # type: ignore[operator, return-value]


def price(
    model: str,
    tokens_in: int,
    tokens_out: int,
    cached: int = 0,
    *,
    url: str | None = None,
    own: Mapping[str, tuple[float, float]] | None = None,
) -> Decimal | None:
    """US dollars for a call, to a billionth; None where the price of the model is not known.

    cached: how many of tokens_in the endpoint had cached; url: the endpoint; own: dollars for a million
    tokens in and out, by model, which win over what is known.

    >>> price("mine", 1000, 500, own={"mine": (2.0, 4.0)})
    Decimal('0.004000000')
    """
    if own and model in own:
        read, written = (Decimal(str(each)) for each in own[model])
        return ((read * tokens_in + written * tokens_out) / _MILLION).quantize(_NANO)
    from genai_prices import Usage

    if (known := _found(model, url)) is None:
        return None
    provider, info = known
    usage = Usage(input_tokens=tokens_in, output_tokens=tokens_out, cache_read_tokens=cached)
    return info.calc_price(usage, provider).total_price.quantize(_NANO)


@cache
def _found(model: str, url: str | None) -> tuple[Provider, ModelInfo] | None:
    """The model as the endpoint's maker sells it, else as its own maker does."""
    from genai_prices.data_snapshot import get_snapshot

    for place in (url, None) if url else (None,):
        try:
            return get_snapshot().find_provider_model(model, None, None, place)
        except LookupError:
            continue
    return None
