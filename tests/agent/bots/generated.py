"""Answers as a model might write them at its worst, and a reader of Discord's Markdown."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from hypothesis import strategies as st

from agent.answers.packing import PackingReport
from agent.answers.values import Answer, Citation, Sentence, Usage
from index.values import Document, Filters, Kind, Passage, SourceRef

WORDS = st.one_of(
    st.text(min_size=1, max_size=12),
    st.sampled_from(
        [
            *(
                "the",
                "base fee",
                "burns.",
                "0x00000000219ab540356cBB839Cbe05303d7705Fa",
                "a_b_c",
                "2 * 3 * 4",
            ),
            *("@everyone", "@here", "<@123>", "<@&9>", "<#5>", "@alice,", "mail a@b.org", "</ask:1>"),
            *("`code`", "``two` ticks``", "**bold**", "_it_", "***both***", "~~no~~", "||spoiler||", "# not"),
            *(
                "<b>html</b>",
                "<script>",
                "&amp;",
                "&lt;",
                "a < b > c & d",
                "]] [[",
                "](",
                "[x](y)",
                "\\",
                "\\*",
            ),
            *("[link](https://evil.example/x)", "<https://auto.example>", "https://bare.example/a_b_c?d=*e*"),
            *(
                "👨‍👩‍👧",
                "🇩🇪🇫🇷",
                "e\u0301",
                "क्षि",
                "\u202eright to left\u202c",
                "\u200b",
                "\ufeff",
                "z" * 300,
                "é" * 90,
            ),
            *("![image](https://i.example/p.png)", "$x_1$", "1.", "12.5%", "- ", "> ", "| a | b |"),
        ]
    ),
)
CITATIONS = st.integers(1, 9).map(lambda number: f"[{number}]")
SENTENCES = st.lists(st.one_of(WORDS, WORDS, WORDS, CITATIONS), min_size=1, max_size=25).map(" ".join)
CODE = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=30), min_size=1, max_size=12
)
BLOCKS = st.one_of(
    SENTENCES,
    SENTENCES.map(lambda text: f"## {text}"),
    SENTENCES.map(lambda text: f"> {text}"),
    st.lists(SENTENCES, min_size=1, max_size=4).map(lambda items: "\n".join(f"- {item}" for item in items)),
    st.lists(SENTENCES, min_size=1, max_size=4).map(
        lambda items: "\n".join(f"3. {item}\n   - {item}" for item in items)
    ),
    CODE.map(lambda lines: "```solidity\n" + "\n".join(lines) + "\n```"),
    st.tuples(CITATIONS, CITATIONS).map(lambda two: f"| a | b |\n|---|---|\n| x {two[0]} | y {two[1]} |"),
)
TEXTS = st.lists(BLOCKS, min_size=1, max_size=12).map("\n\n".join)


def source_of(number: int) -> SourceRef:
    text = f"Note {number} says so."
    document = Document(
        uri=f"https://github.com/someone/notes/blob/0123456789abcdef/notes/eip-{number}.md",
        kind=Kind.PROPOSAL,
        title=f"Note [{number}] of *stars* & <angles> by @somebody",
        sha256="0" * 63 + str(number % 10),
        size=len(text),
        media_type="text/markdown",
        path=f"eip-{number}.md",
        location=f"/notes/eip-{number}.md",
        retrieved_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        published_at=date(2024, 3, 13),
        number=f"EIP-{number}",
        commit="0123456789abcdef",
    )
    passage = Passage(
        uri=document.uri,
        sha256=document.sha256,
        ordinal=0,
        start=0,
        end=len(text),
        text=text,
        context="",
        line_start=1,
        line_end=1,
    )
    return SourceRef.of(document, passage)


def answer_of(text: str, citations: int = 9, by: str = "a-model", **more: object) -> Answer:
    """An answer with this text."""
    made = tuple(Citation(n, source_of(n), f"Note {n} says so.", 0, 15) for n in range(1, citations + 1))
    at = datetime(2026, 1, 3, tzinfo=UTC)
    fields: dict[str, object] = {
        "id": "20260103T000000Z-01234567",
        "question": "What?",
        "asked_at": at,
        "text": text,
        "sentences": (Sentence(text, tuple(range(1, citations + 1))),),
        "refused": False,
        "removed": (),
        "citations": made,
        "nearest": (),
        "filters": Filters(),
        "generation": 1,
        "packing": PackingReport(budget=2000, question=10, reserve=500, evidence=0, items=()),
        "usage": Usage(10, 10, 0.1),
        "answered_by": by,
    }
    return Answer(**{**fields, **more})  # type: ignore[arg-type]


ANSWERS = st.builds(answer_of, TEXTS)

_FENCE = re.compile(r"```[\w+#-]*\n(.*?)\n```", re.DOTALL)
_CODE = re.compile(r"(`+)(.+?)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"\[((?:\[[^\]]*\]|[^\[\]])*)\]\(<([^\s<>()]*)>\)")
_ACTS = re.compile(r"[*`~|#\[<>]|@(?:everyone|here)|(?<!\w)@\w")
_BARE = re.compile(r"<(https?://[^\s<>]*)>")


def discord_reading(markup: str) -> tuple[str, list[tuple[str, str]], list[str]]:
    """What a person reads, the links as (label, URL), and what may act that should not.

    Rules in Discord's order: fences, escapes, code, links, emphasis; `> ` begins a quotation.
    """
    seen, links, acts = "", [], []
    at, marks = 0, {"**": 0, "_": 0}
    while at < len(markup):
        begins = at == 0 or markup[at - 1] == "\n"
        if found := _FENCE.match(markup, at):
            seen += found[1]
        elif (
            markup[at] == "\\"
            and at + 1 < len(markup)
            and not markup[at + 1].isalnum()
            and markup[at + 1] > " "
        ):
            seen, at = seen + markup[at + 1], at + 2
            continue
        elif found := _CODE.match(markup, at):
            inner = found[2]
            seen += inner[1:-1] if len(found[1]) > 1 else inner
        elif found := _LINK.match(markup, at):
            label = discord_reading(found[1])[0] if not re.fullmatch(r"\[\d+\]", found[1]) else found[1]
            links.append((label, found[2]))
            seen += label
        elif found := _BARE.match(markup, at):
            seen += found[1]
        elif begins and markup.startswith("> ", at):
            at += 2
            continue
        elif markup.startswith("**", at):
            at += 2
            marks["**"] += 1
            continue
        elif markup[at] == "_":
            at += 1
            marks["_"] += 1
            continue
        else:
            acts += _ACTS.findall(markup, at, at + 10)[:1] if _ACTS.match(markup, at) else []
            seen, at = seen + markup[at], at + 1
            continue
        at = found.end()
    acts += [mark for mark, count in marks.items() if count % 2]
    return seen, links, acts
