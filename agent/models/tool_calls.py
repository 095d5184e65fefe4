"""Tool calls put together from the pieces of a stream, however an endpoint numbers, names and quotes them."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ToolCall

from index.errors import ModelError

_DECORATED = re.compile(r"(?:functions?\.)?([\w-]+?)(?::\d+)?")
"""A name, and what gpt-oss and Kimi put around it: `functions.search:0`."""


UNREAD = "unread"
"""The one argument of a call that could not be read: what came instead of arguments."""


@dataclass
class _Call:
    """A call so far. arguments: JSON text; index: None where the endpoint gives none."""

    index: int | None
    id: str = ""
    name: str = ""
    arguments: str = ""


class ToolCalls:
    """The tool calls of one answer.

    A piece goes on with the call of its index, else with the last one. It begins another call where it has
    another id, or a name of its own although the call before is complete.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, pieces: Iterable[Any]) -> None:
        """Takes the pieces of a delta; what is no object, or says nothing of a call, is passed over."""
        for piece in pieces:
            if isinstance(piece, Mapping):
                function = piece.get("function")
                self._add(piece, function if isinstance(function, Mapping) else piece)

    def _add(self, piece: Mapping[str, Any], function: Mapping[str, Any]) -> None:
        index, name, given = piece.get("index"), _text(function.get("name")), function.get("arguments")
        if not (name or given is not None or piece.get("id")):
            return
        call = self._continued(index if isinstance(index, int) else None, _text(piece.get("id")), name)
        call.name = call.name or name
        if isinstance(given, str):
            call.arguments += given
        elif given is not None:
            call.arguments = json.dumps(given)

    def _continued(self, index: int | None, id_: str, name: str) -> _Call:
        same = [call for call in self._calls if index is None or call.index in (index, None)]
        call = same[-1] if same else None
        if call is None or self._is_another(call, id_, name):
            call = _Call(index, id_)
            self._calls.append(call)
        call.id = call.id or id_
        return call

    @staticmethod
    def _is_another(call: _Call, id_: str, name: str) -> bool:
        """Whether a piece of this id and name is of another call; some endpoints repeat both each time."""
        if id_ and call.id:
            return id_ != call.id
        return bool(name and call.name and call.arguments) and parsed(call.arguments) is not None

    def add_text(self, text: str) -> None:
        """Takes a call that a model wrote among its words: an object of a name and arguments."""
        given = parsed(text)
        if given is None:
            self._calls.append(_Call(None, arguments=text))
        else:
            arguments = given.get("arguments", given.get("parameters"))
            self._calls.append(_Call(None, name=_text(given.get("name")), arguments=json.dumps(arguments)))

    def finished(self) -> list[dict[str, Any]]:
        """The calls as the interface has them; ids are unique.

        Arguments that are not one whole JSON object are a JSON string of what came instead: langchain keeps
        such a call as invalid, where it would complete and run what was cut off.
        """
        seen: set[str] = set()
        return [self._finished(at, call, seen) for at, call in enumerate(self._calls)]

    @staticmethod
    def _finished(at: int, call: _Call, seen: set[str]) -> dict[str, Any]:
        known = call.id if call.id and call.id not in seen else f"call_{uuid.uuid4().hex[:24]}"
        seen.add(known)
        bare = _DECORATED.fullmatch(call.name.strip())
        arguments = parsed(call.arguments)
        text = json.dumps(call.arguments if arguments is None else arguments)
        function = {"name": bare[1] if bare else call.name.strip() or "?", "arguments": text}
        return {"index": at, "id": known, "type": "function", "function": function}


def parsed(arguments: str) -> dict[str, Any] | None:
    """The arguments of a call; those that are quoted twice too. None for what is not one whole JSON object.

    >>> parsed('{"query": "fee"}'), parsed('"{}"'), parsed(''), parsed('{"query": "fe')
    ({'query': 'fee'}, {}, {}, None)
    """
    if not arguments.strip():
        return {}
    try:
        found = json.loads(arguments, strict=False)
        found = json.loads(found, strict=False) if isinstance(found, str) and found.strip() else found
    except (ValueError, RecursionError):
        return None
    if found is None or found == "":
        return {}
    return found if isinstance(found, dict) else None


def with_calls(message: BaseMessage, offered: bool) -> BaseMessage:
    """An answer whose calls can be run or refused: one that does not parse has what came as its argument.

    Raises ModelError where it does nothing but call tools that were not offered.
    """
    if not isinstance(message, AIMessage) or not (message.tool_calls or message.invalid_tool_calls):
        return message
    unread = [
        ToolCall(name=call["name"] or "?", args={UNREAD: call["args"]}, id=call["id"], type="tool_call")
        for call in message.invalid_tool_calls
    ]
    if not offered and not message.text.strip():
        raise ModelError(
            "the model only calls tools, of which it has no more; raise CHAINCITE_MAX_TOOL_CALLS or"
            " CHAINCITE_MAX_REQUESTS, or choose another --model",
            "empty",
        )
    calls = [*message.tool_calls, *unread] if offered else []
    return message.model_copy(update={"tool_calls": calls, "invalid_tool_calls": []})


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
