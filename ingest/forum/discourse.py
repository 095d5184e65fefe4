"""Forums that run Discourse: what an address names there, and its topics through the public JSON."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypeVar
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from index.errors import Gone, SourceError
from ingest.fetch import Fetched, Fetcher

PAUSE = 0.25
"""Seconds between two requests to a forum; Discourse allows 50 in ten seconds."""

CHUNK = 20
"""Posts asked for at a time, as a browser does."""

NOBODY = "deleted user"
"""Who wrote a post whose author is no more."""

_TOPIC = re.compile(r"(?P<base>.*?)/t/(?:(?!\d+/)[^/]+/)?(?P<topic>\d{1,18})(?:/\d+)?(?:\.json|\.rss|/)?")
_LIST = re.compile(
    r"(?P<base>.*?)(?P<list>/c/.+?|/tag/[^/]+|/latest)?(?:/none|/all)?(?:/l/\w+)?(?:\.json|\.rss)?/?"
)


@dataclass(frozen=True, slots=True)
class Place:
    """What an address of a forum names: a topic by number, or a list of topics.

    root: the forum's own address; listing: the path of the list, without extension.
    """

    root: str
    topic: int | None = None
    listing: str = "/latest"


def parse(url: str) -> Place:
    """The topic, category, tag or whole forum that a URL names. Raises SourceError for what names none.

    >>> parse("https://forum.example.org/t/a-fee-switch/7/12")
    Place(root='https://forum.example.org', topic=7, listing='/latest')
    >>> parse("https://example.org/forum/c/proposals/5/l/latest").listing
    '/c/proposals/5'
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise SourceError(f"is no URL ({error}); give an https address of a Discourse forum") from None
    if parts.scheme not in ("http", "https") or not host:
        raise SourceError("is no web address; give that of a Discourse forum, as https://gov.uniswap.org")
    root = f"{parts.scheme}://{parts.netloc}"
    if match := _TOPIC.fullmatch(parts.path):
        return Place(root + match["base"], int(match["topic"]))
    listed = _LIST.fullmatch(parts.path)
    if listed is None or "/t/" in parts.path:
        raise SourceError("is no topic, category or forum; give an address such as …/t/TITLE/123")
    return Place(root + listed["base"].rstrip("/"), None, listed["list"] or "/latest")


def _tag(value: object) -> object:
    return value.get("name") if isinstance(value, dict) else value


class Post(BaseModel):
    """A post as the forum gives it. raw: its Markdown; cooked: its HTML; kind 1 is a post, 2 one of staff."""

    id: int
    number: int = Field(alias="post_number")
    username: Annotated[str, BeforeValidator(lambda name: name or NOBODY)]
    created_at: datetime
    version: int = 1
    kind: int = Field(1, alias="post_type")
    raw: str | None = None
    cooked: str = ""
    hidden: bool = False
    user_deleted: bool = False
    deleted_at: datetime | None = None


class Stream(BaseModel):
    """The posts of a topic: the first of them, and the ids of all where they are not too many."""

    posts: list[Post]
    stream: list[int] | None = None


class Topic(BaseModel):
    """A topic with its posts."""

    id: int
    title: str
    slug: str
    created_at: datetime
    category_id: int | None = None
    tags: list[Annotated[str, BeforeValidator(_tag)]] = []
    post_stream: Stream
    etag: str | None = None


class Row(BaseModel):
    """A topic as a list shows it."""

    id: int
    title: str = ""
    posts_count: int = 0
    bumped_at: datetime | None = None
    category_id: int | None = None


class _Rows(BaseModel):
    topics: list[Row]
    more: str | None = Field(None, alias="more_topics_url")


class _Listing(BaseModel):
    topic_list: _Rows


class _Posts(BaseModel):
    posts: list[Post]


class _More(BaseModel):
    post_stream: _Posts


class _Category(BaseModel):
    id: int
    name: str
    parent: int | None = Field(None, alias="parent_category_id")


class _Site(BaseModel):
    categories: list[_Category] = []


Model = TypeVar("Model", bound=BaseModel)
Query = Mapping[str, str] | Sequence[tuple[str, str]]


