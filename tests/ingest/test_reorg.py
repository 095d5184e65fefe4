"""A feed followed through reorganisations: the tables are those of a library made afresh."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from index import doctor
from index.errors import SourceError
from index.library import Library
from ingest.chain import feed
from ingest.chain.connector import Logs
from ingest.chain.feed import FeedReport
from ingest.chain.node import Node
from ingest.chain.options import Chain
from ingest.chain.rpc import Endpoint
from ingest.connector import Doors
from ingest.engine import Engine
from ingest.fetch import Fetcher
from tests.ingest.node import Anvil, Proxy, capped, refusing, transfers


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    with Anvil() as node:
        yield node


def node_at(url: str) -> Node:
    return Node([Endpoint(url, sleep=lambda _: None)], concurrency=1)


def logs(node: Node, *addresses: str, limit: int = 0, low: int = 0, high: int | str = "latest") -> Logs:
    options = Chain(from_block=low, to_block=high, address=addresses, passages=limit)
    return Logs(options, Doors(Fetcher(), nodes=lambda *_: node, wait=lambda _: None))


def read(anvil: Anvil, folder: Path, *addresses: str, **known: Any) -> FeedReport:
    with node_at(anvil.url) as node, Library.writer(folder) as writer:
        found = logs(node, *addresses, **known)
        Engine(writer).run(found)
    return found.report


def rows(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with Library(folder).sql() as connection:
        return connection.execute(sql).fetchall()


EVENTS = """
    SELECT * EXCLUDE (retrieved_at, orphaned_at) FROM events ORDER BY block_number, block_hash, log_index
