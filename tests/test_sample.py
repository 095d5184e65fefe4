"""The sample library is whole, and its manifest and its PDF are what the script makes."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import ROOT

SAMPLE = ROOT / "evals" / "data" / "sample"
MANIFEST = json.loads((SAMPLE / "MANIFEST.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sample_build", SAMPLE / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("entry", MANIFEST, ids=lambda entry: entry["path"])
def test_the_manifest_tells_the_truth(entry: dict[str, str | int]) -> None:
    data = (SAMPLE / str(entry["path"])).read_bytes()
    assert (entry["sha256"], entry["bytes"]) == (hashlib.sha256(data).hexdigest(), len(data))


def test_the_manifest_names_every_file_and_every_address_once() -> None:
    files = {path.name for path in SAMPLE.iterdir() if path.is_file() and path.suffix != ".py"} - {
        "MANIFEST.json"
    }
    assert {entry["path"] for entry in MANIFEST} == files
    assert len({entry["source"] for entry in MANIFEST}) == len(MANIFEST)


def test_the_pdf_can_be_made_again(build: ModuleType, tmp_path: Path) -> None:
    build.write_pdf(tmp_path / "again.pdf")
    assert (tmp_path / "again.pdf").read_bytes() == (SAMPLE / "bitcoin-blocks.pdf").read_bytes()


@pytest.mark.corpus
def test_the_events_stand_in_the_corpus(shared: Path) -> None:
    known = (shared / "corpus/chain/ethereum-17173049-17173050/token_transfers.jsonl").read_text(
        encoding="utf-8"
    )
    events = (SAMPLE / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert events
    assert set(events) <= set(known.splitlines())


def test_the_example_of_the_fee_note_follows_the_formula() -> None:
    note = (SAMPLE / "eip-1559-fee-market.md").read_text(encoding="utf-8")
    used, target, fee = 9_755_040, 15_000_000, 80_869_370_967
    after = fee - fee * (target - used) // target // 8
    assert all(f"{number:,}" in note for number in (used, target, fee, target - used, after))
