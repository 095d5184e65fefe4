"""Files of a chain: every format gives the same rows, integers stay exact, bad lines cost only themselves."""

from __future__ import annotations

import csv
import gzip
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from index import doctor
from index.errors import SourceError
from index.library import Library
from index.values import Filters, Kind, SourceRef
from ingest.chain.connector import Files
from ingest.chain.files import ChainFile, batches
from ingest.chain.options import Chain
from ingest.chain.tables import tokens
from ingest.engine import Engine, Report
from ingest.selectors import keccak
from tests.conftest import Run

CHAIN = "eip155:1"
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
USDT = "0xdac17f958d2ee523a2206206994597c13d831ec7"
TIME = 1683029999


def hex_of(*parts: object) -> str:
    return "0x" + random.Random(repr(parts)).randbytes(32).hex()


def address_of(name: object) -> str:
    return hex_of("address", name)[:42]


def log(block: int, index: int, **more: Any) -> dict[str, Any]:
    value = 2**256 - 1 if index == 0 else 10**6 * index
    return {
        "log_index": index,
        "transaction_hash": hex_of("tx", block, index // 2),
        "transaction_index": index // 2,
        "address": USDT,
        "data": f"0x{value:064x}",
        "topics": [TRANSFER, *("0x" + "0" * 24 + address_of((block, index, at))[2:] for at in (1, 2))],
        "block_number": block,
        "block_timestamp": TIME + 12 * block,
        "block_hash": hex_of("block", block),
        **more,
    }


LOGS = [log(block, index) for block in (1, 2) for index in range(5)]


def write(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def write_csv(file: Path, rows: list[dict[str, Any]]) -> Path:
    with file.open("w", newline="") as body:
        writer = csv.DictWriter(body, list(rows[0]))
        writer.writeheader()
        for row in rows:
            joined = {k: ",".join(v) if isinstance(v, list) else v for k, v in row.items()}
            writer.writerow(joined)
    return file


def write_cryo(file: Path, rows: list[dict[str, Any]]) -> Path:
    raw = bytes.fromhex
    columns: dict[str, Any] = {
        "block_number": pa.array([row["block_number"] for row in rows], pa.uint32()),
        "transaction_index": pa.array([row["transaction_index"] for row in rows], pa.uint64()),
        "log_index": pa.array([row["log_index"] for row in rows], pa.uint32()),
        **{name: [raw(row[name][2:]) for row in rows] for name in ("transaction_hash", "address", "data")},
        "chain_id": pa.array([1] * len(rows), pa.uint64()),
    }
    for at in range(4):
        topics = [raw(row["topics"][at][2:]) if at < len(row["topics"]) else None for row in rows]
        columns[f"topic{at}"] = pa.array(topics, pa.binary())
    pq.write_table(pa.table(columns), file)
    return file


def read(file: Path) -> tuple[list[dict[str, Any]], list[str]]:
    faults: list[str] = []
    found = [batch.to_pylist() for batch in batches(ChainFile.open(file), CHAIN, faults.append)]
    return [row for some in found for row in some], faults


def ingest(folder: Path, *files: Path, **more: Any) -> Report:
    with Library.writer(folder) as writer:
        return Engine(writer).run(Files(Chain(chain=CHAIN, files=tuple(map(str, files)), **more)))


def asked(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with Library(folder).sql() as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("name", ["logs.jsonl", "logs.csv", "logs.jsonl.gz", "logs.csv.gz"])
def test_json_lines_and_csv_give_the_same_rows(tmp_path: Path, name: str) -> None:
    file = tmp_path / name.removesuffix(".gz")
    (write_csv if "csv" in name else write)(file, LOGS)
    if name.endswith(".gz"):
        file = tmp_path / name
        file.write_bytes(gzip.compress((tmp_path / name.removesuffix(".gz")).read_bytes()))
    rows, faults = read(file)
    assert faults == []
    assert [(row["block_number"], row["log_index"], row["block_hash"]) for row in rows] == [
        (row["block_number"], row["log_index"], row["block_hash"]) for row in LOGS
    ]
    assert [[row[f"topic{at}"] for at in range(3)] for row in rows] == [row["topics"] for row in LOGS]
    assert {row["data"] for row in rows} == {row["data"] for row in LOGS}
    assert {row["block_timestamp"].timestamp() for row in rows} == {row["block_timestamp"] for row in LOGS}


def test_parquet_of_cryo_with_its_blocks_gives_the_rows_of_ethereum_etl(tmp_path: Path) -> None:
    blocks = [
        {
            "number": n,
            "hash": hex_of("block", n),
            "timestamp": TIME + 12 * n,
            "parent_hash": hex_of("block", n - 1),
        }
        for n in (1, 2)
    ]
    columns = (
        "chain, block_number, block_hash, block_timestamp, transaction_hash, transaction_index, log_index,"
        " address, topic0, topic1, topic2, topic3, data, event, args, value"
    )
    sql = f"SELECT {columns} FROM events ORDER BY block_number, log_index"  # noqa: S608
    ingest(tmp_path / "etl", write(tmp_path / "logs.jsonl", LOGS))
    cryo = write_cryo(tmp_path / "logs.parquet", LOGS)
    report = ingest(tmp_path / "cryo", cryo, write(tmp_path / "blocks.jsonl", blocks))
    assert (report.skipped, report.counts["events"]) == ([], len(LOGS))
    assert asked(tmp_path / "cryo", sql) == asked(tmp_path / "etl", sql)


def test_integers_are_exact_and_a_float_is_refused(tmp_path: Path) -> None:
    move = {
        "token_address": USDT,
        "from_address": address_of(1),
        "to_address": address_of(2),
        "transaction_hash": hex_of(1),
        "block_number": 1,
    }
    whole, text, hexadecimal = 2**256 - 1, str(2**255 + 1), hex(2**254 + 1)
    values = [whole, text, hexadecimal, 1.5e20, "1e20", -1, None]
    rows, faults = read(
        write(tmp_path / "t.jsonl", [{**move, "log_index": at, "value": v} for at, v in enumerate(values)])
    )
    assert [int(row["value"]) for row in rows] == [2**256 - 1, 2**255 + 1, 2**254 + 1]
    assert [fault.partition(":")[0] for fault in faults] == ["line 4", "line 5", "line 6", "line 7"]
    assert "`value` should be a whole number" in faults[0]


def test_bad_lines_cost_only_themselves(tmp_path: Path) -> None:
    file = write(tmp_path / "logs.jsonl", LOGS[:2])
    with file.open("a") as body:
        body.write('{"log_index": 5, "transac\n\n[1]\n' + json.dumps(log(3, 0, address="0x12")) + "\n")
        body.write(json.dumps(log(3, 1, topics=["0x1"])) + "\n" + json.dumps(log(3, 2, data="0x123")) + "\n")
        body.write(json.dumps(log(3, 3, topics=[TRANSFER] * 5)) + "\n" + json.dumps(LOGS[2]) + "\n")
    rows, faults = read(file)
    assert [row["log_index"] for row in rows] == [0, 1, 2]
    assert [fault.split()[1].rstrip(":") for fault in sorted(faults)] == ["3", "5", "6", "7", "8", "9"]
    assert all("\n" not in fault for fault in faults)


def test_a_csv_with_rows_of_another_width_keeps_the_others(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "logs.csv", LOGS)
    lines = file.read_text("utf-8").splitlines()
    lines[3] += ",more"
    file.write_text("\n".join(lines))
    rows, faults = read(file)
    assert len(rows) == len(LOGS) - 1
    assert faults == ["line 4 has 10 fields, the header has 9"]


def test_a_parquet_file_that_is_cut_off_is_refused_in_one_line(tmp_path: Path) -> None:
    file = write_cryo(tmp_path / "logs.parquet", LOGS)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(SourceError, match="is not what its name says") as refused:
        ChainFile.open(file)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("logs.csv", "log_index,address\n1,0x12\n", "lacks data, transaction_hash, block_number, topics"),
        ("logs.jsonl", "", "holds no JSON object"),
        ("logs.json", "[\n", "holds no JSON object"),
        ("logs.txt", "x", "readable are"),
        ("logs.csv", "", "lacks"),
    ],
)
def test_files_without_what_is_needed_are_named(tmp_path: Path, name: str, body: str, said: str) -> None:
    (tmp_path / name).write_text(body)
    with pytest.raises(SourceError, match=said):
        ChainFile.open(tmp_path / name)


def test_files_read_again_cost_nothing_and_change_nothing(tmp_path: Path) -> None:
    file, folder = write(tmp_path / "logs.jsonl", LOGS), tmp_path / "library"
    first = ingest(folder, file)
    assert (first.counts["events"], first.added) == (10, 6)
    again = ingest(folder, file)
    assert (again.counts["events"], again.added, again.changed, again.unchanged) == (0, 0, 0, 6)
    assert again.embedded == 0
    write(file, [*LOGS, log(3, 0)])
    more = ingest(folder, file)
    assert (more.counts["events"], more.added, more.unchanged) == (1, 1, 6)
    assert list(doctor.faults(folder)) == []


def test_passages_tell_exact_amounts_and_cite_the_log(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    ingest(folder, write(tmp_path / "logs.jsonl", LOGS))
    library = Library(folder)
    for document in library.documents(Filters(kinds=(Kind.EVENT,))):
        passages = library.passages(document.uri)
        assert "".join(passage.text for passage in passages).count("\n") == len(passages)
        for passage in passages[1:]:
            ref = SourceRef.of(document, passage)
            [row] = [
                one
                for one in LOGS
                if (one["block_number"], one["log_index"]) == (ref.block_number, ref.log_index)
            ]
            assert (ref.chain, ref.path, ref.finality) == (CHAIN, "logs.jsonl", None)
            assert (ref.block_hash, ref.transaction_hash) == (row["block_hash"], row["transaction_hash"])
            raw = int(row["data"], 16)
            told = "an unlimited amount of USDT" if raw == 2**256 - 1 else f"{raw // 10**6} USDT ({raw} raw)"
            assert told in passage.text
            assert row["transaction_hash"] in passage.text
            assert "0x" + row["topics"][2][26:] in passage.text


def test_many_transactions_are_told_together(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    some = [row for row in LOGS if row["log_index"]]
    report = ingest(folder, write(tmp_path / "logs.jsonl", some), passages=3)
    [document] = Library(folder).documents()
    [passage] = Library(folder).passages(document.uri)
    total = sum(int(row["data"], 16) for row in some)
    assert report.added == 1
    assert "blocks 1 to 2: 8 logs." in passage.text
    assert f"sum to {total // 10**6} USDT ({total} raw); the largest is 4 USDT (4000000 raw)" in passage.text
    assert document.chain == CHAIN
    assert document.contracts == (USDT,)


def test_logs_of_cryo_without_blocks_are_noted(tmp_path: Path) -> None:
    report = ingest(tmp_path / "library", write_cryo(tmp_path / "logs.parquet", LOGS))
    assert report.counts["events"] == 10
    assert ["has no block hashes" in note.why for note in report.notes] == [True]


def test_the_texts_of_tokens_are_made_safe() -> None:
    given = {
        "chain": CHAIN,
        "address": USDT,
        "symbol": "A\x1b[31m\nB" + "x" * 99,
        "name": "\u202e",
        "decimals": 6,
    }
    [row] = tokens([given], "node").to_pylist()
    assert row["symbol"].startswith("A [31m B")
    assert len(row["symbol"]) == 32
    assert row["name"] is None


def test_the_command_reads_files_and_says_what_it_left_out(chaincite: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "logs.jsonl", [*LOGS, log(3, 0, address="0x12")])
    library = tmp_path / "library"
    ran = chaincite("--library", library, "ingest", "chain", "--file", file, "--chain", CHAIN)
    assert (ran.returncode, "10 events" in ran.stdout) == (2, True)
    assert ran.stderr.startswith("skipped  logs.jsonl: line 11: `address` should be 0x and 40 hex digits")
    assert "events      10" in chaincite("--library", library, "status").stdout
    ran = chaincite("--library", library, "forget", "logs.jsonl")
    assert ran.returncode == 0
    assert asked(library, "SELECT count(*) FROM events") == [(0,)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "nothing to read"),
        (("--file", "logs.jsonl"), "--chain should be a CAIP-2 id"),
        (("--file", "logs.jsonl", "--chain", "mainnet"), "--chain should be a CAIP-2 id"),
        (("--file", "absent.jsonl", "--chain", CHAIN), "cannot be read"),
        (("--file", "absent.jsonl", "--chain", CHAIN, "--abi", "absent.json"), "cannot be read"),
        (("--manifest", "absent.json", "--chain", CHAIN), "the manifest cannot be read"),
    ],
)
def test_bad_input_is_one_line(chaincite: Run, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    ran = chaincite("--library", tmp_path / "library", "ingest", "chain", *arguments)
    assert ran.returncode != 0
    assert said in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "library").exists()


def test_ones_own_declarations_name_the_arguments(tmp_path: Path) -> None:
    inputs = [
        {"name": name, "type": kind, "indexed": kind == "address"}
        for name, kind in (("payer", "address"), ("payee", "address"), ("cents", "uint256"))
    ]
    own = tmp_path / "Own.json"
    own.write_text(json.dumps([{"type": "event", "name": "Transfer", "inputs": inputs}]))
    ingest(tmp_path / "library", write(tmp_path / "logs.jsonl", LOGS[:2]), abi=(own,))
    assert asked(tmp_path / "library", "SELECT DISTINCT declared_in, json_keys(args) FROM events") == [
        ("Own", ["payer", "payee", "cents"])
    ]


@pytest.mark.corpus
def test_the_real_blocks_are_read_whole_and_exact(shared: Path, tmp_path: Path) -> None:
    folder = shared / "corpus/chain/ethereum-17173049-17173050"
    with Library.writer(tmp_path) as writer:
        options = Chain(chain=CHAIN, manifest=shared / "corpus/MANIFEST.json", passages=0)
        report = Engine(writer).run(Files(options))
    assert (report.counts, report.skipped) == (
        {"blocks": 2, "transactions": 298, "transfers": 291, "events": 681, "rows": 1272},
        [],
    )
    real = [json.loads(line) for line in (folder / "token_transfers.jsonl").read_text("utf-8").splitlines()]
    wanted = {(row["block_number"], row["log_index"]): str(row["value"]) for row in real}
    sql = "SELECT block_number, log_index, coalesce(value, token_id)::VARCHAR FROM token_transfers"
    assert {(block, log): value for block, log, value in asked(tmp_path, sql)} == wanted
    transactions = [
        json.loads(line) for line in (folder / "transactions.jsonl").read_text("utf-8").splitlines()
    ]
    fees = sum(row["receipt_effective_gas_price"] * row["receipt_gas_used"] for row in transactions)
    assert asked(tmp_path, "SELECT sum(effective_gas_price * gas_used), sum(value) FROM transactions") == [
        (fees, sum(row["value"] for row in transactions))
    ]


def test_logs_are_decoded_anew_when_their_declaration_comes_to_be_known(tmp_path: Path) -> None:
    topic = "0x" + keccak("Quokka(uint256)").hex()
    file = write(tmp_path / "logs.jsonl", [log(1, 1, topics=[topic]), log(2, 1)])
    ingest(tmp_path / "library", file)
    sql = "SELECT event, declared_in, args::VARCHAR FROM events WHERE topic0 = '{}'"
    assert asked(tmp_path / "library", sql.format(topic)) == [(None, None, None)]
    inputs = [{"name": "hops", "type": "uint256"}]
    abi = tmp_path / "Zoo.json"
    abi.write_text(json.dumps([{"type": "event", "name": "Quokka", "inputs": inputs}]))
    report = ingest(tmp_path / "library", file, abi=(abi,))
    assert (report.counts["events"], report.changed, report.unchanged) == (0, 1, 1)
    decoded = [("Quokka", "Zoo", '{"hops": "1000000"}')]
    assert asked(tmp_path / "library", sql.format(topic)) == decoded
    ingest(tmp_path / "library", file)
    assert asked(tmp_path / "library", sql.format(topic)) == decoded
    assert list(doctor.faults(tmp_path / "library")) == []


def test_a_file_that_breaks_off_costs_itself_alone(tmp_path: Path) -> None:
    whole = write(tmp_path / "logs.jsonl", LOGS)
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(whole.read_bytes())[:-40])
    pointer = tmp_path / "pointer.jsonl"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    report = ingest(tmp_path / "library", cut, whole, pointer)
    assert report.counts["events"] == len(LOGS)
    assert {problem.what for problem in report.skipped} == {"cut.jsonl.gz", "pointer.jsonl"}
