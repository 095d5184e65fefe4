"""A chain as its nodes tell it: heads, blocks, logs, calls; checked, from several endpoints."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any, Self, TypeVar

from index.errors import SourceError, Unreachable
from index.values import Finality
from ingest.chain.ranges import Width
from ingest.chain.rpc import Call, Endpoint, Refused, TooMuch, Untrue

BEHIND = 3
"""Blocks that an endpoint may be behind the highest before it is left out."""

UNSETTLED = 64
"""Blocks below the head that may yet be displaced, where a node does not say which are finalized."""

Told = TypeVar("Told")
Json = dict[str, Any]


class Displaced(Exception):
    """Blocks changed while they were read."""


@dataclass(frozen=True, slots=True)
class Heads:
    """The numbers of a chain's newest, safe and finalized blocks. -1 where the node does not say."""

    latest: int
    safe: int
    finalized: int

    @property
    def settled(self) -> int:
        """The last block that is read by ranges of numbers, since it will not be displaced."""
        return self.finalized if self.finalized >= 0 else self.latest - UNSETTLED

    def finality(self, number: int) -> Finality:
        """How settled a block of this number is."""
        if number <= self.finalized:
            return Finality.FINALIZED
        return Finality.SAFE if number <= self.safe else Finality.LATEST


@dataclass(frozen=True, slots=True)
class Part:
    """Blocks from low to high: their logs, and headers. name: of the endpoint that told them.

    Of settled blocks there are the headers of those with logs, and of the last of all; of others all headers.
    """

    low: int
    high: int
    headers: tuple[Json, ...]
    logs: tuple[Json, ...]
    name: str


