"""The last word of a holder whose disk is full: written into room that was taken while there was.

`status.json` is replaced as a whole, for which a full disk has no room: the end of a job would
never be known. So a file of blanks is made at the start, and overwritten in place at the end where
nothing else can be written. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LAST_WORD = "last-word.json"
ROOM = 64 * 1024


def take_room(directory: Path) -> None:
    """Have the blocks; without them there will be no last word on a full disk."""
    with contextlib.suppress(OSError):
        handle = os.open(directory / LAST_WORD, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(b" " * ROOM)
            file.flush()
            os.fsync(file.fileno())


def say(directory: Path, status: Mapping[str, Any]) -> None:
    """Into the room, what fits of it: of many ranks at least how all ended."""
    text = json.dumps(status, separators=(",", ":")).encode()
    if len(text) > ROOM:
        short = [{**rank, "error": None} for rank in status.get("ranks", [])]
        text = json.dumps({**status, "ranks": short, "agent_log": None}).encode()
    if len(text) > ROOM:
        text = json.dumps({**status, "ranks": [], "metrics": {}, "agent_log": None}).encode()
    with contextlib.suppress(OSError):
        handle = os.open(directory / LAST_WORD, os.O_WRONLY)
        try:
            os.pwrite(handle, text.ljust(ROOM), 0)
        finally:
            os.close(handle)


def forget(directory: Path) -> None:
    """It is not needed: the last status was written as any other."""
    with contextlib.suppress(OSError):
        (directory / LAST_WORD).unlink()