class Discourse:
    """One forum, asked no faster than it likes. fetcher: the door to the network, which tries again.

    Each method raises SourceError where the forum is no Discourse or wants a login, and Unreachable where it
    does not answer.
    """

    def __init__(self, root: str, fetcher: Fetcher, sleep: Callable[[float], None] = time.sleep) -> None:
        self.root = root
        self._fetcher = fetcher
        self._sleep = sleep
        self._asked = float("-inf")
        self._categories: dict[int, str] | None = None

    def topics(self, listing: str, limit: int) -> Iterator[Row]:
        """The topics of a list, at most `limit`, each once."""
        seen: set[int] = set()
        page = 0
        while True:
            try:
                query = {"page": str(page), "no_definitions": "true"}
                answer = self._get(f"{listing}.json", _Listing, query)
            except Gone as error:
                raise SourceError(f"is no public list of topics of a Discourse forum ({error})") from None
            rows = [row for row in answer.topic_list.topics if row.id not in seen]
            for row in rows:
                if len(seen) == limit:
                    return
                seen.add(row.id)
                yield row
            if not rows or not answer.topic_list.more:
                return
            page += 1

    def topic(self, number: int) -> Topic:
        """A topic with all its posts. Raises Gone for one that is not there, or not public."""
        return self._whole(self._first(number, None))

    def changed(self, number: int, etag: str | None) -> Topic | None:
        """As `topic`; None when it is what the etag names, which is that of an answer with all posts."""
        first = self._first(number, etag)
        return None if first.not_modified else self._whole(first)

    def category(self, number: int | None) -> str | None:
        """The name of a category with that of its parent; None where the forum does not tell it."""
        if self._categories is None:
            try:
                there = {one.id: one for one in self._get("/site.json", _Site, {}).categories}
            except Gone:
                there = {}
            self._categories = {
                at: f"{there[one.parent].name} › {one.name}" if one.parent in there else one.name
                for at, one in there.items()
            }
        return self._categories.get(number) if number is not None else None

    def _first(self, number: int, etag: str | None) -> Fetched:
        try:
            return self._fetch(f"/t/{number}.json", {"include_raw": "true"}, etag)
        except Gone:
            raise Gone(f"there is no topic {number}, or it is not public") from None

    def _whole(self, first: Fetched) -> Topic:
        """The topic of a first page, with the posts of the others."""
        topic = _parsed(first, Topic)
        stream = topic.post_stream
        if stream.stream is None:
            raise SourceError("has so many posts that the forum does not list them; it cannot be read")
        there = {post.id for post in stream.posts}
        lacking = [at for at in stream.stream if at not in there]
        stream.posts += self._posts(topic.id, lacking)
        stream.posts.sort(key=lambda post: post.number)
        return topic if lacking else topic.model_copy(update={"etag": first.etag})

    def _posts(self, topic: int, numbers: list[int]) -> Iterator[Post]:
        """Posts by id; those that were deleted meanwhile are left out."""
        while numbers:
            query = [*(("post_ids[]", str(at)) for at in numbers[:CHUNK]), ("include_raw", "true")]
            posts = self._get(f"/t/{topic}/posts.json", _More, query).post_stream.posts
            found = {post.id for post in posts} & set(numbers)
            yield from (post for post in posts if post.id in found)
            numbers = [at for at in numbers if at not in found] if found else numbers[CHUNK:]

    def _get(self, path: str, model: type[Model], query: Query) -> Model:
        return _parsed(self._fetch(path, query), model)

    def _fetch(self, path: str, query: Query, etag: str | None = None) -> Fetched:
        self._sleep(max(0.0, self._asked + PAUSE - time.monotonic()))
        fetched = self._fetcher.get(f"{self.root}{path}?{urlencode(query)}", etag=etag)
        self._asked = time.monotonic()
        if urlsplit(fetched.url).path.endswith(("/login", "/session/sso")):
            raise SourceError("asks for a login; only what everybody may read is read")
        return fetched


def _parsed(fetched: Fetched, model: type[Model]) -> Model:
    """What a forum says. Raises SourceError for what is not as Discourse writes it."""
    try:
        return model.model_validate_json(fetched.body)
    except ValidationError:
        raise SourceError(
            f"is no Discourse forum: {urlsplit(fetched.url).path} gives {fetched.media_type or 'something'},"
            " not what Discourse writes there; for a single page, `chaincite ingest papers URL`"
        ) from None
