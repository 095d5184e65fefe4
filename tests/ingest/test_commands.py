"""The commands as a person runs them: exit status, a line for each fault, and a library that stays whole."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Protocol

import pytest
from typer.testing import CliRunner

from chaincite import app
from index import doctor
from index.errors import SourceError
from index.library import Library
from tests.conftest import HANG

WORDS = ("gas", "fee", "block", "burn", "bridge", "oracle", "token", "swap", "pool", "blob", "proof")


class Run(Protocol):
    def __call__(self, *arguments: str | Path, **environment: str) -> CompletedProcess[str]: ...


def write_notes(folder: Path, count: int) -> Path:
    folder.mkdir(exist_ok=True)
    for at in range(count):
        body = " ".join(WORDS[(at * 7 + i * i) % len(WORDS)] + str(i * at % 97) for i in range(25))
        (folder / f"note-{at:04}.md").write_text(f"# Note {at}\n\n{body}.\n")
    return folder


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return write_notes(tmp_path / "notes", 3)


@pytest.fixture
def library(chaincite: Run, tmp_path: Path, notes: Path) -> Path:
    ran = chaincite("--library", tmp_path / "library", "ingest", "papers", notes)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("3 added, 0 changed, 0 unchanged, 0 skipped; ")
    return tmp_path / "library"


def test_a_second_ingest_says_that_nothing_was_embedded(chaincite: Run, library: Path, notes: Path) -> None:
    ran = chaincite("--library", library, "ingest", "papers", notes)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert re.match(
        r"0 added, 0 changed, 3 unchanged, 0 skipped; 0 passages, 0 embedded, [\d.]+ s\n$", ran.stdout
    )


def test_what_is_skipped_is_a_line_each_and_status_two(chaincite: Run, library: Path, notes: Path) -> None:
    (notes / "binary.md").write_bytes(b"\x00\x01" * 500)
    (notes / "latin.md").write_bytes("Prix du gaz: cinq cents, déjà payé.\n".encode("latin-1") * 9)
    ran = chaincite("--library", library, "ingest", "papers", notes, notes / "absent.md")
    assert ran.returncode == 2
    assert sorted(line.split(":")[0].split()[:1] for line in ran.stderr.splitlines()) == [
        ["note"],
        ["skipped"],
        ["skipped"],
    ]
    assert ran.stdout.startswith("1 added, 0 changed, 3 unchanged, 2 skipped; ")
    assert list(doctor.faults(library)) == []


@pytest.mark.parametrize("arguments", [("absent",), (), ("empty",)])
def test_nothing_to_read_is_status_two_and_makes_no_library(
    chaincite: Run, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "empty").mkdir()
    ran = chaincite(
        "--library", tmp_path / "new", "ingest", "papers", *(tmp_path / name for name in arguments)
    )
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / "new").exists()


def test_status_as_json_holds_what_scripts_read(chaincite: Run, library: Path) -> None:
    ran = chaincite("--library", library, "status", "--json")
    body = json.loads(ran.stdout)
    assert ran.returncode == 0
    assert body["documents"] == 3
    assert body["passages"] == body["vectors"] >= 3
    assert (body["events"], body["generation"]) == (0, 1)
    assert (library / "CURRENT").is_file()
    said = chaincite("--library", library, "status").stdout
    assert "3 (3 paper)" in said


def test_forget_by_pattern_shows_first_and_then_removes(chaincite: Run, library: Path) -> None:
    shown = chaincite("--library", library, "forget", "--dry-run", "*note-0001*")
    assert (shown.returncode, len(shown.stdout.splitlines())) == (0, 1)
    assert len(Library(library).documents()) == 3
    assert chaincite("--library", library, "forget", "*note-0001*", "*note-0002.md").returncode == 0
    assert [document.path for document in Library(library).documents()] == ["note-0000.md"]
    again = chaincite("--library", library, "forget", "*note-0001*")
    assert (again.returncode, again.stdout, len(again.stderr.splitlines())) == (2, "", 1)
    assert chaincite("--library", library, "doctor").returncode == 0


@pytest.mark.parametrize("command", [("status",), ("doctor",), ("doctor", "--repair"), ("forget", "x")])
def test_no_library_is_one_line_and_status_two(
    chaincite: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    ran = chaincite("--library", tmp_path / "none", *command)
    assert (ran.returncode, ran.stdout, len(ran.stderr.splitlines())) == (2, "", 1)
    assert "chaincite ingest" in ran.stderr


@pytest.mark.slow
def test_a_second_writer_is_one_line_and_status_two(chaincite: Run, library: Path, notes: Path) -> None:
    with Library.writer(library):
        ran = chaincite("--library", library, "ingest", "papers", notes)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)
    assert f"pid {os.getpid()}" in ran.stderr


@pytest.mark.slow
def test_interrupted_it_says_so_keeps_what_was_embedded_and_goes_on(
    chaincite: Run, library: Path, tmp_path: Path
) -> None:
    many = write_notes(tmp_path / "many", 1500)
    command = [sys.executable, "-m", "chaincite", "--library", str(library), "ingest", "papers", str(many)]
    cache = library / "vectors.sqlite-wal"
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        while process.poll() is None and not (cache.exists() and cache.stat().st_size > 400_000):
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.05)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=HANG)
    assert (process.returncode, out) == (130, "")
    assert errors == "chaincite: interrupted; what was finished is kept\n"
    assert list(doctor.faults(library)) == []
    assert len(Library(library).documents()) == 3

    ran = chaincite("--library", library, "ingest", "papers", many)
    found = re.search(r"1500 added.*; (\d+) passages, (\d+) embedded", ran.stdout)
    assert ran.returncode == 0
    assert found is not None
    assert int(found[2]) <= int(found[1]) - 32
    assert list(doctor.faults(library)) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of six megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", place], capture_output=True
    ).returncode:
        pytest.skip("only root can make a small disk")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("left", [20_000, 900_000])
def test_a_full_disk_is_one_line_and_the_library_stays_whole(
    chaincite: Run, small_disk: Path, notes: Path, tmp_path: Path, left: int
) -> None:
    library = small_disk / "library"
    assert chaincite("--library", library, "ingest", "papers", notes).returncode == 0
    status = os.statvfs(small_disk)
    (small_disk / "other").write_bytes(b"x" * (status.f_bavail * status.f_bsize - left))
    many = write_notes(tmp_path / "many", 400)
    ran = chaincite("--library", library, "ingest", "papers", many)
    assert (ran.returncode, ran.stdout, len(ran.stderr.splitlines())) == (2, "", 1), ran.stderr
    assert "is full; make room" in ran.stderr
    assert list(doctor.faults(library)) == []
    assert len(Library(library).search("gas", k=50)) >= 3
    (small_disk / "other").unlink()
    assert chaincite("--library", library, "ingest", "papers", many).returncode == 0
    assert len(Library(library).documents()) == 403


def test_reports_as_json_say_what_was_read_removed_skipped_and_lost(
    chaincite: Run, library: Path, notes: Path, tmp_path: Path
) -> None:
    (notes / "note-0000.md").unlink()
    (notes / "broken.md").write_bytes(b"\x00\x01" * 500)
    command = ("--library", library, "ingest", "papers", notes, "--json")
    ran = chaincite(*command)
    assert (ran.returncode, ran.stderr) == (2, "")
    body = json.loads(ran.stdout)
    assert (body["read"], body["unchanged"], body["removed"], body["lost"]) == (0, 2, 0, {})
    assert [line["what"] for line in body["skipped"]] == ["broken.md"]
    assert json.loads(chaincite(*command, "--prune").stdout)["removed"] == 1
    (tmp_path / "sources.toml").write_text('[papers]\nname = "all"\npaths = ["notes"]\n')
    synced = json.loads(chaincite("--library", library, "sync", tmp_path / "sources.toml", "--json").stdout)
    assert [(one["source"], one["unchanged"]) for one in synced["sources"]] == [("papers all", 2)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("repo", "x", "--history", "-1"), "--history"),
        (
            ("chain", "--chain", "eip155:1", "--from-block", "5", "--to-block", "soon"),
            "--to-block should be a",
        ),
        (("papers", "x", "--date", "yesterday"), "--date"),
        (("papers", "x", "--kind", "novel"), "--kind"),
        (("papers", "x", "--chain", "main"), "--chain should be a CAIP-2 id"),
    ],
)
def test_a_wrong_option_is_named_as_it_is_written(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    ran = CliRunner().invoke(app, ["--library", str(tmp_path / "new"), "ingest", *arguments])
    assert said in f"{ran.stderr} {ran.exception}"
    assert isinstance(ran.exception, (SourceError, SystemExit))
    assert not (tmp_path / "new").exists()
