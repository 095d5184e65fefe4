"""Reads a model's draft: its sentences, items, rows and blocks of code, each with the citations it carries.

Marks are `[1]`, `[1][3]`, `[1, 3]`, `[1-3]`, `【1】`, `([1])`, `[^1]`, before or after the full stop.

Decided: a mark belongs to one sentence; the last mark of a paragraph does not reach back. An item, row or
block of code without a mark of its own has those of the line that leads to it (`The limits are: [1]`), and is
checked as if it carried them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from agent.text.normalize import visible
from agent.text.sentences import within

ClaimKind = Literal["heading", "lead", "prose", "item", "row", "code"]

_NUMBERS = r"\^?\d{1,6}(?:\s*[-–,;]\s*\d{1,6})*(?:†[^\[\]【】]*+)?+"
_MARK = rf"(?:\[\s*{_NUMBERS}\s*\](?!\()|【\s*{_NUMBERS}\s*】)"
_MARKS = re.compile(
    rf"(?:(?<!\s)\s+)?[(（]\s*(?:see |cf\.? )?(?:{_MARK}[\s,;]*+)++[)）]"
    rf"|(?:(?<!\s)\s+)?{_MARK}(?:[ \t]*+(?:[,;][ \t]*+)?{_MARK})*+"
)
_ONE_MARK = re.compile(_MARK)
_NOUN = re.compile(
    r"(?:^|\b(?:to|in|per|by|of|from|with|see|source|passage|and|both|while|whereas))\s*$", re.IGNORECASE
)
_NEAR = 40
"""Characters before a mark in which the word stands that makes a noun of it."""

_INSIDE = re.compile(
    rf"\d[.,_']?\s?{_MARK}\s?[.,_']?\d|\w{_MARK}[^\W\d_]*[\d_]|(?<!\w)[^\W\d_]*+\w++{_MARK}[a-z]"
)
_LEFT_OVER = re.compile(r"[\[【]\s*\^?\d{1,6}\s*(?:[\]】]|†|[-–,;]\s*\d)")
_FENCE = re.compile(r"\s*(```+|~~~+)")
_HEADING = re.compile(r"\s*(?:#{1,6}\s+(.+)|(?:\*\*|__)([^*_]+?)(?:\*\*|__)\s*)$")
_ITEM = re.compile(r"(\s*(?:[-*+•‣]|\d{1,3}[.)]|\(?[a-z]\)|\d{1,3}、)\s+)(.*)$")
_RULE = re.compile(r"\s*+(?:(?:\|\s*+)?:?-{2,}+:?\s*+(?:\|\s*+:?-{2,}+:?\s*+)*+\|?|[-*_=]{3,}+)\s*$")
_VERB = re.compile(r"\s+[a-z]+\s")
_CAPITAL = re.compile(r"\s+[A-Z]")
_GOES_ON = re.compile(r"\s+[,;:)]")
_STOP = re.compile(r"[.!?…。！？；]+[\"'”’»」』)\]*_]*")
_ABBREVIATIONS = frozenset(
    [
        "e.g", "i.e", "cf", "vs", "etc", "approx", "al", "fig", "figs", "eq", "sec", "no", "nr", "vol",
        "pp", "dr", "mr", "mrs", "ms", "st", "resp", "incl",
    ]
)  # fmt: skip
_UNDIVIDED = re.compile(
    r"`[^`]*`|(?<!\w)\w+://\S+|“[^“”]{1,400}[^“”.!?]”|«[^«»]{1,400}[^«».!?]»|「[^「」]{1,400}[^「」。]」"
)
"""What no sentence ends in: code, addresses, quotations that do not end one themselves."""

_QUOTE = re.compile(r"^\s*>+\s?")


@dataclass(frozen=True, slots=True)
class Claim:
    """A part of a draft that stands or falls as a whole.

    text: as it is shown, without its marks (one that is a noun stands as NUL, number, NUL).
    cited: the numbers in its marks; prefix: the marker of an item; block: claims of one paragraph have the
    same; broken: a mark stood inside a number or name, or a quotation is cut.
    above: the lead that an item, row or code belongs to.
    """

    kind: ClaimKind
    text: str
    cited: tuple[int, ...]
    prefix: str = ""
    block: int = 0
    broken: bool = False
    above: str = ""


def claims(draft: str) -> list[Claim]:
    """The draft's claims in order.

    >>> [(p.text, p.cited) for p in claims("It burns. [1] It costs 1.5 gas, e.g. now [2, 3]. So what?")]
    [('It burns.', (1,)), ('It costs 1.5 gas, e.g. now.', (2, 3)), ('So what?', ())]
    """
    found: list[Claim] = []
    for number, (kind, prefix, text) in enumerate(
        _blocks(visible(draft).replace("［", "[").replace("］", "]"))
    ):
        if kind == "code":
            found.append(Claim("code", text, (), block=number))
        elif kind == "row":
            found.append(_claim(kind, text, prefix, number))
        else:
            found += [_claim(kind, part, prefix, number) for part in _sentences(text)]
    return _led(_joined(found))


def _blocks(draft: str) -> Iterator[tuple[ClaimKind, str, str]]:
    """Paragraphs, items, rows, headings and blocks of code, as kind, prefix and text."""
    for code, lines in _fenced(draft):
        if code:
            yield "code", "", "\n".join(lines)
        else:
            yield from _paragraphs(lines)


def _fenced(draft: str) -> Iterator[tuple[bool, list[str]]]:
    """The lines within fences and those between, in turn; a fence that is not closed reaches to the end."""
    held: list[str] = []
    fence = ""
    for line in draft.split("\n"):
        mark = _FENCE.match(line)
        if mark and (not fence or mark.group(1).startswith(fence)):
            yield bool(fence), held
            held, fence = [], "" if fence else mark.group(1)
        else:
            held.append(line)
    yield bool(fence), held


def _paragraphs(lines: Sequence[str]) -> Iterator[tuple[ClaimKind, str, str]]:
    held: list[str] = []
    kind: ClaimKind = "prose"
    prefix = ""
    for line in [*lines, ""]:
        begun, marker, words = _line(line)
        if held and begun != "more":
            yield kind, prefix, "\n".join(held)
            held = []
        if begun == "heading":
            yield "heading", "", words
        elif begun == "row":
            yield "row", "", words
        elif begun == "item":
            kind, prefix, held = "item", marker, [words]
        elif words:
            kind, prefix = (kind, prefix) if held else ("prose", "")
            held.append(words)


def _line(line: str) -> tuple[ClaimKind | Literal["more", "rule"], str, str]:
    """What a line begins, the marker of an item, and the words; `more` carries on, a rule has no words."""
    line = _QUOTE.sub("", line, count=1)
    if not line.strip() or _RULE.match(line):
        return "rule", "", ""
    if heading := _HEADING.match(line):
        return "heading", "", heading.group(2) or heading.group(1).rstrip("#").rstrip()
    if line.strip().startswith("|"):
        return "row", "", line.strip()
    if item := _ITEM.match(line):
        return "item", item.group(1), item.group(2)
    return "more", "", line.strip()


def _sentences(text: str) -> Iterator[str]:
    """A paragraph's sentences, each with the marks before and right after its end."""
    text = " ".join(text.split())
    quiet = [match.span() for match in _UNDIVIDED.finditer(text)]
    start = 0
    for stop in _STOP.finditer(text):
        end = stop.end()
        if end < start or within(quiet, stop.start()) or not _ends(text, stop):
            continue
        marked = _ONE_MARK.search(text, start, end) is not None
        # After a first mark, one before a word is the next sentence's subject: `It fell [3]. [4] says so.`
        while (after := _MARKS.match(text, end)) and not (marked and _VERB.match(text, after.end())):
            end, marked = after.end(), True
        yield text[start:end].strip()
        start = end
    if text[start:].strip():
        yield text[start:].strip()


