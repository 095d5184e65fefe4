"""The ledger, the log of prompts and answers, and what neither may hold."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median

import duckdb
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from typer.testing import CliRunner

from agent.models import Models
from agent.records.daily import Daily
from agent.records.ledger import Call, Ledger
from agent.records.privacy import Transcript, hide, mask, redact
from agent.surfaces.cli import usage
from index.errors import ModelError, SettingsError
from index.settings import Settings
from tests.agent.endpoint import broken, say, status

NOON = datetime(2026, 3, 4, 12, 0, 0, 123456, tzinfo=UTC)
CALL = Call(
    time=NOON,
    user="ann",
    thread="t1",
    question="q1",
    asked="gpt-4.1-mini",
    answered="gpt-4.1-mini-2025-04-14",
    tokens_in=1000,
    tokens_out=50,
    cached=400,
    estimated=False,
    cost=Decimal("0.000360000"),
    first=0.25,
    seconds=1.5,
    retries=1,
    finish="stop",
    error="",
)

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
counts = st.integers(0, 10**9)
seconds = st.floats(0, 1000).map(lambda value: round(value, 6))
rows = st.builds(
    Call,
    time=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)).map(lambda at: at.replace(tzinfo=UTC)),  # noqa: DTZ001
    user=st.sampled_from(["ann", "bob", "Zoë; DROP TABLE calls"]),
    thread=names,
    question=names,
    asked=names,
    answered=st.sampled_from(["a", "b"]),
    tokens_in=counts,
    tokens_out=counts,
    cached=counts,
    estimated=st.booleans(),
    cost=st.none() | st.decimals(0, 1000, places=9),
    first=st.none() | seconds,
    seconds=seconds,
    retries=st.integers(0, 20),
    finish=st.sampled_from(["stop", ""]),
    error=st.sampled_from(["", "", "truncated"]),
)


@settings(max_examples=40)
@given(st.lists(rows, max_size=12))
def test_what_is_recorded_comes_back_and_adds_up(calls):
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder), days=10_000)
        for call in calls:
            ledger.record(call)
        assert sorted(ledger.rows(), key=repr) == sorted(calls, key=repr)
        keys = {
            "user": lambda c: c.user,
            "model": lambda c: c.answered,
            "day": lambda c: f"{c.time:%Y-%m-%d}",
        }
        for by, key in keys.items():
            groups = defaultdict(list)
            for call in calls:
                groups[key(call)].append(call)
            totals = {total.name: total for total in ledger.summary(by)}
            assert totals.keys() == groups.keys()
            for name, group in groups.items():
                total = totals[name]
                assert (total.calls, total.failed) == (len(group), sum(c.error != "" for c in group))
                assert total.cost == sum((c.cost for c in group if c.cost is not None), Decimal(0))
                assert total.unpriced == sum(c.cost is None for c in group)
                assert total.tokens_in == sum(c.tokens_in for c in group)
                assert total.tokens_out == sum(c.tokens_out for c in group)
                assert total.cached == sum(c.cached for c in group)
                assert total.seconds == pytest.approx(median(c.seconds for c in group))


def test_duckdb_reads_the_files_as_they_are(tmp_path):
    ledger = Ledger(tmp_path)
    for number in range(3):
        ledger.record(replace(CALL, tokens_in=number))
    files = str(tmp_path / "ledger" / "*.jsonl")
    with duckdb.connect() as connection:
        assert connection.execute("SELECT sum(tokens_in) FROM read_json(?)", [files]).fetchall() == [(3,)]


def test_an_empty_ledger_has_no_rows(tmp_path):
    assert Ledger(tmp_path).rows() == Ledger(tmp_path).summary("user") == []
    assert not (tmp_path / "ledger").exists()


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from agent.records.ledger import Ledger
from tests.agent.test_ledger import CALL
ledger, user, count = Ledger(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
for number in range(count):
    ledger.record(replace(CALL, user=user, tokens_in=number))
    if number == 20:
        print("going", flush=True)
"""


def writer(folder: Path, user: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), user, str(count)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )


def test_processes_write_at_once_while_another_reads_and_one_is_killed(tmp_path):
    steady = [writer(tmp_path, f"user {number}", 300) for number in range(2)]
    doomed = writer(tmp_path, "doomed", 10**9)
    assert doomed.stdout is not None
    assert doomed.stdout.readline() == "going\n"
    assert len(Ledger(tmp_path).rows()) > 20
    doomed.send_signal(signal.SIGKILL)
    assert doomed.wait() == -signal.SIGKILL
    assert [process.wait() for process in steady] == [0, 0]
    seen = defaultdict(list)
    for row in Ledger(tmp_path).rows():
        seen[row.user].append(row.tokens_in)
    for process in (*steady, doomed):
        process.stdout.close()
    assert sorted(seen["user 0"]) == sorted(seen["user 1"]) == list(range(300))
    assert sorted(seen["doomed"]) == list(range(len(seen["doomed"])))


