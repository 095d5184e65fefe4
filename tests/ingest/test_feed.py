"""Feeds on the command line, rows of nodes beside rows of files, and citations checked at the chain."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from index.errors import ChainciteError, Gone, Reorged, SourceError, Unreachable
from index.library import Library
from ingest.chain.check import reread
from ingest.chain.connector import Files, Logs
from ingest.chain.node import Node
from ingest.chain.options import Chain
from ingest.chain.rpc import Endpoint
from ingest.connector import Doors
from ingest.engine import Engine
from ingest.fetch import Fetcher
from tests.conftest import HANG, Run
from tests.ingest.node import ROOT, Anvil, Proxy, cited, exported, lying, transfers

CHAIN = "eip155:31337"


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    with Anvil() as node:
        yield node


@pytest.fixture
def token(anvil: Anvil) -> str:
    """A token, two transfers of which one is unlimited, and an event that no standard declares."""
    address = anvil.deploy()
    anvil.transfer(address, 1_500_000)
    anvil.transfer(address, 2**256 - 1)
    anvil.mine()
    anvil.note(address, "hello")
    anvil.mine()
    return address


def read(anvil: Anvil, folder: Path, *addresses: str, receipts: bool = False) -> None:
    with Node([Endpoint(anvil.url)]) as node, Library.writer(folder) as writer:
        options = Chain(from_block=0, address=addresses, receipts=receipts)
        Engine(writer).run(Logs(options, Doors(Fetcher(), nodes=lambda *_: node)))


def rows(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with Library(folder).sql() as connection:
        return connection.execute(sql).fetchall()


def test_rows_from_a_node_are_those_of_a_file(anvil: Anvil, token: str, tmp_path: Path) -> None:
    read(anvil, tmp_path / "node", token)
    with Library.writer(tmp_path / "file") as writer:
        files = tuple(map(str, exported(anvil, tmp_path, token)))
        Engine(writer).run(Files(Chain(chain=CHAIN, files=files)))
    for table, count in (("events", 3), ("blocks", anvil.head + 1)):
        found = [
            rows(
                tmp_path / name,
                f"SELECT * EXCLUDE (retrieved_at, finality, path, location) FROM {table} ORDER BY ALL",  # noqa: S608
            )
            for name in ("node", "file")
        ]
        assert found[0] == found[1]
        assert len(found[0]) == count


def test_receipts_tell_the_transactions(anvil: Anvil, token: str, tmp_path: Path) -> None:
    read(anvil, tmp_path, token, receipts=True)
    found = rows(tmp_path, "SELECT from_address, to_address, status, gas_used > 21000 FROM transactions")
    assert found == [(anvil.accounts[0], token, 1, True)] * 3
    assert rows(tmp_path, "SELECT max(value)::VARCHAR FROM events") == [(str(2**256 - 1),)]


def test_a_citation_is_checked_at_the_node(anvil: Anvil, token: str, tmp_path: Path) -> None:
    read(anvil, tmp_path, token, receipts=True)
    library = Library(tmp_path)
    ref = cited(tmp_path, "1.5 NOTE (1500000 raw)")
    assert (ref.block_number, ref.block_hash, ref.log_index) == (2, anvil.hash_of(2), 0)
    sent = cited(tmp_path, "number 0 in block 3")

    def at(url: str) -> Any:
        return lambda chain: Node([Endpoint(url, tries=1)], chain)

    for one in (ref, sent):
        reading = reread(one, library, at(anvil.url))
        assert reading.document.sha256 == one.sha256
    assert "1.5 NOTE" in reread(ref, library, at(anvil.url)).text
    with pytest.raises(Unreachable, match=r"no node is set for eip155:31337; name one in the setting rpc"):
        reread(ref, library, lambda _: None)
    with (
        Proxy(anvil.url, lying(lambda logs: [{**log, "data": "0x" + "0" * 64} for log in logs])) as proxy,
        pytest.raises(SourceError, match="has another data in its log 0"),
    ):
        reread(ref, library, at(proxy.url))
    with (
        Proxy(anvil.url, lying(lambda logs: logs[:0])) as proxy,
        pytest.raises(Gone, match="not there any more"),
    ):
        reread(ref, library, at(proxy.url))
    anvil.reorg(2, [(token, transfers(anvil.accounts[1], 5), 0)])
    for one in (ref, sent):
        with pytest.raises(Reorged, match=f"it is {anvil.hash_of(one.block_number or 0)} now"):
            reread(one, library, at(anvil.url))
    read(anvil, tmp_path, token)
    with pytest.raises(Reorged, match="which the library met on 20"):
        reread(ref, Library(tmp_path), lambda _: None)


def test_a_citation_of_a_file_is_checked_in_the_file(anvil: Anvil, token: str, tmp_path: Path) -> None:
    blocks, logs = exported(anvil, tmp_path, token)
    with Library.writer(tmp_path / "library") as writer:
        Engine(writer).run(Files(Chain(chain=CHAIN, files=(str(blocks), str(logs)))))
    library = Library(tmp_path / "library")
    ref, header = (
        cited(tmp_path / "library", "1500000 raw"),
        cited(tmp_path / "library", "The header of block 2"),
    )
    for one in (ref, header):
        assert reread(one, library, lambda _: None).document.sha256 == one.sha256
    before = logs.read_text("utf-8")
    value = f"{1_500_000:064x}"
    logs.write_text(before.replace(value, f"{1_500_001:064x}"))
    with pytest.raises(SourceError, match="has another data in its log 0"):
        reread(ref, library, lambda _: None)
    logs.write_text("\n".join(line for line in before.splitlines() if value not in line))
    with pytest.raises(Gone, match="log 0 of block 2 is not there any more"):
        reread(ref, library, lambda _: None)
    logs.unlink()
    with pytest.raises(Gone, match=r"logs.jsonl is not there any more"):
        reread(ref, library, lambda _: None)


@pytest.mark.slow
def test_the_commands_read_search_and_verify(
    chaincite: Run, anvil: Anvil, token: str, tmp_path: Path
) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return chaincite("--library", tmp_path, *arguments, CHAINCITE_RPC=json.dumps({CHAIN: anvil.url}))

    feed = ("ingest", "chain", "--chain", CHAIN, "--address", token, "--from-block")
    done = run(*feed, "0", "--to-block", "latest")
    assert done.returncode == 0, done.stderr
    assert f"{CHAIN} is read from block 0 to 3: 3 logs, 3 new" in done.stdout
    assert "0 logs, 0 new" in run(*feed, "0").stdout
    asked = run("ask", "How much NOTE did the token transfer in block 2?")
    assert " NOTE" in asked.stdout, asked.stdout + asked.stderr
    checked = run("verify", "last")
    assert (checked.returncode, "OK" in checked.stdout) == (0, True), checked.stdout
    anvil.reorg(2, [])
    checked = run("verify", "last")
    assert (checked.returncode, "REORGED" in checked.stdout) == (1, True), checked.stdout
    for arguments, message in (
        ((*feed, "3", "--to-block", "1"), "the range is inverted: block 3 is after block 1"),
        ((*feed, "3", "--to-block", "soon"), "--to-block should be a number, latest, safe, finalized"),
        ((*feed, "900"), "block 900 is after the latest block, which is 3"),
        ((*feed, "1", "--follow", "--to-block", "3"), "--follow reads up to the latest block"),
        ((*feed, "0", "--address", "0x12"), "'0x12' is no address"),
        ((*feed, "0", "--file", "x.csv"), "leave out --file or --rpc"),
        (feed[:-1], "give --from-block N"),
    ):
        refused = run(*arguments)
        assert (refused.returncode, message in refused.stderr) == (2, True), refused.stderr
        assert "Traceback" not in refused.stderr


def test_following_ends_cleanly_with_ctrl_c(anvil: Anvil, token: str, tmp_path: Path) -> None:
    command = ["--library", tmp_path, "ingest", "chain", "--rpc", anvil.url, "--from-block", "0", "--follow"]
    with subprocess.Popen(
        [sys.executable, "-m", "chaincite", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "CHAINCITE_POLL_SECONDS": "0.05"},
    ) as process:
        assert process.stderr
        seen = process.stderr.readline()
        assert "at block 3, 3 new logs" in seen, seen
        anvil.transfer(token, 9)
        anvil.mine()
        assert "at block 4, 4 new logs" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, rest = process.communicate(timeout=HANG)
    assert (process.returncode, rest) == (0, "")
    assert "4 logs, 4 new" in out
    assert rows(tmp_path, "SELECT count(*) FROM events") == [(4,)]


def test_the_contract_is_what_its_source_compiles_to(tmp_path: Path) -> None:
    solc = ROOT / ".npm-tools" / "node_modules" / "solc"
    if not solc.is_dir() or shutil.which("node") is None:
        pytest.skip("no solc: npm install solc@0.8.37 in .npm-tools")
    files = Path(__file__).with_name("files")
    asked = {
        "language": "Solidity",
        "sources": {"notes.sol": {"content": (files / "notes.sol").read_text("utf-8")}},
        "settings": {
            "evmVersion": "shanghai",
            "optimizer": {"enabled": True, "runs": 1},
            "metadata": {"bytecodeHash": "none", "appendCBOR": False},
            "outputSelection": {"*": {"*": ["evm.bytecode.object"]}},
        },
    }
    program = f"""
        const solc = require({json.dumps(str(solc))});
        const made = JSON.parse(solc.compile(JSON.stringify({json.dumps(asked)})));
        console.log(made.contracts['notes.sol'].Notes.evm.bytecode.object);
    """
    made = subprocess.run(
        ["node", "-e", program], capture_output=True, encoding="utf-8", timeout=HANG, check=True
    )
    assert made.stdout.strip() == (files / "notes.hex").read_text("utf-8").strip()


def test_faults_of_nodes_are_faults_of_sources() -> None:
    with pytest.raises(ChainciteError, match="should begin with https:// or http://"):
        Endpoint("ws://node.example")
    with pytest.raises(Unreachable, match="cannot be reached"):
        Node([Endpoint("http://127.0.0.1:9", tries=1)])
