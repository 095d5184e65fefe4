"""The Telegram bot: the real client library, and real processes, against a strict Bot API over loopback."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from agent.surfaces.bots import webhook
from agent.surfaces.bots.desk import Desk
from agent.surfaces.bots.inbox import Inbox
from agent.surfaces.bots.telegram import Telegram
from index.errors import SettingsError
from tests.agent.bots.conftest import Bot
from tests.agent.bots.telegram_double import TOKEN, BotApi, forbidden, moved_to, wait_for
from tests.conftest import HANG, ROOT

QUESTION = "How does the base fee change when a block is full?"
QUESTIONS = [
    QUESTION,
    "Which formula keeps the reserves of a Uniswap pair in balance?",
    "Who won the football world cup in 1998?",
    "What does a light client check?",
]
KILLS = int(os.environ.get("CHAINCITE_TEST_KILLS", "3"))
UPDATES = int(os.environ.get("CHAINCITE_TEST_UPDATES", "100"))


class Polling:
    """A bot over the sample library that polls a Bot API while the context lasts."""

    def __init__(self, bot: Bot, api: BotApi) -> None:
        self.bot = bot
        self.channel = Telegram(TOKEN, api.url)
        self.channel.pace = 0.0
        self.desk = Desk(self.channel, bot.surface, Inbox(bot.store, "telegram"), bot._slept)
        self.api = api

    def run(self, until: Callable[[], object]) -> None:
        """Polls until something holds."""

        async def main() -> None:
            stopped = asyncio.Event()
            async with started(self.channel):
                polling = asyncio.create_task(self.channel.poll(self.desk, stopped))
                await asyncio.to_thread(self.api.wait, until)
                await self.desk.idle()
                stopped.set()
                await polling

        asyncio.run(main())

    def hears(self, *updates: Callable[[], Any]) -> None:
        """Gives updates one after another, each when the one before is answered."""

        async def main() -> None:
            from telegram import Update

            async with started(self.channel):
                for update in updates:
                    number = update()
                    made = Update.de_json(self.api._updates[number], self.channel.bot)
                    assert made
                    await self.channel.take(made, self.desk)
                    await self.desk.idle()

        asyncio.run(main())


@asynccontextmanager
async def started(channel: Telegram) -> AsyncIterator[None]:
    """A channel that is closed whatever happens."""
    await channel.start()
    try:
        yield
    finally:
        await channel.close()


@pytest.fixture
def polling(bot: Bot, api: BotApi) -> Polling:
    return Polling(bot, api)


def answered(api: BotApi, chat: int = 7) -> bool:
    said = api.in_chat(chat)
    return bool(said) and not said[-1].text.startswith("…")


def test_a_question_is_answered_by_edits_of_one_message(polling: Polling, api: BotApi) -> None:
    api.say(QUESTION)
    polling.run(lambda: answered(api))
    (sent,) = api.in_chat()
    assert sent.history[0].startswith("…")
    assert "[1]" in sent.text
    assert "Sources" in sent.text
    assert [button["text"] for button in sent.buttons] == ["Sources", "Verify", "As a file"]
    assert not api.faults
    assert all(
        json.loads(call["link_preview_options"])["is_disabled"] for _, call in api.calls if "text" in call
    )


def test_buttons_give_sources_checks_and_the_file(polling: Polling, api: BotApi) -> None:
    polling.hears(
        lambda: api.say(QUESTION),
        lambda: api.press(api.in_chat()[0], "Sources"),
        lambda: api.press(api.in_chat()[0], "Verify"),
        lambda: api.press(api.in_chat()[0], "As a file"),
    )
    _, sources, checks, file = api.in_chat()
    assert "retrieved" in sources.text
    assert "[1] OK" in checks.text
    assert file.file is not None
    assert file.file[0].endswith(".md")
    assert file.file[1].decode().startswith(f"# {QUESTION}")
    assert sum(method == "answerCallbackQuery" for method, _ in api.calls) == 3
    assert not api.faults


def test_a_group_is_answered_where_it_speaks_to_the_bot(polling: Polling, api: BotApi) -> None:
    mine = {"message_id": 5, "date": 1, "chat": {"id": -100, "type": "supergroup", "title": "t"}}
    me = {"id": 123456789, "is_bot": True, "first_name": "B", "username": "the_bot"}
    polling.hears(
        lambda: api.say("what do you all think?", chat=-100),
        lambda: api.say("/price", chat=-100),
        lambda: api.say("/help@another_bot", chat=-100),
        lambda: api.say("@the_bott hello", chat=-100),
    )
    assert api.in_chat(-100) == []
    polling.hears(
        lambda: api.say("/help", chat=-100),
        lambda: api.say("/budget@The_Bot 900", chat=-100),
        lambda: api.say(f"@the_bot {QUESTION}", chat=-100),
        lambda: api.say(QUESTION, chat=-100, reply_to_message={**mine, "from": me}),
        lambda: api.say("/budget", chat=-100, message_thread_id=9, is_topic_message=True),
    )
    said = [sent.text for sent in api.in_chat(-100)]
    assert said[1].startswith("Budget: 900")
    assert "[1]" in said[2]
    assert "[1]" in said[3]
    assert "900" not in said[4]
    assert json.loads(api.in_chat(-100)[0].call["reply_parameters"])["message_id"]
    assert api.in_chat(-100)[4].call["message_thread_id"] == "9"


@pytest.mark.parametrize(
    "update",
    [
        lambda api: api.update(edited_message={**_bare(), "text": QUESTION}),
        lambda api: api.update(channel_post={**_bare(-5, "channel"), "text": QUESTION}),
        lambda api: api.say(QUESTION, **{"from": {"id": 9, "is_bot": True, "first_name": "other"}}),
        lambda api: api.say(QUESTION, chat=-100, sender_chat={"id": -7, "type": "channel", "title": "c"}),
        lambda api: api.say(None, new_chat_title="new"),
        lambda api: api.update(my_chat_member=None),
    ],
)
def test_what_is_not_for_the_bot_is_left_alone(
    polling: Polling, api: BotApi, update: Callable[[BotApi], int]
) -> None:
    polling.hears(lambda: update(api))
    assert api.messages == {}


def _bare(chat: int = 7, kind: str = "private") -> dict[str, Any]:
    return {"message_id": 3, "date": 1, "chat": {"id": chat, "type": kind}}


def test_a_picture_is_read_by_its_words(polling: Polling, api: BotApi) -> None:
    photo = [{"file_id": "f", "file_unique_id": "u", "width": 1, "height": 1}]
    voice = {"file_id": "f", "file_unique_id": "u", "duration": 1}
    polling.hears(
        lambda: api.say(None, photo=photo),
        lambda: api.say(None, voice=voice),
        lambda: api.say(None, photo=photo, caption=QUESTION),
    )
    first, second, third = (sent.text for sent in api.in_chat())
    assert first.startswith("Ask in words")
    assert second.startswith("Ask in words")
    assert "[1]" in third


def test_a_flood_is_waited_out(polling: Polling, api: BotApi) -> None:
    left = [wait_for(3)] * 4
    api.script = lambda method, _call: (
        left.pop() if method in ("sendMessage", "editMessageText") and left else None
    )
    api.say(QUESTION)
    polling.run(lambda: answered(api) and not left)
    assert polling.bot.waits.count(3.0) >= 2
    assert "[1]" in api.in_chat()[0].text


def test_markup_that_telegram_refuses_goes_out_plain(polling: Polling, api: BotApi) -> None:
    def refuse(method: str, call: dict[str, Any]) -> Any:
        if method == "editMessageText" and call.get("parse_mode") and "Sources" in call["text"]:
            return 400, {
                "ok": False,
                "error_code": 400,
                "description": "Bad Request: can't parse entities: x",
            }
        return None

    api.script = refuse
    polling.hears(lambda: api.say(QUESTION))
    (sent,) = api.in_chat()
    assert "[1]" in sent.text
    assert "Sources" in sent.text
    assert sent.entities == []


@pytest.mark.parametrize("refusal", [forbidden(), forbidden("bot was kicked from the group chat")])
def test_where_the_bot_may_not_write_the_message_is_dropped(
    polling: Polling, api: BotApi, refusal: Any
) -> None:
    api.script = lambda method, call: refusal if method == "sendMessage" and call["chat_id"] == "8" else None
    polling.hears(lambda: api.say(QUESTION, user=8), lambda: api.say(QUESTION))
    assert polling.desk.inbox.counts() == {"dropped": 1, "delivered": 1}
    assert answered(api)


def test_missing_rights_are_no_end(polling: Polling, api: BotApi) -> None:
    told = {
        "ok": False,
        "error_code": 400,
        "description": "Bad Request: not enough rights to send text messages",
    }
    api.script = lambda method, call: (400, told) if call.get("chat_id") == "-100" else None
    polling.hears(lambda: api.say("/help", chat=-100), lambda: api.say("/help"))
    assert polling.desk.inbox.counts() == {"dropped": 1, "delivered": 1}


def grown(api: BotApi) -> None:
    """From now on the group -5 is the supergroup -1005."""
    api.script = lambda _method, call: moved_to(-1005) if call.get("chat_id") == "-5" else None


def test_a_group_that_became_a_supergroup_is_followed(bot_with: Callable[..., Bot], api: BotApi) -> None:
    polling = Polling(bot_with(bot_allow=("telegram:chat:-5",)), api)
    grown(api)
    polling.hears(
        lambda: api.say(f"/ask {QUESTION}", chat=-5),
        lambda: api.say(None, chat=-5, migrate_to_chat_id=-1005),
        lambda: api.say("/help", chat=-1005),
    )
    assert "[1]" in api.in_chat(-1005)[0].text
    assert "Ask in words" in api.in_chat(-1005)[1].text


@pytest.mark.parametrize("told", ["in the old chat", "in the new chat", "by a refusal"])
def test_what_a_group_said_chose_and_spent_follows_it(
    bot_with: Callable[..., Bot], api: BotApi, told: str
) -> None:
    polling = Polling(bot_with(bot_allow=("telegram:chat:-5",), bot_chat_quota="[2, 0, 0]"), api)
    polling.hears(
        lambda: api.say(f"/ask {QUESTION}", chat=-5),
        lambda: api.say("/budget 900", chat=-5),
        lambda: api.say("/filter kind=proposal", chat=-5),
        lambda: api.say("/asof 2026-01-01", chat=-5),
    )
    if told == "by a refusal":
        grown(api)
    moves = {
        "in the old chat": lambda: api.say(None, chat=-5, migrate_to_chat_id=-1005),
        "in the new chat": lambda: api.say(None, chat=-1005, migrate_from_chat_id=-5),
        "by a refusal": lambda: api.say("/help", chat=-5),
    }
    words = ("/sources", "/budget", "/filter", "/asof", "/usage", "/ask And who receives it?")
    polling.hears(moves[told], *(lambda word=word: api.say(word, chat=-1005) for word in words))
    sources, budget, filters, date, usage, answer = (sent.text for sent in api.in_chat(-1005)[-6:])
    assert "retrieved" in sources
    assert budget.startswith("Budget: 900")
    assert "kind=proposal" in filters
    assert "2026-01-01" in date
    assert "questions 1 of 2" in usage
    assert "read after: How does the base fee change" in answer
    surface = polling.bot.surface
    assert [len(surface._make("", f"telegram:{chat}:").turns) for chat in (-5, -1005)] == [0, 2]
    polling.hears(lambda: api.say("/forget", chat=-1005), lambda: api.say("/sources", chat=-1005))
    assert "no such answer" in api.in_chat(-1005)[-1].text


def test_what_was_asked_before_a_group_grew_is_answered_after_it(
    bot_with: Callable[..., Bot], api: BotApi
) -> None:
    """Placeholders of the old chat are void; messages of the new one with the same ids are left alone."""
    polling = Polling(bot_with(bot_allow=("telegram:chat:-5",)), api)
    polling.hears(lambda: api.say("/help", chat=-1005), lambda: api.say("/budget 900", chat=-5))
    api.messages[-1005, 77] = api.messages.pop((-1005, api.in_chat(-1005)[0].id))
    before = list(api.in_chat(-1005)[0].history)

    async def ask() -> None:
        for number, text in enumerate(["/budget", f"/ask {QUESTION}", "/budget 800", "/budget"]):
            incoming = polling.bot.incoming(text, chat=-5, key=f"telegram:123456789:{number}")
            polling.desk.inbox.receive(incoming)
            polling.desk.inbox.begin(incoming.key)
            polling.desk.inbox.placed(incoming.key, ("77",))
        await polling.desk.resume()

    async def main() -> None:
        async with started(polling.channel):
            grown(api)
            polling.channel._desk = polling.desk
            await ask()
            await polling.desk.idle()

    asyncio.run(main())
    help_, *rest = (sent for sent in api.in_chat(-1005))
    assert help_.history == before
    said = [sent.text for sent in rest]
    assert [said[at].split()[1] for at in (0, 2, 3)] == ["900", "800", "800"]
    assert "[1]" in said[1]
    assert len(said) == 4


@pytest.mark.parametrize("allowed", [True, False])
def test_a_denial_follows_a_group_and_what_was_said_of_the_new_one_stands(
    bot_with: Callable[..., Bot], api: BotApi, *, allowed: bool
) -> None:
    polling = Polling(bot_with(bot_allow=("telegram:user:7",)), api)
    polling.bot.surface.access.change("telegram:chat:-5", allowed=False)
    if allowed:
        polling.bot.surface.access.change("telegram:chat:-1005", allowed=True)
    polling.hears(
        lambda: api.say(None, chat=-5, migrate_to_chat_id=-1005), lambda: api.say("/help", chat=-1005)
    )
    assert ("denied" in api.in_chat(-1005)[0].text) != allowed


def test_an_update_is_confirmed_only_after_it_was_taken(polling: Polling, api: BotApi) -> None:
    numbers = [api.say(text) for text in QUESTIONS]
    seen: list[set[str]] = []
    take = polling.channel.take

    async def watched(update: Any, desk: Desk) -> bool:
        confirmed = {number for number in numbers if number not in api._updates}
        stored = {int(row[0].rpartition(":")[2]) for row in polling.bot.store.rows("select key from inbox")}
        seen.append({str(number) for number in confirmed - stored})
        return await take(update, desk)

    polling.channel.take = watched  # type: ignore[method-assign]
    polling.run(lambda: len(api.in_chat()) == 4 and answered(api))
    assert seen == [set()] * 4


def test_a_void_token_is_told_in_one_line(bot: Bot, api: BotApi) -> None:
    for token in (TOKEN.replace("AAE", "AAF"), ""):
        with pytest.raises(SettingsError, match="TELEGRAM_BOT_TOKEN") as told:
            asyncio.run(_greeted(token, api.url))
        assert not token or token not in str(told.value)


async def _greeted(token: str, url: str) -> None:
    await Telegram(token, url).start()


def test_a_second_bot_with_the_same_token_is_told(polling: Polling, api: BotApi) -> None:
    conflict = {
        "ok": False,
        "error_code": 409,
        "description": "Conflict: terminated by other getUpdates request",
    }
    api.script = lambda method, _call: (409, conflict) if method == "getUpdates" else None

    async def main() -> None:
        async with started(polling.channel):
            await polling.channel.poll(polling.desk, asyncio.Event())

    with pytest.raises(SettingsError, match="Conflict"):
        asyncio.run(main())


# The webhook


def test_only_the_path_and_the_secret_are_heard(polling: Polling, api: BotApi) -> None:
    """100 forged secrets, of 100, are refused; so are other paths, methods, large and broken bodies."""
    secret = "s3cret-of_the-webhook"
    rng = random.Random(5)
    letters = [*secret]
    forged = ["", secret[:-1], secret + "x", secret.upper(), *(_shuffled(letters, rng) for _ in range(96))]
    body = json.dumps({"update_id": 1, "message": {**_bare(), "from": _user(), "text": "/help"}}).encode()

    async def main() -> list[int]:
        app = webhook.webhook(polling.channel, polling.desk, "https://bot.example.org/hook", secret)
        async with started(polling.channel), webhook.listening(app, "127.0.0.1:0") as port:

            async def call(path: str, shown: str | None, body: bytes = body, method: str = "POST") -> int:
                return await asyncio.to_thread(_called, f"http://127.0.0.1:{port}{path}", shown, body, method)

            statuses = [await call("/hook", one) for one in forged]
            statuses += [await call("/hook", None), await call("/other", secret), await call("/", secret)]
            statuses += [await call("/hook", secret, method="GET"), await call("/hook", secret, b"{")]
            statuses += [await call("/hook", secret, b"[1]"), await call("/hook", secret, b"x" * 1_000_001)]
            assert polling.desk.inbox.counts() == {}
            statuses += [await call("/hook", secret), await call("/hook", secret)]
            await polling.desk.idle()
        return statuses

    statuses = asyncio.run(main())
    assert statuses[:101] == [403] * 101
    assert statuses[101:] == [404, 404, 405, 400, 400, 413, 200, 200]
    assert len(api.in_chat()) == 1


def _shuffled(letters: list[str], rng: random.Random) -> str:
    while "".join(mixed := rng.sample(letters, len(letters))) == "".join(letters):
        pass
    return "".join(mixed)


def _user() -> dict[str, Any]:
    return {"id": 7, "is_bot": False, "first_name": "U"}


def _called(url: str, secret: str | None, body: bytes, method: str) -> int:
    headers = {} if secret is None else {"X-Telegram-Bot-Api-Secret-Token": secret}
    request = urllib.request.Request(url, None if method == "GET" else body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=HANG) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (urllib.error.URLError, ConnectionError):
        return 413


@pytest.mark.parametrize(
    "url", ["http://bot.example.org/hook", "https://bot.example.org", "bot", "https:///x"]
)
def test_a_url_that_telegram_would_not_call_is_told(url: str) -> None:
    with pytest.raises(SettingsError, match="no URL for a webhook"):
        webhook.path_of(url)


# Processes


_PATIENT = """
import sys
from agent.surfaces.bots.telegram import Telegram
import chaincite
Telegram.alone = float("inf")
sys.exit(chaincite.main())
"""
"""Runs the command line with a bot that sends its messages one after another, however slow Telegram is."""


@contextmanager
def running(library: Path, api: BotApi, log: Path, *options: str, **environment: str) -> Iterator[Any]:
    """A bot as a process of its own."""
    command = [sys.executable, "-c", _PATIENT, "--library", str(library), "bot", "telegram", *options]
    with log.open("ab") as err:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=err,
            stderr=err,
            env={
                **os.environ,
                "TELEGRAM_BOT_TOKEN": TOKEN,
                "CHAINCITE_TELEGRAM_URL": api.url,
                "CHAINCITE_BOT_ALLOW": "telegram:*",
                "CHAINCITE_BOT_USER_QUOTA": "[0, 0, 0]",
                "CHAINCITE_BOT_CHAT_QUOTA": "[0, 0, 0]",
                **environment,
            },
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def delivered(library: Path) -> int:
    import sqlite3

    with (
        suppress(sqlite3.Error),
        sqlite3.connect(f"file:{library / 'bots.sqlite'}?mode=ro", uri=True) as file,
    ):
        return int(file.execute("select count(*) from inbox where state = 'delivered'").fetchone()[0])
    return 0


@pytest.mark.slow
def test_each_update_is_answered_once_through_kills_and_redelivery(own_library: Path, tmp_path: Path) -> None:
    rng = random.Random(3)
    with BotApi(again=0.3, seed=3) as api:
        asked: dict[int, list[str]] = {}
        for number in range(UPDATES):
            chat = 100 + number % 25
            text = rng.choice([*QUESTIONS, f"/budget {1000 + number}"])
            asked.setdefault(chat, []).append(text)
            api.say(text, user=chat)
        for kill in range(KILLS):
            goal = (kill + 1) * UPDATES // (KILLS + 1)
            with running(own_library, api, tmp_path / "log", "--health", "") as process:
                api.wait(lambda goal=goal: delivered(own_library) >= goal)
                process.send_signal(signal.SIGKILL)
        with running(own_library, api, tmp_path / "log", "--health", "") as process:
            api.wait(lambda: delivered(own_library) >= UPDATES)
            process.send_signal(signal.SIGTERM)
            assert process.wait(HANG) == 0
        replies = {chat: [_kind(sent.text) for sent in api.in_chat(chat)] for chat in asked}
        orphans = sum(kind == "" for kinds in replies.values() for kind in kinds)
        for chat, texts in asked.items():
            assert [kind for kind in replies[chat] if kind] == [_wanted(text) for text in texts]
        assert orphans <= KILLS
        assert not api.faults
        assert max(api.given.values()) > 1
        again = sum(times > 1 for times in api.given.values())
        print(f"{UPDATES} updates, {KILLS} kills, {again} redelivered, {orphans} orphans")
    assert TOKEN not in (tmp_path / "log").read_text("utf-8")


def _kind(text: str) -> str:
    """What a reply answers; empty for a placeholder that nothing followed."""
    if text.startswith("…"):
        return ""
    if text.startswith("Budget: "):
        return text.split()[1].replace(",", "")
    return next((word for word in ("Uniswap", "base fee", "light client") if word in text[:400]), "refused")


def _wanted(text: str) -> str:
    if text.startswith("/budget"):
        return text.split()[1]
    wanted = {
        QUESTIONS[0]: "base fee",
        QUESTIONS[1]: "Uniswap",
        QUESTIONS[2]: "refused",
        QUESTIONS[3]: "light client",
    }
    return wanted[text]


@pytest.mark.slow
def test_a_process_tells_its_health_and_stops_in_good_order(own_library: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path / "log"
    with BotApi() as api, running(own_library, api, log, "--health", f"127.0.0.1:{port}") as process:
        api.say(QUESTION)
        api.wait(lambda: answered(api))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=HANG) as answer:
            health = json.load(answer)
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG) == 0
    assert health["alive"] is True
    assert health["answered"] == 1
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert {line["message"].partition(";")[0] for line in lines} >= {
        "started",
        "answered",
        "stopping",
        "stopped",
    }
    assert TOKEN not in log.read_text("utf-8")


def test_without_a_token_the_command_says_where_to_get_one(chaincite: Any, own_library: Path) -> None:
    ran = chaincite("--library", own_library, "bot", "telegram", TELEGRAM_BOT_TOKEN="")
    assert ran.returncode == 2
    assert (
        ran.stderr
        == "chaincite: there is no token for this bot; set TELEGRAM_BOT_TOKEN (@BotFather gives one)\n"
    )


def test_a_void_token_ends_the_command_with_one_line(chaincite: Any, own_library: Path, api: BotApi) -> None:
    token = "987654321:" + "x" * 35
    ran = chaincite(
        *("--library", own_library, "bot", "telegram", "--health", ""),
        TELEGRAM_BOT_TOKEN=token,
        CHAINCITE_TELEGRAM_URL=api.url,
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith("chaincite: Telegram does not know the token")
    assert token not in ran.stderr


_SHIM = """
const T = require('telegram-test-api');
const s = new (T.default || T)({port: +process.argv[2], host: '127.0.0.1'});
const app = s.webServer, stack = (app._router || app.router).stack;
const first = stack.findIndex(layer => layer.route);
const route = (path, answer) => {
  app.all('/bot:token/' + path, (q, r) => r.json({ok: true, result: answer(q)}));
  stack.splice(first, 0, stack.pop());
};
route('getMe', () => ({id: 123456789, is_bot: true, first_name: 'T', username: 'the_bot'}));
route('editMessageText', q => { s.editMessageText(q.body); return true; });
const add = s.addBotMessage.bind(s);
s.addBotMessage = (m, t) => {
  const r = add(m, t);
  delete r.link_preview_options;
  return {...r, date: Math.floor(r.date / 1000)};
};
s.start().then(() => console.log('up'));
"""


@pytest.mark.slow
def test_the_emulator_from_npm_is_answered(own_library: Path, tmp_path: Path) -> None:
    parts = ROOT / ".npm-tools" / "node_modules"
    if not (parts / "telegram-test-api").is_dir() or not shutil.which("node"):
        pytest.skip("no telegram-test-api in .npm-tools")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command, env = ["node", "-e", _SHIM, "shim", str(port)], {**os.environ, "NODE_PATH": str(parts)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, encoding="utf-8") as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline().strip() == "up"
            url = f"http://127.0.0.1:{port}"
            asyncio.run(_emulated(url, own_library, tmp_path / "log"))
        finally:
            server.kill()


async def _emulated(url: str, library: Path, log: Path) -> None:
    import httpx

    class Emulator:
        def __init__(self) -> None:
            self.url = url

    message = {"from": {"id": 1, "first_name": "U", "is_bot": False}, "date": 1, "text": QUESTION}
    chat = {"chat": {"id": 1, "type": "private", "first_name": "U"}}
    with running(library, Emulator(), log, "--health", ""):  # type: ignore[arg-type]
        async with httpx.AsyncClient(timeout=HANG) as client:
            await client.post(f"{url}/sendMessage", json={"botToken": TOKEN, **message, **chat})

            async def texts() -> list[str]:
                told = await client.post(f"{url}/getUpdatesHistory", json={"token": TOKEN})
                return [
                    one["message"]["text"] for one in told.json()["result"] if "from" not in one["message"]
                ]

            await _until(texts, log)


async def _until(texts: Callable[[], Awaitable[list[str]]], log: Path) -> None:
    async with asyncio.timeout(HANG):
        while not any("[1]" in text for text in await texts()):
            await asyncio.sleep(0.2)
