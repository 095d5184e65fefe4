"""Transcripts in WebVTT and SubRip: what was said, and when."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from index.errors import SourceError
from index.values import Block
from ingest.readers.parsed import Parsed
from ingest.sources import Facts

TRANSCRIPT = "text/vtt"
"""The media type of transcripts, whose parts stand each for itself."""

_TIMES = re.compile(
    r"(?:(\d+):)?(\d{1,2}):(\d{2})[.,]\d{1,3}\s*-->\s*(?:(\d+):)?(\d{1,2}):(\d{2})[.,]\d{1,3}.*"
)
_SPEAKER = re.compile(r"<v(?:\.[\w.]++)?+\s++([^<>]++)>")
_TAG = re.compile(r"</?[a-zA-Z][^<>]*+>|<\d[\d:.]*+>|\{\\[^{}]*+\}")
_ASIDE = re.compile(r"(?:NOTE|STYLE|REGION)\b")
_SENTENCE_END = re.compile(r"[.!?…][\"'”’)]*$")
_SECONDS, _MOST_SECONDS, _PAUSE = 20, 90, 8
"""How long a part is at least where a sentence ends, and at most; and the pause that ends one."""


class _Cue(NamedTuple):
    start: int
    end: int
    text: str


def read_transcript(text: str) -> Parsed:
    """What was said, in parts of some sentences, each under the time at which it begins, as `00:12:03`.

    Raises SourceError where no line has a time.
    """
    cues = list(_cues(text))
    if not cues:
        raise SourceError("is no transcript: it has no line with times, such as 00:01.000 --> 00:04.000")
    out, blocks = "", list[Block]()
    for part in _parts(cues):
        time = clock(part[0].start)
        said = "\n".join(_said(part))
        blocks.append(Block("heading", len(out), len(out) + len(time), 1, time))
        out += f"{time}\n\n"
        blocks.append(Block("paragraph", len(out), len(out) + len(said)))
        out += f"{said}\n\n"
    title = re.match(r"\ufeff?WEBVTT[ \t]++-?[ \t]*+(\S.*)", text)
    return Parsed(out, tuple(blocks), Facts(title=title[1].strip() if title else None))


def clock(seconds: int) -> str:
    """Seconds as hours, minutes and seconds.

    >>> clock(723)
    '00:12:03'
    """
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _cues(text: str) -> Iterator[_Cue]:
    for block in re.split(r"\r?\n[ \t]*\r?\n", text):
        lines = block.strip().splitlines()
        at = next((at for at, line in enumerate(lines) if _TIMES.match(line.strip())), None)
        if at is None or _ASIDE.match(lines[0]):
            continue
        times = _TIMES.match(lines[at].strip())
        said = " ".join(_spoken(line) for line in lines[at + 1 :]).strip()
        if times and said:
            yield _Cue(_seconds(*times.groups()[:3]), _seconds(*times.groups()[3:]), said)


def _seconds(hours: str | None, minutes: str, seconds: str) -> int:
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)


def _spoken(line: str) -> str:
    """A line without its marks; who speaks stands before a colon."""
    return " ".join(_TAG.sub("", _SPEAKER.sub(r"\1: ", line)).split())


def _parts(cues: Sequence[_Cue]) -> Iterator[list[_Cue]]:
    part: list[_Cue] = []
    for cue in cues:
        if part and _ends(part, cue):
            yield part
            part = []
        part.append(cue)
    if part:
        yield part


def _ends(part: Sequence[_Cue], cue: _Cue) -> bool:
    """Whether a part ends ahead of a cue."""
    begun, last = part[0].start, part[-1]
    if cue.start - last.end >= _PAUSE or last.end - begun >= _MOST_SECONDS:
        return True
    return last.end - begun >= _SECONDS and bool(_SENTENCE_END.search(last.text))


def _said(part: Sequence[_Cue]) -> Iterator[str]:
    """The lines of a part; captions that roll on repeat what the one before said, which is said once."""
    before = ""
    for cue in part:
        fresh = cue.text
        if before and fresh.startswith(before):
            fresh = fresh[len(before) :].strip()
        elif before.endswith(fresh):
            fresh = ""
        if fresh:
            yield fresh
        before = cue.text
