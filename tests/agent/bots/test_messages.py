"""Messages: split where people would split them, with nothing lost, nothing cut, and nothing that acts."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.answers.values import Answer
from agent.surfaces.bots import render
from agent.surfaces.bots.markup import DiscordMarkdown, Plain, TelegramHtml
from agent.surfaces.bots.messages import (
    Block,
    Format,
    Part,
    Span,
    Text,
    harmless,
    plain,
    reading,
    split,
    units,
)
from tests.agent.bots.generated import ANSWERS, TEXTS, answer_of, discord_reading
from tests.agent.bots.telegram_double import faults_of

HOW_MANY = int(os.environ.get("CHAINCITE_TEST_ANSWERS", "100"))
FORMATS: list[type[TelegramHtml] | type[DiscordMarkdown]] = [TelegramHtml, DiscordMarkdown]


def limited(form: Format, limit: int) -> Format:
    form.limit = limit
    return form


def joined(parts: tuple[Part, ...]) -> str:
    return "".join(part.text + part.joint for part in parts)


def cited(text: Text) -> list[tuple[str, str]]:
    return [(span.text, span.url) for block in text for span in block.spans if span.url]


def code(text: Text) -> str:
    return "".join(span.text for block in text if block.kind == "code" for span in block.spans)


def check_telegram(text: Text, limit: int) -> None:
    parts = split(text, limited(TelegramHtml(), limit))
    assert joined(parts).strip() == reading(harmless(text)).strip()
    links, blocks = [], ""
    for part in parts:
        read, faults = faults_of(part.markup, "HTML")
        assert read is not None
        assert not faults
        assert read.text == part.text
        assert units(part.text) <= limit
        encoded = read.text.encode("utf-16-le")
        for tag, start, length, url in read.entities:
            inside = encoded[2 * start : 2 * (start + length)].decode("utf-16-le")
            links += [(inside, url)] if tag == "a" else []
            blocks += inside if tag == "pre" else ""
    assert [one for one in links if re.fullmatch(r"\[\d+\]", one[0])] == [
        one for one in cited(text) if re.fullmatch(r"\[\d+\]", one[0])
    ]
    assert re.sub(r"\s", "", blocks) == re.sub(r"\s", "", code(harmless(text)))


def check_discord(text: Text, limit: int) -> None:
    parts = split(text, limited(DiscordMarkdown(), limit))
    assert joined(parts).strip() == reading(harmless(text)).strip()
    links = []
    for part in parts:
        assert units(part.markup) <= limit
        seen, found, acts = discord_reading(part.markup)
        assert not acts
        links += found
        assert seen.replace("\u200b", "") == part.text.replace("\u200b", "")
    assert [one for one in links if re.fullmatch(r"\[\d+\]", one[0])] == [
        one for one in cited(text) if re.fullmatch(r"\[\d+\]", one[0])
    ]


@settings(max_examples=HOW_MANY)
@given(answer=ANSWERS, limit=st.sampled_from([300, 700, 4096]))
def test_telegram_accepts_every_part_and_nothing_is_lost(answer: Answer, limit: int) -> None:
    check_telegram(render.answer_text(answer), limit)


@settings(max_examples=HOW_MANY)
@given(answer=ANSWERS, limit=st.sampled_from([600, 2000]))
def test_discord_reads_every_part_as_it_was_meant(answer: Answer, limit: int) -> None:
    check_discord(render.answer_text(answer), limit)


@settings(max_examples=50)
@given(answer=ANSWERS)
def test_without_markup_each_address_is_written_out(answer: Answer) -> None:
    text = render.answer_text(answer)
    parts = split(text, Plain(500))
    assert all(part.markup == part.text and units(part.text) <= 500 for part in parts)
    whole = joined(parts).replace("\n", "").replace(" ", "")
    assert all(url in whole for _, url in cited(text))


@settings(max_examples=100)
@given(text=TEXTS, by=st.sampled_from(["extractive", "a-model"]))
def test_provisional_text_is_one_part_and_says_so(text: str, by: str) -> None:
    shown = render.progress_text("searching", text)
    for form in (TelegramHtml(), DiscordMarkdown()):
        assert len(split(shown, form)) == 1
    if len(shown) > 1:
        assert render.PROVISIONAL in reading(shown)


@pytest.mark.parametrize("form", FORMATS)
def test_a_character_of_many_codes_is_not_cut(form: type[TelegramHtml]) -> None:
    family = "👨‍👩‍👧‍👦"
    parts = split(plain(family * 200), limited(form(), 100))
    assert len(parts) > 1
    assert all(part.text == family * (len(part.text) // len(family)) for part in parts)


@pytest.mark.parametrize("form", FORMATS)
def test_a_message_ends_with_a_paragraph_before_a_line_before_a_sentence(form: type[TelegramHtml]) -> None:
    first, second = "Words of the first. " * 6, "Words of the second. " * 6
    parts = split(plain(first.strip()) + plain(second.strip()), limited(form(), 180))
    assert [part.text for part in parts] == [first.strip(), second.strip()]
    assert parts[0].joint == "\n\n"
    sentences = split(plain(first.strip()), limited(form(), 75))
    assert all(part.text.endswith("first.") for part in sentences)


@pytest.mark.parametrize("form", FORMATS)
def test_a_citation_stays_with_its_sentence(form: type[TelegramHtml]) -> None:
    mark = Span("[1]", url="https://example.org/a", whole=True)
    spans = [one for _ in range(40) for one in (Span("The base fee is burned "), mark, Span(" "))]
    parts = split((Block(tuple(spans)),), limited(form(), 400))
    assert len(parts) > 1
    assert all(part.text.endswith("[1]") for part in parts)


def test_code_is_closed_and_opened_again() -> None:
    lines = tuple(f"  uint256 x{number};" for number in range(40))
    text = (Block((Span("\n".join(lines), "code"),), "code", "solidity"),)
    parts = split(text, limited(DiscordMarkdown(), 200))
    assert len(parts) > 1
    assert all(part.markup.startswith("```solidity\n") and part.markup.endswith("\n```") for part in parts)
    assert "\n".join(part.text for part in parts) == "\n".join(lines)
    for part in split(text, limited(TelegramHtml(), 200)):
        assert part.markup.startswith('<pre><code class="language-solidity">')


def test_no_part_has_more_entities_than_telegram_keeps() -> None:
    mark = Span("[1]", url="https://example.org/a", whole=True)
    parts = split((Block((Span("word "), mark) * 350),), TelegramHtml())
    reads = [faults_of(part.markup, "HTML")[0] for part in parts]
    assert [len(read.entities) for read in reads if read] == [100, 100, 100, 50]


def test_nothing_to_see_makes_no_message() -> None:
    for text in (plain(""), plain(" \n "), plain("\u200b\u2060"), ()):
        assert split(text, TelegramHtml()) == ()


@pytest.mark.parametrize(
    "called", ["@everyone", "@here", "@alice", "<@42>", "<@!42>", "<@&7>", "<#5>", "</ask:1>"]
)
def test_mentions_call_nobody(called: str) -> None:
    text = (Block((Span(f"so {called} said", "bold"),)),)
    assert f"`{called}`" in split(text, DiscordMarkdown())[0].markup
    assert "<code>" in split(text, TelegramHtml())[0].markup
    assert reading(harmless(text)) == f"so {called} said"


def test_an_address_of_mail_is_no_mention() -> None:
    assert split(plain("mail a@b.org"), TelegramHtml())[0].markup == "mail a@b.org"


def test_only_citations_are_links() -> None:
    text = render.answer_text(answer_of("See [here](https://evil.example/) and [1] and [7].", citations=1))
    markup = split(text, TelegramHtml())[0].markup
    assert markup.count("<a href=") == 2
    assert "evil" not in "".join(re.findall(r'href="([^"]*)"', markup))
    assert "(https://evil.example/)" in reading(text)
    assert "[7]" in reading(text)


def test_files_of_this_machine_are_no_links() -> None:
    mark = Span("[1]", url="file:///etc/passwd", whole=True)
    assert split((Block((mark,)),), TelegramHtml())[0].markup == "[1]"
    assert split((Block((mark,)),), DiscordMarkdown())[0].markup == "\\[1\\]"


def test_the_layout_of_markdown_is_kept_in_words() -> None:
    text = render.markdown(
        "# Head\n\n1. one\n2. two\n   - deep\n\n> said\n\n| a | b |\n|---|---|\n| c | d |", {}
    )
    assert reading(text) == "Head\n\n1. one\n2. two\n   • deep\n\nsaid\n\na | b\nc | d"
    assert [block.kind for block in text if block.kind != "text"] == ["quote"]


def test_code_in_a_list_holds_nothing_but_the_code() -> None:
    text = render.markdown("1. ```\n   x = 1\n   ```\n2. two", {})
    assert [(block.kind, "".join(span.text for span in block.spans)) for block in text] == [
        ("text", "1. "),
        ("code", "x = 1"),
        ("text", "2. two"),
    ]


def test_secrets_are_masked_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "canary_*secret*_value_1"
    monkeypatch.setenv("SOME_API_KEY", secret)
    for by in ("extractive", "a-model"):
        answer = answer_of(f"It is {secret} [1].", by=by, notes=(f"note {secret}",))
        for form in (TelegramHtml(), DiscordMarkdown(), Plain(4096)):
            parts = split(render.answer_text(answer), form)
            assert "canary" not in "".join(part.markup for part in parts)
    assert "canary" not in reading(render.progress_text(secret, secret))
