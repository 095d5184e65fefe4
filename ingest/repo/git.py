"""The `git` program, kept on a short leash.

Nothing of a repository runs: git works in folders of ours (see `ingest.repo.local`), and no work tree is ever
written. Only a download reads the configuration of the person at this machine, for the credential helpers;
nothing is asked of them: the helpers answer, or the download fails. Every transport is off but for the one
that a download names, so that no object is fetched behind our back.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from io import BufferedReader
from pathlib import Path
from typing import IO, cast
from urllib.parse import urlsplit

from index.errors import Gone, SourceError, Unreachable
from ingest.sources import Limits

_DOWNLOAD = {
    "core.hooksPath": os.devnull,
    "core.askPass": "",
    "credential.interactive": "false",
    "fetch.negotiationAlgorithm": "noop",
    "fetch.unpackLimit": "1",
    "fetch.writeCommitGraph": "false",
    "gc.auto": "0",
    "http.followRedirects": "false",
    "http.proxy": "",
    "maintenance.auto": "false",
    "submodule.recurse": "false",
}
_ENVIRONMENT = {
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_KEPT = ("PATH", "TMPDIR", "SystemRoot")
_PERSONAL = ("HOME", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK", "USER", "LOGNAME")
_USERINFO = re.compile(r"(?<=//)[^/@\s]+(?=@)")
_FAULTS: Sequence[tuple[re.Pattern[str], type[SourceError], str]] = tuple(
    (re.compile(said, re.IGNORECASE), fault, message)
    for said, fault, message in (
        ("could not read (Username|Password)|Authentication failed|Permission denied|error: 403", SourceError,
         "needs a password or key that git's helpers do not have; log in with git, or check the address"),
        ("(?<!ref )not found|does not exist|error: 404|does not appear to be a git repo", Gone,
         "there is no such repository; check the address"),
        ("couldn't find remote ref|not our ref|no such remote ref|unadvertised object", SourceError,
         "has no such ref; give a branch, a tag or a whole commit with --ref"),
        ("dubious ownership", SourceError,
         "belongs to another user on the machine where it is; there, its reader has to allow it:"
         " git config --global --add safe.directory FOLDER"),
        ("redirect|error: 30[1278]", SourceError, "has moved; give the address that it redirects to"),
        ("Could not resolve|Failed to connect|Connection|timed out|unreachable|early EOF", Unreachable,
         "cannot be reached; check the address and the network"),
    )
)  # fmt: skip
"""What git says, the error that it is, and what to do; the first that matches."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A thing in a commit's tree. kind: blob, link, submodule or tree; oid: its git object.

    The bytes of a path that are not UTF-8 stand in it as `os.fsdecode` has them.
    """

    path: str
    kind: str
    oid: str


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit without its files. at: when it was committed."""

    oid: str
    at: datetime
    author: str
    message: str


@dataclass(frozen=True, slots=True)
class Transport:
    """The one way to the network that a download may take. scheme: `https`, say; config: what git is told."""

    scheme: str
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Running:
    """A git process with what it reads and what it prints."""

    popen: subprocess.Popen[bytes]
    given: IO[bytes]
    out: BufferedReader


