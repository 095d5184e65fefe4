"""What a model at its endpoint does not take: learnt from its refusals, kept in the library, done without.

Endpoints that speak OpenAI's interface differ in the optional parts of a request: some know `max_tokens`
alone, some refuse `stream_options`, a temperature, tools or a JSON schema. What is refused once is left out
from then on, for `DAYS`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from agent.models.refusals import SYSTEM
from agent.records.daily import Daily
from agent.records.privacy import mask

DAYS = 30
"""How long a refusal is remembered; by then the endpoint may be a newer one."""

ROOM = "room"
"""The model spends tokens on reasoning before its answer, and needs more than the answer does."""

UNOPENED = "unopened reasoning"
"""The model's answers begin within reasoning: only its end is marked."""

MORE_ROOM = 4
"""How many times the tokens of its answer a model that reasons may use."""

_CONSEQUENCES = {
    "max_completion_tokens": "does not take `max_completion_tokens`: it is sent `max_tokens` instead",
    "tools": "does not take `tools`: it answers from the first evidence and cannot search further",
    "stream": "does not take `stream`: its answers come whole",
    SYSTEM: "does not take a system message: its instructions stand in the question",
    ROOM: f"reasons before it answers: it is given {MORE_ROOM} times the tokens of the answer",
    UNOPENED: "does not mark where its reasoning begins: its answers are shown when they end",
}

_CAPS = ("max_completion_tokens", "max_tokens")
_TOOLS = ("tools", "tool_choice", "parallel_tool_calls")

_log = logging.getLogger(__name__)


class Capabilities:
    """What is known of one model at one endpoint. told: where what is learnt is said, for a person."""

    def __init__(self, library: Path, url: str, model: str, told: list[str]) -> None:
        self._daily = Daily(library / "endpoints", DAYS)
        self._url, self._model, self._told = mask(url), mask(model), told
        self._lacking = _remembered(self._daily.folder, self._url, self._model)

    def lacks(self, what: str) -> bool:
        """Whether this was learnt: a part of a request that is refused, `ROOM` or `UNOPENED`."""
        return what in self._lacking

    def learn(self, what: str) -> bool:
        """Remembers something and tells it; False where it was known."""
        if what in self._lacking:
            return False
        self._lacking.add(what)
        consequence = _CONSEQUENCES.get(what, f"does not take `{what}`: it is asked without")
        self._told.append(f"{self._model} at {self._url} {consequence}")
        try:
            now = datetime.now(UTC).isoformat()
            self._daily.append({"time": now, "url": self._url, "model": self._model, "lacks": what})
        except OSError as error:
            _log.warning("%s cannot be written (%s)", self._daily.folder, error.strerror)
        return True

    def applied(self, payload: Mapping[str, Any], without: Set[str] = frozenset()) -> dict[str, Any]:
        """A request without what is refused. without: what else is left out this time."""
        lacking = self._lacking | without
        body = dict(payload)
        if "max_completion_tokens" in lacking and "max_completion_tokens" in body:
            body["max_tokens"] = body.pop("max_completion_tokens")
        if "stream" in lacking:
            body["stream"] = False
        if not body["stream"]:
            body.pop("stream_options", None)
        if "tools" in lacking:
            lacking |= {*_TOOLS}
            body["messages"] = _without_calls(body["messages"])
        if SYSTEM in lacking:
            body["messages"] = _without_system(body["messages"])
        if ROOM in lacking:
            body |= {name: MORE_ROOM * body[name] for name in _CAPS if name in body}
        kept = {"model", "messages", "stream"}
        return {name: value for name, value in body.items() if name in kept or name not in lacking}


def forget() -> None:
    """Makes this process read anew what libraries keep of endpoints."""
    _remembered.cache_clear()


@cache
def _remembered(folder: Path, url: str, model: str) -> set[str]:
    """What the library keeps of a model at an endpoint; one set for all of this process."""
    oldest = (datetime.now(UTC) - timedelta(days=DAYS)).isoformat()
    return {
        str(record["lacks"])
        for record in Daily(folder, DAYS).records()
        if (record["url"], record["model"]) == (url, model) and record["time"] > oldest
    }


def _without_calls(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A conversation in which tools were called, as words alone."""
    said: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] == "tool":
            said.append({"role": "user", "content": message["content"]})
        elif message.get("content") or not message.get("tool_calls"):
            said.append({name: value for name, value in message.items() if name != "tool_calls"})
    return said


def _without_system(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A conversation of users and assistants who take turns; instructions stand before the first question."""
    said: list[dict[str, Any]] = []
    for message in messages:
        role = "user" if message["role"] in ("system", "developer") else message["role"]
        if said and said[-1]["role"] == role and role in ("user", "assistant"):
            texts = [str(one.get("content") or "") for one in (said[-1], message)]
            said[-1] = {**said[-1], **message, "role": role, "content": "\n\n".join(filter(None, texts))}
        else:
            said.append({**message, "role": role})
    return said
