"""The benchmark: its choice of files, its bookkeeping, and one whole run on the sample."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.bench import PACKAGES, Row, chosen, table
from evals.cost import measure
from evals.latency import WARM_UP, latencies
from index.errors import ChainciteError

ROOT = Path(__file__).parents[2]
FILES = st.lists(
    st.tuples(st.integers(0, 10_000), st.sampled_from(["md", "pdf", "tex"])), min_size=1, unique=True
).map(lambda names: [Path(f"{name}.{suffix}") for name, suffix in names])

needs_reference = pytest.mark.skipif(
    any(find_spec(name.replace("-", "_")) is None for name in PACKAGES),
    reason="the reference is not installed (extra `bench`)",
)


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "evals.bench", *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
    )


@given(files=FILES, share=st.floats(0.01, 1.0), seed=st.integers(0, 100))
def test_a_share_holds_each_suffix_in_proportion(files: list[Path], share: float, seed: int) -> None:
    some = chosen(files, share, seed)
    assert len(set(some)) == len(some) == max(1, round(share * len(files)))
    assert some == chosen(files, share, seed)
    for suffix in {file.suffix for file in files}:
        all_of, taken = (sum(file.suffix == suffix for file in part) for part in (files, some))
        assert abs(taken - all_of * len(some) / len(files)) <= 1


def test_another_seed_takes_other_files() -> None:
    files = [Path(f"{n}.md") for n in range(100)]
    assert chosen(files, 0.1, seed=0) != chosen(files, 0.1, seed=1)
    assert chosen(files, 1.0, seed=0) == sorted(files)


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (Row("", "s", ours=4.0, reference=10.0, most_ratio=0.4), True),
        (Row("", "s", ours=4.1, reference=10.0, most_ratio=0.4), False),
        (Row("", "s", ours=2.6, reference=10.0, most=2.5), False),
        (Row("", "", ours=0, most=0), True),
        (Row("", "MB", ours=9.0, reference=1.0), None),
    ],
)
def test_a_figure_meets_its_target_or_not(row: Row, met: bool | None) -> None:
    assert row.met is met


def test_the_table_can_be_read_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    Console(width=110).print(table([Row("ingest", "s", ours=5.0, reference=10.0, most_ratio=0.4)]))
    line = next(line for line in capsys.readouterr().out.splitlines() if "ingest" in line)
    assert line.split() == ["ingest", "5.00", "s", "10.0", "s", "0.50", "×", "≤", "0.40", "×", "MISSED"]


def test_questions_of_the_warm_up_are_not_timed() -> None:
    questions, asked = ["a", "b", "c", "d"], []
    seconds = latencies(asked.append, questions)
    assert len(seconds) == len(questions)
    assert asked == [*questions[:WARM_UP], *questions]


@needs_reference
def test_memory_and_work_of_children_count() -> None:
    grandchild = "x = bytearray(150_000_000); print(sum(range(10_000_000)))"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}], check=True)"
    cost = measure("python", "child", [sys.executable, "-c", child], os.environ)
    assert cost.output.strip() == "49999995000000"
    assert 150e6 < cost.peak < 300e6
    assert 0.01 < cost.cpu <= cost.wall * 1.5


@needs_reference
def test_a_command_that_fails_is_told_with_its_last_words() -> None:
    fails = [sys.executable, "-c", "import sys; print('first'); sys.exit('no such shelf')"]
    with pytest.raises(ChainciteError, match="status 1: no such shelf"):
        measure("python", "child", fails, os.environ)
    assert measure("python", "child", fails, os.environ, accepted=(0, 1)).output == "first\n"


@needs_reference
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere holds nothing to read"),
        (["evals/data/sample", "--share", "2"], "share"),
        (["evals/data/sample", "--out", "nowhere/figures.json"], "is no folder"),
    ],
)
def test_bad_input_is_one_line_and_status_2(arguments: list[str], said: str) -> None:
    ran = bench(*arguments)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


@needs_reference
@pytest.mark.slow
def test_a_run_on_the_sample_gives_every_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    ran = bench("evals/data/sample", "--share", "0.5", "--rounds", "1", "--out", tmp_path / "figures.json")
    assert ran.returncode == 0, ran.stderr
    figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
    rows = {row["measure"]: row for row in figures["rows"]}
    assert rows["ingest"]["ratio"] == rows["ingest"]["ours"] / rows["ingest"]["reference"]
    assert rows["files skipped"]["ours"] == 0
    assert rows["second ingest, texts embedded"]["ours"] == 0
    assert rows["one file edited, texts embedded"]["ours"] == 1
    assert rows["one file edited, files read again"]["ours"] == 1
    assert {row["measure"] for row in figures["rows"] if row["reference"] is None} == {
        "files skipped",
        "second ingest",
        "second ingest, share of the first",
        "second ingest, texts embedded",
        "one file edited",
        "one file edited, files read again",
        "one file edited, texts embedded",
    }
    assert all(cost["wall"] > 0 and cost["peak"] > 20e6 for cost in figures["costs"])
    assert min(figures["passages"].values()) >= figures["files"]
    assert "warm search, p50" in ran.stdout
    assert not list(scratch.glob("chaincite-bench-*"))
