"""What targets and manifests come to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from index.errors import SourceError
from index.values import Kind
from ingest.fetch import Fetcher
from ingest.names import shown
from ingest.sources import Facts, Limits, Source, load
from ingest.targets import find

Tree = Callable[..., Path]


def test_a_folder_gives_its_readable_files_in_order(tree: Tree) -> None:
    root = tree({"b/z.md": "z", "a.tex": "a", "b/a.PDF": "x", ".git/c.md": "c", "b/.d.md": "d", "p.png": "p"})
    found = find([str(root)])
    assert [source.path for source in found.sources] == ["a.tex", "b/a.PDF", "b/z.md"]
    assert found.sources[0].location == str(root / "a.tex")
    assert found.sources[0].uri == (root / "a.tex").as_uri()
    assert not found.problems
    assert "1 .png" in found.notes[0].why


def test_a_file_keeps_the_name_it_was_given(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree({"papers/a.md": "a"}))
    source = find(["papers/a.md"]).sources[0]
    assert source.path == "papers/a.md"
    assert Path(source.location).is_absolute()


def test_a_named_file_is_taken_whatever_its_extension(tree: Tree) -> None:
    root = tree({"README": "words"})
    assert [source.path for source in find([str(root / "README")]).sources] == [str(root / "README")]


@pytest.mark.parametrize("pattern", ["*.md", "**/*.md", "[ab]/?.md"])
def test_a_pattern_gives_what_it_matches(tree: Tree, pattern: str) -> None:
    root = tree({"a/x.md": "1", "b/y.md": "2", "b/.hidden.md": "3", "top.md": "4", "top.txt": "5"})
    expected = {
        "*.md": ["top.md"],
        "**/*.md": ["a/x.md", "b/y.md", "top.md"],
        "[ab]/?.md": ["a/x.md", "b/y.md"],
    }
    assert [source.path for source in find([str(root / pattern)]).sources] == expected[pattern]


def test_a_url_is_its_own_address_without_its_fragment() -> None:
    source = find(["https://example.org/paper.pdf#page=2"]).sources[0]
    assert source == Source(*["https://example.org/paper.pdf"] * 3)
    assert source.remote


def test_base_url_stands_in_front_of_the_path_in_the_folder(tree: Tree) -> None:
    root = tree({"sub/a b.md": "a"})
    found = find([str(root)], base_url="https://example.org/blob/main/")
    assert found.sources[0].uri == "https://example.org/blob/main/sub/a%20b.md"


def test_the_same_file_named_twice_is_one_source(tree: Tree) -> None:
    root = tree({"a.md": "a"})
    found = find([str(root), str(root / "a.md"), str(root / "*.md")])
    assert len(found.sources) == 1
    assert not found.problems


def test_two_files_with_one_address_are_told_apart(tree: Tree) -> None:
    root = tree({"x/a.md": "1", "y/a.md": "2"})
    found = find([str(root / "x"), str(root / "y")], base_url="https://example.org")
    assert len(found.sources) == 1
    assert "address" in found.problems[0].why


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("missing.md", "no such file"),
        ("empty", "holds no file"),
        ("only", "holds no file"),
        ("*.md", "holds no file"),
    ],
)
def test_a_target_with_nothing_in_it_is_a_problem(tree: Tree, target: str, reason: str) -> None:
    root = tree({"only/p.png": "p"})
    (root / "empty").mkdir()
    found = find([str(root / target)])
    assert not found.sources
    assert reason in found.problems[0].why
    assert found.problems[0].what == str(root / target)


@pytest.mark.parametrize("target", ["long" * 99, "a/**b/*.md" + "c" * 300, "nul\0.md"])
def test_a_target_that_can_be_no_path_is_a_problem(target: str) -> None:
    found = find([target])
    assert not found.sources
    assert [problem.what for problem in found.problems] == [shown(target)]


def test_a_manifest_gives_addresses_and_facts(tree: Tree, manifest: Callable[..., Path]) -> None:
    root = tree({"papers/a.md": "a", "papers/b.md": "b"})
    listed = manifest(root, ["papers/a.md"])
    found = find([str(root / "papers")], manifest=listed, stated=Facts(chain="eip155:1", licence="MIT"))
    first, second = found.sources
    assert (first.path, first.uri) == ("papers/a.md", "https://example.org/at/papers/a.md")
    assert first.stated == Facts(kind=Kind.PAPER, chain="eip155:1", licence="MIT", commit="c0ffee")
    assert second.uri == (root / "papers/b.md").as_uri()
    assert [one.path for one in find([str(root)], manifest=listed).sources] == ["papers/a.md", "papers/b.md"]


def test_a_manifest_alone_means_everything_in_it(tree: Tree, manifest: Callable[..., Path]) -> None:
    root = tree({"a.md": "a", "b.md": "b", "c.md": "c"})
    found = find([], manifest=manifest(root, ["b.md", "a.md"]))
    assert [source.path for source in found.sources] == ["b.md", "a.md"]


def test_kinds_that_are_no_documents_are_left_out_with_a_note(
    tree: Tree, manifest: Callable[..., Path]
) -> None:
    root = tree({"blocks.jsonl": "{}"})
    found = find([], manifest=manifest(root, ["blocks.jsonl"], kind="chain"))
    assert not found.sources
    assert not found.problems
    assert "chain" in found.notes[0].why


def test_what_a_manifest_lists_and_the_disk_lacks_is_a_problem(
    tree: Tree, manifest: Callable[..., Path]
) -> None:
    root = tree({"in/a.md": "a", "in/b.md": "b", "out/c.md": "c"})
    listed = manifest(root, ["in/a.md", "in/b.md", "out/c.md"])
    (root / "in/a.md").unlink()
    (root / "out/c.md").unlink()
    found = find([str(root / "in")], manifest=listed)
    assert [source.path for source in found.sources] == ["in/b.md"]
    assert [problem.what for problem in found.problems] == ["in/a.md"]
    assert [problem.what for problem in find([], manifest=listed).problems] == ["in/a.md", "out/c.md"]


def test_a_file_that_is_not_what_the_manifest_says_is_refused(
    tree: Tree, manifest: Callable[..., Path]
) -> None:
    root = tree({"a.md": "a"})
    found = find([], manifest=manifest(root, ["a.md"]))
    assert load(found.sources[0], Fetcher()).body == b"a"
    (root / "a.md").write_text("changed")
    with pytest.raises(SourceError, match="sha256"):
        load(found.sources[0], Fetcher())


@pytest.mark.parametrize("path", ["../outside.md", "/etc/hostname", "link.md"])
def test_a_manifest_cannot_leave_its_folder(tree: Tree, path: str) -> None:
    root = tree({"inside/a.md": "a", "outside.md": "secret"})
    (root / "inside/link.md").symlink_to(root / "outside.md")
    listed = root / "inside/MANIFEST.json"
    listed.write_text(f'[{{"path": "{path}", "source": "https://example.org"}}]')
    found = find([], manifest=listed)
    assert not found.sources
    assert "folder" in found.problems[0].why


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not JSON"),
        ("{}", "not a list"),
        ("[1]", "needs the texts"),
        ('[{"path": "a\\u0000.md", "source": "x"}]', "no usable file"),
        (f'[{{"path": "{"long" * 99}.md", "source": "x"}}]', "no usable file"),
        ('[{"path": 3, "source": "x"}]', "needs the texts"),
        ('[{"path": "a.md", "source": "x"}, {"path": "./a.md", "source": "y"}]', "twice"),
    ],
)
def test_a_faulty_manifest_gives_one_line_each(tree: Tree, text: str, reason: str) -> None:
    root = tree({"a.md": "a", "MANIFEST.json": text})
    problems = find([], manifest=root / "MANIFEST.json").problems
    assert len(problems) == 1
    assert reason in str(problems[0])


def test_a_manifest_that_is_not_there_stops_the_search(tree: Tree) -> None:
    root = tree({"a.md": "a"})
    found = find([str(root)], manifest=root / "none.json")
    assert not found.sources
    assert "cannot be read" in found.problems[0].why


def test_a_large_file_is_refused_before_it_is_read(tree: Tree) -> None:
    root = tree({})
    with (root / "large.txt").open("wb") as file:
        file.truncate(200 << 20)
    source = find([str(root / "large.txt")]).sources[0]
    with pytest.raises(SourceError, match="200 MiB is over the limit of 32 MiB"):
        load(source, Fetcher())


def test_a_pdf_has_a_limit_of_its_own(tree: Tree) -> None:
    root = tree({"a.pdf": b"%PDF-1.4" + bytes(2000), "a.txt": b"word " * 400})
    limits = Limits(text_bytes=1000, pdf_bytes=4000)
    pdf, text = find([str(root)]).sources
    assert len(load(pdf, Fetcher(), limits=limits).body) == 2008
    with pytest.raises(SourceError, match="limit"):
        load(text, Fetcher(), limits=limits)


def test_what_vanished_or_is_no_file_is_said(tree: Tree) -> None:
    root = tree({"a.md": "a"})
    for location in (root / "gone.md", root):
        with pytest.raises(SourceError, match="no such file"):
            load(Source(str(location), "x", "file:///x"), Fetcher())


def test_facts_that_are_stated_win() -> None:
    mine = Facts(title="Mine", published_at=date(2020, 1, 1))
    both = mine.over(Facts(title="Its own", authors=("Ann",)))
    assert both == Facts(title="Mine", authors=("Ann",), published_at=date(2020, 1, 1))


def test_the_shared_corpus_is_found_whole(shared: Path) -> None:
    found = find([], manifest=shared / "corpus/MANIFEST.json")
    assert len(found.sources) == 1420
    assert not found.problems
