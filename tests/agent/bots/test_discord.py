"""The Discord bot: the real client library against a strict gateway and REST API over loopback."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.surfaces.bots.desk import Desk
from agent.surfaces.bots.discord import Discord
from agent.surfaces.bots.inbox import Inbox
from index.errors import LibraryError, SettingsError
from tests.agent.bots.conftest import Bot
from tests.agent.bots.discord_double import CHANNEL, ME, ROLE, THREAD, TOKEN, Guild, Sent, refused, wait_for
from tests.conftest import HANG, ROOT

QUESTION = "How does the base fee change when a block is full?"
KILLS = int(os.environ.get("CHAINCITE_TEST_KILLS", "3"))
DROPS = int(os.environ.get("CHAINCITE_TEST_DROPS", "10"))


class Talking:
    """A bot over the sample library that is connected to a guild while `run` lasts."""

    def __init__(self, bot: Bot, guild: Guild) -> None:
        self.bot = bot
        self.guild = guild

    def run(
        self,
        until: Callable[[], object] | None = None,
        before: Callable[[], object] = int,
        *,
        ends: bool = False,
        listing: float = 30.0,
    ) -> None:
        """Connects, does what is to be done, and stays until something holds and nothing is in work.

        ends: it stays until the bot ends by itself; listing: seconds that the list of guilds may take.
        """

        async def main() -> None:
            channel = Discord(TOKEN, self.guild.url)
            channel.pace = channel.haste = 0.0
            channel.listing = listing
            channel.client.before_identify_hook = _at_once  # type: ignore[method-assign]
            desk = Desk(channel, self.bot.surface, Inbox(self.bot.store, "discord"), self.bot._slept)
            await channel.start()
            stopped = asyncio.Event()
            await desk.resume()
            seen = self.guild.counts["identify"]
            polling = asyncio.create_task(channel.poll(desk, stopped))
            try:
                await asyncio.to_thread(self.guild.wait, lambda: self.guild.counts["identify"] > seen)
                await asyncio.to_thread(before)
                if until is None and ends:
                    await polling
                elif until is not None:
                    await asyncio.to_thread(self.guild.wait, until)
                await desk.idle()
            finally:
                stopped.set()
                try:
                    await polling
                finally:
                    await desk.stop(HANG)
                    await channel.close()

        asyncio.run(main())

    def hears(self, *deeds: Callable[[], Any]) -> None:
        """Does one thing after another, each when the one before is answered."""

        def all_of_them() -> None:
            for deed in deeds:
                before = self.ended()
                deed()
                self.guild.wait(lambda before=before: self.ended() > before)

        self.run(before=all_of_them)

    def ended(self) -> int:
        """How many messages are done with; read over a connection of its own."""
        import sqlite3

        with sqlite3.connect(f"file:{self.bot.store._file}?mode=ro", uri=True) as file:
            query = "select count(*) from inbox where state in ('delivered', 'dropped')"
            return int(file.execute(query).fetchone()[0])


async def _at_once(*_: object, **__: object) -> None:
    """In place of the seconds that Discord wants between two new sessions."""


@pytest.fixture
def guild() -> Iterator[Guild]:
    with Guild() as served:
        yield served
    assert not served.faults


@pytest.fixture
def talking(bot_with: Callable[..., Bot], guild: Guild) -> Talking:
    return Talking(bot_with(bot_allow=("discord:*",), bot_admins=("discord:user:1",)), guild)


def to_me(text: str) -> str:
    return f"<@{ME}> {text}"


def test_a_mention_is_answered_by_edits_of_one_message(talking: Talking, guild: Guild) -> None:
    talking.hears(lambda: guild.say(to_me(QUESTION)))
    (sent,) = guild.in_chat()
    assert r"\[1\]" in sent.text
    assert "Sources" in sent.text
    assert sent.history[0].startswith("_…")
    assert [button["label"] for button in sent.buttons] == ["Sources", "Verify", "As a file"]
    assert sent.body["message_reference"]["fail_if_not_exists"] is False


def test_buttons_give_sources_checks_and_the_file(talking: Talking, guild: Guild) -> None:
    talking.hears(
        lambda: guild.say(QUESTION, chat=1001),
        lambda: guild.press(guild.in_chat(1001)[0], "Sources"),
        lambda: guild.press(guild.in_chat(1001)[0], "Verify"),
        lambda: guild.press(guild.in_chat(1001)[0], "As a file"),
    )
    _, sources, checks, file = guild.in_chat(1001)
    assert "retrieved" in sources.text
    assert "OK" in checks.text
    assert file.file is not None
    assert file.file[0].endswith(".md")
    assert file.file[1].decode().startswith(f"# {QUESTION}")


def test_slash_commands_are_listed_and_answered(talking: Talking, guild: Guild) -> None:
    talking.hears(
        lambda: guild.slash("budget", "900"),
        lambda: guild.slash("ask", QUESTION),
        lambda: guild.slash("sources"),
        lambda: guild.slash("budget", chat=THREAD),
    )
    listed = {command["name"] for command in guild.commands}
    assert listed >= {"ask", "sources", "open", "verify", "filter", "asof", "budget", "new", "usage"}
    assert listed >= {"forget", "help"}
    assert not listed & {"allow", "deny", "stats", "start"}
    budget, answer, sources = (sent.text for sent in guild.in_chat())
    assert budget.startswith("Budget: 900")
    assert "Sources" in answer
    assert "retrieved" in sources
    assert "900" not in guild.in_chat(THREAD)[0].text
    assert all(not sent.aside for sent in guild.messages.values())


def test_a_guild_is_answered_where_it_speaks_to_the_bot(talking: Talking, guild: Guild) -> None:
    def unheard() -> None:
        guild.say("what do you all think?")
        guild.say("<@123> hello")
        guild.say(to_me(QUESTION), user=ME)
        guild.say(to_me(QUESTION), webhook_id="8")
        guild.say(to_me("joined"), type=7)
        guild.say(to_me("/budget 900"))

    talking.hears(
        unheard,
        lambda: guild.say("/budget", **guild.replying(guild.in_chat()[0])),
        lambda: guild.say("<@&72> /budget 700", chat=THREAD),
        lambda: guild.say(to_me("/budget")),
    )
    said = [sent.text for sent in guild.in_chat()]
    assert len(said) == 3
    assert all(text.startswith("Budget: 900") for text in said)
    assert guild.in_chat(THREAD)[0].text.startswith("Budget: 700")


def test_a_reply_goes_on_from_its_answer(talking: Talking, guild: Guild) -> None:
    talking.hears(
        lambda: guild.say(to_me(QUESTION)),
        lambda: guild.say(to_me("What does a light client check?")),
        lambda: guild.say("/sources", **guild.replying(guild.in_chat()[0])),
    )
    first, second, sources = guild.in_chat()
    assert "base fee" in sources.text.lower()
    assert first.text != second.text


@pytest.mark.parametrize(
    "text", ["", "\u200b", "\u202e\u0627\u0644", "/nonsense", "x" * 4000, "```\n@everyone"]
)
def test_odd_messages_are_answered(talking: Talking, guild: Guild, text: str) -> None:
    talking.hears(lambda: guild.say(text, chat=1001))
    (sent,) = guild.in_chat(1001)
    assert "@everyone" not in sent.text or "`@everyone`" in sent.text


# Access


def test_who_is_not_allowed_is_told_so_alone(bot_with: Callable[..., Bot], guild: Guild) -> None:
    talking = Talking(bot_with(bot_allow=()), guild)
    talking.hears(lambda: guild.slash("ask", QUESTION, user=42), lambda: guild.say(to_me(QUESTION), user=42))
    slash, mention = guild.in_chat()
    assert slash.aside or guild.counts["deferred"]
    assert "discord:user:42" in slash.text
    assert f"discord:chat:{CHANNEL}" in mention.text


@pytest.mark.parametrize("subject", ["guild:7", f"role:{ROLE}", f"chat:{CHANNEL}", "user:1"])
def test_guilds_roles_chats_and_users_are_allowed(
    bot_with: Callable[..., Bot], guild: Guild, subject: str
) -> None:
    talking = Talking(bot_with(bot_allow=(f"discord:{subject}",)), guild)
    talking.hears(
        lambda: guild.say(to_me("/budget"), chat=THREAD),
        lambda: guild.slash("budget"),
        lambda: guild.say(to_me("/budget")),
    )
    assert all(sent.text.startswith("Budget") for sent in guild.messages.values())


# Faults of Discord


def test_storms_of_429_and_500_are_waited_for(talking: Talking, guild: Guild) -> None:
    storm = [wait_for(0.01), wait_for(0.01, via=False), refused(503, 0, "upstream"), wait_for(0.01), *()]
    guild.script = lambda method, path, _body: (
        storm.pop(0) if storm and method in ("POST", "PATCH") and path.startswith("/channels/") else None
    )
    talking.hears(lambda: guild.say(to_me(QUESTION)))
    (sent,) = guild.in_chat()
    assert not storm
    assert "Sources" in sent.text


@pytest.mark.parametrize("chat", [CHANNEL, THREAD, 1001])
def test_where_discord_says_that_it_failed_and_did_not_nothing_stands_twice(
    talking: Talking, guild: Guild, chat: int
) -> None:
    left = [refused(503, 0, "upstream")]
    guild.after = lambda method, path, _body: (
        left.pop() if left and (method, path) == ("POST", f"/channels/{chat}/messages") else None
    )
    talking.hears(lambda: guild.say(to_me(QUESTION), chat=chat))
    assert not left
    assert ["Sources" in sent.text for sent in guild.in_chat(chat)] == [True]


def test_where_the_bot_may_not_write_the_message_is_dropped(talking: Talking, guild: Guild) -> None:
    guild.script = lambda method, path, _body: (
        refused(403, 50001, "Missing Access") if (method, path) == ("POST", "/channels/5/messages") else None
    )
    talking.hears(lambda: guild.say(to_me(QUESTION)), lambda: guild.say("/help", chat=1001))
    assert Inbox(talking.bot.store, "discord").counts() == {"dropped": 1, "delivered": 1}


def test_a_message_that_was_deleted_is_sent_again(talking: Talking, guild: Guild) -> None:
    left = [refused(404, 10008, "Unknown Message")]
    guild.script = lambda method, _path, body: (
        left.pop() if left and method == "PATCH" and "Sources" in body["content"] else None
    )
    talking.hears(lambda: guild.say(to_me(QUESTION)))
    assert sum("Sources" in sent.text for sent in guild.in_chat()) == 1


def test_an_interaction_that_is_over_is_answered_in_the_chat(talking: Talking, guild: Guild) -> None:
    def late() -> None:
        guild.drop()
        guild.slash("budget", "900")
        guild.lapse()

    talking.hears(late)
    (sent,) = guild.in_chat()
    assert sent.text.startswith("Budget: 900")


def test_a_fault_of_the_disk_ends_the_bot(
    talking: Talking, guild: Guild, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise LibraryError("the disk is full")

    monkeypatch.setattr(Inbox, "receive", full)
    with pytest.raises(LibraryError, match="full"):
        talking.run(before=lambda: guild.say(to_me(QUESTION)), ends=True)


# The gateway


def contents(guild: Guild, chat: int) -> list[str]:
    return [sent.text.split()[1].replace(",", "") for sent in guild.in_chat(chat) if "Budget" in sent.text]


def test_nothing_is_missed_or_answered_twice_through_drops(talking: Talking, guild: Guild) -> None:
    rng = random.Random(11)
    wanted: dict[int, list[str]] = {}
    number = 1000

    def say(most: int) -> None:
        nonlocal number
        for _ in range(rng.randrange(most)):
            number += 1
            chat = rng.choice([CHANNEL, THREAD, 1001])
            wanted.setdefault(chat, []).append(str(number))
            text = f"/budget {number}"
            guild.say(text if chat == 1001 else to_me(text), chat=chat)

    def drops() -> None:
        guild.say("/budget 1000", chat=1001)
        wanted[1001] = ["1000"]
        guild.wait(lambda: contents(guild, 1001))
        for _ in range(DROPS):
            say(4)
            how = rng.choice(["abort", "4000", "reconnect", "invalid"])
            starts = guild.counts["resumed"] + guild.counts["identify"]
            guild.drop(how, resumable=rng.random() < 0.5)
            say(4)
            guild.wait(lambda starts=starts: guild.counts["resumed"] + guild.counts["identify"] > starts)
            say(4)

    talking.run(lambda: all(len(contents(guild, chat)) >= len(said) for chat, said in wanted.items()), drops)
    assert {chat: Counter(contents(guild, chat)) for chat in wanted} == {
        chat: Counter(said) for chat, said in wanted.items()
    }
    assert {chat: contents(guild, chat) for chat in wanted} == wanted
    assert guild.counts["resumed"] + guild.counts["refused"] >= DROPS // 2
    print(dict(guild.counts), sum(map(len, wanted.values())), "messages")


def test_what_was_said_while_the_bot_was_away_is_answered(talking: Talking, guild: Guild) -> None:
    guild.say(to_me("/budget 600"))
    talking.hears(lambda: guild.say("/budget 700", chat=1001))
    guild.drop("4000", resumable=False)
    for text, chat in (
        (to_me("/budget 800"), CHANNEL),
        ("/budget 801", 1001),
        (to_me("/budget 802"), THREAD),
    ):
        guild.say(text, chat=chat)
    guild.say("nothing for the bot")
    for _ in range(2):
        talking.run(lambda: talking.ended() >= 4)
    assert [contents(guild, chat) for chat in (CHANNEL, 1001, THREAD)] == [["800"], ["700", "801"], ["802"]]


def test_roles_of_those_whose_messages_were_missed_are_asked_for(
    bot_with: Callable[..., Bot], guild: Guild
) -> None:
    talking = Talking(bot_with(bot_allow=(f"discord:role:{ROLE}",)), guild)
    talking.hears(lambda: guild.say(to_me("/budget 700")))
    guild.drop("4000", resumable=False)
    guild.say(to_me("/budget 800"))
    talking.run(lambda: talking.ended() >= 2)
    assert contents(guild, CHANNEL) == ["700", "800"]


def test_missed_messages_are_waited_for_and_closed_channels_passed_over(
    talking: Talking, guild: Guild
) -> None:
    talking.hears(lambda: guild.say("/budget 700", chat=1001))
    guild.drop("4000", resumable=False)
    guild.say(to_me("/budget 800"))
    guild.say("/budget 801", chat=1001)
    left = [wait_for(3, via=False)]

    def refuse(method: str, path: str, _body: Any) -> Any:
        if method == "GET" and path == "/channels/1001/messages":
            return left.pop() if left else None
        closed = method == "GET" and path == f"/channels/{CHANNEL}/messages"
        return refused(403, 50001, "Missing Access") if closed else None

    guild.script = refuse
    talking.run(lambda: talking.ended() >= 2)
    assert contents(guild, 1001) == ["700", "801"]
    assert 3.0 in talking.bot.waits


def test_what_was_said_in_an_outage_of_a_guild_is_answered(talking: Talking, guild: Guild) -> None:
    def outage() -> None:
        guild.say(to_me("/budget 700"))
        guild.wait(lambda: contents(guild, CHANNEL))
        guild.away()
        guild.say(to_me("/budget 800"))
        guild.say(to_me("/budget 801"), chat=THREAD)
        guild.say("/budget 802", chat=1001)
        guild.wait(lambda: contents(guild, 1001))
        guild.back()
        guild.say(to_me("/budget 900"))

    talking.run(lambda: talking.ended() >= 5, outage)
    assert sorted(contents(guild, CHANNEL)) == ["700", "800", "900"]
    assert [contents(guild, chat) for chat in (THREAD, 1001)] == [["801"], ["802"]]


def test_an_outage_that_lasts_through_restarts_is_made_good(talking: Talking, guild: Guild) -> None:
    """The guild is listed by none of two starts, while private chats go on."""
    talking.hears(lambda: guild.say(to_me("/budget 700")))
    guild.away()
    guild.drop("4000", resumable=False)
    guild.say(to_me("/budget 800"))
    for number in (801, 802):

        def private(number: int = number) -> None:
            guild.say(f"/budget {number}", chat=1001)
            guild.wait(lambda: str(number) in contents(guild, 1001))

        talking.run(before=private, listing=0.0)
        guild.drop("4000", resumable=False)
    talking.run(lambda: talking.ended() >= 4, guild.back, listing=0.0)
    assert [contents(guild, chat) for chat in (CHANNEL, 1001)] == [["700", "800"], ["801", "802"]]
    assert len(talking.bot.store.rows("select name from marks")) == 1


# How it starts and stops


def ran(chaincite: Any, library: Path, guild: Guild, token: str = TOKEN) -> Any:
    return chaincite(
        *("--library", library, "bot", "discord", "--health", ""),
        DISCORD_BOT_TOKEN=token,
        CHAINCITE_DISCORD_URL=guild.url,
    )


@contextmanager
def running(library: Path, guild: Guild, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A bot as a process of its own."""
    command = [sys.executable, "-m", "chaincite", "--library", str(library), "bot", "discord", "--health", ""]
    environment = {
        "DISCORD_BOT_TOKEN": TOKEN,
        "CHAINCITE_DISCORD_URL": guild.url,
        "CHAINCITE_BOT_ALLOW": "discord:*",
        "CHAINCITE_BOT_USER_QUOTA": "[0, 0, 0]",
        "CHAINCITE_BOT_CHAT_QUOTA": "[0, 0, 0]",
    }
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=out, stderr=out, env={**os.environ, **environment}
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_nothing_is_missed_or_answered_twice_through_kills(
    own_library: Path, guild: Guild, tmp_path: Path
) -> None:
    rng = random.Random(5)
    wanted: dict[int, list[str]] = {CHANNEL: [], THREAD: [], 1001: []}
    log = tmp_path / "log"

    def say(number: int) -> None:
        chat = rng.choice(list(wanted))
        wanted[chat].append(str(number))
        guild.say(f"/budget {number}" if chat == 1001 else to_me(f"/budget {number}"), chat=chat)
        guild.say(QUESTION if chat == 1001 else to_me(QUESTION), chat=chat)

    def goal(most: int) -> bool:
        return sum(len(contents(guild, chat)) for chat in wanted) >= most

    def answers() -> int:
        return sum("Sources" in sent.text for sent in guild.messages.values())

    for kill in range(KILLS + 1):
        started = guild.counts["identify"]
        with running(own_library, guild, log) as process:
            guild.wait(lambda started=started: guild.counts["identify"] > started)
            if kill == 0:
                wanted[1001].append("1000")
                guild.say("/budget 1000", chat=1001)
                guild.wait(lambda: goal(1))
            for number in range(5):
                say(2000 + kill * 10 + number)
            if kill < KILLS:
                more = answers() + rng.randrange(1, 5)
                guild.wait(lambda more=more: answers() >= more)
                process.send_signal(signal.SIGKILL)
                process.wait()
                guild.drop("4000", resumable=False)
                say(3000 + kill)
            else:
                whole = sum(map(len, wanted.values()))
                guild.wait(lambda whole=whole: goal(whole) and answers() >= whole - 1)
                process.send_signal(signal.SIGTERM)
                assert process.wait(HANG) == 0
    assert {chat: contents(guild, chat) for chat in wanted} == wanted
    assert answers() == sum(map(len, wanted.values())) - 1
    assert not pending(guild)
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert lines[-1]["message"] == "stopped"
    assert TOKEN not in log.read_text("utf-8")
    print(KILLS, "kills", answers(), "answers", len(pending(guild)), "placeholders left")


