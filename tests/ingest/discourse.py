"""A forum as Discourse serves it, over loopback: topics, their further posts, lists, limits, logins."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE = 20
LIST_PAGE = 30


@dataclass
class Said:
    """A post; `gone` is one that its topic no longer lists."""

    raw: str
    username: str = "alice"
    day: str = "2024-05-01"
    cooked: str = ""
    version: int = 1
    gone: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class Thread:
    """A topic. status: what the forum answers in place of it, where that is not 200."""

    title: str
    posts: list[Said]
    slug: str = "a-topic"
    bumped: str = "2024-05-01T10:00:00.000Z"
    category: int = 5
    tags: list[Any] = field(default_factory=list)
    status: int = 200


class Discourse(ThreadingHTTPServer):
    """The forum.

    seen: paths asked for; busy: answers of 429 still to give; login: how all is closed; raw: whether it gives
    Markdown; etags: whether topics have them; huge: whether topics are too long to list their posts.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.threads: dict[int, Thread] = {}
        self.seen: list[str] = []
        self.busy = 0
        self.login: str | None = None
        self.raw = True
        self.etags = False
        self.huge = False

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def post(self, topic: int, at: int, raw: bool) -> dict[str, Any]:
        said = self.threads[topic].posts[at]
        body = {
            "id": topic * 1000 + at,
            "post_number": at + 1,
            "username": said.username,
            "created_at": f"{said.day}T09:00:00.000Z",
            "version": said.version,
            "post_type": 1,
            "cooked": said.cooked or f"<p>{said.raw}</p>",
            "reads": len(self.seen),
            **said.extra,
        }
        return {**body, "raw": said.raw} if raw and self.raw else body

    def topic(self, number: int, raw: bool) -> dict[str, Any]:
        thread = self.threads[number]
        there = [at for at, said in enumerate(thread.posts) if not said.gone]
        return {
            "id": number,
            "title": thread.title,
            "slug": thread.slug,
            "created_at": "2024-05-01T09:00:00.000Z",
            "category_id": thread.category,
            "tags": thread.tags,
            "views": len(self.seen),
            "post_stream": {
                "posts": [self.post(number, at, raw) for at in there[:PAGE]],
                **({} if self.huge else {"stream": [number * 1000 + at for at in there]}),
            },
        }

    def listed(self, page: int, category: int | None) -> dict[str, Any]:
        numbers = [n for n, t in self.threads.items() if category in (None, t.category) and t.status == 200]
        some = numbers[page * LIST_PAGE : (page + 1) * LIST_PAGE]
        rows = [
            {
                "id": n,
                "title": self.threads[n].title,
                "posts_count": sum(not said.gone for said in self.threads[n].posts),
                "bumped_at": self.threads[n].bumped,
                "category_id": self.threads[n].category,
            }
            for n in some
        ]
        more = {"more_topics_url": "/latest?page=x"} if len(numbers) > (page + 1) * LIST_PAGE else {}
        return {"topic_list": {"topics": rows, **more}}


class _Handler(BaseHTTPRequestHandler):
    server: Discourse
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        forum, parts = self.server, urlsplit(self.path)
        query = parse_qs(parts.query)
        forum.seen.append(self.path)
        if forum.busy:
            forum.busy -= 1
            self.answer(429, {"errors": ["slow down"]}, Retry_After="0")
        elif parts.path == "/login":
            self.answer(200, "<html>log in</html>")
        elif forum.login == "redirect":
            self.answer(302, "", Location="/login")
        elif forum.login == "forbidden":
            self.answer(403, {"errors": ["log in"], "error_type": "not_logged_in"})
        else:
            self.route(parts.path.strip("/").removesuffix(".json").split("/"), query)

    def route(self, path: list[str], query: dict[str, list[str]]) -> None:
        forum, raw = self.server, "include_raw" in query
        if path == ["site"]:
            rows = [{"id": 1, "name": "Governance"}, {"id": 5, "name": "Fees", "parent_category_id": 1}]
            self.answer(200, {"categories": rows})
        elif path[0] in ("latest", "tag") or (path[0] == "c" and path[-1] in ("5", "6")):
            category = int(path[-1]) if path[0] == "c" else None
            self.answer(200, forum.listed(int(query.get("page", ["0"])[0]), category))
        elif path[0] == "t" and int(path[1]) in forum.threads:
            number = int(path[1])
            if (status := forum.threads[number].status) != 200:
                self.answer(status, {"errors": ["no"]})
            elif path[2:] == ["posts"]:
                wanted = [int(at) % 1000 for at in query["post_ids[]"]]
                there = [at for at in wanted if not forum.threads[number].posts[at].gone]
                self.answer(200, {"post_stream": {"posts": [forum.post(number, at, raw) for at in there]}})
            else:
                etag = f'W/"{hash(repr(forum.threads[number]))}"' if forum.etags else ""
                same = bool(etag) and self.headers["If-None-Match"] == etag
                body = "" if same else forum.topic(number, raw)
                self.answer(304 if same else 200, body, **({"ETag": etag} if etag else {}))
        else:
            self.answer(404, {"errors": ["not found"]})

    def answer(self, status: int, body: Any, **headers: str) -> None:
        is_page = isinstance(body, str)
        content = (body if is_page else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if is_page else "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 named by the standard library
        pass


@contextmanager
def running() -> Iterator[Discourse]:
    """A forum that answers until the end."""
    with Discourse() as forum:
        thread = threading.Thread(target=forum.serve_forever, args=(0.02,))
        thread.start()
        yield forum
        forum.shutdown()
        thread.join()
