"""What came in is answered once, whatever happens between: kills, faults of the platform, a stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.surfaces.bots import render
from agent.surfaces.bots.channel import Incoming, Reply
from agent.surfaces.bots.inbox import Inbox
from agent.surfaces.bots.markup import Plain
from agent.surfaces.bots.messages import Part, plain
from agent.surfaces.bots.store import Store
from index.errors import Delayed, DeliveryError, LibraryError, Misread, Vanished
from index.library import Library
from tests.agent.bots.conftest import Bot
from tests.agent.bots.generated import answer_of

QUESTION = "How does the base fee change when a block is full?"

BotWith = Callable[..., Bot]


class Killed(BaseException):
    """The end of the process, as far as a test in one process can have it."""


def test_a_message_is_taken_in_once(bot: Bot) -> None:
    incoming = bot.incoming(QUESTION)

    async def main() -> list[bool]:
        taken = [await bot.desk.take(incoming) for _ in range(3)]
        await bot.desk.idle()
        return [*taken, await bot.desk.take(incoming)]

    assert asyncio.run(main()) == [True, False, False, False]
    assert len(bot.channel.said) == 1
    assert bot.surface.answered == 1


@pytest.mark.parametrize("moment", range(8))
def test_a_kill_at_any_moment_leaves_one_answer(bot_with: BotWith, moment: int) -> None:
    first = bot_with()
    incoming = first.incoming(QUESTION)
    calls = 0

    def die(_call: str, _part: Part) -> DeliveryError | None:
        nonlocal calls
        calls += 1
        if calls > moment // 2 and moment % 2 == 0:
            raise Killed
        return None

    async def run(bot: Bot, *, take: bool) -> None:
        if take:
            await bot.desk.take(incoming)
        else:
            await bot.desk.resume()
        await bot.desk.idle()

    first.channel.fails = die
    if moment % 2:
        first.surface._asked = _dying(moment)  # type: ignore[method-assign]
    _until_killed(run(first, take=True))
    first.store.close()
    second = bot_with()
    second.channel.said, second.channel.chats = first.channel.said, first.channel.chats
    asyncio.run(run(second, take=False))
    shown = [history[-1] for history in second.channel.said.values()]
    assert sum("[1]" in text for text in shown) == 1
    assert second.desk.inbox.counts() == {"delivered": 1}
    assert second.surface.quotas.spent("telegram:user:7").questions == 1


def _dying(_moment: int) -> Callable[..., object]:
    async def asked(*_: object) -> object:
        raise Killed
        yield

    return asked


def _until_killed(work: object) -> None:
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(work)  # type: ignore[arg-type]
    except Killed:
        pass
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def test_where_the_platform_asks_to_wait_it_is_waited_for(bot: Bot) -> None:
    left = [Delayed("slow down", 7.0), Delayed("later"), Delayed("later")]
    bot.channel.fails = lambda call, _part: left.pop(0) if call == "send" and left else None
    assert "[1]" in bot.run(QUESTION)[0]
    assert [wait for wait in bot.waits if wait >= 1] == [7.0, 1.0, 2.0]


def resumed_with(bot: Bot, reply: Reply) -> None:
    """Has a bot deliver a reply that its last run left behind."""
    incoming = bot.incoming(QUESTION)
    bot.desk.inbox.receive(incoming)
    bot.desk.inbox.answered(incoming.key, reply)

    async def main() -> None:
        await bot.desk.resume()
        await bot.desk.idle()

    asyncio.run(main())


def test_markup_that_is_refused_goes_out_plain_with_every_address(bot: Bot) -> None:
    def refuse(_call: str, part: Part) -> DeliveryError | None:
        return Misread("can't parse entities") if "<a " in part.markup else None

    bot.channel.fails = refuse
    resumed_with(bot, Reply(render.answer_text(answer_of("It burns [1]. It does not [2]."))))
    said = bot.channel.last
    assert all(f"[{number}] https://github.com/" in said for number in range(1, 10))
    assert "Sources" in said


def test_plain_text_in_more_parts_than_the_markup_is_all_delivered(bot: Bot) -> None:
    bot.channel.plain = Plain(200)
    bot.channel.fails = lambda _call, part: Misread("no") if "<a " in part.markup else None
    resumed_with(bot, Reply(render.answer_text(answer_of("It burns [1]. It does not [2]."))))
    assert len(bot.channel.said) > 3
    assert all(len(history[-1]) <= 200 and history[-1] != "…" for history in bot.channel.said.values())


def test_a_placeholder_that_was_deleted_is_replaced(bot: Bot) -> None:
    gone = [Vanished("deleted")]
    bot.channel.fails = lambda call, part: (
        gone.pop() if call == "edit" and "[1]" in part.text and gone else None
    )
    assert "[1]" in bot.run(QUESTION)[0]
    assert len(bot.channel.said) == 2


def test_a_chat_that_may_not_be_written_to_is_dropped_and_the_rest_goes_on(bot: Bot) -> None:
    def blocked(_call: str, _part: Part) -> DeliveryError | None:
        return DeliveryError("bot was blocked by the user")

    bot.channel.fails = blocked

    async def main() -> None:
        await bot.desk.take(bot.incoming(QUESTION))
        await bot.desk.idle()
        bot.channel.fails = lambda _call, _part: None
        await bot.hears(QUESTION)

    asyncio.run(main())
    assert bot.desk.inbox.counts() == {"dropped": 1, "delivered": 1}


def test_messages_of_a_conversation_are_answered_in_order(bot: Bot) -> None:
    texts = ["/budget 900", "/budget", "/budget 800", "/budget"]

    async def main() -> None:
        for text in texts:
            await bot.desk.take(bot.incoming(text))
        await bot.desk.idle()

    asyncio.run(main())
    said = [history[-1] for history in bot.channel.said.values()]
    assert [text.split()[1] for text in said] == ["900", "900", "800", "800"]


def test_a_stop_hands_back_what_is_not_finished_and_says_so(bot_with: BotWith) -> None:
    bot = bot_with()
    blocked = asyncio.Event()

    async def never(*_: object) -> object:
        await blocked.wait()
        yield

    async def main() -> None:
        bot.surface._asked = never  # type: ignore[method-assign]
        await bot.desk.take(bot.incoming(QUESTION))
        while not bot.channel.said:
            await asyncio.sleep(0)
        await bot.desk.stop(0.0)

    asyncio.run(main())
    assert "restarting" in bot.channel.last
    assert bot.desk.inbox.counts() == {"received": 1}
    bot.store.close()
    again = bot_with()
    again.channel.said = bot.channel.said

    async def resumed() -> int:
        left = await again.desk.resume()
        await again.desk.idle()
        return left

    assert asyncio.run(resumed()) == 1
    assert "[1]" in again.channel.said["m1"][-1]
    assert len(again.channel.said) == 1


def test_a_message_that_ends_the_bot_each_time_is_given_up(
    bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    incoming = bot.incoming(QUESTION)
    bot.desk.inbox.receive(incoming)
    for _ in range(10):
        bot.desk.inbox.begin(incoming.key)

    async def main() -> None:
        await bot.desk.resume()
        await bot.desk.idle()

    asyncio.run(main())
    assert "could not be answered" in bot.channel.last
    assert "10 times" in bot.channel.last
    assert bot.surface.stats()["failed"] == 1
    (told,) = [record for record in caplog.records if record.message.startswith("given up")]
    assert (told.levelname, told.key) == ("ERROR", incoming.key)  # type: ignore[attr-defined]


def test_a_fault_of_the_program_is_told_at_once_and_counted(
    bot: Bot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> object:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(Library, "search", broken)
    assert bot.run(QUESTION)[0].startswith("This could not be answered: the library or its model failed.")
    assert bot.desk.inbox.counts() == {"delivered": 1}
    assert bot.surface.stats()["failed"] == 1
    assert bot.surface.quotas.spent("telegram:user:7").questions == 0
    assert any(record.exc_info and record.levelname == "ERROR" for record in caplog.records)


WORDS = st.lists(
    st.tuples(st.sampled_from(["receive", "answered", "delivered", "reopen"]), st.integers(0, 3)), max_size=30
)


@settings(max_examples=40)
@given(steps=WORDS)
def test_the_inbox_says_what_a_dictionary_would(
    steps: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("inbox")
    store = Store(folder)
    inbox, known = Inbox(store, "telegram"), dict[str, str]()
    for step, number in steps:
        key = f"telegram:1:{number}"
        incoming = Incoming(key, "telegram", "7", "7", f"text {number}", groups=("guild:1",))
        entry = inbox.entry(key)
        if step == "receive":
            assert inbox.receive(incoming) == (key not in known)
            known.setdefault(key, "received")
        elif step == "answered" and known.get(key) == "received":
            inbox.answered(key, Reply(plain(f"reply {number}"), answer_id="a"))
            known[key] = "answered"
        elif step == "delivered" and known.get(key) == "answered" and entry:
            inbox.done(entry, "delivered")
            known[key] = "delivered"
        elif step == "reopen":
            store.close()
            store = Store(folder)
            inbox = Inbox(store, "telegram")
        entry = inbox.entry(key)
        assert (entry.state if entry else "delivered") == known.get(key, "delivered")
        if entry:
            assert entry.incoming == incoming
            assert (entry.reply is not None) == (known[key] == "answered")
    left = [key for key, state in known.items() if state != "delivered"]
    assert [entry.incoming.key for entry in inbox.open()] == left
    store.close()


def test_a_file_that_is_no_database_is_told(folder: Path) -> None:
    (folder / "bots.sqlite").write_bytes(b"no database, but bytes enough to be looked at" * 50)
    with pytest.raises(LibraryError, match=r"bots\.sqlite cannot be used"):
        Store(folder)