def test_a_line_torn_by_a_power_cut_costs_itself_alone(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.record(CALL)
    [file] = (tmp_path / "ledger").iterdir()
    whole = file.read_bytes()
    for cut in (1, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole + whole[:cut])
        ledger.record(CALL)
        expected = 3 if cut == len(whole) - 1 else 2
        assert ledger.rows() == [CALL] * expected
        assert ledger.summary("user")[0].calls == expected


def test_days_are_kept_as_long_as_the_setting_says(tmp_path):
    today = date(2026, 3, 31)
    daily = Daily(tmp_path, days=7)
    for back in range(30, -1, -1):
        daily.append({"back": back}, today - timedelta(days=back))
    assert [record["back"] for record in daily.records()] == [6, 5, 4, 3, 2, 1, 0]
    (tmp_path / "notes.txt").write_text("mine")
    daily.append({"back": -1}, today + timedelta(days=1))
    assert (tmp_path / "notes.txt").read_text("utf-8") == "mine"


def test_files_are_for_their_owner_alone(tmp_path):
    Daily(tmp_path, days=1).append({})
    assert [oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()] == ["0o600"]


def test_a_ledger_that_cannot_be_written_is_told_and_costs_no_answer(tmp_path, endpoint, caplog):
    (tmp_path / "ledger").write_text("in the way")
    models = Models.connect(
        Settings.load(library=tmp_path, base_url=endpoint(say("yes")).url), Ledger(tmp_path)
    )
    assert asyncio.run(models.chat().ainvoke("hi")).content == "yes"
    assert "cannot be written" in caplog.text


CANARY = "sk-canary-0123456789abcdef"
TELEGRAM = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw1"
DISCORD = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs0abc"


def test_a_key_is_seen_by_the_endpoint_and_by_nobody_else(tmp_path, endpoint, caplog, monkeypatch):
    """Through every end a call can take, with logs at their most talkative and prompts logged in full."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("BOT_TOKEN", "hunter2hunter2")
    said = f"key {CANARY}, bot {TELEGRAM}, hunter2hunter2"
    there = endpoint(
        [
            say("yes"),
            status(401, message=f"no such key: {CANARY}"),
            status(500, message=said),
            broken("cut", said),
            say(said, finish=CANARY),
        ]
    )
    settings = Settings.load(
        library=tmp_path, base_url=there.url, api_key=SecretStr(CANARY), log="full", retries=0
    )
    models = Models.connect(settings, Ledger(tmp_path), user="ann")
    chat = models.question("q").chat()
    seen = [
        repr(models),
        repr(chat),
        str(chat),
        repr(settings),
        str(settings.origins()),
        repr(chat.model_dump()),
    ]
    for _ in there._script:
        try:
            asyncio.run(chat.ainvoke(f"is {CANARY} a key, and {DISCORD}?"))
        except ModelError as error:
            logging.getLogger("anybody").exception("it failed")
            seen += [str(error), repr(error)]
    logging.getLogger("httpx").info("POST https://api.telegram.org/bot%s/getMe", TELEGRAM)
    written = [
        file.read_text("utf-8") for folder in ("ledger", "log") for file in (tmp_path / folder).iterdir()
    ]
    formatted = [logging.Formatter().format(record) for record in caplog.records]
    everything = "\n".join([*seen, *written, *formatted, caplog.text])
    assert there.requests[0].headers["authorization"] == f"Bearer {CANARY}"
    assert len(there.requests) == 5
    assert "it failed" in everything
    assert "/bot***/getMe" in everything
    for secret in (CANARY, TELEGRAM, DISCORD, "hunter2"):
        assert secret not in everything


@pytest.mark.parametrize("name", ["api_key", "base_url", "deadline", "prices", "log"])
def test_a_key_in_the_wrong_setting_is_not_repeated(name):
    value = CANARY if name != "api_key" else {"key": CANARY}
    with pytest.raises(SettingsError, match=name) as caught:
        Settings.load(**{name: value})
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "secret",
    [
        *("sk-proj-" + "a1B2" * 8, TELEGRAM, DISCORD, "ghp_" + "a1" * 18, "hf_" + "aB" * 17),
        *("AKIAABCDEFGHIJKLMNOP", "xoxb-1234567890-abc"),
    ],
)
@pytest.mark.parametrize("around", ["{}", "url/{}/x", '{{"token": "{}"}}', "({})", "a {}, b"])
def test_what_looks_like_a_secret_is_masked(secret, around):
    masked = mask(around.format(secret))
    assert secret not in masked
    assert masked == around.format("***")


@pytest.mark.parametrize(
    "text",
    [
        "The base fee is burned; 0x00000000219ab540356cBB839Cbe05303d7705Fa holds it.",
        "0x" + "ab" * 32,
        "at 12:34:56 the task-sk-1 of EIP-1559 ran; see https://eips.ethereum.org/EIPS/eip-1559#spec",
        "bearer of news, Bearer of hope",
        "commit f767a1e4c0ffee0123456789abcdef0123456789",
    ],
)
def test_what_is_no_secret_stays(text):
    assert mask(text) == text


def test_a_secret_of_the_settings_is_known_whatever_its_shape(tmp_path):
    hide(Settings.load(library=tmp_path, api_key=SecretStr("correct horse battery")))
    assert mask("it is correct horse battery!") == "it is ***!"


PEOPLE = (
    *("alice@example.org", "0x00000000219ab540356cBB839Cbe05303d7705Fa", "192.0.2.17"),
    *("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "0x" + "ab" * 32),
    *("5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ",),
    "abandon ability able about above absent absorb abstract absurd abuse access accident",
)


def test_a_redacted_log_holds_no_trace_of_people(tmp_path):
    log = Transcript(tmp_path, "redacted", days=7)
    text = "; ".join(PEOPLE)
    log.write("q1", "m", [{"role": "user", "content": text, "parts": [{"text": text}]}], text, "")
    [record] = log.records()
    assert not [trace for trace in PEOPLE if trace in json.dumps(record)]
    assert (record["question"], record["model"]) == ("q1", "m")


def test_prompts_are_logged_as_the_setting_says(tmp_path, endpoint):
    there = endpoint(say("It is alice@example.org."))
    found = {}
    for mode in ("off", "redacted", "full"):
        settings = Settings.load(library=tmp_path / mode, base_url=there.url, log=mode)
        models = Models.connect(settings, Ledger(settings.library)).question("q1")
        asyncio.run(models.chat().ainvoke("Who is alice@example.org?"))
        found[mode] = Transcript(settings.library, mode, 1).records()
        assert (settings.library / "log").exists() == (mode != "off")
    assert found["off"] == []
    assert found["redacted"][0]["answer"] == "It is ***."
    assert found["redacted"][0]["messages"] == [{"role": "user", "content": "Who is ***?"}]
    assert found["full"][0]["answer"] == "It is alice@example.org."


@given(st.text(max_size=200))
def test_masking_twice_is_masking_once(text):
    assert mask(mask(text)) == mask(text)
    assert redact(redact(text)) == redact(text)


def run(library: Path, *arguments: str) -> str:
    app = typer.Typer()
    app.add_typer(usage.commands)

    @app.callback()
    def start(context: typer.Context) -> None:
        context.obj = Settings.load(library=library)

    ran = CliRunner().invoke(app, ["usage", *arguments])
    assert ran.exit_code == 0, ran.output
    return ran.output


def test_usage_shows_the_totals_in_80_columns(tmp_path):
    assert run(tmp_path) == "No chat model has been asked yet.\n"
    ledger = Ledger(tmp_path)
    ledger.record(CALL)
    ledger.record(replace(CALL, answered="some-llama-of-a-very-long-name/" + "x" * 60, cost=None))
    ledger.record(replace(CALL, user="bob", time=NOON + timedelta(days=1), cost=Decimal(1234), error="stall"))
    shown = {by: run(tmp_path, "--by", by) for by in ("user", "model", "day")}
    assert all(len(line) <= 80 for text in shown.values() for line in text.splitlines())
    assert "$0.0004+" in shown["user"]
    assert "unknown" in shown["model"]
    assert "1 calls of models whose price is not known" in shown["model"]
    assert [line.split()[:2] for line in shown["day"].splitlines()[1:3]] == [
        ["2026-03-04", "2"],
        ["2026-03-05", "1"],
    ]


def test_usage_in_json_is_exact(tmp_path):
    Ledger(tmp_path).record(CALL)
    told = json.loads(run(tmp_path, "--by", "user", "--json"))
    assert (told["by"], told["currency"]) == ("user", "USD")
    assert told["totals"] == [
        {
            "name": "ann",
            "calls": 1,
            "failed": 0,
            "tokens_in": 1000,
            "tokens_out": 50,
            "cached": 400,
            "cost": "0.000360000",
            "unpriced": 0,
            "first": 0.25,
            "seconds": 1.5,
        }
    ]
