"""Holds memory and keeps a part of a core busy, until told to stop: for notebooks and ranks.

A file of its own, that imports nothing of the project: tests copy it beside what runs it.

    python burn.py FOLDER SHARE MEGABYTES

Waits for FOLDER/go and ends when FOLDER/stop is there.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

_SLOT = 0.02
"""Seconds; within each of these it is busy for its share."""


def burn(folder: str | Path, share: float, megabytes: int) -> None:
    """Its share is of one core, counted in the processor time that it really got."""
    base = Path(folder)
    while not (base / "go").exists():
        time.sleep(0.02)
    held = b"\1" * (megabytes << 20)
    began, used = time.monotonic(), time.process_time()
    while not (base / "stop").exists():
        end = time.monotonic() + _SLOT
        # What it could not get on a busy machine is caught up with later, as far as a slot goes.
        due = used + share * (time.monotonic() + _SLOT - began)
        while time.process_time() < due and time.monotonic() < end:
            sum(held[:2000])
        time.sleep(max(0.0, end - time.monotonic()))


if __name__ == "__main__":
    burn(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
