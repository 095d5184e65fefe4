"""Reading a chain from nodes: limits, faults and lies of providers, and what contracts say of themselves."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from index.errors import SourceError, Unreachable
from ingest.chain.contracts import Contract, checked_address, describe_contracts, describe_tokens
from ingest.chain.node import Node
from ingest.chain.ranges import Width, joined, until, wanting
from ingest.chain.rpc import Endpoint
from tests.ingest.node import Anvil, Proxy, Rule, capped, lying, refusing

BLOCKS = 260
LAST = BLOCKS + 1


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    with Anvil() as node:
        yield node


@pytest.fixture(scope="module")
def token(anvil: Anvil) -> str:
    """A token with one transfer in every second block, and ten in some."""
    address = anvil.deploy()
    for number in range(BLOCKS):
        if number % 2:
            anvil.transfer(address, number, 10 if number % 50 == 1 else 1)
        anvil.mine()
    anvil.mine(64)
    return address


def endpoint(url: str, **known: Any) -> Endpoint:
    return Endpoint(url, **{"sleep": lambda _: None, **known})


def places(node: Node, address: str, high: int = LAST) -> list[tuple[str, str, str]]:
    parts = list(node.settled(0, high, [address]))
    assert [part.low for part in parts[1:]] == [part.high + 1 for part in parts[:-1]]
    assert (parts[0].low, parts[-1].high) == (0, high)
    return [(log["blockHash"], log["logIndex"], log["data"]) for part in parts for log in part.logs]


@pytest.fixture(scope="module")
def truth(anvil: Anvil, token: str) -> list[tuple[str, str, str]]:
    asked = {"fromBlock": "0x0", "toBlock": hex(LAST), "address": token}
    found = [(log["blockHash"], log["logIndex"], log["data"]) for log in anvil.rpc("eth_getLogs", asked)]
    assert len(found) == 130 + 9 * 6
    return found


CAPS = {
    "range to suggest": capped(
        refusing(
            -32602,
            "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no"
            " limit on the response size, or you can request any block range with a cap of 10K logs in the"
            " response. Based on your parameters and the response size limit, this block range should work:"
            " [0x0, 0x7]",
            400,
        ),
        results=30,
    ),
    "results": capped(refusing(-32005, "query returned more than 10000 results"), results=12),
    "range of its own code": capped(refusing(-32614, "eth_getLogs is limited to a 10,000 range"), blocks=100),
    "range too large": capped(refusing(-32600, "Block range is too large"), blocks=7),
    "most range": capped(refusing(-32701, "exceed maximum block range: 50000", 403), blocks=50),
    "time": capped(refusing(-32000, "query timeout exceeded"), blocks=33),
    "results and a range": capped(
        refusing(-32602, "query exceeds max results 20000, retry with the range 10-13"), results=11
    ),
    "status alone": capped(lambda _: (413, {}, b"<html>Payload Too Large</html>"), blocks=64),
    "limit exceeded": capped(refusing(-32005, "limit exceeded"), blocks=1),
    "blocks": capped(refusing(35, "ranges over 10000 blocks are not supported on freetier", 400), blocks=3),
}


@pytest.mark.parametrize("style", CAPS)
def test_limits_of_every_style_give_the_same_logs(
    style: str, anvil: Anvil, token: str, truth: list[tuple[str, str, str]]
) -> None:
    with Proxy(anvil.url, CAPS[style]) as proxy, Node([endpoint(proxy.url)]) as node:
        assert places(node, token) == truth
        assert any(method == "eth_getLogs" for method in proxy.methods())


def test_a_block_that_is_too_much_alone_is_told(anvil: Anvil, token: str) -> None:
    rule = capped(refusing(-32005, "query returned more than 10000 results"), results=5)
    with (
        Proxy(anvil.url, rule) as proxy,
        Node([endpoint(proxy.url)]) as node,
        pytest.raises(SourceError, match=r"block 3 alone is too much.*10000 results"),
    ):
        places(node, token)


@given(st.integers(1, 500), st.integers(1, 3000), st.integers(1, 60))
def test_the_width_finds_the_limit_and_stays_near_it(limit: int, start: int, requests: int) -> None:
    width, refused = Width(start), 0
    for _ in range(requests + 40):
        now = width.now
        assert now >= 1
        if now > limit:
            width.refused(now)
            refused += 1
        else:
            width.passed(now)
    assert width.now <= 2 * limit
    assert refused <= 12 + 10 * (requests + 40) // 32


RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)).map(lambda r: (r[0], r[0] + r[1])))


@given(RANGES, st.integers(0, 80), st.integers(0, 80))
def test_ranges_are_sets_of_blocks(ranges: list[tuple[int, int]], low: int, high: int) -> None:
    def blocks(some: list[tuple[int, int]]) -> set[int]:
        return {number for a, b in some for number in range(a, b + 1)}

    there = blocks(ranges)
    assert blocks(joined(ranges)) == there
    assert all(b + 1 < c for (_, b), (c, _) in zip(joined(ranges), joined(ranges)[1:], strict=False))
    assert blocks(wanting(low, high, ranges)) == set(range(low, high + 1)) - there
    assert blocks(until(high, ranges)) == {number for number in there if number <= high}


def once(*answers: Any) -> Rule:
    """Gives these answers to the first requests, then the node's."""
    left = list(answers)
    return lambda proxy, asked: left.pop(0)(asked) if left else None