@pytest.mark.slow
def test_a_placeholder_that_a_kill_left_without_a_note_is_found(
    own_library: Path, guild: Guild, tmp_path: Path
) -> None:
    """The process ends when Discord has the message and before it hears so."""
    deeds: list[Callable[[], int]] = [
        lambda: guild.say(to_me(QUESTION)),
        lambda: guild.say(QUESTION, chat=1001),
        lambda: guild.say(to_me(QUESTION), chat=THREAD),
        lambda: guild.slash("ask", QUESTION),
        lambda: guild.slash("budget", "900", chat=1001),
    ]
    guild.say("before", chat=1001)
    for number, deed in enumerate(deeds):
        with running(own_library, guild, tmp_path / "log") as process:

            def kill(method: str, path: str, _body: Any, process: Any = process) -> None:
                if method == "POST" and path.endswith(("/messages", "/callback")):
                    process.send_signal(signal.SIGKILL)
                    process.wait()

            started, made = guild.counts["identify"], len(guild.messages)
            guild.wait(lambda started=started: guild.counts["identify"] > started)
            guild.after = kill
            deed()
            guild.wait(lambda made=made: len(guild.messages) > made)
            process.wait(HANG)
        guild.after = lambda *_: None
        guild.drop("4000", resumable=False)
        with running(own_library, guild, tmp_path / "log"):
            guild.wait(lambda number=number: len(guild.messages) > number and not pending(guild))
    assert len(guild.messages) == len(deeds)


