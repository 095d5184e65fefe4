"""Forums: every post under its author and number, only what changed read again, one line for a fault."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.answers.excerpt import at_address
from agent.answers.place import link, place
from index.errors import Gone, LibraryError, SourceError, Unreachable
from index.library import Library
from index.values import Document, Kind, SourceRef
from ingest.connector import Doors
from ingest.engine import Engine, Report
from ingest.fetch import Fetcher
from ingest.forum.connector import Topics
from ingest.forum.discourse import Place, Topic, parse
from ingest.forum.options import Forum
from ingest.forum.posts import read_topic
from ingest.registry import reread
from tests.ingest.discourse import Discourse, Said, Thread, running

NOW = datetime(2025, 1, 2, tzinfo=UTC)
LONG = "The fee switch sends a sixth of the swap fees to the treasury, and the vote is open for a week. "


@pytest.fixture
def forum() -> Iterator[Discourse]:
    with running() as found:
        found.threads = {
            7: Thread("Turn on the fee switch", [Said("I propose it."), Said("I am against it.", "bob")]),
            8: Thread("Old times", [Said("The bridge is paused.")], "old-times"),
        }
        yield found


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return tmp_path / "library"


def doors() -> Fetcher:
    return Fetcher(allow_private=True, sleep=lambda _: None)


def ingested(library: Path, url: str, limit: int = 100) -> Report:
    with doors() as door, Library.writer(library) as writer:
        return Engine(writer).run(topics(door, url, limit))


def topics(door: Fetcher, url: str, limit: int = 100) -> Topics:
    return Topics(Forum(url=url, limit=limit), Doors(door, wait=lambda _: None))


def counts(report: Report) -> tuple[int, int, int, int, int]:
    return report.added, report.changed, report.unchanged, report.removed, len(report.skipped)


def sole(library: Path) -> Document:
    [document] = Library(library).documents()
    return document


def references(library: Path) -> list[SourceRef]:
    there = Library(library)
    document = sole(library)
    return [SourceRef.of(document, passage) for passage in there.passages(document.uri)]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://f.org/t/slug/7", Place("https://f.org", 7)),
        ("https://f.org/t/slug/7/12?u=bob", Place("https://f.org", 7)),
        ("https://f.org/t/7/12", Place("https://f.org", 7)),
        ("https://f.org/forum/t/7.json", Place("https://f.org/forum", 7)),
        ("https://f.org", Place("https://f.org")),
        ("https://f.org/latest", Place("https://f.org")),
        ("https://f.org/c/a/b/9/l/top", Place("https://f.org", None, "/c/a/b/9")),
        ("https://f.org/c/a/9/none", Place("https://f.org", None, "/c/a/9")),
        ("https://f.org/tag/aave", Place("https://f.org", None, "/tag/aave")),
    ],
)
def test_an_address_names_a_topic_or_a_list(url: str, expected: Place) -> None:
    assert parse(url) == expected


@pytest.mark.parametrize("url", ["ftp://f.org/t/7", "f.org", "https://[bad/t/7", "https://f.org/t/slug"])
def test_an_address_that_names_neither_is_refused(url: str) -> None:
    with pytest.raises(SourceError, match="give"):
        parse(url)


def test_each_post_is_cited_under_its_author_and_opens_at_its_number(forum: Discourse, library: Path) -> None:
    forum.threads[7].tags = ["fees", {"id": 3, "name": "v3", "slug": "v3"}]
    forum.threads[7].posts[1].version = 2
    assert counts(ingested(library, f"{forum.root}/t/whatever/7")) == (1, 0, 0, 0, 0)
    document = sole(library)
    assert (document.kind, document.title, document.authors) == (
        Kind.FORUM,
        "Turn on the fee switch",
        ("alice", "bob"),
    )
    assert (document.category, str(document.published_at)) == ("Governance › Fees", "2024-05-01")
    first, second = references(library)
    assert (first.heading, second.heading) == (
        ("alice, 2024-05-01, #1",),
        ("bob, 2024-05-01, edited, #2",),
    )
    assert link(second) == f"{forum.root}/t/a-topic/7/2"
    assert place(second).startswith("Turn on the fee switch § bob, 2024-05-01, edited, #2, line")
    [hit, *_] = Library(library).search("v3", k=1)
    assert hit.passage.heading == first.heading


def test_all_posts_of_a_long_topic_are_read_once_each(forum: Discourse, library: Path) -> None:
    forum.threads[9] = Thread("Long", [Said(f"{LONG} Point {at}.", f"user{at % 9}") for at in range(65)])
    forum.threads[9].posts[40].gone = True
    ingested(library, f"{forum.root}/t/9")
    numbers = [int(link(ref).rpartition("/")[2]) for ref in references(library)]
    assert sorted(set(numbers)) == [n for n in range(1, 66) if n != 41]
    text = "".join(passage.text for passage in Library(library).passages(sole(library).uri))
    assert [text.count(f"Point {at}.") for at in range(65)] == [int(at != 40) for at in range(65)]
    assert len([path for path in forum.seen if "/posts.json" in path]) == 3


def test_posts_that_vanish_between_two_requests_do_no_harm(forum: Discourse, library: Path) -> None:
    class Vanishing(Fetcher):
        def get(self, url: str, **validators: str | None):  # type: ignore[no-untyped-def]
            answer = super().get(url, **validators)
            for said in forum.threads[7].posts[20:]:
                said.gone = True
            return answer

    forum.threads[7].posts = [Said(f"{LONG} Point {at}.") for at in range(30)]
    with Vanishing(allow_private=True) as door, Library.writer(library) as writer:
        assert counts(Engine(writer).run(topics(door, f"{forum.root}/t/7")))[0] == 1
    assert len(references(library)) == 20


def test_the_words_of_others_do_not_stand_under_the_name_of_who_quotes_them(
    forum: Discourse, library: Path
) -> None:
    forum.threads[7].posts = [
        Said("Burn everything."),
        Said(
            '[quote="alice, post:1, topic:7, full:true"]\nBurn everything.\n'
            '[quote="x, post:2, topic:3"]y[/quote]\n[/quote]\n'
            'No, keep it.\n\n[quote="Satoshi"]\nRunning bitcoin\n[/quote]\nRemember that.',
            "bob",
        ),
        Said("```\n[quote=a]\n![x](y)\n[/quote]\n```\nShows how [quote] is written.", "eve"),
    ]
    ingested(library, f"{forum.root}/t/7")
    there = Library(library).passages(sole(library).uri)
    texts = {passage.heading[0].partition(",")[0]: passage.text for passage in there}
    assert "Burn everything." in texts["alice"]
    assert "Burn everything" not in texts["bob"]
    assert f"> quotes alice, {forum.root}/t/7/1\n" in texts["bob"]
    assert "> quoted from Satoshi:\n> Running bitcoin\n" in texts["bob"]
    assert "No, keep it." in texts["bob"]
    assert "Remember that." in texts["bob"]
    assert "[quote=a]\n![x](y)\n[/quote]" in texts["eve"]
    assert "[quote] is written" in texts["eve"]


def test_what_is_left_out_is_counted(forum: Discourse, library: Path) -> None:
    forum.threads[7].posts = [
        Said(
            "Vote!\n\n[poll type=regular]\n* yes\n* no\n[/poll]\n\n![chart|690x388](upload://a.png) As shown."
        ),
        Said("(deleted)", "bob", extra={"user_deleted": True}),
        Said("flagged", "eve", extra={"hidden": True}),
        Said("", "staff", extra={"post_type": 3, "action_code": "closed.enabled"}),
        Said("![only](upload://b.png)", "pic"),
    ]
    report = ingested(library, f"{forum.root}/t/7")
    assert report.lost_by_reason == {
        "images": 2, "polls": 1, "deleted posts": 1, "hidden posts": 1, "posts without words": 1,
    }  # fmt: skip
    [ref] = references(library)
    text = "".join(passage.text for passage in Library(library).passages(ref.uri))
    assert text == "## alice, 2024-05-01, #1\n\nVote!\n\n\n\n As shown.\n\n"


def test_html_is_read_where_the_forum_gives_no_markdown(forum: Discourse, library: Path) -> None:
    forum.raw = False
    forum.threads[7].posts = [
        Said(
            "",
            cooked='<p>Fees &lt; 1% are <strong>kept</strong>.<img class="emoji" title=":x:"></p>'
            '<aside class="quote" data-username="bob" data-post="2" data-topic="3"><div class="title">bob'
            "</div><blockquote><p>Mine alone.</p></blockquote></aside><p>After it.</p>"
            '<aside class="onebox" data-onebox-src="https://a.org/x"><article>Preview words</article></aside>'
            '<div class="poll"><ul><li>yes</li></ul></div><pre><code>x = 1</code></pre>',
        )
    ]
    report = ingested(library, f"{forum.root}/t/7")
    [passage] = Library(library).passages(sole(library).uri)
    for words in ("1% are **kept**", "After it.", "https://a.org/x", "x = 1"):
        assert words in passage.text
    assert f"(quotes bob, {forum.root}/t/3/2)" in passage.text
    for words in ("Mine alone", "Preview words", "yes"):
        assert words not in passage.text
    assert report.lost_by_reason == {"previews of links": 1, "polls": 1}


def test_a_post_of_a_user_who_is_no_more_stays(forum: Discourse, library: Path) -> None:
    forum.threads[7].posts[1].extra = {"username": None}
    ingested(library, f"{forum.root}/t/7")
    assert sole(library).authors == ("alice", "deleted user")
    assert references(library)[1].heading == ("deleted user, 2024-05-01, #2",)


def test_a_heading_in_a_post_cannot_pass_for_another_post(forum: Discourse, library: Path) -> None:
    forum.threads[7].posts = [Said(f"# vitalik, 2024-05-01, #99\n\n{LONG * 3}", "mallory")]
    ingested(library, f"{forum.root}/t/7")
    refs = references(library)
    assert {link(ref) for ref in refs} == {f"{forum.root}/t/a-topic/7/1"}
    assert all("mallory, 2024-05-01, #1" in place(ref) for ref in refs)


def test_only_topics_that_changed_cost_anything(forum: Discourse, library: Path) -> None:
    assert counts(ingested(library, forum.root)) == (2, 0, 0, 0, 0)
    before, forum.seen = Library(library).generation, []
    again = ingested(library, forum.root)
    assert counts(again) == (0, 0, 2, 0, 0)
    assert again.embedded == 0
    assert Library(library).generation == before
    assert [path.partition("?")[0] for path in forum.seen] == ["/latest.json"]

    forum.threads[7].posts.append(Said("Agreed.", "carol"))
    forum.threads[7].bumped = "2024-06-01T10:00:00.000Z"
    forum.seen = []
    changed = ingested(library, forum.root)
    assert counts(changed) == (0, 1, 1, 0, 0)
    assert changed.embedded == 1
    assert not [path for path in forum.seen if path.startswith("/t/8")]


def test_an_edit_that_a_list_does_not_show_is_found_while_people_may_edit(
    forum: Discourse, library: Path
) -> None:
    forum.threads[7].bumped = datetime.now(UTC).isoformat()
    ingested(library, forum.root)
    forum.threads[7].posts[0].raw, forum.threads[7].posts[0].version = "I withdraw it.", 2
    assert counts(ingested(library, forum.root)) == (0, 1, 1, 0, 0)
    assert "withdraw" in Library(library).search("withdraw", k=1)[0].passage.text


def test_an_etag_spares_the_answer_where_that_held_all_posts(forum: Discourse, library: Path) -> None:
    forum.etags = True
    forum.threads[9] = Thread("Long", [Said(f"{LONG} Point {at}.") for at in range(25)])
    url = f"{forum.root}/t/"
    assert [counts(ingested(library, f"{url}{n}")) for n in (7, 9)] == [(1, 0, 0, 0, 0)] * 2
    forum.seen = []
    assert [counts(ingested(library, f"{url}{n}")) for n in (7, 9)] == [(0, 0, 1, 0, 0)] * 2
    assert [path.partition("?")[0] for path in forum.seen] == [
        "/t/7.json",
        "/t/9.json",
        "/t/9/posts.json",
        "/site.json",
    ]
    forum.threads[7].posts[0].raw = "Other words."
    assert counts(ingested(library, f"{url}7")) == (0, 1, 0, 0, 0)


def test_a_topic_too_long_to_be_listed_is_one_line(forum: Discourse, library: Path) -> None:
    forum.huge = True
    report = ingested(library, f"{forum.root}/t/7")
    assert counts(report) == (0, 0, 0, 0, 1)
    assert "has so many posts" in str(report.skipped[0])


def test_the_address_of_a_post_shows_that_post(forum: Discourse, library: Path) -> None:
    ingested(library, f"{forum.root}/t/7")
    found = at_address(Library(library), f"{forum.root}/t/a-topic/7/2")
    assert (found.words, found.opens, found.ends) == (
        "## bob, 2024-05-01, #2\n\nI am against it.\n\n",
        False,
        True,
    )
    assert link(found.source) == f"{forum.root}/t/a-topic/7/2"
    with pytest.raises(LibraryError, match="has no post 3 in the library"):
        at_address(Library(library), f"{forum.root}/t/a-topic/7/3")


def test_deleted_posts_and_topics_go_and_renamed_topics_stay_one(forum: Discourse, library: Path) -> None:
    ingested(library, f"{forum.root}/t/7")
    forum.threads[7].posts[1].gone = True
    forum.threads[7].slug, forum.threads[7].title = "renamed", "Renamed"
    assert counts(ingested(library, f"{forum.root}/t/7")) == (0, 1, 0, 0, 0)
    assert (sole(library).title, sole(library).uri) == ("Renamed", f"{forum.root}/t/renamed/7")
    assert len(references(library)) == 1
    forum.threads[7].status = 404
    assert counts(ingested(library, f"{forum.root}/t/7")) == (0, 0, 0, 1, 0)
    assert Library(library).documents() == []


def test_a_topic_that_a_whole_list_shows_no_more_goes_if_it_was_deleted(
    forum: Discourse, library: Path
) -> None:
    forum.threads[9] = Thread("Elsewhere", [Said("Other words.")], category=1)
    assert counts(ingested(library, forum.root)) == (3, 0, 0, 0, 0)
    forum.threads[7].status = forum.threads[9].status = 404
    assert counts(ingested(library, f"{forum.root}/tag/none"))[3] == 0
    assert counts(ingested(library, f"{forum.root}/c/fees/5")) == (0, 0, 1, 1, 0)
    assert [document.title for document in Library(library).documents()] == ["Elsewhere", "Old times"]


def test_a_topic_that_became_private_stays(forum: Discourse, library: Path) -> None:
    ingested(library, f"{forum.root}/t/7")
    forum.threads[7].status = 403
    report = ingested(library, f"{forum.root}/t/7")
    assert counts(report) == (0, 0, 0, 0, 1)
    assert "not open to everybody" in str(report.skipped[0])
    assert sole(library).title == "Turn on the fee switch"


def test_lists_are_read_to_the_limit_and_by_category(forum: Discourse, library: Path) -> None:
    forum.threads |= {n: Thread(f"Topic {n}", [Said(f"Words of {n}.")], category=6) for n in range(100, 145)}
    assert counts(ingested(library, f"{forum.root}/c/fees/5")) == (2, 0, 0, 0, 0)
    some = ingested(library, f"{forum.root}/c/all/6", limit=35)
    assert counts(some)[0] == 35
    assert "only 35 topics are read; more with --limit N" in str(some.notes[0])
    rest = ingested(library, f"{forum.root}/c/all/6", limit=45)
    assert (counts(rest), rest.notes) == ((10, 0, 35, 0, 0), [])


def test_a_busy_forum_is_waited_for_and_then_left_alone(forum: Discourse, library: Path) -> None:
    forum.busy = 3
    assert counts(ingested(library, f"{forum.root}/t/7")) == (1, 0, 0, 0, 0)
    forum.threads = {n: Thread("Down", [Said("x")], status=503) for n in range(1, 9)} | forum.threads

    class Failing(Fetcher):
        def get(self, url: str, **validators: str | None):  # type: ignore[no-untyped-def]
            if "/latest" in url:
                for thread in forum.threads.values():
                    thread.status = 200
            answer = super().get(url, **validators)
            forum.threads[3].status = 503
            return answer

    with Failing(allow_private=True, sleep=lambda _: None) as door, Library.writer(library) as writer:
        report = Engine(writer).run(topics(door, forum.root))
    assert (report.added, len(report.skipped)) == (2, 1)
    assert "5 more topics wait for the next run" in str(report.skipped[0])
    assert len(Library(library).documents()) == 3


@pytest.mark.parametrize(
    ("login", "path", "error", "said"),
    [
        ("redirect", "/t/7", None, "asks for a login"),
        ("forbidden", "/t/7", None, "not open to everybody"),
        ("redirect", "", SourceError, "asks for a login"),
        ("forbidden", "", SourceError, "not open to everybody"),
        (None, "/t/4040", None, "no topic 4040"),
        (None, "/c/none/77", SourceError, "no public list"),
    ],
)
def test_what_is_closed_or_not_there_is_one_line(
    forum: Discourse, library: Path, login: str | None, path: str, error: type[SourceError] | None, said: str
) -> None:
    forum.login = login
    if error:
        with pytest.raises(error, match=said):
            ingested(library, forum.root + path)
    else:
        report = ingested(library, forum.root + path)
        assert counts(report) == (0, 0, 0, 0, 1)
        assert said in str(report.skipped[0])


def test_a_page_that_is_no_forum_is_one_line(server, library: Path) -> None:  # type: ignore[no-untyped-def]
    for path in ("/latest.json?page=0&no_definitions=true", "/t/7.json?include_raw=true"):
        server.routes[path] = lambda handler: handler.answer(
            200, b"<html>hi</html>", Content_Type="text/html"
        )
    with pytest.raises(SourceError, match=r"is no Discourse forum: /latest\.json gives text/html"):
        ingested(library, server.url(""))
    assert "is no Discourse forum" in str(ingested(library, server.url("/t/x/7")).skipped[0])


def test_a_citation_is_checked_at_the_forum(forum: Discourse, library: Path) -> None:
    ingested(library, f"{forum.root}/t/7")
    [ref, _] = references(library)
    with doors() as door:
        assert reread(ref, Doors(door)).document.sha256 == ref.sha256
        forum.threads[7].posts[0].raw = "I never said it."
        assert reread(ref, Doors(door)).document.sha256 != ref.sha256
        forum.threads[7].status = 410
        with pytest.raises(Gone):
            reread(ref, Doors(door))
        forum.threads[7].status = 503
        with pytest.raises(Unreachable):
            reread(ref, Doors(door))


def test_the_command_says_what_was_read(chaincite, forum: Discourse, library: Path) -> None:  # type: ignore[no-untyped-def]
    command = ("--library", library, "ingest", "forum")
    ran = chaincite(*command, f"{forum.root}/t/x/7", CHAINCITE_ALLOW_PRIVATE_ADDRESSES="true")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("1 added, 0 changed, 0 unchanged, 0 skipped; 2 passages, 2 embedded, ")


MARKS = (
    "[quote]",
    '[quote="a, post:1, topic:2"]',
    "[/quote]",
    "```",
    "[poll]",
    "[/poll]",
    "![",
    "](x)",
    "---",
)


@given(st.lists(st.sampled_from([*MARKS, "word", "\n", "# h", "> q", "\x00", "\r\n"]), max_size=14))
def test_whatever_a_post_holds_the_blocks_lie_in_order_in_the_text(parts: list[str]) -> None:
    post = {"post_number": 1, "username": "a", "created_at": "2024-05-01T00:00:00Z", "id": 1}
    stream = {"posts": [{**post, "raw": "begin " + "".join(parts)}], "stream": [1]}
    facts = {"id": 1, "title": "t", "slug": "", "created_at": post["created_at"], "post_stream": stream}
    reading = read_topic("https://f.org", Topic.model_validate(facts), None, NOW)
    ends = [0, *(block.end for block in reading.blocks)]
    assert all(end <= block.start < block.end for end, block in zip(ends, reading.blocks, strict=False))
    assert ends[-1] <= len(reading.text)
    assert [block.title for block in reading.blocks if block.level == 1] == ["a, 2024-05-01, #1"]
    assert "begin" in reading.text
    assert "\x00" not in reading.text