"""


def test_a_reorganisation_orphans_what_it_displaced(anvil: Anvil, tmp_path: Path) -> None:
    token = anvil.deploy()
    for value in range(10, 14):
        anvil.transfer(token, value)
        anvil.mine()
    first = read(anvil, tmp_path / "one", token, limit=100)
    assert (first.new, first.reorgs) == (4, [])
    lost = anvil.hash_of(5)
    anvil.reorg(2, [(token, transfers(anvil.accounts[1], 999), 1)])
    second = read(anvil, tmp_path / "one", token, limit=100)
    assert (second.new, second.reorgs) == (1, [2])
    there = rows(tmp_path / "one", "SELECT block_number, value::VARCHAR FROM events ORDER BY 1")
    assert there == [(2, "10"), (3, "11"), (5, "999")]
    assert rows(tmp_path / "one", "SELECT block_hash FROM orphaned_events WHERE block_number = 5") == [
        (lost,)
    ]
    library = Library(tmp_path / "one")
    assert not any(lost in document.uri for document in library.documents())
    assert any(anvil.hash_of(5) in document.uri for document in library.documents())
    assert rows(tmp_path / "one", "SELECT symbol, decimals FROM tokens WHERE symbol = 'NOTE'") == [
        ("NOTE", 6)
    ]


def shaken(anvil: Anvil, folder: Path, seed: int, times: int, deepest: int) -> list[int]:
    """Reorganises a chain at random, reading each time; the table is each time as one made afresh.

    Returns how many blocks each reorganisation displaced; a block that is made again the same is not.
    """
    at_random = random.Random(seed)
    token = anvil.deploy()
    for value in range(60):
        anvil.transfer(token, value, 1 + value % 3)
        anvil.mine()
    with node_at(anvil.url) as node, Library.writer(folder / "followed") as writer:
        followed = logs(node, token)
        Engine(writer).run(followed)
        for turn in range(times):
            depth = at_random.randint(1, min(deepest, anvil.head - 2))
            calls = [
                (token, transfers(anvil.accounts[1], at_random.getrandbits(255), at_random.randint(1, 3)), at)
                for at in sorted(at_random.choices(range(depth), k=at_random.randint(0, 4)))
            ]
            before = [anvil.hash_of(number) for number in range(anvil.head + 1)]
            anvil.reorg(depth, calls)
            displaced = sum(anvil.hash_of(number) != was for number, was in enumerate(before))
            met = [*followed.report.reorgs, *([displaced] if displaced else [])]
            for _ in range(at_random.randint(0, 3)):
                anvil.transfer(token, at_random.getrandbits(64))
                anvil.mine()
            Engine(writer).run(followed)
            assert followed.report.reorgs == met
            read(anvil, folder / f"fresh{turn}", token)
            now = rows(folder / "followed", EVENTS)
            assert now == rows(folder / f"fresh{turn}", EVENTS)
            assert now
        reorgs = followed.report.reorgs
    assert list(doctor.faults(folder / "followed")) == []
    return reorgs


def test_after_reorganisations_the_events_are_those_of_a_fresh_library(anvil: Anvil, tmp_path: Path) -> None:
    assert max(shaken(anvil, tmp_path, seed=7, times=2, deepest=32)) > 8


@pytest.mark.slow
def test_after_many_reorganisations_the_events_are_those_of_a_fresh_library(
    anvil: Anvil, tmp_path: Path
) -> None:
    assert max(shaken(anvil, tmp_path, seed=1, times=12, deepest=32)) > 16


def test_reading_again_goes_on_where_it_ended(anvil: Anvil, tmp_path: Path) -> None:
    token = anvil.deploy()
    anvil.mine(100)
    anvil.transfer(token, 5)
    anvil.mine()
    read(anvil, tmp_path, token)
    before = Library(tmp_path).generation
    again = read(anvil, tmp_path, token)
    assert (again.logs, again.generations) == (0, 0)
    assert Library(tmp_path).generation == before
    anvil.transfer(token, 6)
    anvil.mine()
    assert read(anvil, tmp_path, token).logs == 1
    [record] = [d for d in Library(tmp_path).documents() if d.uri == f"eip155:31337/logs/{token}"]
    read_so_far, code = Library(tmp_path).passages(record.uri)
    assert f"blocks read are 0 to {anvil.head}" in read_so_far.text
    assert f"Contract {token} at block 102: the keccak-256 of its code is 0x" in code.text


def test_finality_is_upgraded_as_blocks_settle(anvil: Anvil, tmp_path: Path) -> None:
    token = anvil.deploy()
    anvil.transfer(token, 5)
    anvil.mine()
    seen = []
    for blocks in (1, 32, 32):
        anvil.mine(blocks)
        read(anvil, tmp_path, token, limit=10)
        seen += rows(tmp_path, "SELECT finality FROM events")
        told = [d.status for d in Library(tmp_path).documents() if d.uri.endswith("/events")]
        assert told == [seen[-1][0]]
    assert seen == [("latest",), ("safe",), ("finalized",)]
    assert read(anvil, tmp_path, token).generations == 0


def test_ranges_that_cannot_be_are_refused_before_anything_is_read(anvil: Anvil, tmp_path: Path) -> None:
    anvil.mine(10)
    with pytest.raises(ValueError, match="inverted: block 8 is after block 3"):
        read(anvil, tmp_path, low=8, high=3)
    with pytest.raises(SourceError, match="block 11 is beyond the head, which is block 10"):
        read(anvil, tmp_path, low=8, high=11)
    with pytest.raises(SourceError, match="block 8 is after the finalized block, which is 0"):
        read(anvil, tmp_path, low=8, high="finalized")
    assert rows(tmp_path, "SELECT count(*) FROM blocks") == [(0,)]


def test_a_feed_that_is_read_again_and_again_stays_with_the_head(anvil: Anvil, tmp_path: Path) -> None:
    token = anvil.deploy()
    with node_at(anvil.url) as node, Library.writer(tmp_path) as writer:
        found, engine = logs(node, token), Engine(writer)
        engine.run(found)
        anvil.transfer(token, 71)
        anvil.mine()
        engine.run(found)
        anvil.reorg(1, [(token, transfers(anvil.accounts[1], 77), 0)])
        engine.run(found)
    report = found.report
    assert (report.new, report.reorgs, report.generations) == (2, [1], 3)
    assert rows(tmp_path, "SELECT value::VARCHAR FROM events") == [("77",)]


def test_a_node_that_fell_behind_displaces_nothing(anvil: Anvil, tmp_path: Path) -> None:
    token = anvil.deploy()
    for value in (1, 2, 3):
        anvil.transfer(token, value)
        anvil.mine()
    read(anvil, tmp_path, token)
    anvil.rpc("anvil_rollback", 2)
    assert read(anvil, tmp_path, token).reorgs == []
    assert rows(tmp_path, "SELECT count(*) FROM events") == [(3,)]
    anvil.mine(3)
    assert read(anvil, tmp_path, token).reorgs == [2]
    assert rows(tmp_path, "SELECT count(*) FROM events") == [(1,)]


def test_feeds_of_one_chain_share_its_reorganisations(anvil: Anvil, tmp_path: Path) -> None:
    one, two = anvil.deploy(), anvil.deploy()
    anvil.transfer(one, 1)
    anvil.transfer(two, 2)
    anvil.mine()
    read(anvil, tmp_path, one)
    read(anvil, tmp_path, two)
    anvil.reorg(1, [(one, transfers(anvil.accounts[1], 11), 0), (two, transfers(anvil.accounts[1], 22), 0)])
    read(anvil, tmp_path, one)
    read(anvil, tmp_path, two)
    assert rows(tmp_path, "SELECT value::VARCHAR FROM events ORDER BY 1") == [("11",), ("22",)]
    assert rows(tmp_path, "SELECT count(*) FROM orphaned_events") == [(2,)]


def test_another_chain_of_the_same_id_is_refused(anvil: Anvil, tmp_path: Path) -> None:
    token = anvil.deploy()
    anvil.transfer(token, 1)
    anvil.mine(70)
    read(anvil, tmp_path, token)
    held = rows(tmp_path, EVENTS)
    with Anvil() as other:
        other.deploy(b"")
        other.mine(90)
        with pytest.raises(
            SourceError, match="it is another chain of the id eip155:31337; choose another library"
        ):
            read(other, tmp_path, token)
    assert rows(tmp_path, EVENTS) == held


def test_what_was_read_before_a_node_failed_is_not_read_again(
    anvil: Anvil, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = anvil.deploy()
    for value in range(60):
        anvil.transfer(token, value)
        anvil.mine()
    anvil.mine(64)
    monkeypatch.setattr(feed, "PARTS", 2)

    def rule(proxy: Proxy, asked: Any) -> Any:
        dead = isinstance(asked, dict) and asked["method"] == "eth_getLogs" and len(proxy.requests) > 40
        return refusing(-32000, "internal error", 500)(asked) if dead else short(proxy, asked)

    short = capped(refusing(-32005, "query returned more than 10000 results"), blocks=4)
    with (
        Proxy(anvil.url, rule) as proxy,
        node_at(proxy.url) as node,
        Library.writer(tmp_path) as writer,
        pytest.raises(SourceError, match="internal error"),
    ):
        Engine(writer).run(logs(node, token))
    kept = rows(tmp_path, "SELECT count(*) FROM events")[0][0]
    assert 0 < kept < 60
    report = read(anvil, tmp_path, token)
    assert (report.logs, report.new) == (60 - kept, 60 - kept)
    assert rows(tmp_path, "SELECT count(*), count(DISTINCT value) FROM events") == [(60, 60)]


def test_what_is_told_together_goes_with_its_rows(anvil: Anvil, tmp_path: Path) -> None:
    token = anvil.deploy()

    def told() -> list[str]:
        documents = Library(tmp_path).documents()
        return sorted(d.uri.split("/")[1] for d in documents if "/logs/" not in d.uri)

    anvil.transfer(token, 1)
    anvil.mine()
    read(anvil, tmp_path, token, limit=2)
    assert told() == ["block"]
    anvil.transfer(token, 2)
    anvil.mine()
    anvil.transfer(token, 3)
    anvil.mine()
    read(anvil, tmp_path, token, limit=2)
    assert told() == ["blocks"]
    anvil.reorg(3)
    read(anvil, tmp_path, token, limit=2)
    assert told() == []
    assert list(doctor.faults(tmp_path)) == []


def test_contracts_are_asked_once_what_they_are(anvil: Anvil, tmp_path: Path) -> None:
    slot = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc"
    named, nameless = anvil.deploy(), anvil.deploy(b"")
    anvil.rpc("anvil_setStorageAt", named, slot, "0x" + nameless[2:].zfill(64))
    with Proxy(anvil.url, lambda *_: None) as proxy:
        for value in (1, 2):
            for token in (named, nameless):
                anvil.transfer(token, value)
            anvil.mine()
            with node_at(proxy.url) as node, Library.writer(tmp_path) as writer:
                found = logs(node, named, nameless, limit=9)
                Engine(writer).run(found)
            assert found.report.new == 2
        assert proxy.methods().count("eth_call") == 2 * 3
        assert proxy.methods().count("eth_getStorageAt") == 2 * 3
    sql = (
        "SELECT address, symbol, decimals FROM tokens WHERE chain = 'eip155:31337' ORDER BY symbol NULLS LAST"
    )
    found = rows(tmp_path, sql)
    assert found == [(named, "NOTE", 6), (nameless, None, 6)]
    texts = [hit.passage.text for hit in Library(tmp_path).search("proxy implementation of the contract", 20)]
    assert any(f"{named} is a proxy" in text and f"implementation is {nameless}" in text for text in texts)
