"""What a repository is called: where it is cloned from, and the addresses of its files."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit

from index.errors import SourceError
from ingest.names import local_path, shown

HEAD = "HEAD"

_SCP = re.compile(r"(?:([\w.-]+)@)?([\w.-]+):(?!//|:)([^\s:]+)")
_LOCATION = re.compile(r"git\+((?:file|https?|ssh)://.+)@([^@#]+)(?:#(.*))?", re.DOTALL)
_REF = re.compile(r"(?!-|.*\.\.|.*//)[^\s\x00-\x1f\x7f~^:?*\[\\@]+")
_ALLOWED = "give an https or ssh address, or the path of a local repository"


@dataclass(frozen=True, slots=True)
class Address:
    """A repository at a ref.

    origin: what git clones: a URL, or a file URI; page: its address on the web, where that is known;
    name: what people call it, such as `Uniswap/v3-core`; ref: branch, tag or commit.
    """

    origin: str
    name: str
    page: str | None
    ref: str = HEAD

    @property
    def folder(self) -> Path | None:
        """The local repository, where it is one."""
        return local_path(self.origin) if self.origin.startswith("file:") else None

    def uri(self, path: str) -> str:
        """The address of a file, the same for every commit."""
        if self.page is None:
            return self.location(path)
        blob = "-/blob" if "gitlab" in _host(self.page) else "blob"
        return f"{self.page}/{blob}/{quote(self.ref, safe='')}/{quote(os.fsencode(path))}"

    def commit_uri(self, commit: str) -> str:
        """The address of a commit."""
        if self.page is None:
            return f"git+{self.origin}@{commit}"
        return f"{self.page}/{'-/' if 'gitlab' in _host(self.page) else ''}commit/{commit}"

    def location(self, path: str) -> str:
        """Where a file is read again."""
        return f"git+{self.origin}@{quote(self.ref, safe='')}#{quote(os.fsencode(path))}"


def parse(target: str, ref: str | None = None) -> Address:
    """The repository behind a URL or a local path.

    Raises SourceError for what is neither, for a URL that is not allowed or holds a password, and for a ref
    that cannot be one.
    """
    named = ref or HEAD
    if not _REF.fullmatch(named):
        raise SourceError(f"{named!r} cannot be a ref; give a branch, a tag or a commit")
    if target and Path(target).exists():
        folder = Path(target).resolve()
        return Address(folder.as_uri(), shown(folder.name).removesuffix(".git") or "repository", None, named)
    if "://" not in target and not _SCP.fullmatch(target):
        raise SourceError(f"there is no folder {target!r}; {_ALLOWED}")
    return _remote(target, named)


def located(location: str) -> tuple[Address, str]:
    """The repository and the path in it that `Document.location` names; the path is empty for a commit.

    Raises SourceError for a location that is not one of a repository.
    """
    match = _LOCATION.fullmatch(location)
    if match is None:
        raise SourceError(f"{location} is no place in a repository; ingest it again")
    origin, ref, path = match[1], unquote(match[2]), os.fsdecode(unquote_to_bytes(match[3] or ""))
    return Address(origin, "", None, ref), path


def web_page(url: str) -> tuple[str, str] | None:
    """The page and the name of a repository that is cloned from a URL, where its host shows files so.

    >>> web_page("git@github.com:Uniswap/v3-core.git")
    ('https://github.com/Uniswap/v3-core', 'Uniswap/v3-core')
    """
    match = None if "://" in url else _SCP.fullmatch(url)
    parts = urlsplit(url)
    host, path = (match[2], match[3]) if match else (parts.hostname or "", parts.path)
    name = path.strip("/").removesuffix(".git")
    known = host == "github.com" or host.split(".")[0] in ("github", "gitlab") or "gitlab" in host
    return (f"https://{host}/{name}", name) if known and name else None


def _remote(url: str, ref: str) -> Address:
    match = None if "://" in url else _SCP.fullmatch(url)
    try:
        parts = urlsplit(f"ssh://{match[1] or ''}@{match[2]}/{match[3].lstrip('/')}" if match else url)
        port = parts.port
    except ValueError as error:
        raise SourceError(f"is no URL ({error}); {_ALLOWED}") from None
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    if scheme not in ("http", "https", "ssh") or not host or host.startswith("-"):
        raise SourceError(f"addresses that begin with {scheme}: are not allowed; {_ALLOWED}")
    if parts.password or (parts.username and scheme != "ssh"):
        raise SourceError(
            "the address holds a user name or password; give it without, git's helpers know them"
        )
    if parts.query or parts.fragment:
        raise SourceError("the address holds a query or fragment; give that of the repository itself")
    name = parts.path.strip("/").removesuffix(".git")
    if host == "github.com" and name.count("/") != 1:
        raise SourceError(
            f"{url} is no repository; give https://github.com/OWNER/NAME, and --ref for a branch"
        )
    page = web_page(url)
    user = f"{parts.username}@" if parts.username else ""
    origin = url if match is None else f"ssh://{user}{host}/{match[3].lstrip('/')}"
    if match is None and scheme != "ssh":
        origin = (
            f"{scheme}://{host if ':' not in host else f'[{host}]'}{f':{port}' if port else ''}{parts.path}"
        )
    return Address(origin, name or host, page[0] if page else None, ref)


def _host(page: str) -> str:
    return urlsplit(page).hostname or ""
