"""Folders for databases that nobody looks at after the test: in memory, where there is room.

What such a store writes it also waits for, and a disk that several suites share is slow.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")


def scratch(prefix: str, room: int) -> Path:
    """A new folder; `room` is how many bytes it may come to need. The caller removes it."""
    here = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2 * room
    return Path(tempfile.mkdtemp(prefix=prefix, dir=MEMORY if here else None))
