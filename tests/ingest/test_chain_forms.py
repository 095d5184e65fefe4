"""Logs as other programs write them: each form gives the same rows; what is odd costs itself alone."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from index.errors import SourceError
from index.library import Library
from ingest.chain.abi import EventSignature
from ingest.chain.connector import Files
from ingest.chain.files import ChainFile, batches
from ingest.chain.options import Chain
from ingest.engine import Engine

CHAIN = "eip155:10"
TOPIC = "0x" + "ab" * 32
PARTY = "0x" + "0" * 24 + "c3" * 20
MILL = "0x" + "5d" * 20
TIME = 1_690_000_000


def log(block: int, index: int, **more: Any) -> dict[str, Any]:
    """A log as ethereum-etl has it."""
    return {
        "log_index": index,
        "transaction_hash": f"0x{block:060x}beef",
        "transaction_index": 3,
        "address": MILL,
        "data": f"0x{10**20 + index:064x}",
        "topics": [TOPIC, PARTY],
        "block_number": block,
        "block_timestamp": TIME + block,
        "block_hash": f"0x{block:060x}cafe",
        **more,
    }


LOGS = [log(7, 0), log(7, 1), log(9, 4)]


def camel(row: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A log as JSON-RPC has it."""
    names = {name: name.replace("_h", "H").replace("_i", "I").replace("_n", "N") for name in row}
    hexed = {name: hex(value) if isinstance(value, int) else value for name, value in row.items()}
    renamed = {names[name]: value for name, value in hexed.items() if name != "block_timestamp"}
    return {**renamed, **more}


def rpc() -> list[dict[str, Any]]:
    return [camel(row, removed=False, blockTimestamp=hex(row["block_timestamp"])) for row in LOGS]


def etherscan() -> list[dict[str, Any]]:
    rows = [camel(row, timeStamp=hex(row["block_timestamp"]), gasPrice="0x1", gasUsed="0x2") for row in LOGS]
    return [{**row, "logIndex": "0x" if row["logIndex"] == "0x0" else row["logIndex"]} for row in rows]


def dune(row: dict[str, Any]) -> dict[str, Any]:
    when = datetime.fromtimestamp(row["block_timestamp"], UTC)
    return {
        "block_time": f"{when:%Y-%m-%d %H:%M:%S}.000 UTC",
        "block_number": row["block_number"],
        "block_hash": row["block_hash"],
        "contract_address": row["address"],
        "topic0": row["topics"][0],
        "topic1": row["topics"][1],
        "topic2": None,
        "topic3": None,
        "data": row["data"],
        "tx_hash": row["transaction_hash"],
        "index": row["log_index"],
        "tx_index": row["transaction_index"],
    }


def flipside(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "BLOCK_NUMBER": row["block_number"],
        "TX_HASH": row["transaction_hash"],
        "EVENT_INDEX": row["log_index"],
        "CONTRACT_ADDRESS": row["address"],
        "DATA": row["data"],
        "TOPICS": row["topics"],
        "BLOCK_TIMESTAMP": row["block_timestamp"] * 1000,
        "TX_POSITION": "3",
        "BLOCK_HASH": row["block_hash"].removeprefix("0x"),
    }


def bigquery(row: dict[str, Any]) -> dict[str, Any]:
    when = datetime.fromtimestamp(row["block_timestamp"], UTC)
    numbers = {name: str(value) for name, value in row.items() if isinstance(value, int)}
    return {**row, **numbers, "block_timestamp": f"{when:%Y-%m-%d %H:%M:%S} UTC", "removed": "false"}


def columns() -> dict[str, list[Any]]:
    return {name: [row[name] for row in LOGS] for name in LOGS[0]}


def table(topics: Callable[[list[str]], str], delimiter: str = ",", index: bool = False, **more: Any) -> str:
    """A CSV of the logs; more: values in the place of those of each column, made of them."""
    names = sorted(LOGS[0], key=lambda name: name[::-1])
    body = io.StringIO()
    writer = csv.writer(body, delimiter=delimiter)
    writer.writerow(["", *names] if index else names)
    for at, row in enumerate(LOGS):
        made = {
            **row,
            **{name: make(row[name]) for name, make in more.items()},
            "topics": topics(row["topics"]),
        }
        writer.writerow([at, *(made[name] for name in names)] if index else [made[name] for name in names])
    return body.getvalue()


