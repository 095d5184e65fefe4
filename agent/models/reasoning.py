"""Reasoning that a model writes into the text of its answer between tags, taken out as the text comes."""

from __future__ import annotations

import re

_PAIRS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<seed:think>": "</seed:think>",
    "[think]": "[/think]",
    "◁think▷": "◁/think▷",
    "<|begin_of_thought|>": "<|end_of_thought|>",
    "<|channel|>analysis": "<|channel|>final<|message|>",
}
"""What opens and closes reasoning, by DeepSeek and Qwen, Seed, Magistral, Kimi, OpenThinker, gpt-oss."""

_CALL = "<tool_call>"
"""What opens a tool call that Hermes or Qwen writes as text, where its server does not read it."""

_LEADING = {
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<reflection>": "</reflection>",
    "<scratchpad>": "</scratchpad>",
}
"""Words that an answer might use itself: they open reasoning before its first word alone."""

_CLOSES = {**_PAIRS, **_LEADING, _CALL: "</tool_call>"}
_ANYWHERE = {_CALL, *_PAIRS, *_PAIRS.values()}
_TAGS = (*_CLOSES, *_CLOSES.values())
_TAG = re.compile("|".join(map(re.escape, _TAGS)), re.IGNORECASE)
_LONGEST = max(map(len, _TAGS))
_SIGNS = {tag[0] for tag in _TAGS}


class UnopenedReasoning(ValueError):
    """Reasoning was closed that no tag had opened, after it was taken for the answer."""


class ReasoningFilter:
    r"""Passes the words of an answer on, without reasoning and tool calls. For one answer.

    calls: the text of each call that stood among the words.
    hold: whether all is kept back until reasoning is closed, or the answer ends: for models whose prompt
    ends with the opening tag, so that only the closing one is seen.

    >>> words = ReasoningFilter()
    >>> [words.feed(piece) for piece in ("<thi", "nk>Hm.</th", "ink>\n\nThe", " fee.")] + [words.end()]
    ['', '', 'The', ' fee.', '']
    """

    def __init__(self, hold: bool = False) -> None:
        self._hold = hold
        self._held = self._pending = self._close = self._call = ""
        self._shown = False
        self.calls: list[str] = []

    def feed(self, text: str) -> str:
        """What may be shown now. Raises UnopenedReasoning where what was shown turns out to be reasoning."""
        self._pending += text
        out, self._held = self._held, ""
        while (found := self._next_tag(out)) is not None:
            before, tag = self._pending[: found.start()], found[0].lower()
            self._pending = self._pending[found.end() :]
            if self._close:
                self._set_aside(before, ends=True)
            elif tag in _CLOSES:
                out, self._close = out + before, _CLOSES[tag]
            elif self._shown:
                raise UnopenedReasoning
            else:
                out, self._hold = "", False
        ready = len(self._pending) - _partial(self._pending)
        text, self._pending = self._pending[:ready], self._pending[ready:]
        if self._close:
            self._set_aside(text)
        else:
            out += text
        if self._hold:
            self._held = out
            return ""
        return self._passed(out)

    def end(self) -> str:
        """What is left to be shown at the end of the answer."""
        rest = "" if self._close else self._pending
        if self._close:
            self._set_aside(self._pending, ends=True)
        held, self._held, self._pending = self._held, "", ""
        return self._passed(held + rest)

    def _set_aside(self, text: str, ends: bool = False) -> None:
        """Keeps the text of a call, and forgets that of reasoning. ends: whether it is the last of it."""
        if self._close == _CLOSES[_CALL]:
            self._call += text
        if ends and self._close == _CLOSES[_CALL]:
            self.calls.append(self._call)
        if ends:
            self._close = self._call = ""

    def _next_tag(self, out: str) -> re.Match[str] | None:
        """The next tag that means something where it stands. out: the text before `_pending`."""
        for found in _TAG.finditer(self._pending):
            tag = found[0].lower()
            if self._close:
                if tag == self._close:
                    return found
            elif tag in _ANYWHERE or (tag in _LEADING and not self._begun(out, found.start())):
                return found
        return None

    def _begun(self, out: str, at: int) -> bool:
        """Whether the answer has words before a place of `_pending`."""
        return self._shown or bool((out + self._pending[:at]).strip())

    def _passed(self, text: str) -> str:
        """Text of the answer, without the blanks before its first word."""
        text = text if self._shown else text.lstrip()
        self._shown |= bool(text)
        return text


def _partial(text: str) -> int:
    """How many characters at the end may be the beginning of a tag."""
    tail = text[-_LONGEST + 1 :].lower()
    starts = (at for at, sign in enumerate(tail) if sign in _SIGNS)
    return next((len(tail) - at for at in starts if any(tag.startswith(tail[at:]) for tag in _TAGS)), 0)
