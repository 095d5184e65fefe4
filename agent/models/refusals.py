"""What of a request an endpoint refuses, read from its error, whichever server wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import openai

SYSTEM = "system"
"""The role that instructions have; the other names are those of fields of a request."""

_NAMES = {
    "max_completion_tokens": r"max_(?:completion_)?tokens",
    "stream": r"stream(?:ing)?",
    "tools": r"tools?|tool[_ -]?(?:use|calls?|calling|choice)|functions?[_ -]?(?:calls?|calling)?",
    "response_format": r"response_format|json[_ ](?:schema|object|mode)|structured[_ ]outputs?",
    SYSTEM: r"(?:system|developer)['\"`]? (?:role|message|prompt|instruction)s?"
    r"|role:? ?['\"`]?(?:system|developer)|roles? must alternate",
}
"""How errors name a part of a request, beside the field's own name."""

_NEEDED = {"model", "messages"}
_REPEATED = {"input", "ctx", "body", "url"}
"""Keys of an error whose values repeat the request."""

_PLAIN = {400, 415, 422}
"""Statuses that refuse a request; others do so only where they say that something is not supported."""

_PASSING = {401, 402, 403, 407, 408, 409, 425, 429, 502, 503, 504}
_UNSUPPORTED = re.compile(
    r"support|not implemented|not allowed|not permitted|unrecogni[sz]ed|unknown|requires|not enabled",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"context[ _](?:length|window|size)|maximum context|reduce the length|prompt is too long", re.IGNORECASE
)
_UNREAD_CALL = re.compile(
    r"tool_use_failed|failed to (?:call|parse)|tool_call_id|preceding|calls and responses"
    r"|\broles?\b.{0,40}\btool\b|\btool\b.{0,20}\brole\b",
    re.IGNORECASE,
)
"""Words of an endpoint that could not read a call of its model's, or what was said of one."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was refused. lasting: whether the endpoint never takes it, and not just in this request."""

    parts: frozenset[str]
    lasting: bool = True


def refusal_of(error: openai.APIError, body: Mapping[str, Any]) -> Refusal | None:
    """What of a request an error refuses; None where it names nothing that can be left out.

    body: the request as it was sent.
    """
    status, content = _status(error), _content(error)
    text = " ".join(_strings(content))
    if status in _PASSING or _TOO_LONG.search(text):
        return None
    if "tools" in body and _UNREAD_CALL.search(text):
        return Refusal(frozenset({"tools"}), lasting=False)
    if status not in _PLAIN and not _UNSUPPORTED.search(text):
        return None
    parts = _named(error.param, content, text, body)
    return Refusal(parts) if parts else None


def _named(param: object, content: object, text: str, body: Mapping[str, Any]) -> frozenset[str]:
    """The parts of a request that an error names: in a field of its own, else the first in its words."""
    patterns = {
        name: re.compile(rf"\b(?:{_NAMES.get(name, re.escape(name))})\b", re.IGNORECASE)
        for name in _parts(body)
    }
    fields = [*([param] if isinstance(param, str) else ()), *_places(content)]
    if found := {name for name in patterns for field in fields if patterns[name].search(field)}:
        return frozenset(found)
    first = {name: match.start() for name, pattern in patterns.items() if (match := pattern.search(text))}
    if "stream" in first and "tools" in first:
        return frozenset({"stream"})  # tools come in whole answers alone
    return frozenset(sorted(first, key=first.__getitem__)[:1])


def _parts(body: Mapping[str, Any]) -> Iterator[str]:
    """The parts of a request that it can do without."""
    yield from (name for name, value in body.items() if name not in _NEEDED and value is not False)
    if any(message["role"] in ("system", "developer") for message in body["messages"]):
        yield SYSTEM


def _status(error: openai.APIError) -> int:
    """The HTTP status; of an error inside an answer, the number that it gives for one."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code
    code = error.code or ""
    return int(code) if code.isdecimal() else 400


def _content(error: openai.APIError) -> object:
    if not isinstance(error, openai.APIStatusError):
        return error.body
    try:
        return json.loads(error.response.text)
    except ValueError:
        return error.response.text


def _strings(content: object) -> Iterator[str]:
    """The words of an error, without what repeats the request."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping):
        for name, value in content.items():
            yield from _strings(value) if name not in _REPEATED else ()
    elif isinstance(content, Sequence):
        for part in content:
            yield from _strings(part)


def _places(content: object) -> Iterator[str]:
    """Where pydantic found fault: `{"loc": ["body", "temperature"]}` names `temperature`."""
    if isinstance(content, Mapping):
        where = content.get("loc")
        if isinstance(where, list):
            yield next((str(part) for part in where if part != "body"), "")
        for name, value in content.items():
            yield from _places(value) if name not in _REPEATED else ()
    elif isinstance(content, list):
        for part in content:
            yield from _places(part)
