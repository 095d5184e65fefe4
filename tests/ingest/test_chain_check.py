"""What is told of many logs together, and the code of contracts, checked at a node or in a file."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.answers.packing import PackingReport
from agent.answers.values import Answer, Answers, Citation, Sentence, Usage, identify
from index.errors import Gone, Reorged, SourceError, Unreachable
from index.library import Library
from index.values import Filters, Reading
from ingest.chain import check
from ingest.chain.connector import Files, Logs
from ingest.chain.contracts import UPGRADES
from ingest.chain.node import Node
from ingest.chain.options import Chain
from ingest.chain.records import Feed, records_of
from ingest.chain.rpc import Endpoint
from ingest.connector import Doors
from ingest.engine import Engine
from ingest.fetch import Fetcher
from tests.conftest import Run
from tests.ingest.node import Anvil, Proxy, capped, cited, exported, lying, refusing, transfers

CHAIN = "eip155:31337"
SLOT = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc"
ROLLED_UP = "Their values sum to"


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    with Anvil() as node:
        yield node


@pytest.fixture
def token(anvil: Anvil) -> str:
    """A token with two transfers in each of three blocks."""
    address = anvil.deploy()
    for value in (10, 20, 30):
        anvil.transfer(address, value, 2)
        anvil.mine()
    return address


def at(url: str) -> Callable[[str], Node]:
    return lambda chain: Node([Endpoint(url, tries=1)], chain)


def read(anvil: Anvil, folder: Path, *addresses: str, high: int | str = "latest", limit: int = 2000) -> None:
    with Node([Endpoint(anvil.url)]) as node, Library.writer(folder) as writer:
        options = Chain(from_block=0, to_block=high, address=addresses, passages=limit)
        Engine(writer).run(Logs(options, Doors(Fetcher(), nodes=lambda *_: node)))


def checked(folder: Path, text: str, url: str) -> Reading:
    return check.reread(cited(folder, text), Library(folder), at(url))


def told_together(anvil: Anvil, folder: Path, token: str) -> Callable[[str], Reading]:
    read(anvil, folder, token, limit=1)
    return lambda url: checked(folder, ROLLED_UP, url)


def test_logs_told_together_are_those_of_the_node(anvil: Anvil, token: str, tmp_path: Path) -> None:
    again = told_together(anvil, tmp_path, token)
    reading = again(anvil.url)
    assert "6 logs. Their values sum to 0.000123 NOTE (123 raw)" in reading.text
    assert len(reading.findings) == 1
    lies: Sequence[tuple[Callable[[Any], Any], type[SourceError], str]] = (
        (lambda logs: logs[1:], Gone, "log 0 of block 2 is not there any more"),
        (
            lambda logs: [*logs[:-1], {**logs[-1], "data": "0x" + "0" * 64}],
            SourceError,
            "has another data in its log 1 of block 4",
        ),
    )
    for lie, fault, said in lies:
        with Proxy(anvil.url, lying(lie)) as proxy, pytest.raises(fault, match=said):
            again(proxy.url)
    with Proxy(anvil.url, lying(lambda logs: [*logs, {**logs[0], "logIndex": "0x9"}])) as proxy:
        assert "has 1 more logs of the kind in these blocks" in again(proxy.url).findings[0]
    anvil.reorg(1, [(token, transfers(anvil.accounts[1], 5), 0)])
    with pytest.raises(Reorged, match=f"block 4 was displaced by a reorganisation: it is {anvil.hash_of(4)}"):
        again(anvil.url)


def test_requests_for_logs_told_together_are_bounded(
    anvil: Anvil, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = told_together(anvil, tmp_path, token)
    narrow = capped(refusing(-32005, "query returned more than 10000 results"), blocks=1)
    monkeypatch.setattr(check, "MOST_REQUESTS", 4)
    with (
        Proxy(anvil.url, narrow) as proxy,
        pytest.raises(Unreachable, match=r"up to block 3 they are as they"),
    ):
        again(proxy.url)
    monkeypatch.setattr(check, "MOST_REQUESTS", 6)
    with Proxy(anvil.url, narrow) as proxy:
        assert again(proxy.url).text == again(anvil.url).text
    monkeypatch.setattr(check, "MOST_LOGS", 5)
    with pytest.raises(Unreachable, match="tells of more than 5 logs together"):
        again(anvil.url)


def test_logs_of_a_file_told_together_are_those_of_the_file(anvil: Anvil, token: str, tmp_path: Path) -> None:
    files = exported(anvil, tmp_path, token)
    folder, logs = tmp_path / "library", files[1]
    with Library.writer(folder) as writer:
        options = Chain(chain=CHAIN, files=tuple(map(str, files)), passages=1)
        Engine(writer).run(Files(options))
    ref, library = cited(folder, ROLLED_UP), Library(folder)
    [finding] = checked(folder, ROLLED_UP, anvil.url).findings
    assert finding.startswith(f"contract {token}: code 0x")
    assert finding.endswith("at block 4, none on record")

    def in_file() -> Reading:
        return check.reread(ref, library, lambda _: None)

    assert in_file().findings == ()
    before, value = logs.read_text("utf-8"), f"{30:064x}"
    logs.write_text(before.replace(value, f"{99:064x}"))
    with pytest.raises(SourceError, match="has another data in its log 0 of block 4"):
        in_file()
    logs.write_text("\n".join(line for line in before.splitlines() if value not in line))
    with pytest.raises(Gone, match="log 0 of block 4 is not there any more"):
        in_file()
    logs.unlink()
    with pytest.raises(Gone, match=r"logs.jsonl is not there any more"):
        in_file()


def test_the_record_of_a_feed_stands_while_its_last_block_does(
    anvil: Anvil, token: str, tmp_path: Path
) -> None:
    read(anvil, tmp_path, token)
    assert "blocks read are 0 to 4" in checked(tmp_path, "blocks read are", anvil.url).text
    now = anvil.rpc("eth_getCode", token, "latest")
    with (
        Proxy(anvil.url, of_code("0xfe")) as proxy,
        pytest.raises(SourceError, match=f"other code in contract {token}: 0x.* at block 4"),
    ):
        checked(tmp_path, "keccak-256 of its code", proxy.url)
    with Proxy(anvil.url, of_code(now)) as proxy:
        checked(tmp_path, "keccak-256 of its code", proxy.url)
    anvil.reorg(1)
    with pytest.raises(Reorged, match="block 4 was displaced"):
        checked(tmp_path, "blocks read are", anvil.url)
    with pytest.raises(Unreachable, match="no node is set"):
        check.reread(cited(tmp_path, "blocks read are"), Library(tmp_path), lambda _: None)


def of_code(code: str) -> Callable[[Proxy, Any], Any]:
    """A rule that gives this as the code of any contract."""

    def rule(proxy: Proxy, asked: Any) -> Any:
        if isinstance(asked, list) or asked["method"] != "eth_getCode":
            return None
        return 200, {}, {**proxy.send(asked), "result": code}

    return rule


def test_code_is_compared_with_that_on_record(anvil: Anvil, token: str, tmp_path: Path) -> None:
    read(anvil, tmp_path, token)
    [finding] = checked(tmp_path, "(10 raw)", anvil.url).findings
    assert finding.startswith(f"contract {token}: code 0x")
    assert finding.endswith("… at block 2, as recorded at block 4")
    code = anvil.rpc("eth_getCode", token, "latest")
    anvil.rpc("anvil_setCode", token, code + "00")
    anvil.transfer(token, 40)
    anvil.mine()
    read(anvil, tmp_path, token)
    with pytest.raises(SourceError, match=f"other code in contract {token}: 0x.* at block 5, and not 0x.* 4"):
        checked(tmp_path, "(40 raw)", anvil.url)
    assert checked(tmp_path, "(10 raw)", anvil.url).findings == (finding,)


def run_by(anvil: Anvil, token: str, implementation: str) -> int:
    """Makes a token a proxy of a contract, from a new block on, which is the head."""
    anvil.mine()
    anvil.rpc("anvil_setStorageAt", token, SLOT, "0x" + implementation[2:].zfill(64))
    return anvil.head


def test_proxies_are_told_with_what_they_ran(anvil: Anvil, token: str, tmp_path: Path) -> None:
    one, other = anvil.deploy(), anvil.deploy(b"")
    for value, implementation in ((50, one), (60, other)):
        run_by(anvil, token, implementation)
        anvil.transfer(token, value)
        anvil.mine()
        read(anvil, tmp_path, token)
    first = anvil.head - 2
    [finding] = checked(tmp_path, "(50 raw)", anvil.url).findings
    assert f"as recorded at block {first}; a proxy (EIP-1967) of {one}, code 0x" in finding
    [finding] = checked(tmp_path, "(60 raw)", anvil.url).findings
    assert f"as recorded at block {first}; a proxy (EIP-1967) of {other}, code 0x" in finding
    assert finding.endswith(f"(of {one} at block {first})")
    run_by(anvil, token, one)
    anvil.rpc("anvil_setCode", one, "0xfe")
    anvil.transfer(token, 70)
    anvil.mine()
    read(anvil, tmp_path, token)
    with pytest.raises(SourceError, match=f"other code in contract {one}: 0x"):
        checked(tmp_path, "(70 raw)", anvil.url)


@pytest.mark.parametrize("topic", sorted(UPGRADES))
def test_a_proxy_that_logs_an_upgrade_is_asked_again(
    topic: str, anvil: Anvil, token: str, tmp_path: Path
) -> None:
    read(anvil, tmp_path, token)
    anvil.rpc("anvil_setCode", token, f"0x7f{topic[2:]}5f5fa100")
    run_by(anvil, token, anvil.deploy())
    anvil.send(token, b"")
    anvil.mine()
    read(anvil, tmp_path, token)
    record = records_of(Library(tmp_path), CHAIN)[Feed(CHAIN, (token,)).uri]
    assert [contract.block_number for contract in record.contracts or ()] == [4, anvil.head]
    [finding] = checked(tmp_path, f"in block {anvil.head}", anvil.url).findings
    assert f"at block {anvil.head}, as recorded at block {anvil.head}; a proxy (EIP-1967) of 0x" in finding


def test_a_node_that_keeps_no_old_state_is_noted_and_the_events_are_checked(tmp_path: Path) -> None:
    with Anvil("--prune-history", "2") as pruned:
        token = pruned.deploy()
        pruned.transfer(token, 7)
        pruned.mine()
        pruned.mine(20)
        read(pruned, tmp_path, token, high=5)
        record = records_of(Library(tmp_path), CHAIN)[Feed(CHAIN, (token,)).uri]
        assert [contract.block_number for contract in record.contracts or ()] == [pruned.head]
        [finding] = checked(tmp_path, "(7 raw)", pruned.url).findings
    assert "the code at block 2 is not checked: the node does not tell that block's state, an arch" in finding


def test_a_node_of_another_chain_says_nothing_of_a_source(anvil: Anvil, token: str, tmp_path: Path) -> None:
    read(anvil, tmp_path, token)
    with Anvil("--chain-id", "5") as other, pytest.raises(Unreachable, match="is a node of eip155:5"):
        checked(tmp_path, "(10 raw)", other.url)


@pytest.mark.slow
def answer_of(folder: Path, text: str) -> Answer:
    """An answer that cites the passage that holds this text."""
    source, library = cited(folder, text), Library(folder)
    passage = library.passage(source.passage_id)
    citation = Citation(1, source, passage.text, passage.start, passage.end)
    now = datetime.now(UTC)
    return Answer(
        id=identify(now, text, passage.text, (citation,)),
        question=text,
        asked_at=now,
        text=passage.text,
        sentences=(Sentence(passage.text, (1,), "verbatim"),),
        refused=False,
        removed=(),
        citations=(citation,),
        nearest=(),
        filters=Filters(),
        generation=library.generation,
        packing=PackingReport(6000, 0, 0, 0, ()),
        usage=Usage(0, 0, 0.0),
        answered_by="extractive",
    )


def test_the_command_tells_of_the_code(chaincite: Run, anvil: Anvil, token: str, tmp_path: Path) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        done = chaincite("--library", tmp_path, *arguments, CHAINCITE_RPC=json.dumps({CHAIN: anvil.url}))
        return done.returncode, " ".join(done.stdout.split())

    feed = ("ingest", "chain", "--chain", CHAIN, "--address", token, "--from-block", "0", "--passages", "1")
    assert run(*feed)[0] == 0
    Answers(tmp_path).save(answer_of(tmp_path, ROLLED_UP))
    status, said = run("verify", "last")
    assert (status, said.startswith("[1] OK")) == (0, True), said
    assert f"contract {token}: code 0x" in said
    assert "at block 4, as recorded at block 4" in said
    anvil.rpc("anvil_setCode", token, "0xfe")
    anvil.reorg(1)
    assert "REORGED" in run("verify", "last")[1]
