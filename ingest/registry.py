"""Every kind of source, once. A new kind is a module of its own and an entry here."""

from __future__ import annotations

from index.values import Reading, SourceRef
from ingest.chain.options import Chain
from ingest.connector import Doors
from ingest.forum.options import Forum
from ingest.options import Options, loaded
from ingest.papers import Papers
from ingest.repo.options import Repo
from ingest.site.options import Site

KINDS: tuple[type[Options], ...] = (Papers, Site, Repo, Forum, Chain)
"""In the order in which a file of sources is read, so that code is there before what it declares."""


def reread(ref: SourceRef, doors: Doors) -> Reading:
    """The source of a citation as it is now; see `ingest.connector.Connector.reread`."""
    owner = next(kind for kind in reversed(KINDS) if kind.owns(ref))
    reading: Reading = loaded(owner.connector).reread(ref, doors)
    return reading
