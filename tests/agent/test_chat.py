"""Chat as a person or a pipe meets it: the real program, behind a terminal where it wants one."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from agent.answers.events import Draft, Event, Final, Step, Withdrawn
from agent.session import ask
from agent.surfaces.chat.screen import MARK, PROVISIONAL, watch
from agent.surfaces.chat.words import WORDS, changed_filters, filter_words
from index.errors import SettingsError
from index.values import Filters, Hit, Kind
from tests.agent.conftest import NOTES, MemoryLibrary, make_document, make_passages
from tests.agent.terminal import Terminal
from tests.conftest import HANG

FEE = "How much does the base fee rise when a block is full?"
ENTER, CTRL_C, CTRL_D, CTRL_U, UP = "\r", "\x03", "\x04", "\x15", "\x1b[A"
READY = "6,000 tokens"
"""The end of the line below the prompt."""
PASTE = "\x1b[200~{}\x1b[201~"


@pytest.fixture(scope="module")
def own_library(sample_library, tmp_path_factory):
    """A copy of the sample library that these tests write their answers into."""
    return shutil.copytree(sample_library, tmp_path_factory.mktemp("chat") / "library")


def piped(library: Path, said: str | bytes, *arguments: str, **environment: str):
    return subprocess.run(
        [sys.executable, "-m", "chaincite", "--library", str(library), "chat", *arguments],
        input=said.encode() if isinstance(said, str) else said,
        capture_output=True,
        timeout=HANG,
        env={**os.environ, **environment},
    )


def test_a_pipe_gets_plain_answers_and_each_fault_in_one_line(own_library, tmp_path):
    saved = tmp_path / "answer.json"
    ran = piped(
        own_library,
        f"/sources\n{FEE}\n\n/opne 1\n/open 1\n/open 9\n/filter kind=poem\n/budget some\n/as-of soon\n"
        f"/model x\n/verify\n/save {saved}\n/save {saved}\n/history\n",
        "--thread",
        "pipe",
    )
    out, faults = ran.stdout.decode(), ran.stderr.decode().splitlines()
    assert "\x1b" not in out
    assert "›" not in out
    assert PROVISIONAL not in out
    assert "12.5 percent. [1]" in out
    assert "[1] OK" in out
    assert FEE in out.rpartition("[1] OK")[2]
    said = [
        "ask something first",
        "did you mean /open?",
        "has no source '9'",
        "known are paper",
        "number of tokens",
        "YYYY-MM-DD",
        "no chat endpoint",
        "is there already",
    ]
    assert len(faults) == len(said), faults
    assert all(one in fault for one, fault in zip(said, faults, strict=True))
    assert ran.returncode == 1
    assert "12.5 percent" in json.loads(saved.read_text("utf-8"))["answer"]


def test_a_pipe_without_faults_ends_well_and_quits_where_it_is_told(own_library):
    ran = piped(own_library, f"{FEE}\n/quit\nnever asked\n".encode() + b"\xff\xfe\n")
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert b"never" not in ran.stdout


def test_bytes_that_are_no_text_are_a_question_like_any_other(own_library):
    ran = piped(own_library, b"\xff\xfe base \x00 fee?\n" + FEE.encode() + b"\n")
    assert b"Traceback" not in ran.stderr
    assert b"12.5 percent" in ran.stdout


def test_a_person_asks_completes_interrupts_and_comes_back(own_library):
    with Terminal("--library", own_library, "chat", "--thread", "person") as terminal:
        terminal.until("Ctrl-D leaves")
        terminal.until(READY)
        terminal.type(FEE + ENTER)
        answer = terminal.until("answer 20")
        assert "12.5 percent. [1]" in answer
        assert "sources ─" in answer
        terminal.until(READY)
        terminal.type("/sou\t")
        terminal.until("/sources")
        terminal.type(ENTER)
        terminal.until("The fee market of EIP-1559 §")
        terminal.until(READY)
        terminal.type("half a question" + CTRL_C)
        terminal.until("Ctrl-D leaves")
        terminal.until(READY)
        terminal.type("/filtre kind=paper" + ENTER)
        terminal.until("did you mean /filter?")
        terminal.until(READY)
        terminal.type("/filter kind=paper" + ENTER)
        terminal.until("filters: kind=paper")
        terminal.until("tokens · kind=paper")
        terminal.type(CTRL_D)
        assert terminal.ended() == 0
    with Terminal("--library", own_library, "chat", "--thread", "person", NO_COLOR="1") as terminal:
        terminal.until(READY)
        terminal.type(UP * 4)
        terminal.until(FEE)
        terminal.type(CTRL_U + CTRL_D)
        assert terminal.ended() == 0
        assert not [code for code in ("\x1b[31m", "\x1b[34m", "\x1b[36m") if code in terminal.raw]


def test_pasted_lines_are_one_question_and_a_long_paste_is_taken(own_library):
    with Terminal("--library", own_library, "chat", "--thread", "paste") as terminal:
        terminal.until(READY)
        terminal.type(PASTE.format("How much does the base fee rise\nwhen a block is full?") + ENTER)
        assert "12.5 percent. [1]" in terminal.until("answer 20")
        terminal.until(READY)
        terminal.type(PASTE.format("What is a rollup? " * 1300) + ENTER)
        terminal.until("chaincite: ")
        terminal.until(READY)
        terminal.type("/history" + ENTER)
        terminal.until("How much does the base fee rise when a block is full?")
        terminal.until(READY)
        terminal.type(CTRL_D)
        assert terminal.ended() == 0


async def happening(events: Sequence[Event]) -> AsyncGenerator[Event, None]:
    for event in events:
        yield event


PIECES = st.lists(
    st.one_of(
        st.text(max_size=20).map(Draft),
        st.text(max_size=20).map(lambda text: Step("search", text)),
        st.text(max_size=20).map(Withdrawn),
    ),
    max_size=20,
)


@given(pieces=PIECES)
def test_where_nothing_can_be_taken_back_each_provisional_line_is_marked(pieces):
    out = io.StringIO()
    console = Console(file=out, width=80, markup=False, highlight=False, emoji=False)
    with pytest.raises(Exception, match="without a result"):
        asyncio.run(watch(happening(pieces), console))
    lines = out.getvalue().split("\n")
    assert lines.pop() == ""
    assert all(line.startswith((MARK, "· ")) for line in lines)
    assert not set(out.getvalue()) & {chr(code) for code in range(32) if code not in (9, 10)}


@given(pieces=PIECES, height=st.integers(3, 30), width=st.integers(20, 100))
def test_on_a_terminal_provisional_text_is_marked_and_painted_over(pieces, height, width, library_answer):
    out = io.StringIO()
    console = Console(
        file=out, width=width, height=height, force_terminal=True, markup=False, emoji=False, no_color=True
    )
    found = asyncio.run(watch(happening([*pieces, Final(library_answer)]), console))
    assert found is library_answer
    drawn = out.getvalue()
    assert drawn.count("\x1b[?25l") == drawn.count("\x1b[?25h") == 1
    left = drawn.rpartition("\x1b[2K")[2]
    assert MARK not in left


@pytest.fixture(scope="module")
def library_answer():
    documents = [(make_document(text, name, title), text) for name, (title, text) in NOTES.items()]
    hits = [Hit(one, passage, 0.0) for one, text in documents for passage in make_passages(one, text)]
    return ask(MemoryLibrary(hits), "What becomes of the base fee?", 2000)


NAMES = st.text("abc XYZ'\"\\=*é", min_size=1, max_size=8).filter(str.strip)


@given(
    st.builds(
        Filters,
        kinds=st.lists(st.sampled_from(Kind), unique=True).map(tuple),
        sources=st.lists(NAMES).map(tuple),
        authors=st.lists(NAMES).map(tuple),
        statuses=st.lists(NAMES).map(tuple),
        published_from=st.none() | st.dates(),
    )
)
def test_filters_are_read_as_they_are_shown(filters):
    assert changed_filters(Filters(), " ".join(filter_words(filters))) == filters
    assert changed_filters(filters, "") == filters


def test_a_filter_replaces_those_of_its_name_and_an_empty_one_removes_them():
    one = changed_filters(Filters(), "kind=proposal kind=paper author='Vitalik Buterin' from=2020-01-01")
    assert one == Filters(
        kinds=(Kind.PROPOSAL, Kind.PAPER),
        authors=("Vitalik Buterin",),
        published_from=date(2020, 1, 1),
    )
    assert changed_filters(one, "kind=code").kinds == (Kind.CODE,)
    assert changed_filters(one, "author= from=") == Filters(kinds=one.kinds)


@pytest.mark.parametrize(
    "text", ["colour=red", "kind", "author='open", "from=yesterday", "from=2024-02-01 to=2024-01-01"]
)
def test_a_wrong_filter_is_named(text):
    with pytest.raises(SettingsError):
        changed_filters(Filters(), text)


def test_every_command_fits_into_80_columns(own_library):
    helped = piped(own_library, "/help\n").stdout.decode()
    assert all(f"/{name}" in helped for name in WORDS)
    assert all(len(line) <= 80 for line in helped.splitlines())
