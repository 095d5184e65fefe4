"""Decoding of logs: equal to web3's decoder for any event and any arguments, and never failing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from web3 import Web3
from web3._utils.events import get_event_data

from index.errors import SourceError
from index.values import Document, Kind, Passage
from ingest.chain.abi import (
    EventSignature,
    Input,
    by_topic,
    declared_in_code,
    known_events,
    known_tokens,
    read_abi,
)
from ingest.chain.decode import ANONYMOUS, MALFORMED, OTHER_TOPICS, UNKNOWN, Decoder

A, B = "0x" + "11" * 20, "0x" + "22" * 20
TRANSFER = "0x" + keccak(text="Transfer(address,address,uint256)").hex()


def word(value: int) -> str:
    return f"{value:064x}"


def logs(*rows: tuple[list[str], str]) -> pa.Table:
    columns: dict[str, list[str | None]] = {f"topic{at}": [] for at in range(4)}
    for topics, _ in rows:
        for at in range(4):
            columns[f"topic{at}"].append(topics[at] if at < len(topics) else None)
    table = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    return pa.table({**table, "data": pa.array([data for _, data in rows], pa.string())})


def decoded(decoder: Decoder, *rows: tuple[list[str], str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = decoder.decode(logs(*rows)).to_pylist()
    return found


integers = st.sampled_from([8, 24, 112, 128, 160, 256])
types = st.one_of(
    st.just("address"),
    st.just("bool"),
    st.just("string"),
    st.just("bytes"),
    integers.map(lambda bits: f"uint{bits}"),
    integers.map(lambda bits: f"int{bits}"),
    st.sampled_from(
        ["bytes1", "bytes4", "bytes32", "uint256[]", "address[2]", "(uint256,string)[]", "string[]"]
    ),
)


def values(kind: str) -> st.SearchStrategy[Any]:
    if kind.endswith("]"):
        inner, _, size = kind[:-1].rpartition("[")
        count = int(size) if size else None
        return st.lists(values(inner), min_size=count or 0, max_size=count or 3)
    if kind.startswith("("):
        return st.tuples(*(values(part) for part in kind[1:-1].split(",")))
    if kind.startswith(("uint", "int")):
        bits = int(kind.removeprefix("u").removeprefix("int"))
        low, high = (0, 2**bits - 1) if kind[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return st.integers(low, high) | st.sampled_from([low, high])
    if kind == "address":
        return st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
    if kind == "bool":
        return st.booleans()
    if kind == "string":
        return st.text(max_size=40)
    size = int(kind.removeprefix("bytes") or 0)
    return st.binary(min_size=size, max_size=size or 40)


def plain(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return value.lower() if value.startswith("0x") and len(value) == 42 else value
    return [plain(part) for part in (value.values() if isinstance(value, Mapping) else value)]


@st.composite
def events(draw: st.DrawFn) -> tuple[EventSignature, list[Any]]:
    kinds = draw(st.lists(types, max_size=5))
    indexed = draw(st.lists(st.booleans(), min_size=len(kinds), max_size=len(kinds)))
    free = 3
    inputs = []
    for at, (kind, wanted) in enumerate(zip(kinds, indexed, strict=True)):
        hashed_by_web3 = kind != "address[2]"  # it takes the topic of such an array for its content
        inputs.append(Input(f"a{at}", kind, wanted and free > 0 and hashed_by_web3))
        free -= inputs[-1].indexed
    return EventSignature("Tried", tuple(inputs)), [draw(values(kind)) for kind in kinds]


def is_word(kind: str) -> bool:
    return kind not in ("string", "bytes") and not kind.endswith("]")


def emitted(event: EventSignature, arguments: list[Any]) -> tuple[list[str], str]:
    topics, data = [event.topic0], []
    for given_input, value in zip(event.inputs, arguments, strict=True):
        if not given_input.indexed:
            data.append((given_input.type, value))
        elif is_word(given_input.type):
            topics.append("0x" + encode([given_input.type], [value]).hex())
        else:
            topics.append("0x" + keccak(encode([given_input.type], [value])).hex())
    return topics, "0x" + encode([kind for kind, _ in data], [value for _, value in data]).hex()


def by_web3(event: EventSignature, topics: list[str], data: str) -> dict[str, Any]:
    def item(one: Input) -> dict[str, Any]:
        if not one.type.startswith("("):
            return {"name": one.name, "type": one.type, "indexed": one.indexed}
        inside, _, dimension = one.type[1:].rpartition(")")
        parts = [{"name": f"p{at}", "type": kind} for at, kind in enumerate(inside.split(","))]
        return {"name": one.name, "type": f"tuple{dimension}", "components": parts, "indexed": one.indexed}

    abi: Any = {
        "type": "event",
        "name": event.name,
        "anonymous": False,
        "inputs": [item(one) for one in event.inputs],
    }
    log: Any = {
        "topics": [bytes.fromhex(topic[2:]) for topic in topics],
        "data": bytes.fromhex(data[2:]),
        "address": A,
        **dict.fromkeys(("blockHash", "blockNumber", "logIndex", "transactionHash", "transactionIndex")),
    }
    return dict(get_event_data(Web3().codec, abi, log)["args"])


@settings(max_examples=200)
@given(st.lists(events(), min_size=1, max_size=4))
def test_any_event_decodes_as_web3_decodes_it(given_events: list[tuple[EventSignature, list[Any]]]) -> None:
    for event, arguments in given_events:
        topics, data = emitted(event, arguments)
        [row] = decoded(Decoder([event]), (topics, data))
        wanted = {name: plain(value) for name, value in by_web3(event, topics, data).items()}
        assert row["undecoded"] is None
        assert json.loads(row["args"]) == wanted
        assert row["signature"] == event.text


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(known_events()), st.binary(max_size=200), st.data()), max_size=4))
def test_whatever_a_log_holds_a_batch_does_not_fail(given_logs: list[Any]) -> None:
    rows = []
    for event, data, more in given_logs:
        count = more.draw(st.integers(0, 4))
        topics = [
            event.topic0,
            *("0x" + more.draw(st.binary(min_size=32, max_size=32)).hex() for _ in range(3)),
        ]
        rows.append((topics[:count], "0x" + data.hex()))
    for row in decoded(Decoder(known_events()), *rows):
        assert (row["event"] is None) == (row["undecoded"] is not None) == (row["args"] is None)


def test_transfers_of_coins_and_of_things_are_told_apart_by_their_topics() -> None:
    a, b = "0x" + "0" * 24 + "11" * 20, "0x" + "0" * 24 + "22" * 20
    coin, thing, bare = decoded(
        Decoder(known_events()),
        ([TRANSFER, a, b], "0x" + word(2**256 - 1)),
        ([TRANSFER, a, b, "0x" + word(7)], "0x"),
        ([TRANSFER], "0x" + word(int(A, 16)) + word(int(B, 16)) + word(5)),
    )
    assert (coin["declared_in"], coin["value"], coin["token_id"]) == ("ERC-20", str(2**256 - 1), None)
    assert (thing["declared_in"], thing["value"], thing["token_id"]) == ("ERC-721", None, "7")
    assert (bare["from_address"], bare["to_address"], bare["value"]) == (A, B, "5")


def test_what_is_not_decoded_says_why() -> None:
    address = "0x" + word(1)
    rows = decoded(
        Decoder(known_events()),
        ([], "0x1234"),
        (["0x" + "ab" * 32], "0x"),
        ([TRANSFER, address], "0x"),
        ([TRANSFER, address, address], "0x"),
        ([TRANSFER, "0x" + word(1), "0x" + word(2)], "0x00"),
    )
    assert [row["undecoded"] for row in rows] == [ANONYMOUS, UNKNOWN, OTHER_TOPICS, MALFORMED, MALFORMED]


def test_a_declaration_of_ones_own_comes_before_the_known_ones() -> None:
    own = EventSignature.parse(
        "event Transfer(address indexed payer, address indexed payee, uint256 cents)", "Own"
    )
    [row] = decoded(
        Decoder([own], known_events()), ([TRANSFER, "0x" + word(1), "0x" + word(2)], "0x" + word(3))
    )
    assert (row["declared_in"], json.loads(row["args"])["cents"]) == ("Own", "3")


def test_an_indexed_text_leaves_its_hash() -> None:
    event = EventSignature.parse("Named(string indexed name, string name, bytes raw)")
    topics, data = emitted(event, ["x", 'a "quote" {brace}\n\x00', b"\x01"])
    [row] = decoded(Decoder([event]), (topics, data))
    assert json.loads(row["args"]) == {"name": topics[1], "name_1": 'a "quote" {brace}\n\x00', "raw": "0x01"}


def test_arrays_that_claim_to_be_endless_stay_raw() -> None:
    event = EventSignature.parse("Many(uint256[] all)")
    [row] = decoded(Decoder([event]), ([event.topic0], "0x" + word(32) + word(2**255)))
    assert row["undecoded"] == MALFORMED


@pytest.mark.parametrize(
    "wrap", [lambda abi: abi, lambda abi: {"abi": abi}, lambda abi: {"result": json.dumps(abi)}]
)
def test_abis_of_solc_and_etherscan_are_read(tmp_path: Any, wrap: Any) -> None:
    point = {"name": "p", "type": "tuple[]", "components": [{"type": "uint8"}, {"type": "string"}]}
    event = {
        "type": "event",
        "name": "Drawn",
        "inputs": [point, {"name": "by", "type": "address", "indexed": True}],
    }
    file = tmp_path / "Canvas.json"
    file.write_text(json.dumps(wrap([event, {"type": "function", "name": "f", "inputs": []}])))
    [found] = read_abi(file)
    assert (found.text, found.indexed, found.declared_in) == ("Drawn((uint8,string)[],address)", 1, "Canvas")


LEG = {"name": "legs", "type": "tuple[]", "components": [{"type": "address"}, {"type": "uint256"}]}
SWEPT = {"type": "event", "name": "Swept", "inputs": [{"type": "address", "indexed": True}, LEG]}
PLACES = {
    "Sourcify's metadata": {"output": {"abi": [SWEPT], "devdoc": {"events": {"Swept(address)": {}}}}},
    "Sourcify's files": {
        "files": [{"name": "metadata.json", "content": json.dumps({"output": {"abi": [SWEPT]}})}]
    },
    "Etherscan's source": {"status": "1", "result": [{"SourceCode": "{{}}", "ABI": json.dumps([SWEPT])}]},
    "solc's combined output": {
        "contracts": {"A.sol:A": {"abi": json.dumps([SWEPT])}, "A.sol:B": {"abi": []}}
    },
    "ethers": ["function f(uint a) view", "event Swept(address indexed, tuple(address who, uint n)[] legs)"],
    "viem": ["struct Leg { address who; uint256 n; }", "event Swept(address indexed, Leg[] legs)"],
    "lines": "event Swept(address indexed,\n  (address, uint)[] legs);\nerror Bad(uint a);\n// event Old();",
    "a script": "const abi = parseAbi(['event Swept(address indexed, (address, uint)[] legs)'])",
    "Solidity": "interface I { struct L { address who; uint n; } event Swept(address indexed, L[] legs); }",
}


@pytest.mark.parametrize("place", PLACES)
def test_events_are_found_wherever_an_abi_stands(tmp_path: Any, place: str) -> None:
    body = PLACES[place]
    file = tmp_path / "Canvas.json"
    file.write_text("\ufeff" + body if isinstance(body, str) else json.dumps(body), encoding="utf-8")
    [found] = read_abi(file)
    assert (found.text, found.indexed) == ("Swept(address,(address,uint256)[])", 1)
    assert [given.name for given in found.inputs] == ["arg0", "legs"]


@pytest.mark.parametrize(
    "body", ["", "[", "[]", "{}", "3", '[{"type": "event"}]', '[{"type": "event", "inputs": 3}]']
)
def test_a_file_that_is_no_abi_is_refused_in_one_line(tmp_path: Any, body: str) -> None:
    file = tmp_path / "abi.json"
    file.write_text(body)
    with pytest.raises(SourceError) as refused:
        read_abi(file)
    assert "\n" not in str(refused.value)


def test_the_known_events_and_tokens_are_well_formed() -> None:
    assert TRANSFER == "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    topics = {
        name: topic for (topic, _), found in by_topic(known_events()).items() for name in [found[0].text]
    }
    deposit = "DepositEvent(bytes,bytes,bytes,bytes,bytes)"
    assert topics[deposit] == "0x649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5"
    addresses = [token["address"] for token in known_tokens()]
    assert len(set(addresses)) == len(addresses)
    assert all(Web3.is_address(address) and address == address.lower() for address in addresses)


def test_declarations_of_code_have_names_and_fit_their_types() -> None:
    from ingest.readers.code import read_code

    text = (
        "contract A { struct P { uint8 x; } event M(address indexed, P, function (uint) external f);"
        " event M(P indexed p, address a, uint n); }"
    )
    found = list(
        declared_in_code([("A.sol", text, [name for _, name in read_code(text, "A.sol").identifiers])])
    )
    assert [(one.text, one.indexed, [given.name for given in one.inputs]) for one in found] == [
        ("M(address,(uint8),function)", 1, ["arg0", "arg1", "f"]),
        ("M((uint8),address,uint256)", 1, ["p", "a", "n"]),
    ]


def test_events_of_ingested_solidity_decode_logs(tmp_path: Any) -> None:
    from index.library import Library
    from ingest.chain.tables import ChainRows

    signature, topic = (
        "Lent(address,uint8,uint256[])",
        "0x" + keccak(text="Lent(address,uint8,uint256[])").hex(),
    )
    text = "/* event Old(); */ event Lent(\n  address indexed by, // who\n  State s, uint[] sums);\n"
    now = datetime.now(UTC)
    document = Document("git:x", Kind.CODE, "x", "s", len(text), "text/plain", "Lender.sol", "x", now)
    passage = Passage("git:x", "s", 0, 0, len(text), text, "", identifiers=(signature, topic))
    with Library.writer(tmp_path) as writer:
        writer.add(document, [passage])
        writer.publish()
        data = "0x" + encode(["uint8", "uint256[]"], [1, [2**255]]).hex()
        [row] = (
            ChainRows(writer, "eip155:1")
            .prepared("events", _place(logs(([topic, "0x" + word(9)], data))))
            .to_pylist()
        )
    wanted = {"by": f"0x{9:040x}", "s": "1", "sums": [str(2**255)]}
    assert (row["declared_in"], json.loads(row["args"])) == ("Lender.sol", wanted)


def _place(rows: pa.Table) -> pa.Table:
    return rows.append_column("block_number", pa.array([1] * rows.num_rows, pa.int64()))


@pytest.mark.corpus
def test_real_logs_decode_as_web3_decodes_them(shared: Any) -> None:
    lines = (shared / "corpus/chain/ethereum-17173049-17173050/logs.jsonl").read_text("utf-8").splitlines()
    real = [json.loads(line) for line in lines]
    rows = decoded(Decoder(known_events()), *((log["topics"], log["data"]) for log in real))
    found = by_topic(known_events())
    for log, row in zip(real, rows, strict=True):
        candidates = found.get((log["topics"][0], len(log["topics"])), [])
        if row["event"] is None:
            assert not candidates
            continue
        [event] = [one for one in candidates if one.declared_in == row["declared_in"]][:1]
        wanted = by_web3(event, log["topics"], log["data"])
        assert json.loads(row["args"]) == {name: plain(value) for name, value in wanted.items()}