FAULTS = {
    "status 429": lambda _: (429, {"Retry-After": "7"}, b"slow down"),
    "429 in words": refusing(429, "Your app has exceeded its compute units per second capacity"),
    "rate of one's own code": refusing(-32007, "50/second request limit reached"),
    "any limit, not of logs": refusing(-32005, "limit exceeded"),
    "server error": lambda _: (503, {}, b"<html>"),
    "no JSON": lambda _: (200, {}, b"<html>hello</html>"),
    "broken off": lambda _: (200, {"Content-Length": "1000", "Connection": "close"}, b'{"jsonrpc'),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_passing_faults_are_tried_again(fault: str, anvil: Anvil) -> None:
    waits: list[float] = []
    with (
        Proxy(anvil.url, once(FAULTS[fault], FAULTS[fault])) as proxy,
        closing(endpoint(proxy.url, sleep=waits.append)) as asked,
    ):
        found = asked.call("eth_chainId")
    assert found == hex(31337)
    assert len(waits) == 2
    assert all(wait == 7 for wait in waits) or fault != "status 429"


def test_a_fault_that_stays_is_told_without_the_key(anvil: Anvil) -> None:
    with Proxy(anvil.url, lambda *_: FAULTS["server error"](0)) as proxy:
        with pytest.raises(Unreachable, match=r"^http://127.0.0.1:\d+ answers 503") as error:
            Node([endpoint(proxy.url)])
        assert "a-key-that-nobody" not in str(error.value)


def test_redirects_are_not_followed(anvil: Anvil) -> None:
    rule = lambda *_: (307, {"Location": anvil.url}, b"")  # noqa: E731
    with Proxy(anvil.url, rule) as proxy, pytest.raises(SourceError, match="redirects elsewhere"):
        Node([endpoint(proxy.url)])


def test_small_batches_are_enough(anvil: Anvil, token: str) -> None:
    def rule(proxy: Proxy, asked: Any) -> Any:
        if isinstance(asked, list) and len(asked) > 5:
            return 200, {}, {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "batch of 5"}}
        return None

    with Proxy(anvil.url, rule) as proxy, Node([endpoint(proxy.url)]) as node:
        headers = node.headers(range(40))
    assert [int(header["number"], 16) for header in headers if header] == list(range(40))


def test_where_one_endpoint_fails_the_next_is_asked(
    anvil: Anvil, token: str, truth: list[tuple[str, str, str]]
) -> None:
    dies = lambda proxy, asked: FAULTS["server error"](asked) if len(proxy.requests) > 6 else None  # noqa: E731
    with Proxy(anvil.url, dies) as proxy, Node([endpoint(proxy.url), endpoint(anvil.url)]) as node:
        node.heads()
        assert places(node, token) == truth
        assert node.name == anvil.url


def test_endpoints_that_are_behind_or_of_another_chain_are_left_out(anvil: Anvil, token: str) -> None:
    def behind(proxy: Proxy, asked: Any) -> Any:
        if isinstance(asked, dict) and asked["method"] == "eth_blockNumber":
            return 200, {}, {"jsonrpc": "2.0", "id": asked["id"], "result": "0x10"}
        return None

    def elsewhere(proxy: Proxy, asked: Any) -> Any:
        return 200, {}, {"jsonrpc": "2.0", "id": asked["id"], "result": "0x5"}

    with Proxy(anvil.url, behind) as late, Proxy(anvil.url, elsewhere) as other:
        with Node([endpoint(late.url), endpoint(other.url), endpoint(anvil.url)]) as node:
            assert node.chain == "eip155:31337"
            assert "it is a node of eip155:5" in "".join(node.notes)
            assert node.heads().latest == anvil.head
            assert node.name == anvil.url
        with pytest.raises(SourceError, match=r"is a node of eip155:5, not of eip155:1; correct --rpc"):
            Node([endpoint(other.url)], "eip155:1")


