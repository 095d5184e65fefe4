"""A file of a repository as it is now, for a citation of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from index.errors import Gone, SourceError
from index.values import Reading, SourceRef
from ingest import readers
from ingest.fetch import Fetcher
from ingest.repo.address import located
from ingest.repo.checkout import opened
from ingest.repo.history import commit_reading
from ingest.sources import Facts, Limits, Source


def reread(ref: SourceRef, fetcher: Fetcher, limits: Limits = Limits()) -> Reading:
    """What stands now at the ref that a cited file was read from; of a cited commit, its message.

    Raises Gone when it is there no more, Unreachable when it could not be had.
    """
    address, path = located(ref.location)
    if not path:
        return _commit(ref, fetcher, limits)
    with opened(address, fetcher, limits) as checkout:
        entry = next((found for found in checkout.entries(path) if found.kind == "blob"), None)
        if entry is None:
            raise Gone(f"{path} is not in commit {checkout.commit[:7]}, the newest of {address.ref}")
        [(_, body)] = checkout.read([entry.oid])
        if body is None:
            raise SourceError("is larger than repo_max_file_bytes; raise it to read the file")
        source = Source(ref.location, ref.path, ref.uri, Facts(kind=ref.kind, commit=checkout.commit))
        return readers.read(body, source, retrieved_at=datetime.now(UTC), limits=limits)


def _commit(ref: SourceRef, fetcher: Fetcher, limits: Limits) -> Reading:
    address, _ = located(ref.location)
    with opened(replace(address, ref=ref.commit or address.ref), fetcher, limits) as checkout:
        [commit] = checkout.git.log(checkout.commit, 1)
        return commit_reading(address, commit, datetime.now(UTC))
