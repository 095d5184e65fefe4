"""What commits say of themselves."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from index.values import Document, Kind, Reading
from ingest.readers.parsed import whole
from ingest.repo.address import Address
from ingest.repo.git import Commit


def commit_reading(address: Address, commit: Commit, retrieved_at: datetime) -> Reading:
    """A commit's message as a document."""
    text = commit.message.strip() + "\n"
    body = text.encode(errors="replace")
    document = Document(
        uri=address.commit_uri(commit.oid),
        kind=Kind.CODE,
        title=text.partition("\n")[0][:200],
        sha256=hashlib.sha256(body).hexdigest(),
        size=len(body),
        media_type="text/plain",
        path=f"{address.name}/commit/{commit.oid[:12]}",
        location=address.location(""),
        retrieved_at=retrieved_at,
        published_at=commit.at.astimezone(UTC).date(),
        authors=(commit.author,),
        commit=commit.oid,
    )
    return Reading(document, text, whole(text, ()))
