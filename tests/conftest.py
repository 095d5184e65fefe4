"""What every test may use: the command line as a child process, the shared corpus, the sample library."""

from __future__ import annotations

import ipaddress
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]

HANG = 300.0
"""Seconds after which what has not come about never will; no machine is so slow."""

settings.register_profile(
    "chaincite",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("chaincite")

Run = Callable[..., subprocess.CompletedProcess[str]]


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


def _stay_at_home(event: str, details: tuple[Any, ...]) -> None:
    """Fails whatever would leave this machine; numeric addresses are resolved without asking anybody."""
    if event == "socket.connect" and isinstance(details[1], tuple) and not _is_here(str(details[1][0])):
        raise RuntimeError(f"a test tried to reach {details[1]}; tests use loopback addresses only")
    if event == "socket.getaddrinfo" and details[0] is not None:
        host = details[0].decode() if isinstance(details[0], bytes) else details[0]
        if not _is_here(host) and host.strip("[]").replace(".", "").replace(":", "").isalpha():
            raise RuntimeError(f"a test tried to look up {host}; tests use loopback addresses only")


sys.addaudithook(_stay_at_home)


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keeps the settings and the data of the person who runs the tests out of them."""
    for name in [name for name in os.environ if name.startswith(("CHAINCITE_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CHAINCITE_ONLY_LOOPBACK", "true")
    home = tmp_path_factory.getbasetemp() / "home"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine at which nobody listens, held so that nobody will while the test runs."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the repository with the shared corpus and the evaluation sets."""
    folder = ROOT.parent / "shared"
    if not (folder / "corpus" / "MANIFEST.json").is_file():
        pytest.skip("no ../shared/corpus here")
    return folder


@pytest.fixture(scope="session")
def chaincite() -> Run:
    """Runs `chaincite ARGUMENTS` as a child process; keywords are added to its environment."""

    def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "chaincite", *map(str, arguments)],
            capture_output=True,
            encoding="utf-8",
            timeout=HANG,
            env={**os.environ, **environment},
        )

    return run


@pytest.fixture(scope="session")
def sample_library(chaincite: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of the sample notes. Tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("sample") / "library"
    sample = ROOT / "evals" / "data" / "sample"
    ran = chaincite("--library", folder, "ingest", "papers", sample, "--manifest", sample / "MANIFEST.json")
    assert ran.returncode == 0, ran.stderr
    return folder
