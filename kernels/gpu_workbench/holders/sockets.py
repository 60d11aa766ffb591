"""Where a holder's pages are heard: a Unix socket in its directory, if its path is short enough."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

_LONGEST_PATH = 100
"""Bytes; the kernel takes 107, macOS 103."""


def socket_path(directory: Path, name: str) -> Path:
    """In `directory`; where its path is too long for a socket, in a directory of its own."""
    path = directory / name
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        path.unlink(missing_ok=True)
        return path
    return Path(tempfile.mkdtemp(prefix="gpu-workbench-")) / name


def remove_socket(path: Path, directory: Path) -> None:
    """What `socket_path` gave for `directory`, and what was made for it."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        if path.parent != directory:
            path.parent.rmdir()
