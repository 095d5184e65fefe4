"""A conversation as it can be sent: plain text, tool calls with their results, the newest of it that fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

Count = Callable[[Sequence[BaseMessage]], int]
"""Gives the tokens of messages."""

_SHORTENED = " […shortened]"


def newest(groups: Sequence[list[BaseMessage]], room: int, count: Count) -> list[BaseMessage]:
    """The newest groups that fit into so many tokens, the oldest of them shortened if need be."""
    kept: list[list[BaseMessage]] = []
    for group in reversed(groups):
        tokens = count(group)
        kept.append(group if tokens <= room else _shortened(group, room, count))
        if tokens > room:
            break
        room -= tokens
    return [message for group in reversed(kept) for message in group]


def turns(messages: Sequence[BaseMessage]) -> list[list[BaseMessage]]:
    """A conversation in turns, each from what a person said until the next."""
    found: list[list[BaseMessage]] = []
    for step in steps(messages):
        if found and not isinstance(step[0], HumanMessage):
            found[-1].extend(step)
        else:
            found.append(list(step))
    return found


def steps(messages: Sequence[BaseMessage]) -> list[list[BaseMessage]]:
    """Messages as plain text, in groups that stand or fall together: a tool call with all its results.

    A call without its results, and results without a call, are left out: no endpoint takes them.
    """
    found: list[list[BaseMessage]] = []
    at = 0
    while at < len(messages):
        message = messages[at]
        at += 1
        if isinstance(message, ToolMessage):
            continue
        step = [_plain(message)]
        if isinstance(message, AIMessage) and message.tool_calls:
            while at < len(messages) and isinstance(messages[at], ToolMessage):
                step.append(_plain(messages[at]))
                at += 1
            if not _is_paired(message, step[1:]):
                continue
        found.append(step)
    return found


def sendable(text: str) -> str:
    """The text without halves of characters, which no request can hold."""
    return text.encode("utf-8", "replace").decode()


def _shortened(group: Sequence[BaseMessage], room: int, count: Count) -> list[BaseMessage]:
    """A group with its longest text cut until it fits; empty where that is not enough."""
    at = max(range(len(group)), key=lambda one: len(group[one].text))
    text = group[at].text
    keep = len(text)
    while keep > 0:
        short = group[at].model_copy(update={"content": f"{text[:keep]}{_SHORTENED}"})
        cut = [*group[:at], short, *group[at + 1 :]]
        tokens = count(cut)
        if tokens <= room:
            return cut
        longest = count([short])
        keep = min(keep - 1, keep * (longest - tokens + room) // longest)
    return []


def _is_paired(call: AIMessage, results: Sequence[BaseMessage]) -> bool:
    wanted = [str(one["id"]) for one in call.tool_calls]
    given = [one.tool_call_id for one in results if isinstance(one, ToolMessage)]
    return len(set(wanted)) == len(wanted) and sorted(wanted) == sorted(given)


def _plain(message: BaseMessage) -> BaseMessage:
    """A message with nothing but its text, its tool calls and what ties them together."""
    text = sendable(message.text)
    if isinstance(message, ToolMessage):
        return ToolMessage(text, tool_call_id=message.tool_call_id, name=message.name)
    if isinstance(message, AIMessage):
        return AIMessage(text, tool_calls=message.tool_calls)
    return SystemMessage(text) if isinstance(message, SystemMessage) else HumanMessage(text)