def _ends(text: str, stop: re.Match[str]) -> bool:
    """Whether a full stop ends a sentence."""
    end = stop.end()
    if end == len(text) or stop.group()[0] in "。！？；" or _MARKS.match(text, end):
        return True
    if not text[end].isspace() or (stop.group()[:2] in ("..", "…") and not _CAPITAL.match(text, end)):
        return False
    word = re.search(r"(?<![\w.])[\w.]*$", text[max(0, stop.start() - 20) : stop.start()])
    before = word.group().lower() if word else ""
    if stop.group()[0] == "." and (before in _ABBREVIATIONS or (len(before) == 1 and before.isalpha())):
        return False
    return not _GOES_ON.match(text, end)


def _claim(kind: ClaimKind, text: str, prefix: str, block: int) -> Claim:
    quiet = [match.span() for match in re.finditer(r"`[^`]*`", text)]
    last = len(text.rstrip(" ."))
    cited: list[int] = []

    def take(match: re.Match[str]) -> str:
        if within(quiet, match.start()):
            return match.group()
        cited.extend(_numbers(match.group()))
        noun = f" \0{cited[-1]}\0"
        return (
            noun
            if _NOUN.search(text[max(0, match.start() - _NEAR) : match.start()].replace("*", ""))
            and match.end() < last
            else ""
        )

    bare = _MARKS.sub(take, text)
    bare = re.sub(r"(?<!\s)\s+([.,;:!?。，])(?=\s|$)", r"\1", bare).strip()
    said = re.sub(r"`[^`]*`", "", bare)
    broken = bool(_INSIDE.search(text) or _LEFT_OVER.search(said)) or _is_cut(said)
    kind = "lead" if kind == "prose" and bare.endswith((":", "：")) else kind
    return Claim(kind, bare, tuple(dict.fromkeys(cited)), prefix, block, broken)


def _is_cut(text: str) -> bool:
    """Whether a quotation begins or ends outside of this text, where no check can see it whole."""
    pairs = ("“”„", "«»", "「」", "『』", "‹›")
    return any(sum(map(text.count, marks)) % 2 for marks in pairs) or text.count('"') % 2 == 1


def _numbers(marks: str) -> Iterator[int]:
    """The numbers in a run of marks; a range stands for all between, and one too long for its ends."""
    for mark in _ONE_MARK.findall(marks):
        for first, last in re.findall(r"(\d+)(?:\s*[-–]\s*(\d+))?", mark.partition("†")[0]):
            a, b = int(first), int(last or first)
            yield from range(a, b + 1) if a <= b < a + 50 else (a, b)


def _joined(found: list[Claim]) -> list[Claim]:
    """Gives marks that stand alone to the claim before them."""
    out: list[Claim] = []
    for claim in found:
        if claim.cited and not re.search(r"\w", claim.text) and out:
            before = out[-1]
            out[-1] = replace(before, cited=tuple(dict.fromkeys((*before.cited, *claim.cited))))
        elif re.search(r"\w", claim.text):
            out.append(claim)
    return out


def _led(found: list[Claim]) -> list[Claim]:
    """Gives items, rows and code without marks those of the line that leads to them."""
    out: list[Claim] = []
    lead = Claim("lead", "", ())
    for claim in found:
        if claim.kind in ("item", "row", "code"):
            above = lead.text if lead.kind == "lead" or claim.kind == "code" else ""
            out.append(replace(claim, above=above, cited=claim.cited or (lead.cited if above else ())))
        else:
            lead = claim
            out.append(claim)
    return out