class Node:
    """One chain behind one or more endpoints: where one fails, the next is asked.

    An endpoint that answers with another chain, or says what cannot be so, is left out for good, with a
    line in `notes`. chain: CAIP-2 id that is wanted; else that of the first endpoint that answers.
    concurrency: requests that may be open at a time.
    Raises SourceError when no endpoint is of that chain, Unreachable when none answers.
    """

    def __init__(self, endpoints: Sequence[Endpoint], chain: str | None = None, concurrency: int = 4) -> None:
        self.notes: list[str] = []
        self._concurrency = concurrency
        self._lock = Lock()
        self._width = Width()
        self._all = tuple(endpoints)
        self._order = list(endpoints)
        try:
            self.chain = self._agree(chain)
        except SourceError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes all connections."""
        for endpoint in self._all:
            endpoint.close()

    @property
    def name(self) -> str:
        """The host that is asked first."""
        return self._order[0].name

    def heads(self) -> Heads:
        """The heads of the endpoint that is not behind; it is asked first from now on."""
        latest: dict[Endpoint, int] = {}
        faults: list[SourceError] = []
        for endpoint in list(self._order):
            try:
                latest[endpoint] = _number(endpoint, endpoint.call("eth_blockNumber"))
            except (Unreachable, Refused, Untrue) as fault:
                faults.append(fault)
        if not latest:
            raise faults[0]
        near = [e for e in self._order if e in latest and latest[e] >= max(latest.values()) - BEHIND]
        with self._lock:
            self._order.sort(key=lambda endpoint: endpoint not in near)
        return Heads(latest[near[0]], _tagged(near[0], "safe"), _tagged(near[0], "finalized"))

    def headers(self, numbers: Sequence[int]) -> list[Json | None]:
        """The blocks of these numbers without their transactions; None for one that is not there."""
        return self._asked(lambda endpoint: _headers(endpoint, numbers))

    def block_logs(self, block_hash: str) -> list[Json]:
        """All logs of one block. Raises Behind where the node does not know it."""
        return self._asked(lambda e: _listed(e, e.call("eth_getLogs", {"blockHash": block_hash})))

    def transactions(self, hashes: Sequence[str]) -> list[tuple[Json, Json]]:
        """Transactions, each with its receipt. Raises Displaced when the node does not know one."""
        methods = ("eth_getTransactionByHash", "eth_getTransactionReceipt")
        answers = self.calls([(method, (one,)) for one in hashes for method in methods])
        if not all(isinstance(answer, dict) for answer in answers):
            raise Displaced("a transaction is not there any more")
        return list(zip(answers[::2], answers[1::2], strict=True))

    def calls(self, calls: Sequence[Call]) -> list[Any]:
        """The results of many requests; in the place of one that is refused, the Refused."""
        return self._asked(lambda endpoint: endpoint.batch(calls))

    def settled(self, low: int, high: int, addresses: Sequence[str]) -> Iterator[Part]:
        """The logs of blocks that will not change, in order, several requests at a time.

        addresses: contracts, lower case; none is all. A request that a provider refuses for its size is
        halved. Raises SourceError when no endpoint answers, or one block is too much.
        """
        with ThreadPoolExecutor(self._concurrency) as pool:
            waiting: deque[Future[tuple[list[Part], SourceError | None]]] = deque()
            try:
                while low <= high or waiting:
                    while low <= high and len(waiting) < self._concurrency:
                        end = min(high, low + self._width.now - 1)
                        waiting.append(pool.submit(self._ranges, low, end, tuple(addresses), end == high))
                        low = end + 1
                    parts, fault = waiting.popleft().result()
                    yield from parts
                    if fault is not None:
                        raise fault
            finally:
                pool.shutdown(cancel_futures=True)

    def unsettled(self, low: int, high: int, addresses: Sequence[str]) -> Part:
        """The logs of blocks that may yet change, asked by the hashes of blocks that follow each other.

        Raises Displaced when the blocks changed meanwhile, and SourceError as `settled` does.
        """
        return self._asked(lambda endpoint: _by_hash(endpoint, low, high, addresses))

    def _ranges(
        self, low: int, high: int, addresses: Sequence[str], last: bool
    ) -> tuple[list[Part], SourceError | None]:
        """A range in as many requests as it needs, and the fault that ended it early.

        last: whether the header of its end is kept.
        """
        parts: list[Part] = []
        while low <= high:
            end = min(high, low + self._width.now - 1)
            width = end - low + 1
            read = partial(_by_range, low=low, high=end, addresses=addresses, last=last and end == high)
            try:
                parts.append(self._asked(read))
            except TooMuch as fault:
                if width == 1:
                    told = f"block {low} alone is too much: {fault}; give another --rpc"
                    return parts, SourceError(told)
                self._width.refused(width)
            except SourceError as fault:
                return parts, fault
            else:
                self._width.passed(width)
                low = end + 1
        return parts, None

    def _asked(self, use: Callable[[Endpoint], Told]) -> Told:
        """What the first endpoint that answers says. One that says what cannot be so is not asked again."""
        fault: SourceError | None = None
        for endpoint in list(self._order):
            try:
                return use(endpoint)
            except Untrue as error:
                self._leave_out(endpoint, str(error))
                fault = error
            except Unreachable as error:
                with self._lock:
                    self._order.sort(key=lambda one: one is endpoint)
                fault = error
        raise fault or Unreachable("no endpoint is left; give another --rpc")

    def _leave_out(self, endpoint: Endpoint, why: str) -> None:
        with self._lock:
            if endpoint in self._order and len(self._order) > 1:
                self._order.remove(endpoint)
                self.notes.append(f"{endpoint.name} is left out: {why}")

    def _agree(self, wanted: str | None) -> str:
        chains: dict[Endpoint, str] = {}
        faults: list[SourceError] = []
        for endpoint in self._order:
            try:
                chains[endpoint] = f"eip155:{_number(endpoint, endpoint.call('eth_chainId'))}"
            except (Unreachable, Refused, Untrue) as fault:
                faults.append(fault)
        if not chains:
            raise faults[0]
        agreed = wanted or next(iter(chains.values()))
        if agreed not in chains.values():
            [endpoint, seen] = next(iter(chains.items()))
            raise SourceError(
                f"{endpoint.name} is a node of {seen}, not of {agreed}; correct --rpc or --chain"
            )
        self.notes += [
            f"{endpoint.name} is left out: it is a node of {seen}, not of {agreed}"
            for endpoint, seen in chains.items()
            if seen != agreed
        ]
        self.notes += [f"{fault}" for fault in faults]
        self._order = [e for e in self._order if chains.get(e, agreed) == agreed]
        self._order.sort(key=lambda endpoint: endpoint not in chains)
        return agreed


def _by_range(endpoint: Endpoint, low: int, high: int, addresses: Sequence[str], last: bool) -> Part:
    asked = {"fromBlock": hex(low), "toBlock": hex(high), **_of(addresses)}
    logs = _listed(endpoint, endpoint.call("eth_getLogs", asked))
    numbers = {_number(endpoint, log.get("blockNumber")) for log in logs}
    if stray := numbers - set(range(low, high + 1)):
        raise Untrue(
            f"{endpoint.name} was asked for the logs of blocks {low} to {high}, and gives those of block"
            f" {min(stray)}; give another --rpc"
        )
    headers = [h for h in _headers(endpoint, sorted(numbers | {high})) if h is not None]
    hashes = {_number(endpoint, header["number"]): header["hash"] for header in headers}
    if high not in hashes:
        raise Unreachable(f"{endpoint.name} has no block {high}; the node may be behind, give a second --rpc")
    for log in logs:
        number = _number(endpoint, log["blockNumber"])
        if hashes.get(number) != log.get("blockHash"):
            raise Untrue(
                f"{endpoint.name} gives logs of block {number} with the hash {log.get('blockHash')}, which is"
                f" {hashes.get(number)} on its chain; give another --rpc"
            )
    kept = [header for header in headers if last or _number(endpoint, header["number"]) in numbers]
    return Part(low, high, tuple(kept), _checked(endpoint, logs, addresses), endpoint.name)


def _by_hash(endpoint: Endpoint, low: int, high: int, addresses: Sequence[str]) -> Part:
    headers = _headers(endpoint, range(low, high + 1))
    whole = [header for header in headers if header is not None]
    parents = [header["parentHash"] for header in whole[1:]]
    if len(whole) < len(headers) or parents != [header["hash"] for header in whole[:-1]]:
        raise Displaced(f"blocks {low} to {high} do not follow each other")
    hashes = [header["hash"] for header in whole]
    answers = endpoint.batch([("eth_getLogs", [{"blockHash": one, **_of(addresses)}]) for one in hashes])
    logs: list[Json] = []
    for block_hash, answer in zip(hashes, answers, strict=True):
        if isinstance(answer, Refused):
            raise answer
        some = _listed(endpoint, answer)
        if any(log.get("blockHash") != block_hash for log in some):
            raise Untrue(
                f"{endpoint.name} was asked for the logs of block {block_hash}, and gives those of another;"
                " give another --rpc"
            )
        logs += some
    return Part(low, high, tuple(whole), _checked(endpoint, logs, addresses), endpoint.name)


def _checked(endpoint: Endpoint, logs: Sequence[Json], addresses: Sequence[str]) -> tuple[Json, ...]:
    """The logs of contracts that were asked for, each once, in the order of the chain."""
    seen: dict[tuple[int, int], Json] = {}
    for log in logs:
        if log.get("removed"):
            continue
        if addresses and str(log.get("address")).lower() not in addresses:
            raise Untrue(f"{endpoint.name} gives logs of {log.get('address')}, which was not asked for")
        place = _number(endpoint, log["blockNumber"]), _number(endpoint, log.get("logIndex"))
        if seen.setdefault(place, log) != log:
            raise Untrue(f"{endpoint.name} gives two logs {place[1]} of block {place[0]}; give another --rpc")
    return tuple(seen[place] for place in sorted(seen))


def _of(addresses: Sequence[str]) -> Json:
    return {"address": list(addresses)} if addresses else {}


def _headers(endpoint: Endpoint, numbers: Sequence[int]) -> list[Json | None]:
    answers = endpoint.batch([("eth_getBlockByNumber", [hex(number), False]) for number in numbers])
    headers: list[Json | None] = []
    for number, answer in zip(numbers, answers, strict=True):
        if isinstance(answer, Refused):
            raise answer
        if answer is not None and _number(endpoint, answer.get("number")) != number:
            raise Untrue(
                f"{endpoint.name} was asked for block {number} and gives another; give another --rpc"
            )
        headers.append(answer)
    return headers


def _tagged(endpoint: Endpoint, tag: str) -> int:
    """The number of the block that a tag names; -1 where the node knows no such tag."""
    try:
        block = endpoint.call("eth_getBlockByNumber", tag, False)
    except (Refused, Unreachable):
        return -1
    return -1 if block is None else _number(endpoint, block.get("number"))


def _listed(endpoint: Endpoint, answer: Any) -> list[Json]:
    if not isinstance(answer, list) or not all(isinstance(one, dict) for one in answer):
        raise Untrue(f"{endpoint.name} gives no list of logs; check the address")
    return answer


def _number(endpoint: Endpoint, quantity: Any) -> int:
    try:
        return int(quantity, 16)
    except (TypeError, ValueError):
        raise Untrue(
            f"{endpoint.name} gives {quantity!r} where a number belongs; check the address"
        ) from None
