"""Who is answered, how much, in which order; and that a conversation is its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing

import pytest

from agent.answers.values import NOT_IN_LIBRARY
from agent.surfaces.bots.channel import Incoming, Progress
from agent.surfaces.bots.line import Line
from agent.surfaces.bots.messages import reading
from index.errors import SettingsError
from tests.agent.bots.conftest import Bot
from tests.agent.endpoint import Endpoint, Script, say, status

QUESTION = "How does the base fee change when a block is full?"
OTHER = "Which formula keeps the reserves of a Uniswap pair in balance?"

BotWith = Callable[..., Bot]


def test_a_question_is_answered_with_its_sources(bot: Bot) -> None:
    (said,) = bot.run(QUESTION)
    assert "[1]" in said
    assert "Sources" in said
    assert bot.channel.said["m1"][0].startswith("… ")
    assert [one.label for one in bot.channel.buttons["m1"]] == ["Sources", "Verify", "As a file"]


def test_a_question_out_of_the_library_is_refused_honestly(bot: Bot) -> None:
    (said,) = bot.run("Who won the football world cup in 1998?")
    assert said.startswith(NOT_IN_LIBRARY)


def test_by_default_nobody_is_answered_and_is_told_what_to_ask_for(bot_with: BotWith) -> None:
    bot = bot_with(bot_allow=())
    private, in_group = bot.run(QUESTION)[0], bot.run(QUESTION, chat=-100)[0]
    assert "allow telegram:user:7." in private
    assert "telegram:chat:-100 for this chat" in in_group
    assert len(bot.channel.asides) == 2
    assert not (bot.settings.library / "answers").exists()


@pytest.mark.parametrize(
    "allowed", ["telegram:user:7", "telegram:chat:-100", "telegram:guild:5", "telegram:role:6"]
)
def test_whoever_is_allowed_is_answered(bot_with: BotWith, allowed: str) -> None:
    bot = bot_with(bot_allow=(allowed,))
    assert "Ask in words" in bot.run("/help", chat=-100, groups=("guild:5", "role:6"))[0]
    assert "Ask its operator" in bot.run("/help", user=8, chat=-200)[0]


def test_admins_allow_and_deny_and_a_denial_wins(bot_with: BotWith) -> None:
    bot = bot_with(bot_allow=("telegram:chat:-100",))
    assert "no command /allow" in bot.run("/allow telegram:user:8", chat=-100)[0]
    bot.run("/allow telegram:user:8", user=1)
    assert "Ask in words" in bot.run("/help", user=8)[0]
    bot.run("/deny telegram:user:7", user=1)
    assert "denied" in bot.run("/help", chat=-100)[0]
    assert "denied: telegram:user:7" in bot.run("/stats", user=1)[0]
    assert "names nobody" in bot.run("/allow me", user=1)[0]


def test_a_wrong_subject_in_the_settings_is_told(bot_with: BotWith) -> None:
    with pytest.raises(SettingsError, match="'bob' names nobody"):
        bot_with(bot_allow=("bob",))


def test_questions_a_day_are_counted_for_user_and_chat(bot_with: BotWith) -> None:
    bot = bot_with(bot_user_quota="[2, 0, 0]", bot_chat_quota="[3, 0, 0]")
    said = bot.run(QUESTION, OTHER, QUESTION, chat=-100)
    assert said[2].startswith("You had 2 questions for today")
    said = bot.run(QUESTION, QUESTION, user=8, chat=-100)
    assert "[1]" in said[0]
    assert said[1].startswith("This chat had 3 questions")
    assert "questions 1 of 2" in bot.run("/usage", user=8, chat=-100)[0]
    assert "questions 3 of 3" in bot.channel.last


def test_tokens_and_money_of_a_chat_model_are_counted(
    bot_with: BotWith, endpoint: Callable[[Script], Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = endpoint(say("Nothing of that is known.", usage=(1000, 500, 0)))
    bot = bot_with(base_url=model.url, model="m", prices='{"m": [1.0, 2.0]}', bot_user_quota="[0, 1500, 0]")
    bot.run(QUESTION)
    spent = bot.surface.quotas.spent("telegram:user:7")
    assert spent.tokens >= 1500
    assert spent.cost > 0
    assert bot.run(OTHER)[0].startswith("You had 1,500 tokens for today")


def test_with_the_endpoint_down_the_library_is_quoted_and_it_is_said(
    bot_with: BotWith, endpoint: Callable[[Script], Endpoint]
) -> None:
    bot = bot_with(base_url=endpoint(status(503)).url, model="m", retries=0)
    (said,) = bot.run(QUESTION)
    assert "the library is quoted instead" in said
    assert "[1]" in said


def test_a_question_that_failed_is_not_counted(bot: Bot) -> None:
    assert "is no budget" in bot.run("/budget many")[0]
    bot.run("/budget 1", QUESTION)
    assert bot.surface.quotas.spent("telegram:user:7").questions == 0


def test_the_queue_serves_in_order_and_tells_the_position() -> None:
    async def main() -> list[object]:
        line = Line(1)
        told: list[object] = []
        note = told.append

        async def one(name: str, done: asyncio.Event) -> None:
            with line.turn() as turn:
                async for ahead in turn.ahead():
                    note((name, ahead))
                note(name)
                await done.wait()

        events = [asyncio.Event() for _ in range(3)]
        tasks = []
        for name, event in zip("abc", events, strict=True):
            tasks.append(asyncio.create_task(one(name, event)))
            await asyncio.sleep(0)
        for event in events:
            event.set()
            for _ in range(5):
                await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        return told

    assert asyncio.run(main()) == ["a", ("b", 1), ("c", 2), "b", ("c", 1), "c"]


def test_a_turn_that_is_given_up_lets_the_next_one_in() -> None:
    async def main() -> int:
        line = Line(1)
        with line.turn() as first:
            async for _ in first.ahead():
                pass
            with line.turn() as second:
                async with aclosing(second.ahead()) as ahead:
                    assert await anext(ahead) == 1
            with line.turn() as third:
                waiting = asyncio.create_task(anext(third.ahead(), 0))
                await asyncio.sleep(0)
                assert line.waiting == 1
                waiting.cancel()
        return line.waiting

    assert asyncio.run(main()) == 0


def test_settings_of_a_conversation_are_its_own(bot: Bot) -> None:
    said = bot.run("/filter kind=paper", "/budget 1200", "/asof 2020-01-01", "/budget")
    assert "kind=paper" in said[0]
    assert "2020-01-01" in said[2]
    assert "1,200" in said[3]
    assert f"{bot.settings.budget:,}" in bot.run("/budget", chat=-100)[0]
    assert f"{bot.settings.budget:,}" in bot.run("/budget", chat=-100, thread="5")[0]
    assert "Filters: none" in bot.run("/filter off")[0]
    assert "no filter" in bot.run("/filter nonsense")[0]


def test_only_answers_of_this_conversation_are_shown(bot: Bot) -> None:
    bot.run(QUESTION)
    command = bot.channel.buttons["m1"][0].command
    assert "retrieved" in bot.run(command)[0]
    assert "no such answer in this conversation" in bot.run(command, user=8)[0]
    assert "no such answer in this conversation" in bot.run("/sources 2026", user=8)[0]


def test_sources_open_verify_and_file_show_the_answer_replied_to(bot: Bot) -> None:
    first, second = bot.run(QUESTION, OTHER)
    assert first != second
    last, replied = bot.run("/sources")[0], bot.run("/sources", reply_to="m1")[0]
    assert last != replied
    assert bot.run("/open 1", reply_to="m1")[0] in replied
    assert "no source '99'; it has [1]" in bot.run("/open 99")[0]
    assert "[1] OK" in bot.run("/verify")[0]
    bot.run("/file", reply_to="m1")
    assert bot.channel.files[0].body.startswith(f"# {QUESTION[:20]}")


def test_a_follow_up_is_understood_and_a_reply_goes_on_from_its_answer(bot: Bot) -> None:
    bot.run(QUESTION, OTHER)
    incoming = bot.incoming("And how fast?", reply_to="m1")
    turns = bot.session("telegram:user:7", incoming.conversation).turns
    assert [turn.question for turn in turns] == [QUESTION, OTHER]
    bot.run("And when it is empty?", reply_to="m1")
    turns = bot.session("telegram:user:7", incoming.conversation).turns
    assert "base fee" in turns[-1].text
    held = bot.surface.session(incoming).turns
    assert [turn.question for turn in held] == [QUESTION, OTHER, "And when it is empty?"]


def test_forget_erases_the_words_of_a_conversation_and_of_no_other(bot: Bot) -> None:
    bot.run(QUESTION)
    bot.run(OTHER, user=8)
    assert "Erased" in bot.run("/forget")[0]
    left = b"".join(file.read_bytes() for file in bot.settings.library.rglob("*") if file.is_file())
    assert QUESTION.encode() not in left
    assert OTHER.encode() in left
    assert "no such answer" in bot.run("/sources")[0]
    assert "retrieved" in bot.run("/sources", user=8)[0]


def test_old_conversations_are_erased(bot: Bot) -> None:
    bot.run(QUESTION)
    bot.run(OTHER, user=8)
    bot.store.change(
        ("update conversations set last_at = '2001-01-01' where conversation = ?", ("telegram:7:",))
    )
    assert bot.surface.forget_old() == 1
    assert not bot.session("", "telegram:7:").turns
    assert bot.session("", "telegram:8:").turns


def test_new_begins_anew(bot: Bot) -> None:
    bot.run(QUESTION, "/new")
    assert not bot.session("", "telegram:7:").turns
    assert "retrieved" in bot.run("/sources")[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Ask in words"),
        ("   \n ", "Ask in words"),
        ("\u200b\u200d\ufeff", "Ask in words"),
        ("/ask", "Ask in words"),
        ("/", "Ask in words"),
        ("/sorces", "did you mean /sources?"),
        ("/wallet", "no token gate"),
        ("x" * 4_000_000, "ask in 4,000 at most"),
    ],
)
def test_bad_input_gets_a_clear_line(bot: Bot, text: str, said: str) -> None:
    assert said in bot.run(text)[0]


def test_letters_that_hide_or_turn_do_not_disturb(bot: Bot) -> None:
    hidden = f"\u202e{QUESTION[:10]}\u200b{QUESTION[10:]}\u202c \u0627\u0644\u0633\u0644\u0627\u0645"
    assert "[1]" in bot.run(hidden)[0]


def test_what_concerns_the_operator_is_not_told_to_the_chat(bot: Bot) -> None:
    (bot.settings.library / "answers").write_text("in the way")
    (said,) = bot.run(QUESTION)
    assert "The operator can see why" in said
    assert str(bot.settings.library) not in said


def test_it_is_shown_how_the_answer_comes_to_be(bot: Bot) -> None:
    async def main() -> list[str]:
        incoming: Incoming = bot.incoming(QUESTION)
        bot.desk.inbox.receive(incoming)
        return [
            reading(one.text)
            for one in [r async for r in bot.surface.replies(incoming)]
            if isinstance(one, Progress)
        ]

    assert "… looking" in asyncio.run(main())


def test_the_figures_are_json(bot: Bot) -> None:
    bot.run(QUESTION)
    assert json.loads(json.dumps(bot.surface.stats())) == {
        "answered": 1,
        "failed": 0,
        "waiting": 0,
        "conversations": 1,
    }