LIES = {
    "another range": (
        lambda logs: [{**log, "blockNumber": "0xffff"} for log in logs],
        "gives those of block",
    ),
    "another contract": (lambda logs: [{**log, "address": "0x" + "1" * 40} for log in logs], "was not asked"),
    "another hash": (lambda logs: [{**log, "blockHash": "0x" + "2" * 64} for log in logs], "on its chain"),
    "no list": (lambda logs: {"logs": logs}, "no list of logs"),
    "no number": (lambda logs: [{**log, "logIndex": None} for log in logs], "where a number belongs"),
    "two in one place": (lambda logs: [{**log, "logIndex": "0x0"} for log in logs], "two logs 0 of block"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_node_that_lies_is_refused_and_another_is_believed(
    lie: str, anvil: Anvil, token: str, truth: list[tuple[str, str, str]]
) -> None:
    change, message = LIES[lie]
    with Proxy(anvil.url, lying(change)) as proxy:
        with Node([endpoint(proxy.url)]) as node, pytest.raises(SourceError, match=message):
            places(node, token)
        with Node([endpoint(proxy.url), endpoint(anvil.url)]) as node:
            assert places(node, token) == truth
            assert message in node.notes[0]


def test_logs_that_were_removed_or_come_twice_count_once_or_not(
    anvil: Anvil, token: str, truth: list[tuple[str, str, str]]
) -> None:
    twice = lying(lambda logs: [*logs, *logs, *({**log, "removed": True} for log in logs)])
    with Proxy(anvil.url, twice) as proxy, Node([endpoint(proxy.url)]) as node:
        assert places(node, token) == truth


def test_addresses_are_checked() -> None:
    right = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
    assert checked_address(right) == checked_address(right.lower()) == right.lower()
    with pytest.raises(SourceError, match=f"right spelling is {right}"):
        checked_address(right.replace("dAC", "DaC"))
    for text in ("", "0x12", "vitalik.eth", right[2:], right + "00"):
        with pytest.raises(SourceError, match="is no address"):
            checked_address(text)


def test_tokens_say_what_they_are_and_are_not_believed(anvil: Anvil) -> None:
    from eth_abi import encode

    answers = {
        "NOTE": encode(["string"], ["NOTE"]),
        "MKR": b"MKR".ljust(32, b"\0"),
        None: b"",
        "\ufffd\ufffd": encode(["bytes"], [b"\xff\xfe"]),
        "": encode(["uint256", "uint256"], [2**255, 2**255]),
    }
    tokens = [anvil.deploy(answer, 6) for answer in answers.values()]
    with Node([endpoint(anvil.url)]) as node:
        found = describe_tokens(node, [*tokens, anvil.accounts[0]])
    assert [row["symbol"] for row in found] == ["NOTE", "MKR", None, "\ufffd\ufffd", None, None]
    assert [row["decimals"] for row in found] == [6] * 5 + [None]
    assert {row["name"] for row in found} == {None}


def slot_of(name: str) -> str:
    """A storage slot as EIP-1967 defines it."""
    return hex(int.from_bytes(keccak(text=f"eip1967.proxy.{name}")) - 1)


def test_contracts_are_known_by_their_code_and_proxies_by_what_they_run(anvil: Anvil, token: str) -> None:
    proxy, behind, beacon, nobody = ("0x" + pair * 20 for pair in ("77", "88", "99", "aa"))
    word = "0x" + token[2:].zfill(64)
    anvil.rpc("anvil_setStorageAt", proxy, slot_of("implementation"), word)
    anvil.rpc("anvil_setStorageAt", proxy, slot_of("admin"), "0x" + nobody[2:].zfill(64))
    anvil.rpc("anvil_setStorageAt", behind, slot_of("beacon"), "0x" + beacon[2:].zfill(64))
    anvil.rpc("anvil_setCode", beacon, f"0x73{token[2:]}5f5260205ff3")
    anvil.mine()
    with Node([endpoint(anvil.url)]) as node:
        found = describe_contracts(node, [token, proxy, behind, nobody], anvil.head)
    code = "0x" + keccak(hexstr=anvil.rpc("eth_getCode", token, "latest")).hex()
    at = anvil.head
    assert found == [
        Contract(token, at, code),
        Contract(proxy, at, None, token, code, None, nobody),
        Contract(behind, at, None, token, code, beacon),
        Contract(nobody, at, None),
    ]
    assert f"its implementation is {token}; its admin is {nobody}" in found[1].text
    assert f"its implementation is {token} by its beacon {beacon}" in found[2].text
    assert "it has no code" in found[3].text
