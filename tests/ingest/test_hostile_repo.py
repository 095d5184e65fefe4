"""A repository that somebody else packed: whatever its configuration says, nothing of it runs or connects.

Each trap is first sprung with git itself, so that what keeps it shut is known to be chaincite.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from chaincite import main
from index.library import Library
from tests.conftest import HANG
from tests.ingest.gitserver import IDENTITY, Repo

WORDS = "# Pool\n\nA pool takes a fee of three basis points.\n"
SECRET = "# Diary\n\nThe zebra sleeps in the vault.\n"
ATTRIBUTES = {".git/info/attributes": "*.md filter=evil diff=evil\n"}
LAZY = {"extensions.partialClone": "origin", "core.repositoryFormatVersion": "1"}
PROMISOR = {"remote.origin.promisor": "true"}
READ = ("cat-file", "-p", "HEAD:a.md")
OPEN = {f"protocol.{name}.allow": "always" for name in ("ext", "file", "git", "http", "https", "ssh")}


@dataclass(frozen=True)
class Scene:
    """A folder as it was unpacked, beside a repository of the person who unpacked it."""

    repo: Repo
    other: Repo
    canary: Path
    script: Path
    listener: socket.socket

    @property
    def git_folder(self) -> Path:
        return self.repo.folder / ".git"

    def filled(self, text: str) -> str:
        return text.format(
            run=self.script,
            sh=f"sh -c touch% {self.canary}",
            port=self.listener.getsockname()[1],
            other=self.other.folder,
            blob=self.repo.git("rev-parse", "HEAD:a.md"),
        )

    def write(self, path: str, text: str) -> None:
        file = self.repo.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self.filled(text))
        file.chmod(0o755)

    def lay(self, trap: Trap) -> None:
        for path, text in trap.files.items():
            self.write(path, text)
        for key, value in trap.config.items():
            self.repo.git("config", self.filled(key), self.filled(value))
        if trap.lacks:
            oid = self.repo.git("rev-parse", "HEAD:a.md")
            (self.git_folder / "objects" / oid[:2] / oid[2:]).unlink()
        trap.more(self)

    def connected(self) -> bool:
        """Whether somebody connected since this was last asked."""
        self.listener.setblocking(False)
        try:
            self.listener.accept()[0].close()
        except BlockingIOError:
            return False
        self.connected()
        return True

    def sprung(self, *command: str) -> bool:
        """Whether git runs or reaches something; resets the trap."""
        folder, terminal = os.openpty()
        with self._answering() as reached:
            subprocess.run(
                ["git", "-C", str(self.repo.folder), *command],
                stdin=subprocess.DEVNULL,
                stdout=terminal,
                stderr=terminal,
                env={**os.environ, **IDENTITY, "GIT_TERMINAL_PROMPT": "0"},
                timeout=HANG,
            )
        os.close(folder)
        os.close(terminal)
        sprung = self.canary.exists() or bool(reached)
        self.canary.unlink(missing_ok=True)
        self.connected()
        return sprung

    @contextmanager
    def _answering(self) -> Iterator[list[bytes]]:
        """Asks for a password whoever connects."""
        reached: list[bytes] = []
        done = threading.Event()

        def answer() -> None:
            self.listener.settimeout(0.02)
            while not done.is_set():
                try:
                    with self.listener.accept()[0] as connection:
                        connection.settimeout(10)
                        reached.append(connection.recv(4096))
                        connection.sendall(
                            b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"
                        )
                except TimeoutError:
                    continue

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield reached
        finally:
            done.set()
            thread.join()


@dataclass(frozen=True)
class Trap:
    """What somebody packed.

    config: of the repository; files: in its folder; more: what else is done; lacks: an object is missing;
    springs: the git command that falls in, where one does; says: what chaincite says where it does not read.
    """

    config: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    more: Callable[[Scene], object] = lambda _: None
    lacks: bool = False
    springs: tuple[str, ...] = ()
    says: str = ""


def lazy(url: str, *, lost: Mapping[str, str] = LAZY, **config: str) -> Trap:
    """A lazy fetch of the object that is missing. config: keys with `__` for a dot."""
    keys = {name.replace("__", "."): value for name, value in config.items()}
    return Trap(
        {**lost, **OPEN, "remote.origin.url": url, **keys}, lacks=True, springs=READ, says="lacks the object"
    )


def signed(kind: str) -> Callable[[Scene], object]:
    """Makes the commit one with a signature."""

    def sign(scene: Scene) -> None:
        raw = scene.repo.git("cat-file", "commit", "HEAD")
        head, _, message = raw.partition("\n\n")
        name = f"gpgsig -----BEGIN {kind} SIGNATURE-----\n \n YQ==\n -----END {kind} SIGNATURE-----"
        body = f"{head}\n{name}\n\n{message}\n".encode()
        scene.repo.git(
            "update-ref", "HEAD", scene.repo.git("hash-object", "-t", "commit", "-w", "--stdin", given=body)
        )

    return sign


def linked(path: str) -> Callable[[Scene], object]:
    """Puts a link to the same place of the other repository there."""

    def link(scene: Scene) -> None:
        place = scene.git_folder / path
        if place.is_dir():
            shutil.rmtree(place)
        place.unlink(missing_ok=True)
        place.symlink_to(scene.other.folder / ".git" / path)

    return link


def git_file(text: str, keep: str = "") -> Callable[[Scene], object]:
    """Makes `.git` a file. keep: where the folder goes."""

    def put(scene: Scene) -> None:
        if keep:
            scene.git_folder.rename(scene.repo.folder / keep)
        else:
            shutil.rmtree(scene.git_folder)
        scene.git_folder.write_text(f"gitdir: {text.format(other=scene.other.folder)}\n")

    return put


def other_watches(scene: Scene) -> None:
    scene.other.git("config", "core.fsmonitor", str(scene.script))


def replaced_object(scene: Scene) -> None:
    blob = scene.repo.git("hash-object", "-w", "--stdin", given=SECRET.encode())
    scene.repo.git("replace", "HEAD:a.md", blob)


def submodule(scene: Scene) -> None:
    inner = Repo(scene.repo.folder / "sub")
    inner.commit({"b.md": "# Inner\n"})
    inner.git("config", "core.fsmonitor", str(scene.script))
    scene.repo.git("-c", "core.fsmonitor=false", "add", "sub")
    scene.repo.git("-c", "core.fsmonitor=false", "commit", "-q", "-m", "sub")
    scene.canary.unlink(missing_ok=True)


def bare(scene: Scene) -> None:
    for entry in list(scene.git_folder.iterdir()):
        entry.rename(scene.repo.folder / entry.name)
    scene.git_folder.rmdir()


HTTP = "http://127.0.0.1:{port}/x"
WATCH = {"core.fsmonitor": "{run}"}
STATUS = ("status",)
COMMIT = ("commit", "--allow-empty", "--quiet", "-m", "x")

TRAPS: dict[str, Trap] = {
    "a hook": Trap(files={".git/hooks/pre-commit": "#!/bin/sh\n{run}\n"}, springs=COMMIT),
    "hooks of its own": Trap(
        {"core.hooksPath": "hooks"}, {"hooks/pre-commit": "#!/bin/sh\n{run}\n"}, springs=COMMIT
    ),
    "a file monitor": Trap(WATCH, springs=STATUS),
    "a pager": Trap({"core.pager": "{run}"}, springs=("log",)),
    "a pager of one command": Trap({"pager.log": "{run}"}, springs=("log",)),
    "an editor": Trap({"core.editor": "{run}"}, springs=("commit", "--allow-empty")),
    "an alias": Trap({"alias.evil": "!{run}"}, springs=("evil",)),
    "an OpenPGP program": Trap(
        {"gpg.program": "{run}", "log.showSignature": "true"}, more=signed("PGP"), springs=("log",)
    ),
    "an SSH signature program": Trap(
        {"gpg.ssh.program": "{run}", "gpg.ssh.allowedSignersFile": "a.md", "log.showSignature": "true"},
        more=signed("SSH"),
        springs=("log",),
    ),
    "a clean filter": Trap(
        {"filter.evil.clean": "{run}"}, ATTRIBUTES, springs=("add", "--renormalize", ".")
    ),
    "a smudge filter": Trap(
        {"filter.evil.smudge": "{run}"},
        ATTRIBUTES,
        lambda scene: (scene.repo.folder / "a.md").unlink(),
        springs=("checkout", "a.md"),
    ),
    "a filter process": Trap(
        {"filter.evil.process": "{run}"}, ATTRIBUTES, springs=("add", "--renormalize", ".")
    ),
    "text conversion": Trap(
        {"diff.evil.textconv": "{run}"}, ATTRIBUTES, springs=("show",)
    ),
    "an external diff": Trap({"diff.external": "{run}"}, springs=("show", "--ext-diff")),
    "a diff driver": Trap(
        {"diff.evil.command": "{run}"}, ATTRIBUTES, springs=("show", "--ext-diff")
    ),
    "an archiver": Trap({"tar.evil.command": "{run}"}, springs=("archive", "--format=evil", "HEAD")),
    "an included file": Trap(
        {"include.path": "../more"}, {"more": "[core]\nfsmonitor = {run}\n"}, springs=STATUS
    ),
    "a conditional include": Trap(
        {"includeIf.gitdir:/**.path": "../more"}, {"more": "[core]\nfsmonitor = {run}\n"}, springs=STATUS
    ),
    "configuration of the work tree": Trap(
        {"extensions.worktreeConfig": "true", "core.repositoryFormatVersion": "1"},
        {".git/config.worktree": "[core]\nfsmonitor = {run}\n"},
        springs=STATUS,
    ),
    "a work tree elsewhere": Trap({**WATCH, "core.worktree": "{other}"}, springs=STATUS),
    "a bare folder": Trap(WATCH, more=bare, springs=("--work-tree=.", "status")),
    "a git file within": Trap(WATCH, more=git_file("real", keep="real"), springs=STATUS),
    "a submodule": Trap(more=submodule, springs=STATUS),
    "a git file that leads elsewhere": Trap(
        more=lambda scene: (other_watches(scene), git_file("{other}/.git")(scene)),
        springs=STATUS,
        says="give that folder itself",
    ),
    "a common folder elsewhere": Trap(
        files={".git/commondir": "{other}/.git\n"}, more=other_watches, springs=STATUS
    ),
    "alternates": Trap(
        {"core.alternateRefsCommand": "{run}"},
        {".git/objects/info/alternates": "{other}/.git/objects\n"},
        springs=("rev-list", "--alternate-refs"),
        says="borrows objects",
    ),
    "alternates by http": Trap(
        files={".git/objects/info/http-alternates": HTTP + "\n"}, says="borrows objects"
    ),
    "objects that are a link": Trap(more=linked("objects"), says="is a link"),
    "packs that are a link": Trap(more=linked("objects/pack"), says="is a link"),
    "references that are a link": Trap(more=linked("refs"), says="is a link"),
    "a branch elsewhere": Trap(files={".git/HEAD": "ref: ../{other}/.git/HEAD\n"}, says="is no git"),
    "an object in place of another": Trap(more=replaced_object),
    "grafts": Trap(files={".git/info/grafts": "{blob}\n"}),
    "a broken shallow file": Trap(files={".git/shallow": "nonsense\n"}, says="shallow"),
    "a lazy fetch by ext": lazy("ext::{sh}"),
    "a promisor by ext": lazy("ext::{sh}", lost=PROMISOR),
    "a helper for the remote": lazy("{sh}", remote__origin__vcs="ext"),
    "an address in place of another": lazy("x:y", **{"url.ext::{sh}.insteadOf": "x:y"}),
    "any protocol": lazy("ext::{sh}", protocol__allow="always"),
    "a program for uploads": lazy("file://{other}", remote__origin__uploadpack="{run}"),
    "an object of another repository": replace(lazy("file://{other}"), springs=()),
    "a hook for packs": replace(lazy("file://{other}", uploadpack__packObjectsHook="{run}"), springs=()),
    "an ssh command": lazy("ssh://127.0.0.1:{port}/x", core__sshCommand="{run}"),
    "a proxy command": lazy("git://127.0.0.1:{port}/x", core__gitProxy="{run}"),
    "a lazy fetch by git": lazy("git://127.0.0.1:{port}/x"),
    "a lazy fetch by http": lazy(HTTP),
    "an http proxy": lazy("http://127.0.0.1:1/x", http__proxy="127.0.0.1:{port}"),
    "a credential helper": lazy(HTTP, credential__helper="!{run}"),
    "a program for passwords": lazy(HTTP, core__askPass="{run}"),
}  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders that every scene begins with, and one library for all."""
    root = tmp_path_factory.mktemp("hostile")
    for name, files in (("repo", {"a.md": WORDS}), ("other", {"a.md": WORDS, "diary.md": SECRET})):
        Repo(root / name).commit(files)
        shutil.rmtree(root / name / ".git" / "hooks")
    return root