def pending(guild: Guild) -> list[Sent]:
    """The placeholders that nothing followed."""
    return [sent for sent in guild.messages.values() if sent.text.startswith(("_…", "…", "thinking"))]


def test_without_a_token_the_command_says_where_to_get_one(chaincite: Any, own_library: Path) -> None:
    told = chaincite("--library", own_library, "bot", "discord", DISCORD_BOT_TOKEN="")
    assert told.returncode == 2
    assert told.stderr.startswith("chaincite: there is no token for this bot; set DISCORD_BOT_TOKEN")


@pytest.mark.parametrize(
    ("closes", "says"), [(4004, "does not know the token"), (4014, "Message Content Intent")]
)
def test_what_the_gateway_refuses_is_told_in_one_line(
    chaincite: Any, own_library: Path, closes: int, says: str
) -> None:
    with Guild(closes=closes) as guild:
        told = ran(chaincite, own_library, guild)
    assert told.returncode == 2
    assert says in told.stderr.splitlines()[-1]
    assert TOKEN not in told.stderr
    assert "Traceback" not in told.stderr


def test_a_void_token_ends_the_command_with_one_line(chaincite: Any, own_library: Path, guild: Guild) -> None:
    token = TOKEN.replace("abc", "xyz")
    told = ran(chaincite, own_library, guild, token)
    assert told.returncode == 2
    assert told.stderr.splitlines()[-1].startswith("chaincite: Discord does not know the token")
    assert token not in told.stderr
    assert "Traceback" not in told.stderr


