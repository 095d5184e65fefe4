"""Nothing reports home: the vendors' telemetry is off before any of them is imported."""

from __future__ import annotations

import os
import sys

_ENVIRONMENT = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
    "LANGSMITH_TRACING_V2": "false",
}


def switch_off() -> None:
    """Turns telemetry off in this process and its children, whatever the environment said before.

    OpenVINO's model conversion reports unless a file in the user's home forbids it; with its
    `openvino_telemetry` package out of reach it falls back to a stub that sends nothing.
    """
    os.environ.update(_ENVIRONMENT)
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
