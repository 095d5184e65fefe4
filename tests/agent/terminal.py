r"""A terminal for tests: the real command line behind a pseudo-terminal, and what can be read on its screen.

with Terminal("--library", folder, "chat") as terminal:
    terminal.until("›")
    terminal.type("What is the base fee?\r")
    assert "[1]" in terminal.until("answer 20")
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

from tests.conftest import HANG

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[PX^_].*?\x1b\\"
    r"|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[()][A-Z0-9]|\x1b[=>78]"
)
_WHERE = b"\x1b[6n"
_START = """
import fcntl, runpy, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
runpy.run_module("chaincite", run_name="__main__", alter_sys=True)
"""


class Terminal:
    """A program on a terminal of its own. `raw`: all that it wrote; `text`: the same without escape codes."""

    def __init__(
        self,
        *arguments: str | Path,
        columns: int = 80,
        rows: int = 24,
        **environment: str,
    ) -> None:
        self._command = [sys.executable, "-c", _START, *map(str, arguments)]
        self._environment = {**os.environ, "TERM": "xterm-256color", **environment}
        for name in ("COLUMNS", "LINES"):
            self._environment.pop(name, None)
        self._size = struct.pack("HHHH", rows, columns, 0, 0)
        self._read = 0
        self.raw = ""

    def __enter__(self) -> Terminal:
        self._ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, self._size)
        self._process = subprocess.Popen(
            self._command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=self._environment,
            start_new_session=True,
        )
        os.close(theirs)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._ours)

    @property
    def text(self) -> str:
        return _ESCAPES.sub("", self.raw).replace("\r", "")

    def type(self, keys: str) -> None:
        r"""Presses keys: "\r" is Enter, "\x03" Ctrl-C, "\x04" Ctrl-D."""
        os.write(self._ours, keys.encode())

    def until(self, wanted: str) -> str:
        """Waits until this is written, after what was waited for before; returns what came until then."""
        deadline = time.monotonic() + HANG
        while wanted not in self.text[self._read :]:
            if not self._more(deadline):
                raise AssertionError(f"{wanted!r} did not come after {self.text[self._read :]!r}")
        end = self.text.index(wanted, self._read) + len(wanted)
        found = self.text[self._read : end]
        self._read = end
        return found

    def ended(self) -> int:
        """Waits until the program ends and returns its exit status."""
        deadline = time.monotonic() + HANG
        while self._more(deadline):
            pass
        return self._process.wait(max(deadline - time.monotonic(), 1))

    def _more(self, deadline: float) -> bool:
        if not select.select([self._ours], [], [], max(deadline - time.monotonic(), 0))[0]:
            return False
        try:
            read = os.read(self._ours, 65536)
        except OSError:
            return False
        if _WHERE in read:
            os.write(self._ours, b"\x1b[1;1R")
        self.raw += read.decode("utf-8", "replace")
        return bool(read)
