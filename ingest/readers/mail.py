"""Mail: one message, or a box of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import getaddresses, parsedate_to_datetime

from index.errors import SourceError
from index.values import Block
from ingest.readers.html import as_markdown, parsed_html
from ingest.readers.parsed import Parsed, paragraphs
from ingest.sources import Facts

_FROM_LINE = re.compile(rb"^From .*\r?\n", re.MULTILINE)
_MOST_MESSAGES = 100_000


def read_mail(body: bytes) -> Parsed:
    """The messages of a mail, or of a box, each under its subject, sender and day; attachments are named.

    Raises SourceError where none has words.
    """
    boxed = bool(_FROM_LINE.match(body))
    sources = _FROM_LINE.split(body)[1:_MOST_MESSAGES] if boxed else [body]
    text, blocks, left_out, messages = "", list[Block](), list[str](), list[EmailMessage]()
    for source in sources:
        message = BytesParser(EmailMessage, policy=policy.default).parsebytes(source)
        words, left = _words(message), list(_attachments(message))
        subject = _header(message, "subject") or "no subject"
        left_out += [f"{subject!r}: attachment {name!r} not read" for name in left]
        if not words:
            continue
        messages.append(message)
        head = " · ".join(part for part in (subject, *_people(message), str(_day(message) or "")) if part)
        blocks.append(Block("heading", len(text), len(text) + len(head), 1, head))
        text += f"{head}\n\n"
        blocks += paragraphs(f"{text}{words}", len(text), len(text) + len(words))
        text += f"{words}\n\n"
    if not messages:
        raise SourceError("holds no message with words in it")
    people = tuple(dict.fromkeys(name for message in messages for name in _people(message)))
    facts = Facts(title=_title(messages), authors=people, published_at=_day(messages[0]))
    lost = (("attachments", len(left_out)),) if left_out else ()
    return Parsed(text, tuple(blocks), facts, warnings=tuple(left_out), lost=lost)


def _title(messages: list[EmailMessage]) -> str | None:
    return (
        re.sub(r"^(?:(?:re|fwd?|aw|wg):\s*)+", "", _header(messages[0], "subject"), flags=re.IGNORECASE)
        or None
    )


def _words(message: EmailMessage) -> str:
    """The text of a message: its plain part, else its HTML as Markdown."""
    try:
        part = message.get_body(("plain", "html"))
        content = part.get_content() if part is not None else ""
    except (LookupError, ValueError, KeyError, AttributeError):
        payload = message.get_payload(decode=True)
        content = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
        part = None
    text = str(content)
    if part is not None and part.get_content_subtype() == "html":
        soup = parsed_html(text)
        for tag in soup.select("script, style"):
            tag.decompose()
        text = as_markdown(soup)
    return text.replace("\r\n", "\n").strip()


def _attachments(message: EmailMessage) -> Iterator[str]:
    for part in message.walk():
        if part.is_attachment():
            yield part.get_filename() or part.get_content_type()


def _people(message: EmailMessage) -> tuple[str, ...]:
    senders = getaddresses([_header(message, "from")])
    return tuple(name or address for name, address in senders if name or address)


def _day(message: EmailMessage) -> date | None:
    try:
        return parsedate_to_datetime(_header(message, "date")).date()
    except (ValueError, TypeError):
        return None


def _header(message: EmailMessage, name: str) -> str:
    try:
        return " ".join(str(message.get(name, "")).split())
    except (ValueError, LookupError, IndexError, AttributeError):
        return ""
