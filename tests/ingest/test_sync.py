"""One file of sources: each is kept as it is now, what failed stops nothing, and nothing goes by accident."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from index import doctor
from index.errors import LibraryError, SettingsError
from index.library import Library
from ingest.chain.node import Node
from ingest.chain.rpc import Endpoint
from ingest.connector import Doors, Nodes, NoNode
from ingest.engine import Engine, Report
from ingest.fetch import Fetcher
from ingest.plan import read_plan
from ingest.sync import RECORD, Record, Sync
from tests.conftest import HANG, Run
from tests.ingest.discourse import Discourse, Said, Thread, running
from tests.ingest.node import Anvil

NOTES = '[[papers]]\nname = "notes"\npaths = ["notes"]\n'
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "notes").mkdir()
    for name in ("alpha", "beta", "gamma"):
        (tmp_path / "notes" / f"{name}.md").write_text(f"# {name}\n\nThe {name} of the protocol.\n")
    return tmp_path


@pytest.fixture
def forum() -> Iterator[Discourse]:
    with running() as found:
        found.threads = {7: Thread("Fee switch", [Said("I propose it.")])}
        yield found


def no_node(_: Sequence[str], chain: str | None) -> Any:
    raise NoNode(chain)


def synced(place: Path, plan: str, nodes: Nodes = no_node) -> list[Report]:
    file = place / "sources.toml"
    file.write_text(plan)
    library = place / "library"
    door = Fetcher(allow_private=True, sleep=lambda _: None)
    with door, Library.writer(library) as writer:
        doors = Doors(door, nodes=nodes, wait=lambda _: None)
        sync = Sync(Engine(writer), Record(library, file), place, doors)
        return [sync.run(source) for source in read_plan(file)]


def counts(outcome: Report) -> tuple[int, int, int, int, int]:
    return outcome.added, outcome.changed, outcome.unchanged, outcome.removed, len(outcome.skipped)


def titles(place: Path) -> list[str]:
    return sorted(document.title for document in Library(place / "library").documents())


def log(index: int) -> str:
    return json.dumps(
        {
            "address": "0x" + "a1" * 20,
            "topics": [TRANSFER, "0x" + "0" * 24 + "b2" * 20, "0x" + "0" * 24 + "c3" * 20],
            "data": "0x" + f"{5 + index:064x}",
            "block_number": 17,
            "block_hash": "0x" + "d4" * 32,
            "transaction_hash": "0x" + "e5" * 32,
            "transaction_index": 0,
            "log_index": index,
        }
    )


def repository(folder: Path) -> Path:
    folder.mkdir()
    (folder / "Token.sol").write_text("contract Token { function burn(uint256 amount) external {} }\n")
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def test_every_kind_of_source_is_read_and_then_costs_nothing(place: Path, forum: Discourse) -> None:
    repository(place / "code")
    (place / "logs.jsonl").write_text(log(0) + "\n")
    plan = (
        f'[chain]\nchain = "eip155:1"\nfiles = ["logs.jsonl"]\n\n[forum]\nurl = "{forum.root}"\nlimit = 5\n\n'
        f'[[repo]]\nurl = "code"\n\n{NOTES}authors = ["Ann"]\nkind = "proposal"\nbase-url = "https://a.org/n"\n'
    )
    outcomes = synced(place, plan)
    assert [source.label for source in read_plan(place / "sources.toml")] == [
        "papers notes",
        "repo code",
        f"forum {forum.root}",
        "chain eip155:1 logs.jsonl",
    ]
    assert [counts(outcome) for outcome in outcomes] == [
        (3, 0, 0, 0, 0),
        (1, 0, 0, 0, 0),
        (1, 0, 0, 0, 0),
        (1, 0, 0, 0, 0),
    ]
    library = Library(place / "library")
    note = library.document("https://a.org/n/alpha.md")
    assert note is not None
    assert (note.kind, note.authors) == ("proposal", ("Ann",))
    assert library.events == 1
    again = synced(place, plan)
    assert [counts(outcome) for outcome in again] == [(0, 0, outcome.added, 0, 0) for outcome in outcomes]
    assert Library(place / "library").generation == library.generation
    assert list(doctor.faults(place / "library")) == []


def test_what_is_deleted_from_a_folder_goes(place: Path) -> None:
    synced(place, NOTES)
    (place / "notes" / "beta.md").unlink()
    (place / "notes" / "delta.md").write_text("# delta\n\nNew.\n")
    (place / "notes" / "alpha.md").write_text("# alpha\n\nOther words.\n")
    [outcome] = synced(place, NOTES)
    assert counts(outcome) == (1, 1, 1, 1, 0)
    assert titles(place) == ["alpha", "delta", "gamma"]
    assert not [hit for hit in Library(place / "library").search("beta", k=9) if "beta" in hit.passage.text]


@pytest.mark.parametrize("loss", ["folder", "contents", "second"])
def test_nothing_goes_because_a_source_is_out_of_reach(place: Path, loss: str) -> None:
    plan = NOTES.replace('"notes"]', '"notes", "more"]')
    (place / "more").mkdir()
    (place / "more" / "omega.md").write_text("# omega\n\nLast.\n")
    synced(place, plan)
    before = titles(place)
    if loss == "second":
        shutil.rmtree(place / "more")
    else:
        shutil.rmtree(place / "notes")
    if loss == "contents":
        (place / "notes").mkdir()
    [outcome] = synced(place, plan)
    assert (outcome.removed, len(outcome.skipped)) == (0, 1)
    assert titles(place) == before
    shutil.rmtree(place / "notes", ignore_errors=True)
    for name in ("notes", "more"):
        (place / name).mkdir(exist_ok=True)
        (place / name / f"{name}.md").write_text(f"# {name}\n\nBack.\n")
    [outcome] = synced(place, plan)
    assert outcome.skipped == []
    assert "alpha" not in titles(place)


def test_a_document_that_another_source_brings_stays(place: Path) -> None:
    both = f'{NOTES}\n[[papers]]\nname = "one"\npaths = ["notes/alpha.md"]\n'
    synced(place, both)
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "omega.md").write_text("# omega\n\nLast.\n")
    first, second = synced(place, both.replace('["notes"]', '["elsewhere"]'))
    assert (first.removed, second.removed) == (2, 0)
    assert titles(place) == ["alpha", "omega"]


def test_a_document_of_another_command_is_not_touched(place: Path, chaincite: Run) -> None:
    other = place / "other.md"
    other.write_text("# other\n\nWords.\n")
    assert chaincite("--library", place / "library", "ingest", "papers", other).returncode == 0
    synced(place, NOTES)
    (place / "notes" / "alpha.md").unlink()
    synced(place, NOTES)
    assert titles(place) == ["beta", "gamma", "other"]


def test_one_that_fails_does_not_stop_the_others(place: Path, forum: Discourse) -> None:
    forum.threads[7].status = 404
    plan = (
        f'{NOTES}\n[[repo]]\nurl = "nowhere"\n\n[[forum]]\nurl = "{forum.root}/t/7"\n\n'
        '[[chain]]\nchain = "eip155:1"\nfrom-block = 1\n\n'
        '[[chain]]\nchain = "eip155:5"\nfiles = ["absent.csv"]\n'
        '[[papers]]\nname = "binary"\npaths = ["x.md"]\n'
    )
    (place / "x.md").write_bytes(b"\x00\x01" * 500)
    outcomes = synced(place, plan)
    assert [(len(outcome.skipped), outcome.added) for outcome in outcomes] == [
        (0, 3),
        (1, 0),
        (1, 0),
        (1, 0),
        (1, 0),
        (1, 0),
    ]
    assert [str(outcome.skipped[0]).count("\n") for outcome in outcomes[1:]] == [0] * 5
    assert titles(place) == ["alpha", "beta", "gamma"]


def test_a_forum_or_repository_out_of_reach_keeps_what_it_brought(place: Path, forum: Discourse) -> None:
    repository(place / "code")
    plan = f'[repo]\nurl = "code"\n[forum]\nurl = "{forum.root}"\n'
    synced(place, plan)
    before = titles(place)
    assert len(before) == 2
    shutil.rmtree(place / "code")
    forum.threads[7].status, forum.threads[7].bumped = 503, "2025-01-01T00:00:00Z"
    forum.login = "forbidden"
    assert [len(outcome.skipped) for outcome in synced(place, plan)] == [1, 1]
    assert titles(place) == before


def test_logs_of_a_node_are_read_on_from_where_they_were(place: Path) -> None:
    opened = ExitStack()

    def nodes(rpc: Sequence[str], chain: str | None) -> Node:
        return opened.enter_context(Node([Endpoint(url, sleep=lambda _: None) for url in rpc], chain))

    with opened, Anvil() as anvil:
        token = anvil.deploy()
        anvil.transfer(token, 1_500_000)
        anvil.mine()
        plan = (
            f'[chain]\nchain = "eip155:31337"\nrpc = ["{anvil.url}"]\naddress = ["{token}"]\nfrom-block = 0\n'
        )
        [first] = synced(place, plan, nodes)
        assert (first.skipped, Library(place / "library").events) == ([], 1)
        anvil.transfer(token, 7)
        anvil.mine()
        [second] = synced(place, plan, nodes)
        assert (second.skipped, Library(place / "library").events) == ([], 2)
    with opened:
        [third] = synced(place, plan, nodes)
    assert (len(third.skipped), Library(place / "library").events) == (1, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"names no source; write tables \[\[papers\]\], \[\[site\]\], \[\[repo\]\], \[\[f"),
        ("[[papers", "is not TOML"),
        ("[[paper]]\npaths = []", r"unknown table \[\[paper\]\]; did you mean `papers`\?"),
        (
            '[[papers]]\npaths = ["a"]\nbaseurl = "x"',
            r"\[\[papers\]\] number 1: unknown key `baseurl`; did you mean `base-url`\?",
        ),
        (
            '[[repo]]\nurl = "a"\nbranch = "x"',
            r"unknown key `branch`; known are name, url, ref, inc",
        ),
        ("[[repo]]\nhistory = 1", r"\[\[repo\]\] number 1: `url` is missing"),
        ('[[repo]]\nurl = "a"\n[[repo]]\nurl = "b"\nhistory = -1', r"number 2: `history` should be greater"),
        ("[[papers]]\nname = 'x'", r"number 1: nothing to read; needs `paths` or `manifest`"),
        ('[[papers]]\npaths = "a"', r"`paths` should be a valid tuple"),
        ('[[chain]]\nchain = "mainnet"\nfiles = ["a"]', r"`chain` should be a CAIP-2 id"),
        ('[[chain]]\nchain = "eip155:1"', r"needs either `files` or `manifest`, or `from-block`"),
        (
            '[[chain]]\nchain = "eip155:1"\nfiles = ["a"]\nrpc = ["http://x/key"]',
            r"leave out `files` or `rpc`",
        ),
        ('[[chain]]\nchain = "eip155:1"\nfrom-block = 1\nto-block = "end"', r"`to-block` "),
        ('[[repo]]\nurl = "a"\n[[repo]]\nurl = "a"', r"repo a stands twice; give each a `name`"),
    ],
)
def test_a_mistake_in_the_file_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "sources.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=said) as caught:
        read_plan(file)
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)
    assert "key" not in str(caught.value).partition("http")[2]


def test_a_damaged_record_is_one_line(place: Path) -> None:
    synced(place, NOTES)
    (place / "library" / RECORD).write_text("{")
    with pytest.raises(LibraryError, match="is damaged; remove it"):
        synced(place, NOTES)


def test_the_command_prints_a_table_and_names_what_failed(chaincite: Run, place: Path) -> None:
    file = place / "sources.toml"
    file.write_text(f'{NOTES}\n[[repo]]\nurl = "nowhere"\n')
    ran = chaincite("--library", place / "library", "sync", file)
    assert ran.returncode == 2
    assert ran.stdout.splitlines() == [
        "source        added  changed  unchanged  gone  failed",
        "papers notes      3        0          0     0       0",
        "repo nowhere      0        0          0     0       1",
    ]
    assert ran.stderr.startswith("skipped  repo nowhere: ")
    file.write_text(NOTES.replace("notes", "renamed", 1))
    again = chaincite("--library", place / "library", "sync", file)
    assert (again.returncode, again.stdout.splitlines()[1].split()[2:]) == (0, ["0", "0", "3", "0", "0"])
    assert re.fullmatch(
        r"note     papers notes: not in .* now; its 3 documents stay until `chaincite forget`\n",
        again.stderr,
    )
    absent = chaincite("--library", place / "library", "sync", place / "absent.toml")
    assert (absent.returncode, len(absent.stderr.splitlines())) == (2, 1)


@pytest.mark.slow
def test_watching_reads_again_and_ends_at_ctrl_c(place: Path) -> None:
    file = place / "sources.toml"
    file.write_text(NOTES)
    library = place / "library"
    command = [sys.executable, "-m", "chaincite", "--library", library, "sync", file, "--watch", "1"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=environment
    ) as process:
        assert process.stdout is not None
        rows = (line.split()[2:] for line in process.stdout if line.startswith("papers"))
        assert next(rows) == ["3", "0", "0", "0", "0"]
        (place / "notes" / "alpha.md").unlink()
        assert next(row for row in rows if row[3] == "1") == ["0", "0", "2", "1", "0"]
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=HANG)
    assert process.returncode == 0
    assert errors == "chaincite: ends after this source; Ctrl-C again ends at once\n"
    assert titles(place) == ["beta", "gamma"]
    assert list(doctor.faults(place / "library")) == []
