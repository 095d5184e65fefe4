from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from chaincite import command_line, commands_under
from tests.conftest import HANG, ROOT, Run

HEAVY = ("duckdb", "faiss", "langchain", "numpy", "openvino", "pyarrow", "tantivy", "torch", "transformers")
COMMANDS = dict(commands_under(command_line()))


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        encoding="utf-8",
        timeout=HANG,
        env={**os.environ, **environment},
    )


def with_command(body: str) -> str:
    """A program that runs `chaincite run`, a command with this body."""
    return (
        "import sys, chaincite\n"
        f"@chaincite.app.command()\ndef run() -> None:\n    {body}\n"
        "sys.argv = ['chaincite', 'run']\n"
        "sys.exit(chaincite.main())\n"
    )


def test_starting_loads_nothing_heavy() -> None:
    ran = python(f"import sys, chaincite; print(*sorted(set({HEAVY}) & set(sys.modules)))")
    assert ran.stdout.split() == [], ran.stderr


def test_the_version_is_that_of_the_project(chaincite: Run) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert chaincite("--version").stdout == f"chaincite {project['version']}\n"


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_says_what_it_does_and_takes_a_library(path: str) -> None:
    command = COMMANDS[path]
    assert command.help
    assert all(option.help for option in command.params)
    assert any("--library" in option.opts for option in command.params)


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["settings", "--nonsense"], ["show"], ["search", "-k", "x", "q"]]
)
def test_wrong_usage_has_status_2_and_no_traceback(arguments: list[str], chaincite: Run) -> None:
    ran = chaincite(*arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "Error" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_wrong_setting_is_one_line_and_status_2(chaincite: Run) -> None:
    ran = chaincite("settings", CHAINCITE_BUDGET="much")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.splitlines() == [
        "chaincite: CHAINCITE_BUDGET: the setting `budget` should be a valid integer, but it is 'much'"
    ]


def test_an_unforeseen_fault_is_one_line_and_status_2() -> None:
    ran = python(with_command("raise RuntimeError('first\\nsecond')"))
    assert ran.returncode == 2
    assert ran.stderr.splitlines() == [
        "chaincite: unexpected RuntimeError: first; run again with CHAINCITE_DEBUG=1 to see where"
    ]


def test_an_unforeseen_fault_shows_where_on_request() -> None:
    ran = python(with_command("raise RuntimeError('first')"), CHAINCITE_DEBUG="1")
    assert ran.returncode != 0
    assert "Traceback" in ran.stderr


def test_an_interrupt_is_one_line_and_status_130() -> None:
    ran = python(with_command("raise KeyboardInterrupt"))
    assert ran.returncode == 130
    assert ran.stderr.splitlines() == ["chaincite: interrupted; what was finished is kept"]


def test_a_closed_pipe_is_quiet() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        program = with_command("print('x' * 1_000_000, flush=True)")
        ran = subprocess.run(
            [sys.executable, "-c", program], stdout=closed, stderr=subprocess.PIPE, timeout=HANG
        )
    assert (ran.returncode, ran.stderr) == (141, b"")


@pytest.mark.parametrize("before", [[], ["--library", "before"]])
@pytest.mark.parametrize("after", [[], ["--library", "after"]])
def test_the_library_stands_before_or_after_a_command(
    before: list[str], after: list[str], chaincite: Run
) -> None:
    ran = chaincite(*before, "settings", *after, "--json", CHAINCITE_LIBRARY="variable")
    row = next(row for row in json.loads(ran.stdout) if row["name"] == "library")
    expected = (after or before or ["", "variable"])[1]
    assert Path(row["value"]) == Path(expected).absolute()
    assert row["origin"] == ("command line" if before or after else "environment CHAINCITE_LIBRARY")


def test_settings_shows_each_with_its_origin(chaincite: Run) -> None:
    shown = chaincite("settings", CHAINCITE_RESULTS="7").stdout.splitlines()
    assert any(line.split() == ["results", "7", "(environment", "CHAINCITE_RESULTS)"] for line in shown)
    assert any(line.split() == ["budget", "6000", "(default)"] for line in shown)


TELEMETRY = {
    "huggingface_hub": "from huggingface_hub import constants; print(constants.HF_HUB_DISABLE_TELEMETRY)",
    "langsmith": "from langsmith.utils import tracing_is_enabled; print(not tracing_is_enabled())",
    "openvino": "from openvino.tools.ovc import telemetry_utils as t; print(t.tm.__name__.endswith('_stub'))",
}


@pytest.mark.parametrize("vendor", TELEMETRY)
def test_telemetry_is_off_whatever_the_environment_says(vendor: str) -> None:
    if importlib.util.find_spec(vendor) is None:
        pytest.skip(f"{vendor} is not installed")
    ran = python(
        f"import index; {TELEMETRY[vendor]}",
        HF_HUB_DISABLE_TELEMETRY="0",
        DO_NOT_TRACK="0",
        LANGSMITH_TRACING="true",
        LANGCHAIN_TRACING_V2="true",
        LANGSMITH_API_KEY="x",
    )
    assert ran.stdout.split() == ["True"], ran.stderr


WITNESS = """
import os, sys

def note(event, details):
    if event in ("socket.connect", "socket.sendto") and isinstance(details[1], tuple):
        line = f"{event} {details[1]}"
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        line = f"{event} {details[0]}"
    else:
        return
    with open(os.environ["WITNESS"], "a") as file:
        print(line, file=file)

sys.addaudithook(note)
"""


@pytest.mark.slow
def test_the_whole_way_reaches_nobody(sample_library: Path, tmp_path: Path, chaincite: Run) -> None:
    (tmp_path / "sitecustomize.py").write_text(WITNESS, encoding="utf-8")
    seen = tmp_path / "seen"
    environment = {
        "PYTHONPATH": str(tmp_path),
        "WITNESS": str(seen),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    seen.touch()
    library = tmp_path / "library"
    note = ROOT / "evals" / "data" / "sample" / "bip-39-mnemonics.md"
    for arguments in (
        ["ingest", "papers", note],
        ["search", "how many words has a mnemonic of 256 bits"],
        ["ask", "How many words has a mnemonic of 256 bits?"],
        ["verify", "last"],
        ["doctor"],
    ):
        ran = chaincite("--library", library, *arguments, **environment)
        assert ran.returncode == 0, (arguments, ran.stdout, ran.stderr)
    assert seen.read_text(encoding="utf-8") == ""
    probe = "import socket; socket.socket().connect_ex(('127.0.0.1', 9))"
    python(probe, **environment)
    assert "127.0.0.1" in seen.read_text(encoding="utf-8"), "the witness sees nothing at all"


@pytest.mark.slow
def test_the_sample_answers_with_sources_that_stand(sample_library: Path, chaincite: Run) -> None:
    question = "How does the base fee change when a block is full?"
    ran = chaincite("--library", sample_library, "ask", question, "--json")
    answer = json.loads(ran.stdout)
    assert (answer["refused"], answer["question"]) == (False, question)
    assert "12.5 percent" in answer["answer"]
    assert "eip-1559-fee-market.md" in {citation["path"] for citation in answer["citations"]}
    assert chaincite("--library", sample_library, "verify", answer["id"]).returncode == 0


@pytest.mark.slow
def test_the_sample_says_what_it_does_not_hold(sample_library: Path, chaincite: Run) -> None:
    ran = chaincite("--library", sample_library, "ask", "Who won the football world cup in 1998?", "--json")
    assert json.loads(ran.stdout)["refused"] is True
