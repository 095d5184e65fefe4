"""Builders for what the tests of ingestion read: files in folders, small PDFs, a local web server."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas

from index.values import Reading
from ingest.readers import read
from ingest.sources import NOTHING_STATED, Facts, Limits, Source

NOW = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)

Page = list[tuple[str, int, bool]]


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    """Writes files into a fresh folder: `tree({"a/b.md": "text"})`."""

    def write(files: dict[str, str | bytes]) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path

    return write


@pytest.fixture
def manifest() -> Callable[..., Path]:
    """Writes a manifest for the files of a folder; keywords change every entry."""

    def write(root: Path, names: list[str], **changes: str) -> Path:
        entries = [
            {
                "path": name,
                "source": f"https://example.org/at/{name}",
                "commit": "c0ffee",
                "kind": "paper",
                "licence": "CC0-1.0",
                "sha256": sha256((root / name).read_bytes()).hexdigest(),
                **changes,
            }
            for name in names
        ]
        path = root / "MANIFEST.json"
        path.write_text(json.dumps(entries))
        return path

    return write


@pytest.fixture
def reading() -> Callable[..., Reading]:
    """Reads a body under a name, at a fixed time."""

    def make(
        body: str | bytes,
        name: str = "note.md",
        *,
        stated: Facts = NOTHING_STATED,
        media_type: str | None = None,
        limits: Limits | None = None,
    ) -> Reading:
        source = Source(f"/somewhere/{name}", name, f"https://example.org/{name}", stated)
        content = body.encode() if isinstance(body, str) else body
        return read(content, source, media_type=media_type, retrieved_at=NOW, limits=limits or Limits())

    return make


@pytest.fixture
def pdf() -> Callable[..., bytes]:
    """Makes a PDF of pages of lines, each (text, font size, bold); numbers stand at the foot of a page."""

    def make(pages: list[Page], *, title: str = "", author: str = "", producer: object = None) -> bytes:
        stream = io.BytesIO()
        canvas = Canvas(stream, pagesize=(600, 800), encrypt=producer)
        canvas.setTitle(title)
        canvas.setAuthor(author)
        for page in pages:
            top = 740.0
            for text, size, bold in page:
                canvas.setFont("Helvetica-Bold" if bold else "Helvetica", size)
                top -= 1.25 * size
                canvas.drawString(60, 30 if text.isdigit() else top, text)
            canvas.showPage()
        canvas.save()
        return stream.getvalue()

    return make


class _Handler(BaseHTTPRequestHandler):
    """Answers from the functions in `server.routes`, which take this handler."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.seen.append(self)
        self.server.routes[self.path](self)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 named by the standard library
        pass


class Server(ThreadingHTTPServer):
    """A local web server: `routes` from paths to functions that answer, `seen` the requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.routes: dict[str, Callable[[_Handler], None]] = {}
        self.seen: list[_Handler] = []

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_address[1]}{path}"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()