class Git:
    """A git directory.

    folder: where it is, one that we made; limits: what git may take, `repo_seconds` counted from now.
    """

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder = folder
        self._limits = limits
        self._deadline = time.monotonic() + limits.repo_seconds

    def run(self, *arguments: str, given: bytes = b"") -> bytes:
        """What a git command prints. Raises SourceError with what it says when it fails."""
        with self._started(arguments) as process:
            try:
                out, _ = process.popen.communicate(given, timeout=max(self._deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                raise self._late() from None
        return out

    def download(self, *arguments: str, way: Transport, given: bytes = b"") -> None:
        """Runs a command that downloads; ends it when it takes too long or too much of the disk."""
        with self._started(arguments, way) as process:
            process.given.write(given)
            process.given.close()
            while process.popen.poll() is None:
                time.sleep(0.02)
                if time.monotonic() > self._deadline:
                    raise self._late()
                if (size := _size(self.folder)) > self._limits.repo_bytes:
                    raise SourceError(
                        f"is larger than {self._limits.repo_bytes:,} bytes ({size:,} downloaded);"
                        " raise repo_max_bytes if that is meant"
                    )

    def commit(self, ref: str) -> str:
        """The commit that a ref names. Raises SourceError where it names none."""
        found = self.run("cat-file", "--batch-check=%(objectname)", given=f"{ref}^{{commit}}\n".encode())
        if len(found.split()) != 1:
            raise SourceError(
                "has no commit yet; make one, then try again"
                if ref == "HEAD"
                else f"has no ref {ref}; give a branch, a tag or a commit"
            )
        return found.decode().strip()

    def entries(self, commit: str, path: str | None = None) -> Iterator[Entry]:
        """What stands in a commit, folders too, as a stream that ends with SourceError at the limit.

        A small repository may unpack to any number of entries, since a tree may stand in many places.
        path: the only one to list.
        """
        wanted = ("-r", "-t", commit) if path is None else (commit, "--", path)
        with self._started(("ls-tree", "-z", "--full-tree", *wanted)) as process:
            for count, line in enumerate(self._records(process)):
                if count == self._limits.repo_entries:
                    raise SourceError(
                        f"has more than {self._limits.repo_entries:,} files and folders;"
                        " raise repo_max_entries if that is meant"
                    )
                yield _entry(line)

    def log(self, commit: str, count: int) -> Iterator[Commit]:
        """The last commits up to this one, newest first."""
        out = self.run("log", f"--max-count={count}", "-z", "--format=%H%n%cI%n%an%n%B", commit)
        for record in filter(None, out.decode(errors="replace").split("\0")):
            oid, at, author, message = record.split("\n", 3)
            yield Commit(oid, datetime.fromisoformat(at), author, message)

    def sizes(self, oids: Iterable[str]) -> dict[str, int]:
        """The size in bytes of each object that is here."""
        out = self.run("cat-file", "--batch-check", given="".join(f"{oid}\n" for oid in oids).encode())
        rows = (line.split() for line in out.decode().splitlines())
        return {row[0]: int(row[2]) for row in rows if len(row) == 3}

    @contextmanager
    def blobs(self) -> Iterator[Callable[[str], bytes]]:
        """What gives the bytes of one object after another.

        One that is not here, or is damaged, raises SourceError; others can be asked for after it.
        """
        with ExitStack() as stack:
            running: list[_Running] = []

            def read(oid: str) -> bytes:
                if not running:
                    running.append(stack.enter_context(self._started(("cat-file", "--batch"))))
                body = _asked(running[0], oid)
                if body is None:
                    running.clear()
                    stack.close()
                    raise SourceError(f"cannot be read by git (object {oid}); check it with `git fsck`")
                return body

            yield read

    def _records(self, process: _Running) -> Iterator[bytes]:
        rest = b""
        while piece := process.out.read1(1 << 16):
            if time.monotonic() > self._deadline:
                raise self._late()
            *lines, rest = (rest + piece).split(b"\0")
            yield from lines
        process.popen.wait()

    @contextmanager
    def _started(self, arguments: Sequence[str], way: Transport | None = None) -> Iterator[_Running]:
        """A git process. When the block is left it is ended with all its children, unless it ended itself.

        Raises SourceError with what it says when it fails.
        """
        config = {**_DOWNLOAD, **way.config} if way else {}
        options = [part for name, value in config.items() for part in ("-c", f"{name}={value}")]
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                ["git", *options, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                env=_environment(self.folder, way),
                start_new_session=True,
            )
            with process:
                try:
                    yield _Running(
                        process, cast(IO[bytes], process.stdin), cast(BufferedReader, process.stdout)
                    )
                finally:
                    if process.poll() is None:
                        os.killpg(process.pid, signal.SIGKILL)
            if process.returncode > 0:
                said.seek(0)
                raise _fault(said.read(1 << 16))

    def _late(self) -> Unreachable:
        return Unreachable(
            f"took longer than {self._limits.repo_seconds:g} s; try again, or raise repo_timeout"
        )


def _asked(process: _Running, oid: str) -> bytes | None:
    """The bytes of an object; None where git ended at it. Raises SourceError for one that is not here."""
    try:
        process.given.write(f"{oid}\n".encode())
        process.given.flush()
    except BrokenPipeError:
        return None
    head = process.out.readline().split()
    if len(head) == 3:
        size = int(head[2]) + 1
        body = process.out.read(size)
        return body[:-1] if len(body) == size else None
    if head:
        raise SourceError(f"lacks the object {oid}; give a clone that is whole, made without --filter")
    return None


def transport(origin: str, addresses: Sequence[str]) -> Transport:
    """The way to an origin, at addresses that were checked."""
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https"):
        return Transport(parts.scheme, {})
    port = parts.port or (443 if parts.scheme == "https" else 80)
    resolved = f"{parts.hostname}:{port}:{','.join(addresses)}"
    return Transport(parts.scheme, {"http.curloptResolve": resolved})


def _environment(folder: Path, way: Transport | None) -> dict[str, str]:
    """What git finds around it: without a way to the network, no configuration but that of its folder."""
    names = (*_KEPT, *_PERSONAL) if way else _KEPT
    found = {name: os.environ[name] for name in names if name in os.environ}
    here = {**_ENVIRONMENT, **found, "GIT_DIR": str(folder)}
    if way is None:
        return {**here, "GIT_CONFIG_NOSYSTEM": "1", "GIT_ALLOW_PROTOCOL": "none"}
    ssh = os.environ.get("GIT_SSH_COMMAND", "ssh")
    return {**here, "GIT_ALLOW_PROTOCOL": way.scheme, "GIT_SSH_COMMAND": f"{ssh} -oBatchMode=yes"}


def _entry(line: bytes) -> Entry:
    head, _, path = line.partition(b"\t")
    mode, kind, oid = head.decode().split()
    names = {"120000": "link", "160000": "submodule"}
    return Entry(os.fsdecode(path), names.get(mode, kind), oid)


def _fault(said: bytes) -> SourceError:
    """What git said as one of our errors, without user names and passwords."""
    text = _USERINFO.sub("***", said.decode(errors="replace"))
    for pattern, make, message in _FAULTS:
        if pattern.search(text):
            return make(message)
    lines = [line for line in text.splitlines() if line.startswith(("fatal:", "error:"))] or text.splitlines()
    first = lines[0].partition(": ")[2] or lines[0] if lines else "git failed"
    return SourceError(f"cannot be read by git ({first[:200]}); check it with `git fsck`")


def _size(folder: Path) -> int:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_size  # noqa: PTH118
            except FileNotFoundError:  # git renames its files as it goes
                continue
    return total
