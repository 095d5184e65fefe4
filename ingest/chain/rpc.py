"""One JSON-RPC endpoint of a node: requests and batches, retried, with refusals told apart.

Providers limit what they answer, each in its own words. A refusal for size is `TooMuch`, and a smaller
request may pass; a refusal for haste is `Unreachable`, and the same request may pass later.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from index.errors import SourceError, Unreachable
from ingest.fetch import CONNECT_SECONDS, pause, refusal

if TYPE_CHECKING:
    import httpx

Call = tuple[str, Sequence[Any]]
"""A method of JSON-RPC and its parameters."""

MOST_IN_BATCH = 100
_HASTE = re.compile(
    r"rate.?limit|too many requests|requests? limit|per second|compute units|throughput|capacity"
    r"|request count|quota|try again later|temporar|overloaded|busy",
    re.IGNORECASE,
)
_SIZE = re.compile(
    r"range|too (?:big|large|wide|many)|more than|response size|limit(?:ed|s)?\b|exceed|max(?:imum)?\b"
    r"|time[d ]?-?out|\d blocks",
    re.IGNORECASE,
)
_BEHIND = re.compile(
    r"beyond|future|unknown block|header not found|block not found|not (?:yet )?available|missing trie node"
    r"|after last|block height",
    re.IGNORECASE,
)
LIMITED = -32005
"""EIP-1474 has this code for every limit; of logs it may be their number, elsewhere it is haste."""

_HASTE_CODES = {429, -32007, -32016, -32029, -32097}
_KEY = re.compile(r"(?<![\w-])(?=[\w-]*\d)[\w-]{24,}")


class TooMuch(SourceError):
    """A node refuses a request for its size: a smaller one may pass."""


class Refused(SourceError):
    """A node answers a request with an error of its own, such as a call that reverts."""


class Behind(Unreachable):
    """A node does not know a block: it is behind, or the block was displaced."""


class Untrue(SourceError):
    """A node said what cannot be so."""


class Endpoint:
    """A node's address, which is the user's choice: it may be on this machine; redirects are not followed.

    url: http or https; a key may stand in it, so that messages and rows name the host alone.
    timeout: seconds that a request may take; max_bytes: largest answer; tries: for one request.
    transport: what carries requests in place of the network.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 30.0,
        max_bytes: int = 50_000_000,
        tries: int = 4,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SourceError("the address of a node should begin with https:// or http://; give it to --rpc")
        self.name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._url = url
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._tries = tries
        self._transport = transport
        self._sleep = sleep
        self._batch = MOST_IN_BATCH
        self._client: httpx.Client | None = None
        self._opening = Lock()

    def close(self) -> None:
        """Closes the connections that are kept open."""
        with self._opening:
            if self._client is not None:
                self._client.close()
                self._client = None

    def call(self, method: str, *parameters: Any) -> Any:
        """The result of one request.

        Raises TooMuch, Refused, or Unreachable when every try failed.
        """
        answer = self._sent(_request(0, (method, parameters)))
        if not isinstance(answer, dict):
            raise Untrue(f"{self.name} answers {method} with what is no JSON-RPC; check the address")
        return self._result(method, answer)

    def batch(self, calls: Sequence[Call]) -> list[Any]:
        """The results of many requests, in their order; in the place of one that is refused, the Refused.

        Raises TooMuch for a single one that is refused for its size, Unreachable when every try failed.
        """
        results: list[Any] = []
        while len(results) < len(calls):
            some = calls[len(results) : len(results) + self._batch]
            try:
                results += self._together(some)
            except TooMuch:
                if len(some) == 1:
                    raise
                self._batch = max(1, len(some) // 2)
        return results

    def _together(self, calls: Sequence[Call]) -> list[Any]:
        if len(calls) == 1:
            return [self._or_refused(lambda: self.call(calls[0][0], *calls[0][1]))]
        answers = self._sent([_request(at, call) for at, call in enumerate(calls)])
        if not isinstance(answers, list):
            raise TooMuch(f"{self.name} does not answer batches of {len(calls)}")
        by_id = {answer.get("id"): answer for answer in answers if isinstance(answer, dict)}
        if set(by_id) != set(range(len(calls))):
            raise TooMuch(f"{self.name} answers {len(by_id)} of a batch of {len(calls)}")
        return [
            self._or_refused(lambda at=at, method=method: self._result(method, by_id[at]))  # type: ignore[misc]
            for at, (method, _) in enumerate(calls)
        ]

    def _or_refused(self, result: Callable[[], Any]) -> Any:
        try:
            return result()
        except Refused as refused:
            return refused

    def _result(self, method: str, answer: Mapping[str, Any]) -> Any:
        if answer.get("error") is not None:
            raise self._fault(method, answer["error"])
        if "result" not in answer:
            raise Untrue(f"{self.name} answers {method} with neither result nor error; check the address")
        return answer["result"]

    def _fault(self, method: str, error: Any) -> SourceError:
        """What an error of a node means. Error codes are little alike, so the text decides."""
        code = error.get("code") if isinstance(error, dict) else None
        said = str(error.get("message") if isinstance(error, dict) else error)
        told = f"{self.name} refuses {method}: {_KEY.sub('…', ' '.join(said.split()))[:200]}"
        limited = code == LIMITED and method != "eth_getLogs"
        if limited or code in _HASTE_CODES or _HASTE.search(said):
            return Unreachable(f"{told}; try again later, or give a second --rpc")
        if _BEHIND.search(said):
            return Behind(f"{told}; the node may be behind, give a second --rpc")
        if method == "eth_getLogs" and _SIZE.search(said):
            return TooMuch(told)
        return Refused(told)

    def _sent(self, body: Any) -> Any:
        from tenacity import Retrying, retry_if_exception, stop_after_attempt

        tries = Retrying(
            retry=retry_if_exception(lambda e: isinstance(e, Unreachable) and not isinstance(e, Behind)),
            stop=stop_after_attempt(self._tries),
            wait=pause,
            sleep=self._sleep,
            reraise=True,
        )
        return tries(self._try, body)

    def _try(self, body: Any) -> Any:
        from ingest import network

        token = network.deadline.set(time.monotonic() + self._timeout)
        try:
            with self._opened().stream("POST", self._url, json=body) as response:
                answer = self._parsed(response, self._read(response))
        except network.VENDOR_ERRORS as error:
            raise _named(self.name, network.translated(error)) from None
        finally:
            network.deadline.reset(token)
        method = _each(body)[0]["method"]
        for one in _each(answer):
            if isinstance(one, dict) and one.get("error") is not None:
                fault = self._fault(method, one["error"])
                if isinstance(fault, Unreachable) and not isinstance(fault, Behind):
                    raise fault
        return answer

    def _opened(self) -> httpx.Client:
        import httpx

        from ingest import network

        with self._opening:
            if self._client is None:
                limits = httpx.Timeout(self._timeout, connect=CONNECT_SECONDS)
                carrier = self._transport or network.Transport(network.resolve, lambda *_: None)
                self._client = httpx.Client(transport=carrier, timeout=limits, trust_env=False)
            return self._client

    def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        for piece in response.iter_bytes():
            body += piece
            if len(body) > self._max_bytes:
                raise TooMuch(f"{self.name} sends more than fetch_max_bytes allows, {self._max_bytes} bytes")
        return bytes(body)

    def _parsed(self, response: httpx.Response, body: bytes) -> Any:
        """The answer; nodes send errors with any HTTP status, and what is no JSON has but its status."""
        if response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise TooMuch(f"{self.name} answers 413: the request or its answer is too large")
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            raise _named(self.name, refusal(response))
        if response.is_redirect:
            raise SourceError(f"{self.name} redirects elsewhere; give the address it ends at to --rpc")
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        if any(isinstance(one, dict) and ("result" in one or "error" in one) for one in _each(answer)):
            return answer
        if response.is_success:
            raise Unreachable(f"{self.name} answers with what is no JSON-RPC; check the address")
        raise _named(self.name, refusal(response))


def _request(number: int, call: Call) -> dict[str, Any]:
    method, parameters = call
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": list(parameters)}


def _each(answer: Any) -> list[Any]:
    return answer if isinstance(answer, list) else [answer]


def _named(name: str, fault: SourceError) -> SourceError:
    fault.args = (f"{name} {fault}",)
    return fault