def when(seconds: int) -> str:
    return str(datetime.fromtimestamp(seconds, UTC))


def answer(result: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": result})


FORMS = {
    "list": ("logs.json", json.dumps(LOGS, indent=1)),
    "list, a row a line": ("logs.json", "[\n" + ",\n".join(map(json.dumps, LOGS)) + "\n]"),
    "objects over several lines": ("logs.jsonl", "\n".join(json.dumps(row, indent=2) for row in LOGS)),
    "eth_getLogs": ("logs.json", answer(rpc())),
    "eth_getLogs, a line each": ("logs.jsonl", "\n".join(answer([row]) for row in rpc())),
    "eth_getLogs in a batch": ("logs.json", f"[{answer(rpc()[:1])},\n{answer(rpc()[1:])}]"),
    "receipts": ("logs.json", answer([{"transactionHash": "0x1", "status": "0x1", "logs": rpc()}])),
    "subscription": (
        "logs.jsonl",
        "\n".join(
            json.dumps({"method": "eth_subscription", "params": {"subscription": "0x", "result": row}})
            for row in rpc()
        ),
    ),
    "Etherscan": ("logs.json", json.dumps({"status": "1", "message": "OK", "result": etherscan()}, indent=1)),
    "Etherscan's rows": ("logs.jsonl", "\n".join(map(json.dumps, etherscan()))),
    "Dune": (
        "logs.json",
        json.dumps({"execution_id": "x", "state": "done", "result": {"rows": [dune(row) for row in LOGS]}}),
    ),
    "Flipside": ("logs.json", json.dumps({"records": [flipside(row) for row in LOGS]})),
    "BigQuery": ("logs.jsonl", "\n".join(json.dumps(bigquery(row)) for row in LOGS)),
    "pandas, columns": (
        "logs.json",
        json.dumps(
            {name: {str(at): value for at, value in enumerate(given)} for name, given in columns().items()}
        ),
    ),
    "pandas, split": (
        "logs.json",
        json.dumps(
            {"columns": list(LOGS[0]), "index": [0, 1, 2], "data": [list(row.values()) for row in LOGS]}
        ),
    ),
    "pandas, index": ("logs.json", json.dumps({str(at): row for at, row in enumerate(LOGS)})),
    "pandas, table": ("logs.json", json.dumps({"schema": {"fields": []}, "data": LOGS})),
    "lists by column": ("logs.json", json.dumps(columns())),
    "byte order mark": ("logs.jsonl", "\ufeff" + "\n".join(map(json.dumps, LOGS))),
    "CSV, topics as JSON": ("logs.csv", table(json.dumps)),
    "CSV, topics as Python": (
        "logs.csv",
        table(repr, index=True, block_timestamp=when, transaction_index=float),
    ),
    "CSV, topics as NumPy": ("logs.csv", table(lambda topics: "['" + "'\n '".join(topics) + "']")),
    "CSV of web3.py": (
        "logs.csv",
        table(
            lambda topics: str([f"HexBytes('{topic}')" for topic in topics]).replace('"', ""),
            transaction_hash=lambda text: str(bytes.fromhex(text[2:])),
        ),
    ),
    "CSV with semicolons": ("logs.csv", "\ufeffsep=;\r\n" + table(",".join, ";")),
    "TSV": ("logs.tsv", table(" ".join, "\t")),
    "CSV of Postgres": (
        "logs.csv",
        table(
            lambda topics: "{" + ",".join(f'"\\\\x{topic[2:]}"' for topic in topics) + "}",
            data=lambda text: "\\x" + text[2:],
            block_hash=lambda text: text[2:].upper(),
        ),
    ),
}


def read(file: Path) -> tuple[list[dict[str, Any]], list[str]]:
    faults: list[str] = []
    found = [batch.to_pylist() for batch in batches(ChainFile.open(file), CHAIN, faults.append)]
    return [row for some in found for row in some], faults


def same(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows as the logs that they were."""
    return [
        {name: row[name] for name in LOGS[0] if name not in ("topics", "block_timestamp")}
        | {
            "topics": [row[f"topic{at}"] for at in range(4) if row.get(f"topic{at}")],
            "block_timestamp": row["block_timestamp"] and int(row["block_timestamp"].timestamp()),
        }
        for row in rows
    ]


@pytest.mark.parametrize("form", FORMS)
def test_each_form_gives_the_same_logs(form: str, tmp_path: Path) -> None:
    name, text = FORMS[form]
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    rows, faults = read(file)
    assert faults == []
    assert same(rows) == LOGS


def test_text_in_sixteen_bits_and_lists_of_bytes_give_them_too(tmp_path: Path) -> None:
    wide = tmp_path / "logs.csv"
    wide.write_text(table(",".join, "\t"), encoding="utf-16")
    arrow = tmp_path / "logs.parquet"
    raw = {
        name: [bytes.fromhex(value[2:]) if isinstance(value, str) else value for value in given]
        for name, given in columns().items()
    }
    raw["topics"] = [[bytes.fromhex(topic[2:]) for topic in row["topics"]] for row in LOGS]
    pq.write_table(pa.table(raw), arrow)
    for file in (wide, arrow):
        assert same(read(file)[0]) == LOGS


def test_one_bad_value_costs_itself(tmp_path: Path) -> None:
    bad = {"block_timestamp": "soon", "transaction_index": "first", "block_hash": "0x12"}
    rows = [log(7, at, **{name: value}) for at, (name, value) in enumerate(bad.items())]
    file = tmp_path / "logs.jsonl"
    file.write_text("\n".join(map(json.dumps, [*rows, log(7, 3, address="0x1")])))
    found, faults = read(file)
    assert [row["log_index"] for row in found] == [0, 1, 2]
    assert [row[name] for row, name in zip(found, bad, strict=True)] == [None, None, None]
    kept = sorted(fault for fault in faults if fault.endswith("the row is kept without it"))
    assert [fault[:6] for fault in kept] == ["line 1", "line 2", "line 3"]
    assert len(faults) == 4


def test_what_is_cut_off_keeps_its_beginning(tmp_path: Path) -> None:
    file = tmp_path / "logs.json"
    file.write_text(json.dumps({"result": LOGS}, indent=1)[:-200])
    rows, faults = read(file)
    assert same(rows) == LOGS[:2]
    assert "breaks off" in faults[0]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"status": "0", "message": "NOTOK", "result": "Max rate limit reached"}, "Max rate limit reached"),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": -32005, "message": "too many"}}, "too many"),
        ({"status": "0", "message": "No records found", "result": []}, "no JSON object"),
    ],
)
def test_an_endpoint_s_refusal_is_told(body: Any, said: str, tmp_path: Path) -> None:
    file = tmp_path / "logs.json"
    file.write_text(json.dumps(body))
    with pytest.raises(SourceError, match=said):
        ChainFile.open(file)


TRANSFER = {"from": MILL, "to": MILL, "value": "5", "hash": LOGS[0]["transaction_hash"], "blockNumber": "7"}


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({**TRANSFER, "tokenSymbol": "X", "contractAddress": MILL, "nonce": "1"}, "lacks log_index"),
        ({**TRANSFER, "nonce": "1", "gasPrice": "2", "input": "0x"}, "transactions"),
        (
            {"evt_tx_hash": TRANSFER["hash"], "evt_index": 1, "evt_block_number": 7, "contract_address": MILL}
            | {"from": MILL, "to": MILL, "value": "5"},
            "transfers",
        ),
        ({"number": 7, "hash": LOGS[0]["block_hash"], "parent_hash": LOGS[0]["block_hash"]}, "blocks"),
        ({"block_number": 7, "block_hash": LOGS[0]["block_hash"], "timestamp": 5}, "blocks"),
        ({"block_number": 7, "hash": LOGS[0]["block_hash"]}, "give it with --blocks"),
        ({**log(7, 0), "from_address": MILL, "to_address": MILL, "value": 1}, "events"),
        ({name: value for name, value in log(7, 0).items() if name != "topics"}, "lacks topics"),
    ],
)
def test_a_table_is_chosen_by_what_it_alone_has(row: dict[str, Any], kind: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(row))
    if " " not in kind:
        assert ChainFile.open(file).kind == kind
        return
    with pytest.raises(SourceError, match=kind):
        ChainFile.open(file)


def test_a_person_says_what_columns_do_not(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"block_number": 7, "hash": LOGS[0]["block_hash"]}))
    assert ChainFile.open(file, kind="blocks").kind == "blocks"
    with pytest.raises(SourceError, match="as logs it lacks"):
        ChainFile.open(file, kind="events")


def standing(folder: Path) -> list[tuple[int, int]]:
    with Library(folder).sql() as connection:
        found = connection.execute("SELECT block_number, log_index FROM events ORDER BY ALL").fetchall()
    return [(block, index) for block, index in found]


def test_removed_logs_do_not_stand_and_take_back_what_was_told(tmp_path: Path) -> None:
    folder = tmp_path / "library"
    moved = log(9, 4, block_hash="0x" + "77" * 32)
    first, then = tmp_path / "first.jsonl", tmp_path / "then.jsonl"
    first.write_text("\n".join(json.dumps({**row, "removed": False}) for row in LOGS))
    then.write_text("\n".join(map(json.dumps, [{**LOGS[2], "removed": True}, {**moved, "log_index": 5}])))
    for file in (first, then):
        with Library.writer(folder) as writer:
            Engine(writer).run(Files(Chain(chain=CHAIN, files=(str(file),))))
    assert standing(folder) == [(7, 0), (7, 1), (9, 5)]
    titles = [document.title for document in Library(folder).documents()]
    assert len(titles) == 2


def test_a_mark_that_first_comes_late_counts(tmp_path: Path) -> None:
    rows = [log(7, at) for at in range(150)]
    file = tmp_path / "logs.jsonl"
    file.write_text("\n".join(map(json.dumps, [*rows, {**rows[3], "removed": True}])))
    found, _ = read(file)
    assert [row["log_index"] for row in found] == [at for at in range(150) if at != 3]


def test_a_log_that_comes_back_stands(tmp_path: Path) -> None:
    marks = [False, True, "false", 1, 0]
    file = tmp_path / "logs.jsonl"
    file.write_text("\n".join(json.dumps({**LOGS[0], "removed": mark}) for mark in marks))
    gone: list[frozenset[str]] = []
    rows = [
        row for batch in batches(ChainFile.open(file), CHAIN, print, gone.append) for row in batch.to_pylist()
    ]
    assert (len(rows), gone) == (1, [])


def test_dirty_data_is_decoded_and_says_so(tmp_path: Path) -> None:
    declared = "Milled(address indexed by, uint8 kind, bool fine, bytes note, string name)"
    event, abi = EventSignature.parse(declared), tmp_path / "mill.json"
    abi.write_text(json.dumps([f"event {declared}"]))
    heads = f"{'f' * 62}05{2:064x}{160:064x}{224:064x}"
    data = (
        "0x"
        + heads
        + f"{0:064x}"
        + f"{3:064x}"
        + "c0ffee"
        + "aa" * 29
        + f"{4:064x}"
        + "Mühl".encode("latin-1").hex()
    )
    broken = "0x" + f"{5:064x}{1:064x}{2**255:064x}{128:064x}" + f"{2:064x}" + "6f6b" + "0" * 60
    file = tmp_path / "logs.jsonl"
    topics = [event.topic0, "0x" + "f" * 24 + "c3" * 20]
    rows = [log(7, at, topics=topics, data=given) for at, given in enumerate((data, broken))]
    file.write_text("\n".join(map(json.dumps, rows)))
    with Library.writer(tmp_path / "library") as writer:
        Engine(writer).run(Files(Chain(chain=CHAIN, files=(str(file),), abi=(abi,))))
    with Library(tmp_path / "library").sql() as connection:
        found = connection.execute(
            "SELECT args, lenient, undecoded FROM events ORDER BY log_index"
        ).fetchall()
    by = "0x" + "c3" * 20
    assert [json.loads(args) for args, _, _ in found] == [
        {"by": by, "kind": "5", "fine": True, "note": "0xc0ffee", "name": "M\ufffdhl"},
        {"by": by, "kind": "5", "fine": True, "note": None, "name": "ok"},
    ]
    assert "padded" in found[0][1]
    assert found[1][1].startswith("`note` cannot be read")
    assert [undecoded for *_, undecoded in found] == [None, None]
    text = "".join(
        passage.text
        for d in Library(tmp_path / "library").documents()
        for passage in Library(tmp_path / "library").passages(d.uri)
    )
    assert "Not as the ABI says" in text
