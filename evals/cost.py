"""What a process costs, and on what machine."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from index.errors import ChainciteError

if TYPE_CHECKING:
    import psutil

SAMPLING = 0.1
"""Seconds between two looks at a process's memory."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process and its children took.

    wall, cpu: seconds; peak: the largest sum of their resident memory, in bytes; load: the machine's load
    average over the minute before; others: cores that everything else kept busy meanwhile; output: what it
    printed.
    """

    system: str
    step: str
    wall: float
    cpu: float
    peak: int
    load: float
    others: float
    output: str


@dataclass(frozen=True, slots=True)
class Machine:
    """What figures were measured on. memory in bytes; bf16: whether the processor computes in bfloat16."""

    processor: str
    cores: int
    bf16: bool
    memory: int
    system: str
    python: str


def measure(
    system: str,
    step: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    accepted: Collection[int] = (0,),
) -> Cost:
    """Runs a command to its end and returns what it took.

    accepted: exit statuses that are no fault. Raises ChainciteError for any other.
    """
    import psutil

    load, before, busy, peak = os.getloadavg()[0], os.times(), _busy(), 0
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", env=environment
    )
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(process.communicate)
        while wait([ended], timeout=SAMPLING).not_done:
            with suppress(psutil.Error):
                peak = max(peak, _resident(psutil.Process(process.pid)))
    after = os.times()
    out, err = ended.result()
    if process.returncode not in accepted:
        last = (err.strip() or out.strip() or "it said nothing").splitlines()[-1]
        raise ChainciteError(f"{system} {step} ended with status {process.returncode}: {last}")
    wall = after.elapsed - before.elapsed
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    own = after.user + after.system - before.user - before.system
    others = max(_busy() - busy - cpu - own, 0.0) / wall
    return Cost(system, step, wall, cpu, peak, load, others, out)


def machine() -> Machine:
    """The machine that runs this."""
    import openvino
    import psutil

    return Machine(
        processor=_processor(),
        cores=psutil.cpu_count() or 1,
        bf16="BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
        memory=psutil.virtual_memory().total,
        system=platform.platform(),
        python=platform.python_version(),
    )


def _resident(process: psutil.Process) -> int:
    """Bytes in memory of a process and its children; pages that they share count for each."""
    return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))


def _busy() -> float:
    """Seconds that all cores together have worked since the machine started, or were withheld from it."""
    import psutil

    times = psutil.cpu_times()
    return float(times.user + times.system + getattr(times, "nice", 0.0) + getattr(times, "steal", 0.0))


def _processor() -> str:
    with suppress(OSError):
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
        if found:
            return found[1]
    return platform.processor()
