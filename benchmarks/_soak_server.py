"""A Jupyter server whose clock runs faster: what `benchmarks.soak` starts.

The extension is the real one; only its clock counts FASTER seconds in one, and the sampler looks
that much more often. Everything that a lease, a ring or a file does in 30 hours happens in minutes.
"""

from __future__ import annotations

import os
import sys
import time

from jupyter_server.serverapp import main

from gpu_workbench_server import compose
from gpu_workbench_server.services import telemetry

FASTER = float(os.environ.get("SOAK_FASTER", "1"))
PERIOD = float(os.environ.get("SOAK_PERIOD", "0.02"))
"""Seconds, of the wall, between two samples."""


class FastClock:
    """Implements `ports.Clock`."""

    def __init__(self) -> None:
        self._began = time.time()

    def now(self) -> float:
        return self._began + (time.time() - self._began) * FASTER


if __name__ == "__main__":
    compose.SystemClock = FastClock  # type: ignore[misc,assignment]
    telemetry.WATCHED_SECONDS = PERIOD
    sys.exit(main())