@pytest.fixture
def scene(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setenv("CHAINCITE_REPO_TIMEOUT", "5")
    monkeypatch.setattr(sys, "argv", sys.argv)
    script = tmp_path / "run"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path / 'canary'}\nexit 1\n")
    script.chmod(0o755)
    repo, other = (Repo.at(shutil.copytree(built / name, tmp_path / name)) for name in ("repo", "other"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Scene(repo, other, tmp_path / "canary", script, listener)


def chaincite(library: Path, *arguments: str | Path) -> int:
    """Runs a command in this process; returns its exit status."""
    sys.argv = ["chaincite", "--library", str(library), *map(str, arguments)]
    return main()


@pytest.mark.parametrize("name", TRAPS)
def test_a_packed_repository_runs_nothing_and_reaches_nothing(
    name: str, scene: Scene, built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trap, library = TRAPS[name], built / "library"
    scene.lay(trap)
    status = chaincite(library, "ingest", "repo", scene.repo.folder, "--history", "1")
    said = capsys.readouterr().err
    assert not scene.canary.exists()
    assert not scene.connected()
    assert (status, trap.says in said, "Traceback" in said) == (2 if trap.says else 0, True, False), said
    assert read_of(library, scene.repo) == ([] if trap.says else [WORDS])
    assert not trap.springs or scene.sprung(*trap.springs), "git itself does not fall into this trap"


def read_of(library: Path, repo: Repo) -> list[str]:
    """The texts of the files that a library holds of a repository."""
    opened = Library(library)
    return [
        "".join(passage.text for passage in opened.passages(document.uri))
        for document in opened.documents()
        if document.uri.startswith(f"git+{repo.folder.as_uri()}@HEAD#")
    ]


SOME = ("a lazy fetch by ext", "a lazy fetch by http", "a git file that leads elsewhere", "alternates")


def test_sync_runs_nothing_and_reaches_nothing(
    scene: Scene, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "sources.toml"
    plan.write_text("".join(f'[[repo]]\nurl = "{name}"\n' for name in SOME))
    for name in SOME:
        folder = shutil.copytree(built / "repo", tmp_path / name)
        replace(scene, repo=Repo.at(folder)).lay(TRAPS[name])
    assert chaincite(tmp_path / "library", "sync", plan) == 2
    said = capsys.readouterr().err
    assert [name for name in SOME if f"repo {name}: " in said and TRAPS[name].says in said] == list(SOME)
    assert not scene.canary.exists()
    assert not scene.connected()


def test_verify_runs_nothing_and_reaches_nothing(
    scene: Scene, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = tmp_path / "library"
    chaincite(library, "ingest", "repo", scene.repo.folder)
    assert chaincite(library, "ask", "What fee does a pool take?") == 0
    assert chaincite(library, "verify", "last") == 0
    for name in SOME[::2]:
        shutil.rmtree(scene.repo.folder)
        shutil.copytree(built / "repo", scene.repo.folder)
        scene.lay(TRAPS[name])
        capsys.readouterr()
        assert chaincite(library, "verify", "last") == 1
        assert TRAPS[name].says in capsys.readouterr().out
    assert not scene.canary.exists()
    assert not scene.connected()
