"""Repositories: each line citable at its commit, only what changed is read, and nothing of theirs runs."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.answers.place import citation_line, link
from index import doctor
from index.errors import Gone, SourceError, Unreachable
from index.library import Library
from index.values import Kind, SourceRef
from ingest.connector import Doors
from ingest.engine import Engine, Report
from ingest.fetch import Fetcher
from ingest.registry import reread
from ingest.repo.address import HEAD, located, parse, web_page
from ingest.repo.connector import Repository
from ingest.repo.git import Entry
from ingest.repo.licence import licence_of
from ingest.repo.options import Repo as Options
from ingest.repo.selection import Selection
from ingest.sources import Limits
from tests.conftest import ROOT, Run
from tests.ingest.gitserver import Repo, served

TOKEN = """// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// A token that can be sent.
contract Token {
    /// Tokens went from one account to another, which wallets and explorers show to their users.
    event Transfer(address indexed from, address indexed to, uint256 value);

    /// Sends tokens to an account, and fails when the sender has too few of them to give away.
    function transfer(address to, uint256 value) external returns (bool) {
        emit Transfer(msg.sender, to, value);
        return true;
    }
}
"""
TOPIC = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
README = "# Token\n\nA token for tests.\n"
FILES: dict[str, str | bytes | None] = {
    "src/Token.sol": TOKEN,
    "README.md": README,
    "tools/run.py": "def main():\n    return 1\n",
    "LICENSE": "Permission is hereby granted, free of charge, to any person obtaining a copy\n",
}


def synced(
    library: Path,
    target: object,
    limits: Limits = Limits(),
    allow_private: bool = True,
    **chosen: Any,
) -> Report:
    with Library.writer(library) as writer, Fetcher(allow_private=allow_private) as fetcher:
        return Engine(writer).run(Repository(Options(url=str(target), **chosen), Doors(fetcher, limits)))


def counts(report: Report) -> tuple[int, int, int, int]:
    return report.added, report.changed, report.unchanged, report.removed


def reference(library: Path, uri_end: str, words: str) -> SourceRef:
    """The reference to the passage of a document that holds some words."""
    opened = Library(library)
    document = next(d for d in opened.documents() if d.uri.endswith(uri_end))
    passage = next(p for p in opened.passages(document.uri) if words in p.text)
    return SourceRef.of(document, passage)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    made = Repo(tmp_path / "token")
    made.commit(FILES, "Add a token")
    return made


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return tmp_path / "library"


def test_a_citation_is_repository_commit_path_and_lines(repo: Repo, library: Path) -> None:
    repo.git("remote", "add", "origin", "git@github.com:example/token.git")
    commit = repo.git("rev-parse", "HEAD")
    assert counts(synced(library, repo.folder)) == (3, 0, 0, 0)
    found = reference(library, "src/Token.sol", "function transfer")
    assert found.uri == "https://github.com/example/token/blob/HEAD/src/Token.sol"
    assert (found.commit, found.path, found.kind) == (commit, "example/token/src/Token.sol", Kind.CODE)
    assert found.line_start is not None
    assert found.line_end is not None
    lines = TOKEN.splitlines()[found.line_start - 1 : found.line_end]
    assert any("function transfer" in line for line in lines)
    shown = (
        f"https://github.com/example/token/blob/{commit}/src/Token.sol#L{found.line_start}-L{found.line_end}"
    )
    assert link(found) == shown
    assert f"commit {commit[:7]} of file://" in citation_line([1], found)


def test_the_link_of_gitlab_opens_at_the_lines(repo: Repo, library: Path) -> None:
    repo.git("remote", "add", "origin", "https://gitlab.com/group/sub/token.git")
    synced(library, repo.folder)
    found = reference(library, "src/Token.sol", "function transfer")
    assert found.uri == "https://gitlab.com/group/sub/token/-/blob/HEAD/src/Token.sol"
    place = f"{found.commit}/src/Token.sol#L{found.line_start}-{found.line_end}"
    assert link(found) == f"https://gitlab.com/group/sub/token/-/blob/{place}"


def test_the_link_of_a_local_repository_is_the_file(repo: Repo, library: Path) -> None:
    synced(library, repo.folder)
    found = reference(library, "src/Token.sol", "function transfer")
    assert link(found) == f"{(repo.folder / 'src/Token.sol').as_uri()}#L{found.line_start}-L{found.line_end}"
    assert found.repository == repo.folder.as_uri()


def test_passages_are_the_text_and_know_where_they_stand(repo: Repo, library: Path) -> None:
    synced(library, repo.folder)
    opened = Library(library)
    [document] = [d for d in opened.documents() if d.title == "src/Token.sol"]
    passages = opened.passages(document.uri)
    assert "".join(passage.text for passage in passages) == TOKEN
    assert document.licence == "MIT"
    assert passages[-1].heading[0] == "contract Token"
    assert all("token/src/Token.sol" in passage.identifiers for passage in passages)
    assert not any("Token.sol" in passage.context for passage in passages)


@pytest.mark.parametrize("asked", [TOPIC, "0xa9059cbb", "transfer(address,uint256)", "Token.sol"])
def test_a_topic_selector_or_signature_finds_its_declaration(repo: Repo, library: Path, asked: str) -> None:
    words = "A selector of {:08x} and a topic are hashes of signatures."
    repo.commit({f"notes/{n}.md": f"# Note {n}\n\n{words.format(n)}\n" for n in range(9)})
    synced(library, repo.folder)
    assert Library(library).search(asked, k=1)[0].document.title == "src/Token.sol"


def test_a_topic_is_found_by_the_command_line(repo: Repo, library: Path, chaincite: Run) -> None:
    done = chaincite("--library", library, "ingest", "repo", repo.folder)
    assert done.returncode == 0, done.stderr
    assert re.match(r"3 added, 0 changed, 0 unchanged, 0 skipped; \d+ passages", done.stdout)
    assert "left out 1 of other formats" in done.stderr
    found = json.loads(chaincite("--library", library, "search", TOPIC, "--json").stdout)
    assert "event Transfer" in json.dumps(found["results"][0])


def test_only_what_changed_is_read(repo: Repo, library: Path) -> None:
    first = repo.git("rev-parse", "HEAD")
    synced(library, repo.folder)
    before = Library(library)
    held = {d.uri: before.passages(d.uri) for d in before.documents()}
    assert counts(synced(library, repo.folder)) == (0, 0, 3, 0)
    assert Library(library).generation == before.generation
    second = repo.commit({"tools/run.py": "def main():\n    return 2\n"})
    report = synced(library, repo.folder)
    assert counts(report) == (0, 1, 2, 0)
    assert report.embedded == 1
    after = Library(library)
    commits = {document.title: document.commit for document in after.documents()}
    assert commits == {"src/Token.sol": first, "Token": first, "tools/run.py": second}
    for document in after.documents():
        assert (after.passages(document.uri) == held[document.uri]) == (document.commit == first)


def test_a_renamed_file_keeps_its_vectors(repo: Repo, library: Path) -> None:
    synced(library, repo.folder)
    repo.git("mv", "src", "contracts")
    repo.git("mv", "contracts/Token.sol", "contracts/Coin.sol")
    repo.commit({})
    report = synced(library, repo.folder)
    assert counts(report) == (1, 0, 2, 1)
    assert report.embedded == 0
    assert {d.title for d in Library(library).documents()} == {"contracts/Coin.sol", "Token", "tools/run.py"}
    assert Library(library).search("Coin.sol", k=1)[0].document.title == "contracts/Coin.sol"


def test_a_deleted_file_is_gone_at_the_next_search(repo: Repo, library: Path) -> None:
    synced(library, repo.folder)
    repo.commit({"src/Token.sol": None})
    assert counts(synced(library, repo.folder)) == (0, 0, 2, 1)
    assert all(hit.document.title != "src/Token.sol" for hit in Library(library).search(TOPIC))
    assert list(doctor.faults(library)) == []


@pytest.mark.slow
def test_after_any_commits_the_library_is_that_of_the_last_one(
    repo: Repo, library: Path, tmp_path: Path
) -> None:
    chance = random.Random(5)
    names = [
        f"{folder}/{name}{suffix}" for folder in "ab" for name in "xy" for suffix in (".sol", ".py", ".md")
    ]
    there: set[str] = set()
    for step in range(5):
        change: dict[str, str | bytes | None] = {}
        for path in chance.sample(names, 4):
            gone = path in there and chance.random() < 0.4
            body = f"# {path} {step}\n" if path.endswith("md") else f"contract C{step} {{ uint public a; }}\n"
            change[path] = None if gone else body
            (there.discard if gone else there.add)(path)
        repo.commit(change)
        synced(library, repo.folder)
    fresh = tmp_path / "fresh"
    synced(fresh, repo.folder)
    kept, made = Library(library), Library(fresh)
    assert [d.uri for d in kept.documents()] == [d.uri for d in made.documents()]
    for document in made.documents():
        assert kept.passages(document.uri) == made.passages(document.uri)
    texts = [passage.indexed_text for d in made.documents() for passage in made.passages(d.uri)]
    assert np.isfinite(made.embed(texts)).all()
    assert list(doctor.faults(library)) == []


def test_equal_files_are_two_documents(repo: Repo, library: Path) -> None:
    repo.commit({"copy/Token.sol": TOKEN})
    report = synced(library, repo.folder)
    assert counts(report) == (4, 0, 0, 0)
    assert report.embedded < report.passages
    repo.commit({"copy/Token.sol": None})
    assert counts(synced(library, repo.folder)) == (0, 0, 3, 1)
    assert Library(library).search(TOPIC, k=1)[0].document.title == "src/Token.sol"


def test_a_file_that_cannot_be_read_is_skipped_and_its_last_form_stays(repo: Repo, library: Path) -> None:
    synced(library, repo.folder)
    repo.commit({"tools/run.py": bytes(range(1, 32)) * 40, "new.py": "a = 1\n"})
    report = synced(library, repo.folder)
    assert counts(report) == (1, 0, 2, 0)
    assert [(problem.what, problem.why[:9]) for problem in report.skipped] == [("tools/run.py", "is binary")]
    assert "tools/run.py" in {document.title for document in Library(library).documents()}


def test_refs_stand_beside_each_other(repo: Repo, library: Path) -> None:
    first = repo.git("rev-parse", "HEAD")
    repo.git("tag", "-a", "v1", "-m", "one")
    repo.commit({"tools/run.py": None})
    assert counts(synced(library, repo.folder, ref="v1")) == (3, 0, 0, 0)
    assert counts(synced(library, repo.folder)) == (2, 0, 0, 0)
    tagged = [d for d in Library(library).documents() if "@v1#" in d.location]
    assert {d.commit for d in tagged} == {first}


def test_the_last_messages_are_read_and_each_cites_its_commit(repo: Repo, library: Path) -> None:
    second = repo.commit({"a.py": "a = 1\n"}, "Fix the rounding of shares\n\nIt favoured the attacker.")
    third = repo.commit({"a.py": "a = 2\n"}, "Raise the cap")
    assert synced(library, repo.folder, history=2).added == 6
    hits = Library(library).search("why was the rounding of shares fixed", k=1)
    assert (hits[0].document.commit, hits[0].document.authors) == (second, ("Ada",))
    assert "favoured the attacker" in hits[0].passage.text
    fourth = repo.commit({}, "Lower the cap")
    assert counts(synced(library, repo.folder, history=2))[::3] == (1, 1)
    assert {d.commit for d in Library(library).documents() if "/commit/" in d.path} == {third, fourth}
    cited = SourceRef.of(hits[0].document, hits[0].passage)
    assert reread(cited, Doors(Fetcher())).document.sha256 == cited.sha256


def test_include_and_exclude_choose_files(repo: Repo, library: Path) -> None:
    assert counts(synced(library, repo.folder, include=("*.sol", "*.py"))) == (2, 0, 0, 0)
    assert counts(synced(library, repo.folder, exclude=("/tools/",))) == (1, 0, 1, 1)
    assert {d.title for d in Library(library).documents()} == {"src/Token.sol", "Token"}


LEFT_OUT: dict[str, tuple[str, bytes]] = {
    "vendored": ("node_modules/dep/index.js", b"let a = 1;\n"),
    "generated": ("pkg/api.pb.go", b"// Code generated by protoc. DO NOT EDIT.\npackage api\n"),
    "minified": ("web/app.js", b"var a=1;" * 2000),
    "lock files": ("package-lock.json", b"{}\n"),
    "binary": ("src/blob.rs", b"\x00\x01" * 200),
    "huge": ("src/big.sol", b"// a line of words\n" * 100_000),
    "hidden": (".github/workflows/ci.yml", b"on: push\n"),
    "data": ("data/prices.json", b'{"price": 1}\n' * 4000),
    "empty": ("pkg/__init__.py", b""),
    "of other formats": ("logo.svg", b"<svg/>\n"),
}


def test_what_people_did_not_write_is_left_out_and_counted(repo: Repo, library: Path) -> None:
    repo.commit(dict(LEFT_OUT.values()))
    (repo.folder / "away.sol").symlink_to("/etc/hostname")
    repo.commit({"LICENSE": None})
    report = synced(library, repo.folder)
    assert counts(report) == (3, 0, 0, 0)
    assert report.lost_by_reason == {**dict.fromkeys(LEFT_OUT, 1), "links": 1}


def test_an_include_with_a_folder_brings_what_is_left_out(repo: Repo, library: Path) -> None:
    repo.commit({"node_modules/dep/a.sol": "contract A {}\n", "node_modules/dep/b.js": "let b = 1;\n"})
    assert counts(synced(library, repo.folder, include=("*.sol",))) == (1, 0, 0, 0)
    assert counts(synced(library, repo.folder, include=("node_modules/**/*.sol",))) == (1, 0, 0, 1)


def test_an_include_brings_files_of_other_formats(repo: Repo, library: Path) -> None:
    repo.commit({"docs/page.html": "<html><body><p>Shares are rounded down.</p></body></html>"})
    assert counts(synced(library, repo.folder, include=("*.html",))) == (1, 0, 0, 0)


def test_gitattributes_are_heeded() -> None:
    selection = Selection()
    selection.heed("", "*.sol linguist-generated\n/keep.sol -linguist-generated\nold/** linguist-vendored")
    selection.heed("sub/", "*.sol linguist-generated=false\n# *.py linguist-generated")
    paths = ["a.sol", "keep.sol", "old/a.py", "sub/b.sol", "sub/c.py"]
    chosen = selection.of(Entry(path, "blob", "0") for path in paths)
    assert [entry.path for entry in chosen] == ["keep.sol", "sub/b.sol", "sub/c.py"]
    assert selection.left_out == {"generated": 1, "vendored": 1}


def test_a_program_that_speaks_of_generated_files_is_not_one() -> None:
    selection = Selection()
    assert (
        selection.against("a.py", b'MARK = "@generated"\nCODE = "Code generated by x. DO NOT EDIT."\n')
        is None
    )
    assert selection.against("b.py", b"# @generated by a tool\n") is not None
    assert (
        selection.against("c.ts", b"/**\n * This is an autogenerated file. Edit the source.\n */\n")
        is not None
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("          GNU GENERAL PUBLIC LICENSE\n            Version 3, 29 June 2007", "GPL-3.0"),
        ("Business Source License 1.1\nAdditional Use Grant", "BUSL-1.1"),
        ("SPDX-License-Identifier: CC0-1.0", "CC0-1.0"),
        ("All rights reserved.", None),
    ],
)  # fmt: skip
def test_licences_are_known_by_their_words(text: str, name: str | None) -> None:
    assert licence_of(text) == name


def test_linked_work_trees_and_submodules_are_read(repo: Repo, library: Path, tmp_path: Path) -> None:
    repo.git("worktree", "add", "--quiet", "-b", "other", str(tmp_path / "linked"))
    Repo.at(tmp_path / "linked").commit({"tools/run.py": None})
    assert synced(library, tmp_path / "linked").added == 2
    outer = Repo(tmp_path / "outer")
    outer.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repo.folder), "inner")
    assert synced(library, outer.folder / "inner").added == 3
    shutil.move(tmp_path / "linked", tmp_path / "moved")
    with pytest.raises(SourceError, match="does not lead back; give that folder itself"):
        synced(library, tmp_path / "moved")


def test_packed_references_other_hashes_and_clones_without_history_are_read(
    repo: Repo, library: Path, tmp_path: Path
) -> None:
    repo.git("branch", "old")
    second = repo.commit({"src/Token.sol": None}, "Remove")
    repo.git("pack-refs", "--all")
    repo.git("gc", "--quiet")
    assert synced(library, repo.folder, ref="old").added == 3
    assert synced(library, repo.folder, ref=second[:9]).added == 2
    repo.git("clone", "--quiet", "--depth=1", repo.folder.as_uri(), str(tmp_path / "shallow"))
    assert synced(library, tmp_path / "shallow", history=5).added == 3
    repo.git("init", "--quiet", "--object-format=sha256", str(tmp_path / "long"))
    Repo.at(tmp_path / "long").commit(FILES)
    assert synced(library, tmp_path / "long").added == 3


def test_a_small_repository_that_unpacks_to_billions_of_files_is_refused(repo: Repo, library: Path) -> None:
    blob = repo.git("hash-object", "-w", "--stdin", given=b"contract A {}\n")
    tree = repo.git("mktree", given="".join(f"100644 blob {blob}\tf{n}.sol\n" for n in range(10)).encode())
    for _ in range(9):
        tree = repo.git("mktree", given="".join(f"040000 tree {tree}\td{n}\n" for n in range(10)).encode())
    repo.git("update-ref", "HEAD", repo.git("commit-tree", tree, "-m", "bomb"))
    with pytest.raises(SourceError, match="more than 5,000 files and folders; raise repo_max_entries"):
        synced(library, repo.folder, limits=Limits(repo_entries=5000))


def test_folders_without_end_and_without_files_are_refused(repo: Repo, library: Path) -> None:
    tree = repo.git("mktree", given=b"")
    for _ in range(9):
        tree = repo.git("mktree", given="".join(f"040000 tree {tree}\td{n}\n" for n in range(10)).encode())
    repo.git("update-ref", "HEAD", repo.git("commit-tree", tree, "-m", "bomb"))
    with pytest.raises(SourceError, match="more than 5,000 files and folders"):
        synced(library, repo.folder, limits=Limits(repo_entries=5000))


def test_a_huge_blob_that_packs_small_is_left_out_unread(repo: Repo, library: Path) -> None:
    with (repo.folder / "src" / "zeros.sol").open("wb") as file:
        file.truncate(1 << 26)
    repo.commit({})
    assert counts(synced(library, repo.folder)) == (3, 0, 0, 0)


def test_more_bytes_than_allowed_are_refused(repo: Repo, library: Path) -> None:
    with pytest.raises(SourceError, match=r"bytes to read, 500 are allowed; raise repo_max_bytes"):
        synced(library, repo.folder, limits=Limits(repo_bytes=500))


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nothing-here", "there is no folder 'nothing-here'; give an https or ssh address"),
        ("", "there is no folder ''"),
        ("file:///etc", "begin with file: are not allowed"),
        ("git://github.com/a/b", "begin with git: are not allowed"),
        ("ext::sh -c id", "there is no folder"),
        ("ssh://-oProxyCommand=id/x", "are not allowed"),
        ("https://ada:secret@github.com/a/b", "holds a user name or password"),
        ("https://github.com/a", "is no repository; give https://github.com/OWNER/NAME"),
        ("https://github.com/a/b/tree/main", "is no repository"),
        ("https://[::1/a", "is no URL"),
        ("https://example.org/a.git?x=1", "holds a query or fragment"),
    ],
)
def test_an_address_that_is_none_is_refused_in_one_line(target: str, message: str) -> None:
    with pytest.raises(SourceError, match=re.escape(message)) as raised:
        parse(target)
    assert "secret" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("ref", ["-x", "a b", "a..b", "a:b", "HEAD^", "@{u}", "a\nb", "*"])
def test_a_ref_that_cannot_be_one_is_refused(repo: Repo, ref: str) -> None:
    with pytest.raises(SourceError, match="cannot be a ref"):
        parse(str(repo.folder), ref)


def test_places_in_repositories_are_read_back() -> None:
    for target, ref in (("git@github.com:a/b.git", "feature/x"), ("ssh://git@example.org:22/r", None)):
        address = parse(target, ref)
        back, path = located(address.location("a dir/é#@.sol"))
        assert (back.origin, back.ref, path) == (address.origin, ref or HEAD, "a dir/é#@.sol")
    assert web_page("https://example.org/a/b.git") is None


def test_folders_that_are_no_repository_are_refused(repo: Repo, library: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    with pytest.raises(SourceError, match="is no git repository"):
        synced(library, plain)
    with pytest.raises(SourceError, match=r"give the repository, with --include '/src/'"):
        synced(library, repo.folder / "src")
    with pytest.raises(SourceError, match="has no commit yet"):
        synced(library, Repo(tmp_path / "empty").folder)
    with pytest.raises(SourceError, match="has no ref nope; give a branch"):
        synced(library, repo.folder, ref="nope")


def test_a_fault_is_one_line_and_costs_nothing(repo: Repo, library: Path, chaincite: Run) -> None:
    synced(library, repo.folder)
    done = chaincite("--library", library, "ingest", "repo", repo.folder, "--ref", "nope")
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"chaincite: \S+: has no ref nope; [^\n]+\n", done.stderr)
    assert len(Library(library).documents()) == 3


def test_a_citation_is_read_again(repo: Repo, library: Path) -> None:
    synced(library, repo.folder)
    cited = reference(library, "Token.sol", "function transfer")
    assert reread(cited, Doors(Fetcher())).document.sha256 == cited.sha256
    repo.commit({"src/Token.sol": TOKEN.replace("true", "false")})
    now = reread(cited, Doors(Fetcher()))
    assert now.document.sha256 != cited.sha256
    assert "return false" in now.text
    repo.commit({"src/Token.sol": None})
    with pytest.raises(Gone, match=r"src/Token.sol is not in commit"):
        reread(cited, Doors(Fetcher()))
    for place in ("git+nothing", "git+ext::sh -c id@HEAD#a.md"):
        with pytest.raises(SourceError, match="no place in a repository"):
            reread(replace(cited, location=place), Doors(Fetcher()))


def test_a_repository_of_the_network_is_read_without_its_history(
    tmp_path: Path, repo: Repo, library: Path
) -> None:
    noise = os.urandom(400_000)
    repo.commit({"logo.bin": noise, "vendor/big.go": noise.hex()})
    with served(tmp_path) as (url, sent):
        report = synced(library, f"{url}/token")
        assert counts(report) == (3, 0, 0, 0)
        assert sum(sent) < 50_000
        repo.commit({"tools/run.py": "def main():\n    return 2\n"})
        assert counts(synced(library, f"{url}/token")) == (0, 1, 2, 0)
        cited = reference(library, "Token.sol", "function transfer")
        assert cited.location == f"git+{url}/token@HEAD#src/Token.sol"
        assert reread(cited, Doors(Fetcher(allow_private=True))).document.sha256 == cited.sha256
        assert synced(library, f"{url}/token", history=2).added == 2


@pytest.mark.parametrize("config", ["uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"])
def test_servers_that_cannot_filter_are_read_too(
    tmp_path: Path, repo: Repo, library: Path, config: str
) -> None:
    repo.git("config", config, "false")
    with served(tmp_path) as (url, _):
        assert counts(synced(library, f"{url}/token")) == (3, 0, 0, 0)


def test_what_the_network_answers_instead_is_one_line(
    tmp_path: Path, repo: Repo, library: Path, closed_port: int
) -> None:
    Repo(tmp_path / "empty")
    with served(tmp_path) as (url, _):
        with pytest.raises(Gone, match="there is no such repository"):
            synced(library, f"{url}/nothing")
        with pytest.raises(SourceError, match="has no such ref"):
            synced(library, f"{url}/token", ref="nope")
        with pytest.raises(SourceError, match="has no such ref"):
            synced(library, f"{url}/empty")
        with pytest.raises(SourceError, match="is not a public address"):
            synced(library, f"{url}/token", allow_private=False)
        with pytest.raises(SourceError, match="is larger than 1,000 bytes"):
            synced(library, f"{url}/token", limits=Limits(repo_bytes=1000))
    with pytest.raises(Unreachable, match="cannot be reached"):
        synced(library, f"http://127.0.0.1:{closed_port}/token")
    with (
        served(tmp_path, moved="http://127.0.0.1:1") as (url, _),
        pytest.raises(SourceError, match="has moved"),
    ):
        synced(library, f"{url}/token")
    assert Library(library).documents() == []


def test_private_repositories_use_the_helpers_of_git_and_nothing_is_kept(
    tmp_path: Path, repo: Repo, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "config" / "git"
    own.mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(own.parent))
    with served(tmp_path, password="zebra-password") as (url, _):
        with pytest.raises(SourceError, match="needs a password or key"):
            synced(library, f"{url}/token")
        helper = "!f() { echo username=ada; echo password=zebra-password; }; f"
        (own / "config").write_text(f'[credential]\n  helper = "{helper}"\n')
        assert counts(synced(library, f"{url}/token")) == (3, 0, 0, 0)
    kept = [file for file in library.rglob("*") if file.is_file() and b"zebra-password" in file.read_bytes()]
    assert kept == []


@pytest.mark.slow
def test_published_contracts_are_found_by_selector(tmp_path: Path, library: Path) -> None:
    folder = ROOT / ".npm-tools" / "node_modules" / "@aave" / "core-v3" / "contracts"
    if not folder.is_dir():
        pytest.skip("no @aave/core-v3 in .npm-tools")
    made = Repo(tmp_path / "aave")
    names = [
        f for f in folder.rglob("*.sol") if (f.is_file() and "interfaces" in f.parts) or f.name == "Pool.sol"
    ]
    made.commit({str(file.relative_to(folder)): file.read_bytes() for file in names})
    synced(library, made.folder)
    for asked, declared in (
        ("0xab9c4b5d", "function flashLoan("),
        ("0x804c9b842b2748a22bb64b345453a3de7ca54a6ca45ce00d415894979e22897a", "event ReserveDataUpdated("),
        ("0x35ea6a75", "function getReserveData("),
    ):
        assert declared in Library(library).search(asked, k=1)[0].passage.text


def test_a_signature_follows_the_types_that_its_file_imports(repo: Repo, library: Path) -> None:
    def found(signature: str) -> bool:
        hits = Library(library).search(signature, k=1)
        return bool(hits) and any(
            signature in p.identifiers for p in Library(library).passages(hits[0].document.uri)
        )

    files: dict[str, str | bytes | None] = {
        "lib/Types.sol": "struct Key { address a; }\n",
        "lib/Again.sol": 'import "./Types.sol";\n',
        "src/Vault.sol": 'import "../lib/Again.sol";\ncontract V { function open(Key k) external {} }\n',
    }
    repo.commit(files)
    assert counts(synced(library, repo.folder, include=("/src/",)))[:2] == (2, 0)
    assert found("open((address))")
    assert counts(synced(library, repo.folder, include=("/src/",))) == (0, 0, 2, 0)
    repo.commit({"lib/Types.sol": "struct Key { address a; uint256 b; }\n"})
    assert synced(library, repo.folder, include=("/src/",)).changed >= 1
    assert found("open((address,uint256))")
    assert not found("open((address))")
    assert counts(synced(library, repo.folder, include=("/src/",))) == (0, 0, 2, 0)


def test_a_licence_that_changes_is_that_of_every_file(repo: Repo, library: Path) -> None:
    synced(library, repo.folder)
    repo.commit({"LICENSE": "Apache License\nVersion 2.0, January 2004\n"})
    synced(library, repo.folder)
    licences = {d.title: d.licence for d in Library(library).documents()}
    assert licences["tools/run.py"] == "Apache-2.0"


def test_pointers_and_submodules_are_named_and_not_read(repo: Repo, library: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "ab" * 32 + "\nsize 90405\n"
    modules = '[submodule "std"]\n\tpath = lib/std\n\turl = https://example.org/std.git\n'
    repo.commit({"docs/paper.md": pointer, ".gitmodules": modules})
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{'c' * 40},lib/std")
    repo.git("commit", "--quiet", "-m", "Add a submodule")
    report = synced(library, repo.folder)
    assert counts(report)[:2] == (3, 0)
    assert report.lost_by_reason["Git LFS pointers"] == report.lost_by_reason["submodules"] == 1
    said = " ".join(map(str, report.notes))
    assert "docs/paper.md" in said
    assert "lib/std (https://example.org/std.git)" in said


def test_names_of_any_bytes_are_files_like_others(repo: Repo, library: Path) -> None:
    blob = repo.git("hash-object", "-w", "--stdin", given=b"# Odd\n\nThe quokka factor is 7.\n")
    tree = repo.git("mktree", "-z", given=f"100644 blob {blob}\t".encode() + b"gr\xf6\xdfe #1.md\0")
    repo.git("update-ref", "HEAD", repo.git("commit-tree", tree, "-m", "odd"))
    assert counts(synced(library, repo.folder)) == (1, 0, 0, 0)
    cited = reference(library, ".md", "quokka")
    assert (cited.path, cited.location[-19:]) == ("token/gr\\xf6\\xdfe #1.md", "gr%F6%DFe%20%231.md")
    assert reread(cited, Doors(Fetcher())).document.sha256 == cited.sha256
    assert counts(synced(library, repo.folder)) == (0, 0, 1, 0)


def test_a_damaged_object_costs_its_file_alone(repo: Repo, library: Path) -> None:
    oid = repo.git("rev-parse", "HEAD:tools/run.py")
    damaged = repo.folder / ".git" / "objects" / oid[:2] / oid[2:]
    damaged.chmod(0o644)
    damaged.write_bytes(b"not an object")
    report = synced(library, repo.folder)
    assert (report.added, [problem.what for problem in report.skipped]) == (2, ["tools/run.py"])
