"""The one way out to the network for sources: checked addresses, bounded size and time, clear errors."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fetched:
    """The bytes of a source and what the answer said about them.

    url: where they came from in the end (after redirects), or the local path.
    media_type: lower case, without parameters; etag, last_modified: validators for the next request.
    not_modified: the source is what the given validators name, and `body` is empty.
    """

    url: str
    body: bytes
    media_type: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    not_modified: bool = False


class Fetcher:
    def get(self, url: str, *, etag: str | None = None, last_modified: str | None = None) -> Fetched:
        raise NotImplementedError
