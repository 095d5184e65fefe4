"""Secrets leave neither in replies nor in logs."""

from __future__ import annotations

import io
import json
import logging
import os
import random
import secrets
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from agent.records.privacy import hide
from agent.surfaces.bots import render
from agent.surfaces.bots.channel import Reply
from agent.surfaces.bots.markup import DiscordMarkdown, Plain, TelegramHtml
from agent.surfaces.bots.messages import split
from agent.surfaces.bots.service import JsonLines
from index.settings import Settings
from tests.agent.bots.conftest import Bot
from tests.agent.bots.generated import answer_of

REPLIES = int(os.environ.get("CHAINCITE_TEST_REPLIES", "100"))


@pytest.fixture
def canaries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """20 secrets: of the settings, of the environment, and some that only look like secrets."""
    token = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789_-", k=35))
    named = {f"CANARY_{number}_API_KEY": f"can_*{secrets.token_hex(8)}*_{number}" for number in range(14)}
    for name, value in named.items():
        monkeypatch.setenv(name, value)
    settings = Settings(
        telegram_token=SecretStr("tg-" + secrets.token_hex(12)),
        discord_token=SecretStr("dc-" + secrets.token_hex(12)),
        gate_rpc=SecretStr("https://node.example/v1/" + secrets.token_hex(12)),
    )
    hide(settings)
    known = [settings.telegram_token, settings.discord_token, settings.gate_rpc]
    shaped = [f"123456789:{token}", f"sk-{secrets.token_hex(20)}", f"ghp_{secrets.token_hex(18)}"]
    return [*named.values(), *(one.get_secret_value() for one in known if one), *shaped]


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonLines())
    logging.getLogger().addHandler(handler)
    yield out
    logging.getLogger().removeHandler(handler)


def test_no_canary_leaves_in_a_reply(canaries: list[str]) -> None:
    assert len(canaries) == 20
    rng = random.Random(2)
    for number in range(REPLIES):
        canary = canaries[number % 20]
        words = [
            rng.choice(["the", "**fee**", "[1]", "`x`", "\n\n- ", "```\ncode\n```\n"]) for _ in range(12)
        ]
        words.insert(rng.randrange(len(words)), canary)
        by = rng.choice(["extractive", "a-model"])
        answer = answer_of(" ".join(words), by=by, notes=(f"failed with {canary}",), read_as=canary)
        for text in (
            render.answer_text(answer),
            render.sources_text(answer),
            render.progress_text(f"doing {canary}", f"draft {canary}"),
        ):
            for form in (TelegramHtml(), DiscordMarkdown(), Plain(2000)):
                parts = split(text, form)
                assert not any(canary in part.markup or canary in part.text for part in parts)


def test_no_canary_leaves_in_the_file_of_an_answer(bot: Bot, canaries: list[str]) -> None:
    bot.run(f"What is {canaries[0]} and the base fee {canaries[19]}?", "/file")
    told = json.dumps(bot.channel.said) + "".join(file.body for file in bot.channel.files)
    assert bot.channel.files
    assert not any(canary in told for canary in canaries)


def test_no_canary_leaves_in_the_log(canaries: list[str], logged: io.StringIO) -> None:
    log = logging.getLogger("anything")
    for canary in canaries:
        log.error("POST https://api.example/%s/getMe", canary)
        log.warning("%s", {"key": canary}, extra={"key": "telegram:1:1"})
        try:
            raise ValueError(canary)
        except ValueError:
            log.exception("it failed with %r", canary)
    lines = [json.loads(line) for line in logged.getvalue().splitlines()]
    assert len(lines) == 60
    left = [line for line in lines for canary in canaries if canary in json.dumps(line)]
    assert left == []
    assert {line["key"] for line in lines if "key" in line} == {"telegram:1:1"}


def test_a_reply_with_nothing_to_see_is_still_a_message(bot: Bot) -> None:
    assert split(Reply(()).text, bot.channel.format) == ()
