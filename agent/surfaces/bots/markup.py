"""What platforms write text with: Telegram's HTML, Discord's Markdown, and none at all."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html import escape

from agent.surfaces.bots.messages import Block, Span, Text, units

_WEB = re.compile(r"https?://[^\s<>\"]+\Z", re.IGNORECASE)
_LANGUAGE = re.compile(r"[\w+#-]{1,20}")


def web(url: str) -> str:
    """A URL that a message may link to; nothing for files and whatever else is not on the web.

    >>> web("https://example.org/a b(c)"), web("file:///etc/passwd")
    ('https://example.org/a%20b%28c%29', '')
    """
    for one, safe in ((" ", "%20"), ("<", "%3C"), (">", "%3E"), ('"', "%22"), ("(", "%28"), (")", "%29")):
        url = url.replace(one, safe)
    return url if _WEB.match(url) else ""


def _joined(text: Text, write: Callable[[Block], str]) -> str:
    return "".join(("" if number == 0 else block.gap) + write(block) for number, block in enumerate(text))


class TelegramHtml:
    """Telegram's HTML: the limit counts what is read, and a message has no more than 100 entities."""

    limit = 4096
    marks = 100

    def weight(self, span: Span, block: Block) -> int:  # noqa: ARG002
        """Units of what is read."""
        return units(span.text)

    def frame(self, block: Block) -> int:  # noqa: ARG002
        """Markup is not counted."""
        return 0

    def prepare(self, text: Text) -> Text:
        """All of it can be said."""
        return text

    def encode(self, text: Text) -> str:
        """HTML of the tags that Telegram knows.

        >>> TelegramHtml().encode((Block((Span("a < b "), Span("[1]", url="https://x.org", whole=True))),))
        'a &lt; b <a href="https://x.org">[1]</a>'
        """
        return _joined(text, self._block)

    def _block(self, block: Block) -> str:
        if block.kind == "code":
            code = escape("".join(span.text for span in block.spans), quote=False)
            named = _LANGUAGE.fullmatch(block.language)
            return (
                f'<pre><code class="language-{block.language}">{code}</code></pre>'
                if named
                else f"<pre>{code}</pre>"
            )
        body = "".join(map(self._span, block.spans))
        return f"<blockquote>{body}</blockquote>" if block.kind == "quote" else body

    def _span(self, span: Span) -> str:
        text = escape(span.text, quote=False)
        if url := web(span.url):
            return f'<a href="{escape(url)}">{text}</a>'
        tag = {"bold": "b", "italic": "i", "code": "code"}.get(span.style)
        return f"<{tag}>{text}</{tag}>" if tag else text


class DiscordMarkdown:
    """Discord's Markdown: the limit counts the markup too."""

    limit = 2000
    marks = 10_000

    _SPECIAL = re.compile(r"[\\*_~`|>#\[\]<+-]")
    _URL = re.compile(r"(https?://[^\s<>]+)")

    def weight(self, span: Span, block: Block) -> int:
        """Units of the markup; in a quotation each line has its mark."""
        if block.kind == "code":
            return units(self._code(span.text))
        return units(self._span(span)) + (2 * span.text.count("\n") if block.kind == "quote" else 0)

    def frame(self, block: Block) -> int:
        """Units of fences and the first mark of a quotation."""
        return {"text": 0, "quote": 3, "code": 9 + units(block.language)}[block.kind]

    def prepare(self, text: Text) -> Text:
        """All of it can be said."""
        return text

    def encode(self, text: Text) -> str:
        r"""Markdown in which nothing that was not meant does anything.

        >>> DiscordMarkdown().encode((Block((Span("a*b "), Span("[1]", url="https://x.org", whole=True))),))
        'a\\*b [[1]](<https://x.org>)'
        """
        return _joined(text, self._block)

    def _block(self, block: Block) -> str:
        if block.kind == "code":
            named = block.language if _LANGUAGE.fullmatch(block.language) else ""
            return f"```{named}\n{self._code(''.join(span.text for span in block.spans))}\n```"
        body = "".join(map(self._span, block.spans))
        return "> " + body.replace("\n", "\n> ") if block.kind == "quote" else body

    def _span(self, span: Span) -> str:
        url = web(span.url)
        if url and span.text == span.url:
            return f"<{url}>"
        if url and re.fullmatch(r"\[\d+\]", span.text):
            return f"[{span.text}](<{url}>)"
        if url:
            return f"[{self._escaped(span.text.replace('[', '(').replace(']', ')'))}](<{url}>)"
        if span.style == "code":
            tick = "``" if "`" in span.text else "`"
            pad = " " if "`" in span.text else ""
            inner = span.text.replace("``", "`\u200b`")
            return f"{tick}{pad}{inner}{pad}{tick}"
        mark = {"bold": "**", "italic": "_"}.get(span.style, "")
        return f"{mark}{self._escaped(span.text)}{mark}"

    def _escaped(self, text: str) -> str:
        return "".join(
            f"<{piece}>" if at % 2 else self._SPECIAL.sub(r"\\\g<0>", piece)
            for at, piece in enumerate(self._URL.split(text))
        )

    def _code(self, text: str) -> str:
        return text.replace("```", "`\u200b`\u200b`")


class Plain:
    """No markup at all, for a platform that refused it: each address is written out where it first stands."""

    marks = 10_000

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def weight(self, span: Span, block: Block) -> int:  # noqa: ARG002
        """Units of the text."""
        return units(span.text)

    def frame(self, block: Block) -> int:  # noqa: ARG002
        """There is no markup."""
        return 0

    def prepare(self, text: Text) -> Text:
        """The text with its addresses; mentions call nobody."""
        seen: set[str] = set()
        made = []
        for block in text:
            spans: list[Span] = []
            for span in block.spans:
                url = web(span.url)
                said = re.sub(r"@(?=\w)", "@\u2060", span.text) if span.style == "code" else span.text
                spans.append(replace(span, text=said, url=""))
                if url and url not in seen and url != span.text:
                    spans.append(Span(f" {url}"))
                    seen.add(url)
            made.append(replace(block, spans=tuple(spans)))
        return tuple(made)

    def encode(self, text: Text) -> str:
        """The text itself."""
        return _joined(text, lambda block: "".join(span.text for span in block.spans))
