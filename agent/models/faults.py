"""What can go wrong with a chat endpoint, as errors of our own that say whether a retry may help.

The vendor's errors are translated here and nowhere else. The client itself raises none where a stream ends
without a finish reason, and a bare `JSONDecodeError`, or what a missing field leads to, for malformed ones.
"""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Mapping

import httpx2
import openai
from langchain_core.exceptions import ContextOverflowError

from agent.records.privacy import mask
from index.errors import ModelError, Unavailable

MALFORMED = (ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError, RecursionError)
"""What the client and langchain raise when an answer is not what it should be."""

VENDOR = (openai.OpenAIError, httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError, *MALFORMED)
"""Everything that a request may raise, apart from our own errors and being cancelled."""

_SAID = 200
"""Characters of an endpoint's own words that a message repeats."""

_CUT_SHORT = re.compile(
    r"(?:model_)?length|max_(?:output_|completion_|new_)?tokens|token_limit", re.IGNORECASE
)
_WITHHELD = re.compile(
    r"content[_-]?filter(?:ed)?|safety|recitation|blocklist|prohibited_content|spii|refusal|sensitive",
    re.IGNORECASE,
)
_FAILED = re.compile(
    r"error|abort(?:ed)?|cancel(?:led)?|timeout|network_error|insufficient_system_resource"
    r"|(?:engine_)?overloaded|malformed_function_call",
    re.IGNORECASE,
)
"""What OpenAI, Gemini, Mistral, DeepSeek, vLLM and others call an end that is none."""

_PASSING = {408, 409, 425, 429}
"""HTTP statuses under 500 after which the same request may succeed."""


def translate(error: Exception, model: str, url: str) -> ModelError:
    """Our error for one of VENDOR. model: the model asked; url: the endpoint."""
    match error:
        case ContextOverflowError():
            return too_long(model, _said(error))
        case openai.APIStatusError():
            return _status(error, model, url)
        case openai.LengthFinishReasonError():
            return cut_short(model)
        case openai.ContentFilterFinishReasonError():
            return withheld(model)
        case openai.APITimeoutError() | httpx2.TimeoutException() | TimeoutError():
            return Unavailable(
                f"{url} did not answer in time; raise CHAINCITE_STALL_TIMEOUT or CHAINCITE_REQUEST_TIMEOUT,"
                " or try again",
                "timeout",
            )
        case openai.APIResponseValidationError() | httpx2.DecodingError():
            return malformed(model, url)
        case openai.APIConnectionError() | httpx2.HTTPError() | httpx2.StreamError() | OSError():
            return Unavailable(
                f"the connection to {url} failed ({_cause(error)}); check CHAINCITE_BASE_URL and the network,"
                " or try again"
            )
        case openai.APIError():
            return Unavailable(f"{model} failed in its answer ({_said(error)}); try again", "server")
        case openai.OpenAIError() | httpx2.InvalidURL():
            return ModelError(f"{url} cannot be asked ({_said(error)}); check CHAINCITE_BASE_URL", "request")
    return malformed(model, url)


def malformed(model: str, url: str) -> Unavailable:
    """The error for an answer that is not as the interface wants it."""
    return Unavailable(
        f"{url} sent an answer of {model} that cannot be read; try again, and check that CHAINCITE_BASE_URL"
        " is the address of an OpenAI-compatible interface, which mostly ends in /v1",
        "malformed",
    )


def unfinished(finish: str | None, model: str) -> ModelError | None:
    """The error for an answer that ended so; None where it is complete. finish: its finish reason.

    Endpoints have words of their own for an end (`eos`, `end_turn`, `STOP`); those for a bad one are few.
    """
    if finish is None:
        return Unavailable(f"the answer of {model} broke off before its end; try again", "truncated")
    if is_cut_short(finish):
        return cut_short(model)
    if _WITHHELD.fullmatch(finish):
        return withheld(model)
    if _FAILED.fullmatch(finish):
        return Unavailable(f"{model} gave its answer up ({mask(finish)}); try again", "unfinished")
    return None


def is_cut_short(finish: str) -> bool:
    """Whether this finish reason says that the answer had no room to end."""
    return _CUT_SHORT.fullmatch(finish) is not None


def cut_short(model: str) -> ModelError:
    """The error for an answer that had no room to end."""
    return ModelError(
        f"{model} had no room to finish its answer: the tokens kept for the answer are too few; raise"
        " --budget, or ask for less",
        "length",
    )


def no_room_to_reason(model: str) -> Unavailable:
    """The error for an answer that was all reasoning, before its model is given more room."""
    return Unavailable(f"{model} spent the tokens of its answer on reasoning; it is given more", "length")


def empty(model: str) -> Unavailable:
    """The error for an answer that ended well and says nothing."""
    return Unavailable(f"{model} answered with nothing at all; try again", "empty")


def withheld(model: str) -> ModelError:
    """The error for an answer that the endpoint's filter kept back."""
    return ModelError(
        f"the endpoint of {model} withheld the answer (content filter); ask in other words", "content_filter"
    )


def too_long(model: str, said: str) -> ModelError:
    """The error for a request that is longer than the model's window."""
    return ModelError(
        f"the request is longer than {model} can take ({said}); set CHAINCITE_WINDOW to what it can", "window"
    )


def _status(error: openai.APIStatusError, model: str, url: str) -> ModelError:
    status, said = error.status_code, f"{error.status_code}: {_said(error)}"
    if status == 401:
        return ModelError(
            f"{url} refuses the key ({said}); set OPENAI_API_KEY to one that is valid there", "key"
        )
    if status == 403:
        return ModelError(f"{url} does not allow this key to use {model} ({said})", "key")
    if status == 404:
        return ModelError(
            f"{url} knows no model {model!r} ({said}); choose another with --model or CHAINCITE_MODEL",
            "model",
        )
    if status == 402 or error.code == "insufficient_quota":
        return ModelError(f"the account at {url} has no credit left ({said})", "credit")
    if error.code == "content_filter":
        return withheld(model)
    if error.code == "context_length_exceeded":
        return too_long(model, said)
    if status in _PASSING or status >= 500:
        reason = "rate_limit" if status == 429 else "server"
        message = f"{url} cannot answer now ({said}); try again later, or name --fallback models"
        return Unavailable(message, reason, retry_after(error.response.headers))
    return ModelError(f"{url} refuses the request to {model} ({said})", "request")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that an answer asks to wait, by Retry-After in seconds or as a date (RFC 9110, 10.2.3).

    >>> retry_after({"retry-after": "1.5"}), retry_after({"retry-after": "soon"})
    (1.5, None)
    """
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        text = headers.get(name, "")
        try:
            seconds = float(text) / scale
        except ValueError:
            continue
        return seconds if math.isfinite(seconds) and seconds >= 0 else None
    try:
        at = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    return max(at.timestamp() - time.time(), 0.0)


def _said(error: Exception) -> str:
    """An endpoint's own words, short, in one line, without keys."""
    body = getattr(error, "body", None)
    words = body.get("message") if isinstance(body, Mapping) else None
    text = mask(" ".join(str(words or getattr(error, "message", "") or type(error).__name__).split()))
    return text if len(text) <= _SAID else f"{text[:_SAID]}…"


def _cause(error: BaseException) -> str:
    """What lies at the bottom of an error of the connection."""
    while error.__cause__ is not None:
        error = error.__cause__
    return mask(" ".join(str(error).split()))[:_SAID] or type(error).__name__
