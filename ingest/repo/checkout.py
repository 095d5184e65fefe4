"""A commit of a repository, opened for reading: a local one where it is, one of the network as it is needed.

Of the network only the commit and its trees are downloaded at first, then the files that are asked for, all
in one go. Nothing stays on the disk.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from index.errors import SourceError
from ingest.fetch import Fetcher
from ingest.repo.address import Address, web_page
from ingest.repo.git import Entry, Git, Transport, transport
from ingest.repo.local import linked
from ingest.sources import Limits

_TIP = "refs/chaincite/tip"


@dataclass(frozen=True)
class Checkout:
    """A commit.

    way: what reaches its origin, None where all its objects are here; here: the objects that were downloaded
    so far; sizes: in bytes, of those that were wanted.
    """

    address: Address
    commit: str
    git: Git
    limits: Limits
    way: Transport | None = None
    here: set[str] = field(default_factory=set)
    sizes: dict[str, int] = field(default_factory=dict)

    def entries(self, path: str | None = None) -> Iterator[Entry]:
        """As `Git.entries`."""
        return self.git.entries(self.commit, path)

    def want(self, oids: Iterable[str], also: Iterable[str] = ()) -> None:
        """Downloads objects, as far as they are not here, and looks at their sizes.

        also: objects that count for nothing. Raises SourceError when the others, as far as each may be read,
        are too many bytes together.
        """
        wanted, most = list(dict.fromkeys(oids)), self.limits.repo_file_bytes
        both = list(dict.fromkeys([*wanted, *also]))
        self.fetch(both)
        self.sizes.update(self.git.sizes(both))
        total = sum(size for oid in wanted if (size := self.sizes.get(oid, 0)) <= most)
        if total > self.limits.repo_bytes:
            raise SourceError(
                f"has {total:,} bytes to read, {self.limits.repo_bytes:,} are allowed; raise repo_max_bytes,"
                " or choose with --include and --exclude"
            )

    @contextmanager
    def reader(self) -> Iterator[Callable[[str], bytes | None]]:
        """What gives the bytes of objects that were wanted, None for one over the limit."""
        with self.git.blobs() as blob:
            yield lambda oid: None if self.sizes.get(oid, 0) > self.limits.repo_file_bytes else blob(oid)

    def fetch(self, oids: Iterable[str]) -> None:
        """Downloads objects, all at once, as git itself does for those that a partial clone lacks."""
        missing = [] if self.way is None else [oid for oid in oids if oid not in self.here]
        if self.way is None or not missing:
            return
        self.here.update(missing)
        self.git.download(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
            "--filter=blob:none", "--stdin", "origin",
            way=self.way,
            given="".join(f"{oid}\n" for oid in missing).encode(),
        )  # fmt: skip


@contextmanager
def opened(address: Address, fetcher: Fetcher, limits: Limits, depth: int = 1) -> Iterator[Checkout]:
    """The commit that an address names, with as many commits before it as `depth` says.

    Raises SourceError for a repository that is not there, not allowed, too large, or has no such ref;
    Unreachable when the network failed.
    """
    with tempfile.TemporaryDirectory(prefix="chaincite-") as folder:
        if address.folder is not None:
            yield _local(address, address.folder, Path(folder), limits)
        else:
            yield _remote(address, fetcher, Git(Path(folder), limits), limits, depth)


def _remote(address: Address, fetcher: Fetcher, git: Git, limits: Limits, depth: int) -> Checkout:
    parts = urlsplit(address.origin)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 22)
    way = transport(address.origin, fetcher.addresses(parts.hostname or "", port))
    git.run("init", "--quiet", "--bare", "--template=", str(git.folder))
    git.run("config", "remote.origin.url", address.origin)
    git.run("config", "remote.origin.promisor", "true")
    git.download(
        "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
        f"--depth={depth}", "--filter=blob:none", "origin", f"{address.ref}:{_TIP}",
        way=way,
    )  # fmt: skip
    return Checkout(address, git.commit(_TIP), git, limits, way)


def _local(address: Address, folder: Path, here: Path, limits: Limits) -> Checkout:
    """A local repository; where its origin shows files on the web, these addresses are the ones cited."""
    git, origin = linked(folder, here, limits)
    commit = git.commit(address.ref)
    if (page := web_page(origin)) is not None:
        address = replace(address, page=page[0], name=page[1])
    return Checkout(address, commit, git, limits)