def test_a_token_that_is_none_is_told(bot: Bot, guild: Guild) -> None:
    for token in ("", "a\nb", TOKEN + "x"):
        with pytest.raises(SettingsError, match="DISCORD_BOT_TOKEN"):
            asyncio.run(Discord(token, guild.url).start())


def test_what_the_library_logs_holds_no_token(
    talking: Talking, guild: Guild, caplog: pytest.LogCaptureFixture
) -> None:
    def dropped() -> None:
        guild.drop()
        guild.say(to_me("/help"))

    caplog.set_level(logging.INFO)
    talking.hears(lambda: guild.slash("budget", "900"), dropped)
    logged = [
        record.getMessage() for record in caplog.records if not record.name.startswith("aiohttp.access")
    ]
    assert any("RESUMED" in line for line in logged)
    assert not any(TOKEN in line or "interaction-token" in line for line in logged)


def test_the_double_refuses_what_discord_refuses() -> None:
    sent = Sent(5, 1, {})
    with Guild() as guild:
        fine = {"content": "x", "allowed_mentions": {"parse": []}, "flags": 4}
        assert guild._put(sent, fine, None, new=True)[0] == 200
        for more in ({"content": "x" * 2001}, {"content": " "}, {"allowed_mentions": {}}, {"flags": 0}):
            assert guild._put(sent, {**fine, **more}, None, new=True)[0] == 400
        assert len(guild.faults) == 4
