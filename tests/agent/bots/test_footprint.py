"""The memory of a bot that runs for long: it does not grow with the messages that it answered."""

from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.agent.bots.discord_double import CHANNEL, THREAD, Guild
from tests.agent.bots.test_discord import QUESTION, running, to_me
from tests.conftest import HANG

MESSAGES = int(os.environ.get("CHAINCITE_TEST_MESSAGES", "300"))
"""Messages in all; the memory is read after the first of ten shares, the fifth, and the last."""

CHATS = (CHANNEL, THREAD, *range(1001, 1299))
"""More than the conversations that are held open."""

TEXTS = (
    QUESTION,
    "Which formula keeps the reserves of a Uniswap pair in balance?",
    "/budget 900",
    "/sources",
    "/usage",
    "Who won the football world cup in 1998?",
    "/help",
    "What does a light client check?",
)


@pytest.mark.slow
def test_the_memory_of_a_discord_bot_does_not_grow_with_its_messages(
    own_library: Path, tmp_path: Path
) -> None:
    pages = Path("/proc/self/statm")
    if not pages.is_file():
        pytest.skip("this system does not tell the memory of a process in /proc")
    read: list[float] = []
    with Guild() as guild, running(own_library, guild, tmp_path / "log") as process:
        guild.wait(lambda: guild.counts["identify"])
        for number in range(MESSAGES):
            chat, text = CHATS[number % len(CHATS)], TEXTS[number * 7 % 61 % len(TEXTS)]
            guild.say(text if chat >= 1000 else to_me(text), chat=chat)
            if (number + 1) % 30 == 0 or number + 1 == MESSAGES:
                guild.wait(lambda said=number + 1: ended(own_library) >= said)
            if number + 1 in (MESSAGES // 10, MESSAGES // 2, MESSAGES):
                read.append(resident(process.pid))
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG) == 0
    assert not guild.faults
    start, middle, end = read
    print(f"{MESSAGES} messages: {start:.0f} MB after a tenth, {middle:.0f} at the middle, {end:.0f} at last")
    assert end < start * 1.15


def ended(library: Path) -> int:
    with closing(sqlite3.connect(f"file:{library / 'bots.sqlite'}?mode=ro", uri=True)) as file:
        query = "select count(*) from inbox where state in ('delivered', 'dropped')"
        return int(file.execute(query).fetchone()[0])


def resident(process: int) -> float:
    """Megabytes of memory that a process holds."""
    pages = int(Path(f"/proc/{process}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
