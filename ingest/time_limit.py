"""A bound on the time that reading one item may take."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from index.errors import SourceError


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Ends what runs in the block with SourceError after so many seconds.

    It needs the alarm of POSIX and the main thread, and waits for calls into C that do not look for signals;
    elsewhere there is no bound.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def late(_number: int, _frame: object) -> None:
        raise SourceError(f"takes longer than {seconds:g} s to read; split it, or leave it out")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
