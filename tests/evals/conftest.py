"""One run over the sample, with answers, for every test that reads a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from evals.runs import Run, Runs
from tests.conftest import ROOT
from tests.conftest import Run as Command


@pytest.fixture(scope="session")
def sample_run(sample_library: Path, chaincite: Command, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of the sample's questions. Tests that write runs use folders of their own."""
    runs = tmp_path_factory.mktemp("runs")
    dataset = ROOT / "evals" / "data" / "sample.jsonl"
    ran = chaincite(
        "--library", sample_library, "eval", "run", dataset, "--answers", "--runs", runs, "--name", "first"
    )
    assert ran.returncode == 0, ran.stderr
    return Runs(runs).open("first")
